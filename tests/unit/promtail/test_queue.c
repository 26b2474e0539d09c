#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "promtail/client/queue.h"
#include "tests/support/temp_dir.h"

#define BODY_BYTES 200000

static char dir[TEMP_DIR_MAX];
static struct source_registry registry;
static struct queue queue;

static void open_queue(const char *folder)
{
    struct error err = {0};
    source_registry_init(&registry, 1);
    cr_assert_eq(queue_open(&queue, folder, 0, &registry, false, &err), 0, "%s", err.text);
    cr_assert_eq(queue_begin(&queue, &err), 0, "%s", err.text);
}

static void close_queue(void)
{
    queue_close(&queue);
    source_registry_deinit(&registry);
}

static void set_up(void)
{
    cr_assert(temp_dir_make(dir));
}

static void tear_down(void)
{
    cr_assert(temp_dir_remove(dir));
}

TestSuite(promtail_queue, .init = set_up, .fini = tear_down);

/* With the mark of that source. */
static int put_with_marks(struct group *g, int64_t pos)
{
    struct error err = {0};
    struct source *s = source_open(&registry, STR("key"), STR("name"), STR("/f"), 0);
    source_advance(s, pos);
    source_mark_queued(s, 0);
    struct group_mark m = {.source = s};
    source_mark_copy(&m.mark, &s->queued[0]);
    VEC_PUSH(&g->marks, m);
    return queue_put(&queue, g, &err);
}

static void put_marks(int64_t pos)
{
    cr_assert_eq(put_with_marks(queue_new_group(&queue), pos), 0);
}

/* A group with a batch for each of two tenants, of one source that has come to `pos`. */
static int try_put(int64_t pos, char fill)
{
    struct group *g = queue_new_group(&queue);
    for (int i = 0; i < 2; i++) {
        struct group_batch b = {.tenant = mem_strdup(i == 0 ? "a" : "b"), .n_entries = 1};
        b.seq = spool_next_seq(&queue.spool, str_c(b.tenant));
        buf_init(&b.body, BUF_NO_LIMIT);
        buf_append_repeated(&b.body, str_make(&fill, 1), BODY_BYTES);
        b.body_bytes = b.body.len;
        VEC_PUSH(&g->batches, b);
    }
    return put_with_marks(g, pos);
}

static void put(int64_t pos, char fill)
{
    cr_assert_eq(try_put(pos, fill), 0);
}

/* No file may grow beyond so many bytes, as on a full disk. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* As kill -9 leaves it. */
static void kill_queue(void)
{
    close(queue.spool.fd);
    queue.spool.fd = -1;
    close_queue();
}

static int64_t acked(void)
{
    return source_acked(&registry, source_find(&registry, STR("key")));
}

/* The batch whose turn it is. */
static void take(const char *tenant, uint64_t seq, char fill)
{
    struct group *g;
    struct group_batch *b = queue_next(&queue, &g);
    cr_assert_not_null(b);
    cr_assert_eq(queue_load_next(&queue), 0);
    cr_expect_str_eq(b->tenant, tenant);
    cr_expect_eq(b->seq, seq);
    cr_assert_eq(b->body.len, BODY_BYTES);
    cr_expect_eq(b->body.ptr[BODY_BYTES - 1], fill);
    queue_next_done(&queue);
}

static void take_all_of_two(void)
{
    take("a", 1, 'x');
    cr_expect_eq(acked(), 0, "the other batch of the group is not done");
    take("b", 1, 'x');
    take("a", 2, 'y');
    cr_expect_eq(acked(), 10);
    take("b", 2, 'y');
    struct group *g;
    cr_assert_null(queue_next(&queue, &g));
    cr_expect_eq(acked(), 20);
    cr_expect_eq(queue.queued_bytes, 0);
    cr_expect_eq(queue.memory_bytes, 0);
}

Test(promtail_queue, gives_batches_in_order_and_marks_when_all_of_a_group_is_done)
{
    open_queue(NULL);
    put(10, 'x');
    cr_assert(!queue_has_more(&queue));
    put(20, 'y');
    cr_assert(queue_has_more(&queue));
    cr_expect_eq(queue.queued_bytes, 4 * BODY_BYTES);
    cr_expect_eq(queue.memory_bytes, 4 * BODY_BYTES, "there is no journal to read them back from");
    take_all_of_two();
    close_queue();
}

Test(promtail_queue, reads_bodies_back_that_it_did_not_keep)
{
    open_queue(dir);
    put(10, 'x');
    put(20, 'y');
    cr_expect_lt(queue.memory_bytes, 4 * BODY_BYTES);
    cr_expect_eq(queue.queued_bytes, 4 * BODY_BYTES);
    take_all_of_two();
    close_queue();
}

