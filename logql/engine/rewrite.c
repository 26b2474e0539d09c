#include "logql/engine/rewrite.h"

#include <string.h>

/* True if series that differ before the pipeline may be equal after it. */
static bool pipeline_reduces_labels(const struct log_expr *log)
{
    for (size_t i = 0; i < log->n_stages; i++) {
        const struct stage *s = log->stages[i];
        if (s->kind == STAGE_KEEP || s->kind == STAGE_DROP)
            return true;
        for (size_t j = 0; s->kind == STAGE_LABEL_FORMAT && j < s->formats.n; j++)
            if (s->formats.items[j].is_rename)
                return true;
    }
    return false;
}

static bool reduces_labels(const struct expr *e)
{
    switch (e->kind) {
    case EXPR_RANGE_AGG:
        return e->range_agg.grouping.n > 0 || pipeline_reduces_labels(&e->range_agg.range.log);
    case EXPR_VECTOR_AGG:
        return e->vector_agg.grouping.n > 0 || reduces_labels(e->vector_agg.inner);
    case EXPR_LABEL_REPLACE:
        return reduces_labels(e->label_replace.inner);
    case EXPR_BINARY:
        return reduces_labels(e->binary.left) || reduces_labels(e->binary.right);
    default:
        return false;
    }
}

static bool is_shardable(const struct expr *e, bool is_top);

static bool is_shardable_aggregation(const struct expr *e, bool is_top)
{
    const struct expr *inner = e->vector_agg.inner;
    if (!is_shardable(inner, is_top))
        return false;
    switch (e->vector_agg.op) {
    case VECTOR_SUM:
        return inner->kind != EXPR_VECTOR_AGG ||
               (inner->vector_agg.op != VECTOR_MIN && inner->vector_agg.op != VECTOR_MAX);
    case VECTOR_AVG:
    case VECTOR_COUNT:
        return !reduces_labels(inner);
    case VECTOR_MIN:
    case VECTOR_MAX:
        return inner->kind == EXPR_RANGE_AGG && is_shardable(inner, false);
    default:
        return false;
    }
}

/* True if the parts of several shards could be put together: Loki's frontend sends such a tree to
 * the queriers as it is, were there only one shard. */
static bool is_shardable(const struct expr *e, bool is_top)
{
    switch (e->kind) {
    case EXPR_RANGE_AGG:
        switch (e->range_agg.op) {
        case RANGE_RATE_COUNTER:
        case RANGE_STDVAR_OVER_TIME:
        case RANGE_STDDEV_OVER_TIME:
        case RANGE_ABSENT_OVER_TIME:
            return false;
        case RANGE_QUANTILE_OVER_TIME:
            return is_top;
        default:
            return true;
        }
    case EXPR_VECTOR_AGG:
        return is_shardable_aggregation(e, is_top);
    case EXPR_BINARY:
        return (e->binary.op == BIN_ADD || e->binary.op == BIN_MUL) && !e->binary.matching.is_on &&
               e->binary.matching.n_labels == 0 && is_shardable(e->binary.left, is_top) &&
               is_shardable(e->binary.right, is_top);
    default:
        return e->kind == EXPR_LITERAL;
    }
}

/* True if nothing below this aggregation is rewritten: it goes to the queriers in one piece. */
static bool is_sent_whole(const struct expr *e, bool is_top)
{
    bool is_extreme = e->vector_agg.op == VECTOR_MIN || e->vector_agg.op == VECTOR_MAX;
    return is_shardable(e, is_top) && !(is_extreme && reduces_labels(e->vector_agg.inner));
}

static bool is_split_average(const struct expr *e)
{
    if (e->kind != EXPR_RANGE_AGG || e->range_agg.op != RANGE_AVG_OVER_TIME)
        return false;
    const struct grouping *g = &e->range_agg.grouping;
    bool is_noop = !g->is_present || (g->is_without && g->n == 0);
    return !is_noop || pipeline_reduces_labels(&e->range_agg.range.log);
}

/* sum <grouping> (op(range)) */
static const struct expr *summed(struct arena *a, const struct expr *e, enum range_op op,
                                 const struct log_range *range, const struct grouping *g)
{
    struct expr *inner = ARENA_NEW(a, struct expr), *sum = ARENA_NEW(a, struct expr);
    inner->kind = EXPR_RANGE_AGG;
    inner->pos = sum->pos = e->pos;
    inner->depth = e->depth;
    inner->range_agg.op = op;
    inner->range_agg.range = *range;
    sum->kind = EXPR_VECTOR_AGG;
    sum->depth = e->depth + 1;
    sum->vector_agg.op = VECTOR_SUM;
    sum->vector_agg.inner = inner;
    sum->vector_agg.grouping = *g;
    return sum;
}

static const struct expr *split_average(const struct expr *e, struct arena *a)
{
    struct grouping g = e->range_agg.grouping;
    if (!g.is_present)
        g = (struct grouping){.is_present = true, .is_without = true};
    struct log_range lines = e->range_agg.range;
    lines.unwrap = NULL;
    struct grouping g_lines = g;
    if (g.is_without && e->range_agg.range.unwrap != NULL) { /* the values' series lack it too */
        str *labels = ARENA_ARRAY(a, str, g.n + 1);
        if (g.n > 0)
            memcpy(labels, g.labels, g.n * sizeof *labels);
        labels[g.n] = e->range_agg.range.unwrap->label;
        g_lines.labels = labels;
        g_lines.n = g.n + 1;
    }
    struct expr *div = ARENA_NEW(a, struct expr);
    div->kind = EXPR_BINARY;
    div->pos = e->pos;
    div->depth = e->depth + 2;
    div->binary.op = BIN_DIV;
    div->binary.left = summed(a, e, RANGE_SUM_OVER_TIME, &e->range_agg.range, &g);
    div->binary.right = summed(a, e, RANGE_COUNT_OVER_TIME, &lines, &g_lines);
    return div;
}

static struct expr *copy_node(const struct expr *e, struct arena *a)
{
    struct expr *copy = ARENA_NEW(a, struct expr);
    *copy = *e;
    copy->owned = NULL;
    return copy;
}

/* The tree is at most LOGQL_DEPTH_MAX deep. */
static const struct expr *rewrite(const struct expr *e, bool is_top, struct arena *a)
{
    struct expr *copy;
    const struct expr *l, *r;
    switch (e->kind) {
    case EXPR_RANGE_AGG:
        return is_split_average(e) ? split_average(e, a) : e;
    case EXPR_VECTOR_AGG:
        if (is_sent_whole(e, is_top))
            return e;
        l = rewrite(e->vector_agg.inner, false, a);
        if (l == e->vector_agg.inner)
            return e;
        copy = copy_node(e, a);
        copy->vector_agg.inner = l;
        return copy;
    case EXPR_LABEL_REPLACE:
        l = rewrite(e->label_replace.inner, is_top, a);
        if (l == e->label_replace.inner)
            return e;
        copy = copy_node(e, a);
        copy->label_replace.inner = l;
        return copy;
    case EXPR_BINARY:
        l = rewrite(e->binary.left, is_top, a);
        r = rewrite(e->binary.right, is_top, a);
        if (l == e->binary.left && r == e->binary.right)
            return e;
        copy = copy_node(e, a);
        copy->binary.left = l;
        copy->binary.right = r;
        return copy;
    default:
        return e;
    }
}

const struct expr *engine_rewrite(const struct expr *e, struct arena *a)
{
    return rewrite(e, true, a);
}
