/* match, drop, limit, sampling, multiline */
#include "tests/unit/promtail/pipe.h"

#include "base/clock.h"

Test(promtail_stage_match, runs_its_stages_for_what_the_selector_picks)
{
#define IN(selector) "- match: {selector: '" selector "', stages: [{static_labels: {m: yo}}]}"
    static const struct pipe_case cases[] = {
        {IN("{job=\"test\"}"), "a", "{job=\"test\",m=\"yo\"} a\n"},
        {IN("{job!=\"test\"}"), "a", "{job=\"test\"} a\n"},
        {IN("{job=~\"tes\"}"), "a", "{job=\"test\"} a\n"},
        {IN("{job=~\"tes.\", nope=\"\"}"), "a", "{job=\"test\",m=\"yo\"} a\n"},
        {IN("{job!~\"x.*\"}"), "a", "{job=\"test\",m=\"yo\"} a\n"},
        {IN("{job=\"test\"} |= \"b\""), "abc\nac",
         "{job=\"test\",m=\"yo\"} abc\n{job=\"test\"} ac\n"},
        {IN("{job=\"test\"} != \"b\" |~ \"^a\" !~ \"d$\""), "ac\nabc\nacd",
         "{job=\"test\",m=\"yo\"} ac\n{job=\"test\"} abc\n{job=\"test\"} acd\n"},
        {IN("{job=\"t\\x65st\"}|=\"\""), "a", "{job=\"test\",m=\"yo\"} a\n"},
        {IN("/* all */ {job=\"test\"/*,*/} |= \"//\" // not b"), "a//\na",
         "{job=\"test\",m=\"yo\"} a//\n{job=\"test\"} a\n"},
        {"- match: {selector: '{job=\"test\"} |= \"b\"', action: drop}", "a\nb",
         "{job=\"test\"} a\n"},
        {"- regex: {expression: '(?P<job>.*)'}\n- match: {selector: '{job=\"test\"}', stages: "
         "[{output: {source: job}}]}",
         "line", "{job=\"test\"} test\n"},
        {"- match: {selector: '{job=\"test\"}', stages: [{match: {selector: '{job=\"test\"}', "
         "stages: "
         "[{static_labels: {deep: yo}}]}}, {static_labels: {then: yo}}]}\n- labeldrop: [job]",
         "a", "{deep=\"yo\",then=\"yo\"} a\n"},
    };
    PIPE_CHECK_ALL(cases);
}

Test(promtail_stage_drop, drops_what_meets_all_conditions)
{
    static const struct pipe_case cases[] = {
        {"- drop: {expression: 'b+'}", "a\nbb", "{job=\"test\"} a\n"},
        {"- drop: {longer_than: 3}", "abc\nabcd", "{job=\"test\"} abc\n"},
        {"- drop: {longer_than: 3b, expression: a}", "abcd\nbcde\na",
         "{job=\"test\"} bcde\n{job=\"test\"} a\n"},
        {"- drop: {older_than: 1h}", "old", ""},
        {"- drop: {source: job}", "a", ""},
        {"- drop: {source: nope}", "a", "{job=\"test\"} a\n"},
        {"- drop: {source: [job, nope]}", "a", "{job=\"test\"} a\n"},
        {"- drop: {source: job, value: test}", "a", ""},
        {"- drop: {source: job, value: te}", "a", "{job=\"test\"} a\n"},
        {"- drop: {source: job, expression: '^te'}", "a", ""},
        {"- drop: {source: nope, expression: '^$'}", "a", ""},
        {"- drop: {source: [job, nope, job], expression: '^test;test$'}", "a", ""},
        {"- drop: {source: [job, job], separator: '#', value: 'test#test'}", "a", ""},
        {"- json: {expressions: {k: }}\n- drop: {source: k, value: 1}", "{\"k\":1}\n{\"k\":null}",
         "{job=\"test\"} {\"k\":null}\n"},
    };
    PIPE_CHECK_ALL(cases);
}

