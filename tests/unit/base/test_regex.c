#include <criterion/criterion.h>

#include "base/mem.h"
#include "base/regex.h"

static struct regex *compile(const char *pattern, unsigned flags)
{
    struct regex *re = NULL;
    struct error err = {0};
    cr_assert_eq(regex_compile(str_c(pattern), flags, &re, &err), 0, "%s", err.text);
    return re;
}

Test(base_regex, anchored_ones_match_the_whole_text)
{
    struct regex *re = compile("a|ab", REGEX_ANCHORED);
    cr_assert(regex_is_match(re, STR("ab")));
    cr_assert_not(regex_is_match(re, STR("abc")));
    regex_free(re);
    re = compile("b+", 0);
    cr_assert(regex_is_match(re, STR("abbbc")));
    regex_free(re);
}

Test(base_regex, groups_have_names_and_may_take_no_part)
{
    struct regex *re = compile("(?P<x>a)|(?P<y>b)", 0);
    str groups[3];
    cr_assert_eq(regex_group_count(re), 2);
    cr_assert(str_eq(regex_group_name(re, 2), STR("y")));
    cr_assert(regex_match(re, STR("b"), 0, groups, 3));
    cr_assert_null(groups[1].ptr);
    cr_assert(str_eq(groups[2], STR("b")));
    cr_assert_not(regex_match(re, STR("ba"), 2, groups, 3));
    regex_free(re);
}

Test(base_regex, errors_are_in_the_words_of_go)
{
    static const struct {
        const char *pattern, *text;
    } cases[] = {
        {"[a", "error parsing regexp: missing closing ]: `[a`"},
        {"*a", "error parsing regexp: missing argument to repetition operator: `*`"},
        {"(", "error parsing regexp: missing closing ): `(`"},
        {"[z-a]", "error parsing regexp: invalid character class range: `z-a`"},
        {"(?=a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"},
        {"a{2000}", "error parsing regexp: invalid repeat count: `{2000}`"},
        {"(a)\\1", "error parsing regexp: invalid escape sequence: `\\1`"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct regex *re = NULL;
        struct error err = {0};
        cr_assert_eq(regex_compile(str_c(cases[i].pattern), 0, &re, &err), E_PARSE);
        cr_assert_str_eq(err.text, cases[i].text);
    }
}

Test(base_regex, a_hostile_pattern_costs_linear_time)
{
    struct regex *re = compile("(a*)*b", 0);
    char text[20001];
    memset(text, 'a', sizeof text);
    cr_assert_not(regex_is_match(re, str_make(text, sizeof text)));
    regex_free(re);
}
