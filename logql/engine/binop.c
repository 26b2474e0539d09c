/* Binary operations: numbers with vectors, vectors with vectors.
 *
 * Vectors are matched by the labels that on (...) or ignoring (...) leave: their signature.  All
 * series of one signature are worked on together, with the "one" side spread over the steps. */
#include <math.h>

#include "base/mem.h"
#include "logql/engine/matrix.h"

/* a op b.  False: a comparison that does not hold. */
static bool apply(enum bin_op op, double a, double b, double *ret)
{
    switch (op) {
    case BIN_ADD:
        *ret = a + b;
        return true;
    case BIN_SUB:
        *ret = a - b;
        return true;
    case BIN_MUL:
        *ret = a * b;
        return true;
    case BIN_DIV: /* Loki: NaN, never an infinity */
        *ret = b == 0 ? NAN : a / b;
        return true;
    case BIN_MOD:
        *ret = b == 0 ? NAN : fmod(a, b);
        return true;
    case BIN_POW:
        *ret = pow(a, b);
        return true;
    case BIN_EQ:
        return a == b;
    case BIN_NE:
        return a != b;
    case BIN_GT:
        return a > b;
    case BIN_GE:
        return a >= b;
    case BIN_LT:
        return a < b;
    case BIN_LE:
        return a <= b;
    default:
        return false;
    }
}

/* The value of `a op b` where `kept` stays if a comparison holds; false: no value. */
static bool combine(const struct expr *e, double a, double b, double kept, double *ret)
{
    bool holds = apply(e->binary.op, a, b, ret);
    if (!bin_op_is_comparison(e->binary.op))
        return true;
    *ret = e->binary.is_bool ? (double)holds : kept;
    return holds || e->binary.is_bool;
}

int binop_eval_number(struct evaluator *ev, const struct expr *e, const struct matrix *in,
                      double number, bool is_number_left, struct matrix *ret, struct error *err)
{
    struct matrix_series *out = evaluator_alloc(ev, in->n, sizeof *out, err);
    if (out == NULL)
        return E_LIMIT;
    size_t len = 0;
    for (size_t i = 0; i < in->n; i++) {
        const struct matrix_series *s = &in->items[i];
        struct point *points = evaluator_alloc(ev, s->n, sizeof *points, err);
        if (points == NULL)
            return E_LIMIT;
        size_t n = 0;
        for (size_t j = 0; j < s->n; j++) {
            double v = s->points[j].value;
            double a = is_number_left ? number : v, b = is_number_left ? v : number;
            points[n].step = s->points[j].step;
            n += combine(e, a, b, v, &points[n].value);
        }
        if (n > 0)
            out[len++] = (struct matrix_series){s->labels, points, n};
    }
    *ret = (struct matrix){out, len};
    return 0;
}

/* ---- vectors ---- */

/* What the "one" side has at a step. */
struct one {
    uint32_t series; /* index + 1; 0: nothing */
    double value;
};

struct matcher_state {
    struct evaluator *ev;
    const struct expr *e;
    const struct vector_matching *vm;
    bool is_swapped; /* group_right: the left vector is the "one" side */
    const struct matrix *many, *one;
    struct one *ones;     /* [n_steps] of the signature at hand */
    unsigned char *taken; /* [n_steps] one-to-one: a series was matched */
    VEC(struct matrix_series) out;
};

static int fail_matching(struct error *err, const char *text)
{
    if (err != NULL)
        err->http = 500;
    return error_set(err, E_INTERNAL, "%s", text);
}

static int spread_one(struct matcher_state *m, const uint32_t *members, size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct matrix_series *s = &m->one->items[members[i]];
        for (size_t j = 0; j < s->n; j++) {
            struct one *o = &m->ones[s->points[j].step];
            if (o->series != 0)
                return fail_matching(
                    err,
                    m->is_swapped
                        ? "found duplicate series on the left hand-side;many-to-many matching "
                          "not allowed: matching labels must be unique on one side"
                        : "found duplicate series on the right hand-side;many-to-many matching "
                          "not allowed: matching labels must be unique on one side");
            *o = (struct one){members[i] + 1, s->points[j].value};
        }
    }
    return 0;
}

static void clear_one(struct matcher_state *m, const uint32_t *members, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct matrix_series *s = &m->one->items[members[i]];
        for (size_t j = 0; j < s->n; j++)
            m->ones[s->points[j].step].series = 0;
    }
}

/* The labels of a result: those of the many side, cut to what was matched on when one-to-one, and
 * the included ones of the one side. */
