#include "proto/json_scan.h"
#include "tests/unit/logql/engine_help.h"

static struct fake_source *fake;
static struct query_source *source;
static struct engine_params params;

static void set_up(void)
{
    struct fake_source_params p = {.block_entries = 10};
    fake = fake_source_new(&p);
    for (int t = 0; t < 100; t++)
        fake_source_add(fake, "{app=\"x\"}", t * S, t % 10 == 0 ? "an error" : "fine", NULL);
    source = fake_source_query_source(fake);
    params = (struct engine_params){.start_ns = 0,
                                    .end_ns = 100 * S,
                                    .step_ns = 10 * S,
                                    .limit = 10,
                                    .sources = &source,
                                    .n_sources = 1,
                                    .is_explained = true};
}

static void tear_down(void)
{
    fake_source_free(fake);
}

TestSuite(logql_engine_explain, .init = set_up, .fini = tear_down);

static void expect_part(struct asked *a, const char *part)
{
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    cr_assert(engine_explain(a->query, ENGINE_EXPLAIN_TEXT, &text));
    cr_expect(str_contains(buf_str(&text), str_c(part)), "no '%s' in\n%s", part, buf_c(&text));
    buf_deinit(&text);
}

Test(logql_engine_explain, tells_before_a_run_what_will_be_looked_at)
{
    struct asked a = {0};
    arena_init(&a.arena, SIZE_MAX);
    cr_assert_eq(logql_parse(STR("sum by (app) (count_over_time({app=\"x\"} |= \"error\" [10s]))"),
                             &a.arena, &a.expr, &a.err),
                 0);
    cr_assert_eq(engine_prepare(a.expr, &params, &a.arena, &a.query, &a.err), 0);
    expect_part(&a, "11 steps of 10s");
    expect_part(&a, "sum by (app)");
    expect_part(&a, "1 streams, 10 chunks, 10 blocks, 100 lines");
    expect_part(&a, "grouped as above while scanning");
    expect_part(&a, "|= \"error\"");
    cr_expect_eq(fake_source_reads(fake), 0);
    asked_done(&a);
}

Test(logql_engine_explain, tells_after_a_run_what_each_step_read_and_kept)
{
    struct asked a;
    ask(&a, "sum(count_over_time({app=\"x\"} |= \"error\" [10s]))", &params);
    cr_assert_eq(a.rc, 0, "%s", a.err.text);
    expect_part(&a, "read 100 lines, kept 10");
    expect_part(&a, "did: read 10 blocks, answered 0 from footers, skipped 0");
    expect_part(&a, "merge: 1 series, 10 points");
    asked_done(&a);
}

Test(logql_engine_explain, the_json_form_is_well_formed)
{
    static const char *const QUERIES[] = {"{app=\"x\"} |= \"error\" | logfmt", "1 + 1",
                                          "sum(rate({app=\"x\"}[1m])) / 2 > bool 1"};
    for (size_t i = 0; i < 3; i++) {
        struct asked a;
        ask(&a, QUERIES[i], &params);
        cr_assert_eq(a.rc, 0, "%s", a.err.text);
        struct buf text;
        buf_init(&text, BUF_NO_LIMIT);
        cr_assert(engine_explain(a.query, ENGINE_EXPLAIN_JSON, &text));
        struct json_scan j = json_scan_make(buf_str(&text));
        json_skip(&j);
        cr_expect(json_at_end(&j), "%s", buf_c(&text));
        buf_deinit(&text);
        asked_done(&a);
    }
}
