/* logql/visit.h - walks a tree from the root down, left to right.
 *
 * Each function may be NULL; one that returns false ends the walk. */
#pragma once
#include "logql/ast.h"

struct visitor {
    bool (*expr)(void *arg, const struct expr *e);      /* before what is inside it */
    bool (*log)(void *arg, const struct log_expr *log); /* selectors, before their stages */
    bool (*stage)(void *arg, const struct stage *s);
    bool (*filter)(void *arg, const struct label_filter *f); /* pairs before their sides */
    bool (*unwrap)(void *arg, const struct unwrap *u);
    bool (*matcher)(void *arg, const struct matcher *m); /* of selectors, filters, drop and keep */
    void *arg;
};

/* False if a function ended the walk. */
bool visit_expr(const struct expr *e, const struct visitor *v);
bool visit_log(const struct log_expr *log, const struct visitor *v);
bool visit_stage(const struct stage *s, const struct visitor *v);
bool visit_filter(const struct label_filter *f, const struct visitor *v);
