/* Log queries: the best `limit` entries of all streams.
 *
 * Entries are ordered by time, equal times by the hash of the stream (ascending in both directions,
 * as Loki's merge does), then by place in the stream.  Units are looked at in the order of their
 * best possible time.  Each shard keeps its best entries in a heap with the worst on top; a full
 * heap gives a bound: nothing worse than its top can be among the answer.  The tightest bound of
 * all shards is shared, and when the next unit cannot beat it, no later one can. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "logql/engine/internal.h"

struct kept_entry {
    int64_t ts_ns;
    uint64_t seq; /* place in the stream */
    uint64_t stream_hash;
    uint32_t stream;
    size_t line_len;
    char *line; /* owned */
    const struct pipeline_labels *labels;
};

/* A shard reports what it holds when it has grown by so much. */
#define HOLD_STEP_BYTES ((size_t)1 << 20)

/* What a shard works with. */
struct keeper {
    struct engine_query *q;
    struct shard *shard;
    const struct leaf *leaf;
    struct unit_reader reader;
    bool is_backward, is_interval;
    size_t limit;
    int64_t from_ns, to_ns; /* narrower than the scan's in rounds of an interval query */
    uint32_t stream;
    struct pipeline_stream pipe;
    size_t line_bytes; /* kept */
    size_t held_bytes; /* counted by engine_hold() */
};

static int logs_too_large(uint64_t max, struct error *err)
{
    return error_set(err, E_LIMIT,
                     "the answer would be larger than %llu bytes; ask for fewer entries (limit) or "
                     "for shorter lines",
                     (unsigned long long)max);
}

/* <0 if a comes before b in the answer. */
static int entry_cmp(const struct kept_entry *a, const struct kept_entry *b, bool is_backward)
{
    if (a->ts_ns != b->ts_ns)
        return (a->ts_ns < b->ts_ns) != is_backward ? -1 : 1;
    if (a->stream_hash != b->stream_hash)
        return a->stream_hash < b->stream_hash ? -1 : 1;
    if (a->stream != b->stream)
        return a->stream < b->stream ? -1 : 1;
    if (a->seq != b->seq)
        return (a->seq < b->seq) != is_backward ? -1 : 1;
    return 0;
}

/* True if a is wanted less than b. */
static bool is_worse(const struct keeper *k, const struct kept_entry *a, const struct kept_entry *b)
{
    return entry_cmp(a, b, k->is_backward) > 0;
}

static void sift_up(struct keeper *k, size_t i)
{
    struct kept_entry *h = k->shard->kept.items;
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (!is_worse(k, &h[i], &h[parent]))
            return;
        struct kept_entry t = h[i];
        h[i] = h[parent];
        h[parent] = t;
        i = parent;
    }
}

static void sift_down(struct keeper *k, size_t i)
{
    struct kept_entry *h = k->shard->kept.items;
    size_t n = k->shard->kept.len;
    for (;;) {
        size_t worst = i, left = 2 * i + 1;
        for (size_t c = left; c < n && c <= left + 1; c++)
            if (is_worse(k, &h[c], &h[worst]))
                worst = c;
        if (worst == i)
            return;
        struct kept_entry t = h[i];
        h[i] = h[worst];
        h[worst] = t;
        i = worst;
    }
}

