#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/mem.h"
#include "logql/pattern.h"

static struct arena arena;

static void setup(void)
{
    arena_init(&arena, BUF_NO_LIMIT);
}

static void teardown(void)
{
    arena_deinit(&arena);
}

TestSuite(logql_pattern, .init = setup, .fini = teardown);

/* The captures of `line`, joined by |; "-" if there are none. */
static const char *captures(const char *text, const char *line)
{
    struct pattern p;
    struct error err = {0};
    str values[16];
    cr_assert_eq(pattern_compile(str_c(text), &arena, &p, &err), 0, "%s", err.text);
    cr_assert_leq(p.n_captures, 16);
    size_t n = pattern_match(&p, str_c(line), values);
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    for (size_t i = 0; i < n; i++) {
        buf_append_c(&out, i == 0 ? "" : "|");
        buf_append_str(&out, values[i]);
    }
    const char *joined = arena_c(&arena, n == 0 ? STR("-") : buf_str(&out));
    buf_deinit(&out);
    return joined;
}

Test(logql_pattern, takes_what_stands_between_literals)
{
    cr_expect_str_eq(captures("<ip> - <_> \"<method> <path>\"", "1.2.3.4 - bob \"GET /x\" 200"),
                     "1.2.3.4|GET|/x");
    cr_expect_str_eq(captures("a<x>", "abc"), "bc");
    cr_expect_str_eq(captures("<x>.", "abc"), "abc", "what follows is missing: up to the end");
    cr_expect_str_eq(captures("<x>=<y> <z>", "k=v"), "k|v");
    cr_expect_str_eq(captures("b<x>", "abc"), "-", "must begin as the pattern does");
    cr_expect_str_eq(captures("<x>", ""), "-");
    cr_expect_str_eq(captures("<<x>>", "<abc>"), "abc");
    cr_expect_str_eq(captures("<1> <x>", "<1> q"), "q", "<1> is no capture");
    cr_expect_str_eq(captures("é<x>é", "éüé"), "ü");
}

Test(logql_pattern, finds_literals_wherever_they_stand)
{
    static const char *const literals[] = {"|",     "|]",      "|] ",
                                           "|]|]|", "] - - [", "]]]]]]]]]]]]]]]]]]]]"};
    for (size_t k = 0; k < ARRAY_LEN(literals); k++)
        for (size_t n = 0; n < 80; n++)
            for (size_t behind = 0; behind < 20; behind++) {
                struct buf line;
                buf_init(&line, BUF_NO_LIMIT);
                for (size_t i = 0; i < n;
                     i++) /* with beginnings of the literal, none of them whole */
                    buf_append_char(&line, i % 5 == 0 && i + 1 < n ? literals[k][0] : 'x');
                buf_append_c(&line, literals[k]);
                for (size_t i = 0; i < behind; i++)
                    buf_append_char(&line, 'y');
                char *own = mem_alloc(MAX(line.len, (size_t)1)); /* nobody reads behind it */
                memcpy(own, line.ptr, line.len);
                const char *text = arena_printf(&arena, "<v>%s<_>", literals[k]).ptr;
                struct pattern p;
                str value;
                cr_assert_eq(pattern_compile(str_c(text), &arena, &p, NULL), 0);
                size_t want = literals[k][1] == '\0' && n > 1 ? 0 : n;
                cr_assert_eq(pattern_match(&p, str_make(own, line.len), &value), 1);
                cr_assert_eq(value.len, want, "%s behind %zu: %zu", literals[k], n, value.len);
                mem_free(own);
                buf_deinit(&line);
            }
}

Test(logql_pattern, names_captures_in_order)
{
    struct pattern p;
    cr_assert_eq(pattern_compile(STR("<a> <_> <b1>"), &arena, &p, NULL), 0);
    cr_expect_eq(p.n_captures, 2);
    cr_expect(str_eq(pattern_name(&p, 0), STR("a")));
    cr_expect(str_eq(pattern_name(&p, 1), STR("b1")));
}

static bool passes(const char *text, const char *line)
{
    struct pattern p;
    struct error err = {0};
    cr_assert_eq(pattern_compile_filter(str_c(text), &arena, &p, &err), 0, "%s", err.text);
    return pattern_test(&p, str_c(line));
}

Test(logql_pattern, tests_the_whole_line)
{
    cr_expect(passes("", ""));
    cr_expect_not(passes("", "a"));
    cr_expect_not(passes("a", ""));
    cr_expect(passes("foo <_>", "foo bar baz"));
    cr_expect(passes("<_> baz", "foo bar baz"));
    cr_expect_not(passes("<_> bar", "foo bar baz"), "something is left");
    cr_expect_not(passes("<_> bar <_>", " bar "), "empty captures");
    cr_expect(passes("<_>bar<_>", " bar "));
    cr_expect(passes("foo", "foo"));
}

static void refuses(int (*compile)(str, struct arena *, struct pattern *, struct error *),
                    const char *text, const char *want)
{
    struct pattern p;
    struct error err = {0};
    cr_expect_eq(compile(str_c(text), &arena, &p, &err), E_PARSE, "%s", text);
    cr_expect_str_eq(err.text, want);
}

Test(logql_pattern, words_errors_as_loki_does)
{
    refuses(pattern_compile, "",
            "parse error at line 1, col 1: syntax error: unexpected $end, "
            "expecting IDENTIFIER or LITERAL");
    refuses(pattern_compile, "abc", "at least one capture is required");
    refuses(pattern_compile, "<_>", "at least one capture is required");
    refuses(pattern_compile, "<a><b>", "found consecutive capture '<a><b>': invalid expression");
    refuses(pattern_compile, "<a> <a>", "duplicate capture name (a): invalid expression");
    refuses(pattern_compile_filter, "<name> x", "named captures are not allowed: found '<name>'");
    refuses(pattern_compile_filter, "<_><_>",
            "found consecutive capture '<_><_>': invalid expression");
}
