#include "base/tzrule.h"

#include "base/civil.h"
#include "base/mem.h"

#define DAY_S  86400
#define HOUR_S 3600

static bool take_char(str *s, char c)
{
    if (s->len == 0 || s->ptr[0] != c)
        return false;
    *s = str_from(*s, 1);
    return true;
}

static bool take_number(str *s, int min, int max, int *ret)
{
    size_t i = 0;
    int v = 0;
    for (; i < s->len && s->ptr[i] >= '0' && s->ptr[i] <= '9'; i++) {
        v = v * 10 + (s->ptr[i] - '0');
        if (v > max)
            return false;
    }
    *s = str_from(*s, i);
    *ret = v;
    return i > 0 && v >= min;
}

/* CET, or <+03> */
static bool take_name(str *s, char out[TZRULE_NAME_MAX + 1])
{
    size_t n;
    str name;
    if (take_char(s, '<')) {
        n = str_find_char(*s, '>');
        if (n == STR_NPOS)
            return false;
        name = str_sub(*s, 0, n);
        n++;
    } else {
        for (n = 0; n < s->len && memchr("0123456789,-+", s->ptr[n], 13) == NULL;)
            n++;
        name = str_sub(*s, 0, n);
        if (n < 3)
            return false;
    }
    *s = str_from(*s, n);
    if (name.len > TZRULE_NAME_MAX)
        return false;
    memcpy(out, name.ptr, name.len);
    out[name.len] = '\0';
    return true;
}

/* [+-]hh[:mm[:ss]] */
static bool take_offset(str *s, int32_t *ret_s)
{
    bool neg = take_char(s, '-');
    if (!neg)
        take_char(s, '+');
    int hours, minutes = 0, seconds = 0;
    if (!take_number(s, 0, 24 * 7, &hours))
        return false;
    if (take_char(s, ':') && !take_number(s, 0, 59, &minutes))
        return false;
    if (take_char(s, ':') && !take_number(s, 0, 59, &seconds))
        return false;
    int32_t v = hours * HOUR_S + minutes * 60 + seconds;
    *ret_s = neg ? -v : v;
    return true;
}

static bool take_change(str *s, struct tzrule_change *c)
{
    bool ok;
    if (take_char(s, 'J')) {
        c->kind = 'J';
        ok = take_number(s, 1, 365, &c->day);
    } else if (take_char(s, 'M')) {
        c->kind = 'M';
        ok = take_number(s, 1, 12, &c->month) && take_char(s, '.') &&
             take_number(s, 1, 5, &c->week) && take_char(s, '.') && take_number(s, 0, 6, &c->day);
    } else {
        c->kind = 'D';
        ok = take_number(s, 0, 365, &c->day);
    }
    c->time_s = 2 * HOUR_S;
    return ok && (!take_char(s, '/') || take_offset(s, &c->time_s));
}

bool tzrule_parse(str s, struct tzrule *r)
{
    *r = (struct tzrule){0};
    if (!take_name(&s, r->std_name) || !take_offset(&s, &r->std_offset_s))
        return false;
    r->std_offset_s = -r->std_offset_s; /* POSIX counts westward */
    if (s.len == 0 || s.ptr[0] == ',')
        return true;
    r->has_dst = true;
    if (!take_name(&s, r->dst_name))
        return false;
    r->dst_offset_s = r->std_offset_s + HOUR_S;
    if (s.len > 0 && s.ptr[0] != ',') {
        if (!take_offset(&s, &r->dst_offset_s))
            return false;
        r->dst_offset_s = -r->dst_offset_s;
    }
    if (s.len == 0)
        s = STR(",M3.2.0,M11.1.0");
    return take_char(&s, ',') && take_change(&s, &r->dst_starts) && take_char(&s, ',') &&
           take_change(&s, &r->dst_ends) && s.len == 0;
}

/* Seconds from the start of the year (in UTC) to a change, when `offset_s` holds before it. */
static int64_t change_in_year(const struct tzrule_change *c, int64_t year, int32_t offset_s)
{
    int64_t day = c->day;
    if (c->kind == 'J') {
        day = c->day - 1 + (civil_is_leap(year) && c->day >= 60);
    } else if (c->kind == 'M') {
        struct civil first = civil_from_days(civil_to_days(year, c->month, 1));
        int in_month = (int)civil_floor_mod(c->day - first.week_day, 7);
        int length = civil_month_days(year, c->month);
        for (int week = 1; week < c->week && in_month + 7 < length; week++)
            in_month += 7;
        day = civil_days_before(year, c->month) + in_month;
    }
    return day * DAY_S + c->time_s - offset_s;
}

struct tzrule_period tzrule_at(const struct tzrule *r, int64_t unix_s)
{
    struct tzrule_period std = {r->std_name, r->std_offset_s, false, INT64_MIN, INT64_MAX};
    if (!r->has_dst)
        return std;
    struct tzrule_period dst = {r->dst_name, r->dst_offset_s, true, 0, 0};
    struct civil date = civil_from_days(civil_floor_div(unix_s, DAY_S));
    int64_t year_s = civil_to_days(date.year, 1, 1) * DAY_S;
    int64_t to_dst = year_s + change_in_year(&r->dst_starts, date.year, r->std_offset_s);
    int64_t to_std = year_s + change_in_year(&r->dst_ends, date.year, r->dst_offset_s);
    /* in the south the year begins and ends with daylight saving */
    struct tzrule_period outer = to_dst < to_std ? std : dst, inner = to_dst < to_std ? dst : std;
    int64_t first = MIN(to_dst, to_std), second = MAX(to_dst, to_std);
    if (unix_s < first || unix_s >= second) {
        outer.start_s = unix_s < first ? year_s : second;
        outer.end_s = unix_s < first ? first : year_s + 365 * DAY_S;
        return outer;
    }
    inner.start_s = first;
    inner.end_s = second;
    return inner;
}
