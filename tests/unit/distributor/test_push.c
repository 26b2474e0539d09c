#include <criterion/criterion.h>
#include <stdio.h>

#include "base/mem.h"
#include "distributor/distributor.h"
#include "proto/snappy.h"

#define NOW_NS INT64_C(1793491300000000000)

static int64_t fake_now(void)
{
    return NOW_NS;
}

/* Keeps what arrives as text: {labels} <ts> <line> {meta}. */
struct text_sink {
    struct push_sink base;
    struct buf text;
    int code;
    int http; /* of the error, if not the code's own */
};

static void text_push(struct push_sink *sink, const struct push_batch *batch, push_done *done,
                      void *arg)
{
    struct text_sink *t = (struct text_sink *)sink;
    for (size_t i = 0; i < batch->n_streams; i++)
        for (size_t k = 0; k < batch->streams[i].n_entries; k++) {
            const struct entry *e = &batch->streams[i].entries[k];
            labels_print(&batch->streams[i].labels, &t->text);
            buf_printf(&t->text, " %lld %.*s ", (long long)(e->ts_ns - NOW_NS), STR_ARG(e->line));
            labels_print(&e->meta, &t->text);
            buf_append_char(&t->text, '\n');
        }
    struct error err = {.code = t->code, .http = t->http};
    done(arg, t->code, t->http != 0 ? &err : NULL);
}

static const struct push_sink_ops text_ops = {text_push};

static struct arena arena;
static struct limits limits;
static struct limits_set *set;
static struct distributor *d;
static struct text_sink sink;
static int status;
static char text[ERROR_TEXT_MAX];

static void setup(void)
{
    arena_init(&arena, BUF_NO_LIMIT);
    config_defaults(limits_table, &limits, &arena);
    set = limits_set_new(&limits);
    d = distributor_new(&(struct distributor_config){
        .limits = set, .now_ns = fake_now, .decompressed_bytes_max = 1 << 20});
    sink.base.ops = &text_ops;
    sink.code = 0;
    buf_init(&sink.text, BUF_NO_LIMIT);
    distributor_add_ingester(d, "one", "localhost", &sink.base);
}

static void teardown(void)
{
    distributor_free(d);
    limits_set_free(set);
    buf_deinit(&sink.text);
    arena_deinit(&arena);
}

TestSuite(distributor_push, .init = setup, .fini = teardown);

static void on_answer(void *arg, int http, const struct error *err)
{
    (void)arg;
    status = http;
    snprintf(text, sizeof text, "%s", err == NULL ? "" : err->text);
}

static void push(str body, const char *type, const char *encoding)
{
    struct push_input in = {.body = body};
    if (type != NULL)
        in.content_type = str_c(type);
    if (encoding != NULL)
        in.content_encoding = str_c(encoding);
    status = 0;
    distributor_push(d, STR("t"), &in, on_answer, NULL);
}

static void expect_json(const char *body, int want, const char *want_text)
{
    push(str_c(body), "application/json", NULL);
    cr_expect_eq(status, want, "%s: %d %s", body, status, text);
    cr_expect_str_eq(text, want_text);
}

#define ONE(stream, values) "{\"streams\":[{\"stream\":" stream ",\"values\":" values "}]}"

Test(distributor_push, completes_streams_and_entries)
{
    expect_json(
        ONE("{\"b\":\"2\",\"app\":\"x\"}",
            "[[\"1793491300000000005\",\"level=warn a\"],"
            "[\"1793491300000000006\",\"y\",{\"dotted.name\":\"v\",\"1st\":\"w\",\"e\":\"\"}]]"),
        204, "");
    cr_expect_str_eq(buf_c(&sink.text),
                     "{app=\"x\", b=\"2\", service_name=\"x\"} 5 level=warn a "
                     "{detected_level=\"warn\"}\n"
                     "{app=\"x\", b=\"2\", service_name=\"x\"} 6 y {detected_level=\"unknown\", "
                     "dotted_name=\"v\", e=\"\", key_1st=\"w\"}\n");
}

