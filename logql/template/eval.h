/* logql/template/eval.h - the value of a pipeline: fields, variables, literals, calls.
 *
 * One execution has one of these; the statements around the pipelines are exec.c's.  After the
 * first failure rc is set and everything returns at once with no value. */
#pragma once
#include "logql/template/call.h"

#define TEVAL_VARS_MAX  64      /* variables that are alive at once */
#define TEVAL_STEPS_MAX 5000000 /* nodes visited; seconds of work */

struct teval_var {
    str name;
    struct tval value;
};

struct teval {
    const struct template *t;
    struct template_ctx *ctx;
    struct error *err;
    int rc;                   /* the first failure */
    const struct tnode *node; /* what errors point at */
    str tree_name;
    struct teval_var vars[TEVAL_VARS_MAX];
    size_t n_vars; /* set back by who leaves a scope */
    long steps;
};

/* $ is the root. */
static inline void teval_init(struct teval *x, const struct template *t, struct template_ctx *ctx,
                              struct error *err)
{
    x->t = t;
    x->ctx = ctx;
    x->err = err;
    x->rc = 0;
    x->node = t->trees.items[0].root;
    x->tree_name = t->name;
    x->vars[0] = (struct teval_var){STR("$"), {.type = TVAL_ROOT}};
    x->n_vars = 1; /* the other slots are not cleared: most templates use one */
    x->steps = 0;
}

/* The value of `pipe`, and what it declares or assigns. */
struct tval teval_pipeline(struct teval *x, struct tval dot, const struct tnode *pipe);

void teval_push_var(struct teval *x, str name, struct tval value);
void teval_set_var(struct teval *x, str name, struct tval value); /* the innermost of that name */

/* template: line:1:3: executing "line" at <x->node>: text.  Returns no value. */
struct tval teval_fail(struct teval *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* E_LIMIT: template: line: what. */
void teval_fail_limit(struct teval *x, const char *what);

/* To be called for each node: bounds the work. */
static inline void teval_step(struct teval *x)
{
    if (++x->steps > TEVAL_STEPS_MAX)
        teval_fail_limit(x, "too many steps");
}
