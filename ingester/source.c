/* ingester/source.c - questions over what is in memory. */
#include <stdlib.h>

#include "base/mem.h"
#include "ingester/internal.h"

#define SELECTION_BYTES_MAX ((size_t)256 << 20)

/* What a block_ref's handle points at: one of the two is set. */
struct memory_block {
    struct mem_block *block;
    struct head_snapshot head;
};

struct memory_selection {
    struct selection base; /* first */
    struct arena arena;
    VEC(struct selected_stream) streams;
    VEC(struct stream *) held;         /* references, so that labels stay */
    VEC(struct memory_block *) blocks; /* references */
};

static void selection_free(struct selection *base)
{
    if (base == NULL)
        return;
    struct memory_selection *s = CONTAINER_OF(base, struct memory_selection, base);
    for (size_t i = 0; i < s->blocks.len; i++) {
        mem_block_unref(s->blocks.items[i]->block);
        if (s->blocks.items[i]->head.rows != NULL)
            head_release(&s->blocks.items[i]->head);
    }
    for (size_t i = 0; i < s->held.len; i++)
        stream_unref(s->held.items[i]);
    VEC_FREE(&s->blocks);
    VEC_FREE(&s->held);
    VEC_FREE(&s->streams);
    arena_deinit(&s->arena);
    mem_free(s);
}

static bool overlaps(int64_t min_ns, int64_t max_ns, const struct select_params *p)
{
    return min_ns < p->to_ns && max_ns >= p->from_ns;
}

static int cmp_ref(const void *a, const void *b)
{
    const struct block_ref *x = a, *y = b;
    if (x->min_ns != y->min_ns)
        return x->min_ns < y->min_ns ? -1 : 1;
    return (x->max_ns > y->max_ns) - (x->max_ns < y->max_ns);
}

static struct memory_block *hold(struct memory_selection *sel)
{
    struct memory_block *m = ARENA_NEW(&sel->arena, struct memory_block);
    VEC_PUSH(&sel->blocks, m);
    return m;
}

static int add_head(struct memory_selection *sel, struct stream *s, const struct select_params *p,
                    struct block_ref *refs, size_t *n)
{
    struct head_snapshot head;
    int code = head_take(&s->head, &head);
    if (code != 0)
        return code;
    struct memory_block *m = hold(sel);
    m->head = head;
    if (!overlaps(head.min_ns, head.max_ns, p))
        return 0;
    refs[(*n)++] = (struct block_ref){
        .min_ns = head.min_ns,
        .max_ns = head.max_ns,
        .entries = head.n,
        .line_bytes = head.line_bytes,
        .meta_bytes = head.meta_bytes,
        .flags = BLOCK_REF_IN_MEMORY | (head.has_meta ? BLOCK_REF_HAS_META : 0u),
        /* No chunk has this id; the head has none yet. */
        .chunk_id = (uint64_t)(uintptr_t)head.rows,
        .index = UINT32_MAX,
        .handle = m,
    };
    return 0;
}

/* Adds the stream with its blocks in range, if any.  The shard's lock is held. */
static int add_stream(struct memory_selection *sel, struct stream *s, const struct select_params *p)
{
    size_t max = 1, n = 0, n_chunks = 0;
    for (size_t i = 0; i < s->chunks.len; i++)
        max += s->chunks.items[i]->blocks.len;
    struct block_ref *refs = arena_try_alloc(&sel->arena, max * sizeof *refs);
    if (refs == NULL)
        return E_LIMIT;
    for (size_t i = 0; i < s->chunks.len; i++) {
        const struct mem_chunk *c = s->chunks.items[i];
        size_t before = n;
        for (size_t k = 0; k < c->blocks.len; k++) {
            struct mem_block *b = c->blocks.items[k];
            if (!overlaps(b->info.min_ns, b->info.max_ns, p))
                continue;
            struct memory_block *m = hold(sel);
            m->block = mem_block_ref(b);
            refs[n] = chunk_block_ref(&b->info);
            refs[n].flags |= BLOCK_REF_IN_MEMORY;
            refs[n].chunk_id = b->chunk_id;
            refs[n].index = b->index;
            refs[n++].handle = m;
        }
        n_chunks += n > before;
    }
    size_t before = n;
    int code = head_is_empty(&s->head) ? 0 : add_head(sel, s, p, refs, &n);
    n_chunks += n > before;
    if (code != 0 || n == 0)
        return code;
    qsort(refs, n, sizeof *refs, cmp_ref);
    stream_ref(s);
    VEC_PUSH(&sel->held, s);
    VEC_PUSH(&sel->streams, (struct selected_stream){.fingerprint = s->fingerprint,
                                                     .labels = s->labels,
                                                     .blocks = refs,
                                                     .n_blocks = n,
                                                     .n_chunks = n_chunks});
    return 0;
}

/* True if the stream has an entry between the first and last in range, as far as blocks tell. */
static bool has_entries(const struct stream *s, const struct select_params *p)
{
    if (!head_is_empty(&s->head) && overlaps(s->head.min_ns, s->head.max_ns, p))
        return true;
    for (size_t i = 0; i < s->chunks.len; i++)
        if (overlaps(s->chunks.items[i]->min_ns, s->chunks.items[i]->max_ns, p))
            return true;
    return false;
}

/* All of time means: streams in memory, even if all their entries are in the store by now. */
static bool is_any_time(const struct select_params *p)
{
    return p->from_ns == INT64_MIN && p->to_ns == INT64_MAX;
}

