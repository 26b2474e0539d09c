#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/vec.h"
#include "chunks/chunk.h"
#include "chunks/head.h"
#include "chunks/plane.h"
#include "chunks/sets.h"

/* Builds a block's view from entries by way of a head, as the ingester does. */
struct made {
    struct head head;
    struct head_snapshot snapshot;
    struct block_buf buf;
};

static void made_init(struct made *m, const struct entry *entries, size_t n)
{
    head_init(&m->head);
    block_buf_init(&m->buf);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(head_append(&m->head, &entries[i]), 0);
    cr_assert_eq(head_take(&m->head, &m->snapshot), 0);
    cr_assert_eq(head_read(&m->snapshot, BLOCK_ALL, &m->buf), 0);
}

static void made_deinit(struct made *m)
{
    head_release(&m->snapshot);
    block_buf_deinit(&m->buf);
    head_deinit(&m->head);
}

/* A chunk of one block over all entries. */
static void chunk_of(const struct entry *entries, size_t n, struct buf *out)
{
    struct made m;
    made_init(&m, entries, n);
    struct chunk_block info;
    chunk_put_header(out);
    cr_assert_eq(chunk_block_encode(&m.buf.view, 0, (uint32_t)n, out, &info), 0);
    cr_assert(chunk_put_footer(out, &info, 1));
    made_deinit(&m);
}

static const struct label info_level[] = {{STR("detected_level"), STR("info")}};
static const struct label traced[] = {{STR("detected_level"), STR("warn")},
                                      {STR("trace_id"), STR("abc123")}};

static const struct entry few[] = {
    {1700000000000000000, STR("first line"), {info_level, 1}},
    {1700000000000000000, STR(""), {info_level, 1}},
    {1700000000000000007, STR("with\nnewline"), {traced, 2}},
    {1700000123000000000, STR("GET /api/v1/users HTTP/1.1 GET /api/v1/users"), {NULL, 0}},
};

static void assert_same(const struct block_view *v, const struct entry *entries, size_t n)
{
    cr_assert_eq(v->n, n);
    for (uint32_t i = 0; i < n; i++) {
        cr_assert_eq(v->ts_ns[i], entries[i].ts_ns);
        cr_assert(str_eq(block_line(v, i), entries[i].line), "line %u", i);
        cr_assert(labels_eq(block_meta(v, i), &entries[i].meta), "metadata %u", i);
    }
}

Test(chunks_chunk, gives_back_what_was_put)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    chunk_of(few, ARRAY_LEN(few), &out);
    struct arena a;
    arena_init(&a, 1 << 20);
    struct chunk_view c;
    cr_assert_eq(chunk_open(buf_str(&out), &a, &c), 0);
    cr_assert_eq(c.n_blocks, 1);
    cr_assert_eq(c.blocks[0].entries, 4);
    cr_assert_eq(c.blocks[0].line_bytes, 10 + 0 + 12 + 44);
    cr_assert_eq(c.blocks[0].meta_bytes, 18 + 18 + 18 + 14);
    cr_assert_eq(c.blocks[0].flags, CHUNK_BLOCK_HAS_META);
    struct block_buf b;
    block_buf_init(&b);
    cr_assert_eq(chunk_block_decode(&c.blocks[0], chunk_block_bytes(&c, 0), BLOCK_ALL, &b), 0);
    assert_same(&b.view, few, ARRAY_LEN(few));
    cr_assert_eq(chunk_block_decode(&c.blocks[0], chunk_block_bytes(&c, 0), BLOCK_TIMES, &b), 0);
    cr_assert_null(b.view.text);
    cr_assert_null(b.view.meta);
    cr_assert_eq(b.view.ts_ns[3], few[3].ts_ns);
    cr_assert_eq(chunk_block_decode(&c.blocks[0], chunk_block_bytes(&c, 0), BLOCK_LENGTHS, &b), 0);
    cr_assert_null(b.view.text);
    cr_assert_eq(b.view.line_at[1], 11);
    block_buf_deinit(&b);
    arena_deinit(&a);
    buf_deinit(&out);
}

/* The format on disk.  If this fails the version must rise and docs/formats.md change. */
Test(chunks_chunk, has_these_bytes)
{
    static const struct entry two[] = {
        {1000000, STR("ab"), {info_level, 1}},
        {3000000, STR("c"), {info_level, 1}},
    };
    static const unsigned char golden[] = {
        'L', 'G', 'C',  'H', 1,    0,   0,   0, /* header */
        2,   1,   2,                            /* times: ms, 1 byte, 2 */
        1,   1,   1,    0,                      /* lengths: 1 and 1, 0 more */
        'a', 'b', '\n', 'c', '\n',              /* text */
        1,   1,   14,   'd', 'e',  't', 'e', 'c', 't',
        'e', 'd', '_',  'l', /* one set of one label */
        'e', 'v', 'e',  'l', 4,    'i', 'n', 'f', 'o',
    };
    struct buf out;
    buf_init(&out, 1 << 20);
    chunk_of(two, 2, &out);
    cr_assert_geq(out.len, sizeof golden);
    cr_assert_arr_eq(out.ptr, golden, sizeof golden);
    str rest = str_from(buf_str(&out), sizeof golden);
    struct cursor c = cursor_make(rest);
    cr_assert_eq(cursor_uvarint(&c), 2);       /* entries */
    cr_assert_eq(cursor_varint(&c), 1000000);  /* first time */
    cr_assert_eq(cursor_uvarint(&c), 2000000); /* last - first */
    cr_assert_eq(cursor_uvarint(&c), 2 * 18);  /* metadata bytes */
    cr_assert_eq(cursor_uvarint(&c), 0);       /* flags */
    static const unsigned stored[] = {3, 4, 5, 22};
    for (int i = 0; i < COLUMN_COUNT; i++) {
        cr_assert_eq(cursor_uvarint(&c), stored[i] << 1); /* plain */
        cursor_u32(&c);                                   /* checksum */
    }
    cr_assert_eq(cursor_u32(&c), 1); /* blocks */
    cr_assert_eq(cursor_u32(&c), rest.len - CHUNK_TRAILER_BYTES);
    cursor_u32(&c);
    cr_assert_eq(cursor_u32(&c), CHUNK_MAGIC_FOOTER);
    cr_assert(cursor_ok(&c) && cursor_at_end(&c));
    buf_deinit(&out);
}

