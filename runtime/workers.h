/* runtime/workers.h - the worker pool: threads for what computes or blocks.
 *
 * A job owns its inputs.  `run` is called on a worker, then `done` (may be NULL) on the loop's
 * thread.  The queue is bounded: a full one refuses, and the caller says so to its peer. */
#pragma once
#include <stddef.h>

struct loop;
struct workers;

/* n_threads 0: one a core.  queue_max: jobs waiting. */
struct workers *workers_new(struct loop *l, unsigned n_threads, size_t queue_max);
/* Lets queued jobs finish, joins the threads. */
void workers_free(struct workers *w);
unsigned workers_count(const struct workers *w);
/* 0 or E_FULL (nothing was queued).  Any thread. */
int workers_submit(struct workers *w, void (*run)(void *arg), void (*done)(void *arg), void *arg);
/* Runs fn(arg, 0) ... fn(arg, n - 1) on the pool and on the calling thread, returns when all are
 * done.  For a worker that splits its own job: never waits for a free worker, the caller takes part
 * (so no deadlock when every worker does this). */
void workers_parallel(struct workers *w, void (*fn)(void *arg, size_t i), void *arg, size_t n);
