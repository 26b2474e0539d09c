#include "logql/engine/engine.h"

#include <string.h>

#include "base/bytesize.h"
#include "base/duration.h"
#include "base/mem.h"
#include "logql/check.h"
#include "logql/engine/internal.h"
#include "logql/engine/rewrite.h"

/* ---- limits ---- */

int engine_check_length(int64_t start_ns, int64_t end_ns, int64_t max_ns, struct error *err)
{
    int64_t length;
    if (__builtin_sub_overflow(end_ns, start_ns, &length))
        length = end_ns < start_ns ? INT64_MIN : INT64_MAX;
    if (max_ns <= 0 || length <= max_ns)
        return 0;
    struct buf text;
    buf_init(&text, 256);
    buf_append_c(&text, "the query time range exceeds the limit (query length: ");
    duration_append_go(&text, length);
    buf_append_c(&text, ", limit: ");
    duration_append_prom(&text, max_ns);
    buf_append_c(&text, ")");
    int rc = error_set(err, E_LIMIT, "%s", buf_c(&text));
    buf_deinit(&text);
    return rc;
}

static int check_range(const struct log_range *r, int64_t max, struct error *err)
{
    if (max <= 0 || r->range_ns <= max)
        return 0;
    struct buf text;
    buf_init(&text, 256);
    buf_append_c(&text, "[interval] value exceeds limit: [");
    duration_append_prom(&text, r->range_ns);
    buf_append_c(&text, "] > [");
    duration_append_prom(&text, max);
    buf_append_c(&text, "]");
    int rc = error_set(err, E_LIMIT, "%s", buf_c(&text));
    buf_deinit(&text);
    return rc;
}

/* True if Loki's frontend cuts the ranges of this instant query into hours, so none is long. */
static bool is_cut_by_range(const struct expr *e)
{
    switch (e->kind) {
    case EXPR_RANGE_AGG:
        switch (e->range_agg.op) {
        case RANGE_COUNT_OVER_TIME:
        case RANGE_RATE:
        case RANGE_BYTES_OVER_TIME:
        case RANGE_BYTES_RATE:
        case RANGE_SUM_OVER_TIME:
        case RANGE_MIN_OVER_TIME:
        case RANGE_MAX_OVER_TIME:
            return true;
        default:
            return false;
        }
    case EXPR_VECTOR_AGG:
        switch (e->vector_agg.op) {
        case VECTOR_STDDEV:
        case VECTOR_STDVAR:
        case VECTOR_BOTTOMK:
            return false;
        default:
            return is_cut_by_range(e->vector_agg.inner);
        }
    case EXPR_LABEL_REPLACE:
        return is_cut_by_range(e->label_replace.inner);
    case EXPR_BINARY:
        return is_cut_by_range(e->binary.left) && is_cut_by_range(e->binary.right);
    default:
        return e->kind == EXPR_LITERAL;
    }
}

static int too_many_bytes(uint64_t bytes, uint64_t max, struct error *err)
{
    struct buf text;
    buf_init(&text, 512);
    buf_append_c(&text, "the query would read too many bytes (query: ");
    bytesize_append(&text, bytes);
    buf_append_c(&text, ", limit: ");
    bytesize_append(&text, max);
    buf_append_c(&text,
                 "); consider adding more specific stream selectors or reduce the time range "
                 "of the query");
    int rc = error_set(err, E_LIMIT, "%s", buf_c(&text));
    buf_deinit(&text);
    return rc;
}

static int check_log_query(const struct engine_params *p, struct error *err)
{
    if (p->is_instant)
        return error_set(err, E_INVALID,
                         "log queries are not supported as an instant query type, please change "
                         "your query to a range query type");
    if (p->limit == 0)
        return error_set(err, E_INVALID, "limit must be a positive value");
    size_t max = p->limits.entries_max;
    if (max > 0 && p->limit > max)
        return error_set(
            err, E_LIMIT,
            "max entries limit per query exceeded, limit > max_entries_limit_per_query (%u > %zu)",
            (unsigned)p->limit, max);
    return 0;
}

/* ---- plan ---- */

static int64_t floor_to(int64_t t, int64_t step)
{
    int64_t rest = t % step;
    return rest < 0 ? t - rest - step : t - rest;
}

