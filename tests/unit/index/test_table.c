#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "index/key.h"
#include "index/store.h"
#include "tests/support/temp_dir.h"

/* A folder that goes with the test. */
static char dir[TEMP_DIR_MAX];

static void make_dir(void)
{
    cr_assert(temp_dir_make(dir));
}

static void remove_dir(void)
{
    cr_assert(temp_dir_remove(dir));
}

TestSuite(index_table, .init = make_dir, .fini = remove_dir, .timeout = 60);
TestSuite(index_store, .init = make_dir, .fini = remove_dir, .timeout = 60);

static struct labels labels_of(struct arena *a, const char *text)
{
    struct labels ls;
    cr_assert_eq(labels_parse(str_c(text), a, &ls, NULL), 0, "%s", text);
    return ls;
}

static struct table_put put_of(struct arena *a, const char *labels, int64_t from, int64_t through,
                               const char *bytes)
{
    str *piece = ARENA_NEW(a, str);
    *piece = str_c(bytes);
    struct table_put p = {
        .tenant = STR("fake"),
        .labels = labels_of(a, labels),
        .chunk = {.id = (uint64_t)from,
                  .from_ns = from,
                  .through_ns = through,
                  .entries = 3,
                  .bytes = (uint32_t)piece->len},
        .pieces = piece,
        .n_pieces = 1,
    };
    p.fingerprint = labels_hash(&p.labels);
    return p;
}

static void write_some(struct table *t, struct arena *a)
{
    struct table_put puts[] = {
        put_of(a, "{app=\"api\", env=\"prod\"}", 100, 200, "chunk 1"),
        put_of(a, "{app=\"api\", env=\"prod\"}", 300, 400, "chunk 2"),
        put_of(a, "{app=\"api\", env=\"dev\"}", 150, 250, "chunk 3"),
        put_of(a, "{app=\"web\", env=\"prod\"}", 120, 220, "chunk 4"),
        put_of(a, "{app=\"db\"}", 130, 230, "chunk 5"),
    };
    cr_assert_eq(table_write(t, puts, ARRAY_LEN(puts)), 0);
}

/* The apps and envs of the streams that one matcher finds, in order of fingerprints. */
static size_t count_streams(struct table *t, const char *name, enum match_op op, const char *value)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    struct matcher m;
    cr_assert_eq(matcher_init(&m, &a, str_c(name), op, str_c(value), NULL), 0);
    struct table_reader *r;
    cr_assert_eq(table_read_begin(t, &r), 0);
    const struct table_stream *streams;
    size_t n;
    cr_assert_eq(table_streams(r, STR("fake"), &m, 1, &a, &streams, &n), 0);
    for (size_t i = 0; i < n; i++)
        cr_assert(matchers_match(&m, 1, &streams[i].labels));
    table_read_end(r);
    matcher_deinit(&m);
    arena_deinit(&a);
    return n;
}

Test(index_table, finds_streams_by_every_kind_of_matcher)
{
    struct table *t;
    struct arena a;
    arena_init(&a, 1 << 20);
    cr_assert_eq(table_open(dir, true, 1 << 20, &t, NULL), 0);
    write_some(t, &a);
    cr_assert_eq(count_streams(t, "app", MATCH_EQ, "api"), 2);
    cr_assert_eq(count_streams(t, "app", MATCH_EQ, "nope"), 0);
    cr_assert_eq(count_streams(t, "app", MATCH_NE, "api"), 2);
    cr_assert_eq(count_streams(t, "app", MATCH_RE, "api|db"), 3);
    cr_assert_eq(count_streams(t, "app", MATCH_RE, "a.*|d.+"), 3);
    cr_assert_eq(count_streams(t, "app", MATCH_NRE, "a.*"), 2);
    cr_assert_eq(count_streams(t, "app", MATCH_RE, ".+"), 4);
    cr_assert_eq(count_streams(t, "env", MATCH_EQ, ""), 1); /* absent is empty */
    cr_assert_eq(count_streams(t, "env", MATCH_NE, ""), 3);
    cr_assert_eq(count_streams(t, "env", MATCH_RE, "prod|"), 3);
    cr_assert_eq(count_streams(t, "env", MATCH_NRE, "prod"), 2);
    cr_assert_eq(count_streams(t, "env", MATCH_RE, ".*"), 4);
    cr_assert_eq(count_streams(t, "nope", MATCH_EQ, ""), 4);
    table_close(t);
    arena_deinit(&a);
}

