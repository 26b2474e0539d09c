#include <criterion/criterion.h>
#include <stdio.h>

#include "promtail/client/batch.h"
#include "proto/push_proto.h"
#include "proto/snappy.h"

static struct arena arena;
static struct label_list no_labels;

static void set_up(void)
{
    arena_init(&arena, SIZE_MAX);
}

static void tear_down(void)
{
    arena_deinit(&arena);
}

TestSuite(promtail_batch, .init = set_up, .fini = tear_down);

static void add(struct batch *b, const char *job, str line, int64_t ts_ns,
                const struct label_list *external)
{
    struct record r;
    record_init(&r, &arena, &no_labels);
    label_list_set(&r.labels, &arena, STR("job"), str_c(job));
    label_list_set(&r.labels, &arena, STR("__tenant_id__"), STR("t"));
    label_list_add(&r.meta, &arena, STR("k"), STR("v"));
    r.line = line;
    r.ts_ns = ts_ns;
    cr_assert(batch_add(b, &r, external));
}

static struct push_request decode(struct batch *b)
{
    struct buf packed, plain;
    struct push_request request = {0};
    struct error err = {0};
    buf_init(&packed, BUF_NO_LIMIT);
    buf_init(&plain, BUF_NO_LIMIT);
    cr_assert_eq(batch_encode(b, &packed), 0);
    cr_assert_eq(snappy_decode(buf_str(&packed), &plain), 0);
    cr_assert_eq(push_proto_read(arena_str(&arena, buf_str(&plain)), &arena, &request, &err), 0,
                 "%s", err.text);
    buf_deinit(&packed);
    buf_deinit(&plain);
    return request;
}

Test(promtail_batch, gathers_streams_and_keeps_their_order)
{
    struct batch *b = batch_new(STR("t"), 0);
    struct label_list external = {0};
    label_list_set(&external, &arena, STR("cluster"), STR("c"));
    label_list_set(&external, &arena, STR("job"), STR("weaker"));
    add(b, "one", STR("first"), 1, &external);
    add(b, "two", STR("other"), 2, &external);
    add(b, "one", STR("second"), 1500000000123, &external);
    cr_expect_eq(b->n_entries, 3);
    cr_expect_eq(b->bytes, sizeof "firstothersecond" - 1 + 3 * (2 + 4)); /* as protobuf */
    struct push_request r = decode(b);
    cr_assert_eq(r.n_streams, 2);
    cr_expect(str_eq(r.streams[0].labels_text, STR("{cluster=\"c\", job=\"one\"}")));
    cr_assert_eq(r.streams[0].n_entries, 2);
    cr_expect(str_eq(r.streams[0].entries[1].line, STR("second")));
    cr_expect_eq(r.streams[0].entries[1].ts_ns, 1500000000123);
    cr_expect(str_eq(r.streams[0].entries[0].meta.items[0].value, STR("v")));
    batch_free(b);
}

/* Lines are compressed piece by piece; together they must still be one block. */
Test(promtail_batch, is_one_block_however_large)
{
    struct batch *b = batch_new(STR(""), 0);
    size_t n = 20000;
    for (size_t i = 0; i < n; i++) {
        char line[128];
        int len = snprintf(line, sizeof line, "line %zu of many that look alike %zu", i, i * i);
        add(b, i % 3 == 0 ? "a" : "b", arena_str(&arena, str_make(line, (size_t)len)), (int64_t)i,
            &no_labels);
    }
    struct push_request r = decode(b);
    cr_assert_eq(r.n_streams, 2);
    cr_assert_eq(r.streams[0].n_entries + r.streams[1].n_entries, n);
    for (size_t i = 0; i < r.streams[0].n_entries; i++)
        cr_assert_eq(r.streams[0].entries[i].ts_ns, (int64_t)(i * 3));
    batch_free(b);
}

Test(promtail_batch, takes_a_line_larger_than_a_piece)
{
    struct batch *b = batch_new(STR(""), 0);
    char *big = arena_alloc(&arena, 300000);
    memset(big, 'x', 300000);
    add(b, "a", STR("small"), 1, &no_labels);
    add(b, "a", str_make(big, 300000), 2, &no_labels);
    add(b, "a", STR(""), 3, &no_labels);
    struct push_request r = decode(b);
    cr_assert_eq(r.streams[0].n_entries, 3);
    cr_expect_eq(r.streams[0].entries[1].line.len, 300000);
    cr_expect_eq(r.streams[0].entries[2].line.len, 0);
    batch_free(b);
}
