#include "logql/check.h"

#include "logql/parser.h"
#include "logql/printer.h"
#include "logql/visit.h"
#include "proto/labels.h"

/* Loki must be able to look at least one matcher up in its index. */
static int check_matchers(const struct log_expr *log, struct error *err)
{
    for (size_t i = 0; log != NULL && i < log->n_matchers; i++) {
        if (!matcher_is_match(log->matchers[i], STR_EMPTY)) {
            return 0;
        }
    }
    return error_set(err, E_PARSE,
                     "parse error : queries require at least one regexp or equality matcher that "
                     "does not have an empty-compatible value. For instance, app=~\".*\" does not "
                     "meet this requirement, but app=~\".+\" will");
}

/* As in Loki, the matchers of a label_replace are asked for only in what stands leftmost in it. */
static int check_label_replace(const struct expr *e, bool with_matchers, struct error *err)
{
    const struct expr *leaf = e;
    for (;;) {
        if (leaf->problem.len > 0) {
            return error_set(err, E_PARSE, "parse error : %.*s", STR_ARG(leaf->problem));
        }
        if (leaf->kind == EXPR_LABEL_REPLACE) {
            leaf = leaf->label_replace.inner;
        } else if (leaf->kind == EXPR_VECTOR_AGG) {
            leaf = leaf->vector_agg.inner;
        } else if (leaf->kind == EXPR_BINARY) {
            leaf = leaf->binary.left;
        } else {
            break;
        }
    }
    int rc = 0;
    if (with_matchers && leaf->kind != EXPR_VECTOR) {
        rc = check_matchers(leaf->kind == EXPR_LITERAL ? NULL : expr_first_log(leaf), err);
    }
    return rc != 0 ? rc : logql_check(e->label_replace.inner, false, err);
}

/* As in Loki, only the selector behind `of` is asked for matchers. */
static int check_variants(const struct expr *e, bool with_matchers, struct error *err)
{
    int rc = with_matchers ? check_matchers(&e->variants.range.log, err) : 0;
    for (size_t i = 0; rc == 0 && i < e->variants.n; i++) {
        rc = logql_check(e->variants.items[i], false, err);
    }
    return rc;
}

int logql_check(const struct expr *e, bool with_matchers, struct error *err)
{
    if (e->problem.len > 0) {
        return error_set(err, E_PARSE, "parse error : %.*s", STR_ARG(e->problem));
    }
    int rc = 0;
    switch (e->kind) {
    case EXPR_LOG:
    case EXPR_RANGE_AGG:
        return with_matchers ? check_matchers(expr_first_log(e), err) : 0;
    case EXPR_VECTOR_AGG:
        if ((e->vector_agg.op == VECTOR_SORT || e->vector_agg.op == VECTOR_SORT_DESC) &&
            e->vector_agg.grouping.n > 0) {
            return error_set(err, E_PARSE,
                             "parse error : sort and sort_desc doesn't allow grouping by ");
        }
        return logql_check(e->vector_agg.inner, with_matchers, err);
    case EXPR_BINARY:
        rc = logql_check(e->binary.left, with_matchers, err);
        return rc != 0 ? rc : logql_check(e->binary.right, with_matchers, err);
    case EXPR_LABEL_REPLACE:
        return check_label_replace(e, with_matchers, err);
    case EXPR_VARIANTS:
        return check_variants(e, with_matchers, err);
    case EXPR_LITERAL:
    case EXPR_VECTOR:
        return 0;
    }
    return rc;
}

void logql_stage_error(const struct stage *s, struct error *err)
{
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    logql_print_stage(s, &text);
    error_prefix(err, "parse error : stage '%s' : ", buf_c(&text));
    buf_deinit(&text);
}

/* ---- what Loki's query path refuses ---- */

static bool is_not_approx_topk(void *arg, const struct expr *e)
{
    (void)arg;
    return e->kind != EXPR_VECTOR_AGG || e->vector_agg.op != VECTOR_APPROX_TOPK;
}

static bool is_name_plain(void *arg, const struct matcher *m)
{
    (void)arg;
    return label_name_is_valid(m->name);
}

/* Loki's frontend prints the query and lets the querier parse the text.  It prints label names that
 * are no Prometheus names as strings, and those do not parse; so the error is that of the text. */
static int check_reparsed(const struct expr *e, struct error *err)
{
    struct buf text;
    struct arena arena;
    struct expr *again;
    struct error found = {0};
    buf_init(&text, LOGQL_QUERY_BYTES_MAX);
    arena_init(&arena, SIZE_MAX);
    logql_print(e, &text);
    if (!text.failed && logql_parse(buf_str(&text), &arena, &again, &found) == 0) {
        logql_release(again);
    }
    arena_deinit(&arena);
    buf_deinit(&text);
    return found.code == 0 ? 0
                           : error_set_at(err, found.code, found.line, found.col, "%s", found.text);
}

int logql_check_enabled(const struct expr *e, struct error *err)
{
    if (e->kind == EXPR_VARIANTS) {
        return error_set(err, E_INVALID, "multi variant queries are disabled for this instance");
    }
    if (!visit_expr(e, &(struct visitor){.expr = is_not_approx_topk})) {
        return error_set(err, E_INTERNAL,
                         "approx_topk is not enabled. See -limits.shard_aggregations");
    }
    bool is_plain = visit_expr(e, &(struct visitor){.matcher = is_name_plain});
    return is_plain ? 0 : check_reparsed(e, err);
}
