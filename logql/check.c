#include "logql/check.h"

#include "logql/parser.h"
#include "logql/printer.h"

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

static int check_variants(const struct expr *e, bool with_matchers, struct error *err)
{
    int rc = with_matchers ? check_matchers(&e->variants.range.log, err) : 0;
    for (size_t i = 0; rc == 0 && i < e->variants.n; i++) {
        rc = logql_check(e->variants.items[i], with_matchers, err);
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