/* Makes the bound known to the other shards; it only ever tightens. */
static void share_bound(struct keeper *k)
{
    if (k->shard->kept.len < k->limit)
        return;
    int64_t mine = k->shard->kept.items[0].ts_ns;
    int64_t now = atomic_load_explicit(&k->q->bound_ns, memory_order_relaxed);
    while ((k->is_backward ? mine > now : mine < now) &&
           !atomic_compare_exchange_weak_explicit(&k->q->bound_ns, &now, mine, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

/* True if nothing in these times can be among the answer. */
static bool is_beaten(const struct keeper *k, int64_t min_ns, int64_t max_ns)
{
    int64_t bound = atomic_load_explicit(&k->q->bound_ns, memory_order_relaxed);
    return k->is_backward ? max_ns < bound : min_ns > bound;
}

static char *copy_line(str line)
{
    char *p = mem_alloc(line.len + 1);
    memcpy(p, line.ptr, line.len);
    p[line.len] = 0;
    return p;
}

/* Keeps an entry if it is good enough; false if it is worse than all that are kept. */
static bool keep(struct keeper *k, const struct pipeline_result *r, int64_t ts_ns, uint64_t seq)
{
    struct kept_entry e = {.ts_ns = ts_ns,
                           .seq = seq,
                           .stream_hash = k->leaf->scan.streams[k->stream].hash,
                           .stream = k->stream,
                           .line_len = r->line.len,
                           .labels = r->labels};
    struct shard *sh = k->shard;
    bool is_full = sh->kept.len == k->limit;
    if (is_full && !is_worse(k, &sh->kept.items[0], &e))
        return false;
    e.line = copy_line(r->line);
    k->line_bytes += r->line.len + sizeof e;
    if (!is_full) {
        VEC_PUSH(&sh->kept, e);
        sift_up(k, sh->kept.len - 1);
        return true;
    }
    k->line_bytes -= sh->kept.items[0].line_len + sizeof e;
    mem_free(sh->kept.items[0].line);
    sh->kept.items[0] = e;
    sift_down(k, 0);
    return true;
}

/* The rows of a piece that can be among the answer. */
static void clip(const struct keeper *k, const struct block_view *v, uint32_t *from, uint32_t *to)
{
    int64_t lo = k->from_ns, hi = k->to_ns; /* [lo, hi) */
    int64_t bound = atomic_load_explicit(&k->q->bound_ns, memory_order_relaxed);
    if (k->is_backward)
        lo = MAX(lo, bound);
    else if (bound < INT64_MAX)
        hi = MIN(hi, bound + 1);
    if (v->ts_ns == NULL)
        return;
    if (*from < *to && v->ts_ns[*from] < lo)
        *from = scan_lower_bound(v->ts_ns, *from, *to, lo);
    if (*from < *to && v->ts_ns[*to - 1] >= hi)
        *to = scan_lower_bound(v->ts_ns, *from, *to, hi);
}

/* Labels of a run are forgotten when there are too many; what is kept is copied before. */
static void copy_kept_labels(struct keeper *k)
{
    struct shard *sh = k->shard;
    struct arena fresh;
    arena_init(&fresh, SIZE_MAX);
    for (size_t i = 0; i < sh->kept.len; i++) {
        const struct pipeline_labels *l = sh->kept.items[i].labels;
        struct pipeline_labels *copy = ARENA_NEW(&fresh, struct pipeline_labels);
        copy->all = labels_copy(&fresh, &l->all);
        copy->stream = labels_copy(&fresh, &l->stream);
        copy->meta = labels_copy(&fresh, &l->meta);
        copy->parsed = labels_copy(&fresh, &l->parsed);
        copy->hash = l->hash;
        sh->kept.items[i].labels = copy;
    }
    arena_deinit(&sh->copied_labels);
    sh->copied_labels = fresh;
    pipeline_run_forget(sh->run);
    k->stream = UINT32_MAX;
}

/* What a shard keeps is bounded while it grows, not after: a template makes a gigabyte of a block
 * of small lines. */
static int check_kept(struct keeper *k, bool is_grown_only)
{
    struct shard *sh = k->shard;
    uint64_t max = k->q->params.limits.answer_bytes_max;
    if (max > 0 && k->line_bytes > max)
        return logs_too_large(max, &sh->err);
    size_t now = k->line_bytes + pipeline_run_label_bytes(sh->run) + arena_used(&sh->copied_labels);
    if (is_grown_only && now < k->held_bytes + HOLD_STEP_BYTES)
        return 0;
    return engine_hold(k->q, &k->held_bytes, now, &sh->err);
}

static int run_piece(struct keeper *k, const struct block_view *v, uint32_t from, uint32_t to,
                     uint64_t seq)
{
    struct shard *sh = k->shard;
    pipeline_run_block(sh->run, v, from, to, k->is_backward);
    if (!pipeline_run_has_lines(sh->run))
        return 0;
    int rc = unit_reader_complete(&k->reader);
    if (rc <= 0)
        return rc;
    struct pipeline_result r;
    while (pipeline_run_next(sh->run, &r)) {
        sh->stats.lines_after_filters++;
        /* Within a piece entries come best first: one that is not kept ends it. */
        if (!keep(k, &r, v->ts_ns[r.at], seq + r.at))
            break;
        rc = check_kept(k, true);
        if (rc != 0)
            return rc;
    }
    share_bound(k);
    return pipeline_run_error(sh->run, &sh->err);
}

static int run_unit(struct keeper *k, const struct scan_unit *u)
{
    struct shard *sh = k->shard;
    if (u->stream != k->stream) {
        k->stream = u->stream;
        k->pipe = pipeline_run_stream(sh->run, &k->leaf->scan.streams[u->stream].labels);
    }
    unsigned columns = k->pipe.columns | BLOCK_TIMES | BLOCK_LINES;
    if (u->meta_bytes == 0)
        columns &= ~(unsigned)BLOCK_META;
    unit_reader_open(&k->reader, u, columns,
                     !k->is_interval && pipeline_filters_blocks(k->leaf->pipeline));
    const struct block_view *v;
    uint32_t from, to;
    uint64_t seq = (uint64_t)u->first << 32;
    int rc;
    while ((rc = unit_reader_next(&k->reader, &v, &from, &to)) > 0) {
        clip(k, v, &from, &to);
        if (from < to) {
            rc = run_piece(k, v, from, to, seq);
            if (rc != 0)
                return rc;
        }
        if (u->n > 1) /* merged pieces follow one another; of one block all are the same view */
            seq += v->n;
    }
    if (rc != 0)
        return error_set(&sh->err, rc, "%s", status_text(rc));
    if (!k->is_interval && pipeline_run_label_bytes(sh->run) > ENGINE_LABEL_BYTES_MAX)
        copy_kept_labels(k);
    return 0;
}

/* Looks at units, from *at in the order, until none can improve the answer. */
static int run_units(struct keeper *k, atomic_size_t *at)
{
    struct engine_query *q = k->q;
    struct shard *sh = k->shard;
    const struct leaf *leaf = k->leaf;
    for (;;) {
        size_t i = atomic_fetch_add_explicit(at, 1, memory_order_relaxed);
        if (i >= leaf->scan.n_units)
            return 0;
        const struct scan_unit *u = &leaf->scan.units[leaf->order[i]];
        if (u->max_ns < k->from_ns || u->min_ns >= k->to_ns)
            continue;
        if (is_beaten(k, u->min_ns, u->max_ns)) {
            sh->stats.blocks_skipped += u->n;
            continue; /* later ones have a worse best time, but are counted too */
        }
        uint64_t before = sh->stats.bytes_processed;
        int rc = run_unit(k, u);
        if (rc == 0)
            rc = check_kept(k, false);
        if (rc == 0)
            rc = engine_check(q, sh->stats.bytes_processed - before, &sh->err);
        engine_publish_stats(sh);
        if (rc != 0)
            return rc;
    }
}

static void keeper_init(struct keeper *k, struct engine_query *q, struct shard *sh)
{
    *k = (struct keeper){.q = q,
                         .shard = sh,
                         .leaf = sh->leaf,
                         .is_backward = q->params.direction == ENGINE_BACKWARD,
                         .is_interval = q->params.interval_ns > 0,
                         .limit = q->params.limit,
                         .from_ns = sh->leaf->scan.from_ns,
                         .to_ns = sh->leaf->scan.to_ns,
                         .stream = UINT32_MAX};
    unit_reader_init(&k->reader, &sh->leaf->scan, &sh->stats);
    arena_init(&sh->copied_labels, SIZE_MAX);
    sh->run = pipeline_run_new(sh->leaf->pipeline);
    if (q->params.is_explained)
        pipeline_run_time_steps(sh->run);
}

static int cmp_entries_forward(const void *a, const void *b)
{
    return entry_cmp(a, b, false);
}

static int cmp_entries_backward(const void *a, const void *b)
{
    return entry_cmp(a, b, true);
}

static void sort_entries(struct kept_entry *e, size_t n, bool is_backward)
{
    if (n > 1)
        qsort(e, n, sizeof *e, is_backward ? cmp_entries_backward : cmp_entries_forward);
}

/* ---- interval: entries at least so far from each other ---- */

#define INTERVAL_ROUND_ENTRIES 64 /* collected at once, to choose from */

/* One shard, in rounds: collect the next few entries, keep those that are far enough from the last
 * one, go on behind what was collected or what the interval rules out. */
static int run_interval(struct keeper *k)
{
    struct shard *sh = k->shard;
    int64_t interval = k->q->params.interval_ns;
    VEC(struct kept_entry) chosen = {0};
    size_t wanted = k->limit, chosen_bytes = 0;
    bool has_last = false;
    int64_t last = 0;
    int rc = 0;
    k->limit = MAX((size_t)INTERVAL_ROUND_ENTRIES, wanted);
    while (chosen.len < wanted && k->from_ns < k->to_ns) {
        atomic_size_t at = 0;
        atomic_store_explicit(&k->q->bound_ns, k->is_backward ? INT64_MIN : INT64_MAX,
                              memory_order_relaxed);
        rc = run_units(k, &at);
        if (rc != 0 || sh->kept.len == 0)
            break;
        bool is_last_round = sh->kept.len < k->limit;
        sort_entries(sh->kept.items, sh->kept.len, k->is_backward);
        int64_t end = sh->kept.items[sh->kept.len - 1].ts_ns;
        for (size_t i = 0; i < sh->kept.len; i++) {
            struct kept_entry *e = &sh->kept.items[i];
            /* Those of the last time may not be all there are: the next round sees them again. */
            bool is_next_rounds =
                !is_last_round && e->ts_ns == end && sh->kept.items[0].ts_ns != end;
            int64_t distance = k->is_backward ? last - e->ts_ns : e->ts_ns - last;
            if (!is_next_rounds && chosen.len < wanted && (!has_last || distance >= interval)) {
                VEC_PUSH(&chosen, *e);
                chosen_bytes += e->line_len + sizeof *e;
                has_last = true;
                last = e->ts_ns;
            } else {
                mem_free(e->line);
            }
        }
        bool is_one_time = sh->kept.items[0].ts_ns == end;
        sh->kept.len = 0;
        k->line_bytes = chosen_bytes;
        if (is_last_round)
            break;
        if (k->is_backward)
            k->to_ns = MIN(is_one_time ? end : end + 1, last - interval + 1);
        else
            k->from_ns = MAX(is_one_time ? end + 1 : end, last + interval);
    }
    for (size_t i = 0; i < sh->kept.len; i++) /* of a round that failed */
        mem_free(sh->kept.items[i].line);
    mem_free(sh->kept.items);
    sh->kept.items = chosen.items;
    sh->kept.len = chosen.len;
    sh->kept.cap = chosen.cap;
    return rc;
}

void logs_run_shard(struct engine_query *q, struct shard *sh)
{
    struct keeper k;
    keeper_init(&k, q, sh);
    int rc = k.is_interval ? run_interval(&k) : run_units(&k, &sh->leaf->next_unit);
    engine_publish_stats(sh);
    if (rc != 0)
        engine_shard_fail(q, sh, rc);
    unit_reader_deinit(&k.reader);
}

void logs_shard_deinit(struct shard *sh)
{
    for (size_t i = 0; i < sh->kept.len; i++)
        mem_free(sh->kept.items[i].line);
    VEC_FREE(&sh->kept);
    arena_deinit(&sh->copied_labels);
}

/* ---- plan ---- */

struct unit_key {
    int64_t best_ns, other_ns;
    uint32_t unit;
};

static int cmp_keys(const void *a, const void *b)
{
    const struct unit_key *x = a, *y = b;
    if (x->best_ns != y->best_ns)
        return x->best_ns < y->best_ns ? -1 : 1;
    if (x->other_ns != y->other_ns)
        return x->other_ns < y->other_ns ? -1 : 1;
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

int logs_plan(struct engine_query *q, struct leaf *leaf)
{
    size_t n = leaf->scan.n_units;
    bool is_backward = q->params.direction == ENGINE_BACKWARD;
    struct unit_key *keys = mem_array(n + 1, sizeof *keys);
    for (size_t i = 0; i < n; i++) {
        const struct scan_unit *u = &leaf->scan.units[i];
        keys[i] = is_backward ? (struct unit_key){-u->max_ns, -u->min_ns, (uint32_t)i}
                              : (struct unit_key){u->min_ns, u->max_ns, (uint32_t)i};
    }
    qsort(keys, n, sizeof *keys, cmp_keys);
    uint32_t *order = ARENA_ARRAY(q->plan_arena, uint32_t, n);
    for (size_t i = 0; i < n; i++)
        order[i] = keys[i].unit;
    mem_free(keys);
    leaf->order = order;
    atomic_init(&leaf->next_unit, 0);
    atomic_init(&q->bound_ns, is_backward ? INT64_MIN : INT64_MAX);
    return 0;
}

/* ---- answer ---- */

/* A stream of the answer while it is put together. */
struct group {
    const struct labels *labels;
    size_t n, at;
    struct engine_entry *entries;
    struct group *next_same_hash;
};

static const struct labels *group_labels(const struct engine_query *q, const struct kept_entry *e)
{
    return q->params.is_categorized ? &e->labels->stream : &e->labels->all;
}

static struct group *find_group(struct engine_query *q, struct u64map *by_hash,
                                const struct labels *labels, bool *ret_is_new)
{
    uint64_t hash = labels_hash(labels);
    struct group *first = u64map_get(by_hash, hash);
    *ret_is_new = false;
    for (struct group *g = first; g != NULL; g = g->next_same_hash)
        if (labels_eq(g->labels, labels))
            return g;
    struct group *g = ARENA_NEW(&q->arena, struct group);
    g->labels = labels;
    g->next_same_hash = first;
    u64map_put(by_hash, hash, g);
    *ret_is_new = true;
    return g;
}

static int cmp_groups(const void *a, const void *b)
{
    return labels_cmp((*(struct group *const *)a)->labels, (*(struct group *const *)b)->labels);
}

static void fill_group(struct engine_query *q, struct group *g, const struct kept_entry *e)
{
    struct engine_entry *out = &g->entries[g->at++];
    *out = (struct engine_entry){e->ts_ns, str_make(e->line, e->line_len), NULL};
    if (q->params.is_categorized) {
        struct engine_entry_labels *l = ARENA_NEW(&q->arena, struct engine_entry_labels);
        l->meta = e->labels->meta;
        l->parsed = e->labels->parsed;
        out->labels = l;
    }
}

/* Groups the chosen entries, which stay in order, by labels. */
static void make_streams(struct engine_query *q, const struct kept_entry *entries, size_t n,
                         struct engine_result *ret)
{
    struct u64map by_hash;
    u64map_init(&by_hash);
    struct group **of = mem_array(n + 1, sizeof(struct group *));
    VEC(struct group *) groups = {0};
    for (size_t i = 0; i < n; i++) {
        bool is_new;
        of[i] = find_group(q, &by_hash, group_labels(q, &entries[i]), &is_new);
        of[i]->n++;
        if (is_new)
            VEC_PUSH(&groups, of[i]);
    }
    for (size_t i = 0; i < groups.len; i++)
        groups.items[i]->entries = ARENA_ARRAY(&q->arena, struct engine_entry, groups.items[i]->n);
    for (size_t i = 0; i < n; i++)
        fill_group(q, of[i], &entries[i]);
    if (groups.len > 1)
        qsort(groups.items, groups.len, sizeof groups.items[0], cmp_groups);
    struct engine_stream *streams = ARENA_ARRAY(&q->arena, struct engine_stream, groups.len);
    for (size_t i = 0; i < groups.len; i++)
        streams[i] = (struct engine_stream){*groups.items[i]->labels, groups.items[i]->entries,
                                            groups.items[i]->n};
    *ret =
        (struct engine_result){.kind = ENGINE_STREAMS, .streams = streams, .n_streams = groups.len};
    VEC_FREE(&groups);
    mem_free(of);
    u64map_deinit(&by_hash);
}

static int check_size(const struct engine_query *q, const struct engine_result *r,
                      struct error *err)
{
    uint64_t bytes = 0, max = q->params.limits.answer_bytes_max;
    for (size_t i = 0; i < r->n_streams; i++) {
        const struct engine_stream *s = &r->streams[i];
        for (size_t k = 0; k < s->labels.n; k++)
            bytes += s->labels.items[k].name.len + s->labels.items[k].value.len;
        for (size_t k = 0; k < s->n_entries; k++)
            bytes += s->entries[k].line.len;
    }
    return max > 0 && bytes > max ? logs_too_large(max, err) : 0;
}

int logs_finish(struct engine_query *q, struct engine_result *ret, struct error *err)
{
    VEC(struct kept_entry) all = {0};
    for (size_t i = 0; i < q->n_shards; i++)
        for (size_t j = 0; j < q->shards[i].kept.len; j++)
            VEC_PUSH(&all, q->shards[i].kept.items[j]);
    sort_entries(all.items, all.len, q->params.direction == ENGINE_BACKWARD);
    size_t n = MIN(all.len, (size_t)q->params.limit);
    make_streams(q, all.items, n, ret);
    q->result_series = ret->n_streams;
    q->result_points = n;
    VEC_FREE(&all);
    for (size_t i = 0; i < ret->n_streams; i++) { /* Loki reads the labels of its answer back */
        int rc = pipeline_labels_check(&ret->streams[i].labels, err);
        if (rc != 0)
            return rc;
    }
    return check_size(q, ret, err);
}