/* Loki's frontend moves start down and end up to multiples of step. */
static int plan_steps(struct engine_query *q, struct error *err)
{
    const struct engine_params *p = &q->params;
    if (p->is_instant || p->step_ns <= 0) {
        if (!p->is_instant)
            return error_set(err, E_INVALID,
                             "zero or negative query resolution step widths are not accepted. Try "
                             "a positive integer");
        q->end_ns = q->start_ns;
        q->n_steps = 1;
        return 0;
    }
    if ((p->end_ns - p->start_ns) / p->step_ns > ENGINE_POINTS_MAX)
        return error_set(err, E_LIMIT,
                         "exceeded maximum resolution of 11,000 points per time series. Try "
                         "increasing the value of the step parameter");
    if (p->is_step_aligned) {
        q->start_ns = floor_to(p->start_ns, p->step_ns);
        int64_t end = floor_to(p->end_ns, p->step_ns);
        q->end_ns = end == p->end_ns ? end : end + p->step_ns;
    }
    q->n_steps = (size_t)((q->end_ns - q->start_ns) / p->step_ns) + 1;
    return 0;
}

static size_t count_leaves(const struct expr *e)
{
    switch (e->kind) {
    case EXPR_LOG:
    case EXPR_RANGE_AGG:
        return 1;
    case EXPR_VECTOR_AGG:
        return count_leaves(e->vector_agg.inner);
    case EXPR_LABEL_REPLACE:
        return count_leaves(e->label_replace.inner);
    case EXPR_BINARY:
        return count_leaves(e->binary.left) + count_leaves(e->binary.right);
    default:
        return 0;
    }
}

/* The grouping of sum(...) is done while scanning where adding up early changes nothing. */
static bool can_push_down(const struct expr *agg)
{
    const struct expr *inner = agg->vector_agg.inner;
    if (agg->vector_agg.op != VECTOR_SUM || inner->kind != EXPR_RANGE_AGG ||
        inner->range_agg.grouping.is_present)
        return false;
    switch (inner->range_agg.op) {
    case RANGE_COUNT_OVER_TIME:
    case RANGE_RATE:
    case RANGE_BYTES_OVER_TIME:
    case RANGE_BYTES_RATE:
    case RANGE_SUM_OVER_TIME:
        return true;
    default:
        return false;
    }
}

static enum pipeline_sample sample_kind(const struct expr *e)
{
    if (e->kind == EXPR_LOG)
        return PIPELINE_LINES;
    if (e->range_agg.range.unwrap != NULL)
        return PIPELINE_VALUE;
    enum range_op op = e->range_agg.op;
    return op == RANGE_BYTES_OVER_TIME || op == RANGE_BYTES_RATE ? PIPELINE_BYTES : PIPELINE_COUNT;
}

static int compile_leaf(struct leaf *leaf, const struct grouping *pushed, struct error *err)
{
    const struct expr *e = leaf->expr;
    struct pipeline_params pp = {
        .stages = leaf->log->stages, .n_stages = leaf->log->n_stages, .sample = leaf->sample};
    if (e->kind == EXPR_RANGE_AGG) {
        pp.unwrap = e->range_agg.range.unwrap;
        pp.is_labels_ignored = e->range_agg.op == RANGE_ABSENT_OVER_TIME;
        pp.grouping = e->range_agg.grouping;
        if (pushed != NULL) {
            pp.grouping = *pushed;
            pp.grouping.is_present = true;
        }
    }
    return pipeline_compile(&pp, &leaf->pipeline, err);
}

static bool window_sees_block(const void *arg, int64_t min_ns, int64_t max_ns)
{
    return window_sees(arg, min_ns, max_ns);
}

