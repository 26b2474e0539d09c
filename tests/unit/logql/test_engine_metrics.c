#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/logql/engine_help.h"

static struct fake_source *fake;
static struct query_source *source;
static struct engine_params params;

/* Streams x and y, an entry every 10 s from 0 to 590 with v=<seconds> and, every fifth, "error". */
static void use(enum fake_layout layout, size_t block_entries)
{
    fake_source_free(fake);
    struct fake_source_params p = {.layout = layout, .block_entries = block_entries};
    fake = fake_source_new(&p);
    for (int t = 0; t < 600; t += 10) {
        char line[64];
        snprintf(line, sizeof line, "v=%d%s", t, t % 50 == 0 ? " error" : "");
        fake_source_add(fake, "{app=\"x\",pod=\"1\"}", t * S, line,
                        "{\"detected_level\":\"info\"}");
        fake_source_add(fake, "{app=\"y\",pod=\"2\"}", t * S, line,
                        "{\"detected_level\":\"warn\"}");
    }
    source = fake_source_query_source(fake);
}

static void set_up(void)
{
    fake = NULL;
    use(FAKE_PLAIN, 6);
    params = (struct engine_params){.start_ns = 60 * S,
                                    .end_ns = 180 * S,
                                    .step_ns = 60 * S,
                                    .is_step_aligned = true,
                                    .sources = &source,
                                    .n_sources = 1,
                                    .shard_bytes_min = 1};
}

static void tear_down(void)
{
    fake_source_free(fake);
}

TestSuite(logql_engine_metrics, .init = set_up, .fini = tear_down);

Test(logql_engine_metrics, counts_from_times_and_footers_without_reading_lines)
{
    expect_answer("sum by (app) (count_over_time({app=~\".+\"}[1m]))", &params,
                  "{app=\"x\"} 60:6 120:6 180:6 | {app=\"y\"} 60:6 120:6 180:6");
    expect_answer("sum(rate({app=~\".+\"}[1m]))", &params, "{} 60:0.2 120:0.2 180:0.2");
    cr_expect_eq(fake_source_line_reads(fake), 0);
}

Test(logql_engine_metrics, whole_blocks_inside_a_window_come_from_footers_alone)
{
    use(FAKE_PLAIN, 3);
    params.is_instant = true;
    params.start_ns = params.end_ns = 600 * S;
    struct asked a;
    ask(&a, "sum(bytes_over_time({app=\"x\"}[20m]))", &params);
    cr_assert_eq(a.rc, 0, "%s", a.err.text);
    cr_expect_eq(a.result.kind, ENGINE_VECTOR);
    cr_expect_eq(a.result.stats.blocks_read, 0);
    cr_expect_eq(a.result.stats.blocks_from_footer, 20);
    cr_expect_eq(fake_source_reads(fake), 0);
    double want = 0;
    for (int t = 0; t < 600; t += 10)
        want += snprintf(NULL, 0, "v=%d%s", t, t % 50 == 0 ? " error" : "");
    cr_expect_eq(a.result.series[0].points[0].value, want);
    asked_done(&a);
}

Test(logql_engine_metrics, metadata_make_series_where_no_grouping_takes_them_away)
{
    expect_answer("count_over_time({app=\"x\"}[1m])", &params,
                  "{app=\"x\", detected_level=\"info\", pod=\"1\"} 60:6 120:6 180:6");
    expect_answer("sum by (detected_level) (count_over_time({app=\"x\"}[1m]))", &params,
                  "{detected_level=\"info\"} 60:6 120:6 180:6");
}

Test(logql_engine_metrics, metadata_that_grouping_asks_for_are_read)
{
    fake_source_add(fake, "{app=\"x\",pod=\"1\"}", 55 * S, "traced", "{\"trace\":\"t1\"}");
    params.end_ns = params.start_ns;
    expect_answer("sum by (trace) (count_over_time({app=\"x\"}[1m]))", &params,
                  "{} 60:6 | {trace=\"t1\"} 60:1");
    expect_answer("sum by (trace) (count_over_time({app=\"y\"}[1m]))", &params, "{} 60:6");
    cr_expect_eq(fake_source_line_reads(fake), 0);
}

