#include "tests/unit/promtail/pipe.h"

#include "runtime/metrics.h"

static void check_page(const char *want, bool is_there)
{
    struct buf page;
    buf_init(&page, BUF_NO_LIMIT);
    metrics_write(&page);
    cr_assert_eq(strstr(buf_c(&page), want) != NULL, is_there, "%s\n%s", want, buf_c(&page));
    buf_deinit(&page);
}

Test(promtail_stage_metrics, counts_sets_and_observes)
{
    struct pipe p;
    pipe_open(
        &p, "- json: {expressions: {num: , k: }}\n"
            "- labels: {k: }\n"
            "- metrics:\n"
            "    lines: {type: Counter, description: all, config: {match_all: true, action: inc}}\n"
            "    bytes: {type: counter, prefix: my_, config: {match_all: true, "
            "count_entry_bytes: true, action: ADD}}\n"
            "    wanted: {type: Counter, source: k, config: {value: a, action: inc}}\n"
            "    level: {type: Gauge, source: num, config: {action: set}}\n"
            "    took: {type: Histogram, source: num, config: {buckets: [-1, 0, 2.5]}}\n");
    cr_assert_eq(p.rc, 0, "%s", p.err.text);
    pipe_put_lines(
        &p, "{\"num\":1,\"k\":\"a\"}\n{\"num\":\"2s\",\"k\":\"a\"}\n{\"num\":\"x\",\"k\":\"b\"}");
    check_page("# HELP promtail_custom_lines all\n# TYPE promtail_custom_lines counter\n", true);
    check_page("promtail_custom_lines{job=\"test\",k=\"a\"} 2\n", true);
    check_page("promtail_custom_lines{job=\"test\",k=\"b\"} 1\n", true);
    check_page("my_bytes{job=\"test\",k=\"a\"} 37\n", true);
    check_page("promtail_custom_wanted{job=\"test\",k=\"a\"} 2\n", true);
    check_page("promtail_custom_wanted{job=\"test\",k=\"b\"}", false);
    check_page("promtail_custom_level{job=\"test\",k=\"a\"} 2\n", true);
    check_page("promtail_custom_took_bucket{job=\"test\",k=\"a\",le=\"0\"} 0\n", true);
    check_page("promtail_custom_took_bucket{job=\"test\",k=\"a\",le=\"2.5\"} 2\n", true);
    check_page("promtail_custom_took_sum{job=\"test\",k=\"a\"} 3\n", true);
    pipe_close(&p);
    check_page("promtail_custom_lines", false);
}

Test(promtail_stage_metrics, adds_to_a_counter_what_does_not_take_away)
{
    struct pipe p;
    pipe_open(&p, "- regex: {expression: '(?P<v>.*)'}\n"
                  "- metrics: {sum: {type: Counter, source: v, config: {action: add}}}\n");
    pipe_put_lines(&p, "1e3\n-5\n-1s\n0x10\n1_0\n250ms");
    check_page("promtail_custom_sum{job=\"test\"} 1010.25\n", true);
    pipe_put_lines(&p, "NaN");
    check_page("promtail_custom_sum{job=\"test\"} NaN\n", true);
    pipe_close(&p);
}

Test(promtail_stage_metrics, shares_one_name_between_stages)
{
    struct pipe p;
    pipe_open(&p, "- metrics: {m: {type: Counter, config: {match_all: true, action: inc}}}\n"
                  "- metrics: {m: {type: Counter, config: {match_all: true, action: inc}}}\n"
                  "- metrics: {m: {type: Gauge, source: job, config: {action: inc}}}\n"
                  "- tenant: {value: t}\n"
                  "- metrics: {m: {type: Counter, config: {match_all: true, action: inc}}}\n");
    pipe_put_lines(&p, "a");
    pipe_close(&p);
    pipe_open(&p, "- metrics: {m: {type: Histogram, source: job, config: {}}}\n");
    cr_assert_eq(p.rc, 0);
    pipe_put_lines(&p, "a");
    pipe_close(&p);
}

Test(promtail_stage_metrics, names_are_shown_as_prometheus_escapes_them)
{
    struct pipe p;
    pipe_open(&p, "- static_labels: {'a-b': x, '\u00fcber c': 'q', '1st': z}\n"
                  "- metrics: {m-n: {type: Counter, config: {match_all: true, action: inc}}}\n");
    cr_assert_eq(p.rc, 0, "%s", p.err.text);
    pipe_put_lines(&p, "a");
    check_page("promtail_custom_m_n{_ber_c=\"q\",_st=\"z\",a_b=\"x\",job=\"test\"} 1\n", true);
    pipe_close(&p);
}

Test(promtail_stage_metrics, takes_an_infinite_bucket_for_the_one_there_is)
{
    struct pipe p;
    pipe_open(&p, "- regex: {expression: '(?P<v>.*)'}\n"
                  "- metrics: {inf: {type: Histogram, source: v, config: {buckets: [1, .inf]}}}\n");
    cr_assert_eq(p.rc, 0, "%s", p.err.text);
    pipe_put_lines(&p, "7");
    check_page("promtail_custom_inf_bucket{job=\"test\",le=\"1\"} 0\n"
               "promtail_custom_inf_bucket{job=\"test\",le=\"+Inf\"} 1\n"
               "promtail_custom_inf_sum",
               true);
    pipe_close(&p);
}

Test(promtail_stage_metrics, sums_a_gauge_in_the_order_of_its_changes)
{
    struct pipe p;
    pipe_open(&p, "- regex: {expression: '(?P<v>.*)'}\n"
                  "- metrics: {order: {type: Gauge, source: v, config: {action: add}}}\n");
    pipe_put_lines(&p, "0.1\n1\n0.7\n-1");
    check_page("promtail_custom_order{job=\"test\"} 0.8\n", true); /* not 0.7999999999999999 */
    pipe_close(&p);
}
