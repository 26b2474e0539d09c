#include "logql/builder.h"

#include <math.h>

#include "base/gofmt.h"
#include "base/vec.h"

/* ---- lists ---- */

#define DEFINE_LIST(function, list, type)                                                          \
    struct list *function(struct parse *p, struct list *l, type item)                              \
    {                                                                                              \
        if (l == NULL) {                                                                           \
            l = ARENA_NEW(p->arena, struct list);                                                  \
        }                                                                                          \
        VEC_PUSH_ARENA(p->arena, l, item);                                                         \
        return l;                                                                                  \
    }

DEFINE_LIST(build_exprs, expr_list, const struct expr *)
DEFINE_LIST(build_matchers, matcher_list, struct matcher *)
DEFINE_LIST(build_stages, stage_list, const struct stage *)
DEFINE_LIST(build_extractions, extraction_list, struct extraction)
DEFINE_LIST(build_formats, label_format_list, struct label_format)
DEFINE_LIST(build_named_matchers, named_matcher_list, struct named_matcher)
DEFINE_LIST(build_names, str_list, str)

/* ---- helpers ---- */

static struct expr *new_expr(struct parse *p, struct source_pos pos, enum expr_kind kind)
{
    struct expr *e = ARENA_NEW(p->arena, struct expr);
    e->kind = kind;
    e->pos = pos;
    e->depth = 1;
    return e;
}

/* Puts `e` above `child`; false if the tree becomes too deep. */
static bool set_above(struct parse *p, struct expr *e, const struct expr *child)
{
    e->depth = MAX(e->depth, child->depth + 1);
    if (e->depth > LOGQL_DEPTH_MAX) {
        error_set(&p->fatal, E_LIMIT, "parse error : the query is nested too deeply (more than %d)",
                  LOGQL_DEPTH_MAX);
        return false;
    }
    return true;
}

/* What Loki says of a number it cannot read: "<what>: strconv.ParseFloat: parsing "0x": ...". */
static str number_problem(struct parse *p, const char *what, str digits, int rc)
{
    struct error err = {0};
    goparse_error(&err, "ParseFloat", digits, rc);
    return arena_printf(p->arena, "%s: %s", what, err.text);
}

static struct log_expr log_of(const struct matcher_list *matchers, const struct stage_list *stages)
{
    struct log_expr log = {0};
    if (matchers != NULL) {
        log.matchers = matchers->items;
        log.n_matchers = matchers->len;
    }
    if (stages != NULL) {
        log.stages = stages->items;
        log.n_stages = stages->len;
    }
    return log;
}

/* ---- selectors and ranges ---- */

struct matcher *build_matcher(struct parse *p, str name, enum match_op op, str value)
{
    struct matcher *m = ARENA_NEW(p->arena, struct matcher);
    struct error err = {0};
    int rc = matcher_init(m, p->arena, name, op, value, &err);
    if (rc != 0) {
        error_set(&p->fatal, rc, "parse error : %s", err.text);
        return NULL;
    }
    VEC_PUSH(&p->owned->matchers, m);
    return m;
}

struct expr *build_log(struct parse *p, struct source_pos pos, const struct matcher_list *matchers,
                       const struct stage_list *stages)
{
    struct expr *e = new_expr(p, pos, EXPR_LOG);
    e->log = log_of(matchers, stages);
    return e;
}

struct log_range *build_range(struct parse *p, struct source_pos pos,
                              const struct matcher_list *matchers, const struct stage_list *stages,
                              const struct unwrap_builder *unwrap, struct span span)
{
    struct log_range *r = ARENA_NEW(p->arena, struct log_range);
    r->pos = pos;
    r->log = log_of(matchers, stages);
    r->unwrap = unwrap == NULL ? NULL : &unwrap->node;
    r->range_ns = span.range_ns;
    r->offset_ns = span.offset_ns;
    return r;
}

struct unwrap_builder *build_unwrap(struct parse *p, struct source_pos pos,
                                    enum unwrap_conversion conversion, str label)
{
    struct unwrap_builder *u = ARENA_NEW(p->arena, struct unwrap_builder);
    u->node = (struct unwrap){.pos = pos, .label = label, .conversion = conversion};
    return u;
}

