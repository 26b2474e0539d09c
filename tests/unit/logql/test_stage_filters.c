#include "stage_help.h"

Test(logql_stage_label_filter, compares_strings_and_sees_absent_labels_as_empty)
{
    STAGE_CHECK({"| logfmt | a=\"1\"", "a=1", "a=1"}, {"| logfmt | a=\"1\"", "a=2", "dropped"},
                {"| logfmt | a!=\"1\"", "b=1", "b=1"}, {"| logfmt | a=\"\"", "b=1", "b=1"},
                {"| app=\"x\"", "l", ""}, {"| user=\"m\"", "l", "user=m", .meta = "{user=\"m\"}"},
                {"| logfmt | a=~\"x|yy\"", "a=yy", "a=yy"},
                {"| logfmt | a=~\"x|yy\"", "a=yyy", "dropped"},
                {"| logfmt | a!~\"x|yy\"", "a=yyy", "a=yyy"});
}

/* Loki rewrites some regexes into searches for literals, and the anchors get lost. */
Test(logql_stage_label_filter, matches_regexes_with_the_reach_that_loki_gives_them)
{
    STAGE_CHECK({"| logfmt | a=~\"b.*\"", "a=xbx", "a=xbx"},
                {"| logfmt | a=~\"warn|warning\"", "a=prewarn", "a=prewarn"},
                {"| logfmt | a=~\"1|2|3\"", "a=12", "dropped"},
                {"| logfmt | a=~\"b.*c\"", "a=xbc", "dropped"},
                {"| logfmt | a=~\"(?i)INFO\"", "a=info", "a=info"},
                {"| logfmt | a=~\".+\"", "b=1", "dropped"}, {"| logfmt | a=~\".*\"", "b=1", "b=1"},
                {"| json | a=~\"u.*w\"", "{\"a\":\"u\\nw\"}", "dropped"});
}

Test(logql_stage_label_filter, converts_values)
{
    STAGE_CHECK({"| logfmt | a>1.5", "a=2", "a=2"}, {"| logfmt | a>1.5", "b=2", "dropped"},
                {"| logfmt | a!=1", "a=NaN", "a=NaN"}, {"| logfmt | a>=1m30s", "a=90s", "a=90s"},
                {"| logfmt | a<1s", "a=1500ms", "dropped"},
                {"| logfmt | a>1KB", "a=1KiB", "a=1KiB"}, {"| logfmt | a==1", "a=1.0", "a=1.0"},
                {"| logfmt | a=ip(\"10.0.0.0/8\")", "a=10.1.2.3", "a=10.1.2.3"},
                {"| logfmt | a!=ip(\"10.0.0.0/8\")", "a=10.1.2.3", "dropped"},
                {"| logfmt | a=ip(\"10.0.0.0/8\")", "b=10.1.2.3", "dropped"});
}

Test(logql_stage_label_filter, reports_what_cannot_be_converted_and_lets_it_pass)
{
    STAGE_CHECK(
        {"| logfmt | a>1", "a=images",
         "__error__=LabelFilterErr __error_details__=strconv.ParseFloat: parsing \"images\": "
         "invalid syntax a=images"},
        {"| logfmt | a>1 | __error__=\"\"", "a=images", "dropped"},
        {"| logfmt | a>1 or b=\"x\"", "a=0 b=x", "a=0 b=x"},
        {"| logfmt | b=\"x\" or a>1", "a=images b=x", "a=images b=x"},
        {"| logfmt | a>1 and b=\"x\"", "a=images b=y", "dropped"},
        {"| logfmt | __error_details__!=\"\"", "a=1", "dropped"});
}

/* Parsers run the filters behind them on each label they set. */
Test(logql_stage_label_filter, reports_the_fault_that_stands_first_in_the_line)
{
    STAGE_CHECK({"| logfmt | b>1 | a>5s", "a=debug b=images",
                 "__error__=LabelFilterErr __error_details__=time: invalid duration \"debug\" "
                 "a=debug b=images"},
                {"| logfmt | drop a | a=\"\"", "a=1 b=2", "b=2"},
                {"| logfmt | label_format a=b | a=\"2\"", "a=1 b=2", "a=2"},
                {"| a=\"m\" | logfmt", "a=1", "a=1", .meta = "{a=\"m\"}"});
}

Test(logql_stage_drop_keep, choose_labels)
{
    STAGE_CHECK(
        {"| logfmt | drop a", "a=1 b=2", "b=2"}, {"| logfmt | drop a=\"1\"", "a=2", "a=2"},
        {"| logfmt | drop a=~\"1.*\", b", "a=12 b=2 c=3", "c=3"},
        {"| logfmt | keep a", "a=1 b=2", "a=1"}, {"| logfmt | keep a=\"1\", b", "a=2 b=2", "b=2"},
        {"| json | drop __error__, __error_details__", "x", ""},
        {"| json | keep a", "x",
         "__error__=JSONParserErr __error_details__=Value looks like object, but can't find "
         "closing '}' symbol"},
        {"| drop user", "l", "z=1", .meta = "{user=\"m\", z=\"1\"}"});
}

Test(logql_stage_formats, rename_and_make)
{
    STAGE_CHECK(
        {"| logfmt | label_format c=a", "a=1 b=2", "b=2 c=1"},
        {"| logfmt | label_format c=nope", "a=1", "a=1"},
        {"| logfmt | label_format x=\"{{.a}}-{{.b}}\"", "a=1 b=2", "a=1 b=2 x=1-2"},
        {"| logfmt | label_format x=\"{{.a}}\", y=\"[{{.x}}]\"", "a=1", "a=1 x=1 y=[]"},
        {"| logfmt | line_format \"{{.a}}/{{.nope}}/{{.app}}\"", "a=1", "a=1 > 1//x"},
        {"| logfmt | line_format \"{{.a}}\" |= \"1\"", "a=1", "a=1 > 1"},
        {"| json | line_format \"{{.__error__}}!\"", "x",
         "__error__=JSONParserErr __error_details__=Value looks like object, but can't find "
         "closing '}' symbol > JSONParserErr!"},
        {"| line_format \"{{ divf 1 0 }}\"", "l",
         "__error__=TemplateFormatErr __error_details__=template: line:1:3: executing "
         "\"line\" at <divf 1 0>: error calling divf: decimal division by 0"});
}