Test(distributor_push, names_a_service_that_says_nothing)
{
    expect_json(ONE("{}", "[[\"1793491300000000000\",\"x\",{\"detected_level\":\"custom\"}]]"), 204,
                "");
    cr_expect_str_eq(buf_c(&sink.text),
                     "{service_name=\"unknown_service\"} 0 x {detected_level=\"custom\"}\n");
}

Test(distributor_push, takes_the_level_of_the_stream)
{
    expect_json(
        ONE("{\"a\":\"b\",\"level\":\"WARN\"}", "[[\"1793491300000000000\",\"level=info\"]]"), 204,
        "");
    cr_expect(str_contains(buf_str(&sink.text), STR("{detected_level=\"WARN\"}")));
}

Test(distributor_push, answers_as_loki)
{
    expect_json("{}", 422, "error at least one valid stream is required for ingestion");
    expect_json("{\"streams\":[]}", 422,
                "error at least one valid stream is required for ingestion");
    expect_json("{\"streams\":[{}]}", 204, "");
    expect_json(ONE("{\"a-b\":\"1\"}", "[[\"1793491300000000000\",\"x\"]]"), 400,
                "couldn't parse labels: 1:3: parse error: unexpected character inside braces: '-'");
    expect_json(ONE("{\"a\":\"b\"}", "[[\"4102444800000000000\",\"x\"]]"), 400,
                "entry for stream '{a=\"b\", service_name=\"unknown_service\"}' has timestamp too "
                "new: 2100-01-01T00:00:00Z");
    expect_json(ONE("{\"a\":\"b\"}", "[[\"1\",\"x\"],[\"1\",\"y\"]]"), 400,
                "2 errors like: entry for stream '{a=\"b\", service_name=\"unknown_service\"}' has "
                "timestamp too old: 1970-01-01T00:00:00Z, oldest acceptable timestamp is: "
                "2026-10-25T00:01:40Z");
    push(STR("{}"), NULL, NULL);
    cr_expect_str_eq(text, "mime: no media type");
    push(STR("{}"), "application/json;;;=", NULL);
    cr_expect_str_eq(text, "mime: invalid media parameter");
    push(STR("{}"), "application/json", "br");
    cr_expect_str_eq(text, "Content-Encoding \"br\" not supported");
    push(STR("{}"), "application/json", "gzip");
    cr_expect_str_eq(text, "gzip: invalid header");
    push(STR("{}"), "text/plain", NULL);
    cr_expect_str_eq(text, "snappy: corrupt input");
    push(STR("{\"streams\":[{}]}"), "Application/JSON; charset=\"utf-8\";", NULL);
    cr_expect_eq(status, 204, "%s", text);
    cr_expect_eq(sink.text.len, 0);
}

Test(distributor_push, keeps_the_good_entries_beside_the_bad)
{
    limits.max_line_size_bytes = 3;
    expect_json(ONE("{\"a\":\"b\"}",
                    "[[\"1793491300000000000\",\"long\"],[\"1793491300000000001\",\"ok\"]]"),
                400,
                "Max entry size '3' bytes exceeded for stream '{a=\"b\", "
                "service_name=\"unknown_service\"}' while adding an entry with length '4' bytes");
    cr_expect_str_eq(
        buf_c(&sink.text),
        "{a=\"b\", service_name=\"unknown_service\"} 1 ok {detected_level=\"unknown\"}\n");
    buf_reset(&sink.text);
    limits.max_line_size_truncate = true;
    expect_json(ONE("{\"a\":\"b\"}", "[[\"1793491300000000000\",\"long\"]]"), 204, "");
    cr_expect(str_contains(buf_str(&sink.text), STR(" 0 lon ")));
}

