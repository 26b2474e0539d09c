#include "tests/unit/logql/engine_help.h"

static struct fake_source *fake;
static struct query_source *source;
static struct engine_params params;

/* Streams x, y and z with an entry every 1, 2 and 3 seconds from 0 to 59. */
static void fill(struct fake_source *f)
{
    static const char *const NAMES[] = {"{a=\"x\"}", "{a=\"y\"}", "{a=\"z\"}"};
    for (int s = 0; s < 3; s++)
        for (int t = 0; t < 60; t += s + 1) {
            char line[32];
            snprintf(line, sizeof line, "%c%d", "xyz"[s], t);
            fake_source_add(f, NAMES[s], t * S, line, NULL);
        }
}

static void use(enum fake_layout layout, size_t block_entries)
{
    fake_source_free(fake);
    struct fake_source_params p = {.layout = layout, .block_entries = block_entries};
    fake = fake_source_new(&p);
    fill(fake);
    source = fake_source_query_source(fake);
}

static void set_up(void)
{
    fake = NULL;
    use(FAKE_PLAIN, 5);
    params = (struct engine_params){.start_ns = 0,
                                    .end_ns = 60 * S,
                                    .limit = 100,
                                    .sources = &source,
                                    .n_sources = 1,
                                    .shard_bytes_min = 1};
}

static void tear_down(void)
{
    fake_source_free(fake);
}

TestSuite(logql_engine_logs, .init = set_up, .fini = tear_down);

Test(logql_engine_logs, gives_the_newest_entries_first)
{
    params.limit = 4;
    expect_answer("{a=\"x\"}", &params, "{a=\"x\"} 59:x59 58:x58 57:x57 56:x56");
}

Test(logql_engine_logs, gives_the_oldest_entries_first_when_forward)
{
    params.limit = 3;
    params.direction = ENGINE_FORWARD;
    expect_answer("{a=\"y\"}", &params, "{a=\"y\"} 0:y0 2:y2 4:y4");
}

Test(logql_engine_logs, limits_all_streams_together)
{
    params.limit = 4;
    expect_answer("{a=~\".+\"}", &params, "{a=\"x\"} 59:x59 58:x58 57:x57 | {a=\"y\"} 58:y58");
}

Test(logql_engine_logs, start_is_inclusive_and_end_exclusive)
{
    params.start_ns = 10 * S;
    params.end_ns = 12 * S;
    expect_answer("{a=\"x\"}", &params, "{a=\"x\"} 11:x11 10:x10");
}

Test(logql_engine_logs, stops_early_when_no_block_can_contribute)
{
    params.limit = 3;
    struct asked a;
    ask(&a, "{a=~\".+\"}", &params);
    cr_assert_eq(a.rc, 0);
    cr_expect_leq(a.result.stats.blocks_read, 4);
    cr_expect_gt(a.result.stats.blocks_skipped, 15);
    cr_expect_eq(a.result.stats.blocks, a.result.stats.blocks_read + a.result.stats.blocks_skipped);
    cr_expect_eq(a.result.stats.chunks_read, a.result.stats.blocks_read); /* one block each */
    cr_expect_eq(a.result.stats.entries_returned, 3);
    asked_done(&a);
}

Test(logql_engine_logs, the_answer_does_not_depend_on_blocks_shards_or_duplicates)
{
    static const enum fake_layout LAYOUTS[] = {FAKE_PLAIN, FAKE_OVERLAP, FAKE_REPLICAS, FAKE_LATE};
    struct buf want, got;
    buf_init(&want, BUF_NO_LIMIT);
    buf_init(&got, BUF_NO_LIMIT);
    for (int direction = 0; direction < 2; direction++)
        for (int limit = 1; limit < 130; limit += 16) {
            params.direction = direction ? ENGINE_FORWARD : ENGINE_BACKWARD;
            params.limit = (uint32_t)limit;
            buf_reset(&want);
            for (size_t i = 0; i < 12; i++) {
                use(LAYOUTS[i % 4], i < 4 ? 1000 : 3 + i);
                params.shards_max = i % 2 ? 1 : 7;
                struct asked a;
                ask(&a, "{a=~\"x|y|z\"} |~ \"[0-9]\"", &params);
                cr_assert_eq(a.rc, 0, "%s", a.err.text);
                buf_reset(&got);
                print_answer(&a.result, &got);
                if (i == 0)
                    buf_append_str(&want, buf_str(&got));
                cr_expect_str_eq(buf_c(&got), buf_c(&want));
                asked_done(&a);
            }
        }
    buf_deinit(&want);
    buf_deinit(&got);
}

Test(logql_engine_logs, times_and_metadata_are_read_only_where_a_line_filter_leaves_something)
{
    struct asked a;
    use(FAKE_PLAIN, 10);
    ask(&a, "{a=\"x\"} |= \"x33\"", &params);
    cr_assert_eq(a.rc, 0);
    cr_expect_eq(a.result.stats.blocks_read, 6);
    cr_expect_eq(fake_source_reads(fake), 7); /* lines six times, times once */
    cr_expect_eq(a.result.stats.entries_returned, 1);
    asked_done(&a);
}

Test(logql_engine_logs, an_interval_spaces_the_entries_of_all_streams)
{
    params.interval_ns = 20 * S;
    params.direction = ENGINE_FORWARD;
    struct asked a;
    ask(&a, "{a=~\".+\"} |~ \"[1-9]\"", &params);
    cr_assert_eq(a.rc, 0, "%s", a.err.text);
    size_t n = 0;
    for (size_t i = 0; i < a.result.n_streams; i++)
        n += a.result.streams[i].n_entries;
    cr_expect_eq(n, 3); /* 1, 21, 41 */
    asked_done(&a);
    params.direction = ENGINE_BACKWARD;
    expect_answer("{a=\"x\"}", &params, "{a=\"x\"} 59:x59 39:x39 19:x19");
}