/* Opens and decodes whatever it is; returns 0 only if every column of every block is right. */
static int read_whole(str bytes)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    struct block_buf b;
    block_buf_init(&b);
    struct chunk_view c;
    int code = chunk_open(bytes, &a, &c);
    for (size_t i = 0; code == 0 && i < c.n_blocks; i++)
        code = chunk_block_decode(&c.blocks[i], chunk_block_bytes(&c, i), BLOCK_ALL, &b);
    block_buf_deinit(&b);
    arena_deinit(&a);
    return code;
}

Test(chunks_chunk, cut_at_any_byte_is_refused)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    chunk_of(few, ARRAY_LEN(few), &out);
    cr_assert_eq(read_whole(buf_str(&out)), 0);
    for (size_t n = 0; n < out.len; n++) {
        char *exact = mem_alloc(n + 1); /* so that a sanitizer sees a step too far */
        memcpy(exact, out.ptr, n);
        cr_assert_neq(read_whole(str_make(exact, n)), 0, "cut at %zu", n);
        mem_free(exact);
    }
    buf_deinit(&out);
}

Test(chunks_chunk, any_flipped_bit_is_noticed)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    chunk_of(few, ARRAY_LEN(few), &out);
    for (size_t i = 0; i < out.len * 8; i++) {
        out.ptr[i / 8] ^= (char)(1 << i % 8);
        cr_assert_neq(read_whole(buf_str(&out)), 0, "bit %zu of byte %zu", i % 8, i / 8);
        out.ptr[i / 8] ^= (char)(1 << i % 8);
    }
    cr_assert_eq(read_whole(buf_str(&out)), 0);
    buf_deinit(&out);
}

Test(chunks_chunk, a_newer_version_is_told_from_damage)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    chunk_of(few, ARRAY_LEN(few), &out);
    out.ptr[4] = CHUNK_VERSION + 1;
    cr_assert_eq(read_whole(buf_str(&out)), E_UNSUPPORTED);
    out.ptr[4] = CHUNK_VERSION;
    out.ptr[5] = 1;
    cr_assert_eq(read_whole(buf_str(&out)), E_UNSUPPORTED);
    buf_deinit(&out);
}

Test(chunks_chunk, times_of_every_unit_and_width_come_back)
{
    static const int64_t steps[] = {0,
                                    1,
                                    255,
                                    256,
                                    65537,
                                    1 << 24,
                                    (int64_t)1 << 33,
                                    (int64_t)1 << 41,
                                    1000,
                                    1000000,
                                    NS_PER_S,
                                    (int64_t)1 << 55};
    for (size_t s = 0; s < ARRAY_LEN(steps); s++) {
        struct entry entries[100];
        for (size_t i = 0; i < ARRAY_LEN(entries); i++)
            entries[i] = (struct entry){-5 + (int64_t)i * steps[s],
                                        i % 2 ? STR("odd") : STR("even"), LABELS_EMPTY};
        size_t n = steps[s] == 0 ? 2 : ARRAY_LEN(entries); /* else all but two are duplicates */
        struct buf out;
        buf_init(&out, 1 << 20);
        chunk_of(entries, n, &out);
        struct arena a;
        arena_init(&a, 1 << 20);
        struct chunk_view c;
        struct block_buf b;
        block_buf_init(&b);
        cr_assert_eq(chunk_open(buf_str(&out), &a, &c), 0);
        cr_assert_eq(chunk_block_decode(&c.blocks[0], chunk_block_bytes(&c, 0), BLOCK_ALL, &b), 0);
        assert_same(&b.view, entries, n);
        block_buf_deinit(&b);
        arena_deinit(&a);
        buf_deinit(&out);
    }
}

Test(chunks_chunk, a_part_of_a_view_becomes_a_block)
{
    struct made m;
    made_init(&m, few, ARRAY_LEN(few));
    struct buf out;
    buf_init(&out, 1 << 20);
    struct chunk_block info;
    cr_assert_eq(chunk_block_encode(&m.buf.view, 2, 4, &out, &info), 0);
    struct block_buf b;
    block_buf_init(&b);
    cr_assert_eq(chunk_block_decode(&info, buf_str(&out), BLOCK_ALL, &b), 0);
    assert_same(&b.view, few + 2, 2);
    block_buf_deinit(&b);
    buf_deinit(&out);
    made_deinit(&m);
}

Test(chunks_sets, a_count_larger_than_the_bytes_is_refused)
{
    struct arena a;
    arena_init(&a, 1 << 16);
    struct cursor c = cursor_make(STR("\xff\xff\x03"));
    sets_get(&c, &a);
    cr_assert_not(cursor_ok(&c));
    arena_deinit(&a);
}
