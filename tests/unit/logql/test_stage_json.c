#include "stage_help.h"

Test(logql_stage_json, flattens_objects_and_keeps_spelling)
{
    STAGE_CHECK(
        {"| json", "{\"a\":1,\"b\":{\"c\":\"d\",\"e\":{\"f\":true}}}", "a=1 b_c=d b_e_f=true"},
        {"| json", "{\"n\":1e21,\"m\":01,\"z\":-0.50}", "m=01 n=1e21 z=-0.50"},
        {"| json", "{\"a.b\":\"dot\",\"x-y\":3,\"9l\":\"cat\",\" sp \":1}",
         "_9l=cat a_b=dot sp=1 x_y=3"},
        {"| json", "{\"\xc3\xa4\":\"uml\"}", "_=uml"},
        {"| json", "{\"p\":{\"9\":1,\" \":{\"q\":2}}}", "p_9=1 p_q=2"}, {"| json", "{}", ""});
}

Test(logql_stage_json, passes_over_arrays_and_null)
{
    STAGE_CHECK({"| json", "{\"a\":[1,{\"b\":2}],\"n\":null,\"c\":3}", "c=3"},
                {"| json", "{\"f\":false}", "f=false"});
}

Test(logql_stage_json, keeps_the_first_of_equal_names)
{
    STAGE_CHECK({"| json", "{\"a\":1,\"a\":2}", "a=1"},
                {"| json", "{\"pod\":{\"name\":\"p1\"},\"pod_name\":\"flat\"}", "pod_name=p1"},
                {"| json | json", "{\"a\":1}", "a=1"},
                {"| json | logfmt", "{\"a\":1} a=2 b=3", "a=1 b=3"});
}

Test(logql_stage_json, gives_way_to_stream_labels_only)
{
    STAGE_CHECK({"| json", "{\"app\":\"y\"}", "app_extracted=y"},
                {"| json", "{\"app_extracted\":\"1\",\"app\":\"2\"}", "app_extracted=1"},
                {"| json", "{\"user\":\"line\"}", "user=line", .meta = "{user=\"meta\"}"},
                {"| json", "{\"app\":\"y\"}", "app_extracted=y", .meta = "{app=\"m\"}"});
}

Test(logql_stage_json, unescapes_strings)
{
    STAGE_CHECK({"| json", "{\"s\":\"\\u00e9\\n\\t\\\"q\\\"\\\\ \\/ \\ud83d\\ude00\"}",
                 "s=\xc3\xa9\n\t\"q\"\\ / \xf0\x9f\x98\x80"},
                {"| json", "{\"s\":\"\\ud83d\",\"t\":\"\\x\"}", "s= t="},
                {"| json",
                 "{\"s\":\"a\xff"
                 "b\"}",
                 "s=a b"},
                {"| json", "{\"s\":\"\\ufffd\"}", "s="}, {"| json", "{\"\\u0041b\":1}", "Ab=1"});
}

Test(logql_stage_json, reports_faults_and_keeps_what_came_before)
{
    STAGE_CHECK(
        {"| json", "{\"a\":1",
         "__error__=JSONParserErr __error_details__=Value is array, but can't "
         "find closing ']' symbol a=1"},
        {"| json", "{\"ok\":\"yes\",\"bad\":tru}",
         "__error__=JSONParserErr __error_details__=Unknown value type ok=yes"},
        {"| json", "{\"a\" 1}", "__error__=JSONParserErr __error_details__=Malformed JSON error"},
        {"| json", "{\"a\":\"open}",
         "__error__=JSONParserErr __error_details__=Value is string, but "
         "can't find closing '\"' symbol"},
        {"| json", "no json",
         "__error__=JSONParserErr __error_details__=Value looks like object, "
         "but can't find closing '}' symbol"},
        {"| json", "{\"bad\\x\":1}",
         "__error__=JSONParserErr __error_details__=Encountered an "
         "invalid escape sequence in a string"},
        {"| json", "{\"a\":1,}", "a=1"}, {"| json", "{\"a\":1} behind", "a=1"},
        {"| json", "  {\"a\":1}", "a=1"});
}

Test(logql_stage_json, finds_paths)
{
    static const char doc[] =
        "{\"u\":{\"city\":\"K\",\"roles\":[\"admin\",\"dev\"]},"
        "\"l\":[{\"n\":1},{\"n\":2,\"k\":{\"d\":[7,8]}}],\"nul\":null,\"t\":true}";
    STAGE_CHECK({"| json c=\"u.city\"", doc, "c=K"}, {"| json r=\"u.roles[1]\"", doc, "r=dev"},
                {"| json n=\"l[1].n\", d=\"l[1].k.d[0]\"", doc, "d=7 n=2"},
                {"| json r=\"u.roles\"", doc, "r=[\"admin\",\"dev\"]"},
                {"| json x=\"l[9].n\"", doc, "x="}, {"| json x=\"nul\", t", doc, "t=true x="},
                {"| json x=\"[2].a\", y=\"[0]\"", "[1,2,{\"a\":3}]", "x=3 y=1"},
                {"| json app=\"app\"", "{\"app\":1}", "app_extracted=1"},
                {"| json a=\"a\"", "{\"a\":1,\"a\":2}", "a=1"},
                {"| json | json a=\"b\"", "{\"a\":1,\"b\":2}", "a=2 b=2"});
}

Test(logql_stage_json, asks_paths_of_what_begins_like_json)
{
    STAGE_CHECK({"| json a=\"a\"", "not json", "__error__=JSONParserErr"},
                {"| json a=\"a\"", "", ""}, {"| json a=\"a\"", "{a:1}", "a="},
                {"| json a=\"a\"", "{\"a\":}",
                 "__error__=JSONParserErr __error_details__=Unknown value type a="},
                {"| json a=\"a\"", "\"a\":1",
                 "__error__=JSONParserErr __error_details__=Malformed JSON error a="});
}

Test(logql_stage_json, survives_deep_nesting)
{
    enum { DEPTH = 20000 };
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    for (int i = 0; i < DEPTH; i++)
        buf_append_c(&b, "{\"a\":");
    buf_append_c(&b, "1");
    for (int i = 0; i < DEPTH; i++)
        buf_append_c(&b, "}");
    struct stage_fixture f;
    cr_assert_eq(stage_open(&f, "| json | json x=\"a.a.a\"", NULL), 0);
    cr_expect_str_neq(stage_outcome(&f, buf_str(&b), NULL), "dropped");
    stage_close(&f);
    buf_deinit(&b);
}

Test(logql_stage_json, stops_when_it_has_what_the_query_asks_for)
{
    /* The fault behind the label is never seen; without the label it is. */
    STAGE_CHECK(
        {"sum by (a) (count_over_time({app=\"x\"} | json [1m]))", "{\"a\":1,\"b\":tru}", "a=1 = 1"},
        {"sum by (b) (count_over_time({app=\"x\"} | json [1m]))", "{\"a\":1,\"b\":tru}",
         "__error__=JSONParserErr __error_details__=Unknown value type = 1"},
        {"sum(count_over_time({app=\"x\"} | json [1m]))", "no json", "= 1"},
        {"sum by (o_b) (count_over_time({app=\"x\"} | json [1m]))",
         "{\"x\":{\"y\":tru},\"o\":{\"a\":1,\"b\":2},\"z\":tru}", "o_b=2 = 1"});
}