Test(promtail_stage_limit, drops_beyond_the_burst)
{
    static const struct pipe_case cases[] = {
        {"- limit: {rate: 0.001, burst: 2, drop: true}", "a\nb\nc",
         "{job=\"test\"} a\n{job=\"test\"} b\n"},
        {"- regex: {expression: '(?P<k>\\w)'}\n- labels: {k: }\n"
         "- limit: {rate: 0.001, burst: 1, drop: true, by_label_name: k}\n- labeldrop: [job]",
         "a\nb\na", "{k=\"a\"} a\n{k=\"b\"} b\n"},
        {"- limit: {rate: 0.001, burst: 1, drop: true, by_label_name: k}", "a\nb",
         "{job=\"test\"} a\n{job=\"test\"} b\n"},
        {"- sampling: {rate: 0}", "a\nb", ""},
        {"- sampling: {rate: 1}", "a", "{job=\"test\"} a\n"},
    };
    PIPE_CHECK_ALL(cases);
}

Test(promtail_stage_limit, stops_the_reading_where_it_may_not_drop)
{
    struct pipe p;
    pipe_open(&p, "- limit: {rate: 0.001, burst: 1}");
    pipe_put(&p, STR("a"));
    cr_assert(!record_sink_is_full(&p.pipeline->sink));
    pipe_put(&p, STR("b"));
    cr_assert(record_sink_is_full(&p.pipeline->sink));
    cr_assert_str_eq(buf_c(&p.out), "{job=\"test\"} a\n{job=\"test\"} b\n");
    pipe_close(&p);
}

Test(promtail_stage_sampling, lets_about_its_share_through)
{
    struct pipe p;
    pipe_open(&p, "- sampling: {rate: '0.25'}");
    for (int i = 0; i < 4000; i++)
        pipe_put(&p, STR("x"));
    size_t n = 0;
    for (size_t i = 0; i < p.out.len; i++)
        n += p.out.ptr[i] == '\n';
    cr_assert(n > 800 && n < 1200, "%zu of 4000", n);
    pipe_close(&p);
}

Test(promtail_stage_multiline, joins_blocks)
{
    static const struct pipe_case cases[] = {
        {"- multiline: {firstline: '^\\['}", "x\n[1\na\n[2\nb\nc",
         "{job=\"test\"} x\n{job=\"test\"} [1\na\n{job=\"test\"} [2\nb\nc\n"},
        {"- multiline: {firstline: '^\\[', max_lines: 2}", "[1\na\nb\n\nc",
         "{job=\"test\"} [1\na\n{job=\"test\"} b\n\n{job=\"test\"} c\n"},
        {"- multiline: {firstline: '^\\[', max_lines: 2}", "[1\na\n\nb",
         "{job=\"test\"} [1\na\n{job=\"test\"} b\n"},
        {"- multiline: {firstline: '^\\[', max_lines: 0}\n- labeldrop: [job]", "[1\na\nb\nc\nd",
         "{} [1\na\nb\nc\nd\n"},
        {"- multiline: {firstline: '^\\[', max_lines: -1}", "[1\na\nb", /* wraps around */
         "{job=\"test\"} [1\na\nb\n"},
        {"- structured_metadata: {m: job}\n- multiline: {firstline: x}", "x", "{} x\n"},
        {"- regex: {expression: '^(?P<k>\\w)'}\n- labels: {k: }\n- multiline: {firstline: 1}\n"
         "- labeldrop: [job]",
         "a1\nb1\na2\nb2", "{k=\"a\"} a1\na2\n{k=\"b\"} b1\nb2\n"},
    };
    for (size_t i = 0; i + 1 < ARRAY_LEN(cases); i++)
        pipe_check(&cases[i]);
    struct pipe p; /* blocks of several label sets come in any order at the end */
    pipe_open(&p, cases[ARRAY_LEN(cases) - 1].stages);
    pipe_put_lines(&p, cases[ARRAY_LEN(cases) - 1].lines);
    job_pipeline_flush(p.pipeline, INT64_MAX, true);
    cr_assert(strstr(buf_c(&p.out), "{k=\"a\"} a1\na2\n") && strstr(buf_c(&p.out), "b1\nb2\n"));
    pipe_close(&p);
}