Test(index_table, finds_chunks_by_time)
{
    struct table *t;
    struct arena a;
    arena_init(&a, 1 << 20);
    cr_assert_eq(table_open(dir, true, 1 << 20, &t, NULL), 0);
    write_some(t, &a);
    struct labels ls = labels_of(&a, "{app=\"api\", env=\"prod\"}");
    uint64_t fp = labels_hash(&ls);
    struct table_reader *r;
    cr_assert_eq(table_read_begin(t, &r), 0);
    const struct table_chunk *chunks;
    size_t n;
    static const struct {
        int64_t from, to;
        size_t n;
    } cases[] = {{0, 1000, 2},  {0, 100, 0},   {0, 101, 1},   {200, 300, 1},
                 {201, 300, 0}, {200, 301, 2}, {401, 999, 0}, {-5, 150, 1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cr_assert_eq(
            table_chunks(r, STR("fake"), fp, cases[i].from, cases[i].to, true, &a, &chunks, &n), 0);
        cr_assert_eq(n, cases[i].n, "case %zu", i);
        cr_assert_eq(table_has_chunk(r, STR("fake"), fp, cases[i].from, cases[i].to), n > 0);
    }
    table_chunks(r, STR("fake"), fp, 0, 1000, true, &a, &chunks, &n);
    cr_assert(str_eq_c(chunks[1].blob, "chunk 2"));
    cr_assert_eq(chunks[1].through_ns, 400);
    cr_assert_eq(chunks[1].entries, 3);
    table_chunks(r, STR("other"), fp, 0, 1000, true, &a, &chunks, &n);
    cr_assert_eq(n, 0);
    table_read_end(r);
    table_close(t);
    arena_deinit(&a);
}

Test(index_table, lists_names_and_values)
{
    struct table *t;
    struct arena a, scratch;
    arena_init(&a, 1 << 20);
    arena_init(&scratch, 1 << 20);
    cr_assert_eq(table_open(dir, true, 1 << 20, &t, NULL), 0);
    write_some(t, &a);
    char name[601], value[1001];
    memset(name, 'n', sizeof name - 1);
    memset(value, 'v', sizeof value - 1);
    name[600] = value[1000] = '\0';
    char text[1700];
    snprintf(text, sizeof text, "{app=\"%s\", %s=\"x\"}", value, name);
    struct table_put put = put_of(&a, text, 500, 600, "long");
    cr_assert_eq(table_write(t, &put, 1), 0);

    struct table_reader *r;
    cr_assert_eq(table_read_begin(t, &r), 0);
    struct str_set set;
    size_t n;
    str_set_init(&set, 1 << 20);
    cr_assert_eq(table_labels(r, STR("fake"), str_make(NULL, 0), &scratch, &set), 0);
    const str *names = str_set_sorted(&set, &a, &n);
    cr_assert_eq(n, 3);
    cr_assert(str_eq_c(names[0], "app") && str_eq_c(names[1], "env") && str_eq_c(names[2], name));
    str_set_deinit(&set);

    str_set_init(&set, 1 << 20);
    cr_assert_eq(table_labels(r, STR("fake"), STR("app"), &scratch, &set), 0);
    const str *values = str_set_sorted(&set, &a, &n);
    cr_assert_eq(n, 4);
    cr_assert(str_eq_c(values[2], value));
    str_set_deinit(&set);

    str_set_init(&set, 5);
    cr_assert_eq(table_labels(r, STR("fake"), STR("app"), &scratch, &set), E_LIMIT);
    str_set_deinit(&set);
    table_read_end(r);
    cr_assert_eq(count_streams(t, "app", MATCH_EQ, value), 1);
    cr_assert_eq(count_streams(t, "app", MATCH_RE, "v+"), 1);
    cr_assert_eq(count_streams(t, name, MATCH_EQ, "x"), 1);
    cr_assert_eq(count_streams(t, name, MATCH_EQ, "y"), 0);
    table_close(t);
    arena_deinit(&scratch);
    arena_deinit(&a);
}

Test(index_table, keeps_streams_apart_whose_fingerprints_collide)
{
    struct table *t;
    struct arena a;
    arena_init(&a, 1 << 20);
    cr_assert_eq(table_open(dir, true, 1 << 20, &t, NULL), 0);
    struct table_put puts[] = {put_of(&a, "{app=\"a\"}", 1, 2, "a"),
                               put_of(&a, "{app=\"b\"}", 1, 2, "b"),
                               put_of(&a, "{app=\"a\"}", 3, 4, "a2")};
    puts[0].fingerprint = puts[1].fingerprint = puts[2].fingerprint = 77;
    puts[1].chunk.id = puts[0].chunk.id; /* and the ids too */
    cr_assert_eq(table_write(t, puts, 3), 0);
    cr_assert_eq(puts[1].fingerprint, 78);
    cr_assert_eq(puts[2].fingerprint, 77);
    cr_assert_neq(puts[1].chunk.id, puts[0].chunk.id);
    cr_assert_eq(count_streams(t, "app", MATCH_EQ, "a"), 1);
    cr_assert_eq(count_streams(t, "app", MATCH_EQ, "b"), 1);
    table_close(t);
    arena_deinit(&a);
}

Test(index_table, grows_its_map_when_full)
{
    struct table *t;
    struct arena a;
    arena_init(&a, 64 << 20);
    cr_assert_eq(table_open(dir, true, 256 << 10, &t, NULL), 0);
    char *big = arena_alloc(&a, 100001);
    memset(big, 'b', 100000);
    big[100000] = '\0';
    for (int i = 0; i < 50; i++) {
        struct table_put put = put_of(&a, "{app=\"big\"}", 1000 + i, 2000, big);
        cr_assert_eq(table_write(t, &put, 1), 0);
    }
    cr_assert_eq(count_streams(t, "app", MATCH_EQ, "big"), 1);
    table_close(t);
    arena_deinit(&a);
}

Test(index_store, opens_tables_on_demand_and_closes_the_oldest)
{
    struct store *s;
    struct arena a;
    arena_init(&a, 1 << 20);
    struct store_config config = {.dir = dir, .open_max = 2, .map_bytes = 1 << 20};
    cr_assert_eq(store_open(&config, &s, NULL), 0);
    struct table *t;
    cr_assert_eq(store_table(s, 5, false, &t, NULL), E_NOT_FOUND);
    for (int64_t day = -1; day < 6; day++) {
        cr_assert_eq(store_table(s, day, true, &t, NULL), 0);
        struct table_put put =
            put_of(&a, "{app=\"x\"}", day * TABLE_PERIOD_NS + 1, day * TABLE_PERIOD_NS + 2, "x");
        cr_assert_eq(table_write(t, &put, 1), 0);
        store_release(s, t);
    }
    store_close(s);
    cr_assert_eq(store_open(&config, &s, NULL), 0);
    const int64_t *days;
    size_t n;
    cr_assert_eq(store_days(s, INT64_MIN, INT64_MAX, &a, &days, &n), 0);
    cr_assert_eq(n, 7);
    cr_assert_eq(days[0], -1);
    cr_assert_eq(store_days(s, TABLE_PERIOD_NS, 2 * TABLE_PERIOD_NS, &a, &days, &n), 0);
    cr_assert_eq(n, 1);
    cr_assert_eq(days[0], 1);
    for (int64_t day = -1; day < 6; day++) {
        cr_assert_eq(store_table(s, day, false, &t, NULL), 0);
        cr_assert_eq(count_streams(t, "app", MATCH_EQ, "x"), 1);
        store_release(s, t);
    }
    store_close(s);
    arena_deinit(&a);
}

static int n_damaged;

static void on_damaged(void *arg, const struct error *err)
{
    (void)arg;
    cr_assert_eq(err->code, E_CORRUPT);
    n_damaged++;
}

/* Makes a table, spoils its file with `fn`, and expects it to be set aside. */
static void check_damage(void (*fn)(const char *path))
{
    struct store *s;
    struct arena a;
    arena_init(&a, 1 << 20);
    n_damaged = 0;
    struct store_config config = {.dir = dir, .map_bytes = 1 << 20, .on_damaged = on_damaged};
    cr_assert_eq(store_open(&config, &s, NULL), 0);
    struct table *t;
    cr_assert_eq(store_table(s, 0, true, &t, NULL), 0);
    write_some(t, &a);
    store_release(s, t);
    store_close(s);
    char path[128];
    snprintf(path, sizeof path, "%s/1970-01-01/data.mdb", dir);
    fn(path);
    cr_assert_eq(store_open(&config, &s, NULL), 0);
    cr_assert_eq(store_table(s, 0, false, &t, NULL), E_NOT_FOUND);
    cr_assert_eq(n_damaged, 1);
    cr_assert_eq(store_table(s, 0, true, &t, NULL), 0); /* the day starts anew */
    write_some(t, &a);
    store_release(s, t);
    store_close(s);
    arena_deinit(&a);
}

static void cut_file(const char *path)
{
    cr_assert_eq(truncate(path, 3 * 4096), 0);
}

static void fill_with_nonsense(const char *path)
{
    FILE *f = fopen(path, "wb");
    for (int i = 0; i < 20000; i++)
        fputc(i * 7, f);
    fclose(f);
}

Test(index_store, sets_a_cut_table_aside)
{
    check_damage(cut_file);
}

Test(index_store, sets_a_foreign_file_aside)
{
    check_damage(fill_with_nonsense);
}

Test(index_key, puts_negative_times_before_positive_ones)
{
    struct key a, b;
    key_chunk(&a, STR("t"), 1, -5, 0);
    key_chunk(&b, STR("t"), 1, 5, 0);
    cr_assert_lt(str_cmp(key_str(&a), key_str(&b)), 0);
    int64_t from;
    uint64_t id;
    cr_assert(key_split_chunk(key_str(&a), &from, &id));
    cr_assert_eq(from, -5);
}

/* --- damage --- */

#define BIG_BYTES 20000 /* a value this long has pages of its own */

/* A table of 40 streams, each with a chunk on pages of its own. */
static void write_big(struct arena *a)
{
    struct table *t;
    static char bytes[BIG_BYTES + 1];
    memset(bytes, 'x', BIG_BYTES);
    cr_assert_eq(table_open(dir, true, 1 << 24, &t, NULL), 0);
    struct table_put puts[40];
    for (size_t i = 0; i < ARRAY_LEN(puts); i++) {
        char labels[64];
        snprintf(labels, sizeof labels, "{app=\"api\", n=\"%zu\"}", i);
        puts[i] = put_of(a, labels, 1000 + (int64_t)i, 2000, bytes);
    }
    cr_assert_eq(table_write(t, puts, ARRAY_LEN(puts)), 0);
    table_close(t);
}

struct seen {
    size_t streams, chunks, whole, corrupt;
};

/* Reads all there is, to the last byte. */
static int read_big(struct seen *seen)
{
    struct table *t;
    struct error err = {0};
    int code = table_open(dir, false, 1 << 24, &t, &err);
    if (code != 0)
        return code;
    struct arena a;
    arena_init(&a, 64 << 20);
    struct matcher m;
    cr_assert_eq(matcher_init(&m, &a, STR("app"), MATCH_RE, STR("a.*"), NULL), 0);
    struct table_reader *r;
    struct str_set names;
    str_set_init(&names, 1 << 20);
    code = table_read_begin(t, &r);
    if (code == 0) {
        const struct table_stream *streams;
        code = table_streams(r, STR("fake"), &m, 1, &a, &streams, &seen->streams);
        for (size_t i = 0; i < seen->streams; i++) {
            const struct table_chunk *chunks;
            size_t n;
            if (table_chunks(r, STR("fake"), streams[i].fingerprint, 0, 9999, true, &a, &chunks,
                             &n) != 0)
                seen->corrupt++;
            seen->chunks += n;
            for (size_t k = 0; k < n; k++) {
                size_t count = 0;
                for (size_t at = 0; at < chunks[k].blob.len; at++)
                    count += chunks[k].blob.ptr[at] == 'x';
                seen->whole += count == BIG_BYTES;
            }
        }
        table_labels(r, STR("fake"), (str){NULL, 0}, &a, &names);
        table_labels(r, STR("fake"), STR("n"), &a, &names);
        seen->corrupt += table_reader_corrupt(r);
        table_read_end(r);
    }
    str_set_deinit(&names);
    matcher_deinit(&m);
    arena_deinit(&a);
    table_close(t);
    return code;
}

static struct buf load_data(void)
{
    struct buf b;
    char path[TEMP_DIR_MAX + 16];
    buf_init(&b, BUF_NO_LIMIT);
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    cr_assert_eq(file_read(path, &b, NULL), 0);
    return b;
}

static void save_data(const struct buf *b)
{
    char path[TEMP_DIR_MAX + 16];
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(b->ptr, 1, b->len, f), b->len);
    fclose(f);
}

