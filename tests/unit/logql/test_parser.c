#include <criterion/criterion.h>
#include <math.h>
#include <time.h>

#include "base/mem.h"
#include "logql/check.h"
#include "logql/parser.h"
#include "tests/support/golden_lines.h"

static struct arena arena;

static void setup(void)
{
    arena_init(&arena, BUF_NO_LIMIT);
}

static void teardown(void)
{
    arena_deinit(&arena);
}

TestSuite(logql_parser, .init = setup, .fini = teardown);

static struct expr *parse(const char *query)
{
    struct expr *e;
    struct error err = {0};
    int rc = logql_parse(str_c(query), &arena, &e, &err);
    cr_assert_eq(rc, 0, "%s: %s", query, err.text);
    return e;
}

static void refuses(int (*parser)(str, struct arena *, struct expr **, struct error *),
                    const char *query, const char *text)
{
    struct expr *e = (struct expr *)1;
    struct error err = {0};
    int rc = parser(str_c(query), &arena, &e, &err);
    cr_expect_neq(rc, 0, "%s", query);
    cr_expect_null(e);
    cr_expect_str_eq(err.text, text, "%s", query);
}

Test(logql_parser, words_errors_as_loki_does)
{
    struct golden_file g;
    cr_assert(golden_open(&g, "tests/golden/logql/errors.txt"));
    int n = 0;
    for (const struct golden_line *l; (l = golden_next(&g)) != NULL; n++) {
        struct expr *e;
        struct error err = {0};
        int rc = logql_parse(buf_str(&l->left), &arena, &e, &err);
        cr_expect_neq(rc, 0, "line %d", l->number);
        cr_expect(str_eq(str_c(err.text), buf_str(&l->right)), "line %d: %.*s\n got %s", l->number,
                  STR_ARG(buf_str(&l->left)), err.text);
    }
    cr_expect_geq(n, 500);
    golden_close(&g);
}

Test(logql_parser, reports_tokens_of_two_characters_on_line_0)
{
    refuses(logql_parse, "{a=\"b\"} |= \"a\" or |= \"b\"",
            "parse error at line 0, col 19: syntax error: unexpected |=, expecting STRING or ip");
    refuses(logql_parse, "{a=\"b\"}\n |= \"a\" or | \"b\"",
            "parse error at line 2, col 12: syntax error: unexpected |, expecting STRING or ip");
    refuses(logql_parse, "", "parse error : syntax error: unexpected $end");
}

Test(logql_parser, refuses_bytes_that_are_no_utf8)
{
    refuses(logql_parse, "{a=\"b\"} # x\xff",
            "parse error at line 0, col 9: invalid UTF-8 encoding");
    refuses(logql_parse, "{a=\"\xc3\"}", "parse error at line 1, col 4: invalid UTF-8 encoding");
    refuses(logql_parse, "{a=\"b\"}\xff", "parse error at line 1, col 7: invalid UTF-8 encoding");
    refuses(logql_parse, "{a=\"b\"}  \xff", "parse error at line 0, col 7: invalid UTF-8 encoding");
    struct expr *e = parse("{a=\"\\xff\"}");
    cr_expect(str_eq(e->log.matchers[0]->value, STR("\xff")));
    logql_release(e);
}

Test(logql_parser, puts_a_malformed_regex_before_a_syntax_error)
{
    refuses(logql_parse, "{a=~\"[x\"} nonsense",
            "parse error : error parsing regexp: missing closing ]: `[x`");
}

