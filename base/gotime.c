#include "base/gotime.h"

#include <stdlib.h>

#include "base/golayout.h"
#include "base/mem.h"

#define DAY_S 86400
#define NS_S  INT64_C(1000000000)
#define S_MAX (INT64_C(1) << 55) /* keeps all sums below far from overflow */

struct gotime gotime_from_unix(int64_t s, int64_t ns, const struct tzone *zone)
{
    int64_t carry = civil_floor_div(ns, NS_S);
    s = MAX(MIN(s, S_MAX), -S_MAX) + carry;
    return (struct gotime){.s = s, .ns = (int32_t)(ns - carry * NS_S), .zone = zone};
}

struct gotime gotime_from_ns(int64_t unix_ns, const struct tzone *zone)
{
    return gotime_from_unix(0, unix_ns, zone);
}

struct gotime gotime_in(struct gotime t, const struct tzone *zone)
{
    return (struct gotime){.s = t.s, .ns = t.ns, .zone = zone};
}

struct gotime gotime_in_fixed(struct gotime t, str name, int32_t offset_s)
{
    struct gotime r = {.s = t.s, .ns = t.ns, .offset_s = offset_s, .fixed = true};
    if (name.len > 0)
        memcpy(r.name, name.ptr, MIN(name.len, (size_t)GOTIME_ZONE_MAX));
    return r;
}

int64_t gotime_ns(struct gotime t)
{
    return (int64_t)((uint64_t)t.s * (uint64_t)NS_S + (uint64_t)t.ns);
}

struct gotime_fields gotime_fields(const struct gotime *t)
{
    struct gotime_fields f = {.offset_s = t->offset_s, .zone_name = t->name};
    if (!t->fixed) {
        struct tzone_period p = tzone_at(t->zone, t->s);
        f.offset_s = p.offset_s;
        f.zone_name = p.name;
    }
    int64_t local = t->s + f.offset_s;
    int64_t days = civil_floor_div(local, DAY_S);
    int second = (int)(local - days * DAY_S);
    f.date = civil_from_days(days);
    f.hour = second / 3600;
    f.minute = second / 60 % 60;
    f.second = second % 60;
    return f;
}

struct gotime gotime_date(int64_t year, int month, int64_t day, int64_t hour, int64_t minute,
                          int64_t second, int64_t ns, const struct tzone *zone)
{
    int64_t months = (int64_t)month - 1;
    year += civil_floor_div(months, 12);
    int64_t days = civil_to_days(year, (int)civil_floor_mod(months, 12) + 1, day);
    int64_t local = days * DAY_S + hour * 3600 + minute * 60 + second + civil_floor_div(ns, NS_S);
    return gotime_from_unix(tzone_from_local(zone, local), civil_floor_mod(ns, NS_S), zone);
}

/* v in at least `width` digits, behind a sign if negative */
static void append_int(struct buf *b, int64_t v, int width)
{
    if (v < 0)
        buf_append_char(b, '-');
    uint64_t u = v < 0 ? (uint64_t)-v : (uint64_t)v;
    uint64_t limit = 10;
    for (int i = 1; i < width; i++, limit *= 10)
        ;
    for (limit /= 10; limit > 1 && u < limit; limit /= 10)
        buf_append_char(b, '0');
    buf_append_u64(b, u);
}

static void append_blank_padded(struct buf *b, int v, int width)
{
    buf_printf(b, "%*d", width, v);
}

static void append_offset(struct buf *b, const struct golayout_element *e, int32_t offset_s)
{
    if (e->z_for_utc && offset_s == 0) {
        buf_append_char(b, 'Z');
        return;
    }
    int minutes = offset_s / 60;
    buf_append_char(b, minutes < 0 ? '-' : '+');
    append_int(b, abs(minutes) / 60, 2);
    if (e->offset_size >= 2) {
        if (e->colon)
            buf_append_char(b, ':');
        append_int(b, abs(minutes) % 60, 2);
    }
    if (e->offset_size >= 3) {
        if (e->colon)
            buf_append_char(b, ':');
        append_int(b, (minutes < 0 ? -offset_s : offset_s) % 60, 2);
    }
}

static void append_zone_name(struct buf *b, const struct gotime_fields *f)
{
    static const struct golayout_element plain = {.kind = GOLAYOUT_OFFSET, .offset_size = 2};
    if (f->zone_name[0] != '\0')
        buf_append_c(b, f->zone_name);
    else
        append_offset(b, &plain, f->offset_s);
}