Test(distributor_push, spreads_equal_times_if_asked)
{
    limits.increment_duplicate_timestamp = true;
    expect_json(ONE("{\"a\":\"b\"}",
                    "[[\"1793491300000000000\",\"x\"],[\"1793491300000000000\",\"y\"],"
                    "[\"1793491300000000000\",\"z\"],[\"1793491300000000000\",\"z\"]]"),
                204, "");
    cr_expect(str_contains(buf_str(&sink.text), STR(" 1 y ")));
    cr_expect(str_contains(buf_str(&sink.text), STR(" 2 z ")));
}

Test(distributor_push, limits_rates_and_sizes)
{
    limits.ingestion_burst_size_mb = 0.00001;
    expect_json(ONE("{\"a\":\"b\"}", "[[\"1793491300000000000\",\"more than ten bytes\"]]"), 429,
                "Ingestion rate limit exceeded for user t (limit: 4194304 bytes/sec) while "
                "attempting to ingest '1' lines totaling '19' bytes, reduce log volume or contact "
                "your Loki administrator to see if the limit can be increased");
    struct buf plain, packed;
    buf_init(&plain, BUF_NO_LIMIT);
    buf_init(&packed, BUF_NO_LIMIT);
    while (plain.len < 2 << 20)
        buf_append_c(&plain, "{                            }");
    snappy_encode(buf_str(&plain), &packed);
    push(buf_str(&packed), "application/x-protobuf", NULL);
    cr_expect_eq(status, 413, "%d %s", status, text);
    buf_deinit(&plain);
    buf_deinit(&packed);
}

Test(distributor_push, passes_on_what_the_sink_says)
{
    sink.code = E_NO_SPACE;
    expect_json(ONE("{\"a\":\"b\"}", "[[\"1793491300000000000\",\"x\"]]"), 503,
                "no space left on device");
}

Test(distributor_push, stores_a_numbered_push_once)
{
    struct push_input in = {
        .body = STR(ONE("{\"a\":\"b\"}", "[[\"1793491300000000000\",\"x\"]]")),
        .content_type = STR("application/json"),
        .source_id = STR("host-1"),
        .source_seq = STR("7"),
    };
    sink.code = E_NO_SPACE;
    distributor_push(d, STR("t"), &in, on_answer, NULL);
    cr_expect_eq(status, 503);
    sink.code = 0;
    buf_reset(&sink.text);
    for (int i = 0; i < 3; i++) {
        distributor_push(d, STR("t"), &in, on_answer, NULL);
        cr_expect_eq(status, 204);
    }
    size_t lines = 0;
    for (size_t i = 0; i < sink.text.len; i++)
        lines += sink.text.ptr[i] == '\n';
    cr_expect_eq(lines, 1);
}

Test(distributor_push, lets_a_numbered_push_come_again_when_it_was_too_much)
{
    struct push_input in = {
        .body = STR(ONE("{\"a\":\"b\"}", "[[\"1793491300000000000\",\"more than ten bytes\"]]")),
        .content_type = STR("application/json"),
        .source_id = STR("host-1"),
        .source_seq = STR("1"),
    };
    limits.ingestion_burst_size_mb = 0.00001;
    distributor_push(d, STR("t"), &in, on_answer, NULL);
    cr_expect_eq(status, 429);
    limits.ingestion_burst_size_mb = 1;
    limits.ingestion_rate_mb = 1e9;
    sink.code = E_RATE_LIMITED; /* a stream's own limit */
    distributor_push(d, STR("u"), &in, on_answer, NULL);
    cr_expect_eq(status, 429);
    sink.code = E_LIMIT; /* too many streams: 429, though the code says 400 */
    sink.http = 429;
    distributor_push(d, STR("u"), &in, on_answer, NULL);
    cr_expect_eq(status, 429);
    sink.code = sink.http = 0;
    buf_reset(&sink.text);
    distributor_push(d, STR("u"), &in, on_answer, NULL);
    cr_expect_eq(status, 204);
    cr_expect(str_contains(buf_str(&sink.text), STR("more than ten bytes")));
}
