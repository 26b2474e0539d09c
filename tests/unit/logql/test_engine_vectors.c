#include <criterion/criterion.h>
#include <math.h>

#include "base/mem.h"
#include "logql/engine/matrix.h"

static struct arena arena;
static struct evaluator ev;

static void set_up(void)
{
    arena_init(&arena, SIZE_MAX);
    ev = (struct evaluator){.arena = &arena, .n_steps = 3};
}

static void tear_down(void)
{
    arena_deinit(&arena);
}

/* A series with a point at each step whose value is not NAN; NAN_POINT makes a NaN. */
static struct matrix_series series(const char *labels, double a, double b, double c)
{
    struct labels ls;
    cr_assert_eq(labels_parse(str_c(labels), &arena, &ls, NULL), 0);
    double v[3] = {a, b, c};
    struct point *p = ARENA_ARRAY(&arena, struct point, 3);
    size_t n = 0;
    for (uint32_t k = 0; k < 3; k++)
        if (!isnan(v[k]))
            p[n++] = (struct point){k, v[k]};
    return (struct matrix_series){ls, p, n};
}

static const struct matrix_series *find(const struct matrix *m, const char *labels)
{
    struct labels ls;
    labels_parse(str_c(labels), &arena, &ls, NULL);
    for (size_t i = 0; i < m->n; i++)
        if (labels_eq(&m->items[i].labels, &ls))
            return &m->items[i];
    return NULL;
}

static struct expr aggregation(enum vector_op op, int64_t param, const str *by, size_t n)
{
    struct expr e = {.kind = EXPR_VECTOR_AGG};
    e.vector_agg.op = op;
    e.vector_agg.param = param;
    e.vector_agg.grouping = (struct grouping){n > 0, false, by, n};
    return e;
}

static struct expr operation(enum bin_op op, enum vector_card card, bool is_on, const str *labels,
                             size_t n)
{
    struct expr e = {.kind = EXPR_BINARY};
    e.binary.op = op;
    e.binary.matching = (struct vector_matching){
        .card = card, .is_on = is_on, .has_labels = n > 0, .labels = labels, .n_labels = n};
    return e;
}

TestSuite(logql_engine_vectors, .init = set_up, .fini = tear_down);

Test(logql_engine_vectors, sum_by_adds_what_is_there_at_each_step)
{
    struct matrix_series in[] = {series("{a=\"1\",b=\"1\"}", 1, NAN, 3),
                                 series("{a=\"1\",b=\"2\"}", 10, NAN, NAN),
                                 series("{a=\"2\",b=\"1\"}", 5, 5, 5)};
    struct matrix m = {in, 3}, out;
    str by[] = {STR("a")};
    struct expr e = aggregation(VECTOR_SUM, 0, by, 1);
    cr_assert_eq(vector_agg_eval(&ev, &e, &m, &out, NULL), 0);
    cr_assert_eq(out.n, 2);
    const struct matrix_series *s = find(&out, "{a=\"1\"}");
    cr_assert_eq(s->n, 2);
    cr_assert_eq(s->points[0].value, 11);
    cr_assert_eq(s->points[1].step, 2);
    cr_assert_eq(s->points[1].value, 3);
}

Test(logql_engine_vectors, each_aggregation_folds_as_it_says)
{
    struct matrix_series in[] = {series("{a=\"1\"}", 2, 1, 1), series("{a=\"2\"}", 4, 1, 1),
                                 series("{a=\"3\"}", 9, 1, 1)};
    struct matrix m = {in, 3}, out;
    struct {
        enum vector_op op;
        double want;
    } cases[] = {{VECTOR_SUM, 15},
                 {VECTOR_AVG, 5},
                 {VECTOR_MIN, 2},
                 {VECTOR_MAX, 9},
                 {VECTOR_COUNT, 3},
                 {VECTOR_STDVAR, 26.0 / 3},
                 {VECTOR_STDDEV, 2.943920288775949}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct expr e = aggregation(cases[i].op, 0, NULL, 0);
        cr_assert_eq(vector_agg_eval(&ev, &e, &m, &out, NULL), 0);
        cr_assert_eq(out.n, 1);
        cr_assert_eq(out.items[0].labels.n, 0);
        cr_assert_float_eq(out.items[0].points[0].value, cases[i].want, 1e-12);
    }
}