Test(index_table, a_value_said_to_go_on_past_the_file_is_left_out)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    write_big(&a);
    struct seen seen = {0};
    cr_assert_eq(read_big(&seen), 0);
    cr_assert_eq(seen.whole, 40);
    cr_assert_eq(seen.corrupt, 0);
    /* LMDB's node: size low, size high, flags (1: the value has its own pages), bytes of the key,
     * key. */
    struct buf b = load_data();
    struct key k;
    key_blob(&k, 1007);
    size_t n_spoilt = 0;
    for (size_t at = 0; at + 16 < b.len; at += 2) {
        static const char flags_and_size[] = {1, 0, 8, 0};
        if (memcmp(b.ptr + at + 4, flags_and_size, 4) != 0 ||
            memcmp(b.ptr + at + 8, k.bytes, 8) != 0)
            continue;
        b.ptr[at + 3] = 0x40; /* a gigabyte more */
        n_spoilt++;
    }
    cr_assert_gt(n_spoilt, 0);
    save_data(&b);
    seen = (struct seen){0};
    cr_assert_eq(read_big(&seen), 0);
    cr_assert_eq(seen.streams, 40);
    cr_assert_eq(seen.chunks, 40);
    cr_assert_eq(seen.whole, 39);
    buf_deinit(&b);
    arena_deinit(&a);
}

