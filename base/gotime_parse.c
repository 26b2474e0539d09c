/* Reading times; declared in base/gotime.h. */
#include "base/golayout.h"
#include "base/goquote.h"
#include "base/gotime.h"
#include "base/mem.h"

#define NO_OFFSET INT32_MIN

/* A time being put together. */
struct reading {
    str layout, whole; /* for the error */
    str value;         /* what is left to read */
    int year, month, day, year_day;
    int hour, minute, second, ns;
    bool am, pm, utc;
    int32_t offset_s;         /* NO_OFFSET until one is read */
    str zone_name;            /* an abbreviation */
    const char *out_of_range; /* says what was */
};

static bool is_digit_at(str s, size_t i)
{
    return i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9';
}

static int bad(struct error *err, const struct reading *r, str value, str element)
{
    if (err == NULL)
        return E_PARSE;
    struct buf b;
    buf_init(&b, ERROR_TEXT_MAX);
    goquote_bytes(&b, r->whole);
    buf_append_c(&b, " as ");
    goquote_bytes(&b, r->layout);
    buf_append_c(&b, ": cannot parse ");
    goquote_bytes(&b, value);
    buf_append_c(&b, " as ");
    goquote_bytes(&b, element);
    error_set(err, E_PARSE, "parsing time %s", buf_c(&b));
    buf_deinit(&b);
    return E_PARSE;
}

/* The value and what is wrong with it; `tail` is quoted behind if it has a pointer. */
static int bad_because(struct error *err, const struct reading *r, const char *what, str tail)
{
    if (err == NULL)
        return E_PARSE;
    struct buf b;
    buf_init(&b, ERROR_TEXT_MAX);
    goquote_bytes(&b, r->whole);
    buf_append_c(&b, ": ");
    buf_append_c(&b, what);
    if (tail.ptr != NULL)
        goquote_bytes(&b, tail);
    error_set(err, E_PARSE, "parsing time %s", buf_c(&b));
    buf_deinit(&b);
    return E_PARSE;
}

static const str no_tail = {NULL, 0};

/* Literal text of the layout; one blank stands for any number of blanks, or for none at the end. */
static bool skip_literal(str *value, str literal)
{
    while (literal.len > 0) {
        if (literal.ptr[0] == ' ') {
            if (value->len > 0 && value->ptr[0] != ' ')
                return false;
            while (literal.len > 0 && literal.ptr[0] == ' ')
                literal = str_from(literal, 1);
            while (value->len > 0 && value->ptr[0] == ' ')
                *value = str_from(*value, 1);
            continue;
        }
        if (value->len == 0 || value->ptr[0] != literal.ptr[0])
            return false;
        literal = str_from(literal, 1);
        *value = str_from(*value, 1);
    }
    return true;
}

/* One or two digits; two if `fixed`. */
static bool take_number(str *s, bool fixed, int *ret)
{
    *ret = 0;
    if (!is_digit_at(*s, 0) || (fixed && !is_digit_at(*s, 1)))
        return false;
    int v = s->ptr[0] - '0';
    size_t width = 1;
    if (is_digit_at(*s, 1)) {
        v = v * 10 + (s->ptr[1] - '0');
        width = 2;
    }
    *s = str_from(*s, width);
    *ret = v;
    return true;
}

/* A number with an optional sign, of which no digit need be left: package time reads so. */
static bool read_signed(str text, int *ret)
{
    bool neg = text.len > 0 && text.ptr[0] == '-';
    if (neg || (text.len > 0 && text.ptr[0] == '+'))
        text = str_from(text, 1);
    int v = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit_at(text, i))
            return false;
        v = v * 10 + (text.ptr[i] - '0');
    }
    *ret = neg ? -v : v;
    return true;
}

/* The next n bytes, at most nine, as a number. */
static bool take_exactly(str *s, size_t n, int *ret)
{
    if (s->len < n || !read_signed(str_sub(*s, 0, n), ret))
        return false;
    *s = str_from(*s, n);
    return true;
}

static bool take_year_day(str *s, bool blanks, int *ret)
{
    for (int i = 0; blanks && i < 2 && s->len > 0 && s->ptr[0] == ' '; i++)
        *s = str_from(*s, 1);
    int v = 0;
    size_t n = 0;
    for (; n < 3 && is_digit_at(*s, n); n++)
        v = v * 10 + (s->ptr[n] - '0');
    if (n == 0 || (!blanks && n != 3))
        return false;
    *s = str_from(*s, n);
    *ret = v;
    return true;
}