Test(logql_engine_vectors, topk_chooses_anew_at_each_step_and_keeps_labels)
{
    struct matrix_series in[] = {series("{a=\"1\"}", 1, 9, 1), series("{a=\"2\"}", 5, 2, NAN),
                                 series("{a=\"3\"}", 3, 3, 3)};
    struct matrix m = {in, 3}, out;
    struct expr e = aggregation(VECTOR_TOPK, 1, NULL, 0);
    cr_assert_eq(vector_agg_eval(&ev, &e, &m, &out, NULL), 0);
    cr_assert_eq(out.n, 3);
    cr_assert_eq(find(&out, "{a=\"1\"}")->points[0].step, 1);
    cr_assert_eq(find(&out, "{a=\"2\"}")->points[0].step, 0);
    cr_assert_eq(find(&out, "{a=\"3\"}")->points[0].step, 2);
    e = aggregation(VECTOR_BOTTOMK, 2, NULL, 0);
    cr_assert_eq(vector_agg_eval(&ev, &e, &m, &out, NULL), 0);
    cr_assert_eq(find(&out, "{a=\"3\"}")->n, 3);
}

Test(logql_engine_vectors, sort_puts_nan_last_either_way)
{
    ev.n_steps = 1;
    struct matrix_series in[] = {series("{a=\"1\"}", 3, NAN, NAN), series("{a=\"2\"}", 0, NAN, NAN),
                                 series("{a=\"3\"}", 1, NAN, NAN)};
    struct point nan_point = {0, NAN};
    in[1].points = &nan_point;
    struct matrix m = {in, 3}, out;
    struct expr e = aggregation(VECTOR_SORT, 0, NULL, 0);
    cr_assert_eq(vector_agg_eval(&ev, &e, &m, &out, NULL), 0);
    cr_assert_eq(out.items[0].points[0].value, 1);
    cr_assert(isnan(out.items[2].points[0].value));
    e = aggregation(VECTOR_SORT_DESC, 0, NULL, 0);
    cr_assert_eq(vector_agg_eval(&ev, &e, &m, &out, NULL), 0);
    cr_assert_eq(out.items[0].points[0].value, 3);
    cr_assert(isnan(out.items[2].points[0].value));
}

Test(logql_engine_vectors, division_and_modulo_by_zero_are_not_numbers)
{
    struct matrix_series in[] = {series("{a=\"1\"}", 1, 2, 3)};
    struct matrix m = {in, 1}, out;
    struct expr e = operation(BIN_DIV, CARD_ONE_TO_ONE, false, NULL, 0);
    cr_assert_eq(binop_eval_number(&ev, &e, &m, 0, false, &out, NULL), 0);
    cr_assert(isnan(out.items[0].points[0].value));
    e.binary.op = BIN_MOD;
    cr_assert_eq(binop_eval_number(&ev, &e, &m, 0, false, &out, NULL), 0);
    cr_assert(isnan(out.items[0].points[0].value));
}

Test(logql_engine_vectors, a_comparison_filters_and_keeps_the_vectors_value)
{
    struct matrix_series in[] = {series("{a=\"1\"}", 1, 2, 3)};
    struct matrix m = {in, 1}, out;
    struct expr e = operation(BIN_LT, CARD_ONE_TO_ONE, false, NULL, 0);
    cr_assert_eq(binop_eval_number(&ev, &e, &m, 1.5, true, &out, NULL), 0); /* 1.5 < v */
    cr_assert_eq(out.items[0].n, 2);
    cr_assert_eq(out.items[0].points[0].value, 2);
    e.binary.is_bool = true;
    cr_assert_eq(binop_eval_number(&ev, &e, &m, 1.5, true, &out, NULL), 0);
    cr_assert_eq(out.items[0].n, 3);
    cr_assert_eq(out.items[0].points[0].value, 0);
    cr_assert_eq(out.items[0].points[2].value, 1);
}

Test(logql_engine_vectors, one_to_one_on_keeps_only_the_labels_matched_on)
{
    struct matrix_series l[] = {series("{a=\"1\",b=\"x\"}", 6, 6, NAN)};
    struct matrix_series r[] = {series("{a=\"1\",c=\"y\"}", 2, NAN, 2)};
    struct matrix left = {l, 1}, right = {r, 1}, out;
    str on[] = {STR("a")};
    struct expr e = operation(BIN_DIV, CARD_ONE_TO_ONE, true, on, 1);
    cr_assert_eq(binop_eval_vectors(&ev, &e, &left, &right, &out, NULL), 0);
    cr_assert_eq(out.n, 1);
    cr_assert_eq(out.items[0].n, 1);
    cr_assert_eq(out.items[0].points[0].value, 3);
    cr_assert_not_null(find(&out, "{a=\"1\"}"));
}

