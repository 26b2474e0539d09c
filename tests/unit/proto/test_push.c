#include <criterion/criterion.h>

#include "proto/push_json.h"
#include "proto/push_proto.h"
#include "proto/snappy.h"

static struct arena arena;

static void setup(void)
{
    arena_init(&arena, 16 << 20);
}

static void teardown(void)
{
    arena_deinit(&arena);
}

TestSuite(proto_push, .init = setup, .fini = teardown);

Test(proto_push, protobuf_reads_back_what_was_written)
{
    struct label meta[] = {{STR("trace"), STR("abc")}, {STR("empty"), STR("")}};
    struct entry entries[] = {
        {1793491230000000001, STR("one"), {meta, 2}},
        {-1, STR(""), LABELS_EMPTY},
        {0, STR("three"), LABELS_EMPTY},
    };
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    cr_assert(push_proto_write_stream(&b, STR("{a=\"b\"}"), entries, 3));
    cr_expect_eq(b.len, push_proto_stream_size(STR("{a=\"b\"}"), entries, 3));
    cr_assert(push_proto_write_stream(&b, STR("{c=\"d\"}"), entries, 1));
    struct push_request r;
    cr_assert_eq(push_proto_read(buf_str(&b), &arena, &r, NULL), 0);
    cr_assert_eq(r.n_streams, 2);
    cr_expect(str_eq(r.streams[0].labels_text, STR("{a=\"b\"}")));
    cr_assert_eq(r.streams[0].n_entries, 3);
    for (size_t i = 0; i < 3; i++) {
        cr_expect_eq(r.streams[0].entries[i].ts_ns, entries[i].ts_ns);
        cr_expect(str_eq(r.streams[0].entries[i].line, entries[i].line));
    }
    cr_assert_eq(r.streams[0].entries[0].meta.n, 2);
    cr_expect(str_eq(r.streams[0].entries[0].meta.items[0].value, STR("abc")));
    /* Cut anywhere it is an error or a shorter request, never a crash. */
    for (size_t i = 0; i < b.len; i++)
        push_proto_read(str_make(b.ptr, i), &arena, &r, NULL);
    buf_deinit(&b);
}

Test(proto_push, protobuf_skips_what_it_does_not_know)
{
    static const char bytes[] = "\x08\x05"          /* field 1 as a varint: not ours */
                                "\x0a\x0b"          /* stream, 11 bytes */
                                "\x0a\x02{}"        /* labels */
                                "\x18\x07"          /* hash */
                                "\x12\x03\x12\x01x" /* entry without a time */
                                "\x3d\x01\x02\x03\x04" /* field 7, fixed32 */;
    struct push_request r;
    cr_assert_eq(push_proto_read(str_make(bytes, sizeof bytes - 1), &arena, &r, NULL), 0);
    cr_assert_eq(r.n_streams, 1);
    cr_assert_eq(r.streams[0].n_entries, 1);
    cr_expect(str_eq(r.streams[0].entries[0].line, STR("x")));
    struct error err = {0};
    cr_expect_eq(push_proto_read(STR("\x0a\x05{}"), &arena, &r, &err), E_PARSE);
    cr_expect_eq(push_proto_read(STR("\x0b\x05{}"), &arena, &r, NULL), E_PARSE);
}

Test(proto_push, snappy_round_trip_and_lies_about_size)
{
    struct buf packed, plain;
    buf_init(&packed, BUF_NO_LIMIT);
    buf_init(&plain, 1000);
    cr_assert_eq(snappy_encode(STR("hello hello hello hello"), &packed), 0);
    cr_assert_eq(snappy_decode(buf_str(&packed), &plain), 0);
    cr_expect(str_eq(buf_str(&plain), STR("hello hello hello hello")));
    buf_reset(&plain);
    cr_expect_eq(snappy_decode(STR("\xff\xff\xff\xff\x0f"), &plain), E_PARSE);
    cr_expect_eq(snappy_decode(STR(""), &plain), E_PARSE);
    cr_expect_eq(snappy_decode(STR("not snappy"), &plain), E_PARSE);
    buf_deinit(&plain);
    buf_init(&plain, 10);
    cr_expect_eq(snappy_decode(buf_str(&packed), &plain), E_TOO_LARGE);
    buf_deinit(&packed);
    buf_deinit(&plain);
}

