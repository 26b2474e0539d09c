/* querier/fair_queue.h - which query runs next: tenants in turn, so that one cannot starve another.
 *
 * At most `running_max` jobs are on the worker pool at once; the others wait in a line per tenant.
 * Loop thread only. */
#pragma once
#include "base/str.h"

struct fair_queue;
struct workers;

struct fair_queue *fair_queue_new(struct workers *w, size_t running_max, size_t per_tenant_max);
/* Jobs that still wait are dropped: empty it first.  NULL allowed. */
void fair_queue_free(struct fair_queue *q);

/* Calls run(arg) on a worker when it is the job's turn.  False: the tenant's line is full (429 "too
 * many outstanding requests"), nothing was queued. */
bool fair_queue_add(struct fair_queue *q, str tenant, void (*run)(void *arg), void *arg);
size_t fair_queue_waiting(const struct fair_queue *q);
