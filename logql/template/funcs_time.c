/* Time: sprig's date functions and Loki's. */
#include "base/clock.h"
#include "base/duration.h"
#include "base/gofmt.h"
#include "base/mem.h"
#include "logql/template/convert.h"
#include "logql/template/funcs.h"
#include "logql/template/time.h"

int template_return_time(struct template_call *c, struct gotime t, struct tval *ret)
{
    struct gotime *copy = template_call_alloc(c, sizeof *copy);
    if (copy == NULL)
        return E_LIMIT;
    *copy = t;
    *ret = (struct tval){.type = TVAL_TIME, .t = copy};
    return 0;
}

static struct gotime now(const struct template_call *c)
{
    int64_t ns = c->ctx->now_ns;
    return gotime_from_ns(ns != 0 ? ns : clock_now_ns(), c->ctx->local);
}

/* What sprig's date functions accept; anything else is now. */
static struct gotime time_of(const struct template_call *c, const struct tval *v)
{
    if (v->type == TVAL_TIME)
        return *v->t;
    if (v->type == TVAL_INT || v->type == TVAL_INT64 || v->type == TVAL_INT32)
        return gotime_from_unix(v->i, 0, c->ctx->local);
    return now(c);
}

static int format(struct template_call *c, str layout, struct gotime t, const struct tzone *zone,
                  struct tval *ret)
{
    struct buf b;
    template_call_buf(c, &b);
    t = gotime_in(t, zone);
    gotime_format(&b, layout, &t);
    return template_call_take(c, &b, ret);
}

static int f_date(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return format(c, args[0].s, time_of(c, &args[1]), c->ctx->local, ret);
}

static int f_date_in_zone(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return format(c, args[0].s, time_of(c, &args[1]), template_call_zone(c, args[2].s), ret);
}

static int f_html_date(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return format(c, STR("2006-01-02"), time_of(c, &args[0]), c->ctx->local, ret);
}

static int f_html_date_in_zone(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return format(c, STR("2006-01-02"), time_of(c, &args[0]), template_call_zone(c, args[1].s),
                  ret);
}

/* A value that cannot be read is the year one. */
static int parse(struct template_call *c, str layout, str value, const struct tzone *zone,
                 struct tval *ret)
{
    struct gotime t = {.s = GOTIME_YEAR_ONE_S};
    gotime_parse(layout, value, zone, zone, &t, NULL);
    return template_return_time(c, t, ret);
}

static int f_to_date(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return parse(c, args[0].s, args[1].s, c->ctx->local, ret);
}

static int f_must_to_date(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct gotime t;
    struct error err = {0};
    if (gotime_parse(args[0].s, args[1].s, c->ctx->local, c->ctx->local, &t, &err) != 0)
        return template_call_fail_with(c, &err);
    return template_return_time(c, t, ret);
}

static int f_to_date_in_zone(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return parse(c, args[0].s, args[2].s, template_call_zone(c, args[1].s), ret);
}

static int f_now(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)args, (void)n;
    return template_return_time(c, now(c), ret);
}

static int f_timestamp(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)args, (void)n;
    return template_return_time(c, gotime_from_ns(c->ctx->ts_ns, c->ctx->local), ret);
}

static int f_line(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)args, (void)n;
    return template_return_str(ret, c->ctx->line);
}

static int return_number(struct template_call *c, int64_t v, struct tval *ret)
{
    struct buf b;
    template_call_buf(c, &b);
    buf_append_i64(&b, v);
    return template_call_take(c, &b, ret);
}

static int f_unix_epoch(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return return_number(c, args[0].t->s, ret);
}

static int f_unix_epoch_millis(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return return_number(c, args[0].t->s * 1000 + args[0].t->ns / 1000000, ret);
}

static int f_unix_epoch_nanos(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return return_number(c, gotime_ns(*args[0].t), ret);
}

/* The number of digits tells the unit. */
static int f_unix_to_time(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    str s = args[0].s;
    int64_t v;
    int rc = goparse_int(s, 10, 64, &v);
    if (rc != 0) {
        struct error err = {0};
        goparse_error(&err, "ParseInt", s, rc);
        return template_call_fail(c, "unable to parse time '%.*s': %s", STR_ARG(s), err.text);
    }
    const struct tzone *zone = c->ctx->local;
    switch (s.len) {
    case 5:
        return template_return_time(c, gotime_from_unix(v * 86400, 0, zone), ret);
    case 10:
        return template_return_time(c, gotime_from_unix(v, 0, zone), ret);
    case 13:
        return template_return_time(c, gotime_from_ns(v * NS_PER_MS, zone), ret);
    case 16:
        return template_return_time(c, gotime_from_ns(v * 1000, zone), ret);
    case 19:
        return template_return_time(c, gotime_from_ns(v, zone), ret);
    default:
        return template_call_fail(c, "unable to parse time '%.*s': %%!w(<nil>)", STR_ARG(s));
    }
}