struct unwrap_builder *build_unwrap_filter(struct parse *p, struct unwrap_builder *u,
                                           const struct label_filter *f)
{
    VEC_PUSH_ARENA(p->arena, &u->filters, f);
    u->node.filters = u->filters.items;
    u->node.n_filters = u->filters.len;
    return u;
}

/* ---- range aggregations ---- */

#define RANGE_BIT(op) (1U << (op))

/* Those that may be grouped by themselves, those that need unwrap and those that refuse it. */
static const unsigned range_grouped =
    RANGE_BIT(RANGE_AVG_OVER_TIME) | RANGE_BIT(RANGE_STDDEV_OVER_TIME) |
    RANGE_BIT(RANGE_STDVAR_OVER_TIME) | RANGE_BIT(RANGE_QUANTILE_OVER_TIME) |
    RANGE_BIT(RANGE_MAX_OVER_TIME) | RANGE_BIT(RANGE_MIN_OVER_TIME) |
    RANGE_BIT(RANGE_FIRST_OVER_TIME) | RANGE_BIT(RANGE_LAST_OVER_TIME);
static const unsigned range_without_unwrap =
    RANGE_BIT(RANGE_BYTES_OVER_TIME) | RANGE_BIT(RANGE_BYTES_RATE) |
    RANGE_BIT(RANGE_COUNT_OVER_TIME) | RANGE_BIT(RANGE_RATE) | RANGE_BIT(RANGE_ABSENT_OVER_TIME);
static const unsigned range_refusing_unwrap = RANGE_BIT(RANGE_BYTES_OVER_TIME) |
                                              RANGE_BIT(RANGE_BYTES_RATE) |
                                              RANGE_BIT(RANGE_COUNT_OVER_TIME);

/* Reads the parameter of quantile_over_time; other operations take none. */
static str take_quantile(struct parse *p, struct expr *e, const str *param)
{
    const char *op = range_op_text(e->range_agg.op);
    bool is_quantile = e->range_agg.op == RANGE_QUANTILE_OVER_TIME;
    if (param == NULL) {
        return is_quantile ? arena_printf(p->arena, "parameter required for operation %s", op)
                           : STR_EMPTY;
    }
    if (!is_quantile) {
        return arena_printf(p->arena, "parameter %.*s not supported for operation %s",
                            STR_ARG(*param), op);
    }
    e->range_agg.has_param = true;
    int rc = goparse_float(*param, &e->range_agg.param);
    if (rc != 0) {
        str what = arena_printf(p->arena, "invalid parameter for operation %s", op);
        return number_problem(p, what.ptr, *param, rc);
    }
    return STR_EMPTY;
}

static str range_agg_problem(struct parse *p, const struct expr *e)
{
    enum range_op op = e->range_agg.op;
    if (e->range_agg.grouping.is_present && !(range_grouped & RANGE_BIT(op))) {
        return arena_printf(p->arena, "grouping not allowed for %s aggregation", range_op_text(op));
    }
    bool has_unwrap = e->range_agg.range.unwrap != NULL;
    if (has_unwrap && (range_refusing_unwrap & RANGE_BIT(op))) {
        return arena_printf(p->arena, "invalid aggregation %s with unwrap", range_op_text(op));
    }
    if (!has_unwrap && !(range_without_unwrap & RANGE_BIT(op))) {
        return arena_printf(p->arena, "invalid aggregation %s without unwrap", range_op_text(op));
    }
    return STR_EMPTY;
}

struct expr *build_range_agg(struct parse *p, struct source_pos pos, enum range_op op,
                             const str *param, const struct log_range *range,
                             const struct grouping *grouping)
{
    struct expr *e = new_expr(p, pos, EXPR_RANGE_AGG);
    e->range_agg.op = op;
    e->range_agg.range = *range;
    if (grouping != NULL) {
        e->range_agg.grouping = *grouping;
    }
    e->problem = take_quantile(p, e, param);
    if (e->problem.len == 0) {
        e->problem = range_agg_problem(p, e);
    }
    return e;
}

/* ---- vector aggregations ---- */

