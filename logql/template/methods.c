/* Methods of time.Time, time.Duration, time.Month and time.Weekday. */
#include "base/duration.h"
#include "base/mem.h"
#include "logql/template/call.h"
#include "logql/template/print.h"
#include "logql/template/time.h"

#define NS_S  INT64_C(1000000000)
#define DAY_S 86400

static struct gotime add_ns(struct gotime t, int64_t ns)
{
    int64_t s = t.s + ns / NS_S, rest = t.ns + ns % NS_S;
    struct gotime r = t;
    r.s = s + civil_floor_div(rest, NS_S);
    r.ns = (int32_t)civil_floor_mod(rest, NS_S);
    return r;
}

/* Nanoseconds since the year one, modulo d, as Truncate and Round count. */
static int64_t remainder_ns(struct gotime t, int64_t d)
{
    __int128 since = (__int128)(t.s - GOTIME_YEAR_ONE_S) * NS_S + t.ns;
    __int128 r = since % d;
    return (int64_t)(r < 0 ? r + d : r);
}

enum part {
    P_YEAR,
    P_MONTH,
    P_DAY,
    P_HOUR,
    P_MINUTE,
    P_SECOND,
    P_WEEKDAY,
    P_YEAR_DAY,
};

static int part(const struct tval *v, enum part p, struct tval *ret)
{
    struct gotime_fields f = gotime_fields(v->t);
    const int64_t values[] = {f.date.year, f.date.month, f.date.day,      f.hour,
                              f.minute,    f.second,     f.date.week_day, f.date.year_day};
    enum tval_type type = p == P_MONTH ? TVAL_MONTH : p == P_WEEKDAY ? TVAL_WEEKDAY : TVAL_INT;
    *ret = (struct tval){.type = type, .i = values[p]};
    return 0;
}

#define PART(name, which)                                                                          \
    static int name(struct template_call *c, struct tval *args, int n, struct tval *ret)           \
    {                                                                                              \
        (void)c, (void)n;                                                                          \
        return part(&args[0], which, ret);                                                         \
    }
PART(t_year, P_YEAR)
PART(t_month, P_MONTH)
PART(t_day, P_DAY)
PART(t_hour, P_HOUR)
PART(t_minute, P_MINUTE)
PART(t_second, P_SECOND)
PART(t_weekday, P_WEEKDAY)
PART(t_year_day, P_YEAR_DAY)

/* Results that need nothing but the arguments: name, expression of t, a. */
#define SIMPLE(name, expr)                                                                         \
    static int name(struct template_call *c, struct tval *args, int n, struct tval *ret)           \
    {                                                                                              \
        (void)c, (void)n;                                                                          \
        const struct tval *a = args;                                                               \
        *ret = (expr);                                                                             \
        return 0;                                                                                  \
    }
SIMPLE(t_nanosecond, tval_int(a->t->ns))
SIMPLE(t_unix, tval_int64(a->t->s))
SIMPLE(t_unix_milli, tval_int64(a->t->s * 1000 + a->t->ns / 1000000))
SIMPLE(t_unix_micro, tval_int64((int64_t)((uint64_t)a->t->s * 1000000 + a->t->ns / 1000)))
SIMPLE(t_unix_nano, tval_int64(gotime_ns(*a->t)))
SIMPLE(t_is_zero, tval_bool(a->t->s == GOTIME_YEAR_ONE_S && a->t->ns == 0))
SIMPLE(d_seconds, tval_float((double)(a->i / NS_S) + (double)(a->i % NS_S) / 1e9))
SIMPLE(d_minutes, tval_float((double)(a->i / (60 * NS_S)) + (double)(a->i % (60 * NS_S)) / 6e10))
SIMPLE(d_hours,
       tval_float((double)(a->i / (3600 * NS_S)) + (double)(a->i % (3600 * NS_S)) / 3.6e12))
SIMPLE(d_milliseconds, tval_int64(a->i / 1000000))
SIMPLE(d_microseconds, tval_int64(a->i / 1000))
SIMPLE(d_nanoseconds, tval_int64(a->i))
SIMPLE(d_abs, ((struct tval){.type = TVAL_DURATION,
                             .i = a->i == INT64_MIN ? INT64_MAX
                                  : a->i < 0        ? -a->i
                                                    : a->i}))

static int compare_times(const struct gotime *a, const struct gotime *b)
{
    if (a->s != b->s)
        return a->s < b->s ? -1 : 1;
    return (a->ns > b->ns) - (a->ns < b->ns);
}

SIMPLE(t_before, tval_bool(compare_times(a[0].t, a[1].t) < 0))
SIMPLE(t_after, tval_bool(compare_times(a[0].t, a[1].t) > 0))
SIMPLE(t_equal, tval_bool(compare_times(a[0].t, a[1].t) == 0))
SIMPLE(t_compare, tval_int(compare_times(a[0].t, a[1].t)))

static int t_format(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    gotime_format(&b, args[1].s, args[0].t);
    return template_call_take(c, &b, ret);
}

/* String() of everything that has one. */
static int to_string(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    tprint_value(&b, &args[0]);
    return template_call_take(c, &b, ret);
}

static int t_add(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return template_return_time(c, add_ns(*args[0].t, args[1].i), ret);
}