static int scan_leaf(struct engine_query *q, struct leaf *leaf, struct error *err)
{
    struct scan_params sp = {.tenant = q->params.tenant,
                             .matchers = leaf->log->matchers,
                             .n_matchers = leaf->log->n_matchers,
                             .from_ns = q->start_ns,
                             .to_ns = q->end_ns,
                             .sources = q->params.sources,
                             .n_sources = q->params.n_sources,
                             .streams_max = q->params.limits.streams_max};
    if (leaf->expr->kind == EXPR_RANGE_AGG) {
        const struct log_range *r = &leaf->expr->range_agg.range;
        int rc = check_range(r, q->params.limits.range_ns_max, err);
        if (rc == 0 && !(q->params.is_instant && is_cut_by_range(q->expr)))
            rc = engine_check_length(-1, r->range_ns, q->params.limits.length_ns_max, err);
        if (rc != 0)
            return rc;
        int64_t first = q->start_ns - r->offset_ns;
        window_plan_init(&leaf->window, leaf->expr->range_agg.op, r->unwrap != NULL,
                         leaf->expr->range_agg.param, first, q->params.step_ns, q->n_steps,
                         r->range_ns);
        sp.from_ns = first - r->range_ns + 1;
        sp.to_ns = q->end_ns - r->offset_ns + 1;
        sp.is_needed = window_sees_block;
        sp.is_needed_arg = &leaf->window;
    }
    return scan_open(&leaf->scan, &sp, &q->selections, err);
}

/* Walks the tree and plans its leaves, left to right. */
static int plan_leaves(struct engine_query *q, const struct expr *e, const struct grouping *pushed,
                       struct error *err)
{
    int rc;
    switch (e->kind) {
    case EXPR_VECTOR_AGG:
        return plan_leaves(q, e->vector_agg.inner,
                           can_push_down(e) ? &e->vector_agg.grouping : NULL, err);
    case EXPR_LABEL_REPLACE:
        return plan_leaves(q, e->label_replace.inner, NULL, err);
    case EXPR_BINARY:
        rc = plan_leaves(q, e->binary.left, NULL, err);
        return rc != 0 ? rc : plan_leaves(q, e->binary.right, NULL, err);
    case EXPR_LOG:
    case EXPR_RANGE_AGG:
        break;
    default:
        return 0;
    }
    struct leaf *leaf = &q->leaves[q->n_leaves++];
    leaf->expr = e;
    leaf->log = e->kind == EXPR_LOG ? &e->log : &e->range_agg.range.log;
    leaf->sample = sample_kind(e);
    leaf->is_pushed_down = pushed != NULL;
    rc = compile_leaf(leaf, pushed, err);
    if (rc == 0)
        rc = engine_check(q, 0, err);
    return rc != 0 ? rc : scan_leaf(q, leaf, err);
}

/* ---- shards ---- */

/* What a unit costs, in bytes looked at: a constant for what is answered from times alone. */
static uint64_t unit_cost(const struct scan_unit *u)
{
    return u->line_bytes + u->meta_bytes + 8 * u->entries + 256;
}

static size_t shards_of(const struct engine_query *q, const struct leaf *leaf)
{
    size_t max = q->params.shards_max > 0 ? q->params.shards_max : ENGINE_SHARDS_MAX_DEFAULT;
    if (leaf->expr->kind == EXPR_LOG && q->params.interval_ns > 0)
        max = 1;
    uint64_t cost = 0;
    for (size_t i = 0; i < leaf->scan.n_units; i++)
        cost += unit_cost(&leaf->scan.units[i]);
    uint64_t worth = q->params.shard_bytes_min;
    size_t n = (size_t)(cost / (worth > 0 ? worth : ENGINE_SHARD_BYTES_MIN)) + 1;
    return MIN(MIN(n, max), leaf->scan.n_units);
}

/* Cuts the units of a metric query into stretches of about equal cost. */
static void cut_shards(const struct leaf *leaf, struct shard *shards, size_t n)
{
    uint64_t total = 0, done = 0;
    for (size_t i = 0; i < leaf->scan.n_units; i++)
        total += unit_cost(&leaf->scan.units[i]);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        shards[i].unit_from = at;
        uint64_t goal = total / n * (i + 1);
        while (at < leaf->scan.n_units && (i + 1 == n || done < goal))
            done += unit_cost(&leaf->scan.units[at++]);
        shards[i].unit_to = at;
    }
}

static void make_shards(struct engine_query *q)
{
    size_t total = 0;
    for (size_t i = 0; i < q->n_leaves; i++) {
        q->leaves[i].first_shard = total;
        q->leaves[i].n_shards = shards_of(q, &q->leaves[i]);
        total += q->leaves[i].n_shards;
    }
    q->n_shards = total;
    q->shards = mem_array(total + 1, sizeof *q->shards);
    for (size_t i = 0; i < q->n_leaves; i++) {
        struct leaf *leaf = &q->leaves[i];
        for (size_t j = 0; j < leaf->n_shards; j++)
            q->shards[leaf->first_shard + j].leaf = leaf;
        if (leaf->n_shards > 0 && leaf->expr->kind != EXPR_LOG)
            cut_shards(leaf, &q->shards[leaf->first_shard], leaf->n_shards);
    }
}

