#include "base/rfc3339.h"

#include "base/civil.h"
#include "base/clock.h"
#include "base/gotime.h"
#include "base/mem.h"

/* n digits at s.ptr + at; -1 if they are not all there. */
static int number(str s, size_t at, size_t n)
{
    int v = 0;
    if (at + n > s.len)
        return -1;
    for (size_t i = at; i < at + n; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return -1;
        v = v * 10 + (s.ptr[i] - '0');
    }
    return v;
}

static bool is_at(str s, size_t at, char c)
{
    return at < s.len && s.ptr[at] == c;
}

/* Z, +01:00, -04:00 and nothing behind it. */
static bool parse_zone(str s, size_t at, int64_t *ret_s)
{
    *ret_s = 0;
    if (is_at(s, at, 'Z'))
        return at + 1 == s.len;
    if (!is_at(s, at, '+') && !is_at(s, at, '-'))
        return false;
    int hours = number(s, at + 1, 2), minutes = number(s, at + 4, 2);
    if (hours < 0 || hours > 24 || minutes < 0 || minutes > 60 || !is_at(s, at + 3, ':') ||
        at + 6 != s.len)
        return false;
    *ret_s = (hours * 60 + minutes) * 60;
    if (s.ptr[at] == '-')
        *ret_s = -*ret_s;
    return true;
}

/* Eight digits at once: pairs, then fours, then all (little-endian).  -1 if they are not digits. */
static int64_t eight(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    uint64_t high = 0xf0f0f0f0f0f0f0f0u, zeros = 0x3030303030303030u;
    if ((v & high) != zeros || ((v + 0x0606060606060606u) & high) != zeros)
        return -1;
    v = (v & 0x0f0f0f0f0f0f0f0fu) * (1 + (10 << 8)) >> 8;
    v = (v & 0x00ff00ff00ff00ffu) * (1 + (100 << 16)) >> 16;
    return (int64_t)((v & 0x0000ffff0000ffffu) * (1 + (10000ull << 32)) >> 32);
}

/* Digits beyond the ninth are dropped. */
static size_t parse_fraction(str s, size_t at, int64_t *ret_ns)
{
    static const int64_t units[] = {1000000000, 100000000, 10000000, 1000000, 100000,
                                    10000,      1000,      100,      10,      1};
    int64_t v = 0;
    size_t n = 0, from = at + 1;
    *ret_ns = 0;
    if ((!is_at(s, at, '.') && !is_at(s, at, ',')) || number(s, from, 1) < 0)
        return at;
    at = from;
    int64_t first = s.len - from >= 8 ? eight(s.ptr + from) : -1;
    if (first >= 0) {
        v = first;
        n = 8;
        at += n;
    }
    for (; at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9'; at++)
        if (n + 1 < ARRAY_LEN(units)) {
            v = v * 10 + (s.ptr[at] - '0');
            n++;
        }
    *ret_ns = v * units[n];
    return at;
}

/* Two digits; negative if they are not there. */
static int two(const char *p)
{
    unsigned a = (unsigned)(unsigned char)p[0] - '0', b = (unsigned)(unsigned char)p[1] - '0';
    return a > 9 || b > 9 ? -1000 : (int)(a * 10 + b);
}

#define DATE_TIME_LEN 19 /* 2006-01-02T15:04:05 */

/* The spelling nearly all times have. */
static bool parse_strict(str s, int64_t *ret_s, int64_t *ret_fraction_ns)
{
    const char *p = s.ptr;
    if (s.len < DATE_TIME_LEN || p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' ||
        p[16] != ':')
        return false;
    int year = two(p) * 100 + two(p + 2), month = two(p + 5), day = two(p + 8);
    int hour = two(p + 11), minute = two(p + 14), second = two(p + 17);
    if (year < 0 || month < 1 || month > 12 || day < 1 ||
        (day > 28 && day > civil_month_days(year, month)) || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 59)
        return false;
    int64_t zone;
    size_t at = parse_fraction(s, DATE_TIME_LEN, ret_fraction_ns);
    if (!parse_zone(s, at, &zone))
        return false;
    *ret_s = civil_to_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - zone;
    return true;
}

bool rfc3339_parse(str s, int64_t *ret_ns)
{
    int64_t seconds, fraction, ns;
    if (!parse_strict(s, &seconds, &fraction)) { /* Go also takes an hour of one digit */
        struct gotime t;
        if (gotime_parse(GOTIME_RFC3339_NANO, s, NULL, NULL, &t, NULL) != 0)
            return false;
        seconds = t.s;
        fraction = t.ns;
    }
    if (__builtin_mul_overflow(seconds, NS_PER_S, &ns) || __builtin_add_overflow(ns, fraction, &ns))
        return false;
    *ret_ns = ns;
    return true;
}

static void append_digits(struct buf *b, int64_t v, int width)
{
    char digits[20];
    for (int i = width - 1; i >= 0; i--, v /= 10)
        digits[i] = (char)('0' + v % 10);
    buf_append(b, digits, (size_t)width);
}

static void append_date_time(struct buf *b, int64_t seconds)
{
    struct civil c = civil_from_days(civil_floor_div(seconds, 86400));
    int64_t in_day = civil_floor_mod(seconds, 86400);
    append_digits(b, c.year, 4);
    buf_append_char(b, '-');
    append_digits(b, c.month, 2);
    buf_append_char(b, '-');
    append_digits(b, c.day, 2);
    buf_append_char(b, 'T');
    append_digits(b, in_day / 3600, 2);
    buf_append_char(b, ':');
    append_digits(b, in_day / 60 % 60, 2);
    buf_append_char(b, ':');
    append_digits(b, in_day % 60, 2);
}

bool rfc3339_append(struct buf *b, int64_t ts_ns)
{
    append_date_time(b, civil_floor_div(ts_ns, NS_PER_S));
    int64_t fraction = civil_floor_mod(ts_ns, NS_PER_S);
    if (fraction != 0) {
        int width = 9;
        for (; fraction % 10 == 0; fraction /= 10)
            width--;
        buf_append_char(b, '.');
        append_digits(b, fraction, width);
    }
    return buf_append_char(b, 'Z') && !b->failed;
}

bool rfc3339_append_seconds(struct buf *b, int64_t ts_ns)
{
    append_date_time(b, civil_floor_div(ts_ns, NS_PER_S));
    return buf_append_char(b, 'Z') && !b->failed;
}
