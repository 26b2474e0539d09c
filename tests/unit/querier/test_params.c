#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/mem.h"
#include "querier/params.h"

#define NOW_NS (INT64_C(1793500000) * NS_PER_S)

/* "name=value" strings, NULL-terminated. */
static str get(const void *from, const char *name)
{
    const char *const *pairs = from;
    size_t n = strlen(name);
    for (; *pairs != NULL; pairs++)
        if (strncmp(*pairs, name, n) == 0 && (*pairs)[n] == '=')
            return str_c(*pairs + n + 1);
    return str_make(NULL, 0);
}

static struct params params(const char *const *pairs)
{
    return (struct params){get, pairs, NOW_NS};
}

#define PARAMS(...) params((const char *const[]){__VA_ARGS__, NULL})

Test(querier_params, reads_times_in_every_form)
{
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"1793491200", 1793491200 * NS_PER_S},
        {"1793491200000000001", 1793491200 * NS_PER_S + 1},
        {"1793491200.5", 1793491200 * NS_PER_S + 500000000},
        {"1793491200.25", 1793491200 * NS_PER_S + 250000000},
        {"2026-11-01T00:00:00Z", 1793491200 * NS_PER_S},
        {"2026-11-01T01:00:00.000000001+01:00", 1793491200 * NS_PER_S + 1},
        {"-1", -NS_PER_S},
        {"", 7},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ns = 0;
        cr_expect_eq(param_time(str_c(cases[i].text), 7, &ns, NULL), 0, "%s", cases[i].text);
        cr_expect_eq(ns, cases[i].ns, "%s: %lld", cases[i].text, (long long)ns);
    }
    struct error err = {0};
    int64_t ns;
    cr_expect_eq(param_time(STR("yesterday"), 0, &ns, &err), E_INVALID);
    cr_expect_str_eq(err.text, "strconv.ParseInt: parsing \"yesterday\": invalid syntax");
}

static void expect_range_error(struct params p, const char *want)
{
    struct range_params r;
    struct error err = {0};
    cr_expect_neq(params_range(&p, &r, &err), 0, "%s", want);
    cr_expect_str_eq(err.text, want);
    cr_expect_eq(error_http(&err), 400);
}

Test(querier_params, says_what_is_wrong_as_loki)
{
    expect_range_error(PARAMS("start=x"), "could not parse 'start' parameter: strconv.ParseInt: "
                                          "parsing \"x\": invalid syntax");
    expect_range_error(PARAMS("end=x"),
                       "could not parse 'end' parameter: strconv.ParseInt: parsing "
                       "\"x\": invalid syntax");
    expect_range_error(PARAMS("since=120"), "could not parse 'since' parameter: not a valid "
                                            "duration string: \"120\"");
    expect_range_error(PARAMS("start=20", "end=10"),
                       "end timestamp must not be before or equal to start time");
    expect_range_error(PARAMS("limit=1.5"), "strconv.Atoi: parsing \"1.5\": invalid syntax");
    expect_range_error(PARAMS("limit=0"), "limit must be a positive value");
    expect_range_error(PARAMS("direction=up"), "invalid direction 'up'");
    expect_range_error(PARAMS("step=abc"), "cannot parse \"abc\" to a valid duration");
    expect_range_error(PARAMS("step=1e30"),
                       "cannot parse \"1e30\" to a valid duration. It overflows int64");
    expect_range_error(PARAMS("step=0"), "zero or negative query resolution step widths are not "
                                         "accepted. Try a positive integer");
    expect_range_error(PARAMS("start=0", "end=11001", "step=1"),
                       "exceeded maximum resolution of 11,000 points per time series. Try "
                       "increasing the value of the step parameter");
    expect_range_error(PARAMS("interval=-1"), "interval must be >= 0");
}

Test(querier_params, volumes_take_a_limit_of_zero_and_an_instant_one_no_step)
{
    struct range_params r;
    struct error err = {0};
    struct params p = PARAMS("query={}", "limit=0", "start=1793491200", "end=1793494800", "step=x");
    cr_expect_eq(params_volume(&p, &r, &err), 0, "%s", err.text);
    cr_expect_eq(r.limit, 100u);
    cr_expect_eq(r.step_ns, 0);
    cr_expect_eq(params_volume_range(&p, &r, &err), E_INVALID);
    cr_expect_str_eq(err.text, "cannot parse \"x\" to a valid duration");
    p = PARAMS("limit=00", "start=1793491200", "end=1793494800", "step=1h");
    cr_expect_eq(params_volume_range(&p, &r, &err), 0, "%s", err.text);
    cr_expect_eq(r.limit, 100u);
    cr_expect_eq(r.step_ns, 3600 * NS_PER_S);
    static const struct {
        const char *param, *want;
    } bad[] = {
        {"limit=-1", "limit must be a positive value"},
        {"limit=x", "strconv.Atoi: parsing \"x\": invalid syntax"},
        {"time=x", "strconv.ParseInt: parsing \"x\": invalid syntax"},
        {"direction=x", "invalid direction 'x'"},
        {"end=1", "end timestamp must not be before or equal to start time"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        err = (struct error){0};
        p = PARAMS(bad[i].param, "start=1793491200", "end=1793494800");
        cr_expect_eq(params_volume(&p, &r, &err), E_INVALID, "%s", bad[i].param);
        cr_expect_str_eq(err.text, bad[i].want);
    }
}

Test(querier_params, has_lokis_defaults)
{
    struct range_params r;
    struct params p = PARAMS("query={a=\"b\"}");
    cr_assert_eq(params_range(&p, &r, NULL), 0);
    cr_expect_eq(r.end_ns, NOW_NS);
    cr_expect_eq(r.start_ns, NOW_NS - 3600 * NS_PER_S);
    cr_expect_eq(r.step_ns, 14 * NS_PER_S);
    cr_expect_eq(r.limit, 100);
    cr_expect_not(r.is_forward);
    cr_expect_eq(r.interval_ns, 0);
}

Test(querier_params, counts_since_from_the_end_but_not_from_the_future)
{
    struct range_params r;
    struct params p = PARAMS("end=1793491320", "since=2m");
    cr_assert_eq(params_range(&p, &r, NULL), 0);
    cr_expect_eq(r.start_ns, 1793491200 * NS_PER_S);
    p = PARAMS("end=1893491320", "since=2m");
    cr_assert_eq(params_range(&p, &r, NULL), 0);
    cr_expect_eq(r.start_ns, NOW_NS - 120 * NS_PER_S);
    p = PARAMS("start=5", "end=10", "since=2m", "step=1m30s", "direction=FORWARD");
    cr_assert_eq(params_range(&p, &r, NULL), 0);
    cr_expect_eq(r.start_ns, 5 * NS_PER_S);
    cr_expect_eq(r.step_ns, 90 * NS_PER_S);
    cr_expect(r.is_forward);
}

Test(querier_params, instant_takes_one_time)
{
    struct instant_params r;
    struct params p = PARAMS("time=1793491200.5", "limit=7");
    cr_assert_eq(params_instant(&p, &r, NULL), 0);
    cr_expect_eq(r.time_ns, 1793491200 * NS_PER_S + 500000000);
    cr_expect_eq(r.limit, 7);
}
