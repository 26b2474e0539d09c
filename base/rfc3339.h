/* base/rfc3339.h - times as RFC 3339 writes them: 2006-01-02T15:04:05.999999999Z07:00.
 *
 * What the push and query APIs take and print, fast; other layouts are for base/gotime.h. */
#pragma once
#include "base/buf.h"

/* Takes what Go's time.Parse(time.RFC3339Nano, s) takes (a fraction of any length after the
 * seconds, by '.' or ','; Z or an offset).  False if malformed or outside of int64 nanoseconds. */
bool rfc3339_parse(str s, int64_t *ret_ns);
/* Prints in UTC with as many digits of the fraction as are not zero (Go's RFC3339Nano). */
bool rfc3339_append(struct buf *b, int64_t ts_ns);
/* The same to whole seconds (Go's RFC3339). */
bool rfc3339_append_seconds(struct buf *b, int64_t ts_ns);