static int count_prepared(struct engine_query *q, struct error *err)
{
    struct engine_stats *st = &q->prepared;
    uint64_t bytes = 0;
    for (size_t i = 0; i < q->n_leaves; i++) {
        const struct scan *s = &q->leaves[i].scan;
        st->streams += s->n_streams;
        st->chunks += s->totals.chunks;
        st->blocks += s->totals.blocks;
        st->has_meta |= s->totals.meta_bytes > 0;
        bytes += s->totals.line_bytes;
    }
    st->subqueries = q->n_leaves;
    st->shards = q->n_shards;
    uint64_t max = q->params.limits.read_bytes_max;
    return max > 0 && bytes > max ? too_many_bytes(bytes, max, err) : 0;
}

static int prepare(struct engine_query *q, struct error *err)
{
    const struct engine_params *p = &q->params;
    int rc = logql_check_enabled(q->expr, err);
    if (rc == 0)
        rc = engine_check_length(p->start_ns, p->end_ns, p->limits.length_ns_max, err);
    if (rc == 0)
        rc = expr_is_log(q->expr) ? check_log_query(p, err) : plan_steps(q, err);
    if (rc != 0)
        return rc;
    q->plan = engine_rewrite(q->expr, q->plan_arena);
    q->leaves = mem_array(count_leaves(q->plan) + 1, sizeof *q->leaves);
    rc = plan_leaves(q, q->plan, NULL, err);
    if (rc != 0)
        return rc;
    if (expr_is_log(q->expr))
        logs_plan(q, &q->leaves[0]);
    make_shards(q);
    return count_prepared(q, err);
}

int engine_prepare(const struct expr *e, const struct engine_params *p, struct arena *a,
                   struct engine_query **ret, struct error *err)
{
    struct engine_query *q = mem_zalloc(sizeof *q);
    q->expr = e;
    q->params = *p;
    q->plan_arena = a;
    q->start_ns = p->start_ns;
    q->end_ns = p->end_ns;
    if (q->params.limits.memory_bytes_max == 0)
        q->params.limits.memory_bytes_max = ENGINE_MEMORY_BYTES_DEFAULT;
    arena_init(&q->arena, q->params.limits.memory_bytes_max);
    arena_init(&q->selections, SIZE_MAX);
    int rc = prepare(q, err);
    if (rc != 0) {
        engine_free(q);
        return rc;
    }
    *ret = q;
    return 0;
}

size_t engine_shard_count(const struct engine_query *q)
{
    return q->n_shards;
}

void engine_run_shard(struct engine_query *q, size_t i)
{
    ASSERT(i < q->n_shards);
    struct shard *s = &q->shards[i];
    if (atomic_load_explicit(&q->is_failed, memory_order_relaxed))
        return;
    int64_t before = q->params.cpu_ns != NULL ? q->params.cpu_ns() : 0;
    if (s->leaf->expr->kind == EXPR_LOG)
        logs_run_shard(q, s);
    else
        samples_run_shard(q, s);
    if (q->params.cpu_ns != NULL)
        s->cpu_ns = q->params.cpu_ns() - before;
    s->is_done = true;
}

/* ---- while shards run ---- */

void engine_publish_stats(struct shard *s)
{
    uint64_t counts[ENGINE_COUNTERS];
    memcpy(counts, &s->stats, sizeof counts);
    for (size_t i = 0; i < ENGINE_COUNTERS; i++)
        if (counts[i] != 0)
            atomic_fetch_add_explicit(&s->leaf->counters[i], counts[i], memory_order_relaxed);
    s->stats = (struct engine_stats){0};
}

static void add_counters(uint64_t counts[ENGINE_COUNTERS], const struct leaf *leaf)
{
    for (size_t i = 0; i < ENGINE_COUNTERS; i++)
        counts[i] += atomic_load_explicit(&leaf->counters[i], memory_order_relaxed);
}

void engine_leaf_stats(const struct leaf *leaf, struct engine_stats *ret)
{
    uint64_t counts[ENGINE_COUNTERS] = {0};
    add_counters(counts, leaf);
    *ret = (struct engine_stats){0};
    memcpy(ret, counts, sizeof counts);
}

