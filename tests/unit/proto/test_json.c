#include <criterion/criterion.h>

#include "proto/json_scan.h"
#include "proto/json_writer.h"

static void expect_written(str s, const char *want)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    cr_assert(json_append_string(&b, s));
    cr_expect_str_eq(buf_c(&b), want);
    buf_deinit(&b);
}

Test(proto_json_writer, escapes_as_go)
{
    expect_written(STR(""), "\"\"");
    expect_written(STR("plain text longer than sixteen bytes"),
                   "\"plain text longer than sixteen bytes\"");
    expect_written(STR("a\"b\\c\n\r\t\x01\x1f"), "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u001f\"");
    expect_written(STR("<a>&b"), "\"\\u003ca\\u003e\\u0026b\"");
    expect_written(STR("日本\xe2\x80\xa8"), "\"日本\\u2028\"");
    expect_written(STR("x\xff\xfey"), "\"x\\ufffd\\ufffdy\"");
    expect_written(STR("0123456789abcde\"0123456789abcdef<"),
                   "\"0123456789abcde\\\"0123456789abcdef\\u003c\"");
}

Test(proto_json_writer, puts_the_commas)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, BUF_NO_LIMIT);
    jsonw_writer_init(&w, &b);
    jsonw_begin_object(&w);
    jsonw_key_c(&w, "a");
    jsonw_begin_array(&w);
    jsonw_i64(&w, -1);
    jsonw_begin_object(&w);
    jsonw_end_object(&w);
    jsonw_bool(&w, true);
    jsonw_null(&w);
    jsonw_float(&w, 0.5);
    jsonw_quoted_i64(&w, 7);
    jsonw_end_array(&w);
    jsonw_key_c(&w, "b");
    jsonw_string(&w, STR("x"));
    jsonw_end_object(&w);
    cr_expect_str_eq(buf_c(&b), "{\"a\":[-1,{},true,null,0.5,\"7\"],\"b\":\"x\"}");
    buf_deinit(&b);
}

Test(proto_json_scan, walks_a_document)
{
    struct json_scan j =
        json_scan_make(STR(" {\"a\" : [1, -2.5e3, \"x\\ny\"], \"b\":{\"c\":null}, \"d\":true} "));
    struct arena a;
    arena_init(&a, BUF_NO_LIMIT);
    str key, s;
    bool v = false;
    cr_assert(json_object_begin(&j));
    cr_assert(json_object_next(&j, &key));
    cr_expect(json_key_is(key, "a"));
    cr_assert(json_array_begin(&j));
    cr_assert(json_array_next(&j) && json_read_number(&j, &s));
    cr_assert(json_array_next(&j) && json_read_number(&j, &s));
    cr_expect(str_eq(s, STR("-2.5e3")));
    cr_assert(json_array_next(&j) && json_read_string(&j, &a, &s));
    cr_expect(str_eq(s, STR("x\ny")));
    cr_expect_not(json_array_next(&j));
    cr_assert(json_object_next(&j, &key));
    cr_assert(json_read_raw(&j, &s));
    cr_expect(str_eq(s, STR("{\"c\":null}")));
    cr_assert(json_object_next(&j, &key) && json_read_bool(&j, &v));
    cr_expect(v);
    cr_expect_not(json_object_next(&j, &key));
    cr_expect(json_ok(&j));
    cr_expect(json_at_end(&j));
    arena_deinit(&a);
}

static bool is_json(const char *text)
{
    struct json_scan j = json_scan_make(str_c(text));
    return json_skip(&j) && json_at_end(&j);
}

Test(proto_json_scan, knows_json_from_what_is_none)
{
    static const char *const good[] = {
        "{}", "[]", "0", "-0.1E+7", "\"\\ud83c\\udf89\"", "[[],{\"a\":[{}]}]", "null", " true "};
    static const char *const bad[] = {"",    "{",       "[1,]",       "{\"a\"}", "01",
                                      "1.",  "\"\\x\"", "\"a\nb\"",   "[1 2]",   "{a:1}",
                                      "nul", "\"abc",   "{\"a\":1,}", "+1",      "-"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_expect(is_json(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(is_json(bad[i]), "%s", bad[i]);
}

Test(proto_json_scan, limits_nesting)
{
    char text[JSON_DEPTH_MAX + 10];
    memset(text, '[', sizeof text);
    struct json_scan j = json_scan_make(str_make(text, sizeof text));
    cr_expect_not(json_skip(&j));
    cr_expect_eq(j.depth, JSON_DEPTH_MAX);
}

Test(proto_json_scan, reads_as_json_iterator_when_asked)
{
    static const struct {
        str text;
        bool is_taken;
    } rows[] = {{STR("\"a\\n\tb\""), true},       {STR("\"a\tb\\n\""), false},
                {STR("[\"\\n\",\"\t\"]"), false}, {STR("1\0x"), true},
                {STR("\"a\\n\\x\""), false},      {STR("\"a\\n\t"), false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json_scan j = json_scan_make(rows[i].text);
        cr_expect_not(json_skip(&j) && json_at_end(&j), "%zu", i);
        j = json_scan_make(rows[i].text);
        j.is_jsoniter = true;
        cr_expect_eq(json_skip(&j) && json_at_end(&j), rows[i].is_taken, "%zu", i);
    }
}

Test(proto_json_scan, unescapes_as_go)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    cr_assert(json_unescape(STR("\\u00e9\\ud83c\\udf89\\ud800x\\/\\b"), &b));
    cr_expect_str_eq(buf_c(&b), "é🎉\xef\xbf\xbdx/\b");
    buf_reset(&b);
    cr_assert(json_unescape(STR("\\ud83c1udf89\\ud83c\\n\\udf89\\udf89\\ud83c"), &b));
    cr_expect_str_eq(buf_c(&b), "\xef\xbf\xbd"
                                "1udf89\xef\xbf\xbd\n\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    buf_reset(&b);
    cr_expect_not(json_unescape(STR("\\u12"), &b));
    buf_deinit(&b);
    cr_expect(json_key_is(STR("\\u0061b"), "ab"));
    cr_expect(json_key_is_nocase(STR("StreamS"), "streams"));
}