Test(logql_engine_metrics, steps_are_aligned_when_asked)
{
    params.start_ns = 70 * S;
    params.end_ns = 130 * S;
    expect_answer("sum(count_over_time({app=\"x\"}[1m]))", &params, "{} 60:6 120:6 180:6");
    params.is_step_aligned = false;
    expect_answer("sum(count_over_time({app=\"x\"}[1m]))", &params, "{} 70:6 130:6");
}

Test(logql_engine_metrics, an_offset_looks_back)
{
    params.start_ns = params.end_ns = 600 * S;
    expect_answer("sum(sum_over_time({app=\"x\"} | logfmt | unwrap v [10s] offset 5m))", &params,
                  "{} 600:300");
    expect_answer("sum(sum_over_time({app=\"x\"} | logfmt | unwrap v [10s] offset -5m))", &params,
                  "");
}

Test(logql_engine_metrics, range_functions_over_unwrapped_values)
{
    params.start_ns = params.end_ns = 60 * S; /* 10 20 30 40 50 60 */
    static const char *const CASES[][2] = {
        {"sum_over_time", "210"}, {"avg_over_time", "35"},         {"min_over_time", "10"},
        {"max_over_time", "60"},  {"first_over_time", "10"},       {"last_over_time", "60"},
        {"rate", "3.5"},          {"stdvar_over_time", "291.667"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        char query[128], want[128];
        snprintf(query, sizeof query, "%s({app=\"x\"} | logfmt | keep app, v | unwrap v [1m])",
                 CASES[i][0]);
        snprintf(want, sizeof want, "{app=\"x\"} 60:%s", CASES[i][1]);
        expect_answer(query, &params, want);
    }
    expect_answer("quantile_over_time(0.5, {app=\"x\"} | logfmt | unwrap v [1m]) by (app)", &params,
                  "{app=\"x\"} 60:35");
}

Test(logql_engine_metrics, a_grouped_average_counts_lines_without_the_value_as_zero)
{
    params.start_ns = params.end_ns = 60 * S; /* 10 20 30 40 50 60 */
    fake_source_add(fake, "{app=\"x\",pod=\"1\"}", 55 * S, "no value", NULL);
    expect_answer("avg_over_time({app=\"x\"} | logfmt | unwrap v [1m]) by (app)", &params,
                  "{app=\"x\"} 60:30");
    expect_answer(
        "avg_over_time({app=\"x\",pod=\"1\"} |= \"v\" !~ \"no|error\" | logfmt | unwrap v "
        "[1m]) without (pod)",
        &params, "{app=\"x\", detected_level=\"info\"} 60:32");
}

Test(logql_engine_metrics, an_aggregation_that_is_sharded_leaves_the_averages_in_it_alone)
{
    params.start_ns = params.end_ns = 60 * S; /* 10 20 30 40 50 60, and one line without */
    fake_source_add(fake, "{app=\"x\",pod=\"1\"}", 55 * S, "no value", NULL);
#define AVERAGE "avg_over_time({app=\"x\"} | logfmt | unwrap v [1m]) by (app)"
    expect_answer("sum(" AVERAGE ")", &params, "{} 60:35");
    expect_answer("sum by (app) (" AVERAGE " + " AVERAGE ")", &params, "{app=\"x\"} 60:70");
    expect_answer("sum(" AVERAGE " / 1)", &params, "{} 60:30");
    expect_answer("sum(max(" AVERAGE "))", &params, "{} 60:30");
    expect_answer("max(" AVERAGE ")", &params, "{} 60:30");
    expect_answer("avg(" AVERAGE ")", &params, "{} 60:30");
    expect_answer("topk(1, " AVERAGE ")", &params, "{app=\"x\"} 60:30");
    expect_answer("label_replace(" AVERAGE ", \"a\", \"b\", \"\", \"\")", &params,
                  "{a=\"b\", app=\"x\"} 60:30");
#undef AVERAGE
}

Test(logql_engine_metrics, absent_over_time_speaks_where_nothing_is)
{
    params.start_ns = 540 * S;
    params.end_ns = 720 * S;
    expect_answer("absent_over_time({app=\"x\",pod!=\"9\"}[1m])", &params,
                  "{app=\"x\"} 660:1 720:1");
    expect_answer("absent_over_time({app=\"nobody\"}[1m])", &params,
                  "{app=\"nobody\"} 540:1 600:1 660:1 720:1");
}

Test(logql_engine_metrics, operators_literals_and_vectors)
{
    params.end_ns = params.start_ns;
    expect_answer("1 + 2", &params, "{} 60:3");
    expect_answer("vector(2) * 3", &params, "{} 60:6");
    expect_answer("sum(count_over_time({app=\"nobody\"}[1m])) or vector(0)", &params, "{} 60:0");
    expect_answer("sum by (app) (rate({app=~\".+\"} |= \"error\" [1m])) / sum by (app) "
                  "(rate({app=~\".+\"}[1m]))",
                  &params, "{app=\"x\"} 60:0.166667 | {app=\"y\"} 60:0.166667");
    params.is_instant = true;
    struct asked a;
    ask(&a, "10 / 4", &params);
    cr_assert_eq(a.rc, 0);
    cr_expect_eq(a.result.kind, ENGINE_SCALAR);
    cr_expect_eq(a.result.scalar, 2.5);
    asked_done(&a);
}

Test(logql_engine_metrics, an_instant_answer_is_by_labels_unless_it_is_sorted)
{
    params.is_instant = true;
    params.start_ns = params.end_ns = 60 * S;
    fake_source_add(fake, "{app=\"x\",pod=\"1\"}", 55 * S, "one more", NULL);
    expect_answer("sum by (app) (count_over_time({app=~\".+\"}[1m]))", &params,
                  "{app=\"x\"} 60:7 | {app=\"y\"} 60:6");
    expect_answer("sort(sum by (app) (count_over_time({app=~\".+\"}[1m])))", &params,
                  "{app=\"y\"} 60:6 | {app=\"x\"} 60:7");
    expect_answer("topk(1, sum by (app) (count_over_time({app=~\".+\"}[1m])))", &params,
                  "{app=\"x\"} 60:7");
}

Test(logql_engine_metrics, a_sample_with_an_error_ends_the_query)
{
    params.end_ns = params.start_ns;
    struct asked a;
    ask(&a, "count_over_time({app=\"x\"} | logfmt | app > 5 [1m])", &params);
    cr_assert_neq(a.rc, 0);
    cr_expect_eq(error_http(&a.err), 400);
    cr_expect(
        str_has_prefix(str_c(a.err.text), STR("pipeline error: 'LabelFilterErr' for series: '{")),
        "%s", a.err.text);
    asked_done(&a);
}

Test(logql_engine_metrics, too_many_series_are_refused)
{
    params.limits.series_max = 1;
    expect_error(
        "count_over_time({app=~\".+\"}[1m])", &params, 400,
        "maximum number of series (1) reached for a single query; consider reducing query "
        "cardinality by adding more specific stream selectors, reducing the time range, or "
        "aggregating results with functions like sum(), count() or topk()");
    params.limits.range_ns_max = 60 * S;
    expect_error("sum(count_over_time({app=~\".+\"}[1h]))", &params, 400,
                 "[interval] value exceeds limit: [1h] > [1m]");
}

Test(logql_engine_metrics, a_range_longer_than_a_query_may_be_is_refused_unless_it_is_cut)
{
    static const char too_long[] =
        "the query time range exceeds the limit (query length: 1h0m0.000000001s, limit: 10m)";
    static const char *const CUT[] = {
        "sum(count_over_time({app=\"none\"}[1h]))",
        "2 * max by (app) (max_over_time({app=\"none\"} | unwrap v [1h])) > 1",
        "label_replace(rate({app=\"none\"}[1h]), \"a\", \"b\", \"app\", \".*\")",
    };
    static const char *const WHOLE[] = {
        "first_over_time({app=\"none\"} | unwrap v [1h])",
        "bottomk(1, count_over_time({app=\"none\"}[1h]))",
        "count_over_time({app=\"none\"}[1h]) / stddev_over_time({app=\"none\"} | unwrap v [1h])",
    };
    params.limits.length_ns_max = 600 * S;
    params.end_ns = params.start_ns + 60 * S;
    expect_error(CUT[0], &params, 400, too_long); /* cut by its steps alone */
    params.end_ns = params.start_ns;
    params.is_instant = true;
    for (size_t i = 0; i < 3; i++) {
        expect_answer(CUT[i], &params, "");
        expect_error(WHOLE[i], &params, 400, too_long);
    }
}

Test(logql_engine_metrics, features_that_are_switched_off_say_so)
{
    expect_error("approx_topk(2, sum by (app) (count_over_time({app=~\".+\"}[1m])))", &params, 500,
                 "approx_topk is not enabled. See -limits.shard_aggregations");
}

Test(logql_engine_metrics, the_answer_does_not_depend_on_blocks_shards_or_duplicates)
{
    static const char *const QUERIES[] = {
        "sum by (app) (count_over_time({app=~\".+\"}[90s]))",
        "bytes_over_time({app=~\".+\"}[2m])",
        "sum(bytes_rate({app=~\".+\"} |= \"error\" [1m]))",
        "max_over_time({app=~\".+\"} | logfmt | unwrap v [3m]) by (app)",
        "stddev_over_time({app=~\".+\"} | logfmt | unwrap v [3m]) by (app)",
        "quantile_over_time(0.9, {app=~\".+\"} | logfmt | unwrap v [100s]) by (app)",
        "rate_counter({app=~\".+\"} | logfmt | keep v, app | unwrap v [2m])",
    };
    static const enum fake_layout LAYOUTS[] = {FAKE_PLAIN, FAKE_OVERLAP, FAKE_REPLICAS, FAKE_LATE};
    params.end_ns = 600 * S;
    struct buf want, got;
    buf_init(&want, BUF_NO_LIMIT);
    buf_init(&got, BUF_NO_LIMIT);
    for (size_t i = 0; i < sizeof QUERIES / sizeof QUERIES[0]; i++) {
        buf_reset(&want);
        for (size_t j = 0; j < 16; j++) {
            use(LAYOUTS[j % 4], 2 + 3 * j);
            params.shards_max = j % 2 ? 1 : 9;
            struct asked a;
            ask(&a, QUERIES[i], &params);
            cr_assert_eq(a.rc, 0, "%s", a.err.text);
            buf_reset(&got);
            print_answer(&a.result, &got);
            if (j == 0)
                buf_append_str(&want, buf_str(&got));
            cr_expect_str_eq(buf_c(&got), buf_c(&want), "%s layout %zu:\n%s\n%s", QUERIES[i], j,
                             buf_c(&got), buf_c(&want));
            asked_done(&a);
        }
    }
    buf_deinit(&want);
    buf_deinit(&got);
}

/* ---- threads ---- */

struct crew {
    struct engine_query *query;
    atomic_size_t next;
};

static void *work(void *arg)
{
    struct crew *c = arg;
    for (;;) {
        size_t i = atomic_fetch_add(&c->next, 1);
        if (i >= engine_shard_count(c->query))
            return NULL;
        engine_run_shard(c->query, i);
    }
}

static void run_with_threads(const char *query, struct engine_params *p)
{
    struct asked a = {0};
    arena_init(&a.arena, SIZE_MAX);
    cr_assert_eq(logql_parse(str_c(query), &a.arena, &a.expr, &a.err), 0);
    cr_assert_eq(engine_prepare(a.expr, p, &a.arena, &a.query, &a.err), 0);
    struct crew c = {.query = a.query};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, work, &c), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    cr_expect_eq(engine_finish(a.query, &a.result, &a.err), 0);
    asked_done(&a);
}

Test(logql_engine_metrics, shards_run_on_several_threads_at_once)
{
    struct fake_source_params fp = {.block_entries = 2000};
    fake_source_free(fake);
    fake = fake_source_new(&fp);
    char line[512];
    memset(line, 'l', sizeof line - 1);
    line[sizeof line - 1] = 0;
    for (int i = 0; i < 40000; i++) {
        memcpy(line, "n=", 2);
        fake_source_add(fake, i % 2 ? "{app=\"x\"}" : "{app=\"y\"}", i * S / 100, line, NULL);
    }
    source = fake_source_query_source(fake);
    params.start_ns = 0;
    params.end_ns = 400 * S;
    params.limit = 1000;
    run_with_threads("sum by (app) (count_over_time({app=~\".+\"} |= \"ll\" [1m]))", &params);
    run_with_threads("{app=~\".+\"} |= \"ll\"", &params);
}