Test(promtail_stage_multiline, hands_on_what_has_waited_long_enough)
{
    struct pipe p;
    pipe_open(&p, "- multiline: {firstline: x, max_wait_time: 1h}");
    pipe_put_lines(&p, "x\na");
    job_pipeline_flush(p.pipeline, clock_mono_ns(), false);
    cr_assert_str_eq(buf_c(&p.out), "");
    job_pipeline_flush(p.pipeline, clock_mono_ns() + 3601 * PIPE_S, false);
    cr_assert_str_eq(buf_c(&p.out), "{job=\"test\"} x\na\n");
    pipe_put_lines(&p, "b"); /* a new block under the old first line */
    job_pipeline_flush(p.pipeline, clock_mono_ns() + 3601 * PIPE_S, false);
    cr_assert_str_eq(buf_c(&p.out), "{job=\"test\"} x\na\n{job=\"test\"} b\n");
    pipe_close(&p);
}

/* A record of bytes [from, to) of a source, as a file target makes them. */
static void put_from(struct pipe *p, struct source *s, const char *line, int64_t from, int64_t to)
{
    struct record r;
    record_init(&r, &p->lines, &p->labels);
    r.line = str_c(line);
    r.origin = (struct origin){s, from, to};
    record_sink_put(&p->pipeline->sink, &r);
    source_advance(s, to);
    source_mark_queued(s, 0);
    arena_reset(&p->lines);
}

Test(promtail_stage_multiline, holds_the_bytes_of_a_block_until_it_is_handed_on)
{
    struct source_registry sources;
    struct pipe p;
    source_registry_init(&sources, 1);
    struct source *old = source_open(&sources, STR("1"), STR("f"), STR_EMPTY, 0);
    struct source *young = source_open(&sources, STR("2"), STR("f"), STR_EMPTY, 0);
    pipe_open(&p, "- multiline: {firstline: x}");
    put_from(&p, old, "pass", 0, 5);
    put_from(&p, old, "x", 5, 7);
    put_from(&p, young, "a", 0, 2);
    cr_assert_eq(source_resume(&sources, old), 5);
    cr_assert_eq(source_resume(&sources, young), 0);
    cr_assert_eq(old->refs, 2u, "a block keeps its sources");
    put_from(&p, young, "x", 2, 4);
    cr_assert_eq(old->refs, 1u);
    source_mark_queued(old, 0);
    cr_assert_eq(source_resume(&sources, old), 7);
    cr_assert_eq(source_resume(&sources, young), 2);
    pipe_close(&p);
    source_registry_deinit(&sources);
}

Test(promtail_stage_cri, holds_the_bytes_of_parts_until_their_end_comes)
{
    struct source_registry sources;
    struct pipe p;
    source_registry_init(&sources, 1);
    struct source *s = source_open(&sources, STR("1"), STR("f"), STR_EMPTY, 0);
    pipe_open(&p, "- cri: {}");
    put_from(&p, s, "t stdout F one", 0, 10);
    put_from(&p, s, "t stdout P two", 10, 20);
    cr_assert_eq(source_resume(&sources, s), 10);
    put_from(&p, s, "t stderr F three", 20, 30);
    cr_assert_eq(source_resume(&sources, s), 10);
    put_from(&p, s, "t stdout F four", 30, 40);
    cr_assert_eq(source_resume(&sources, s), 40);
    cr_assert(strstr(buf_c(&p.out), "twofour"));
    pipe_close(&p);
    source_registry_deinit(&sources);
}
