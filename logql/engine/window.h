/* logql/engine/window.h - the windows of a range aggregation, and what falls into them.
 *
 * Step k of a query is evaluated at end_k = first + k * step and sees the samples in
 * (end_k - range, end_k].  The borders of all windows cut time into cells; a sample touches one
 * cell, and a window is a run of cells, so that nothing is looked at once per step.  When range is
 * a multiple of step there is one cell a step; otherwise two: the step's period is cut where a
 * later window begins.  Cells are half open like windows: (from, to]. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "logql/ast.h"

/* How the samples of a cell are kept. */
enum cell_kind {
    CELL_SUM,    /* a: sum (of ones, bytes or values) */
    CELL_MEAN,   /* a: mean, n */
    CELL_MIN,    /* a */
    CELL_MAX,    /* a */
    CELL_SPREAD, /* a: mean, b: sum of squared distances, n: Welford's */
    CELL_FIRST,  /* a: value at ts_ns */
    CELL_LAST,
    CELL_SAMPLES, /* no cells: every sample is needed (quantiles, counters) */
};

struct cell {
    int64_t at; /* index of the cell */
    double a, b;
    union {
        double n;
        int64_t ts_ns;
    };
};

struct sample {
    int64_t ts_ns;
    double value;
};

struct window_plan {
    enum range_op op;
    enum cell_kind kind;
    bool is_unwrapped;
    double param;     /* of quantile_over_time */
    int64_t first_ns; /* end of window 0, offset applied */
    int64_t step_ns, range_ns;
    size_t n_steps;
    /* derived */
    int64_t whole;   /* steps in a range */
    int64_t rest_ns; /* range % step */
};

/* step_ns > 0 unless n_steps is 1; range_ns >= 0. */
void window_plan_init(struct window_plan *w, enum range_op op, bool is_unwrapped, double param,
                      int64_t first_ns, int64_t step_ns, size_t n_steps, int64_t range_ns);

/* The cell of a time; *from_ns (exclusive) and *to_ns (inclusive) are its borders.  False if no
 * window sees it (the borders tell how far that goes). */
bool window_cell(const struct window_plan *w, int64_t ts_ns, int64_t *ret_at, int64_t *from_ns,
                 int64_t *to_ns);
/* True if some window may see samples between two times: what is not worth reading otherwise. */
bool window_sees(const struct window_plan *w, int64_t min_ns, int64_t max_ns);
/* Cells [*first, *last] of step k. */
void window_of_step(const struct window_plan *w, size_t k, int64_t *first, int64_t *last);

void cell_start(struct cell *c, enum cell_kind kind, int64_t at, int64_t ts_ns, double value);
void cell_add(struct cell *c, enum cell_kind kind, int64_t ts_ns, double value);
/* Joins `later` into c; `later` is not before c in time, or in the order of shards. */
void cell_join(struct cell *c, enum cell_kind kind, const struct cell *later);
/* What the range aggregation says of a window that is one cell. */
double cell_value(const struct window_plan *w, const struct cell *c);
/* The same for n samples (at least one) in order of time.  `scratch` has room for n. */
double samples_value(const struct window_plan *w, const struct sample *s, size_t n,
                     double *scratch);

struct point {
    uint32_t step;
    double value;
};

/* Slides over cells (ascending by `at`) and writes a point for each step whose window holds
 * something; `out` has room for n_steps.  `stack` is scratch for n cells.  Returns how many. */
size_t window_slide_cells(const struct window_plan *w, const struct cell *cells, size_t n,
                          struct cell *stack, struct point *out);
/* The same over samples in order of time; `scratch` has room for n. */
size_t window_slide_samples(const struct window_plan *w, const struct sample *samples, size_t n,
                            double *scratch, struct point *out);
