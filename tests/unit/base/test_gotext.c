#include <criterion/criterion.h>

#include "base/gotext.h"

static struct arena arena;

static void init(void)
{
    arena_init(&arena, 1u << 20);
}

static void fini(void)
{
    arena_deinit(&arena);
}

TestSuite(base_gotext, .init = init, .fini = fini);

static struct regex *compiled(const char *pattern)
{
    struct regex *re = NULL;
    cr_assert_eq(regex_compile(str_c(pattern), 0, &re, NULL), 0);
    return re;
}

Test(base_gotext, text_is_plain_if_all_of_it_is_utf8)
{
    cr_expect(gotext_is_plain(STR("")));
    cr_expect(gotext_is_plain(STR("abcdefghijk")));
    cr_expect(gotext_is_plain(STR("abcdefgh\xc3\xa9")));
    cr_expect(!gotext_is_plain(STR("abcdefgh\xc3")));
    cr_expect(!gotext_is_plain(STR("\xff"
                                   "abcdefgh")));
}

Test(base_gotext, a_dot_takes_one_malformed_byte)
{
    static const char *const cases[][3] = {
        {"^a.b$",
         "a\xff"
         "b",
         "1"},
        {"^a.b$",
         "a\xff\xfe"
         "b",
         "0"},
        {"^[^x]+$", "\xe2\x82", "1"},
        {"\xef\xbf\xbd", "a\xff", "1"},
        {"b",
         "a\xff"
         "b",
         "1"},
        {"x", "a\xff", "0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct regex *re = compiled(cases[i][0]);
        cr_expect_eq(gotext_is_match(re, str_c(cases[i][1])), cases[i][2][0] == '1', "case %zu", i);
        regex_free(re);
    }
}

Test(base_gotext, groups_are_views_of_the_bytes_themselves)
{
    str text = STR("\xff\xfe"
                   "ab\xc3\xa9\xff");
    str groups[4];
    struct regex *re = compiled("(.)(ab)(x)?.(.)");
    cr_assert(gotext_match(re, text, &arena, groups, 4));
    cr_expect_eq(groups[1].ptr, text.ptr + 1);
    cr_expect_eq(groups[1].len, 1);
    cr_expect_eq(groups[2].ptr, text.ptr + 2);
    cr_expect_null(groups[3].ptr);
    cr_expect_eq(groups[0].len, 6);
    cr_expect(!gotext_match(re, STR("none"), &arena, groups, 4));
    regex_free(re);
}
