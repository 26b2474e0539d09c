#include "logql/visit.h"

#define CALL(function, node) (v->function == NULL || v->function(v->arg, node))

bool visit_filter(const struct label_filter *f, const struct visitor *v)
{
    if (!CALL(filter, f)) {
        return false;
    }
    switch (f->kind) {
    case LABEL_FILTER_AND:
    case LABEL_FILTER_OR:
        return visit_filter(f->pair.left, v) && visit_filter(f->pair.right, v);
    case LABEL_FILTER_MATCHER:
        return CALL(matcher, f->matcher);
    case LABEL_FILTER_NUMBER:
    case LABEL_FILTER_DURATION:
    case LABEL_FILTER_BYTES:
    case LABEL_FILTER_IP:
        break;
    }
    return true;
}

bool visit_stage(const struct stage *s, const struct visitor *v)
{
    if (!CALL(stage, s)) {
        return false;
    }
    if (s->kind == STAGE_LABEL_FILTER) {
        return visit_filter(s->filter, v);
    }
    if (s->kind != STAGE_DROP && s->kind != STAGE_KEEP) {
        return true;
    }
    for (size_t i = 0; i < s->labels.n; i++) {
        const struct matcher *m = s->labels.items[i].matcher;
        if (m != NULL && !CALL(matcher, m)) {
            return false;
        }
    }
    return true;
}

bool visit_log(const struct log_expr *log, const struct visitor *v)
{
    if (!CALL(log, log)) {
        return false;
    }
    for (size_t i = 0; i < log->n_matchers; i++) {
        if (!CALL(matcher, log->matchers[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < log->n_stages; i++) {
        if (!visit_stage(log->stages[i], v)) {
            return false;
        }
    }
    return true;
}

static bool visit_range(const struct log_range *r, const struct visitor *v)
{
    if (!visit_log(&r->log, v)) {
        return false;
    }
    if (r->unwrap == NULL) {
        return true;
    }
    if (!CALL(unwrap, r->unwrap)) {
        return false;
    }
    for (size_t i = 0; i < r->unwrap->n_filters; i++) {
        if (!visit_filter(r->unwrap->filters[i], v)) {
            return false;
        }
    }
    return true;
}

bool visit_expr(const struct expr *e, const struct visitor *v)
{
    if (!CALL(expr, e)) {
        return false;
    }
    switch (e->kind) {
    case EXPR_LOG:
        return visit_log(&e->log, v);
    case EXPR_RANGE_AGG:
        return visit_range(&e->range_agg.range, v);
    case EXPR_VECTOR_AGG:
        return visit_expr(e->vector_agg.inner, v);
    case EXPR_BINARY:
        return visit_expr(e->binary.left, v) && visit_expr(e->binary.right, v);
    case EXPR_LABEL_REPLACE:
        return visit_expr(e->label_replace.inner, v);
    case EXPR_VARIANTS:
        for (size_t i = 0; i < e->variants.n; i++) {
            if (!visit_expr(e->variants.items[i], v)) {
                return false;
            }
        }
        return visit_range(&e->variants.range, v);
    case EXPR_LITERAL:
    case EXPR_VECTOR:
        break;
    }
    return true;
}