static struct labels result_labels(const struct matcher_state *m, const struct labels *many,
                                   const struct labels *one)
{
    const struct vector_matching *vm = m->vm;
    struct arena *a = m->ev->arena;
    struct labels base = *many;
    if (vm->card == CARD_ONE_TO_ONE)
        base = labels_grouped(a, many, vm->labels, vm->n_labels, !vm->is_on);
    base = labels_without_empty(a, &base);
    if (vm->n_include == 0)
        return base;
    struct label *add = ARENA_ARRAY(a, struct label, vm->n_include);
    for (size_t i = 0; i < vm->n_include; i++) {
        str value = labels_get(one, vm->include[i]);
        add[i] = (struct label){vm->include[i], value.ptr == NULL ? STR_EMPTY : value};
    }
    return labels_with(a, &base, add, vm->n_include);
}

/* One series of the many side with one series of the one side, at the steps where they meet. */
static int match_pair(struct matcher_state *m, const struct matrix_series *s, uint32_t one,
                      size_t first, struct error *err)
{
    struct point *points = evaluator_alloc(m->ev, s->n - first, sizeof *points, err);
    if (points == NULL)
        return E_LIMIT;
    size_t n = 0;
    for (size_t j = first; j < s->n; j++) {
        const struct one *o = &m->ones[s->points[j].step];
        if (o->series != one)
            continue;
        double a = m->is_swapped ? o->value : s->points[j].value;
        double b = m->is_swapped ? s->points[j].value : o->value;
        points[n].step = s->points[j].step;
        n += combine(m->e, a, b, a, &points[n].value);
    }
    if (n > 0) {
        struct labels ls = result_labels(m, &s->labels, &m->one->items[one - 1].labels);
        VEC_PUSH(&m->out, (struct matrix_series){ls, points, n});
    }
    return 0;
}

/* One-to-one: two series of the many side must not meet the same one at a step. */
static int check_one_to_one(struct matcher_state *m, const struct matrix_series *s,
                            struct error *err)
{
    for (size_t j = 0; j < s->n; j++) {
        uint32_t k = s->points[j].step;
        if (m->ones[k].series == 0)
            continue;
        if (m->taken[k])
            return fail_matching(err, "multiple matches for labels: many-to-one matching must be "
                                      "explicit (group_left/group_right)");
        m->taken[k] = 1;
    }
    return 0;
}

/* Many-to-one: results of one signature and step must differ in their labels. */
static int check_unique(const struct matcher_state *m, size_t from, struct error *err)
{
    for (size_t i = from; i < m->out.len; i++)
        for (size_t j = i + 1; j < m->out.len; j++) {
            const struct matrix_series *x = &m->out.items[i], *y = &m->out.items[j];
            if (!labels_eq(&x->labels, &y->labels))
                continue;
            for (size_t p = 0, q = 0; p < x->n && q < y->n;) {
                if (x->points[p].step == y->points[q].step)
                    return fail_matching(err, "multiple matches for labels: grouping labels must "
                                              "ensure unique matches");
                if (x->points[p].step < y->points[q].step)
                    p++;
                else
                    q++;
            }
        }
    return 0;
}

/* A series of the many side with whatever the one side has, which may change between steps. */
static int match_series(struct matcher_state *m, const struct matrix_series *s, struct error *err)
{
    VEC(uint32_t) met = {0};
    int rc = m->vm->card == CARD_ONE_TO_ONE ? check_one_to_one(m, s, err) : 0;
    uint32_t last = 0;
    for (size_t j = 0; j < s->n && rc == 0; j++) {
        uint32_t one = m->ones[s->points[j].step].series;
        if (one == 0 || one == last)
            continue;
        last = one;
        bool is_new = true;
        for (size_t i = 0; i < met.len; i++)
            is_new = is_new && met.items[i] != one;
        if (is_new) {
            VEC_PUSH(&met, one);
            rc = match_pair(m, s, one, j, err);
        }
    }
    VEC_FREE(&met);
    return rc;
}

static int match_signature(struct matcher_state *m, const uint32_t *many, size_t n_many,
                           const uint32_t *one, size_t n_one, struct error *err)
{
    size_t from = m->out.len;
    int rc = spread_one(m, one, n_one, err);
    for (size_t i = 0; i < n_many && rc == 0; i++)
        rc = match_series(m, &m->many->items[many[i]], err);
    if (rc == 0 && m->vm->card != CARD_ONE_TO_ONE)
        rc = check_unique(m, from, err);
    clear_one(m, one, n_one);
    for (size_t i = 0; i < n_many; i++)
        for (size_t j = 0; j < m->many->items[many[i]].n; j++)
            m->taken[m->many->items[many[i]].points[j].step] = 0;
    return rc;
}

