/* Breaks a query into lines where it is longer than 100 bytes; what is shorter stays as it is.
 *
 * The layout is Loki's, its faults that lose a part of the query are not: there, a broken chain of
 * line filters forgets its `or`s, `without ()` its parentheses, `on ()` itself and a negative
 * offset its value. */
#include "base/duration.h"
#include "base/gofmt.h"
#include "base/goquote.h"
#include "base/mem.h"
#include "logql/printer.h"

#define PRETTY_LINE_BYTES_MAX 100

static void pretty(const struct expr *e, int level, struct buf *out);

static void indent(int level, struct buf *out)
{
    for (int i = 0; i < level; i++) {
        buf_append_c(out, "  ");
    }
}

/* Ends an attempt to print on one line from `from` on: true if it is short enough, else the text
 * is taken back. */
static bool is_short(struct buf *out, size_t from)
{
    if (out->failed || out->len - from <= PRETTY_LINE_BYTES_MAX) {
        return true;
    }
    out->len = from;
    return false;
}

/* A chain of line filters: as many on the first line as fit, the others each on its own. */
static void pretty_line_filters(const struct stage *s, int level, struct buf *out)
{
    indent(level, out);
    size_t line = out->len;
    bool is_broken = false;
    for (size_t i = 0; i < s->filters.n; i++) {
        size_t before = out->len;
        buf_append_c(out, i == 0 ? "" : " ");
        logql_print_line_filter(&s->filters.items[i], out);
        if (i == 0 || out->failed) {
            continue;
        }
        is_broken |= out->len - line > PRETTY_LINE_BYTES_MAX;
        if (is_broken) {
            out->len = before;
            buf_append_char(out, '\n');
            indent(level, out);
            logql_print_line_filter(&s->filters.items[i], out);
        }
    }
}

static void pretty_stage(const struct stage *s, int level, struct buf *out)
{
    if (s->kind == STAGE_LINE_FILTER) {
        pretty_line_filters(s, level, out);
    } else {
        indent(s->kind == STAGE_DECOLORIZE ? 0 : level, out); /* Loki's one exception */
        logql_print_stage(s, out);
    }
}

static void pretty_log(const struct log_expr *log, int level, struct buf *out)
{
    indent(level, out);
    size_t from = out->len;
    logql_print_log(log, out);
    if (log->n_stages == 0 || is_short(out, from)) {
        return;
    }
    logql_print_selector(log, out);
    for (size_t i = 0; i < log->n_stages; i++) {
        buf_append_char(out, '\n');
        pretty_stage(log->stages[i], level + 1, out);
    }
}

static void pretty_unwrap(const struct unwrap *u, int level, struct buf *out)
{
    indent(level, out);
    logql_print_unwrap(u, out);
    for (size_t i = 0; i < u->n_filters; i++) {
        buf_append_char(out, '\n');
        indent(level, out);
        buf_append_c(out, "| ");
        logql_print_label_filter(u->filters[i], out);
    }
}

static void pretty_range(const struct log_range *r, int level, struct buf *out)
{
    pretty_log(&r->log, level, out);
    if (r->unwrap != NULL) {
        buf_append_char(out, '\n');
        pretty_unwrap(r->unwrap, level + 1, out);
    }
    buf_append_c(out, " [");
    duration_append_prom(out, r->range_ns);
    buf_append_char(out, ']');
    if (r->offset_ns != 0) {
        bool is_negative = r->offset_ns < 0;
        buf_append_c(out, is_negative ? " offset -" : " offset ");
        duration_append_prom(out, is_negative ? -r->offset_ns : r->offset_ns);
    }
}

static void pretty_grouping(const struct grouping *g, struct buf *out)
{
    if (g->is_without || g->n > 0) {
        buf_append_c(out, g->is_without ? " without " : " by ");
        logql_print_names(g->labels, g->n, ", ", out);
    }
}

