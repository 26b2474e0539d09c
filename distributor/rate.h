/* distributor/rate.h - token buckets: how many bytes a tenant may push. Any thread. */
#pragma once
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct rate_table;

struct rate_table *rate_table_new(void);
void rate_table_free(struct rate_table *t); /* NULL allowed */
/* Takes `bytes` from the bucket of `tenant`, which fills with `per_second` up to `burst`.  False,
 * and nothing is taken, if there are not so many; more than `burst` never pass. */
bool rate_allow(struct rate_table *t, str tenant, double per_second, double burst, double bytes,
                int64_t now_ns);
