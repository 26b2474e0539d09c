#include "logql/ast.h"

const char *range_op_text(enum range_op op)
{
    static const char *const texts[] = {
        [RANGE_COUNT_OVER_TIME] = "count_over_time",
        [RANGE_RATE] = "rate",
        [RANGE_RATE_COUNTER] = "rate_counter",
        [RANGE_BYTES_OVER_TIME] = "bytes_over_time",
        [RANGE_BYTES_RATE] = "bytes_rate",
        [RANGE_AVG_OVER_TIME] = "avg_over_time",
        [RANGE_SUM_OVER_TIME] = "sum_over_time",
        [RANGE_MIN_OVER_TIME] = "min_over_time",
        [RANGE_MAX_OVER_TIME] = "max_over_time",
        [RANGE_STDVAR_OVER_TIME] = "stdvar_over_time",
        [RANGE_STDDEV_OVER_TIME] = "stddev_over_time",
        [RANGE_QUANTILE_OVER_TIME] = "quantile_over_time",
        [RANGE_FIRST_OVER_TIME] = "first_over_time",
        [RANGE_LAST_OVER_TIME] = "last_over_time",
        [RANGE_ABSENT_OVER_TIME] = "absent_over_time",
    };
    return texts[op];
}

const char *vector_op_text(enum vector_op op)
{
    static const char *const texts[] = {
        [VECTOR_SUM] = "sum",
        [VECTOR_AVG] = "avg",
        [VECTOR_COUNT] = "count",
        [VECTOR_MAX] = "max",
        [VECTOR_MIN] = "min",
        [VECTOR_STDDEV] = "stddev",
        [VECTOR_STDVAR] = "stdvar",
        [VECTOR_BOTTOMK] = "bottomk",
        [VECTOR_TOPK] = "topk",
        [VECTOR_SORT] = "sort",
        [VECTOR_SORT_DESC] = "sort_desc",
        [VECTOR_APPROX_TOPK] = "approx_topk",
    };
    return texts[op];
}

const char *bin_op_text(enum bin_op op)
{
    static const char *const texts[] = {
        [BIN_OR] = "or", [BIN_AND] = "and", [BIN_UNLESS] = "unless", [BIN_ADD] = "+",
        [BIN_SUB] = "-", [BIN_MUL] = "*",   [BIN_DIV] = "/",         [BIN_MOD] = "%",
        [BIN_POW] = "^", [BIN_EQ] = "==",   [BIN_NE] = "!=",         [BIN_GT] = ">",
        [BIN_GE] = ">=", [BIN_LT] = "<",    [BIN_LE] = "<=",
    };
    return texts[op];
}

const char *line_filter_op_text(enum line_filter_op op)
{
    static const char *const texts[] = {
        [LINE_EQ] = "|=",  [LINE_NE] = "!=",      [LINE_RE] = "|~",
        [LINE_NRE] = "!~", [LINE_PATTERN] = "|>", [LINE_NOT_PATTERN] = "!>",
    };
    return texts[op];
}

const char *cmp_op_text(enum cmp_op op)
{
    static const char *const texts[] = {
        [CMP_EQ] = "==", [CMP_NE] = "!=", [CMP_GT] = ">",
        [CMP_GE] = ">=", [CMP_LT] = "<",  [CMP_LE] = "<=",
    };
    return texts[op];
}

const char *unwrap_conversion_text(enum unwrap_conversion conversion)
{
    static const char *const texts[] = {
        [UNWRAP_NUMBER] = "",
        [UNWRAP_BYTES] = "bytes",
        [UNWRAP_DURATION] = "duration",
        [UNWRAP_DURATION_SECONDS] = "duration_seconds",
    };
    return texts[conversion];
}

const struct log_expr *expr_first_log(const struct expr *e)
{
    for (;;) {
        switch (e->kind) {
        case EXPR_LOG:
            return &e->log;
        case EXPR_RANGE_AGG:
            return &e->range_agg.range.log;
        case EXPR_VARIANTS:
            return &e->variants.range.log;
        case EXPR_VECTOR_AGG:
            e = e->vector_agg.inner;
            break;
        case EXPR_LABEL_REPLACE:
            e = e->label_replace.inner;
            break;
        case EXPR_BINARY:
            e = e->binary.left;
            break;
        case EXPR_LITERAL:
        case EXPR_VECTOR:
            return NULL;
        }
    }
}