struct stream_visit {
    const struct tenant *tenant;
    const struct select_params *p;
    int (*fn)(void *arg, struct stream *s);
    void *arg;
};

static int visit(const struct stream_visit *v, struct stream *s)
{
    bool is_asked_for = s->tenant == v->tenant && (is_any_time(v->p) || has_entries(s, v->p)) &&
                        matchers_match(v->p->matchers, v->p->n_matchers, &s->labels);
    return is_asked_for ? v->fn(v->arg, s) : 0;
}

/* By the shard's index if a matcher names an exact value, else one by one.  The lock is held. */
static int visit_shard(const struct stream_visit *v, const struct shard *sh)
{
    struct posting_view found;
    int code = 0;
    if (label_index_find(&sh->labels, v->tenant, v->p->matchers, v->p->n_matchers, &found)) {
        for (size_t i = 0; i < found.n && code == 0; i++)
            code = visit(v, found.streams[i]);
        return code;
    }
    size_t at = 0;
    void *value;
    while (code == 0 && u64map_next(&sh->streams, &at, NULL, &value))
        for (struct stream *s = value; s != NULL && code == 0; s = s->next)
            code = visit(v, s);
    return code;
}

/* Calls fn for each matching stream with entries in range, under its shard's lock. */
static int each_stream(struct ingester *ing, const struct select_params *p,
                       int (*fn)(void *arg, struct stream *s), void *arg)
{
    struct stream_visit v = {tenant_find(ing, p->tenant), p, fn, arg};
    if (v.tenant == NULL)
        return 0;
    int code = 0;
    for (size_t i = 0; i < SHARD_COUNT && code == 0; i++) {
        pthread_mutex_lock(&ing->shards[i].lock);
        code = visit_shard(&v, &ing->shards[i]);
        pthread_mutex_unlock(&ing->shards[i].lock);
    }
    return code;
}

struct select_args {
    struct memory_selection *sel;
    const struct select_params *p;
};

static int select_stream(void *arg, struct stream *s)
{
    struct select_args *w = arg;
    if (w->p->streams_max > 0 && w->sel->streams.len >= w->p->streams_max)
        return E_LIMIT;
    if (!(w->p->flags & SELECT_STREAMS_ONLY))
        return add_stream(w->sel, s, w->p);
    stream_ref(s);
    VEC_PUSH(&w->sel->held, s);
    VEC_PUSH(&w->sel->streams,
             (struct selected_stream){.fingerprint = s->fingerprint, .labels = s->labels});
    return 0;
}

static int cmp_stream(const void *a, const void *b)
{
    const struct selected_stream *x = a, *y = b;
    return labels_cmp(&x->labels, &y->labels);
}

static int source_select(struct query_source *q, const struct select_params *p,
                         struct selection **ret, struct error *err)
{
    struct memory_selection *sel = mem_zalloc(sizeof *sel);
    arena_init(&sel->arena, SELECTION_BYTES_MAX);
    struct select_args w = {sel, p};
    int code = each_stream(ingester_of_source(q), p, select_stream, &w);
    if (code != 0) {
        selection_free(&sel->base);
        return error_set(err, code, code == E_LIMIT ? "too many streams match" : "%s",
                         status_text(code));
    }
    if (sel->streams.len > 0)
        qsort(sel->streams.items, sel->streams.len, sizeof *sel->streams.items, cmp_stream);
    sel->base.source = q;
    sel->base.streams = sel->streams.items;
    sel->base.n_streams = sel->streams.len;
    *ret = &sel->base;
    return 0;
}

static int source_read(struct query_source *q, const struct block_ref *ref, unsigned columns,
                       struct block_buf *into)
{
    (void)q;
    const struct memory_block *m = ref->handle;
    if (m->block == NULL)
        return head_read(&m->head, columns, into);
    int code = chunk_block_decode(&m->block->info, str_make(m->block->bytes, m->block->size),
                                  columns, into);
    if (code == E_CORRUPT)
        metric_inc(ingester_metrics()->store_corrupt_blocks);
    return code;
}

struct labels_args {
    str name;
    struct str_set *into;
};

static int collect_labels(void *arg, struct stream *s)
{
    struct labels_args *w = arg;
    for (size_t i = 0; i < s->labels.n; i++) {
        const struct label *l = &s->labels.items[i];
        if (w->name.ptr == NULL ? !str_set_add(w->into, l->name)
                                : str_eq(l->name, w->name) && !str_set_add(w->into, l->value))
            return E_LIMIT;
    }
    return 0;
}

static int source_labels(struct query_source *q, const struct select_params *p, str name,
                         struct str_set *into, struct error *err)
{
    struct labels_args w = {name, into};
    int code = each_stream(ingester_of_source(q), p, collect_labels, &w);
    return code == 0 ? 0 : error_set(err, code, "%s", status_text(code));
}

static int source_tail(struct query_source *q, const struct select_params *p, tail_entries *fn,
                       void *arg, struct tail_sub **ret)
{
    return tail_add(&ingester_of_source(q)->tails, p, fn, arg, ret);
}

static void source_untail(struct query_source *q, struct tail_sub *sub)
{
    tail_remove(&ingester_of_source(q)->tails, sub);
}

const struct query_source_ops ingester_source_ops = {
    .select = source_select,
    .selection_free = selection_free,
    .read = source_read,
    .labels = source_labels,
    .tail = source_tail,
    .untail = source_untail,
};
