/* base/clock.h - the two clocks, in ns. */
#pragma once
#include <stdint.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)

int64_t clock_now_ns(void);  /* since the epoch, UTC */
int64_t clock_tick_ns(void); /* the same, as of the last tick: what a file changed now would get */
int64_t clock_mono_ns(void); /* monotonic, any start */
int64_t clock_cpu_ns(void);  /* CPU time of the calling thread */