static void close_paren(int level, struct buf *out)
{
    buf_append_char(out, '\n');
    indent(level, out);
    buf_append_char(out, ')');
}

static void pretty_range_agg(const struct expr *e, int level, struct buf *out)
{
    buf_append_c(out, range_op_text(e->range_agg.op));
    buf_append_c(out, "(\n");
    if (e->range_agg.has_param) {
        indent(level + 1, out);
        gofmt_float_v(out, e->range_agg.param);
        buf_append_c(out, ",\n");
    }
    pretty_range(&e->range_agg.range, level + 1, out);
    close_paren(level, out);
    pretty_grouping(&e->range_agg.grouping, out);
}

static void pretty_vector_agg(const struct expr *e, int level, struct buf *out)
{
    buf_append_c(out, vector_op_text(e->vector_agg.op));
    pretty_grouping(&e->vector_agg.grouping, out);
    buf_append_c(out, "(\n");
    if (e->vector_agg.param != 0) {
        indent(level + 1, out);
        buf_append_i64(out, e->vector_agg.param);
        buf_append_c(out, ",\n");
    }
    pretty(e->vector_agg.inner, level + 1, out);
    close_paren(level, out);
}

/* The sides are indented instead of parenthesised. */
static void pretty_binary(const struct expr *e, int level, struct buf *out)
{
    pretty(e->binary.left, level + 1, out);
    buf_append_char(out, '\n');
    indent(level, out);
    logql_print_binary_op(e, ", ", out);
    buf_append_char(out, '\n');
    pretty(e->binary.right, level + 1, out);
}

static void pretty_label_replace(const struct expr *e, int level, struct buf *out)
{
    const str args[] = {e->label_replace.dst, e->label_replace.replacement, e->label_replace.src,
                        e->label_replace.regex};
    buf_append_c(out, "label_replace(\n");
    pretty(e->label_replace.inner, level + 1, out);
    for (size_t i = 0; i < ARRAY_LEN(args); i++) {
        buf_append_c(out, ",\n");
        indent(level + 1, out);
        goquote(out, args[i]);
    }
    close_paren(level, out);
}

static void pretty_variants(const struct expr *e, int level, struct buf *out)
{
    buf_append_c(out, "variants(\n");
    for (size_t i = 0; i < e->variants.n; i++) {
        pretty(e->variants.items[i], level + 1, out);
        buf_append_c(out, i + 1 < e->variants.n ? ",\n" : "\n");
    }
    indent(level, out);
    buf_append_c(out, ") of (\n");
    pretty_range(&e->variants.range, level + 1, out);
    indent(level, out);
    buf_append_c(out, "\n)");
}

static void pretty(const struct expr *e, int level, struct buf *out)
{
    if (e->kind == EXPR_LOG) {
        pretty_log(&e->log, level, out);
        return;
    }
    size_t line = out->len;
    indent(level, out);
    size_t from = out->len;
    if (e->kind != EXPR_VARIANTS) { /* those are always broken */
        logql_print(e, out);
        if (e->kind == EXPR_LITERAL || e->kind == EXPR_VECTOR || is_short(out, from)) {
            return;
        }
    }
    switch (e->kind) {
    case EXPR_RANGE_AGG:
        pretty_range_agg(e, level, out);
        break;
    case EXPR_VECTOR_AGG:
        pretty_vector_agg(e, level, out);
        break;
    case EXPR_BINARY:
        out->len = line; /* the sides indent themselves */
        pretty_binary(e, level, out);
        break;
    case EXPR_LABEL_REPLACE:
        pretty_label_replace(e, level, out);
        break;
    case EXPR_VARIANTS:
        pretty_variants(e, level, out);
        break;
    case EXPR_LOG:
    case EXPR_LITERAL:
    case EXPR_VECTOR:
        break;
    }
}

void logql_pretty(const struct expr *e, struct buf *out)
{
    pretty(e, 0, out);
}