Test(promtail_queue, goes_on_after_a_restart_with_what_was_not_done)
{
    open_queue(dir);
    put(10, 'x');
    put(20, 'y');
    take("a", 1, 'x');
    close_queue();
    open_queue(dir);
    cr_expect_eq(queue.queued_bytes, 3 * BODY_BYTES);
    take("b", 1, 'x');
    take("a", 2, 'y');
    take("b", 2, 'y');
    put(30, 'z');
    take("a", 3, 'z');
    close_queue();
}

Test(promtail_queue, says_that_a_body_is_gone)
{
    char path[2 * TEMP_DIR_MAX];
    struct group *g;
    open_queue(dir);
    put(10, 'x');
    put(20, 'y');
    take("a", 1, 'x');
    take("b", 1, 'x');
    take("a", 2, 'y');
    cr_assert_not_null(queue_next(&queue, &g));
    snprintf(path, sizeof path, "%s/00000001.seg", dir);
    cr_assert_eq(truncate(path, 7 * BODY_BYTES / 2), 0);
    cr_assert_eq(queue_load_next(&queue), E_CORRUPT);
    cr_assert_eq(queue_load_next(&queue), E_CORRUPT, "a part of it is not kept");
    queue_next_done(&queue);
    cr_assert_null(queue_next(&queue, &g));
    cr_expect_eq(acked(), 20, "given up counts as done");
    close_queue();
}

Test(promtail_queue, writes_nothing_beyond_a_group_that_is_in_memory_only)
{
    open_queue(dir);
    put(10, 'x');
    limit_files(5 * BODY_BYTES / 2);
    cr_expect_neq(try_put(20, 'y'), 0);
    cr_expect_neq(try_put(30, 'z'), 0);
    cr_expect_neq(queue_write_waiting(&queue, NULL), 0);
    kill_queue();
    limit_files(RLIM_INFINITY);
    open_queue(dir);
    cr_expect_eq(source_resume(&registry, source_find(&registry, STR("key"))), 10);
    take("a", 1, 'x');
    take("b", 1, 'x');
    struct group *g;
    cr_expect_null(queue_next(&queue, &g));
    close_queue();
}

Test(promtail_queue, writes_what_waits_in_order_once_there_is_room)
{
    open_queue(dir);
    put(10, 'x');
    limit_files(5 * BODY_BYTES / 2);
    cr_expect_neq(try_put(20, 'y'), 0);
    take("a", 1, 'x');
    take("b", 1, 'x');
    take("a", 2, 'y'); /* sending goes on */
    limit_files(RLIM_INFINITY);
    put(30, 'z');
    cr_expect_null(queue.waiting);
    kill_queue();
    open_queue(dir);
    cr_expect_eq(source_resume(&registry, source_find(&registry, STR("key"))), 30);
    take("b", 2, 'y');
    take("a", 3, 'z');
    take("b", 3, 'z');
    close_queue();
}

/* A segment opens with the marks of all sources. */
Test(promtail_queue, begins_no_segment_while_a_group_waits)
{
    open_queue(dir);
    put(10, 'x');
    limit_files(BODY_BYTES); /* the head of a segment fits */
    cr_expect_neq(try_put(20, 'y'), 0);
    queue.spool.segment_bytes_max = 1;
    cr_expect_neq(try_put(30, 'z'), 0);
    kill_queue();
    limit_files(RLIM_INFINITY);
    open_queue(dir);
    cr_expect_eq(source_resume(&registry, source_find(&registry, STR("key"))), 10);
    close_queue();
}

Test(promtail_queue, keeps_the_segment_if_the_next_cannot_be_begun)
{
    open_queue(dir);
    int fd = queue.spool.fd;
    limit_files(0);
    queue.spool.segment_bytes_max = 1;
    cr_expect_neq(try_put(10, 'x'), 0);
    cr_expect_eq(queue.spool.fd, fd);
    limit_files(RLIM_INFINITY);
    put(20, 'y');
    put(30, 'z');
    kill_queue();
    open_queue(dir);
    for (uint64_t i = 1; i <= 3; i++) {
        take("a", i, "xyz"[i - 1]);
        take("b", i, "xyz"[i - 1]);
    }
    cr_expect_eq(acked(), 0 + 20, "the last group is finished by the next look");
    struct group *g;
    cr_expect_null(queue_next(&queue, &g));
    cr_expect_eq(acked(), 30);
    close_queue();
}

Test(promtail_queue, marks_alone_behind_a_group_that_waits_are_acknowledged_after_it)
{
    struct group *g;
    open_queue(dir);
    put(10, 'x');
    put_marks(20);
    kill_queue();
    open_queue(dir);
    take("a", 1, 'x');
    take("b", 1, 'x');
    cr_expect_null(queue_next(&queue, &g));
    cr_expect_eq(acked(), 20);
    close_queue();
}
