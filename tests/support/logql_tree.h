/* tests/support/logql_tree.h - a tree as an s-expression that two equal trees share.
 *
 * What Loki's spelling cannot carry is left out: sizes are taken as they are printed, vector() with
 * six decimals, ranges in whole ms, and no matching where it is not printed. */
#pragma once
#include "base/buf.h"
#include "logql/ast.h"
#include "logql/printer.h"

static inline void tree_dump_filter(const struct label_filter *f, struct buf *out)
{
    static const char *const kinds[] = {"and", "or", "match", "number", "duration", "bytes", "ip"};
    buf_printf(out, "(%s ", kinds[f->kind]);
    if (f->kind == LABEL_FILTER_AND || f->kind == LABEL_FILTER_OR) {
        tree_dump_filter(f->pair.left, out);
        tree_dump_filter(f->pair.right, out);
    } else if (f->kind == LABEL_FILTER_NUMBER) {
        buf_printf(out, "%.*s %d %a", STR_ARG(f->cmp.name), f->cmp.op, f->cmp.number);
    } else if (f->kind == LABEL_FILTER_DURATION) {
        buf_printf(out, "%.*s %d %jd", STR_ARG(f->cmp.name), f->cmp.op,
                   (intmax_t)f->cmp.duration_ns);
    } else {
        logql_print_label_filter(f, out);
    }
    buf_append_char(out, ')');
}

static inline void tree_dump_stage(const struct stage *s, struct buf *out)
{
    buf_printf(out, "(stage %d ", s->kind);
    if (s->kind == STAGE_LABEL_FILTER) {
        tree_dump_filter(s->filter, out);
    } else if (s->kind == STAGE_LINE_FILTER) {
        for (size_t i = 0; i < s->filters.n; i++) {
            const struct line_filter *f = &s->filters.items[i];
            buf_printf(out, "(%d", f->op);
            for (size_t j = 0; j < f->n_matches; j++) {
                buf_printf(out, " %d:", f->matches[j].is_ip);
                buf_append_str(out, f->matches[j].text);
            }
            buf_append_char(out, ')');
        }
    } else {
        logql_print_stage(s, out);
    }
    buf_append_char(out, ')');
}

static inline void tree_dump_log(const struct log_expr *log, struct buf *out)
{
    logql_print_selector(log, out);
    for (size_t i = 0; i < log->n_stages; i++) {
        tree_dump_stage(log->stages[i], out);
    }
}

static inline void tree_dump_range(const struct log_range *r, struct buf *out)
{
    tree_dump_log(&r->log, out);
    buf_printf(out, " [%jd offset %jd]", (intmax_t)(r->range_ns / 1000000), (intmax_t)r->offset_ns);
    if (r->unwrap != NULL) {
        buf_printf(out, "(unwrap %d %.*s", r->unwrap->conversion, STR_ARG(r->unwrap->label));
        for (size_t i = 0; i < r->unwrap->n_filters; i++) {
            tree_dump_filter(r->unwrap->filters[i], out);
        }
        buf_append_char(out, ')');
    }
}

static inline void tree_dump_grouping(const struct grouping *g, struct buf *out)
{
    buf_append_c(out, g->is_without ? " without " : " by ");
    logql_print_names(g->labels, g->n, ",", out);
}

static inline void tree_dump_matching(const struct vector_matching *m, struct buf *out)
{
    if (m->is_on || m->n_labels > 0) {
        buf_printf(out, " card %d on %d ", m->card, m->is_on);
        logql_print_names(m->labels, m->n_labels, ",", out);
        logql_print_names(m->include, m->n_include, ",", out);
    }
}

static inline void tree_dump(const struct expr *e, struct buf *out)
{
    buf_printf(out, "(expr %d ", e->kind);
    switch (e->kind) {
    case EXPR_LOG:
        tree_dump_log(&e->log, out);
        break;
    case EXPR_RANGE_AGG:
        buf_printf(out, "%d %d:%a ", e->range_agg.op, e->range_agg.has_param, e->range_agg.param);
        tree_dump_range(&e->range_agg.range, out);
        if (e->range_agg.grouping.is_present) {
            tree_dump_grouping(&e->range_agg.grouping, out);
        }
        break;
    case EXPR_VECTOR_AGG:
        buf_printf(out, "%d %jd ", e->vector_agg.op, (intmax_t)e->vector_agg.param);
        tree_dump_grouping(&e->vector_agg.grouping, out);
        tree_dump(e->vector_agg.inner, out);
        break;
    case EXPR_BINARY:
        buf_printf(out, "%d %d", e->binary.op, e->binary.is_bool);
        tree_dump_matching(&e->binary.matching, out);
        tree_dump(e->binary.left, out);
        tree_dump(e->binary.right, out);
        break;
    case EXPR_LITERAL:
        buf_printf(out, "%a", e->number);
        break;
    case EXPR_VECTOR:
        buf_printf(out, "%f", e->number);
        break;
    case EXPR_LABEL_REPLACE:
        tree_dump(e->label_replace.inner, out);
        buf_append_str(out, e->label_replace.dst);
        buf_append_str(out, e->label_replace.replacement);
        buf_append_str(out, e->label_replace.src);
        buf_append_str(out, e->label_replace.regex);
        break;
    case EXPR_VARIANTS:
        for (size_t i = 0; i < e->variants.n; i++) {
            tree_dump(e->variants.items[i], out);
        }
        tree_dump_range(&e->variants.range, out);
        break;
    }
    buf_append_char(out, ')');
}
