#include "querier/params.h"

#include <math.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/gofmt.h"
#include "base/goquote.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "runtime/http_server.h"

#define LIMIT_DEFAULT 100
#define POINTS_MAX    11000

static str request_param(const void *from, const char *name)
{
    return http_param(from, name);
}

struct params params_of_request(const struct http_request *r, int64_t now_ns)
{
    return (struct params){request_param, r, now_ns};
}

str params_str(const struct params *p, const char *name)
{
    str s = p->get(p->from, name);
    return s.ptr == NULL ? STR_EMPTY : s;
}

/* --- times --- */

/* Seconds with a fraction, of which Loki keeps three digits. */
static bool time_from_float(str text, int64_t *ret_ns)
{
    double v, whole;
    if (str_find_char(text, '.') == STR_NPOS || goparse_float(text, &v) != 0)
        return false;
    double fraction = round(modf(v, &whole) * 1000) / 1000;
    if (!(fabs(whole) < 9.2e9))
        return false;
    *ret_ns = (int64_t)whole * NS_PER_S + (int64_t)(fraction * (double)NS_PER_S);
    return true;
}

int param_time(str text, int64_t fallback_ns, int64_t *ret_ns, struct error *err)
{
    int64_t v;
    if (text.len == 0) {
        *ret_ns = fallback_ns;
        return 0;
    }
    if (time_from_float(text, ret_ns))
        return 0;
    int code = goparse_int(text, 10, 64, &v);
    if (code != 0) {
        if (rfc3339_parse(text, ret_ns))
            return 0;
        goparse_error(err, "ParseInt", text, code);
        if (err != NULL)
            err->code = E_INVALID;
        return E_INVALID;
    }
    *ret_ns = v;
    if (text.len <= 10 && __builtin_mul_overflow(v, NS_PER_S, ret_ns))
        return error_set(err, E_INVALID, "time is out of range");
    return 0;
}

/* fmt with the parameter quoted as %q. */
static int fail_quoted(struct error *err, const char *fmt, str text)
{
    struct buf b;
    buf_init(&b, 4096);
    goquote(&b, str_sub(text, 0, 500));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    error_set(err, E_INVALID, fmt, buf_c(&b));
#pragma GCC diagnostic pop
    buf_deinit(&b);
    return E_INVALID;
}

int param_duration(str text, int64_t *ret_ns, struct error *err)
{
    double v;
    if (goparse_float(text, &v) == 0) {
        v *= (double)NS_PER_S;
        if (!(v <= 9223372036854775807.0) || !(v >= -9223372036854775808.0))
            return fail_quoted(err, "cannot parse %s to a valid duration. It overflows int64",
                               text);
        *ret_ns = v >= 9223372036854775807.0 ? INT64_MAX : (int64_t)v;
        return 0;
    }
    if (duration_parse_prom(text, ret_ns, NULL) == 0)
        return 0;
    return fail_quoted(err, "cannot parse %s to a valid duration", text);
}

int params_bounds(const struct params *p, int64_t since_ns, int64_t *ret_start_ns,
                  int64_t *ret_end_ns, struct error *err)
{
    str since = params_str(p, "since");
    int code;
    if (since.len > 0 && duration_parse_prom(since, &since_ns, err) != 0) {
        error_prefix(err, "could not parse 'since' parameter: ");
        if (err != NULL)
            err->code = E_INVALID;
        return E_INVALID;
    }
    if ((code = param_time(params_str(p, "end"), p->now_ns, ret_end_ns, err)) != 0) {
        error_prefix(err, "could not parse 'end' parameter: ");
        return code;
    }
    /* An end in the future does not move the default start there. */
    int64_t from = MIN(*ret_end_ns, p->now_ns);
    if (__builtin_sub_overflow(from, since_ns, &from))
        from = INT64_MIN;
    if ((code = param_time(params_str(p, "start"), from, ret_start_ns, err)) != 0)
        error_prefix(err, "could not parse 'start' parameter: ");
    return code;
}

/* --- the others --- */

static int parse_int(str text, int64_t fallback, int64_t *ret, struct error *err)
{
    if (text.len == 0) {
        *ret = fallback;
        return 0;
    }
    int code = goparse_int(text, 10, 64, ret);
    if (code == 0)
        return 0;
    goparse_error(err, "Atoi", text, code);
    if (err != NULL)
        err->code = E_INVALID;
    return E_INVALID;
}

int params_limit(const struct params *p, const char *name, uint32_t fallback, uint32_t *ret,
                 struct error *err)
{
    int64_t v;
    int code = parse_int(params_str(p, name), fallback, &v, err);
    if (code != 0)
        return code;
    if (v <= 0)
        return error_set(err, E_INVALID, "limit must be a positive value");
    *ret = (uint32_t)MIN(v, (int64_t)UINT32_MAX);
    return 0;
}