/* Reads k; operations other than topk and its kin take none. */
static str take_k(struct parse *p, struct expr *e, const str *param, bool is_grouped)
{
    enum vector_op op = e->vector_agg.op;
    const char *text = vector_op_text(op);
    if (op != VECTOR_TOPK && op != VECTOR_BOTTOMK && op != VECTOR_APPROX_TOPK) {
        return param == NULL
                   ? STR_EMPTY
                   : arena_printf(p->arena, "unsupported parameter for operation %s(%.*s,", text,
                                  STR_ARG(*param));
    }
    if (param == NULL) {
        return arena_printf(p->arena, "parameter required for operation %s", text);
    }
    if (goparse_int(*param, 10, 64, &e->vector_agg.param) != 0) {
        return arena_printf(p->arena, "invalid parameter %s(%.*s,", text, STR_ARG(*param));
    }
    if (e->vector_agg.param <= 0) {
        return arena_printf(p->arena, "invalid parameter (must be greater than 0) %s(%.*s", text,
                            STR_ARG(*param));
    }
    if (op == VECTOR_APPROX_TOPK && is_grouped) {
        return arena_printf(p->arena, "grouping not allowed for %s aggregation", text);
    }
    return STR_EMPTY;
}

struct expr *build_vector_agg(struct parse *p, struct source_pos pos, enum vector_op op,
                              const str *param, const struct expr *inner,
                              const struct grouping *grouping)
{
    struct expr *e = new_expr(p, pos, EXPR_VECTOR_AGG);
    e->vector_agg.op = op;
    e->vector_agg.inner = inner;
    if (grouping != NULL) {
        e->vector_agg.grouping = *grouping;
    }
    e->problem = take_k(p, e, param, grouping != NULL);
    return set_above(p, e, inner) ? e : NULL;
}

struct grouping build_grouping(bool is_without, const struct str_list *names)
{
    struct grouping g = {.is_present = true, .is_without = is_without};
    if (names != NULL) {
        g.labels = names->items;
        g.n = names->len;
    }
    return g;
}

/* ---- binary operations ---- */

struct binary_options *build_options(struct parse *p, bool is_bool)
{
    struct binary_options *o = ARENA_NEW(p->arena, struct binary_options);
    o->is_bool = is_bool;
    return o;
}

struct binary_options *build_on(struct binary_options *o, bool is_on, const struct str_list *names)
{
    o->matching.is_on = is_on;
    if (names != NULL) {
        o->matching.labels = names->items;
        o->matching.n_labels = names->len;
    }
    return o;
}

struct binary_options *build_group(struct binary_options *o, enum vector_card card,
                                   const struct str_list *names)
{
    o->matching.card = card;
    if (names != NULL) {
        o->matching.include = names->items;
        o->matching.n_include = names->len;
    }
    return o;
}

static double fold(enum bin_op op, double l, double r)
{
    switch (op) {
    case BIN_ADD:
        return l + r;
    case BIN_SUB:
        return l - r;
    case BIN_MUL:
        return l * r;
    case BIN_DIV:
        return r == 0 ? NAN : l / r;
    case BIN_MOD:
        return r == 0 ? NAN : fmod(l, r);
    case BIN_POW:
        return pow(l, r);
    case BIN_EQ:
        return l == r;
    case BIN_NE:
        return l != r;
    case BIN_GT:
        return l > r;
    case BIN_GE:
        return l >= r;
    case BIN_LT:
        return l < r;
    case BIN_LE:
        return l <= r;
    case BIN_OR:
    case BIN_AND:
    case BIN_UNLESS:
        break; /* refused before */
    }
    return NAN;
}

/* The name Loki's error texts use for what is no vector. */
static const char *go_type(const struct expr *e)
{
    if (e->kind == EXPR_VARIANTS) {
        return "*syntax.MultiVariantExpr";
    }
    return e->log.n_stages > 0 ? "*syntax.PipelineExpr" : "*syntax.MatchersExpr";
}

static str leg_problem(struct parse *p, enum bin_op op, const char *side, const struct expr *leg)
{
    if (leg->kind == EXPR_LOG || leg->kind == EXPR_VARIANTS) {
        return arena_printf(p->arena, "unexpected type for %s leg of binary operation (%s): %s",
                            side, bin_op_text(op), go_type(leg));
    }
    return STR_EMPTY;
}

