#include "logql/engine/window.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"

static enum cell_kind kind_of(enum range_op op)
{
    switch (op) {
    case RANGE_AVG_OVER_TIME:
        return CELL_MEAN;
    case RANGE_MIN_OVER_TIME:
        return CELL_MIN;
    case RANGE_MAX_OVER_TIME:
        return CELL_MAX;
    case RANGE_STDVAR_OVER_TIME:
    case RANGE_STDDEV_OVER_TIME:
        return CELL_SPREAD;
    case RANGE_FIRST_OVER_TIME:
        return CELL_FIRST;
    case RANGE_LAST_OVER_TIME:
        return CELL_LAST;
    case RANGE_QUANTILE_OVER_TIME:
    case RANGE_RATE_COUNTER:
        return CELL_SAMPLES;
    default:
        return CELL_SUM;
    }
}

void window_plan_init(struct window_plan *w, enum range_op op, bool is_unwrapped, double param,
                      int64_t first_ns, int64_t step_ns, size_t n_steps, int64_t range_ns)
{
    *w = (struct window_plan){.op = op,
                              .kind = kind_of(op),
                              .is_unwrapped = is_unwrapped,
                              .param = param,
                              .first_ns = first_ns,
                              .step_ns = n_steps > 1 ? step_ns : MAX(range_ns, 1),
                              .range_ns = range_ns,
                              .n_steps = n_steps};
    ASSERT(w->step_ns > 0 && range_ns >= 0);
    w->whole = range_ns / w->step_ns;
    w->rest_ns = range_ns % w->step_ns;
}

/* The step in whose period (end_{k-1}, end_k] a time lies; may be negative. */
static int64_t period_of(const struct window_plan *w, int64_t ts_ns)
{
    int64_t d = ts_ns - w->first_ns;
    int64_t q = d / w->step_ns;
    return d > 0 && d % w->step_ns != 0 ? q + 1 : q;
}

bool window_cell(const struct window_plan *w, int64_t ts_ns, int64_t *ret_at, int64_t *from_ns,
                 int64_t *to_ns)
{
    int64_t k = period_of(w, ts_ns);
    int64_t end = w->first_ns + k * w->step_ns, begin = end - w->step_ns;
    if (w->rest_ns == 0) {
        *ret_at = k;
        *from_ns = begin;
        *to_ns = end;
    } else if (ts_ns <= end - w->rest_ns) {
        *ret_at = 2 * k;
        *from_ns = begin;
        *to_ns = end - w->rest_ns;
    } else {
        *ret_at = 2 * k + 1;
        *from_ns = end - w->rest_ns;
        *to_ns = end;
    }
    int64_t first, last, unused;
    window_of_step(w, 0, &first, &unused);
    window_of_step(w, w->n_steps - 1, &unused, &last);
    if (*ret_at < first || *ret_at > last || w->range_ns == 0)
        return false;
    return w->whole > 0 || w->rest_ns == 0 || (*ret_at & 1) != 0; /* between short windows */
}

bool window_sees(const struct window_plan *w, int64_t min_ns, int64_t max_ns)
{
    int64_t at, from, to;
    return window_cell(w, min_ns, &at, &from, &to) || max_ns > to;
}

void window_of_step(const struct window_plan *w, size_t k, int64_t *first, int64_t *last)
{
    int64_t step = (int64_t)k;
    if (w->rest_ns == 0) {
        *first = step - w->whole + 1;
        *last = step;
    } else {
        *first = 2 * (step - w->whole) + 1;
        *last = 2 * step + 1;
    }
}

/* ---- cells ---- */

void cell_start(struct cell *c, enum cell_kind kind, int64_t at, int64_t ts_ns, double value)
{
    *c = (struct cell){.at = at, .a = value};
    switch (kind) {
    case CELL_FIRST:
    case CELL_LAST:
        c->ts_ns = ts_ns;
        break;
    case CELL_SPREAD:
        c->n = 1;
        c->b = value - value; /* 0, or NaN for an infinity, as the running sum has it */
        break;
    default:
        c->n = 1;
        break;
    }
}

/* The mean of two groups.  An infinity stays whatever finite values come, as Loki's running mean
 * keeps it. */
static double mean_join(double mean, double n, double other, double other_n)
{
    if (isinf(mean) && (isfinite(other) || mean == other))
        return mean;
    if (isinf(other) && isfinite(mean))
        return other;
    double total = n + other_n;
    return mean + (other / total * other_n - mean / total * other_n);
}