Test(logql_parser, keeps_values_and_places)
{
    struct expr *e =
        parse("sum by (a, b) (\n  rate({x=\"y\"} |= `z` | size > 1.5KiB [1h30m] offset -5m))");
    cr_assert_eq(e->kind, EXPR_VECTOR_AGG);
    cr_expect_eq(e->vector_agg.op, VECTOR_SUM);
    cr_expect_eq(e->vector_agg.grouping.n, 2);
    const struct expr *rate = e->vector_agg.inner;
    cr_assert_eq(rate->kind, EXPR_RANGE_AGG);
    cr_expect_eq(rate->pos.line, 2);
    cr_expect_eq(rate->pos.col, 3);
    cr_expect_eq(rate->pos.offset, 18);
    cr_expect_eq(rate->range_agg.range.range_ns, INT64_C(5400) * 1000000000);
    cr_expect_eq(rate->range_agg.range.offset_ns, INT64_C(-300) * 1000000000);
    const struct log_expr *log = &rate->range_agg.range.log;
    cr_assert_eq(log->n_stages, 2);
    cr_expect_eq(log->stages[0]->filters.items[0].op, LINE_EQ);
    const struct label_filter *f = log->stages[1]->filter;
    cr_expect_eq(f->kind, LABEL_FILTER_BYTES);
    cr_expect_eq(f->cmp.bytes, 1536);
    cr_expect(str_eq(f->cmp.text, STR("1.5KiB")));
    logql_release(e);
}

Test(logql_parser, folds_numbers)
{
    struct {
        const char *query;
        double number;
    } cases[] = {{"1 + 2 * 3", 7},  {"2 ^ 3 ^ 2", 512},       {"-2 ^ 2", 4},      {"7 % 4 - 1", 2},
                 {"1 > bool 2", 0}, {"1_000 * 0x1p4", 16000}, {"(1 + 1) / 4", .5}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct expr *e = parse(cases[i].query);
        cr_expect_eq(e->kind, EXPR_LITERAL);
        cr_expect_eq(e->number, cases[i].number, "%s", cases[i].query);
        logql_release(e);
    }
    cr_expect(isnan(parse("1 / 0")->number));
}

Test(logql_parser, turns_negated_alternatives_into_filters)
{
    struct expr *e = parse("{a=\"b\"} != \"x\" or ip(\"y\") or \"z\" |= \"p\" or \"q\" or \"r\"");
    cr_assert_eq(e->log.n_stages, 1);
    cr_assert_eq(e->log.stages[0]->filters.n, 4);
    cr_expect(e->log.stages[0]->filters.items[1].matches[0].is_ip);
    const struct line_filter *last = &e->log.stages[0]->filters.items[3];
    cr_assert_eq(last->n_matches, 3);
    cr_expect(str_eq(last->matches[2].text, STR("r")));
    logql_release(e);
}

static void append_stages(struct buf *b, const char *stage, int n)
{
    for (int i = 0; i < n; i++) {
        buf_append_c(b, stage);
    }
}

Test(logql_parser, refuses_more_stages_than_a_query_may_have)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    buf_append_c(&b, "{a=\"b\"}");
    append_stages(&b, " |= \"x\"", 5000); /* line filters are not counted */
    append_stages(&b, " | json", LOGQL_STAGES_MAX);
    logql_release(parse(buf_c(&b)));
    append_stages(&b, " | logfmt", 1);
    refuses(logql_parse, buf_c(&b), "parse error : query has too many stages (1001 > 1000)");
    buf_reset(&b);
    append_stages(&b, "count_over_time({a=\"b\"} | json | logfmt [1m]) + ", 500);
    buf_append_c(&b, "count_over_time({a=\"b\"} | json [1m])");
    refuses(logql_parse, buf_c(&b), "parse error : query has too many stages (1001 > 1000)");
    buf_deinit(&b);
}

Test(logql_parser, refuses_what_is_too_long_or_too_deep)
{
    size_t size = 1 << 20;
    char *long_query = mem_zalloc(size + 1);
    memset(long_query, '(', size);
    refuses(logql_parse, long_query, "parse error : input size too long (1048576 > 131072)");

    long_query[LOGQL_QUERY_BYTES_MAX - 1] = '\0'; /* parentheses alone leave no nodes */
    refuses(logql_parse, long_query,
            "parse error at line 1, col 131072: syntax error: unexpected $end");

    struct buf deep;
    buf_init(&deep, BUF_NO_LIMIT);
    for (int i = 0; i < 2000; i++) {
        buf_append_c(&deep, "sum(");
    }
    buf_append_c(&deep, "rate({a=\"b\"}[1m])");
    for (int i = 0; i < 2000; i++) {
        buf_append_char(&deep, ')');
    }
    refuses(logql_parse, buf_c(&deep),
            "parse error : the query is nested too deeply (more than 1000)");
    buf_reset(&deep);
    buf_append_c(&deep, "{a=\"b\"} | x=1");
    for (int i = 0; i < 10000; i++) {
        buf_append_c(&deep, " or x=1");
    }
    refuses(logql_parse, buf_c(&deep),
            "parse error : a label filter is nested too deeply (more than 8000)");
    buf_deinit(&deep);
    mem_free(long_query);
}

