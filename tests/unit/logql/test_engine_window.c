#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "logql/engine/series.h"
#include "logql/engine/window.h"

#define S INT64_C(1000000000)

static struct window_plan plan(enum range_op op, int64_t step_s, size_t n_steps, int64_t range_s)
{
    struct window_plan w;
    window_plan_init(&w, op, true, 0.5, 1000 * S, step_s * S, n_steps, range_s * S);
    return w;
}

/* What a window says when every sample in it is looked at. */
static bool direct(const struct window_plan *w, const struct sample *s, size_t n, size_t k,
                   double *ret)
{
    int64_t end = w->first_ns + (int64_t)k * w->step_ns;
    struct cell c;
    size_t n_in = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i].ts_ns <= end - w->range_ns || s[i].ts_ns > end)
            continue;
        if (n_in++ == 0)
            cell_start(&c, w->kind, 0, s[i].ts_ns, s[i].value);
        else
            cell_add(&c, w->kind, s[i].ts_ns, s[i].value);
    }
    if (n_in > 0)
        *ret = cell_value(w, &c);
    return n_in > 0;
}

static size_t run(const struct window_plan *w, const struct sample *s, size_t n, struct point *out)
{
    struct series_table *t = series_table_new(w);
    struct labels none = LABELS_EMPTY;
    struct series *se = series_table_get(t, &none, 1);
    for (size_t i = 0; i < n; i++)
        series_add(t, se, s[i].ts_ns, s[i].value);
    struct cell *stack = mem_array(se->cells.len + 1, sizeof *stack);
    size_t n_out = window_slide_cells(w, se->cells.items, se->cells.len, stack, out);
    mem_free(stack);
    series_table_free(t);
    return n_out;
}

static void check_against_direct(enum range_op op, int64_t step_s, size_t n_steps, int64_t range_s,
                                 bool is_shuffled)
{
    struct window_plan w = plan(op, step_s, n_steps, range_s);
    struct sample s[400];
    uint64_t x = 88172645463325252ull;
    int64_t t = (1000 - range_s - 5) * S;
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        t += (int64_t)(x % 5) * S / 2;
        s[i] = (struct sample){t, (double)(x % 1000) / 8};
    }
    struct point *out = mem_array(n_steps, sizeof *out);
    struct sample in[400];
    for (size_t i = 0; i < ARRAY_LEN(s); i++)
        in[i] = s[is_shuffled ? i * 7 % ARRAY_LEN(s) : i];
    size_t n = run(&w, in, ARRAY_LEN(s), out), at = 0;
    for (size_t k = 0; k < n_steps; k++) {
        double want;
        if (!direct(&w, s, ARRAY_LEN(s), k, &want))
            continue;
        cr_assert_lt(at, n, "%s step %zu is missing", range_op_text(op), k);
        cr_assert_eq(out[at].step, k);
        cr_assert_float_eq(out[at].value, want, fabs(want) * 1e-9 + 1e-9, "%s step %zu: %g, not %g",
                           range_op_text(op), k, out[at].value, want);
        at++;
    }
    cr_assert_eq(at, n);
    mem_free(out);
}

static const enum range_op CELL_OPS[] = {
    RANGE_SUM_OVER_TIME,    RANGE_AVG_OVER_TIME,    RANGE_MIN_OVER_TIME,   RANGE_MAX_OVER_TIME,
    RANGE_STDVAR_OVER_TIME, RANGE_STDDEV_OVER_TIME, RANGE_COUNT_OVER_TIME,
};

Test(logql_engine_window, sliding_gives_what_looking_at_each_window_gives)
{
    for (size_t i = 0; i < ARRAY_LEN(CELL_OPS); i++)
        for (int is_shuffled = 0; is_shuffled < 2; is_shuffled++) {
            check_against_direct(CELL_OPS[i], 10, 40, 60, is_shuffled); /* a multiple */
            check_against_direct(CELL_OPS[i], 10, 40, 25, is_shuffled); /* with a rest */
            check_against_direct(CELL_OPS[i], 10, 40, 10, is_shuffled); /* side by side */
            check_against_direct(CELL_OPS[i], 10, 40, 3, is_shuffled);  /* with gaps */
            check_against_direct(CELL_OPS[i], 0, 1, 300, is_shuffled);  /* instant */
        }
}

Test(logql_engine_window, first_and_last_follow_time_not_arrival)
{
    struct window_plan w = plan(RANGE_FIRST_OVER_TIME, 10, 2, 20);
    struct sample s[] = {{998 * S, 3}, {991 * S, 1}, {1005 * S, 4}, {995 * S, 2}};
    struct point out[2];
    cr_assert_eq(run(&w, s, 4, out), 2);
    cr_assert_eq(out[0].value, 1);
    cr_assert_eq(out[1].value, 1);
    w = plan(RANGE_LAST_OVER_TIME, 10, 2, 20);
    cr_assert_eq(run(&w, s, 4, out), 2);
    cr_assert_eq(out[0].value, 3);
    cr_assert_eq(out[1].value, 4);
}