void cell_add(struct cell *c, enum cell_kind kind, int64_t ts_ns, double value)
{
    switch (kind) {
    case CELL_SUM:
        c->a += value;
        break;
    case CELL_MEAN:
        c->a = mean_join(c->a, c->n, value, 1);
        c->n += 1;
        break;
    case CELL_MIN:
        if (value < c->a || isnan(c->a))
            c->a = value;
        break;
    case CELL_MAX:
        if (value > c->a || isnan(c->a))
            c->a = value;
        break;
    case CELL_SPREAD: {
        double delta = value - c->a;
        c->n += 1;
        c->a += delta / c->n;
        c->b += delta * (value - c->a);
        break;
    }
    case CELL_FIRST:
        if (ts_ns < c->ts_ns) {
            c->ts_ns = ts_ns;
            c->a = value;
        }
        break;
    case CELL_LAST:
        if (ts_ns >= c->ts_ns) {
            c->ts_ns = ts_ns;
            c->a = value;
        }
        break;
    case CELL_SAMPLES:
        break;
    }
}

void cell_join(struct cell *c, enum cell_kind kind, const struct cell *later)
{
    switch (kind) {
    case CELL_MEAN:
        c->a = mean_join(c->a, c->n, later->a, later->n);
        c->n += later->n;
        break;
    case CELL_SPREAD: { /* Chan's */
        double n = c->n + later->n, delta = later->a - c->a;
        c->b += later->b + delta * delta * (c->n * later->n / n);
        c->a += delta * (later->n / n);
        c->n = n;
        break;
    }
    default:
        cell_add(c, kind, later->ts_ns, later->a);
        break;
    }
}

static double seconds(int64_t ns)
{
    return (double)(ns / 1000000000) + (double)(ns % 1000000000) / 1e9;
}

double cell_value(const struct window_plan *w, const struct cell *c)
{
    switch (w->op) {
    case RANGE_RATE:
    case RANGE_BYTES_RATE:
        return c->a / seconds(w->range_ns);
    case RANGE_STDVAR_OVER_TIME:
        return c->b / c->n;
    case RANGE_STDDEV_OVER_TIME:
        return sqrt(c->b / c->n);
    case RANGE_ABSENT_OVER_TIME:
        return 1;
    default:
        return c->a;
    }
}

/* ---- samples ---- */

static void swap(double *a, double *b)
{
    double t = *a;
    *a = *b;
    *b = t;
}

/* With so many items it pays to look for the pivot in a sample first. */
#define SAMPLED_MIN 400

static void select_between(double *v, ptrdiff_t lo, ptrdiff_t hi, ptrdiff_t k);

/* Puts at k an item that is, or nearly is, the one that belongs there: that of a sample of about
 * n^2/3 items around k, a little to the side of the longer rest so that little is left to look at
 * (Floyd and Rivest). */
static void guess_kth(double *v, ptrdiff_t lo, ptrdiff_t hi, ptrdiff_t k)
{
    double n = (double)(hi - lo + 1), before = (double)(k - lo), size = pow(n, 2.0 / 3) / 2;
    double slack = sqrt(log(n) * size * (n - size) / n) / 2;
    if (before < n / 2)
        slack = -slack;
    ptrdiff_t from = k - (ptrdiff_t)(before * size / n - slack);
    ptrdiff_t to = k + (ptrdiff_t)((n - before) * size / n + slack);
    select_between(v, MAX(from, lo), MIN(to, hi), k);
}

/* Moves the items of v[lo .. hi] about until the one that belongs at k is there, none before it is
 * greater and none behind it smaller.  A level of the recursion has n^2/3 of the items of that
 * above it, so there are four at most. */
static void select_between(double *v, ptrdiff_t lo, ptrdiff_t hi, ptrdiff_t k)
{
    while (lo < hi) {
        if (hi - lo > SAMPLED_MIN)
            guess_kth(v, lo, hi, k);
        double pivot = v[k];
        ptrdiff_t i = lo, j = hi;
        while (i <= j) { /* v[lo .. i) <= pivot <= v(j .. hi] */
            while (v[i] < pivot)
                i++;
            while (pivot < v[j])
                j--;
            if (i <= j)
                swap(&v[i++], &v[j--]);
        }
        if (j < k)
            lo = i;
        if (k < i)
            hi = j;
    }
}

/* The k-th smallest of v[0 .. n), none of them NaN; those after k are then not smaller. */
static double select_kth(double *v, size_t n, size_t k)
{
    select_between(v, 0, (ptrdiff_t)n - 1, (ptrdiff_t)k);
    return v[k];
}

/* Puts NaN, which counts as the smallest, to the front; returns how many there are. */
static size_t front_nans(double *v, size_t n)
{
    size_t n_nan = 0;
    for (size_t i = 0; i < n; i++)
        if (isnan(v[i]))
            swap(&v[i], &v[n_nan++]);
    return n_nan;
}