Test(logql_engine_vectors, duplicates_on_the_one_side_are_refused_with_500)
{
    struct matrix_series l[] = {series("{a=\"1\"}", 1, 1, 1)};
    struct matrix_series r[] = {series("{a=\"1\",c=\"y\"}", 2, NAN, 2),
                                series("{a=\"1\",c=\"z\"}", NAN, 2, 2)};
    struct matrix left = {l, 1}, right = {r, 2}, out;
    str on[] = {STR("a")};
    struct error err = {0};
    struct expr e = operation(BIN_ADD, CARD_ONE_TO_ONE, true, on, 1);
    cr_assert_eq(binop_eval_vectors(&ev, &e, &left, &right, &out, &err), E_INTERNAL);
    cr_assert_eq(error_http(&err), 500);
    cr_assert_str_eq(err.text,
                     "found duplicate series on the right hand-side;many-to-many matching "
                     "not allowed: matching labels must be unique on one side");
    r[1] = series("{a=\"1\",c=\"z\"}", NAN, 2, NAN); /* never at the same step: fine */
    cr_assert_eq(binop_eval_vectors(&ev, &e, &left, &right, &out, NULL), 0);
    cr_assert_eq(out.n, 2);
}

Test(logql_engine_vectors, many_on_the_left_need_group_left)
{
    struct matrix_series l[] = {series("{a=\"1\",b=\"x\"}", 1, 1, 1),
                                series("{a=\"1\",b=\"y\"}", 2, 2, 2)};
    struct matrix_series r[] = {series("{a=\"1\",c=\"z\"}", 10, 10, 10)};
    struct matrix left = {l, 2}, right = {r, 1}, out;
    str on[] = {STR("a")}, include[] = {STR("c")};
    struct error err = {0};
    struct expr e = operation(BIN_MUL, CARD_ONE_TO_ONE, true, on, 1);
    cr_assert_eq(binop_eval_vectors(&ev, &e, &left, &right, &out, &err), E_INTERNAL);
    cr_assert_str_eq(err.text, "multiple matches for labels: many-to-one matching must be explicit "
                               "(group_left/group_right)");
    e.binary.matching.card = CARD_MANY_TO_ONE;
    e.binary.matching.include = include;
    e.binary.matching.n_include = 1;
    cr_assert_eq(binop_eval_vectors(&ev, &e, &left, &right, &out, NULL), 0);
    cr_assert_eq(out.n, 2);
    cr_assert_eq(find(&out, "{a=\"1\",b=\"y\",c=\"z\"}")->points[0].value, 20);
}

Test(logql_engine_vectors, group_right_keeps_the_sides_of_the_operator)
{
    struct matrix_series l[] = {series("{a=\"1\"}", 10, 10, 10)};
    struct matrix_series r[] = {series("{a=\"1\",b=\"x\"}", 1, 1, 1),
                                series("{a=\"1\",b=\"y\"}", 2, 2, 2)};
    struct matrix left = {l, 1}, right = {r, 2}, out;
    str on[] = {STR("a")};
    struct expr e = operation(BIN_SUB, CARD_ONE_TO_MANY, true, on, 1);
    cr_assert_eq(binop_eval_vectors(&ev, &e, &left, &right, &out, NULL), 0);
    cr_assert_eq(find(&out, "{a=\"1\",b=\"y\"}")->points[0].value, 8);
}

