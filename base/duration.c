#include "base/duration.h"

#include "base/goquote.h"
#include "base/mem.h"

#define NS_MS   INT64_C(1000000)
#define NS_S    (1000 * NS_MS)
#define NS_MIN  (60 * NS_S)
#define NS_HOUR (60 * NS_MIN)
#define NS_DAY  (24 * NS_HOUR)
#define NS_WEEK (7 * NS_DAY)
#define NS_YEAR (365 * NS_DAY)

/* 2^63: the magnitude of the smallest int64 */
#define MAGNITUDE_MAX (UINT64_C(1) << 63)

/* So many digits, and one more, are below 2^63 / 10. */
#define DIGITS_SAFE 17

struct unit {
    str name;
    uint64_t ns;
};

static const struct unit go_units[] = {
    {{"ns", 2}, 1},           {{"us", 2}, 1000}, {{"\xc2\xb5s", 3}, 1000}, /* U+00B5, micro sign */
    {{"\xce\xbcs", 3}, 1000}, /* U+03BC, Greek letter mu */
    {{"ms", 2}, NS_MS},       {{"s", 1}, NS_S},  {{"m", 1}, NS_MIN},       {{"h", 1}, NS_HOUR},
};

/* from big to small, as they must stand in a duration */
static const struct unit prom_units[] = {
    {{"y", 1}, NS_YEAR}, {{"w", 1}, NS_WEEK}, {{"d", 1}, NS_DAY}, {{"h", 1}, NS_HOUR},
    {{"m", 1}, NS_MIN},  {{"s", 1}, NS_S},    {{"ms", 2}, NS_MS},
};