static double quantile(double q, double *v, size_t n)
{
    if (isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    double rank = q * (double)(n - 1);
    size_t lower = (size_t)fmax(0, floor(rank)), n_nan = front_nans(v, n);
    double weight = rank - floor(rank);
    if (lower < n_nan)
        return NAN;
    double low = select_kth(v + n_nan, n - n_nan, lower - n_nan);
    if (lower + 1 >= n)
        return low * (1 - weight) + low * weight;
    double high = v[lower + 1]; /* the smallest of those behind */
    for (size_t i = lower + 2; i < n; i++)
        high = v[i] < high ? v[i] : high;
    return low * (1 - weight) + high * weight;
}

/* Prometheus' rate over counter resets, extrapolated to the window's ends.  Loki hands it times in
 * nanoseconds and the range in milliseconds; the answer keeps that. */
static double counter_rate(const struct window_plan *w, const struct sample *s, size_t n)
{
    if (n < 2)
        return 0;
    double result = s[n - 1].value - s[0].value, last = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i].value < last)
            result += last;
        last = s[i].value;
    }
    double to_start = (double)(w->range_ns / 1000000) / 1000, to_end = 0;
    double sampled = (double)(s[n - 1].ts_ns - s[0].ts_ns) / 1000;
    double between = sampled / (double)(n - 1);
    if (result > 0 && s[0].value >= 0)
        to_start = fmin(to_start, sampled * (s[0].value / result));
    double threshold = between * 1.1, interval = sampled;
    interval += to_start < threshold ? to_start : between / 2;
    interval += to_end < threshold ? to_end : between / 2;
    return result * (interval / sampled) / seconds(w->range_ns);
}

double samples_value(const struct window_plan *w, const struct sample *s, size_t n, double *scratch)
{
    if (w->op == RANGE_RATE_COUNTER)
        return counter_rate(w, s, n);
    for (size_t i = 0; i < n; i++)
        scratch[i] = s[i].value;
    return quantile(w->param, scratch, n);
}

/* ---- sliding ---- */

/* A queue of cells that knows the join of all it holds: two stacks, each item joined into the
 * next at most twice.  `front` lies in stack[0 .. n_front), the item on top is the join of all
 * front ones; `back` is the join of cells that came in since. */
struct slide {
    const struct window_plan *w;
    const struct cell *cells;
    size_t head, mid, tail; /* [head, mid) are in front, [mid, tail) in the back */
    struct cell *stack;     /* stack[i]: join of cells [i, mid) */
    struct cell back;
};

static void slide_push(struct slide *s)
{
    const struct cell *c = &s->cells[s->tail++];
    if (s->mid == s->tail - 1)
        s->back = *c;
    else
        cell_join(&s->back, s->w->kind, c);
}

/* Makes the back the front once the front is used up. */
static void slide_turn(struct slide *s)
{
    for (size_t i = s->tail; i-- > s->mid;) {
        s->stack[i] = s->cells[i];
        if (i + 1 < s->tail)
            cell_join(&s->stack[i], s->w->kind, &s->stack[i + 1]);
    }
    s->mid = s->tail;
}

static double slide_value(const struct slide *s)
{
    if (s->head == s->mid)
        return cell_value(s->w, &s->back);
    struct cell all = s->stack[s->head];
    if (s->mid < s->tail)
        cell_join(&all, s->w->kind, &s->back);
    return cell_value(s->w, &all);
}

/* The first step whose window reaches cell `at`. */
static size_t first_step_of(const struct window_plan *w, int64_t at)
{
    int64_t k = w->rest_ns == 0 ? at : at / 2; /* 2k and 2k + 1 are of period k */
    return k < 0 ? 0 : (size_t)k;
}

size_t window_slide_cells(const struct window_plan *w, const struct cell *cells, size_t n,
                          struct cell *stack, struct point *out)
{
    struct slide s = {.w = w, .cells = cells, .stack = stack};
    size_t n_out = 0;
    for (size_t k = 0; k < w->n_steps; k++) {
        if (s.head == s.tail) { /* nothing in the window: go where something is */
            if (s.tail == n)
                break;
            k = MAX(k, first_step_of(w, cells[s.tail].at));
            if (k >= w->n_steps)
                break;
        }
        int64_t first, last;
        window_of_step(w, k, &first, &last);
        while (s.tail < n && cells[s.tail].at <= last)
            slide_push(&s);
        while (s.head < s.tail && cells[s.head].at < first) {
            if (s.head == s.mid)
                slide_turn(&s);
            s.head++;
        }
        if (s.head < s.tail)
            out[n_out++] = (struct point){(uint32_t)k, slide_value(&s)};
    }
    return n_out;
}

size_t window_slide_samples(const struct window_plan *w, const struct sample *samples, size_t n,
                            double *scratch, struct point *out)
{
    size_t head = 0, tail = 0, n_out = 0;
    for (size_t k = 0; k < w->n_steps && head < n; k++) {
        int64_t end = w->first_ns + (int64_t)k * w->step_ns;
        while (tail < n && samples[tail].ts_ns <= end)
            tail++;
        while (head < tail && samples[head].ts_ns <= end - w->range_ns)
            head++;
        if (head < tail)
            out[n_out++] =
                (struct point){(uint32_t)k, samples_value(w, samples + head, tail - head, scratch)};
    }
    return n_out;
}
