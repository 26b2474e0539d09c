#include "logql/stages/logfmt_scan.h"
#include "stage_help.h"

Test(logql_stage_logfmt, takes_pairs)
{
    STAGE_CHECK({"| logfmt", "a=1 b=\"x y\"\tc=", "a=1 b=x y"},
                {"| logfmt", "a.b=1 x-y=2 9l=3 \xc3\xa4=4", "_=4 _9l=3 a_b=1 x_y=2"},
                {"| logfmt", "a=1 a=2 a=3", "a=1"}, {"| logfmt", "app=y", "app_extracted=y"},
                {"| logfmt", "a=\"esc \\\" q\" b=\"\\u00e9\\ud83d\\ude00\\n\"",
                 "a=esc \" q b=\xc3\xa9\xf0\x9f\x98\x80"},
                {"| logfmt", "", ""},
                {"| logfmt",
                 "a=1\xff"
                 "b",
                 "a=1 b"});
}

Test(logql_stage_logfmt, shows_empty_values_only_when_told)
{
    STAGE_CHECK({"| logfmt", "a= b c=\"\"", ""},
                {"| logfmt --keep-empty", "a= b c=\"\"", "a= b= c="});
}

Test(logql_stage_logfmt, passes_over_faults_without_strict)
{
    STAGE_CHECK({"| logfmt", "a=b=c d=1", "d=1"}, {"| logfmt", "=x a=1", "a=1"},
                {"| logfmt", "a=1 \"quoted key\"=2 b=3", "a=1 b=3"},
                {"| logfmt", "a=\"bad\\q\" b=1", "b=1"}, {"| logfmt", "b=1 a=\"open", "b=1"});
}

Test(logql_stage_logfmt, stops_at_faults_with_strict)
{
    STAGE_CHECK(
        {"| logfmt --strict", "a=1 b=c=d e=2",
         "__error__=LogfmtParserErr __error_details__=logfmt syntax error at pos 8 : unexpected "
         "'=' "
         "a=1"},
        {"| logfmt --strict", "a=\"unterminated b=2",
         "__error__=LogfmtParserErr __error_details__=logfmt syntax error at pos 20 : unterminated "
         "quoted value"},
        {"| logfmt --strict", "foo=\"a\\qb\" c=1",
         "__error__=LogfmtParserErr __error_details__=logfmt syntax error at pos 11 : invalid "
         "quoted "
         "value"},
        {"| logfmt --strict", "a\xff=1",
         "__error__=LogfmtParserErr __error_details__=logfmt syntax error at pos 3 : invalid key"},
        {"| logfmt --strict", "\"=bad",
         "__error__=LogfmtParserErr __error_details__=logfmt syntax error at pos 1 : unexpected "
         "'\"'"});
}

Test(logql_stage_logfmt, renames_with_expressions)
{
    STAGE_CHECK({"| logfmt x=\"a\", b", "a=1 b=2 c=3", "b=2 x=1"},
                {"| logfmt x=\"a\"", "a=1 a=2", "x=2"}, {"| logfmt x=\"nope\"", "a=1", "x="},
                {"| logfmt app", "app=y", "app_extracted=y"}, {"| logfmt app", "a=1", ""},
                {"| logfmt --strict x=\"a\"", "a=1 =2",
                 "__error__=LogfmtParserErr __error_details__=logfmt syntax error at pos 5 : "
                 "unexpected '=' x=1"},
                {"| logfmt x=\"a\"", "x=0 a=1", "x=1"}, {"| logfmt x=\"a\"", "a=1 x=0", "x=0"});
}

Test(logql_stage_logfmt, stops_when_it_has_what_the_query_asks_for)
{
    STAGE_CHECK(
        {"sum by (a) (count_over_time({app=\"x\"} | logfmt --strict [1m]))", "a=1 =2", "a=1 = 1"},
        {"sum by (b) (count_over_time({app=\"x\"} | logfmt --strict [1m]))", "a=1 =2",
         "__error__=LogfmtParserErr __error_details__=logfmt syntax error at pos 5 : "
         "unexpected '=' = 1"});
}

/* Long tokens cross the steps of the vectorised search. */
Test(logql_stage_logfmt, scans_tokens_of_any_length)
{
    struct arena a;
    arena_init(&a, SIZE_MAX);
    for (int key = 1; key < 40; key++) {
        for (int value = 0; value < 40; value++) {
            char line[128];
            int n = snprintf(line, sizeof line, "%.*s=%.*s z=1", key,
                             "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk", value,
                             "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv");
            struct logfmt_scan s = logfmt_scan(str_make(line, (size_t)n));
            cr_assert(logfmt_next(&s, &a));
            cr_assert_eq(s.key.len, (size_t)key);
            cr_assert_eq(s.value.len, (size_t)value);
            cr_assert(logfmt_next(&s, &a));
            cr_assert(str_eq(s.key, STR("z")));
            cr_assert(logfmt_is_end(&s));
        }
    }
    arena_deinit(&a);
}