Test(logql_engine_vectors, set_operators_go_by_signature_and_step)
{
    struct matrix_series l[] = {series("{a=\"1\"}", 1, 1, 1), series("{a=\"2\"}", 2, 2, 2)};
    struct matrix_series r[] = {series("{a=\"1\"}", 7, NAN, 7), series("{a=\"3\"}", 8, 8, 8)};
    struct matrix left = {l, 2}, right = {r, 2}, out;
    struct expr e = operation(BIN_AND, CARD_ONE_TO_ONE, false, NULL, 0);
    cr_assert_eq(binop_eval_vectors(&ev, &e, &left, &right, &out, NULL), 0);
    cr_assert_eq(out.n, 1);
    cr_assert_eq(out.items[0].n, 2);
    e.binary.op = BIN_UNLESS;
    cr_assert_eq(binop_eval_vectors(&ev, &e, &left, &right, &out, NULL), 0);
    cr_assert_eq(out.n, 2);
    cr_assert_eq(find(&out, "{a=\"1\"}")->points[0].step, 1);
    e.binary.op = BIN_OR;
    cr_assert_eq(binop_eval_vectors(&ev, &e, &left, &right, &out, NULL), 0);
    cr_assert_eq(out.n, 3);
    cr_assert_eq(find(&out, "{a=\"1\"}")->points[0].value, 1);
}

Test(logql_engine_vectors, label_replace_expands_groups_as_go_does)
{
    struct matrix_series in[] = {series("{host=\"h1\"}", 1, 1, 1)};
    struct matrix m = {in, 1}, out;
    struct {
        const char *regex, *replacement, *want;
    } cases[] = {
        {"h(.)", "x$1", "{dst=\"x1\",host=\"h1\"}"},
        {"h(.)", "${1}x", "{dst=\"1x\",host=\"h1\"}"},
        {"h(.)", "$1x", "{host=\"h1\"}"}, /* the group named 1x */
        {"h(?P<num>.)", "<$num>", "{dst=\"<1>\",host=\"h1\"}"},
        {"h(.)", "$$1", "{dst=\"$1\",host=\"h1\"}"},
        {"h(.)", "${1", "{dst=\"${1\",host=\"h1\"}"},
        {"(.)", "no", "{host=\"h1\"}"}, /* anchored */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct expr e = {.kind = EXPR_LABEL_REPLACE};
        e.label_replace.dst = STR("dst");
        e.label_replace.src = STR("host");
        e.label_replace.regex = str_c(cases[i].regex);
        e.label_replace.replacement = str_c(cases[i].replacement);
        cr_assert_eq(label_replace_eval(&ev, &e, &m, &out, NULL), 0);
        cr_assert_not_null(find(&out, cases[i].want), "case %zu", i);
    }
}

Test(logql_engine_vectors, an_empty_label_is_lost_where_a_set_is_built_anew)
{
    struct label items[] = {{STR("a"), STR("1")}, {STR("b"), STR_EMPTY}};
    struct label more[] = {{STR("a"), STR("1")}, {STR("b"), STR_EMPTY}, {STR("c"), STR("2")}};
    struct matrix_series s = series("{a=\"1\"}", 1, 1, 1);
    s.labels = (struct labels){items, 2};
    struct matrix_series t = s;
    t.labels = (struct labels){more, 3};
    struct matrix m = {&s, 1}, n = {&t, 1}, out;
    str names[] = {STR("c")};
    struct expr e = aggregation(VECTOR_SUM, 0, names, 1);
    e.vector_agg.grouping.is_without = true;
    cr_assert_eq(vector_agg_eval(&ev, &e, &n, &out, NULL), 0);
    cr_expect_eq(out.items[0].labels.n, 1u); /* without */
    str kept[] = {STR("a"), STR("b")};
    e = aggregation(VECTOR_SUM, 0, kept, 2);
    cr_assert_eq(vector_agg_eval(&ev, &e, &n, &out, NULL), 0);
    cr_expect_eq(out.items[0].labels.n, 2u); /* but not by */
    e = operation(BIN_ADD, CARD_ONE_TO_ONE, false, names, 1);
    cr_assert_eq(binop_eval_vectors(&ev, &e, &n, &m, &out, NULL), 0);
    cr_expect_eq(out.items[0].labels.n, 1u);
    e = (struct expr){.kind = EXPR_LABEL_REPLACE};
    e.label_replace.dst = STR("d");
    e.label_replace.src = STR("a");
    e.label_replace.replacement = STR("x");
    e.label_replace.regex = STR("1");
    cr_assert_eq(label_replace_eval(&ev, &e, &m, &out, NULL), 0);
    cr_assert_not_null(find(&out, "{a=\"1\",d=\"x\"}"));
    e.label_replace.regex = STR("2"); /* matches nothing: nothing is built */
    cr_assert_eq(label_replace_eval(&ev, &e, &m, &out, NULL), 0);
    cr_expect_eq(out.items[0].labels.n, 2u);
}
