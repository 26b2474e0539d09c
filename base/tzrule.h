/* base/tzrule.h - the POSIX TZ rule that ends a TZif file: CET-1CEST,M3.5.0,M10.5.0/3. */
#pragma once
#include "base/str.h"

#define TZRULE_NAME_MAX 15

/* When in a year a clock change happens. */
struct tzrule_change {
    char kind; /* 'J' day without leap days, 'D' day from 0, 'M' month.week.weekday */
    int day, week, month;
    int32_t time_s; /* local time of the day */
};

struct tzrule {
    char std_name[TZRULE_NAME_MAX + 1], dst_name[TZRULE_NAME_MAX + 1];
    int32_t std_offset_s, dst_offset_s; /* east of UTC */
    bool has_dst;
    struct tzrule_change dst_starts, dst_ends;
};

struct tzrule_period {
    const char *name; /* inside the rule */
    int32_t offset_s;
    bool is_dst;
    int64_t start_s, end_s; /* exact at clock changes, else the bounds of the year */
};

/* False if the text is no rule. */
bool tzrule_parse(str text, struct tzrule *ret);
struct tzrule_period tzrule_at(const struct tzrule *r, int64_t unix_s);
