/* base/duration.h - spans of time in ns, in Go's spelling (1h30m0s) and in Prometheus' (1d, 1w).
 *
 * Go durations are what log lines and most settings hold; LogQL's [5m] and retention settings take
 * Prometheus'.  Pure functions, any thread. */
#pragma once
#include "base/buf.h"
#include "base/status.h"

#define DURATION_TEXT_MAX 32 /* the longest text of either spelling fits */

/* time.ParseDuration: 1h30m, -1.5s, .5ms, 10us, 10µs, 0.  Returns 0 or E_PARSE with Go's text:
 * time: invalid duration "5x" ... */
int duration_parse_go(str s, int64_t *ret_ns, struct error *err);
/* Duration.String(): 1h30m0s, 1.5s, 100µs, 0s. */
bool duration_append_go(struct buf *b, int64_t ns);

/* model.ParseDuration: y w d h m s ms, each at most once and in this order, whole numbers, or "0".
 * Returns 0 or E_PARSE: not a valid duration string: "5x". */
int duration_parse_prom(str s, int64_t *ret_ns, struct error *err);
/* model.Duration.String(): the largest units that divide it: 1d, 1h30m; weeks and years only
 * when nothing is left over; what is below a ms is dropped. */
bool duration_append_prom(struct buf *b, int64_t ns);

/* What Loki's settings take: Prometheus' spelling, else Go's. */
int duration_parse_any(str s, int64_t *ret_ns, struct error *err);
