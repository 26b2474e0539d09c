#include "stage_help.h"

static const struct label x_labels[] = {{{"app", 3}, {"x", 1}}, {{"pod", 3}, {"p", 1}}};
static const struct labels two = {x_labels, 2};

Test(logql_pipeline, groups_samples)
{
    STAGE_CHECK(
        {"count_over_time({app=\"x\"} | logfmt [1m])", "a=1 b=2", "a=1 b=2 = 1"},
        {"sum by (a) (count_over_time({app=\"x\"} | logfmt [1m]))", "a=1 b=2", "a=1 = 1"},
        {"sum by (z) (count_over_time({app=\"x\"} | logfmt [1m]))", "a=1 b=2", "= 1"},
        {"sum without (a) (count_over_time({app=\"x\"} | logfmt [1m]))", "a=1 b=2", "b=2 = 1"},
        {"sum(bytes_over_time({app=\"x\"} [1m]))", "12345", "= 5"},
        {"sum(bytes_over_time({app=\"x\"} | line_format \"ab\" [1m]))", "12345", "= 2"},
        {"absent_over_time({app=\"x\"} [1m])", "l", "= 1"},
        {"sum by (user) (count_over_time({app=\"x\"} [1m]))", "l", "user=m = 1",
         .meta = "{user=\"m\"}"});
}

/* What is dropped is no label to group by any more, even if a later stage sets it. */
Test(logql_pipeline, does_not_group_by_labels_once_dropped)
{
    STAGE_CHECK({"sum by (a) (count_over_time({app=\"x\"} | logfmt | drop a | label_format a=b "
                 "[1m]))",
                 "a=1 b=2", "= 1"});
}

Test(logql_pipeline, unwraps_as_go_reads_numbers)
{
    STAGE_CHECK(
        {"sum_over_time({app=\"x\"} | logfmt | unwrap v [1m])", "v=0x1p4 b=1", "b=1 = 16"},
        {"sum_over_time({app=\"x\"} | logfmt | unwrap v [1m])", "v=.5", "= 0.5"},
        {"sum_over_time({app=\"x\"} | logfmt | unwrap v [1m])", "b=1", "dropped"},
        {"sum_over_time({app=\"x\"} | logfmt | unwrap v [1m])", "v=1,5",
         "__error__=SampleExtractionErr __error_details__=strconv.ParseFloat: parsing "
         "\"1,5\": invalid syntax v=1,5 = 0"},
        {"sum_over_time({app=\"x\"} | logfmt | unwrap v | __error__=\"\" [1m])", "v=1,5",
         "dropped"},
        {"sum_over_time({app=\"x\"} | logfmt | unwrap duration(v) [1m])", "v=1m1.5s", "= 61.5"},
        {"sum_over_time({app=\"x\"} | logfmt | unwrap bytes(v) [1m])", "v=2KiB", "= 2048"},
        {"max_over_time({app=\"x\"} | logfmt | unwrap v [1m]) by (b)", "v=3 b=1 c=2", "b=1 = 3"});
}

Test(logql_pipeline, preserves_errors_that_the_query_asks_for)
{
    STAGE_CHECK(
        {"sum by (a) (count_over_time({app=\"x\"} | json | __error__!=\"\" [1m]))", "x",
         "__error__=JSONParserErr __error_details__=Value looks like object, but can't find "
         "closing '}' symbol __preserve_error__=true = 1"});
}

Test(logql_pipeline, stores_equal_label_sets_once)
{
    struct stage_fixture f;
    cr_assert_eq(stage_open(&f, "| logfmt", NULL), 0);
    struct pipeline_result a, b, c;
    cr_assert(pipeline_run_entry(f.run, 0, STR("a=1 b=2"), NULL, &a));
    cr_assert(pipeline_run_entry(f.run, 0, STR("b=2 a=1 c="), NULL, &b));
    cr_assert(pipeline_run_entry(f.run, 0, STR("a=2"), NULL, &c));
    cr_expect_eq(a.labels, b.labels);
    cr_expect_neq(a.labels, c.labels);
    cr_expect_eq(a.labels->hash, labels_hash(&a.labels->all));
    cr_expect_eq(a.labels->stream.n, 1);
    cr_expect_eq(a.labels->parsed.n, 2);
    a.labels->user = &a;
    pipeline_run_forget(f.run);
    cr_assert(pipeline_run_entry(f.run, 0, STR("a=1 b=2"), NULL, &b));
    cr_expect_null(b.labels->user);
    cr_expect_eq(b.labels->all.n, 3);
    stage_close(&f);
}

Test(logql_pipeline, tells_labels_by_origin)
{
    struct stage_fixture f;
    static const struct label m[] = {{{"pod", 3}, {"meta", 4}}, {{"user", 4}, {"7", 1}}};
    struct labels meta = {m, 2};
    struct pipeline_result r;
    cr_assert_eq(stage_open(&f, "| logfmt | label_format n=a", NULL), 0);
    pipeline_run_stream(f.run, &two);
    cr_assert(pipeline_run_entry(f.run, 0, STR("a=1 user=line pod=q"), &meta, &r));
    cr_expect_eq(r.labels->stream.n, 2);
    cr_expect_eq(r.labels->meta.n, 0, "pod_extracted and user were parsed over");
    cr_expect(str_eq(labels_get(&r.labels->parsed, STR("pod_extracted")), STR("q")));
    cr_expect(str_eq(labels_get(&r.labels->parsed, STR("n")), STR("1")));
    cr_assert(pipeline_run_entry(f.run, 0, STR("a=1"), &meta, &r));
    cr_expect(str_eq(labels_get(&r.labels->meta, STR("pod_extracted")), STR("meta")));
    cr_expect(str_eq(labels_get(&r.labels->meta, STR("user")), STR("7")));
    stage_close(&f);
}