static const struct unit *find_unit(const struct unit *units, size_t n, str name)
{
    for (size_t i = 0; i < n; i++)
        if (units[i].name.ptr[0] == name.ptr[0] && str_eq(units[i].name, name))
            return &units[i];
    return NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int bad_go(struct error *err, const char *what, str unit, str whole)
{
    if (err == NULL)
        return E_PARSE;
    struct buf text;
    buf_init(&text, ERROR_TEXT_MAX);
    buf_append_c(&text, what);
    if (unit.ptr != NULL) {
        buf_append_char(&text, ' ');
        goquote_bytes(&text, unit);
        buf_append_c(&text, " in duration");
    }
    buf_append_char(&text, ' ');
    goquote_bytes(&text, whole);
    error_set(err, E_PARSE, "time: %s", buf_c(&text));
    buf_deinit(&text);
    return E_PARSE;
}

/* One number with an optional fraction: whole part, and the fraction as part / scale. */
struct amount {
    uint64_t whole, part;
    double scale;
};

/* Takes an amount off the front of *s; false on overflow or when there is no digit. */
static bool take_amount(str *s, struct amount *a)
{
    size_t i = 0, digits = 0, n_safe = MIN(s->len, (size_t)DIGITS_SAFE);
    *a = (struct amount){.scale = 1};
    for (; i < n_safe && is_digit(s->ptr[i]); i++, digits++)
        a->whole = a->whole * 10 + (uint64_t)(s->ptr[i] - '0');
    for (; i < s->len && is_digit(s->ptr[i]); i++, digits++) {
        if (a->whole > MAGNITUDE_MAX / 10)
            return false;
        a->whole = a->whole * 10 + (uint64_t)(s->ptr[i] - '0');
        if (a->whole > MAGNITUDE_MAX)
            return false;
    }
    if (i < s->len && s->ptr[i] == '.') {
        bool full = false; /* further digits are below a ns: they are skipped */
        n_safe = MIN(s->len, ++i + DIGITS_SAFE);
        for (; i < n_safe && is_digit(s->ptr[i]); i++, digits++) {
            a->part = a->part * 10 + (uint64_t)(s->ptr[i] - '0');
            a->scale *= 10;
        }
        for (; i < s->len && is_digit(s->ptr[i]); i++, digits++) {
            full = full || a->part > (MAGNITUDE_MAX - 1) / 10;
            if (full)
                continue;
            uint64_t next = a->part * 10 + (uint64_t)(s->ptr[i] - '0');
            full = next > MAGNITUDE_MAX;
            if (full)
                continue;
            a->part = next;
            a->scale *= 10;
        }
    }
    *s = str_from(*s, i);
    return digits > 0;
}

/* The magnitude of an amount in a unit; false beyond 2^63. */
static bool amount_in_ns(const struct amount *a, uint64_t unit_ns, uint64_t *ret)
{
    if (a->whole > MAGNITUDE_MAX / unit_ns)
        return false;
    uint64_t v = a->whole * unit_ns;
    if (a->part > 0)
        v += (uint64_t)((double)a->part * ((double)unit_ns / a->scale));
    *ret = v;
    return v <= MAGNITUDE_MAX;
}

/* Letters up to the next digit or point. */
static str take_unit_name(str *s)
{
    size_t i = 0;
    while (i < s->len && s->ptr[i] != '.' && !is_digit(s->ptr[i]))
        i++;
    str name = str_sub(*s, 0, i);
    *s = str_from(*s, i);
    return name;
}

int duration_parse_go(str whole, int64_t *ret_ns, struct error *err)
{
    static const str no_unit = {NULL, 0};
    str s = whole;
    bool neg = s.len > 0 && s.ptr[0] == '-';
    if (neg || (s.len > 0 && s.ptr[0] == '+'))
        s = str_from(s, 1);
    if (str_eq(s, STR("0"))) {
        *ret_ns = 0;
        return 0;
    }
    if (s.len == 0)
        return bad_go(err, "invalid duration", no_unit, whole);
    uint64_t total = 0;
    while (s.len > 0) {
        struct amount a;
        if (!take_amount(&s, &a))
            return bad_go(err, "invalid duration", no_unit, whole);
        str name = take_unit_name(&s);
        if (name.len == 0)
            return bad_go(err, "missing unit in duration", no_unit, whole);
        const struct unit *unit = find_unit(go_units, ARRAY_LEN(go_units), name);
        if (unit == NULL)
            return bad_go(err, "unknown unit", name, whole);
        uint64_t v;
        if (!amount_in_ns(&a, unit->ns, &v) || v > MAGNITUDE_MAX - total)
            return bad_go(err, "invalid duration", no_unit, whole);
        total += v;
    }
    if (!neg && total == MAGNITUDE_MAX)
        return bad_go(err, "invalid duration", no_unit, whole);
    *ret_ns = (int64_t)(neg ? 0 - total : total);
    return 0;
}

/* v / 10^digits without trailing zeros: 1500, 3 -> 1.5 */
static void append_decimal(struct buf *b, uint64_t v, int digits)
{
    uint64_t scale = 1;
    for (int i = 0; i < digits; i++)
        scale *= 10;
    buf_append_u64(b, v / scale);
    uint64_t rest = v % scale;
    if (rest == 0)
        return;
    buf_append_char(b, '.');
    for (scale /= 10; rest > 0; rest %= scale, scale /= 10) {
        buf_append_char(b, (char)('0' + rest / scale));
        if (scale == 1)
            break;
    }
}

bool duration_append_go(struct buf *b, int64_t ns)
{
    uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    if (ns < 0)
        buf_append_char(b, '-');
    if (u == 0)
        return buf_append_c(b, "0s");
    if (u < NS_S) {
        int digits = u < 1000 ? 0 : u < NS_MS ? 3 : 6;
        append_decimal(b, u, digits);
        return buf_append_c(b, digits == 0 ? "ns" : digits == 3 ? "\xc2\xb5s" : "ms");
    }
    uint64_t minutes = u / NS_MIN;
    if (minutes >= 60) {
        buf_append_u64(b, minutes / 60);
        buf_append_char(b, 'h');
    }
    if (minutes > 0) {
        buf_append_u64(b, minutes % 60);
        buf_append_char(b, 'm');
    }
    append_decimal(b, u % NS_MIN, 9);
    return buf_append_char(b, 's');
}

static int bad_prom(struct error *err, str unit, str whole)
{
    if (err == NULL)
        return E_PARSE;
    struct buf text;
    buf_init(&text, ERROR_TEXT_MAX);
    if (unit.ptr != NULL) {
        buf_append_c(&text, "unknown unit ");
        goquote(&text, unit);
        buf_append_c(&text, " in duration ");
    } else {
        buf_append_c(&text, "not a valid duration string: ");
    }
    goquote(&text, whole);
    error_set(err, E_PARSE, "%s", buf_c(&text));
    buf_deinit(&text);
    return E_PARSE;
}

int duration_parse_prom(str whole, int64_t *ret_ns, struct error *err)
{
    static const str no_unit = {NULL, 0};
    if (whole.len == 0)
        return error_set(err, E_PARSE, "empty duration string");
    if (str_eq(whole, STR("0"))) {
        *ret_ns = 0;
        return 0;
    }
    str s = whole;
    uint64_t total = 0;
    const struct unit *last = NULL;
    while (s.len > 0) {
        size_t digits = 0, letters;
        while (digits < s.len && is_digit(s.ptr[digits]))
            digits++;
        for (letters = 0; digits + letters < s.len && !is_digit(s.ptr[digits + letters]);)
            letters++;
        uint64_t v;
        if (!str_to_u64(str_sub(s, 0, digits), &v) || letters == 0)
            return bad_prom(err, no_unit, whole);
        str name = str_sub(s, digits, digits + letters);
        const struct unit *unit = find_unit(prom_units, ARRAY_LEN(prom_units), name);
        if (unit == NULL)
            return bad_prom(err, name, whole);
        if (last != NULL && unit <= last)
            return bad_prom(err, no_unit, whole);
        if (v > MAGNITUDE_MAX / unit->ns || v * unit->ns >= MAGNITUDE_MAX - total)
            return error_set(err, E_PARSE, "duration out of range");
        total += v * unit->ns;
        last = unit;
        s = str_from(s, digits + letters);
    }
    *ret_ns = (int64_t)total;
    return 0;
}

bool duration_append_prom(struct buf *b, int64_t ns)
{
    ns -= ns % NS_MS;
    if (ns == 0)
        return buf_append_c(b, "0s");
    for (size_t i = 0; i < ARRAY_LEN(prom_units); i++) {
        int64_t unit = (int64_t)prom_units[i].ns;
        bool must_divide = unit >= NS_WEEK; /* 90d reads better than 12w6d */
        if (ns < unit || (must_divide && ns % unit != 0))
            continue;
        buf_append_i64(b, ns / unit);
        buf_append_str(b, prom_units[i].name);
        ns %= unit;
    }
    return !b->failed;
}

int duration_parse_any(str s, int64_t *ret_ns, struct error *err)
{
    if (duration_parse_prom(s, ret_ns, NULL) == 0)
        return 0;
    return duration_parse_go(s, ret_ns, err);
}
