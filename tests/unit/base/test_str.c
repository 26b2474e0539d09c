#include <criterion/criterion.h>

#include "base/mem.h"
#include "base/str.h"

Test(base_str, splits_like_a_loop_expects)
{
    str rest = STR("a,,b");
    const char *expected[] = {"a", "", "b"};
    size_t n = 0;
    while (rest.ptr != NULL)
        cr_assert(str_eq_c(str_split(&rest, ','), expected[n++]));
    cr_assert_eq(n, 3);
}

Test(base_str, compares_bytes_and_then_lengths)
{
    cr_assert_lt(str_cmp(STR("a"), STR("ab")), 0);
    cr_assert_gt(str_cmp(STR("b"), STR("ab")), 0);
    cr_assert_eq(str_cmp(STR(""), STR("")), 0);
    cr_assert_gt(str_cmp(STR("\xff"), STR("a")), 0, "bytes are unsigned");
}

Test(base_str, finds_and_trims)
{
    cr_assert_eq(str_find(STR("hello"), STR("lo")), 3);
    cr_assert_eq(str_find(STR("hello"), STR("x")), STR_NPOS);
    cr_assert_eq(str_find(STR("x"), STR("")), 0);
    cr_assert_eq(str_rfind_char(STR("a/b/c"), '/'), 3);
    cr_assert(str_eq(str_trim(STR(" \t x y \n")), STR("x y")));
    cr_assert(str_eq(str_trim_chars(STR("\"\"x\""), STR("\"")), STR("x")));
    cr_assert(str_eq_nocase(STR("HeLLo"), STR("hEllO")));
    cr_assert_not(str_eq_nocase(STR("@"), STR("`")), "only letters fold");
}

Test(base_str, numbers_are_whole_strings_in_range)
{
    int64_t v = 7;
    cr_assert(str_to_i64(STR("-9223372036854775808"), &v));
    cr_assert_eq(v, INT64_MIN);
    cr_assert(str_to_i64(STR("9223372036854775807"), &v));
    const char *bad[] = {"", "-", "1x", " 1", "9223372036854775808", "-9223372036854775809", "0x1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_assert_not(str_to_i64(str_c(bad[i]), &v), "%s", bad[i]);
    cr_assert_eq(v, INT64_MAX, "untouched on failure");
}

Test(base_str, knows_utf8_as_go_does)
{
    const char *good[] = {"", "ascii only text", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    const char *bad[] = {"\x80",     "\xc0\x80",    "\xed\xa0\x80", "\xf4\x90\x80\x80",
                         "\xe2\x82", "abcdefgh\xff"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        cr_assert(str_is_utf8(str_c(good[i])), "%zu", i);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_assert_not(str_is_utf8(str_c(bad[i])), "%zu", i);
}

Test(base_str, finds_the_one_byte_that_is_not_ascii_wherever_it_stands)
{
    char text[40];
    memset(text, 'x', sizeof text);
    for (size_t len = 0; len <= sizeof text; len++) {
        cr_assert(str_is_ascii(str_make(text, len)), "%zu", len);
        for (size_t at = 0; at < len; at++) {
            text[at] = (char)0x80;
            cr_assert_not(str_is_ascii(str_make(text, len)), "%zu of %zu", at, len);
            text[at] = 'x';
        }
    }
}