/* ---- and, or, unless ---- */

/* The points of s at steps where `present` is, or is not, set. */
static int filter_points(struct matcher_state *m, const struct matrix_series *s,
                         const unsigned char *present, bool is_wanted, struct error *err)
{
    struct point *points = evaluator_alloc(m->ev, s->n, sizeof *points, err);
    if (points == NULL)
        return E_LIMIT;
    size_t n = 0;
    for (size_t j = 0; j < s->n; j++)
        if ((present[s->points[j].step] != 0) == is_wanted)
            points[n++] = s->points[j];
    if (n > 0)
        VEC_PUSH(&m->out, (struct matrix_series){s->labels, points, n});
    return 0;
}

/* Marks (or unmarks) the steps at which some of the series has a point. */
static void mark(const struct matrix *x, const uint32_t *members, size_t n, unsigned char *present,
                 unsigned char value)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < x->items[members[i]].n; j++)
            present[x->items[members[i]].points[j].step] = value;
}

static int set_signature(struct matcher_state *m, const uint32_t *left, size_t n_left,
                         const uint32_t *right, size_t n_right, struct error *err)
{
    enum bin_op op = m->e->binary.op;
    int rc = 0;
    if (op == BIN_OR) {
        for (size_t i = 0; i < n_left; i++)
            VEC_PUSH(&m->out, m->many->items[left[i]]);
        mark(m->many, left, n_left, m->taken, 1);
        for (size_t i = 0; i < n_right && rc == 0; i++)
            rc = filter_points(m, &m->one->items[right[i]], m->taken, false, err);
        mark(m->many, left, n_left, m->taken, 0);
        return rc;
    }
    mark(m->one, right, n_right, m->taken, 1);
    for (size_t i = 0; i < n_left && rc == 0; i++)
        rc = filter_points(m, &m->many->items[left[i]], m->taken, op == BIN_AND, err);
    mark(m->one, right, n_right, m->taken, 0);
    return rc;
}

static uint32_t *group_side(struct arena *a, struct label_groups *g, const struct matrix *x)
{
    uint32_t *of = ARENA_ARRAY(a, uint32_t, x->n + 1);
    for (size_t i = 0; i < x->n; i++)
        of[i] = label_groups_of(g, &x->items[i].labels);
    return of;
}

int binop_eval_vectors(struct evaluator *ev, const struct expr *e, const struct matrix *left,
                       const struct matrix *right, struct matrix *ret, struct error *err)
{
    const struct vector_matching *vm = &e->binary.matching;
    bool is_set = bin_op_is_set(e->binary.op);
    struct matcher_state m = {.ev = ev, .e = e, .vm = vm};
    m.is_swapped = !is_set && vm->card == CARD_ONE_TO_MANY;
    m.many = m.is_swapped ? right : left;
    m.one = m.is_swapped ? left : right;
    m.ones = mem_array(ev->n_steps, sizeof *m.ones);
    m.taken = mem_array(ev->n_steps, 1);

    struct label_groups groups;
    label_groups_init(&groups, ev->arena, vm->labels, vm->n_labels, !vm->is_on);
    uint32_t *of_many = group_side(ev->arena, &groups, m.many);
    uint32_t *of_one = group_side(ev->arena, &groups, m.one);
    size_t n_groups = groups.items.len;
    struct group_members many = group_members_make(ev->arena, of_many, m.many->n, n_groups);
    struct group_members one = group_members_make(ev->arena, of_one, m.one->n, n_groups);
    int rc = 0;
    for (size_t g = 0; g < n_groups && rc == 0; g++) {
        const uint32_t *x = many.members + many.first[g], *y = one.members + one.first[g];
        size_t n_x = many.first[g + 1] - many.first[g], n_y = one.first[g + 1] - one.first[g];
        rc = is_set ? set_signature(&m, x, n_x, y, n_y, err)
                    : match_signature(&m, x, n_x, y, n_y, err);
    }
    if (rc == 0) {
        ret->items = evaluator_alloc(ev, m.out.len, sizeof *ret->items, err);
        ret->n = m.out.len;
        rc = ret->items == NULL ? E_LIMIT : 0;
    }
    for (size_t i = 0; i < m.out.len && rc == 0; i++)
        ret->items[i] = m.out.items[i];
    VEC_FREE(&m.out);
    label_groups_deinit(&groups);
    mem_free(m.ones);
    mem_free(m.taken);
    return rc;
}
