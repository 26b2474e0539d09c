/* The end of a metric query: the shards' series become matrices, the tree is evaluated over them,
 * and the outcome becomes the answer. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "logql/engine/internal.h"
#include "logql/engine/matrix.h"

/* ---- leaves ---- */

static int pipeline_error(const struct sample_error *e, struct error *err)
{
    struct buf text;
    buf_init(&text, ERROR_TEXT_MAX);
    str kind = labels_get(&e->labels, STR("__error__"));
    buf_printf(&text, "pipeline error: '%.*s' for series: '", STR_ARG(kind));
    labels_print(&e->labels, &text);
    buf_printf(&text,
               "'.\nUse a label filter to intentionally skip this error. (e.g | "
               "__error__!=\"%.*s\").\nTo skip all potential errors you can match empty "
               "errors.(e.g __error__=\"\")\nThe label filter can also be specified after unwrap. "
               "(e.g | unwrap latency | __error__=\"\" )\n",
               STR_ARG(kind));
    int rc = error_set(err, E_INVALID, "%s", buf_c(&text));
    buf_deinit(&text);
    return rc;
}

static const struct sample_error *first_failed_sample(const struct engine_query *q,
                                                      const struct leaf *leaf)
{
    const struct sample_error *first = NULL;
    for (size_t i = 0; i < leaf->n_shards; i++) {
        const struct sample_error *e = &q->shards[leaf->first_shard + i].failed_sample;
        if (!e->is_set)
            continue;
        if (first == NULL || e->ts_ns < first->ts_ns ||
            (e->ts_ns == first->ts_ns && labels_cmp(&e->labels, &first->labels) < 0))
            first = e;
    }
    return first;
}

/* Joins the tables of all shards of a leaf into the first one's. */
static struct series_table *join_tables(struct engine_query *q, const struct leaf *leaf)
{
    struct shard *shards = &q->shards[leaf->first_shard];
    if (leaf->n_shards == 0)
        return NULL;
    struct series_table *all = shards[0].series;
    for (size_t i = 1; i < leaf->n_shards; i++) {
        struct series_table *t = shards[i].series;
        for (size_t j = 0; t != NULL && j < t->items.len; j++) {
            struct series *from = t->items.items[j];
            series_join(all, series_table_get(all, &from->labels, from->hash), from);
        }
        series_table_free(t);
        shards[i].series = NULL;
    }
    if (all != NULL)
        series_table_sort(all);
    return all;
}

/* The end of the run of ascending times that begins at `from`. */
static size_t run_end(const struct sample *s, size_t from, size_t n)
{
    size_t to = from + 1;
    while (to < n && s[to].ts_ns >= s[to - 1].ts_ns)
        to++;
    return to;
}

static void merge_runs(const struct sample *a, size_t n_a, const struct sample *b, size_t n_b,
                       struct sample *out)
{
    while (n_a > 0 && n_b > 0) {
        if (b->ts_ns < a->ts_ns) {
            *out++ = *b++;
            n_b--;
        } else {
            *out++ = *a++;
            n_a--;
        }
    }
    memcpy(out, a, n_a * sizeof *a);
    memcpy(out + n_a, b, n_b * sizeof *b);
}

/* Samples come one stream after the other, each in order of time: a few long runs, merged pairwise
 * until one is left.  Equal times keep the order of streams, which no cutting into shards changes.
 */
static void sort_samples(struct series *s)
{
    size_t n = s->samples.len;
    if (n == 0 || run_end(s->samples.items, 0, n) == n)
        return;
    struct sample *from = s->samples.items, *to = mem_array(n, sizeof *to);
    for (bool is_done = false; !is_done;) {
        is_done = true;
        for (size_t i = 0; i < n;) {
            size_t mid = run_end(from, i, n), end = mid < n ? run_end(from, mid, n) : n;
            merge_runs(from + i, mid - i, from + mid, end - mid, to + i);
            is_done = is_done && end == n && i == 0;
            i = end;
        }
        struct sample *t = from;
        from = to;
        to = t;
    }
    if (from != s->samples.items)
        memcpy(s->samples.items, from, n * sizeof *from);
    mem_free(from == s->samples.items ? to : from);
}