void engine_query_stats(const struct engine_query *q, struct engine_stats *ret)
{
    uint64_t counts[ENGINE_COUNTERS];
    memcpy(counts, &q->prepared, sizeof counts);
    for (size_t i = 0; i < q->n_leaves; i++)
        add_counters(counts, &q->leaves[i]);
    *ret = (struct engine_stats){0};
    memcpy(ret, counts, sizeof counts);
    ret->has_meta = q->prepared.has_meta;
}

int engine_check(struct engine_query *q, uint64_t added_bytes, struct error *err)
{
    const struct engine_params *p = &q->params;
    uint64_t bytes =
        atomic_fetch_add_explicit(&q->read_bytes, added_bytes, memory_order_relaxed) + added_bytes;
    if (p->limits.read_bytes_max > 0 && bytes > p->limits.read_bytes_max)
        return too_many_bytes(bytes, p->limits.read_bytes_max, err);
    if (p->should_stop != NULL && p->should_stop(p->stop_arg)) {
        int code = p->stop_code != NULL ? p->stop_code(p->stop_arg) : E_CANCELED;
        return error_set(err, code, "%s", status_text(code));
    }
    /* Another shard failed: this one ends quietly, the other one's error is reported. */
    return atomic_load_explicit(&q->is_failed, memory_order_relaxed) ? E_AGAIN : 0;
}

int engine_hold(struct engine_query *q, size_t *held, size_t now, struct error *err)
{
    uint64_t added = (uint64_t)now - *held; /* wraps when less is held: so does the sum */
    uint64_t all = atomic_fetch_add_explicit(&q->held_bytes, added, memory_order_relaxed) + added;
    *held = now;
    if (all <= q->params.limits.memory_bytes_max)
        return 0;
    return error_set(err, E_LIMIT,
                     "query needs more memory than the limit of %llu bytes; consider a smaller "
                     "limit, a shorter time range, or less cardinality",
                     (unsigned long long)q->params.limits.memory_bytes_max);
}

void engine_shard_fail(struct engine_query *q, struct shard *s, int code)
{
    if (code != E_AGAIN)
        error_set(&s->err, code, "%s", status_text(code));
    atomic_store_explicit(&q->is_failed, true, memory_order_relaxed);
}

/* ---- end ---- */

/* The error of the first shard, in their order, that has one. */
static int shard_error(const struct engine_query *q, struct error *err)
{
    for (size_t i = 0; i < q->n_shards; i++)
        if (q->shards[i].err.code != 0) {
            if (err != NULL && err->code == 0)
                *err = q->shards[i].err;
            return q->shards[i].err.code;
        }
    for (size_t i = 0; i < q->n_shards; i++)
        if (!q->shards[i].is_done)
            return error_set(err, E_INTERNAL, "a part of the query has not run");
    return 0;
}

int engine_finish(struct engine_query *q, struct engine_result *ret, struct error *err)
{
    int rc = shard_error(q, err);
    if (rc != 0)
        return rc;
    int64_t before = q->params.cpu_ns != NULL ? q->params.cpu_ns() : 0;
    *ret = (struct engine_result){0};
    rc = expr_is_log(q->expr) ? logs_finish(q, ret, err) : eval_finish(q, ret, err);
    if (q->params.cpu_ns != NULL)
        q->finish_cpu_ns = q->params.cpu_ns() - before;
    q->is_finished = true;
    if (rc != 0)
        return rc;
    engine_query_stats(q, &ret->stats);
    ret->stats.entries_returned = q->result_points;
    return 0;
}

void engine_free(struct engine_query *q)
{
    if (q == NULL)
        return;
    for (size_t i = 0; i < q->n_shards; i++) {
        logs_shard_deinit(&q->shards[i]);
        series_table_free(q->shards[i].series);
        pipeline_run_free(q->shards[i].run);
    }
    for (size_t i = 0; i < q->n_leaves; i++) {
        scan_close(&q->leaves[i].scan);
        pipeline_free(q->leaves[i].pipeline);
    }
    mem_free(q->shards);
    mem_free(q->leaves);
    arena_deinit(&q->arena);
    arena_deinit(&q->selections);
    mem_free(q);
}
