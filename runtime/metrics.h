/* runtime/metrics.h - counters, gauges and histograms, and their Prometheus text.
 *
 * The registry is the one piece of global mutable state.  A family is registered once; a label set
 * resolves to a cell once (metric_with, takes a lock); hot paths only add to the cell, a relaxed
 * atomic, from any thread.  Cells live as long as the process unless removed. */
#pragma once
#include "base/buf.h"
#include "base/str.h"

struct metric_family;
struct metric; /* a cell */

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* Registers a family; the same name twice gives the same family.  label_names: NULL-terminated list
 * or NULL; buckets (histograms): ascending upper bounds, ended by a negative or zero number after
 * the last; NULL gives Prometheus' defaults.  Strings are not copied: literals. */
struct metric_family *metric_family(const char *name, enum metric_type type, const char *help,
                                    const char *const *label_names, const double *buckets);
/* The same for names made at run time (promtail's metrics stage): copies everything. */
struct metric_family *metric_family_dynamic(str name, enum metric_type type, str help,
                                            const str *label_names, size_t n_labels,
                                            const double *buckets);
/* The cell for these label values (as many as names), made if new; copies the values. */
struct metric *metric_with(struct metric_family *f, const str *values, size_t n);
#define metric_with1(f, a)       metric_with((f), (const str[]){a}, 1)
#define metric_with2(f, a, b)    metric_with((f), (const str[]){a, b}, 2)
#define metric_with3(f, a, b, c) metric_with((f), (const str[]){a, b, c}, 3)
/* The only cell of a family without labels. */
struct metric *metric_single(struct metric_family *f);
/* Takes a cell out of the registry (a file that is gone); the pointer must not be used after. */
void metric_remove(struct metric_family *f, const str *values, size_t n);

/* A family whose cells bring label names of their own (promtail's metrics stage).  `buckets`:
 * n_buckets ascending finite bounds; none gives Prometheus' defaults.  Everything is copied.  NULL
 * if cells of another kind are shown under this name. */
struct metric_family *metric_family_open(str name, enum metric_type type, str help,
                                         const double *buckets, size_t n_buckets);
struct metric_label {
    str name, value;
};
/* The cell for these labels (sorted by name), made if new.  Each call is one reference, given back
 * by metric_release(); with the last one the cell goes. */
struct metric *metric_with_labels(struct metric_family *f, const struct metric_label *labels,
                                  size_t n);
void metric_release(struct metric *m);

void metric_add(struct metric *m, double v); /* counter or gauge */
void metric_inc(struct metric *m);
void metric_set(struct metric *m, double v);     /* gauge */
void metric_observe(struct metric *m, double v); /* histogram */
double metric_value(const struct metric *m);

/* A second name under which the same family is shown (loge_x served as loki_x too). */
void metric_alias(struct metric_family *f, const char *other_name);
/* Called before each scrape, to set gauges. */
void metrics_on_scrape(void (*fn)(void *arg), void *arg);
void metrics_off_scrape(void (*fn)(void *arg), void *arg); /* the pair is called no more */
/* All families in Prometheus text format 0.0.4, with process_* of this process. */
void metrics_write(struct buf *out);
