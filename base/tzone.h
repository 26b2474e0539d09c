/* base/tzone.h - time zones from the system's TZif files (/usr/share/zoneinfo, RFC 8536).
 *
 * A loaded zone is immutable: any number of threads may look things up in it.  NULL stands for UTC
 * everywhere.  There is no global state: who needs a zone often keeps it. */
#pragma once
#include "base/status.h"
#include "base/str.h"

struct tzone;

/* What held in a zone at some moment. */
struct tzone_period {
    const char *name; /* CET; lives as long as the zone */
    int32_t offset_s; /* east of UTC */
    bool is_dst;
    int64_t start_s, end_s; /* unix seconds, [start, end) */
};

/* Loads a zone by its IANA name, as time.LoadLocation does: "" and "UTC" give NULL (UTC), "Local"
 * is the zone of this machine ($TZ, /etc/localtime).  Returns 0, or E_NOT_FOUND: unknown time zone
 * X, E_INVALID for a path, E_CORRUPT.  The caller frees *ret with tzone_free(). */
int tzone_load(str name, struct tzone **ret, struct error *err);
/* The same from the bytes of a TZif file. */
int tzone_parse(str name, str tzif, struct tzone **ret, struct error *err);
void tzone_free(struct tzone *z); /* NULL allowed */
/* The name it was loaded under; "UTC" for NULL. */
str tzone_name(const struct tzone *z);

struct tzone_period tzone_at(const struct tzone *z, int64_t unix_s);
/* Unix seconds of a wall clock reading that is given as if it were UTC.  A reading that a jump
 * skips or repeats is resolved as Go's time.Date does. */
int64_t tzone_from_local(const struct tzone *z, int64_t local_s);
/* Offset of the abbreviation `abbrev` (CET) around a wall clock reading; false if the zone does not
 * use it. */
bool tzone_find_name(const struct tzone *z, str abbrev, int64_t local_s, int32_t *ret_offset_s);
