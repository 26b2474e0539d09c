#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/mem.h"
#include "logql/stages/regex_shape.h"

/* any, some, none(required), or the literals: =whole, ~any case. */
static void expect(const char *re, enum regex_shape_use use, const char *want)
{
    struct arena a;
    struct buf out;
    struct regex_shape s;
    arena_init(&a, SIZE_MAX);
    buf_init(&out, BUF_NO_LIMIT);
    regex_shape_parse(str_c(re), use, &a, &s);
    buf_append_c(&out, s.kind == REGEX_SHAPE_ANY    ? "any"
                       : s.kind == REGEX_SHAPE_SOME ? "some"
                       : s.kind == REGEX_SHAPE_NONE ? "none"
                                                    : "");
    for (size_t i = 0; i < s.n_required; i++)
        buf_printf(&out, "%s%s%.*s%s", i == 0 ? "(" : "|", s.required[i].is_caseless ? "~" : "",
                   STR_ARG(s.required[i].text), i + 1 == s.n_required ? ")" : "");
    for (size_t i = 0; i < s.n; i++)
        buf_printf(&out, "%s%s%s%.*s", out.len > 0 ? " " : "", s.literals[i].is_whole ? "=" : "",
                   s.literals[i].is_caseless ? "~" : "", STR_ARG(s.literals[i].text));
    cr_expect_str_eq(buf_c(&out), want, "%s gives %s, not %s", re, buf_c(&out), want);
    buf_deinit(&out);
    arena_deinit(&a);
}

Test(logql_regex_shape, reduces_line_filters_to_literals)
{
    static const char *const cases[][2] = {
        {"foo", "foo"},
        {"fo\\.o", "fo.o"},
        {"(foo)", "foo"},
        {"(?:fo)o", "foo"},
        {"foo|bar", "foo bar"},
        {"(foo|bar)", "foo bar"},
        {"warn|warning", "warn warning"},
        {".*foo.*", "foo"},
        {"foo.*", "foo"},
        {"foo(bar|qux)", "foobar fooqux"},
        {"foo(bar|baz)", "none(foo)"}, /* ba[rz] */
        {".*", "any"},
        {".+", "some"},
        {"", "any"},
        {"(?i)Foo", "~foo"},
        {"(?i:foo)", "~foo"},
        {"[.]x", ".x"},
        {"[fF]oo", "none(oo)"},
        {"foo.*bar", "none(foo)"},
        {"took 2[0-9]{3} ms", "none(took 2)"},
        {"(?i)peers [0-9]", "none(~peer)"},
        {"a+b", "none(b)"},
        {"ab?c", "none(a)"},
        {"a|b", "none"},
        {"a{2}", "none"},
        {"x{,2}", "x{,2}"},
        {"foo|", "foo"},
        {"^foo", "none(foo)"},
        {"(timeout|refused) ", "none(timeout|refused)"},
        {"[0-9](ab|cd[ef])|xyz1?", "none(ab|cd|xyz)"},
        {"[0-9](ab|c?)", "none"},
        {"foo.*(bar|qux)", "none(foo)"},
        {"\\x41b", "none"},
        {"\xc3\xa4|\xc3\xb6x", "none"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases) - 1; i++)
        expect(cases[i][0], REGEX_SHAPE_LINE, cases[i][1]);
}

Test(logql_regex_shape, reduces_label_filters_as_loki_does)
{
    expect("foo", REGEX_SHAPE_LABEL, "=foo");
    expect("foo|bar", REGEX_SHAPE_LABEL, "=foo =bar");
    expect("warn|warning", REGEX_SHAPE_LABEL, "warn warning");
    expect("foo.*", REGEX_SHAPE_LABEL, "foo");
    expect("(?i)foo", REGEX_SHAPE_LABEL, "=~foo");
    expect("1|2|3", REGEX_SHAPE_LABEL, "none");
}

Test(logql_regex_shape, gives_up_on_deep_nesting)
{
    struct buf re;
    buf_init(&re, BUF_NO_LIMIT);
    for (int i = 0; i < 500; i++)
        buf_append_char(&re, '(');
    buf_append_c(&re, "abc");
    for (int i = 0; i < 500; i++)
        buf_append_char(&re, ')');
    expect(buf_c(&re), REGEX_SHAPE_LINE, "none");
    buf_deinit(&re);
}