Test(logql_engine_window, a_window_is_open_at_its_start_and_closed_at_its_end)
{
    struct window_plan w = plan(RANGE_COUNT_OVER_TIME, 10, 1, 10);
    struct sample s[] = {{990 * S, 1}, {990 * S + 1, 1}, {1000 * S, 1}, {1000 * S + 1, 1}};
    struct point out[1];
    cr_assert_eq(run(&w, s, 4, out), 1);
    cr_assert_eq(out[0].value, 2);
}

Test(logql_engine_window, steps_without_samples_have_no_point)
{
    struct window_plan w = plan(RANGE_COUNT_OVER_TIME, 10, 100, 10);
    struct sample s[] = {{1005 * S, 1}, {1905 * S, 1}};
    struct point out[100];
    cr_assert_eq(run(&w, s, 2, out), 2);
    cr_assert_eq(out[0].step, 1);
    cr_assert_eq(out[1].step, 91);
}

Test(logql_engine_window, sees_no_block_that_lies_between_short_windows)
{
    struct window_plan w = plan(RANGE_COUNT_OVER_TIME, 60, 10, 5);
    cr_assert(window_sees(&w, 1056 * S, 1057 * S));
    cr_assert_not(window_sees(&w, 1010 * S, 1020 * S));
    cr_assert(window_sees(&w, 1010 * S, 1056 * S));
}

#define MANY 5000

static double quantile_of(double q, double *v, size_t n)
{
    struct window_plan w = plan(RANGE_QUANTILE_OVER_TIME, 10, 1, 10);
    w.param = q;
    static struct sample s[MANY];
    static double scratch[MANY];
    for (size_t i = 0; i < n; i++)
        s[i] = (struct sample){(int64_t)i, v[i]};
    return samples_value(&w, s, n, scratch);
}

Test(logql_engine_window, quantiles_lie_between_the_two_nearest_samples)
{
    double v[] = {5, 1, 4, 2, 3};
    cr_assert_eq(quantile_of(0, v, 5), 1);
    cr_assert_eq(quantile_of(1, v, 5), 5);
    cr_assert_eq(quantile_of(0.5, v, 5), 3);
    cr_assert_float_eq(quantile_of(0.9, v, 5), 4.6, 1e-12);
    cr_assert_eq(quantile_of(0.3, v, 1), 5);
    cr_assert(isinf(quantile_of(1.5, v, 5)));
    double bad[] = {NAN, 1, 2};
    cr_assert(isnan(quantile_of(0, bad, 3)));
    cr_assert_eq(quantile_of(1, bad, 3), 2);
    for (size_t n = 1; n < 64; n++) { /* against sorting */
        double w[64];
        for (size_t i = 0; i < n; i++)
            w[i] = (double)((i * 37) % n % 7);
        double sorted[64];
        for (size_t i = 0; i < n; i++) {
            size_t j = i;
            for (; j > 0 && sorted[j - 1] > w[i]; j--)
                sorted[j] = sorted[j - 1];
            sorted[j] = w[i];
        }
        for (size_t k = 0; k < n && n > 1; k++)
            cr_assert_float_eq(quantile_of((double)k / (double)(n - 1), w, n), sorted[k], 1e-9,
                               "n %zu k %zu", n, k);
    }
}

static int cmp_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

Test(logql_engine_window, quantiles_of_many_samples_are_those_of_the_sorted_ones)
{
    static double v[MANY], sorted[MANY];
    uint64_t r = 1;
    for (uint64_t kinds = 2; kinds < 1u << 20; kinds *= 7)
        for (size_t n = 300; n <= MANY; n = n * 4 / 3) {
            for (size_t i = 0; i < n; i++) {
                r = r * 6364136223846793005u + 1442695040888963407u;
                v[i] = n % 3 == 0 ? (double)i : (double)((r >> 33) % kinds);
            }
            memcpy(sorted, v, n * sizeof *v);
            qsort(sorted, n, sizeof *v, cmp_doubles);
            for (size_t k = 0; k < n; k += 1 + n / 13)
                cr_assert_float_eq(quantile_of((double)k / (double)(n - 1), v, n), sorted[k], 1e-3,
                                   "n %zu k %zu", n, k);
        }
}

Test(logql_engine_window, an_infinity_stays_the_mean)
{
    struct window_plan w = plan(RANGE_AVG_OVER_TIME, 10, 1, 10);
    struct point out[1];
    struct sample up[] = {{995 * S, INFINITY}, {996 * S, 1}, {997 * S, INFINITY}};
    run(&w, up, 3, out);
    cr_assert(isinf(out[0].value));
    struct sample both[] = {{995 * S, INFINITY}, {996 * S, -INFINITY}};
    run(&w, both, 2, out);
    cr_assert(isnan(out[0].value));
}

Test(logql_engine_window, extremes_pass_over_nan_unless_it_is_all_there_is)
{
    struct window_plan w = plan(RANGE_MAX_OVER_TIME, 10, 1, 10);
    struct point out[1];
    struct sample s[] = {{995 * S, NAN}, {996 * S, 1}, {997 * S, NAN}};
    run(&w, s, 3, out);
    cr_assert_eq(out[0].value, 1);
    run(&w, s, 1, out);
    cr_assert(isnan(out[0].value));
}