Test(logql_parser, takes_time_in_proportion_to_the_text)
{
    struct buf query;
    buf_init(&query, BUF_NO_LIMIT);
    buf_append_c(&query, "{a=\"b\"");
    while (query.len < LOGQL_QUERY_BYTES_MAX - 32) {
        buf_append_c(&query, ",rate != \"sum\"");
    }
    buf_append_c(&query, "}");
    clock_t begin = clock();
    struct expr *e = parse(buf_c(&query));
    cr_expect_lt((double)(clock() - begin) / CLOCKS_PER_SEC, 2);
    logql_release(e);
    buf_deinit(&query);
}

Test(logql_parser, takes_selectors_alone)
{
    struct expr *e;
    cr_assert_eq(logql_parse_selector(STR("{a=\"b\", c!~\"d\"}"), &arena, &e, NULL), 0);
    cr_expect_eq(e->log.n_matchers, 2);
    logql_release(e);
    cr_assert_eq(logql_parse_selector(STR("{}"), &arena, &e, NULL), 0);
    logql_release(e);
    refuses(logql_parse_selector, "{a=\"b\"} |= \"c\"", "only label matchers are supported");
    refuses(logql_parse_selector, "rate({a=\"b\"}[1m])", "only label matchers are supported");
    refuses(logql_parse_selector,
            "{a=", "parse error at line 1, col 4: syntax error: unexpected $end, expecting STRING");
}

Test(logql_parser, asks_for_a_matcher_that_refuses_the_empty_value)
{
    struct expr *e;
    cr_expect_eq(logql_parse_unchecked(STR("rate({a!=\"b\"}[1m])"), &arena, &e, NULL), 0);
    logql_release(e);
    cr_expect_neq(logql_parse(STR("rate({a!=\"b\"}[1m])"), &arena, &e, NULL), 0);
    cr_expect_eq(logql_parse(STR("vector(1) + 1"), &arena, &e, NULL), 0);
    logql_release(e);
}

Test(logql_parser, knows_what_is_switched_off)
{
    struct error err = {0};
    struct expr *e = parse("1 + approx_topk(2, rate({a=\"b\"}[1m]))");
    cr_expect_eq(logql_check_enabled(e, &err), E_INTERNAL);
    cr_expect_str_eq(err.text, "approx_topk is not enabled. See -limits.shard_aggregations");
    logql_release(e);

    error_clear(&err);
    e = parse("variants(rate({a=\"b\"}[1m])) of ({a=\"b\"}[1m])");
    cr_expect_eq(error_http(logql_check_enabled(e, &err) == 0 ? NULL : &err), 400);
    cr_expect_str_eq(err.text, "multi variant queries are disabled for this instance");
    logql_release(e);

    error_clear(&err);
    e = parse("{\xc3\xbcn\xc3\xaf=\"x\"}");
    cr_expect_eq(logql_check_enabled(e, &err), E_PARSE);
    cr_expect_str_eq(err.text, "parse error at line 1, col 2: syntax error: unexpected STRING, "
                               "expecting IDENTIFIER or }");
    logql_release(e);

    e = parse("topk(2, rate({a=\"b\"}[1m]))");
    cr_expect_eq(logql_check_enabled(e, NULL), 0);
    logql_release(e);
}

Test(logql_parser, names_the_stage_of_an_error)
{
    struct expr *e = parse("{a=\"b\"} |~ \"(\"");
    struct error err = {0};
    error_set(&err, E_PARSE, "error parsing regexp: missing closing ): `(`");
    logql_stage_error(e->log.stages[0], &err);
    cr_expect_str_eq(err.text, "parse error : stage '|~ \"(\"' : error parsing regexp: missing "
                               "closing ): `(`");
    logql_release(e);
}