/* A name of the table in any case; its first three letters unless `whole`. */
static bool take_name(str *s, const char *const *names, int n_names, bool whole, int *ret)
{
    for (int i = 0; i < n_names; i++) {
        str name = str_make(names[i], whole ? strlen(names[i]) : 3);
        if (s->len >= name.len && str_eq_nocase(str_sub(*s, 0, name.len), name)) {
            *s = str_from(*s, name.len);
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool is_fraction_at(str s)
{
    return s.len >= 2 && (s.ptr[0] == '.' || s.ptr[0] == ',') && is_digit_at(s, 1);
}

/* A separator and n - 1 digits; what is below a ns is cut off. */
static bool take_fraction(struct reading *r, size_t n)
{
    str text = str_sub(r->value, 0, n);
    if (text.ptr[0] != '.' && text.ptr[0] != ',')
        return false;
    text = str_sub(text, 1, 10);
    int v;
    if (!read_signed(text, &v))
        return false;
    r->value = str_from(r->value, n);
    if (v < 0)
        r->out_of_range = "fractional second out of range";
    for (size_t i = text.len; i < 9; i++)
        v *= 10;
    r->ns = v;
    return true;
}

static bool take_digits_fraction(struct reading *r)
{
    size_t n = 2;
    while (is_digit_at(r->value, n))
        n++;
    return take_fraction(r, n);
}

/* Seconds; a fraction is accepted though the layout has none. */
static bool take_second(struct reading *r, bool fixed, str layout_rest)
{
    if (!take_number(&r->value, fixed, &r->second))
        return false;
    if (r->second >= 60) {
        r->out_of_range = "second out of range";
        return true;
    }
    if (!is_fraction_at(r->value))
        return true;
    enum golayout_kind next = golayout_next(&layout_rest).kind;
    if (next == GOLAYOUT_FRACTION_0 || next == GOLAYOUT_FRACTION_9)
        return true;
    return take_digits_fraction(r);
}

static bool take_am_pm(struct reading *r, const char *pm, const char *am)
{
    str text = str_sub(r->value, 0, 2);
    r->pm = r->pm || str_eq_c(text, pm);
    r->am = r->am || str_eq_c(text, am);
    if (!str_eq_c(text, pm) && !str_eq_c(text, am))
        return false;
    r->value = str_from(r->value, 2);
    return true;
}

/* +07:00 and its kin */
static bool take_offset(struct reading *r, const struct golayout_element *e)
{
    if (e->z_for_utc && r->value.len > 0 && r->value.ptr[0] == 'Z') {
        r->value = str_from(r->value, 1);
        r->utc = true;
        return true;
    }
    static const char *const what[] = {"time zone offset hour out of range",
                                       "time zone offset minute out of range",
                                       "time zone offset second out of range"};
    static const int most[] = {24, 60, 60}; /* people do write +24:00 */
    size_t step = e->colon ? 3 : 2, need = 1 + 2 + step * (size_t)(e->offset_size - 1);
    if (r->value.len < need)
        return false;
    str text = str_sub(r->value, 0, need);
    int parts[3] = {0};
    for (int i = 0; e->colon && i < e->offset_size - 1; i++)
        if (text.ptr[3 + 3 * i] != ':')
            return false;
    bool ok = true;
    for (int i = 0; ok && i < e->offset_size; i++) {
        str part = str_sub(text, 1 + step * (size_t)i, 3 + step * (size_t)i);
        ok = take_number(&part, true, &parts[i]);
    }
    for (int i = 0; i < 3; i++)
        if (parts[i] > most[i])
            r->out_of_range = what[i];
    r->value = str_from(r->value, need);
    r->offset_s = (parts[0] * 60 + parts[1]) * 60 + parts[2];
    if (text.ptr[0] == '-')
        r->offset_s = -r->offset_s;
    return ok && (text.ptr[0] == '+' || text.ptr[0] == '-');
}

/* Length of +7 or -03 (at most 23 hours), 0 if it is none. */
static size_t signed_hours_length(str s)
{
    if (s.len == 0 || (s.ptr[0] != '+' && s.ptr[0] != '-'))
        return 0;
    size_t n = 1;
    int v = 0;
    for (; is_digit_at(s, n); n++)
        v = v > 23 ? v : v * 10 + (s.ptr[n] - '0');
    return n == 1 || v > 23 ? 0 : n;
}

/* Length of what looks like a zone abbreviation, 0 if nothing does. */
static size_t zone_name_length(str s)
{
    if (s.len < 3)
        return 0;
    if (str_has_prefix(s, STR("ChST")) || str_has_prefix(s, STR("MeST")))
        return 4;
    if (str_has_prefix(s, STR("GMT")))
        return 3 + signed_hours_length(str_from(s, 3));
    if (s.ptr[0] == '+' || s.ptr[0] == '-')
        return signed_hours_length(s);
    size_t upper = 0;
    while (upper < 6 && upper < s.len && s.ptr[upper] >= 'A' && s.ptr[upper] <= 'Z')
        upper++;
    if (upper == 3)
        return 3;
    if (upper == 4 && (s.ptr[3] == 'T' || str_has_prefix(s, STR("WITA"))))
        return 4;
    return upper == 5 && s.ptr[4] == 'T' ? 5 : 0;
}

static bool take_zone_name(struct reading *r)
{
    if (str_has_prefix(r->value, STR("UTC"))) {
        r->utc = true;
        r->value = str_from(r->value, 3);
        return true;
    }
    size_t n = zone_name_length(r->value);
    r->zone_name = str_sub(r->value, 0, n);
    r->value = str_from(r->value, n);
    return n > 0;
}

static bool take_year(struct reading *r)
{
    if (!take_exactly(&r->value, 2, &r->year))
        return false;
    r->year += r->year >= 69 ? 1900 : 2000;
    return true;
}

static void check_range(struct reading *r, int v, int min, int max, const char *what)
{
    if (v < min || v > max)
        r->out_of_range = what;
}

/* Reads one element; false if the value does not look like it. */
static bool take_element(struct reading *r, const struct golayout_element *e, str layout_rest)
{
    str *v = &r->value;
    bool ok = true;
    int ignored;
    switch (e->kind) {
    case GOLAYOUT_END:
        break;
    case GOLAYOUT_YEAR:
        return take_year(r);
    case GOLAYOUT_LONG_YEAR:
        return is_digit_at(*v, 0) && take_exactly(v, 4, &r->year);
    case GOLAYOUT_MONTH:
    case GOLAYOUT_LONG_MONTH:
        ok = take_name(v, golayout_months, 12, e->kind == GOLAYOUT_LONG_MONTH, &r->month);
        r->month += ok;
        break;
    case GOLAYOUT_NUM_MONTH:
    case GOLAYOUT_ZERO_MONTH:
        ok = take_number(v, e->kind == GOLAYOUT_ZERO_MONTH, &r->month);
        if (ok)
            check_range(r, r->month, 1, 12, "month out of range");
        break;
    case GOLAYOUT_WEEKDAY: /* it need not fit the date */
    case GOLAYOUT_LONG_WEEKDAY:
        return take_name(v, golayout_weekdays, 7, e->kind == GOLAYOUT_LONG_WEEKDAY, &ignored);
    case GOLAYOUT_UNDER_DAY:
        if (v->len > 0 && v->ptr[0] == ' ')
            *v = str_from(*v, 1);
        return take_number(v, false, &r->day);
    case GOLAYOUT_DAY:
    case GOLAYOUT_ZERO_DAY:
        return take_number(v, e->kind == GOLAYOUT_ZERO_DAY, &r->day);
    case GOLAYOUT_UNDER_YEAR_DAY:
    case GOLAYOUT_ZERO_YEAR_DAY:
        return take_year_day(v, e->kind == GOLAYOUT_UNDER_YEAR_DAY, &r->year_day);
    case GOLAYOUT_HOUR:
        ok = take_number(v, false, &r->hour);
        check_range(r, r->hour, 0, 23, "hour out of range");
        break;
    case GOLAYOUT_HOUR12:
    case GOLAYOUT_ZERO_HOUR12:
        ok = take_number(v, e->kind == GOLAYOUT_ZERO_HOUR12, &r->hour);
        check_range(r, r->hour, 0, 12, "hour out of range");
        break;
    case GOLAYOUT_MINUTE:
    case GOLAYOUT_ZERO_MINUTE:
        ok = take_number(v, e->kind == GOLAYOUT_ZERO_MINUTE, &r->minute);
        check_range(r, r->minute, 0, 59, "minute out of range");
        break;
    case GOLAYOUT_SECOND:
    case GOLAYOUT_ZERO_SECOND:
        return take_second(r, e->kind == GOLAYOUT_ZERO_SECOND, layout_rest);
    case GOLAYOUT_UPPER_PM:
        return take_am_pm(r, "PM", "AM");
    case GOLAYOUT_LOWER_PM:
        return take_am_pm(r, "pm", "am");
    case GOLAYOUT_ZONE_NAME:
        return take_zone_name(r);
    case GOLAYOUT_OFFSET:
        return take_offset(r, e);
    case GOLAYOUT_FRACTION_0:
        return v->len >= (size_t)e->digits + 1 && take_fraction(r, (size_t)e->digits + 1);
    case GOLAYOUT_FRACTION_9: /* may be absent */
        return !is_fraction_at(*v) || take_digits_fraction(r);
    }
    return ok;
}

/* Month and day from the day of the year, or checks that they agree. */
static int resolve_year_day(struct reading *r, struct error *err)
{
    if (r->year_day < 1 || r->year_day > 365 + civil_is_leap(r->year))
        return bad_because(err, r, "day-of-year out of range", no_tail);
    struct civil d = civil_from_days(civil_to_days(r->year, 1, r->year_day));
    if (r->month >= 0 && r->month != d.month)
        return bad_because(err, r, "day-of-year does not match month", no_tail);
    if (r->day >= 0 && r->day != d.day)
        return bad_because(err, r, "day-of-year does not match day", no_tail);
    r->month = d.month;
    r->day = d.day;
    return 0;
}

static int resolve_date(struct reading *r, struct error *err)
{
    if (r->pm && r->hour < 12)
        r->hour += 12;
    else if (r->am && r->hour == 12)
        r->hour = 0;
    if (r->year_day >= 0) {
        int rc = resolve_year_day(r, err);
        if (rc != 0)
            return rc;
    }
    r->month = r->month < 0 ? 1 : r->month;
    r->day = r->day < 0 ? 1 : r->day;
    if (r->day < 1 || r->day > civil_month_days(r->year, r->month))
        return bad_because(err, r, "day out of range", no_tail);
    return 0;
}

/* A known abbreviation of the local zone counts; any other is kept as a name without an offset,
 * save GMT+3, whose offset is shown but, as in Go, does not move the moment. */
static struct gotime resolve_zone_name(const struct reading *r, struct gotime t,
                                       const struct tzone *local)
{
    int32_t offset_s = 0;
    if (tzone_find_name(local, r->zone_name, t.s, &offset_s))
        return gotime_from_unix(t.s - offset_s, t.ns, local);
    int64_t hours;
    if (r->zone_name.len > 3 && str_has_prefix(r->zone_name, STR("GMT")) &&
        str_to_i64(str_from(r->zone_name, 3), &hours))
        offset_s = (int32_t)hours * 3600;
    return gotime_in_fixed(t, r->zone_name, offset_s);
}

static struct gotime resolve(const struct reading *r, const struct tzone *zone,
                             const struct tzone *local)
{
    bool shifted = r->offset_s != NO_OFFSET, named = r->zone_name.len > 0;
    const struct tzone *in = r->utc || shifted || named ? NULL : zone;
    struct gotime t =
        gotime_date(r->year, r->month, r->day, r->hour, r->minute, r->second, r->ns, in);
    if (r->utc)
        return t;
    if (shifted) {
        t.s -= r->offset_s;
        struct tzone_period p = tzone_at(local, t.s);
        if (p.offset_s == r->offset_s && (!named || str_eq_c(r->zone_name, p.name)))
            return gotime_in(t, local);
        return gotime_in_fixed(t, r->zone_name, r->offset_s);
    }
    return named ? resolve_zone_name(r, t, local) : t;
}

int gotime_parse(str layout, str value, const struct tzone *zone, const struct tzone *local,
                 struct gotime *ret, struct error *err)
{
    struct reading r = {.layout = layout,
                        .whole = value,
                        .value = value,
                        .month = -1,
                        .day = -1,
                        .year_day = -1,
                        .offset_s = NO_OFFSET};
    for (;;) {
        struct golayout_element e = golayout_next(&layout);
        if (!skip_literal(&r.value, e.prefix))
            return bad(err, &r, r.value, e.prefix);
        if (e.kind == GOLAYOUT_END)
            break;
        str before = r.value;
        bool ok = take_element(&r, &e, layout);
        if (r.out_of_range != NULL) {
            return bad_because(err, &r, r.out_of_range, no_tail);
        }
        if (!ok)
            return bad(err, &r, before, e.text);
    }
    if (r.value.len > 0)
        return bad_because(err, &r, "extra text: ", r.value);
    int rc = resolve_date(&r, err);
    if (rc == 0)
        *ret = resolve(&r, zone, local);
    return rc;
}
