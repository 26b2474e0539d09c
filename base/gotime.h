/* base/gotime.h - moments in time, written and read with Go's layouts (2006-01-02T15:04:05Z07:00).
 *
 * RFC 3339 has its own, faster functions in base/rfc3339.h.  Values are copied freely; a zone that
 * a value points to must outlive it.  Pure functions, any thread.  The zone NULL is UTC. */
#pragma once
#include "base/buf.h"
#include "base/civil.h"
#include "base/status.h"
#include "base/tzone.h"

#define GOTIME_ZONE_MAX 15

/* A moment and the zone it is shown in (time.Time). */
struct gotime {
    int64_t s;                      /* unix seconds, may be negative */
    int32_t ns;                     /* 0 .. 999999999 */
    int32_t offset_s;               /* of a fixed zone: zone is NULL then */
    const struct tzone *zone;       /* NULL: UTC or fixed */
    char name[GOTIME_ZONE_MAX + 1]; /* of a fixed zone; "" = UTC if offset_s is 0 and not fixed */
    bool fixed;
};

#define GOTIME_RFC3339      STR("2006-01-02T15:04:05Z07:00")
#define GOTIME_RFC3339_NANO STR("2006-01-02T15:04:05.999999999Z07:00")
#define GOTIME_YEAR_ONE_S   INT64_C(-62135596800) /* 0001-01-01, Go's zero time */

struct gotime gotime_from_ns(int64_t unix_ns, const struct tzone *zone);
/* Any s; ns may be negative or beyond a second.  Absurd years are clamped to +-2^55 seconds. */
struct gotime gotime_from_unix(int64_t s, int64_t ns, const struct tzone *zone);
struct gotime gotime_in(struct gotime t, const struct tzone *zone);
/* time.FixedZone; a long name is cut. */
struct gotime gotime_in_fixed(struct gotime t, str name, int32_t offset_s);
/* Unix ns; it wraps outside 1678..2262, as UnixNano() does. */
int64_t gotime_ns(struct gotime t);

/* What a wall clock and calendar in its zone show. */
struct gotime_fields {
    struct civil date;
    int hour, minute, second;
    int32_t offset_s;
    const char *zone_name; /* may point into the gotime */
};
struct gotime_fields gotime_fields(const struct gotime *t);

/* Moment of a reading in a zone; fields may be out of range and run over, as in time.Date. */
struct gotime gotime_date(int64_t year, int month, int64_t day, int64_t hour, int64_t minute,
                          int64_t second, int64_t ns, const struct tzone *zone);

/* Appends t.Format(layout). */
bool gotime_format(struct buf *b, str layout, const struct gotime *t);
/* Appends t.String(): 2006-01-02 15:04:05.999999999 -0700 MST. */
bool gotime_append(struct buf *b, const struct gotime *t);
/* time.Parse(layout, value) with `local` as the zone of this machine; a value that names no zone is
 * in `zone` (time.ParseInLocation: pass the same twice).  Returns 0 or E_PARSE with Go's text:
 * parsing time "x" as "2006": cannot parse "x" as "2006". */
int gotime_parse(str layout, str value, const struct tzone *zone, const struct tzone *local,
                 struct gotime *ret, struct error *err);
