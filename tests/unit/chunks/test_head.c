#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/mem.h"
#include "chunks/head.h"

static struct entry at(int64_t ts_ns, str line)
{
    return (struct entry){ts_ns, line, LABELS_EMPTY};
}

static void put(struct head *h, int64_t ts_ns, str line)
{
    struct entry e = at(ts_ns, line);
    cr_assert_eq(head_append(h, &e), 0);
}

static void read_all(struct head *h, struct head_snapshot *s, struct block_buf *b)
{
    cr_assert_eq(head_take(h, s), 0);
    cr_assert_eq(head_read(s, BLOCK_ALL, b), 0);
}

Test(chunks_head, sorts_late_entries_and_keeps_the_order_of_equal_times)
{
    struct head h;
    struct head_snapshot s;
    struct block_buf b;
    head_init(&h);
    block_buf_init(&b);
    put(&h, 10, STR("a"));
    put(&h, 30, STR("c"));
    put(&h, 20, STR("b2"));
    put(&h, 20, STR("b1"));
    put(&h, 5, STR("z"));
    read_all(&h, &s, &b);
    static const char *const want[] = {"z", "a", "b2", "b1", "c"};
    cr_assert_eq(b.view.n, 5);
    for (uint32_t i = 0; i < 5; i++)
        cr_assert(str_eq_c(block_line(&b.view, i), want[i]));
    cr_assert_eq(s.min_ns, 5);
    cr_assert_eq(s.max_ns, 30);
    head_release(&s);
    block_buf_deinit(&b);
    head_deinit(&h);
}

Test(chunks_head, drops_exact_duplicates_only)
{
    struct head h;
    struct head_snapshot s;
    struct block_buf b;
    head_init(&h);
    block_buf_init(&b);
    put(&h, 10, STR("a"));
    struct entry again = at(10, STR("a"));
    cr_assert_eq(head_append(&h, &again), E_EXISTS);
    put(&h, 10, STR("b"));
    put(&h, 11, STR("a"));
    put(&h, 10, STR("a")); /* late: seen when sorted */
    put(&h, 10, STR("c"));
    read_all(&h, &s, &b);
    cr_assert_eq(b.view.n, 4);
    cr_assert_eq(s.line_bytes, 4);
    head_release(&s);
    block_buf_deinit(&b);
    head_deinit(&h);
}

Test(chunks_head, finds_duplicates_in_a_long_run_of_one_time)
{
    struct head h;
    struct head_snapshot s;
    struct block_buf b;
    head_init(&h);
    block_buf_init(&b);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 500; i++) {
            char line[32];
            snprintf(line, sizeof line, "line %d", i);
            put(&h, 7, str_c(line));
        }
    read_all(&h, &s, &b);
    cr_assert_eq(b.view.n, 500);
    cr_assert(str_eq_c(block_line(&b.view, 499), "line 499"));
    head_release(&s);
    block_buf_deinit(&b);
    head_deinit(&h);
}

Test(chunks_head, a_snapshot_stays_as_it_was)
{
    struct head h;
    struct head_snapshot s;
    struct block_buf b;
    head_init(&h);
    block_buf_init(&b);
    put(&h, 1, STR("one"));
    put(&h, 2, STR("two"));
    read_all(&h, &s, &b);
    for (int i = 0; i < 1000; i++)
        put(&h, 3 + i, STR("more, so that the rows have to move more than once"));
    put(&h, 0, STR("zero")); /* sorted at the next snapshot */
    struct head_snapshot later;
    cr_assert_eq(head_take(&h, &later), 0);
    head_clear(&h);
    put(&h, 9, STR("nine"));
    cr_assert_eq(b.view.n, 2);
    cr_assert(str_eq_c(block_line(&b.view, 0), "one"));
    cr_assert_eq(head_read(&later, BLOCK_ALL, &b), 0);
    cr_assert_eq(b.view.n, 1003);
    cr_assert(str_eq_c(block_line(&b.view, 0), "zero"));
    head_release(&s);
    head_release(&later);
    block_buf_deinit(&b);
    head_deinit(&h);
}

Test(chunks_head, keeps_many_different_sets_of_metadata_apart)
{
    struct head h;
    struct head_snapshot s;
    struct block_buf b;
    head_init(&h);
    block_buf_init(&b);
    static char values[5000][16];
    for (int i = 0; i < 5000; i++) {
        snprintf(values[i], sizeof values[i], "t%d", i % 4500);
        struct label l = {STR("trace_id"), str_c(values[i])};
        struct entry e = {i, STR("x"), {&l, 1}};
        cr_assert_eq(head_append(&h, &e), 0);
    }
    read_all(&h, &s, &b);
    for (uint32_t i = 0; i < 5000; i++)
        cr_assert(str_eq_c(labels_get(block_meta(&b.view, i), STR("trace_id")), values[i]));
    cr_assert(s.has_meta);
    head_release(&s);
    block_buf_deinit(&b);
    head_deinit(&h);
}

Test(chunks_head, is_full_between_times_and_not_within_one)
{
    struct head h;
    head_init(&h);
    char line[100];
    memset(line, 'x', sizeof line);
    cr_assert_not(head_is_full_for(&h, 1, 1 << 20, 1000)); /* an empty one takes any line */
    for (int i = 0; i < 9; i++) {
        line[0] = (char)('0' + i);
        put(&h, 1, str_make(line, sizeof line));
    }
    cr_assert_not(head_is_full_for(&h, 1, 200, 1000));
    cr_assert(head_is_full_for(&h, 2, 200, 1000));
    cr_assert(head_is_full_for(&h, 1, 4000, 1000)); /* huge: even within one time */
    head_deinit(&h);
}

/* Readers look at snapshots while the writer goes on: for the thread sanitizer. */
struct shared {
    pthread_mutex_t lock;
    struct head head;
    atomic_bool stop;
};

static void *reader(void *arg)
{
    struct shared *sh = arg;
    struct block_buf b;
    block_buf_init(&b);
    while (!atomic_load(&sh->stop)) {
        struct head_snapshot s;
        pthread_mutex_lock(&sh->lock);
        int code = head_take(&sh->head, &s);
        pthread_mutex_unlock(&sh->lock);
        if (code != 0 || s.n == 0)
            continue;
        if (head_read(&s, BLOCK_ALL, &b) != 0)
            break;
        for (uint32_t i = 1; i < b.view.n; i++)
            if (b.view.ts_ns[i] < b.view.ts_ns[i - 1] || block_line(&b.view, i).len != 5)
                atomic_store(&sh->stop, true);
        head_release(&s);
    }
    block_buf_deinit(&b);
    return NULL;
}

Test(chunks_head, readers_and_the_writer_do_not_meet, .timeout = 60)
{
    struct shared sh = {.lock = PTHREAD_MUTEX_INITIALIZER};
    head_init(&sh.head);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, reader, &sh);
    for (int i = 0; i < 20000; i++) {
        char line[16];
        snprintf(line, sizeof line, "%05u", (unsigned)i % 100000u);
        struct entry e = at(i % 997 == 0 ? i - 100 : i, str_make(line, 5));
        pthread_mutex_lock(&sh.lock);
        if (head_is_full_for(&sh.head, e.ts_ns, 5, 20000))
            head_clear(&sh.head);
        head_append(&sh.head, &e);
        pthread_mutex_unlock(&sh.lock);
    }
    cr_assert_not(atomic_load(&sh.stop));
    atomic_store(&sh.stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    head_deinit(&sh.head);
}
