/* sum, avg, min, max, count, stddev, stdvar, topk, bottomk, sort, sort_desc over the series of one
 * step, for all steps. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "logql/engine/matrix.h"

/* What one group has gathered at one step. */
struct gathered {
    double value, mean;
    double n; /* 0: nothing yet */
};

static void gather(struct gathered *g, enum vector_op op, double v)
{
    if (g->n == 0) {
        bool is_spread = op == VECTOR_STDDEV || op == VECTOR_STDVAR;
        *g = (struct gathered){is_spread ? 0 : v, v, 1};
        return;
    }
    g->n += 1;
    switch (op) {
    case VECTOR_SUM:
        g->value += v;
        break;
    case VECTOR_AVG:
        g->mean += (v - g->mean) / g->n;
        break;
    case VECTOR_MAX:
        if (g->value < v || isnan(g->value))
            g->value = v;
        break;
    case VECTOR_MIN:
        if (g->value > v || isnan(g->value))
            g->value = v;
        break;
    case VECTOR_STDDEV:
    case VECTOR_STDVAR: {
        double delta = v - g->mean;
        g->mean += delta / g->n;
        g->value += delta * (v - g->mean);
        break;
    }
    default: /* count */
        break;
    }
}

static double gathered_value(const struct gathered *g, enum vector_op op)
{
    switch (op) {
    case VECTOR_AVG:
        return g->mean;
    case VECTOR_COUNT:
        return g->n;
    case VECTOR_STDDEV:
        return sqrt(g->value / g->n);
    case VECTOR_STDVAR:
        return g->value / g->n;
    default:
        return g->value;
    }
}

/* One group of many series into one series; `steps` is zeroed scratch, left zeroed. */
static int fold_group(struct evaluator *ev, enum vector_op op, const struct matrix *in,
                      const uint32_t *members, size_t n, struct gathered *steps,
                      struct matrix_series *ret, struct error *err)
{
    size_t n_points = 0;
    for (size_t i = 0; i < n; i++) {
        const struct matrix_series *s = &in->items[members[i]];
        for (size_t j = 0; j < s->n; j++) {
            struct gathered *g = &steps[s->points[j].step];
            n_points += g->n == 0;
            gather(g, op, s->points[j].value);
        }
    }
    struct point *points = evaluator_alloc(ev, n_points, sizeof *points, err);
    if (points == NULL)
        return E_LIMIT;
    size_t at = 0;
    for (size_t k = 0; k < ev->n_steps; k++) {
        if (steps[k].n == 0)
            continue;
        points[at++] = (struct point){(uint32_t)k, gathered_value(&steps[k], op)};
        steps[k] = (struct gathered){0};
    }
    ret->points = points;
    ret->n = n_points;
    return 0;
}

static int fold(struct evaluator *ev, enum vector_op op, const struct matrix *in,
                const struct label_groups *groups, const struct group_members *m,
                struct matrix *ret, struct error *err)
{
    struct matrix_series *out = evaluator_alloc(ev, m->n_groups, sizeof *out, err);
    if (out == NULL)
        return E_LIMIT;
    struct gathered *steps = mem_array(ev->n_steps, sizeof *steps);
    int rc = 0;
    for (size_t g = 0; g < m->n_groups && rc == 0; g++) {
        const struct labels *ls = &groups->items.items[g].labels;
        out[g].labels = groups->is_without ? labels_without_empty(ev->arena, ls) : *ls;
        rc = fold_group(ev, op, in, m->members + m->first[g], m->first[g + 1] - m->first[g], steps,
                        &out[g], err);
    }
    mem_free(steps);
    *ret = (struct matrix){out, m->n_groups};
    return rc;
}

/* ---- topk, bottomk, sort ---- */

struct candidate {
    double value;
    uint32_t series; /* index into the matrix: ties keep this order */
    uint32_t point;
};

/* Ascending, NaN last. */
static int cmp_ascending(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (isnan(x->value) != isnan(y->value))
        return isnan(x->value) ? 1 : -1;
    if (x->value != y->value && !isnan(x->value))
        return x->value < y->value ? -1 : 1;
    return x->series < y->series ? -1 : 1;
}

static int cmp_descending(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (isnan(x->value) != isnan(y->value))
        return isnan(x->value) ? 1 : -1;
    if (x->value != y->value && !isnan(x->value))
        return x->value > y->value ? -1 : 1;
    return x->series < y->series ? -1 : 1;
}

static bool is_descending(enum vector_op op)
{
    return op == VECTOR_TOPK || op == VECTOR_SORT_DESC;
}

/* The points of a group by step: candidates[first[k] .. first[k + 1]). */
struct by_step {
    uint32_t *first; /* n_steps + 2 */
    struct candidate *candidates;
};

