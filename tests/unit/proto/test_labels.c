#include <criterion/criterion.h>

#include "proto/labels.h"

static struct arena arena;

static void setup(void)
{
    arena_init(&arena, BUF_NO_LIMIT);
}

static void teardown(void)
{
    arena_deinit(&arena);
}

TestSuite(proto_labels, .init = setup, .fini = teardown);

static void expect_print(const char *text, const char *want)
{
    struct labels ls;
    struct error err = {0};
    cr_assert_eq(labels_parse(str_c(text), &arena, &ls, &err), 0, "%s: %s", text, err.text);
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    labels_print(&ls, &b);
    cr_expect_str_eq(buf_c(&b), want, "%s", text);
    buf_deinit(&b);
}

Test(proto_labels, parses_and_prints_sorted)
{
    expect_print("{}", "{}");
    expect_print("{b=\"2\", a=\"1\"}", "{a=\"1\", b=\"2\"}");
    expect_print("{a='x',}", "{a=\"x\"}");
    expect_print(" { a = `r\\w` # comment\n , b=\"\" } ", "{a=\"r\\\\w\"}");
    expect_print("{a=\"\\u00e9\\n\\\"\"}", "{a=\"é\\n\\\"\"}");
    expect_print("{a='it\\'s \"q\"'}", "{a=\"it's \\\"q\\\"\"}");
    expect_print("up{a=\"1\"}", "{__name__=\"up\", a=\"1\"}");
}

static void expect_error(const char *text, const char *want)
{
    struct labels ls;
    struct error err = {0};
    cr_expect_eq(labels_parse(str_c(text), &arena, &ls, &err), E_PARSE, "%s", text);
    cr_expect_str_eq(err.text, want);
}

Test(proto_labels, says_what_prometheus_says)
{
    expect_error("{a-b=\"1\"}", "1:3: parse error: unexpected character inside braces: '-'");
    expect_error("{=\"1\"}", "1:2: parse error: unexpected \"=\" in label set, expected identifier "
                             "or \"}\"");
    expect_error("{a b=\"1\"}",
                 "1:4: parse error: unexpected identifier \"b\" in label set, expected \"=\"");
    expect_error("{pushcase=", "1:11: parse error: unexpected end of input inside braces");
    expect_error("{a=~\"b\"}", "1:3: parse error: unexpected <op:=~> in label set, expected \"=\"");
    expect_error("{a=b}", "1:4: parse error: unexpected identifier \"b\" in label set, expected "
                          "string");
    expect_error("{a=\"b\"} x", "1:9: parse error: unexpected identifier \"x\" in label set, "
                                "expected end of input");
    expect_error("{a=\"b", "1:4: parse error: unterminated quoted string");
}

Test(proto_labels, tells_a_name_given_twice)
{
    struct labels ls;
    struct error err = {0};
    cr_assert_eq(labels_parse(STR("{b=\"1\",a=\"2\",b=\"3\"}"), &arena, &ls, &err), E_CONFLICT);
    cr_expect_eq(ls.n, 3);
    cr_expect_str_eq(err.text, "duplicate label name: 'b'");
}

Test(proto_labels, sorts_large_sets_stably)
{
    struct label items[500];
    for (size_t i = 0; i < 500; i++)
        items[i] = (struct label){arena_printf(&arena, "n%03zu", (i * 7919) % 250),
                                  arena_printf(&arena, "%zu", i)};
    size_t n = labels_normalize(items, 500);
    cr_assert_eq(n, 250);
    for (size_t i = 1; i < n; i++)
        cr_expect_lt(str_cmp(items[i - 1].name, items[i].name), 0);
}

Test(proto_labels, keeps_the_first_of_equal_names)
{
    struct label items[] = {{STR("b"), STR("1")}, {STR("a"), STR("")}, {STR("b"), STR("2")}};
    cr_assert_eq(labels_normalize(items, 3), 1);
    cr_expect(str_eq(items[0].value, STR("1")));
}
