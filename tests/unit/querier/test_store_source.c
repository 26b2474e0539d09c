#include <criterion/criterion.h>

#include "base/mem.h"
#include "chunks/chunk.h"
#include "chunks/head.h"
#include "index/store.h"
#include "querier/store_source.h"
#include "runtime/log.h"
#include "tests/support/temp_dir.h"

/* A store in a temporary folder and its source. */
static char dir[TEMP_DIR_MAX];
static struct store *store;
static struct query_source *q;
static struct arena arena;

static void init(void)
{
    log_set_level(LOG_ERROR + 1);
    cr_assert(temp_dir_make(dir));
    arena_init(&arena, 16 << 20);
    struct store_config config = {.dir = dir, .map_bytes = 1 << 20, .open_max = 2};
    cr_assert_eq(store_open(&config, &store, NULL), 0);
    q = store_source_new(store);
}

static void fini(void)
{
    store_source_free(q);
    store_close(store);
    arena_deinit(&arena);
    cr_assert(temp_dir_remove(dir));
}

TestSuite(querier_store_source, .init = init, .fini = fini, .timeout = 60);

#define DAY TABLE_PERIOD_NS

/* Puts a chunk of `blocks` blocks with two entries each, a second apart from `from_ns` on.
 * spoil: the byte of the chunk that is flipped; SIZE_MAX: none. */
static void put_chunk(const char *labels, int64_t from_ns, unsigned blocks, size_t spoil)
{
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    chunk_put_header(&bytes);
    struct chunk_block infos[8];
    for (unsigned i = 0; i < blocks; i++) {
        struct head head;
        struct head_snapshot s;
        struct block_buf b;
        head_init(&head);
        block_buf_init(&b);
        for (int k = 0; k < 2; k++) {
            struct entry e = {from_ns + (int64_t)(2 * i + (unsigned)k) * 1000000000,
                              k == 0 ? STR("even") : STR("odd one"), LABELS_EMPTY};
            cr_assert_eq(head_append(&head, &e), 0);
        }
        cr_assert_eq(head_take(&head, &s), 0);
        cr_assert_eq(head_read(&s, BLOCK_ALL, &b), 0);
        cr_assert_eq(chunk_block_encode(&b.view, 0, 2, &bytes, &infos[i]), 0);
        head_release(&s);
        block_buf_deinit(&b);
        head_deinit(&head);
    }
    chunk_put_footer(&bytes, infos, blocks);
    if (spoil != SIZE_MAX)
        bytes.ptr[spoil] ^= 1;
    str piece = buf_str(&bytes);
    struct table_put put = {
        .tenant = STR("fake"),
        .chunk = {.id = (uint64_t)from_ns,
                  .from_ns = infos[0].min_ns,
                  .through_ns = infos[blocks - 1].max_ns,
                  .bytes = (uint32_t)bytes.len},
        .pieces = &piece,
        .n_pieces = 1,
    };
    cr_assert_eq(labels_parse(str_c(labels), &arena, &put.labels, NULL), 0);
    put.fingerprint = labels_hash(&put.labels);
    struct table *t;
    cr_assert_eq(store_table(store, table_day_of(from_ns), true, &t, NULL), 0);
    cr_assert_eq(table_write(t, &put, 1), 0);
    store_release(store, t);
    buf_deinit(&bytes);
}

static struct selection *ask(const char *name, const char *value, int64_t from_ns, int64_t to_ns,
                             unsigned flags)
{
    struct matcher m;
    cr_assert_eq(matcher_init(&m, &arena, str_c(name), MATCH_RE, str_c(value), NULL), 0);
    struct select_params p = {.tenant = STR("fake"),
                              .matchers = &m,
                              .n_matchers = 1,
                              .from_ns = from_ns,
                              .to_ns = to_ns,
                              .flags = flags};
    struct selection *sel;
    cr_assert_eq(q->ops->select(q, &p, &sel, NULL), 0);
    matcher_deinit(&m);
    return sel;
}

