/* Metric queries: one shard's units into series. */
#include <string.h>

#include "base/mem.h"
#include "logql/engine/internal.h"

/* What a shard works with. */
struct sampler {
    struct engine_query *q;
    struct shard *shard;
    const struct leaf *leaf;
    struct series_table *table;
    struct unit_reader reader;
    uint32_t stream; /* that the run was told of last; UINT32_MAX: none */
    struct pipeline_stream of_stream;
    struct pipeline_stream pipe; /* the same for the unit at hand */
};

static struct series *series_of(struct sampler *s, struct pipeline_labels *labels)
{
    if (labels->user == NULL)
        labels->user = series_table_get(s->table, &labels->all, labels->hash);
    return labels->user;
}

static void note_failed_sample(struct shard *sh, int64_t ts_ns, const struct labels *labels)
{
    struct sample_error *e = &sh->failed_sample;
    if (e->is_set &&
        (e->ts_ns < ts_ns || (e->ts_ns == ts_ns && labels_cmp(&e->labels, labels) <= 0)))
        return;
    *e = (struct sample_error){true, ts_ns, *labels};
}

/* Samples with an error end the query, unless they were asked for. */
static bool is_failed_sample(const struct pipeline_labels *l)
{
    if (l->error.len == 0)
        return false;
    return !str_eq(labels_get(&l->all, STR("__preserve_error__")), STR("true"));
}

static void add_result(struct sampler *s, const struct block_view *v,
                       const struct pipeline_result *r)
{
    int64_t ts_ns = v->ts_ns[r->at];
    s->shard->stats.lines_after_filters++;
    if (r->labels->all.n > 0 && r->labels->all.items[0].name.len == 0)
        return; /* a label without a name, from JSON: no series for Loki either */
    if (series_add(s->table, series_of(s, r->labels), ts_ns, r->value) &&
        is_failed_sample(r->labels))
        note_failed_sample(s->shard, ts_ns, &r->labels->all);
}

/* Lines whose series is known beforehand: whole stretches of a block at once. */
static void add_constant(struct sampler *s, const struct block_view *v, uint32_t from, uint32_t to)
{
    struct series *series = series_of(s, s->pipe.constant);
    bool is_bytes = s->leaf->sample == PIPELINE_BYTES;
    for (uint32_t i = from, end; i < to; i = end) {
        int64_t at, cell_from, cell_to;
        bool is_seen = window_cell(&s->leaf->window, v->ts_ns[i], &at, &cell_from, &cell_to);
        end = v->ts_ns[to - 1] <= cell_to ? to : scan_lower_bound(v->ts_ns, i, to, cell_to + 1);
        s->shard->stats.lines_after_filters += end - i;
        if (!is_seen)
            continue;
        double value = end - i;
        if (is_bytes) /* without the newlines */
            value = (double)(v->line_at[end] - v->line_at[i] - (end - i));
        series_add(s->table, series, v->ts_ns[i], value);
    }
}

/* Answers a whole block from what its footer says; false if it must be read. */
static bool add_from_footer(struct sampler *s, const struct scan_unit *u)
{
    const struct scan *scan = &s->leaf->scan;
    if (u->n != 1 || u->n_before > 0 || u->min_ns < scan->from_ns || u->max_ns >= scan->to_ns)
        return false;
    int64_t at, from, to;
    bool is_seen = window_cell(&s->leaf->window, u->min_ns, &at, &from, &to);
    if (u->max_ns > to)
        return false;
    s->shard->stats.blocks_from_footer++;
    s->shard->stats.lines_processed += u->entries;
    s->shard->stats.lines_after_filters += u->entries;
    if (is_seen)
        series_add(s->table, series_of(s, s->pipe.constant), u->min_ns,
                   s->leaf->sample == PIPELINE_BYTES ? (double)u->line_bytes : (double)u->entries);
    return true;
}

static unsigned columns_of(const struct sampler *s, const struct scan_unit *u)
{
    if (s->pipe.constant != NULL)
        return s->leaf->sample == PIPELINE_BYTES ? BLOCK_TIMES | BLOCK_LENGTHS : BLOCK_TIMES;
    unsigned columns = s->pipe.columns | BLOCK_TIMES;
    if (u->meta_bytes == 0)
        columns &= ~(unsigned)BLOCK_META;
    return columns;
}

/* CELL_SUM of constants is all that may come as sums. */
static bool is_countable(const struct sampler *s)
{
    return s->pipe.constant != NULL && s->leaf->window.kind == CELL_SUM &&
           !s->leaf->window.is_unwrapped;
}

static int run_unit(struct sampler *s, const struct scan_unit *u, struct error *err)
{
    struct shard *sh = s->shard;
    if (u->stream != s->stream) {
        s->stream = u->stream;
        s->of_stream = pipeline_run_stream(sh->run, &s->leaf->scan.streams[u->stream].labels);
    }
    s->pipe = s->of_stream;
    if ((u->flags & BLOCK_REF_HAS_META) == 0)
        s->pipe.constant = s->pipe.constant_if_plain;
    bool is_counted = is_countable(s);
    if (is_counted && add_from_footer(s, u))
        return 0;
    unit_reader_open(&s->reader, u, columns_of(s, u),
                     !is_counted && pipeline_filters_blocks(s->leaf->pipeline));
    const struct block_view *v;
    uint32_t from, to;
    int rc;
    while ((rc = unit_reader_next(&s->reader, &v, &from, &to)) > 0) {
        if (from == to)
            continue;
        if (is_counted) {
            add_constant(s, v, from, to);
            continue;
        }
        pipeline_run_block(sh->run, v, from, to, false);
        if (!pipeline_run_has_lines(sh->run))
            continue;
        rc = unit_reader_complete(&s->reader);
        if (rc <= 0)
            break;
        struct pipeline_result r;
        while (pipeline_run_next(sh->run, &r))
            add_result(s, v, &r);
        rc = pipeline_run_error(sh->run, err);
        if (rc != 0)
            return rc;
    }
    return rc == 0 ? 0 : error_set(err, rc, "%s", status_text(rc));
}

void samples_run_shard(struct engine_query *q, struct shard *sh)
{
    struct sampler s = {.q = q, .shard = sh, .leaf = sh->leaf, .stream = UINT32_MAX};
    sh->run = pipeline_run_new(sh->leaf->pipeline);
    if (q->params.is_explained)
        pipeline_run_time_steps(sh->run);
    sh->series = s.table = series_table_new(&sh->leaf->window);
    unit_reader_init(&s.reader, &sh->leaf->scan, &sh->stats);
    size_t held = 0;
    for (size_t i = sh->unit_from; i < sh->unit_to; i++) {
        uint64_t before = sh->stats.bytes_processed;
        int rc = run_unit(&s, &sh->leaf->scan.units[i], &sh->err);
        if (rc == 0)
            rc =
                engine_hold(q, &held, s.table->bytes + pipeline_run_label_bytes(sh->run), &sh->err);
        if (rc == 0)
            rc = engine_check(q, sh->stats.bytes_processed - before, &sh->err);
        engine_publish_stats(sh);
        if (rc != 0) {
            engine_shard_fail(q, sh, rc);
            break;
        }
    }
    unit_reader_deinit(&s.reader);
}
