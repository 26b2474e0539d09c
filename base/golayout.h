/* base/golayout.h - the elements a Go time layout is made of; for gotime.c and gotime_parse.c. */
#pragma once
#include "base/str.h"

enum golayout_kind {
    GOLAYOUT_END, /* the rest of the layout was literal text */
    GOLAYOUT_LONG_MONTH,
    GOLAYOUT_MONTH,
    GOLAYOUT_NUM_MONTH,
    GOLAYOUT_ZERO_MONTH,
    GOLAYOUT_LONG_WEEKDAY,
    GOLAYOUT_WEEKDAY,
    GOLAYOUT_DAY,
    GOLAYOUT_UNDER_DAY,
    GOLAYOUT_ZERO_DAY,
    GOLAYOUT_UNDER_YEAR_DAY,
    GOLAYOUT_ZERO_YEAR_DAY,
    GOLAYOUT_HOUR,
    GOLAYOUT_HOUR12,
    GOLAYOUT_ZERO_HOUR12,
    GOLAYOUT_MINUTE,
    GOLAYOUT_ZERO_MINUTE,
    GOLAYOUT_SECOND,
    GOLAYOUT_ZERO_SECOND,
    GOLAYOUT_LONG_YEAR,
    GOLAYOUT_YEAR,
    GOLAYOUT_UPPER_PM,
    GOLAYOUT_LOWER_PM,
    GOLAYOUT_ZONE_NAME,
    GOLAYOUT_OFFSET,     /* +0100 in one of five shapes */
    GOLAYOUT_FRACTION_0, /* .000: exactly so many digits */
    GOLAYOUT_FRACTION_9, /* .999: without trailing zeros */
};

struct golayout_element {
    enum golayout_kind kind;
    str prefix; /* the literal text in front of it */
    str text;   /* the element itself */
    /* GOLAYOUT_OFFSET */
    bool z_for_utc;  /* Z07:00: offset 0 is Z */
    bool colon;      /* 07:00 */
    int offset_size; /* numbers: 1 hours, 2 with minutes, 3 with seconds */
    int digits;      /* GOLAYOUT_FRACTION_*; the text begins with its separator */
};

/* Takes literal text and the first element off the front of *layout. */
struct golayout_element golayout_next(str *layout);

extern const char *const golayout_months[12];
extern const char *const golayout_weekdays[7];