static struct pipeline_stream asks(const char *query)
{
    struct stage_fixture f;
    cr_assert_eq(stage_open(&f, query, NULL), 0, "%s", query);
    struct pipeline_stream s = pipeline_run_stream(f.run, &two);
    stage_close(&f);
    return s;
}

Test(logql_pipeline, asks_for_the_columns_it_needs)
{
    cr_expect_eq(asks("{app=\"x\"}").columns, BLOCK_LINES | BLOCK_META);
    cr_expect_eq(asks("sum by (app) (count_over_time({app=\"x\"} [1m]))").columns, 0);
    cr_expect_eq(asks("sum(bytes_over_time({app=\"x\"} [1m]))").columns, BLOCK_LENGTHS);
    cr_expect_eq(asks("count_over_time({app=\"x\"} [1m])").columns, BLOCK_META);
    cr_expect_eq(asks("sum by (app) (rate({app=\"x\"} |= \"e\" [1m]))").columns, BLOCK_LINES);
    cr_expect_eq(asks("sum by (level) (count_over_time({app=\"x\"} [1m]))").columns, BLOCK_META);
    cr_expect_not_null(asks("sum by (app) (count_over_time({app=\"x\"} [1m]))").constant);
    cr_expect_not_null(asks("sum(rate({app=\"x\"} [1m]))").constant);
    cr_expect_null(asks("sum(rate({app=\"x\"} |= \"e\" [1m]))").constant);
    cr_expect_null(asks("sum by (user) (rate({app=\"x\"} [1m]))").constant);
    cr_expect_not_null(asks("sum by (user) (rate({app=\"x\"} [1m]))").constant_if_plain);
    cr_expect_null(asks("sum by (detected_level) (rate({app=\"x\"} [1m]))").constant_if_plain);
}

Test(logql_pipeline, asks_once_a_block_where_only_metadata_counts)
{
    struct stage_fixture f;
    static const struct label one[] = {{{"user", 4}, {"1", 1}}},
                              other[] = {{{"user", 4}, {"2", 1}}};
    const struct labels meta[] = {{one, 1}, {other, 1}};
    static const uint32_t line_at[] = {0, 2, 4, 6, 8}, meta_of[] = {0, 1, 0, 1};
    struct block_view v = {.n = 4,
                           .columns = BLOCK_ALL,
                           .text = "a\nb\nc\nd\n",
                           .text_len = 8,
                           .line_at = line_at,
                           .meta = meta,
                           .n_meta = 2,
                           .meta_of = meta_of};
    struct pipeline_result r;
    cr_assert_eq(stage_open(&f, "| user=\"2\"", NULL), 0);
    pipeline_run_block(f.run, &v, 0, 4, true);
    cr_assert(pipeline_run_next(f.run, &r));
    cr_expect(str_eq(r.line, STR("d")));
    cr_assert(pipeline_run_next(f.run, &r));
    cr_expect(str_eq(r.line, STR("b")));
    cr_expect_not(pipeline_run_next(f.run, &r));
    struct pipeline_step_stats s = pipeline_run_step_stats(f.run, 0);
    cr_expect_eq(s.lines_in, 4);
    cr_expect_eq(s.lines_out, 2);
    cr_expect_eq(s.bytes_in, 2, "one look for each metadata");
    stage_close(&f);
}

Test(logql_pipeline, counts_what_each_step_did)
{
    struct stage_fixture f;
    struct pipeline_result r;
    cr_assert_eq(stage_open(&f, "|= \"a\" | logfmt | a=\"1\"", NULL), 0);
    cr_assert_eq(pipeline_step_count(f.pipeline), 3);
    pipeline_run_time_steps(f.run);
    pipeline_run_entry(f.run, 0, STR("a=1"), NULL, &r);
    pipeline_run_entry(f.run, 0, STR("a=2"), NULL, &r);
    pipeline_run_entry(f.run, 0, STR("b=2"), NULL, &r);
    struct pipeline_step_stats s = pipeline_run_step_stats(f.run, 0);
    cr_expect_eq(s.lines_in, 3);
    cr_expect_eq(s.lines_out, 2);
    cr_expect_eq(s.bytes_in, 9);
    cr_expect_eq(pipeline_run_step_stats(f.run, 1).lines_in, 2);
    cr_expect_eq(pipeline_run_step_stats(f.run, 1).lines_out, 1, "the filter behind ran early");
    cr_expect_eq(pipeline_run_step_stats(f.run, 2).lines_out, 1);
    stage_close(&f);
}

Test(logql_pipeline, refuses_to_answer_labels_without_a_name)
{
    struct stage_fixture f;
    struct pipeline_result r;
    struct error err = {0};
    cr_assert_eq(stage_open(&f, "| json", NULL), 0);
    cr_assert(pipeline_run_entry(f.run, 0, STR("{\"\":\"empty key\"}"), NULL, &r));
    cr_expect_eq(pipeline_labels_check(&r.labels->all, &err), E_INTERNAL);
    cr_expect_str_eq(err.text,
                     "err while creating labelset for {=\"empty key\", app=\"x\"}: 1:2: parse "
                     "error: unexpected \"=\" in label set, expected identifier or \"}\"");
    stage_close(&f);
}