static int params_direction(const struct params *p, bool *ret_forward, struct error *err)
{
    str text = params_str(p, "direction");
    *ret_forward = str_eq_nocase(text, STR("forward"));
    if (text.len == 0 || *ret_forward || str_eq_nocase(text, STR("backward")))
        return 0;
    return error_set(err, E_INVALID, "invalid direction '%.*s'", STR_ARG(str_sub(text, 0, 500)));
}

int64_t params_default_step_ns(int64_t start_ns, int64_t end_ns)
{
    double seconds = floor(((double)end_ns - (double)start_ns) / (double)NS_PER_S / 250);
    return (int64_t)MAX(seconds, 1) * NS_PER_S;
}

static int params_step(const struct params *p, struct range_params *r, struct error *err)
{
    str text = params_str(p, "step");
    r->step_ns = params_default_step_ns(r->start_ns, r->end_ns);
    if (text.len > 0) {
        int code = param_duration(text, &r->step_ns, err);
        if (code != 0)
            return code;
    }
    if (r->step_ns <= 0)
        return error_set(err, E_INVALID,
                         "zero or negative query resolution step widths are not accepted. Try a "
                         "positive integer");
    /* start may be far before 1970 and end far after: unsigned holds the difference. */
    uint64_t length = (uint64_t)r->end_ns - (uint64_t)r->start_ns;
    if (length / (uint64_t)r->step_ns > POINTS_MAX)
        return error_set(err, E_INVALID,
                         "exceeded maximum resolution of 11,000 points per time series. Try "
                         "increasing the value of the step parameter");
    return 0;
}

static int params_interval(const struct params *p, struct range_params *r, struct error *err)
{
    str text = params_str(p, "interval");
    r->interval_ns = 0;
    if (text.len == 0)
        return 0;
    int code = param_duration(text, &r->interval_ns, err);
    if (code == 0 && r->interval_ns < 0)
        code = error_set(err, E_INVALID, "interval must be >= 0");
    return code;
}

static int params_ordered_bounds(const struct params *p, struct range_params *r, struct error *err)
{
    int code = params_bounds(p, PARAM_SINCE_NS, &r->start_ns, &r->end_ns, err);
    if (code == 0 && r->end_ns < r->start_ns)
        code = error_set(err, E_INVALID, "end timestamp must not be before or equal to start time");
    return code;
}

/* All but the limit. */
static int params_range_but_limit(const struct params *p, struct range_params *ret,
                                  struct error *err)
{
    int code = params_direction(p, &ret->is_forward, err);
    if (code == 0)
        code = params_step(p, ret, err);
    return code == 0 ? params_interval(p, ret, err) : code;
}

int params_range(const struct params *p, struct range_params *ret, struct error *err)
{
    ret->query = params_str(p, "query");
    int code = params_ordered_bounds(p, ret, err);
    if (code == 0)
        code = params_limit(p, "limit", LIMIT_DEFAULT, &ret->limit, err);
    return code == 0 ? params_range_but_limit(p, ret, err) : code;
}

int params_range_of_fields(const struct params *p, struct range_params *ret, struct error *err)
{
    ret->query = params_str(p, "query");
    int code = params_ordered_bounds(p, ret, err);
    return code == 0 ? params_step(p, ret, err) : code;
}

/* A limit of 0 is the default here, and nowhere else. */
static int params_volume_limit(const struct params *p, uint32_t *ret, struct error *err)
{
    int64_t v;
    int code = parse_int(params_str(p, "limit"), LIMIT_DEFAULT, &v, err);
    if (code != 0)
        return code;
    if (v < 0)
        return error_set(err, E_INVALID, "limit must be a positive value");
    *ret = v == 0 ? LIMIT_DEFAULT : (uint32_t)MIN(v, (int64_t)UINT32_MAX);
    return 0;
}

int params_volume(const struct params *p, struct range_params *ret, struct error *err)
{
    int64_t ignored_ns;
    ret->query = params_str(p, "query");
    ret->step_ns = ret->interval_ns = 0;
    int code = params_volume_limit(p, &ret->limit, err);
    if (code == 0)
        code = param_time(params_str(p, "time"), p->now_ns, &ignored_ns, err);
    if (code == 0)
        code = params_direction(p, &ret->is_forward, err);
    return code == 0 ? params_ordered_bounds(p, ret, err) : code;
}

int params_volume_range(const struct params *p, struct range_params *ret, struct error *err)
{
    ret->query = params_str(p, "query");
    int code = params_volume_limit(p, &ret->limit, err);
    if (code == 0)
        code = params_ordered_bounds(p, ret, err);
    return code == 0 ? params_range_but_limit(p, ret, err) : code;
}

int params_instant(const struct params *p, struct instant_params *ret, struct error *err)
{
    ret->query = params_str(p, "query");
    int code = params_limit(p, "limit", LIMIT_DEFAULT, &ret->limit, err);
    if (code == 0)
        code = param_time(params_str(p, "time"), p->now_ns, &ret->time_ns, err);
    return code == 0 ? params_direction(p, &ret->is_forward, err) : code;
}
