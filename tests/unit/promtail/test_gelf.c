/* GELF: messages read and printed, chunks put together within limits. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <zlib.h>

#include "base/mem.h"
#include "promtail/targets/gelf_message.h"

static void check(str bytes, const char *want)
{
    struct arena a;
    struct gelf_message m;
    struct error err = {0};
    struct buf out;
    arena_init(&a, SIZE_MAX);
    buf_init(&out, 1u << 20);
    int rc = gelf_message_read(bytes, &a, &m, &err);
    if (want == NULL)
        cr_assert_neq(rc, 0, "%.*s", STR_ARG(bytes));
    else {
        cr_assert_eq(rc, 0, "%s", err.text);
        gelf_message_print(&m, &out);
        cr_assert_str_eq(buf_c(&out), want);
    }
    buf_deinit(&out);
    arena_deinit(&a);
}

Test(promtail_gelf, prints_known_fields_first_and_extra_ones_sorted)
{
    check(STR("{\"_z\": {\"b\": 1.0, \"a\": [1e3, null, \"<\"]}, \"_b\": 5, \"host\": \"h\", "
              "\"unknown\": 1, \"level\": 3, \"timestamp\": 1.50, \"version\": \"1.1\", "
              "\"short_message\": \"m\", \"facility\": \"\"}"),
          "{\"version\":\"1.1\",\"host\":\"h\",\"short_message\":\"m\",\"timestamp\":1.5,"
          "\"level\":3,\"_b\":5,\"_z\":{\"a\":[1000,null,\"\\u003c\"],\"b\":1}}");
}

Test(promtail_gelf, refuses_malformed_messages_and_wrong_types)
{
    check(STR("{\"broken"), NULL);
    check(STR(""), NULL);
    check(STR("[1]"), NULL);
    check(STR("{\"host\": 1}"), NULL);
    check(STR("{\"level\": \"3\"}"), NULL);
    check(STR("\x1f\x8b garbage"), NULL);
}

Test(promtail_gelf, nesting_is_limited)
{
    struct buf deep;
    buf_init(&deep, 1u << 20);
    buf_append_c(&deep, "{\"_x\": ");
    for (int i = 0; i < 200; i++)
        buf_append_char(&deep, '[');
    for (int i = 0; i < 200; i++)
        buf_append_char(&deep, ']');
    buf_append_char(&deep, '}');
    check(buf_str(&deep), NULL);
    buf_deinit(&deep);
}

Test(promtail_gelf, inflates_zlib)
{
    static const char text[] = "{\"host\":\"h\"}";
    unsigned char packed[256];
    uLongf n = sizeof packed;
    cr_assert_eq(compress(packed, &n, (const unsigned char *)text, strlen(text)), Z_OK);
    check(str_make((const char *)packed, n),
          "{\"version\":\"\",\"host\":\"h\",\"short_message\":\"\",\"timestamp\":0}");
}

/* A chunk of message `id`. */
static int add(struct gelf_chunks *c, unsigned id, int number, int count, const char *body,
               int64_t now_ns, struct buf *out)
{
    char bytes[64] = "\x1e\x0f";
    snprintf(bytes + 2, 9, "%08x", id);
    bytes[10] = (char)number;
    bytes[11] = (char)count;
    memcpy(bytes + 12, body, strlen(body));
    return gelf_chunks_add(c, str_make(bytes, 12 + strlen(body)), now_ns, out, NULL);
}

Test(promtail_gelf, chunks_come_in_any_order)
{
    struct gelf_chunks c;
    struct buf out;
    gelf_chunks_init(&c);
    buf_init(&out, 4096);
    cr_assert_eq(add(&c, 1, 2, 3, "c", 0, &out), E_AGAIN);
    cr_assert_eq(add(&c, 1, 0, 3, "a", 0, &out), E_AGAIN);
    cr_assert_eq(add(&c, 1, 0, 3, "a", 0, &out), E_AGAIN, "twice");
    cr_assert_eq(add(&c, 1, 1, 3, "b", 0, &out), 0);
    cr_assert_str_eq(buf_c(&out), "abc");
    cr_assert_eq(c.bytes, 0);
    buf_deinit(&out);
    gelf_chunks_deinit(&c);
}

Test(promtail_gelf, chunks_that_come_late_are_forgotten)
{
    struct gelf_chunks c;
    struct buf out;
    gelf_chunks_init(&c);
    buf_init(&out, 4096);
    cr_assert_eq(add(&c, 1, 0, 2, "a", 0, &out), E_AGAIN);
    cr_assert_eq(add(&c, 1, 1, 2, "b", GELF_CHUNK_TIMEOUT_NS, &out), E_PARSE);
    cr_assert_eq(add(&c, 2, 0, 2, "a", 0, &out), E_AGAIN);
    cr_assert_eq(gelf_chunks_expire(&c, GELF_CHUNK_TIMEOUT_NS), 1);
    cr_assert_eq(c.pending.len, 0);
    buf_deinit(&out);
    gelf_chunks_deinit(&c);
}

Test(promtail_gelf, bad_chunks_are_refused_and_pending_ones_bounded)
{
    struct gelf_chunks c;
    struct buf out;
    gelf_chunks_init(&c);
    buf_init(&out, 4096);
    cr_assert_eq(add(&c, 1, 0, 0, "a", 0, &out), E_PARSE);
    cr_assert_eq(add(&c, 1, 2, 2, "a", 0, &out), E_PARSE);
    cr_assert_eq(add(&c, 1, 0, 129 - 256, "a", 0, &out), E_PARSE);
    cr_assert_eq(add(&c, 1, 0, 2, "", 0, &out), E_PARSE);
    for (unsigned i = 0; i < GELF_PENDING_MAX; i++)
        cr_assert_eq(add(&c, i, 0, 2, "a", 0, &out), E_AGAIN);
    cr_assert_eq(add(&c, GELF_PENDING_MAX, 0, 2, "a", 0, &out), E_FULL);
    buf_deinit(&out);
    gelf_chunks_deinit(&c);
}