Test(querier_store_source, joins_the_days_of_a_stream_and_keeps_blocks_in_order)
{
    put_chunk("{app=\"a\"}", 5 * DAY + 1000, 2, SIZE_MAX);
    put_chunk("{app=\"b\"}", 5 * DAY, 1, SIZE_MAX);
    put_chunk("{app=\"a\"}", 3 * DAY, 1, SIZE_MAX);
    put_chunk("{app=\"a\"}", 5 * DAY, 1, SIZE_MAX);
    put_chunk("{app=\"a\"}", 4 * DAY, 1, SIZE_MAX);
    struct selection *sel = ask("app", ".*", 0, 10 * DAY, 0);
    cr_assert_eq(sel->n_streams, 2);
    const struct selected_stream *a = &sel->streams[0];
    cr_assert(str_eq_c(labels_get(&a->labels, STR("app")), "a"));
    cr_assert_eq(a->n_blocks, 5);
    cr_assert_eq(a->n_chunks, 4);
    struct block_buf b;
    block_buf_init(&b);
    for (size_t i = 0; i < a->n_blocks; i++) {
        cr_assert(i == 0 || a->blocks[i].min_ns >= a->blocks[i - 1].min_ns);
        cr_assert_eq(q->ops->read(q, &a->blocks[i], BLOCK_ALL, &b), 0);
        cr_assert_eq(b.view.n, 2);
        cr_assert_eq(b.view.ts_ns[0], a->blocks[i].min_ns);
        cr_assert(str_eq_c(block_line(&b.view, 1), "odd one"));
    }
    block_buf_deinit(&b);
    q->ops->selection_free(sel);
}

Test(querier_store_source, leaves_out_what_lies_outside_the_range)
{
    put_chunk("{app=\"a\"}", DAY, 4, SIZE_MAX); /* blocks at 0-1, 2-3, 4-5, 6-7 seconds */
    static const struct {
        int64_t from_s, to_s;
        size_t n;
    } cases[] = {{0, 8, 4}, {1, 4, 2}, {2, 4, 1}, {7, 8, 1}, {8, 9, 0}, {1, 2, 1}, {3, 3, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t from = DAY + cases[i].from_s * 1000000000, to = DAY + cases[i].to_s * 1000000000;
        struct selection *sel = ask("app", "a", from, to, 0);
        cr_assert_eq(sel->n_streams, cases[i].n > 0, "case %zu", i);
        cr_assert(cases[i].n == 0 || sel->streams[0].n_blocks == cases[i].n, "case %zu", i);
        q->ops->selection_free(sel);
        sel = ask("app", "a", from, to, SELECT_STREAMS_ONLY);
        cr_assert(cases[i].n == 0 || sel->n_streams == 1);
        q->ops->selection_free(sel);
    }
}

Test(querier_store_source, skips_what_is_damaged_and_answers_with_the_rest)
{
    put_chunk("{app=\"a\"}", DAY, 1, SIZE_MAX);
    put_chunk("{app=\"a\"}", DAY + 100, 1, 0);                       /* header */
    put_chunk("{app=\"a\"}", DAY + 200, 1, CHUNK_HEADER_BYTES + 12); /* a column */
    struct selection *sel = ask("app", "a", 0, 10 * DAY, 0);
    cr_assert_eq(sel->n_streams, 1);
    cr_assert_eq(sel->streams[0].n_blocks, 2);
    struct block_buf b;
    block_buf_init(&b);
    cr_assert_eq(q->ops->read(q, &sel->streams[0].blocks[0], BLOCK_ALL, &b), 0);
    cr_assert_eq(q->ops->read(q, &sel->streams[0].blocks[1], BLOCK_ALL, &b), E_CORRUPT);
    block_buf_deinit(&b);
    q->ops->selection_free(sel);
}

Test(querier_store_source, lists_names_and_values_with_and_without_matchers)
{
    put_chunk("{app=\"a\", env=\"x\"}", DAY, 1, SIZE_MAX);
    put_chunk("{app=\"b\", zone=\"y\"}", 2 * DAY, 1, SIZE_MAX);
    struct matcher m;
    cr_assert_eq(matcher_init(&m, &arena, STR("app"), MATCH_EQ, STR("a"), NULL), 0);
    static const struct {
        int64_t from, to;
        size_t n_matchers, names, apps;
    } cases[] = {{0, 9 * DAY, 0, 3, 2},
                 {0, 9 * DAY, 1, 2, 1},
                 {2 * DAY, 3 * DAY, 0, 2, 1},
                 {7 * DAY, 9 * DAY, 0, 0, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct select_params p = {.tenant = STR("fake"),
                                  .matchers = &m,
                                  .n_matchers = cases[i].n_matchers,
                                  .from_ns = cases[i].from,
                                  .to_ns = cases[i].to};
        struct str_set set;
        size_t n;
        str_set_init(&set, 1000);
        cr_assert_eq(q->ops->labels(q, &p, str_make(NULL, 0), &set, NULL), 0);
        str_set_sorted(&set, &arena, &n);
        cr_assert_eq(n, cases[i].names, "case %zu", i);
        str_set_deinit(&set);
        str_set_init(&set, 1000);
        cr_assert_eq(q->ops->labels(q, &p, STR("app"), &set, NULL), 0);
        str_set_sorted(&set, &arena, &n);
        cr_assert_eq(n, cases[i].apps, "case %zu", i);
        str_set_deinit(&set);
    }
    matcher_deinit(&m);
}