/* Scratch of the sliding windows, as large as the largest series needs. */
struct slide_scratch {
    struct point *points;
    struct cell *stack;
    double *values;
    size_t n;
};

static size_t slide(const struct window_plan *w, struct series *s, struct slide_scratch *x)
{
    size_t n = MAX(s->cells.len, s->samples.len);
    if (n > x->n) {
        x->n = n;
        x->stack = mem_realloc(x->stack, n * sizeof *x->stack);
        x->values = mem_realloc(x->values, n * sizeof *x->values);
    }
    if (w->kind == CELL_SAMPLES) {
        sort_samples(s);
        return window_slide_samples(w, s->samples.items, s->samples.len, x->values, x->points);
    }
    return window_slide_cells(w, s->cells.items, s->cells.len, x->stack, x->points);
}

static int slide_all(struct evaluator *ev, const struct leaf *leaf, struct series_table *t,
                     struct matrix *ret, struct error *err)
{
    size_t n = t == NULL ? 0 : t->items.len;
    struct matrix_series *out = evaluator_alloc(ev, n, sizeof *out, err);
    if (out == NULL)
        return E_LIMIT;
    struct slide_scratch x = {.points = mem_array(ev->n_steps, sizeof(struct point))};
    size_t len = 0;
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct series *s = t->items.items[i];
        size_t n_points = slide(&leaf->window, s, &x);
        struct point *points =
            n_points == 0 ? NULL : evaluator_alloc(ev, n_points, sizeof *points, err);
        rc = n_points > 0 && points == NULL ? E_LIMIT : 0;
        for (size_t j = 0; points != NULL && j < n_points; j++)
            points[j] = x.points[j];
        if (points != NULL)
            out[len++] = (struct matrix_series){s->labels, points, n_points};
    }
    mem_free(x.points);
    mem_free(x.stack);
    mem_free(x.values);
    *ret = (struct matrix){out, len};
    return rc;
}

/* ---- absent_over_time ---- */

/* What an equality matcher demands, unless the name is matched in any other way too. */
static struct labels absent_labels(struct arena *a, const struct log_expr *log)
{
    struct label *items = ARENA_ARRAY(a, struct label, log->n_matchers);
    size_t n = 0;
    for (size_t i = 0; i < log->n_matchers; i++) {
        const struct matcher *m = log->matchers[i];
        bool is_single = m->op == MATCH_EQ && !str_eq(m->name, STR("__name__"));
        for (size_t j = 0; j < log->n_matchers; j++)
            is_single = is_single && (i == j || !str_eq(log->matchers[j]->name, m->name));
        if (is_single)
            items[n++] = (struct label){m->name, m->value};
    }
    n = labels_normalize(items, n);
    return (struct labels){items, n};
}

/* 1 at every step at which there is nothing. */
static int absent(struct evaluator *ev, const struct leaf *leaf, const struct matrix *found,
                  struct matrix *ret, struct error *err)
{
    struct point *points = evaluator_alloc(ev, ev->n_steps, sizeof *points, err);
    struct matrix_series *out = evaluator_alloc(ev, 1, sizeof *out, err);
    if (points == NULL || out == NULL)
        return E_LIMIT;
    unsigned char *present = mem_array(ev->n_steps, 1);
    for (size_t i = 0; i < found->n; i++)
        for (size_t j = 0; j < found->items[i].n; j++)
            present[found->items[i].points[j].step] = 1;
    size_t n = 0;
    for (size_t k = 0; k < ev->n_steps; k++)
        if (!present[k])
            points[n++] = (struct point){(uint32_t)k, 1};
    mem_free(present);
    out[0] = (struct matrix_series){absent_labels(ev->arena, leaf->log), points, n};
    *ret = (struct matrix){out, n > 0};
    return 0;
}