/* A child that dies is told from one that lives. */
static bool survives_reading(void)
{
    pid_t child = fork();
    if (child == 0) {
        struct seen seen = {0};
        read_big(&seen);
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

Test(index_table, flipped_bytes_anywhere_are_survived)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    write_big(&a);
    struct buf good = load_data(), bad;
    size_t n_died = 0;
    const char *env = getenv("FLIP_SEEDS");
    unsigned n_seeds = env != NULL ? (unsigned)strtoul(env, NULL, 10) : 300;
    for (unsigned seed = 0; seed < n_seeds; seed++) {
        uint64_t chance = seed;
        buf_init(&bad, BUF_NO_LIMIT);
        buf_append(&bad, good.ptr, good.len);
        for (int i = 0; i < 20; i++) {
            chance = chance * 6364136223846793005u + 1442695040888963407u;
            size_t at = 8192 + (chance >> 20) % (good.len - 8192);
            bad.ptr[at] ^= (char)(1 << (chance >> 60) % 8);
        }
        save_data(&bad);
        buf_deinit(&bad);
        if (!survives_reading()) {
            fprintf(stderr, "seed %u killed the reader\n", seed);
            n_died++;
        }
    }
    cr_assert_eq(n_died, 0);
    buf_deinit(&good);
    arena_deinit(&a);
}