static void append_fraction(struct buf *b, const struct golayout_element *e, int32_t ns)
{
    char digits[9];
    for (int i = 8; i >= 0; i--, ns /= 10)
        digits[i] = (char)('0' + ns % 10);
    int n = MIN(e->digits, 9);
    if (e->kind == GOLAYOUT_FRACTION_9) {
        while (n > 0 && digits[n - 1] == '0')
            n--;
        if (n == 0)
            return;
    }
    buf_append_char(b, e->text.ptr[0]);
    buf_append(b, digits, (size_t)n);
}

static void append_name(struct buf *b, const char *name, bool whole)
{
    buf_append(b, name, whole ? strlen(name) : 3);
}

static int hour12(int hour)
{
    return hour % 12 == 0 ? 12 : hour % 12;
}

static void append_element(struct buf *b, const struct golayout_element *e,
                           const struct gotime_fields *f, int32_t ns)
{
    const struct civil *d = &f->date;
    switch (e->kind) {
    case GOLAYOUT_END:
        break;
    case GOLAYOUT_LONG_MONTH:
    case GOLAYOUT_MONTH:
        append_name(b, golayout_months[d->month - 1], e->kind == GOLAYOUT_LONG_MONTH);
        break;
    case GOLAYOUT_LONG_WEEKDAY:
    case GOLAYOUT_WEEKDAY:
        append_name(b, golayout_weekdays[d->week_day], e->kind == GOLAYOUT_LONG_WEEKDAY);
        break;
    case GOLAYOUT_NUM_MONTH:
    case GOLAYOUT_ZERO_MONTH:
        append_int(b, d->month, e->kind == GOLAYOUT_ZERO_MONTH ? 2 : 0);
        break;
    case GOLAYOUT_DAY:
    case GOLAYOUT_ZERO_DAY:
        append_int(b, d->day, e->kind == GOLAYOUT_ZERO_DAY ? 2 : 0);
        break;
    case GOLAYOUT_UNDER_DAY:
        append_blank_padded(b, d->day, 2);
        break;
    case GOLAYOUT_UNDER_YEAR_DAY:
        append_blank_padded(b, d->year_day, 3);
        break;
    case GOLAYOUT_ZERO_YEAR_DAY:
        append_int(b, d->year_day, 3);
        break;
    case GOLAYOUT_HOUR:
        append_int(b, f->hour, 2);
        break;
    case GOLAYOUT_HOUR12:
    case GOLAYOUT_ZERO_HOUR12:
        append_int(b, hour12(f->hour), e->kind == GOLAYOUT_ZERO_HOUR12 ? 2 : 0);
        break;
    case GOLAYOUT_MINUTE:
    case GOLAYOUT_ZERO_MINUTE:
        append_int(b, f->minute, e->kind == GOLAYOUT_ZERO_MINUTE ? 2 : 0);
        break;
    case GOLAYOUT_SECOND:
    case GOLAYOUT_ZERO_SECOND:
        append_int(b, f->second, e->kind == GOLAYOUT_ZERO_SECOND ? 2 : 0);
        break;
    case GOLAYOUT_LONG_YEAR:
        append_int(b, d->year, 4);
        break;
    case GOLAYOUT_YEAR:
        append_int(b, (d->year < 0 ? -d->year : d->year) % 100, 2);
        break;
    case GOLAYOUT_UPPER_PM:
        buf_append_c(b, f->hour >= 12 ? "PM" : "AM");
        break;
    case GOLAYOUT_LOWER_PM:
        buf_append_c(b, f->hour >= 12 ? "pm" : "am");
        break;
    case GOLAYOUT_ZONE_NAME:
        append_zone_name(b, f);
        break;
    case GOLAYOUT_OFFSET:
        append_offset(b, e, f->offset_s);
        break;
    case GOLAYOUT_FRACTION_0:
    case GOLAYOUT_FRACTION_9:
        append_fraction(b, e, ns);
        break;
    }
}

bool gotime_format(struct buf *b, str layout, const struct gotime *t)
{
    struct gotime_fields f = gotime_fields(t);
    while (layout.len > 0) {
        struct golayout_element e = golayout_next(&layout);
        buf_append_str(b, e.prefix);
        append_element(b, &e, &f, t->ns);
    }
    return !b->failed;
}

bool gotime_append(struct buf *b, const struct gotime *t)
{
    return gotime_format(b, STR("2006-01-02 15:04:05.999999999 -0700 MST"), t);
}