static void sort_by_step(const struct evaluator *ev, const struct matrix *in,
                         const uint32_t *members, size_t n, struct by_step *b)
{
    for (size_t k = 0; k < ev->n_steps + 2; k++)
        b->first[k] = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < in->items[members[i]].n; j++)
            b->first[in->items[members[i]].points[j].step + 2]++;
    for (size_t k = 2; k < ev->n_steps + 2; k++)
        b->first[k] += b->first[k - 1];
    for (size_t i = 0; i < n; i++) {
        const struct matrix_series *s = &in->items[members[i]];
        for (size_t j = 0; j < s->n; j++)
            b->candidates[b->first[s->points[j].step + 1]++] =
                (struct candidate){s->points[j].value, members[i], (uint32_t)j};
    }
}

/* Marks the points that are among the best k of their step.  `chosen[i]` counts those of series i,
 * kept[offset[i] + j] marks its point j.  `order` receives the series of step 0 in order of value.
 */
struct choice {
    size_t *offset;
    unsigned char *kept;
    uint32_t *order;
    size_t n_order;
};

static void choose(const struct evaluator *ev, const struct expr *e, struct by_step *b,
                   struct choice *c)
{
    enum vector_op op = e->vector_agg.op;
    size_t max =
        op == VECTOR_SORT || op == VECTOR_SORT_DESC ? SIZE_MAX : (size_t)e->vector_agg.param;
    for (size_t k = 0; k < ev->n_steps; k++) {
        struct candidate *at = b->candidates + b->first[k];
        size_t n = b->first[k + 1] - b->first[k];
        if (n > 1 && (n > max || ev->n_steps == 1))
            qsort(at, n, sizeof *at, is_descending(op) ? cmp_descending : cmp_ascending);
        for (size_t i = 0; i < MIN(n, max); i++) {
            c->kept[c->offset[at[i].series] + at[i].point] = 1;
            if (ev->n_steps == 1)
                c->order[c->n_order++] = at[i].series;
        }
    }
}

/* The series with the points that were kept; in order of value if there is one step only. */
static int take_chosen(struct evaluator *ev, const struct matrix *in, const struct choice *c,
                       struct matrix *ret, struct error *err)
{
    size_t max = ev->n_steps == 1 ? c->n_order : in->n;
    struct matrix_series *out = evaluator_alloc(ev, max, sizeof *out, err);
    if (out == NULL)
        return E_LIMIT;
    size_t len = 0;
    for (size_t i = 0; i < max; i++) {
        size_t at = ev->n_steps == 1 ? c->order[i] : i, n = 0;
        const struct matrix_series *s = &in->items[at];
        const unsigned char *kept = c->kept + c->offset[at];
        for (size_t j = 0; j < s->n; j++)
            n += kept[j];
        if (n == 0)
            continue;
        struct point *points = evaluator_alloc(ev, n, sizeof *points, err);
        if (points == NULL)
            return E_LIMIT;
        n = 0;
        for (size_t j = 0; j < s->n; j++)
            if (kept[j])
                points[n++] = s->points[j];
        out[len++] = (struct matrix_series){s->labels, points, n};
    }
    *ret = (struct matrix){out, len};
    return 0;
}

static int rank(struct evaluator *ev, const struct expr *e, const struct matrix *in,
                const struct group_members *m, struct matrix *ret, struct error *err)
{
    size_t total = 0;
    struct choice c = {.offset = mem_array(in->n + 1, sizeof(size_t)),
                       .order = mem_array(in->n + 1, sizeof(uint32_t))};
    for (size_t i = 0; i < in->n; i++) {
        c.offset[i] = total;
        total += in->items[i].n;
    }
    c.kept = mem_array(total + 1, 1);
    struct by_step b = {.first = mem_array(ev->n_steps + 2, sizeof(uint32_t)),
                        .candidates = mem_array(total + 1, sizeof(struct candidate))};
    for (size_t g = 0; g < m->n_groups; g++) {
        sort_by_step(ev, in, m->members + m->first[g], m->first[g + 1] - m->first[g], &b);
        choose(ev, e, &b, &c);
    }
    int rc = take_chosen(ev, in, &c, ret, err);
    mem_free(b.first);
    mem_free(b.candidates);
    mem_free(c.offset);
    mem_free(c.order);
    mem_free(c.kept);
    return rc;
}

int vector_agg_eval(struct evaluator *ev, const struct expr *e, const struct matrix *in,
                    struct matrix *ret, struct error *err)
{
    const struct grouping *by = &e->vector_agg.grouping;
    struct label_groups groups;
    label_groups_init(&groups, ev->arena, by->labels, by->n, by->is_without);
    uint32_t *of = ARENA_ARRAY(ev->arena, uint32_t, in->n + 1);
    for (size_t i = 0; i < in->n; i++)
        of[i] = label_groups_of(&groups, &in->items[i].labels);
    struct group_members m = group_members_make(ev->arena, of, in->n, groups.items.len);
    int rc;
    switch (e->vector_agg.op) {
    case VECTOR_TOPK:
    case VECTOR_BOTTOMK:
    case VECTOR_SORT:
    case VECTOR_SORT_DESC:
        rc = rank(ev, e, in, &m, ret, err);
        break;
    default:
        rc = fold(ev, e->vector_agg.op, in, &groups, &m, ret, err);
        break;
    }
    label_groups_deinit(&groups);
    return rc;
}
