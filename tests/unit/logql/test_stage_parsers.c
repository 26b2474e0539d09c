#include "stage_help.h"

Test(logql_stage_regexp, sets_named_groups_of_the_first_match)
{
    STAGE_CHECK({"| regexp \"(?P<ip>\\\\S+) - (?P<user>\\\\S+)\"", "1.2.3.4 - bob x",
                 "ip=1.2.3.4 user=bob"},
                {"| regexp \"(?P<w>[a-z]+)\"", "foo/bar", "w=foo"},
                {"| regexp \"(?P<zz>Z+)\"", "abc", ""},
                {"| regexp \"(?P<a>x)?(?P<b>y)\"", "y", "a= b=y"},
                {"| regexp \"(\\\\w+) (?P<b>\\\\w+)\"", "one two", "b=two"},
                {"| regexp \"(?P<x>\\\\d+)\" | regexp \"(?P<x>[a-z]+)\"", "12 ab", "x=12"},
                {"| regexp \"(?P<1a>.*)\"", "y", "_1a=y"},
                {"| regexp \"(?P<a>.)b(?P<r>.*)\"",
                 "\xff"
                 "b\xc3\xa4\xc3z",
                 "a=\xff r=\xc3\xa4\xc3z"},
                {"| regexp \"(?P<app>.*)\"", "y", "app_extracted=y"});
}

Test(logql_stage_pattern, sets_captures)
{
    STAGE_CHECK({"| pattern \"<a>/<b>\"", "x/y/z", "a=x b=y/z"},
                {"| pattern \"<a>-<_>-<b>\"", "-1-2", "a= b=2"},
                {"| pattern \"<a>:<b>\"", "aa", "a=aa"}, {"| pattern \"<a>\"", "", ""},
                {"| pattern \"<app> <b>\"", "y z", "app_extracted=y b=z"});
}

Test(logql_stage_unpack, restores_the_packed_line)
{
    STAGE_CHECK(
        {"| unpack", "{\"_entry\":\"the \\u00e9 line\",\"pod\":\"p\",\"app\":\"y\"}",
         "app_extracted=y pod=p > the \xc3\xa9 line"},
        {"| unpack", "{\"pod\":\"p\"}", ""}, {"| unpack", "{\"_entry\":12,\"pod\":\"p\"}", ""},
        {"| unpack", "{\"_entry\":\"e\",\"n\":1,\"o\":{}}", "> e"},
        {"| unpack", "{\"_entry\":\"e\",\"p\":\"a\",\"p\":\"b\"}", "p=b > e"}, {"| unpack", "", ""},
        {"| unpack", "[]",
         "__error__=JSONParserErr __error_details__=expecting json object(6), but it is not"},
        {"| unpack", "{\"_entry\":\"broken\"",
         "__error__=JSONParserErr __error_details__=Value is array, but can't find closing ']' "
         "symbol"},
        {"| unpack |= \"new\"", "{\"_entry\":\"new\"}", "> new"},
        {"| unpack |= \"_entry\"", "{\"_entry\":\"new\"}", "dropped"});
}

Test(logql_stage_decolorize, removes_escape_sequences)
{
    STAGE_CHECK({"| decolorize", "\x1b[31mred\x1b[0m plain", "> red plain"},
                {"| decolorize", "plain", ""}, {"| decolorize", "\x1b]0;title\x07x", "> x"},
                {"| decolorize",
                 "\x1b[38;5;196mX\xc2\x9b"
                 "1mY",
                 "> XY"},
                {"| decolorize", "\x1b[12", ">"}, {"| decolorize |= \"ab\"", "a\x1b[1mb", "> ab"});
}

Test(logql_stage_parsers, word_their_errors_as_loki_does)
{
    stage_check_error(
        "| json a=\"b[\"",
        "parse error : stage '| json a=\"b[\"' : cannot parse expression [b[]: syntax "
        "error: unexpected $end, expecting STRING or INDEX");
    stage_check_error("| logfmt a=\"b c\"",
                      "parse error : stage '| logfmt a=\"b c\"' : cannot parse expression [b c]: "
                      "syntax error: unexpected KEY");
    stage_check_error("| regexp \"(?P<a>x)(?P<a>y)\"",
                      "parse error : invalid regexp parser: duplicate extracted label name 'a'");
    stage_check_error("|~ \"(\"", "parse error : stage '|~ \"(\"' : error parsing regexp: missing "
                                  "closing ): `(`");
    stage_check_error("|= ip(\"x\")",
                      "parse error : stage '|= ip(\"x\")' : ip: invalid pattern: \"x\"");
    stage_check_error("| json | a=ip(\"1.2.3\")",
                      "parse error : stage '| a=ip(\"1.2.3\")' : ip: invalid pattern: \"1.2.3\"");
    stage_check_error("| line_format \"{{nosuch .a}}\"",
                      "parse error : stage '| line_format \"{{nosuch .a}}\"' : invalid line "
                      "template: template: line:1: function \"nosuch\" not defined");
}
