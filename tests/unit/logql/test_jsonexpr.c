#include <criterion/criterion.h>

#include "base/buf.h"
#include "logql/jsonexpr.h"

static struct arena arena;

static void setup(void)
{
    arena_init(&arena, BUF_NO_LIMIT);
}

static void teardown(void)
{
    arena_deinit(&arena);
}

TestSuite(logql_jsonexpr, .init = setup, .fini = teardown);

/* The steps, indices in brackets: a/[0]/c; the error if there is one. */
static const char *steps(const char *text)
{
    struct jsonexpr e;
    struct error err = {0};
    if (jsonexpr_parse(str_c(text), &arena, &e, &err) != 0) {
        return arena_c(&arena, str_c(err.text));
    }
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    for (size_t i = 0; i < e.n; i++) {
        buf_append_c(&out, i == 0 ? "" : "/");
        if (e.steps[i].is_index) {
            buf_printf(&out, "[%d]", (int)e.steps[i].index);
        } else {
            buf_append_str(&out, e.steps[i].key);
        }
    }
    const char *joined = arena_c(&arena, buf_str(&out));
    buf_deinit(&out);
    return joined;
}

Test(logql_jsonexpr, reads_paths)
{
    cr_expect_str_eq(steps("a"), "a");
    cr_expect_str_eq(steps("a.b_1[0][\"c d\"].e"), "a/b_1/[0]/c d/e");
    cr_expect_str_eq(steps("[\"x-y\"]"), "x-y");
    cr_expect_str_eq(steps(" a . b [ 12 ] "), "a/b/[12]");
}

Test(logql_jsonexpr, words_errors_as_loki_does)
{
    cr_expect_str_eq(steps(""), "syntax error: unexpected $end, expecting LSB or FIELD");
    cr_expect_str_eq(steps("b["), "syntax error: unexpected $end, expecting STRING or INDEX");
    cr_expect_str_eq(steps("[x]"), "syntax error: unexpected FIELD, expecting STRING or INDEX");
    cr_expect_str_eq(steps("a."), "syntax error: unexpected $end, expecting FIELD");
    cr_expect_str_eq(steps("a b"), "syntax error: unexpected FIELD");
    cr_expect_str_eq(steps("a]"), "syntax error: unexpected RSB");
    cr_expect_str_eq(steps("[\"a]"), "syntax error: unexpected $end, expecting RSB");
    cr_expect_str_eq(steps("a@"), "unexpected char @");
    cr_expect_str_eq(steps("a-b"), "unexpected char -");
    cr_expect_str_eq(steps("a 1.5"), "cannot use float as array index");
    cr_expect_str_eq(steps("a 1x"), "non-integer value: x");
}

static const char *key(const char *text)
{
    str first = STR_EMPTY;
    struct error err = {0};
    return logfmtexpr_parse(str_c(text), &arena, &first, &err) == 0
               ? arena_c(&arena, first)
               : arena_c(&arena, str_c(err.text));
}

Test(logql_jsonexpr, reads_keys_of_logfmt)
{
    cr_expect_str_eq(key("abc"), "abc");
    cr_expect_str_eq(key("\"a.b\""), "a.b");
    cr_expect_str_eq(key(""), "syntax error: unexpected $end, expecting STRING or KEY");
    cr_expect_str_eq(key("b c"), "syntax error: unexpected KEY");
    cr_expect_str_eq(key("a.b"), "unexpected char .");
    cr_expect_str_eq(key("."), "syntax error: unexpected $end, expecting STRING or KEY");
}