static int eval_leaf(struct evaluator *ev, struct matrix *ret, struct error *err)
{
    const struct leaf *leaf = &ev->query->leaves[ev->next_leaf++];
    const struct sample_error *failed = first_failed_sample(ev->query, leaf);
    if (failed != NULL)
        return pipeline_error(failed, err);
    struct series_table *t = join_tables(ev->query, leaf);
    int rc = slide_all(ev, leaf, t, ret, err);
    if (rc != 0 || leaf->window.op != RANGE_ABSENT_OVER_TIME)
        return rc;
    struct matrix found = *ret;
    return absent(ev, leaf, &found, ret, err);
}

/* ---- the tree ---- */

/* The same value at every step, without labels. */
static int eval_constant(struct evaluator *ev, double value, struct matrix *ret, struct error *err)
{
    struct point *points = evaluator_alloc(ev, ev->n_steps, sizeof *points, err);
    struct matrix_series *out = evaluator_alloc(ev, 1, sizeof *out, err);
    if (points == NULL || out == NULL)
        return E_LIMIT;
    for (size_t k = 0; k < ev->n_steps; k++)
        points[k] = (struct point){(uint32_t)k, value};
    out[0] = (struct matrix_series){LABELS_EMPTY, points, ev->n_steps};
    *ret = (struct matrix){out, 1};
    return 0;
}

static int eval(struct evaluator *ev, const struct expr *e, struct matrix *ret, struct error *err);

static int eval_binary(struct evaluator *ev, const struct expr *e, struct matrix *ret,
                       struct error *err)
{
    const struct expr *l = e->binary.left, *r = e->binary.right;
    struct matrix left, right;
    int rc;
    if (l->kind == EXPR_LITERAL) {
        rc = eval(ev, r, &right, err);
        return rc != 0 ? rc : binop_eval_number(ev, e, &right, l->number, true, ret, err);
    }
    rc = eval(ev, l, &left, err);
    if (rc != 0)
        return rc;
    if (r->kind == EXPR_LITERAL)
        return binop_eval_number(ev, e, &left, r->number, false, ret, err);
    rc = eval(ev, r, &right, err);
    return rc != 0 ? rc : binop_eval_vectors(ev, e, &left, &right, ret, err);
}

/* The tree is at most LOGQL_DEPTH_MAX deep. */
static int eval(struct evaluator *ev, const struct expr *e, struct matrix *ret, struct error *err)
{
    struct matrix in;
    int rc;
    switch (e->kind) {
    case EXPR_RANGE_AGG:
        return eval_leaf(ev, ret, err);
    case EXPR_VECTOR_AGG:
        rc = eval(ev, e->vector_agg.inner, &in, err);
        return rc != 0 ? rc : vector_agg_eval(ev, e, &in, ret, err);
    case EXPR_LABEL_REPLACE:
        rc = eval(ev, e->label_replace.inner, &in, err);
        return rc != 0 ? rc : label_replace_eval(ev, e, &in, ret, err);
    case EXPR_BINARY:
        return eval_binary(ev, e, ret, err);
    case EXPR_LITERAL:
    case EXPR_VECTOR:
        return eval_constant(ev, e->number, ret, err);
    default:
        return error_set(err, E_UNSUPPORTED, "unexpected expression in a metric query");
    }
}

/* ---- the answer ---- */

/* True if sort or sort_desc stands anywhere: then Loki leaves an instant answer in its order. */
static bool has_sort(const struct expr *e)
{
    switch (e->kind) {
    case EXPR_VECTOR_AGG:
        return e->vector_agg.op == VECTOR_SORT || e->vector_agg.op == VECTOR_SORT_DESC ||
               has_sort(e->vector_agg.inner);
    case EXPR_LABEL_REPLACE:
        return has_sort(e->label_replace.inner);
    case EXPR_BINARY:
        return has_sort(e->binary.left) || has_sort(e->binary.right);
    default:
        return false;
    }
}