Test(proto_push, json_reads_v1)
{
    struct push_request r;
    str body = STR("{\"other\":[1,{}],\"Streams\":[{\"stream\":{\"a\":\"1\",\"n\":5,\"a\":\"2\"},"
                   "\"values\":[[\"17\",\"li\\u006ee\",{\"m\":\"v\"},\"more\"],[\"18\"],null]}]}");
    struct error err = {0};
    cr_assert_eq(push_json_read(body, &arena, &r, &err), 0, "%s", err.text);
    cr_assert_eq(r.n_streams, 1);
    struct push_request_stream *s = &r.streams[0];
    cr_assert_eq(s->n_pairs, 2);
    cr_expect(str_eq(s->pairs[0].value, STR("2")));
    cr_expect(str_eq(s->pairs[1].value, STR("5")));
    cr_assert_eq(s->n_entries, 2);
    cr_expect_eq(s->entries[0].ts_ns, 17);
    cr_expect(str_eq(s->entries[0].line, STR("line")));
    cr_expect(str_eq(s->entries[0].meta.items[0].name, STR("m")));
    cr_expect(str_eq(s->entries[1].line, STR("")));
}

static void expect_text(const char *body, const char *want)
{
    struct push_request r;
    struct error err = {0};
    cr_expect_eq(push_json_read(str_c(body), &arena, &r, &err), E_PARSE, "%s", body);
    cr_expect_str_eq(err.text, want);
}

Test(proto_push, json_errors_read_like_lokis)
{
    expect_text("", "EOF");
    expect_text("this is not json",
                "readObjectStart: expect { or n, but found t, error found in #1 byte of "
                "...|this is not|..., bigger context ...|this is not json|...");
    expect_text("{\"streams\":[{\"stream\":\"x\",\"values\":[[\"1793491230000000000\",\"x\"]]}]}",
                "loghttp.PushRequest.Streams: []loghttp.LogProtoStream: unmarshalerDecoder: Value "
                "looks like object, but can't find closing '}' symbol, error found in #10 byte of "
                "...|00\",\"x\"]]}]}|..., bigger context "
                "...|tream\":\"x\",\"values\":[[\"1793491230000000000\",\"x\"]]}]}|...");
}

Test(proto_push, json_reads_the_legacy_form)
{
    struct push_request r;
    struct error err = {0};
    str body = STR("{\"streams\":[{\"labels\":\"{a=\\\"b\\\"}\",\"entries\":[{\"ts\":"
                   "\"2026-11-01T00:00:30.5+01:00\",\"line\":\"x\"}]}]}");
    cr_assert_eq(push_json_read_legacy(body, &arena, &r, &err), 0, "%s", err.text);
    cr_expect(str_eq(r.streams[0].labels_text, STR("{a=\"b\"}")));
    cr_expect_eq(r.streams[0].entries[0].ts_ns,
                 (1793491230 - 3600) * INT64_C(1000000000) + 500000000);
}

Test(proto_push, json_of_many_entries_meets_the_arenas_limit)
{
    struct buf b;
    struct arena small;
    buf_init(&b, BUF_NO_LIMIT);
    arena_init(&small, 64 * 1024);
    buf_append_c(&b, "{\"streams\":[{\"values\":[[]");
    for (int i = 0; i < 10000; i++)
        buf_append_c(&b, ",[]");
    buf_append_c(&b, "]}]}");
    struct push_request r;
    cr_expect_eq(push_json_read(buf_str(&b), &small, &r, NULL), E_LIMIT);
    buf_deinit(&b);
    arena_deinit(&small);
}