Test(logql_engine_logs, an_interval_goes_on_over_many_rounds)
{
    struct fake_source *f = fake_source_new(NULL);
    for (int t = 0; t < 2000; t++)
        fake_source_add(f, "{a=\"w\"}", t / 4 * S,
                        t % 4 == 0   ? "first"
                        : t % 4 == 1 ? "b"
                                     : "c",
                        NULL);
    struct query_source *s = fake_source_query_source(f);
    params.sources = &s;
    params.end_ns = 500 * S;
    params.interval_ns = 50 * S;
    params.direction = ENGINE_FORWARD;
    expect_answer("{a=\"w\"}", &params,
                  "{a=\"w\"} 0:first 50:first 100:first 150:first 200:first 250:first 300:first "
                  "350:first 400:first 450:first");
    fake_source_free(f);
}

Test(logql_engine_logs, entries_are_grouped_by_their_labels_after_the_pipeline)
{
    params.limit = 2;
    expect_answer("{a=\"x\"} | label_format parity=`{{ if eq __line__ \"x59\" }}odd{{ else "
                  "}}even{{ end }}`",
                  &params, "{a=\"x\", parity=\"even\"} 58:x58 | {a=\"x\", parity=\"odd\"} 59:x59");
}

Test(logql_engine_logs, labels_come_by_origin_when_categorized)
{
    struct fake_source *f = fake_source_new(NULL);
    fake_source_add(f, "{a=\"w\"}", 5 * S, "k=v", "{\"trace\":\"1\"}");
    struct query_source *s = fake_source_query_source(f);
    params.sources = &s;
    params.is_categorized = true;
    struct asked a;
    ask(&a, "{a=\"w\"} | logfmt", &params);
    cr_assert_eq(a.rc, 0);
    cr_assert_eq(a.result.n_streams, 1);
    cr_expect_eq(a.result.streams[0].labels.n, 1);
    const struct engine_entry *e = &a.result.streams[0].entries[0];
    cr_assert_not_null(e->labels);
    cr_expect(str_eq(labels_get(&e->labels->meta, STR("trace")), STR("1")));
    cr_expect(str_eq(labels_get(&e->labels->parsed, STR("k")), STR("v")));
    asked_done(&a);
    params.is_categorized = false;
    expect_answer("{a=\"w\"} | logfmt", &params, "{a=\"w\", k=\"v\", trace=\"1\"} 5:k=v");
    fake_source_free(f);
}

Test(logql_engine_logs, refuses_what_limits_forbid_in_lokis_words)
{
    params.limits.entries_max = 50;
    expect_error("{a=\"x\"}", &params, 400,
                 "max entries limit per query exceeded, limit > max_entries_limit_per_query (100 > "
                 "50)");
    params.limits = (struct engine_limits){.length_ns_max = 30 * S};
    expect_error("{a=\"x\"}", &params, 400,
                 "the query time range exceeds the limit (query length: 1m0s, limit: 30s)");
    params.limits = (struct engine_limits){.read_bytes_max = 10};
    expect_error("{a=\"x\"}", &params, 400,
                 "the query would read too many bytes (query: 170 B, limit: 10 B); consider adding "
                 "more specific stream selectors or reduce the time range of the query");
    params.limits = (struct engine_limits){.answer_bytes_max = 100000};
    const char *too_large = "the answer would be larger than 100000 bytes; ask for fewer entries "
                            "(limit) or for shorter lines";
    expect_error("{a=\"x\"} | line_format `{{ repeat 2000 \"x\" }}`", &params, 400, too_large);
    expect_error("{a=\"x\"} | label_format b=`{{ repeat 2000 __line__ }}`", &params, 400,
                 too_large);
    params.limits = (struct engine_limits){.memory_bytes_max = 4 << 20};
    expect_error(
        "{a=\"x\"} | line_format `{{ repeat 200000 \"x\" }}`", &params, 400,
        "query needs more memory than the limit of 4194304 bytes; consider a smaller limit, "
        "a shorter time range, or less cardinality");
    params.limits = (struct engine_limits){0};
    params.is_instant = true;
    expect_error("{a=\"x\"}", &params, 400,
                 "log queries are not supported as an instant query type, please change your query "
                 "to a range query type");
}

static bool stop_at_once(void *arg)
{
    return ++*(int *)arg > 2;
}

static int stop_code(void *arg)
{
    (void)arg;
    return E_TIMEOUT;
}

Test(logql_engine_logs, ends_when_it_is_told_to)
{
    int asked_times = 0;
    params.should_stop = stop_at_once;
    params.stop_code = stop_code;
    params.stop_arg = &asked_times;
    struct asked a;
    ask(&a, "{a=~\".+\"} |= \"nothing like it\"", &params);
    cr_expect_eq(a.rc, E_TIMEOUT);
    cr_expect_leq(fake_source_reads(fake), 3);
    asked_done(&a);
}

Test(logql_engine_logs, no_stream_gives_an_empty_answer)
{
    struct asked a;
    ask(&a, "{a=\"nobody\"}", &params);
    cr_expect_eq(a.rc, 0);
    cr_expect_eq(engine_shard_count(a.query), 0);
    cr_expect_eq(a.result.kind, ENGINE_STREAMS);
    cr_expect_eq(a.result.n_streams, 0);
    asked_done(&a);
}