static int series_limit(size_t max, struct error *err)
{
    return error_set(err, E_LIMIT,
                     "maximum number of series (%zu) reached for a single query; consider reducing "
                     "query cardinality by adding more specific stream selectors, reducing the "
                     "time range, or aggregating results with functions like sum(), count() or "
                     "topk()",
                     max);
}

static int cmp_series(const void *a, const void *b)
{
    const struct matrix_series *x = a, *y = b;
    int c = labels_cmp(&x->labels, &y->labels);
    if (c != 0)
        return c;
    return x->points[0].step < y->points[0].step ? -1 : x->points[0].step > y->points[0].step;
}

static int cmp_points(const void *a, const void *b)
{
    const struct engine_point *x = a, *y = b;
    return x->ts_ms < y->ts_ms ? -1 : x->ts_ms > y->ts_ms;
}

static int64_t step_ms(const struct engine_query *q, uint32_t step)
{
    return (q->start_ns + (int64_t)step * q->params.step_ns) / 1000000;
}

/* Series with equal labels, [from, to) of the sorted matrix, as one. */
static int join_equal(struct evaluator *ev, const struct matrix *m, size_t from, size_t to,
                      struct engine_series *ret, struct error *err)
{
    size_t n = 0, at = 0;
    for (size_t i = from; i < to; i++)
        n += m->items[i].n;
    struct engine_point *points = evaluator_alloc(ev, n, sizeof *points, err);
    if (points == NULL)
        return E_LIMIT;
    for (size_t i = from; i < to; i++)
        for (size_t j = 0; j < m->items[i].n; j++) {
            const struct point *p = &m->items[i].points[j];
            points[at++] = (struct engine_point){step_ms(ev->query, p->step), p->value};
        }
    if (to - from > 1)
        qsort(points, n, sizeof *points, cmp_points);
    *ret = (struct engine_series){m->items[from].labels, points, n};
    ev->query->result_points += n;
    return 0;
}

static int make_series(struct evaluator *ev, struct matrix *m, struct engine_result *ret,
                       struct error *err)
{
    struct engine_query *q = ev->query;
    bool is_vector = q->params.is_instant;
    size_t max = q->params.limits.series_max, len = 0;
    if (m->n > 1 && !(is_vector && has_sort(q->expr)))
        qsort(m->items, m->n, sizeof *m->items, cmp_series);
    struct engine_series *out = evaluator_alloc(ev, m->n, sizeof *out, err);
    if (out == NULL)
        return E_LIMIT;
    for (size_t i = 0, j; i < m->n; i = j) {
        for (j = i + 1; j < m->n && !is_vector; j++)
            if (!labels_eq(&m->items[i].labels, &m->items[j].labels))
                break;
        int rc = join_equal(ev, m, i, j, &out[len++], err);
        if (rc != 0)
            return rc;
    }
    if (max > 0 && len > max)
        return series_limit(max, err);
    ret->kind = is_vector ? ENGINE_VECTOR : ENGINE_MATRIX;
    ret->series = out;
    ret->n_series = q->result_series = len;
    return 0;
}

int eval_finish(struct engine_query *q, struct engine_result *ret, struct error *err)
{
    struct evaluator ev = {.arena = &q->arena, .n_steps = q->n_steps, .query = q};
    if (q->expr->kind == EXPR_LITERAL && q->params.is_instant) {
        ret->kind = ENGINE_SCALAR;
        ret->scalar = q->expr->number;
        ret->scalar_ms = q->start_ns / 1000000;
        return 0;
    }
    struct matrix m;
    int rc = eval(&ev, q->plan, &m, err);
    return rc != 0 ? rc : make_series(&ev, &m, ret, err);
}
