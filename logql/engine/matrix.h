/* logql/engine/matrix.h - what an expression is worth at every step: series of points.
 *
 * Loki evaluates the tree once per step; we evaluate it once, each node turning whole series into
 * whole series, step by step only where steps decide (topk, matching).  Series have at least one
 * point, ascending by step.  Two series of a matrix may have equal labels (after label_replace or
 * matching); the answer joins them.  Memory is of the evaluator's arena; points are shared between
 * matrices and never changed. */
#pragma once
#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "logql/ast.h"
#include "logql/engine/window.h"
#include "proto/labels.h"

struct matrix_series {
    struct labels labels;
    const struct point *points;
    size_t n;
};

struct matrix {
    struct matrix_series *items;
    size_t n;
};

/* What evaluating needs besides the tree. */
struct evaluator {
    struct arena *arena; /* limited */
    size_t n_steps;
    struct engine_query *query;
    size_t next_leaf; /* leaves come in the order in which they were planned */
};

/* Room for n items, E_LIMIT in err and NULL past the arena's limit. */
void *evaluator_alloc(struct evaluator *ev, size_t n, size_t item_size, struct error *err);

/* ---- groups of label sets ---- */

/* Numbers the distinct label sets that are left when some labels are kept, or taken out. */
struct label_groups {
    struct arena *arena;
    const str *names;
    size_t n_names;
    bool is_without; /* take names out; otherwise keep them */
    struct u64map by_hash;
    VEC(struct label_group) items;
};

struct label_group {
    struct labels labels;
    uint32_t next_same_hash; /* index + 1 */
};

void label_groups_init(struct label_groups *g, struct arena *a, const str *names, size_t n,
                       bool is_without);
void label_groups_deinit(struct label_groups *g);
uint32_t label_groups_of(struct label_groups *g, const struct labels *ls);
/* The labels with `names` kept or taken out. */
struct labels labels_grouped(struct arena *a, const struct labels *ls, const str *names, size_t n,
                             bool is_without);

/* Without the labels whose value is empty, which Loki loses whenever it builds a set anew. */
struct labels labels_without_empty(struct arena *a, const struct labels *ls);

/* The members of each group: members[first[g] .. first[g + 1]) are indices of series. */
struct group_members {
    uint32_t *first;
    uint32_t *members;
    size_t n_groups;
};

/* `of[i]` is the group of series i. */
struct group_members group_members_make(struct arena *a, const uint32_t *of, size_t n,
                                        size_t n_groups);

/* ---- operators; each returns 0, or a status with Loki's text ---- */

int vector_agg_eval(struct evaluator *ev, const struct expr *e, const struct matrix *in,
                    struct matrix *ret, struct error *err);
/* Vector and number; is_number_left tells the side of the number. */
int binop_eval_number(struct evaluator *ev, const struct expr *e, const struct matrix *in,
                      double number, bool is_number_left, struct matrix *ret, struct error *err);
int binop_eval_vectors(struct evaluator *ev, const struct expr *e, const struct matrix *left,
                       const struct matrix *right, struct matrix *ret, struct error *err);
int label_replace_eval(struct evaluator *ev, const struct expr *e, const struct matrix *in,
                       struct matrix *ret, struct error *err);