static int t_add_date(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    const int64_t most = 1000000000; /* years, months or days */
    for (int i = 1; i <= 3; i++)
        if (args[i].i > most || args[i].i < -most)
            return template_call_fail(c, "date out of range");
    struct gotime_fields f = gotime_fields(args[0].t);
    struct gotime t = gotime_date(f.date.year + args[1].i, (int)(f.date.month + args[2].i),
                                  f.date.day + args[3].i, f.hour, f.minute, f.second, args[0].t->ns,
                                  args[0].t->zone);
    if (args[0].t->fixed) {
        t.s -= args[0].t->offset_s;
        t = gotime_in_fixed(t, str_c(args[0].t->name), args[0].t->offset_s);
    }
    return template_return_time(c, t, ret);
}

static int t_sub(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c, (void)n;
    __int128 d = (__int128)(args[0].t->s - args[1].t->s) * NS_S + args[0].t->ns - args[1].t->ns;
    d = d > INT64_MAX ? INT64_MAX : d < INT64_MIN ? INT64_MIN : d;
    *ret = (struct tval){.type = TVAL_DURATION, .i = (int64_t)d};
    return 0;
}

static int t_truncate(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    int64_t d = args[1].i;
    struct gotime t = d <= 0 ? *args[0].t : add_ns(*args[0].t, -remainder_ns(*args[0].t, d));
    return template_return_time(c, t, ret);
}

static int t_round(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    int64_t d = args[1].i;
    struct gotime t = *args[0].t;
    if (d > 0) {
        int64_t r = remainder_ns(t, d);
        t = add_ns(t, r < d - r ? -r : d - r);
    }
    return template_return_time(c, t, ret);
}

static int t_utc(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return template_return_time(c, gotime_in(*args[0].t, NULL), ret);
}

static int t_local(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return template_return_time(c, gotime_in(*args[0].t, c->ctx->local), ret);
}

/* The name of the zone stands for the *time.Location: nothing else can be done with one. */
static int t_location(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    const struct gotime *t = args[0].t;
    if (t->zone != NULL)
        return template_return_str(ret,
                                   t->zone == c->ctx->local ? STR("Local") : tzone_name(t->zone));
    return template_return_str(ret, t->fixed ? str_c(t->name) : STR("UTC"));
}

static int d_truncate(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c, (void)n;
    int64_t m = args[1].i;
    *ret = args[0];
    ret->i = m <= 0 ? args[0].i : args[0].i - args[0].i % m;
    return 0;
}

static int d_round(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c, (void)n;
    int64_t d = args[0].i, m = args[1].i;
    *ret = args[0];
    if (m <= 0)
        return 0;
    int64_t r = d % m, size = r < 0 ? -r : r;
    __int128 rounded = (__int128)d - r;
    if (size >= m - size) /* halves go away from zero */
        rounded += d < 0 ? -m : m;
    ret->i = rounded > INT64_MAX ? INT64_MAX : rounded < INT64_MIN ? INT64_MIN : (int64_t)rounded;
    return 0;
}

static const struct template_func time_methods[] = {
    {"Year", "t", t_year},
    {"Month", "t", t_month},
    {"Day", "t", t_day},
    {"Hour", "t", t_hour},
    {"Minute", "t", t_minute},
    {"Second", "t", t_second},
    {"Nanosecond", "t", t_nanosecond},
    {"Weekday", "t", t_weekday},
    {"YearDay", "t", t_year_day},
    {"Unix", "t", t_unix},
    {"UnixMilli", "t", t_unix_milli},
    {"UnixMicro", "t", t_unix_micro},
    {"UnixNano", "t", t_unix_nano},
    {"IsZero", "t", t_is_zero},
    {"Before", "tt", t_before},
    {"After", "tt", t_after},
    {"Equal", "tt", t_equal},
    {"Compare", "tt", t_compare},
    {"Format", "ts", t_format},
    {"String", "t", to_string},
    {"Add", "td", t_add},
    {"AddDate", "tiii", t_add_date},
    {"Sub", "tt", t_sub},
    {"Truncate", "td", t_truncate},
    {"Round", "td", t_round},
    {"UTC", "t", t_utc},
    {"Local", "t", t_local},
    {"Location", "t", t_location},
};

static const struct template_func duration_methods[] = {
    {"Seconds", "d", d_seconds},
    {"Minutes", "d", d_minutes},
    {"Hours", "d", d_hours},
    {"Milliseconds", "d", d_milliseconds},
    {"Microseconds", "d", d_microseconds},
    {"Nanoseconds", "d", d_nanoseconds},
    {"Abs", "d", d_abs},
    {"String", "d", to_string},
    {"Truncate", "dd", d_truncate},
    {"Round", "dd", d_round},
};

static const struct template_func name_methods[] = {{"String", "v", to_string}};

const struct template_func *template_method_find(const struct tval *v, str name)
{
    struct template_func_table table = {NULL, 0};
    if (v->type == TVAL_TIME)
        table = (struct template_func_table)TEMPLATE_TABLE(time_methods);
    else if (v->type == TVAL_DURATION)
        table = (struct template_func_table)TEMPLATE_TABLE(duration_methods);
    else if (v->type == TVAL_MONTH || v->type == TVAL_WEEKDAY)
        table = (struct template_func_table)TEMPLATE_TABLE(name_methods);
    for (size_t i = 0; i < table.len; i++)
        if (str_eq_c(name, table.items[i].name))
            return &table.items[i];
    return NULL;
}