static str set_literal_problem(struct parse *p, enum bin_op op, const char *side,
                               const struct expr *leg)
{
    if (!bin_op_is_set(op) || leg->kind != EXPR_LITERAL) {
        return STR_EMPTY;
    }
    struct buf number;
    buf_init(&number, 512);
    gofmt_float(&number, leg->number, 'f', 6);
    str text = arena_printf(p->arena,
                            "unexpected literal for %s leg of logical/set binary operation (%s): "
                            "%.*s",
                            side, bin_op_text(op), STR_ARG(buf_str(&number)));
    buf_deinit(&number);
    return text;
}

static str binary_problem(struct parse *p, enum bin_op op, const struct expr *l,
                          const struct expr *r)
{
    str found[] = {
        leg_problem(p, op, "left", l),
        leg_problem(p, op, "right", r),
        l->kind == EXPR_LITERAL ? l->problem : STR_EMPTY,
        r->kind == EXPR_LITERAL ? r->problem : STR_EMPTY,
        set_literal_problem(p, op, "left", l),
        set_literal_problem(p, op, "right", r),
    };
    for (size_t i = 0; i < ARRAY_LEN(found); i++) {
        if (found[i].len > 0) {
            return found[i];
        }
    }
    return STR_EMPTY;
}

struct expr *build_binary(struct parse *p, struct source_pos pos, enum bin_op op,
                          const struct expr *left, const struct binary_options *options,
                          const struct expr *right)
{
    str problem = binary_problem(p, op, left, right);
    if (problem.len == 0 && left->kind == EXPR_LITERAL && right->kind == EXPR_LITERAL) {
        struct expr *number = new_expr(p, pos, EXPR_LITERAL);
        number->number = fold(op, left->number, right->number);
        return number;
    }
    struct expr *e = new_expr(p, pos, EXPR_BINARY);
    e->problem = problem;
    e->binary.op = op;
    e->binary.is_bool = options->is_bool;
    e->binary.matching = options->matching;
    e->binary.left = left;
    e->binary.right = right;
    return set_above(p, e, left) && set_above(p, e, right) ? e : NULL;
}

/* ---- the others ---- */

struct expr *build_literal(struct parse *p, struct source_pos pos, struct cmp_value number)
{
    struct expr *e = new_expr(p, pos, EXPR_LITERAL);
    e->number = number.number;
    if (number.rc != 0) {
        e->problem =
            number_problem(p, "unable to parse literal as a float", number.digits, number.rc);
    }
    return e;
}

struct expr *build_vector(struct parse *p, struct source_pos pos, struct lexer_value number)
{
    struct expr *e = new_expr(p, pos, EXPR_VECTOR);
    int rc = goparse_float(number.text, &e->number);
    if (rc != 0) {
        e->problem = number_problem(p, "unable to parse vectorExpr as a float", number.text, rc);
    }
    return e;
}

struct expr *build_label_replace(struct parse *p, struct source_pos pos, const struct expr *inner,
                                 str dst, str replacement, str src, str regex)
{
    struct expr *e = new_expr(p, pos, EXPR_LABEL_REPLACE);
    e->label_replace.inner = inner;
    e->label_replace.dst = dst;
    e->label_replace.replacement = replacement;
    e->label_replace.src = src;
    e->label_replace.regex = regex;

    struct error err = {0};
    struct regex *re = NULL;
    str anchored = arena_printf(p->arena, "^(?:%.*s)$", STR_ARG(regex));
    if (regex_compile(anchored, 0, &re, &err) != 0) {
        e->problem = arena_printf(p->arena, "invalid regex in label_replace: %s", err.text);
    }
    regex_free(re);
    return set_above(p, e, inner) ? e : NULL;
}

struct expr *build_variants(struct parse *p, struct source_pos pos, const struct expr_list *l,
                            const struct log_range *range)
{
    struct expr *e = new_expr(p, pos, EXPR_VARIANTS);
    e->variants.items = l->items;
    e->variants.n = l->len;
    e->variants.range = *range;
    for (size_t i = 0; i < l->len; i++) {
        if (!set_above(p, e, l->items[i])) {
            return NULL;
        }
    }
    return e;
}
