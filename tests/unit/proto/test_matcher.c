#include <criterion/criterion.h>

#include "proto/matcher.h"

static struct arena arena;

static void setup(void)
{
    arena_init(&arena, BUF_NO_LIMIT);
}

static void teardown(void)
{
    arena_deinit(&arena);
}

TestSuite(proto_matcher, .init = setup, .fini = teardown);

static bool matches(enum match_op op, const char *value, const char *text)
{
    struct matcher m;
    cr_assert_eq(matcher_init(&m, &arena, STR("a"), op, str_c(value), NULL), 0, "%s", value);
    bool hit = matcher_is_match(&m, str_c(text));
    matcher_deinit(&m);
    return hit;
}

Test(proto_matcher, anchors_regexes_and_lets_dot_be_a_newline)
{
    cr_expect(matches(MATCH_RE, "a.c", "abc"));
    cr_expect(matches(MATCH_RE, "a.c", "a\nc"));
    cr_expect_not(matches(MATCH_RE, "a.c", "xabc"));
    cr_expect(matches(MATCH_NRE, "a.c", "xabc"));
    cr_expect(matches(MATCH_RE, ".*", ""));
    cr_expect_not(matches(MATCH_RE, ".+", ""));
    cr_expect(matches(MATCH_NE, "x", ""));
}

static size_t alternatives(const char *re)
{
    struct matcher m;
    cr_assert_eq(matcher_init(&m, &arena, STR("a"), MATCH_RE, str_c(re), NULL), 0, "%s", re);
    size_t n = m.n_alts;
    cr_expect_eq(m.re == NULL, n > 0, "%s", re);
    matcher_deinit(&m);
    return n;
}

Test(proto_matcher, finds_the_values_a_regex_stands_for)
{
    cr_expect_eq(alternatives("abc"), 1);
    cr_expect_eq(alternatives("a|b|c"), 3);
    cr_expect_eq(alternatives("a|"), 2);
    cr_expect_eq(alternatives("web-(1|2)\\.local"), 2);
    cr_expect_eq(alternatives("(?:a|b)(c|d)[ef]"), 8);
    cr_expect_eq(alternatives("a\\|b"), 1);
    cr_expect_eq(alternatives("ab*"), 0);
    cr_expect_eq(alternatives("(a|b)?"), 0);
    cr_expect_eq(alternatives("[a-c]"), 0);
    cr_expect_eq(alternatives("(?i)a"), 0);
    cr_expect_eq(alternatives("^a$"), 0);
    cr_expect_eq(alternatives("a\\d"), 0);
}

Test(proto_matcher, alternatives_accept_what_the_regex_does)
{
    cr_expect(matches(MATCH_RE, "web-(1|2)\\.local", "web-2.local"));
    cr_expect_not(matches(MATCH_RE, "web-(1|2)\\.local", "web-2xlocal"));
    cr_expect(matches(MATCH_RE, "a|", ""));
    cr_expect(matches(MATCH_RE, "日本|b", "日本"));
}

Test(proto_matcher, refuses_a_bad_regex)
{
    struct matcher m;
    struct error err = {0};
    cr_expect_eq(matcher_init(&m, &arena, STR("a"), MATCH_RE, STR("a("), &err), E_PARSE);
    cr_expect_str_eq(err.text, "error parsing regexp: missing closing ): `a(`");
    matcher_deinit(&m);
}