/* --- Promtail only --- */

static int f_ago(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct gotime from = time_of(c, &args[0]), to = now(c);
    struct buf b;
    template_call_buf(c, &b);
    int64_t s = to.s - from.s; /* whole seconds, rounded */
    s += to.ns - from.ns >= 500000000 ? 1 : to.ns - from.ns < -500000000 ? -1 : 0;
    duration_append_go(&b, s * NS_PER_S);
    return template_call_take(c, &b, ret);
}

/* Seconds as a number or a string; what is no number counts as 0. */
static int f_duration(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    int64_t s = 0, ns;
    if (args[0].type == TVAL_STRING)
        goparse_int(args[0].s, 10, 64, &s);
    else if (args[0].type == TVAL_INT64)
        s = args[0].i;
    if (__builtin_mul_overflow(s, NS_PER_S, &ns))
        ns = (int64_t)((uint64_t)s * (uint64_t)NS_PER_S);
    template_call_buf(c, &b);
    duration_append_go(&b, ns);
    return template_call_take(c, &b, ret);
}

/* The largest unit only: 2h, 3d, 1mo. */
static int f_duration_round(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    static const struct {
        uint64_t s;
        const char *unit;
    } units[] = {{31536000, "y"}, {2592000, "mo"}, {86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}};
    int64_t ns = 0;
    if (args[0].type == TVAL_STRING)
        duration_parse_go(args[0].s, &ns, NULL);
    else if (args[0].type == TVAL_INT64 || args[0].type == TVAL_DURATION)
        ns = args[0].i;
    else if (args[0].type == TVAL_TIME)
        ns = gotime_ns(now(c)) - gotime_ns(*args[0].t);
    /* of a time to come, too: sprig loses the sign */
    uint64_t s = (ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns) / NS_PER_S;
    struct buf b;
    template_call_buf(c, &b);
    size_t i = 0;
    while (i < ARRAY_LEN(units) && s < units[i].s)
        i++;
    if (i == ARRAY_LEN(units))
        buf_append_c(&b, "0s");
    else
        buf_printf(&b, "%llu%s", (unsigned long long)(s / units[i].s), units[i].unit);
    return template_call_take(c, &b, ret);
}

static int modify(struct template_call *c, struct tval *args, struct error *err, struct tval *ret)
{
    int64_t ns = 0;
    struct gotime t = *args[1].t;
    if (duration_parse_go(args[0].s, &ns, err) == 0) {
        t.s += ns / NS_PER_S;
        int64_t rest = t.ns + ns % NS_PER_S;
        t.s += civil_floor_div(rest, NS_PER_S);
        t.ns = (int32_t)civil_floor_mod(rest, NS_PER_S);
    }
    return template_return_time(c, t, ret);
}

static int f_date_modify(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return modify(c, args, NULL, ret);
}

static int f_must_date_modify(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct error err = {0};
    int rc = modify(c, args, &err, ret);
    return err.code != 0 ? template_call_fail_with(c, &err) : rc;
}

static const struct template_func funcs[] = {
    {"date", "sv", f_date},
    {"toDate", "ss", f_to_date},
    {"now", "", f_now},
    {"unixEpoch", "t", f_unix_epoch},
};

static const struct template_func more[] = {
    {"ago", "v", f_ago},
    {"date_in_zone", "svs", f_date_in_zone},
    {"dateInZone", "svs", f_date_in_zone},
    {"date_modify", "st", f_date_modify},
    {"dateModify", "st", f_date_modify},
    {"must_date_modify", "st", f_must_date_modify},
    {"mustDateModify", "st", f_must_date_modify},
    {"duration", "v", f_duration},
    {"durationRound", "v", f_duration_round},
    {"htmlDate", "v", f_html_date},
    {"htmlDateInZone", "vs", f_html_date_in_zone},
    {"mustToDate", "ss", f_must_to_date},
};

static const struct template_func loki[] = {
    {"__line__", "", f_line},
    {"__timestamp__", "", f_timestamp},
    {"toDateInZone", "sss", f_to_date_in_zone},
    {"unixEpochMillis", "t", f_unix_epoch_millis},
    {"unixEpochNanos", "t", f_unix_epoch_nanos},
    {"unixToTime", "s", f_unix_to_time},
};

const struct template_func_table template_funcs_time = TEMPLATE_TABLE(funcs);
const struct template_func_table template_funcs_time_more = TEMPLATE_TABLE(more);
const struct template_func_table template_funcs_time_loki = TEMPLATE_TABLE(loki);
