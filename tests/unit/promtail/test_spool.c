#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "promtail/client/spool.h"
#include "tests/support/temp_dir.h"

static char dir[TEMP_DIR_MAX];
static struct source_registry registry;
static struct spool spool;

static struct group *open_spool(void)
{
    struct group *groups = NULL;
    struct error err = {0};
    source_registry_init(&registry, 1);
    cr_assert_eq(spool_open(&spool, dir, 4096, 0, &registry, false, &groups, &err), 0, "%s",
                 err.text);
    cr_assert_eq(spool_begin(&spool, &err), 0, "%s", err.text);
    return groups;
}

static void close_spool(bool is_clean)
{
    spool_close(&spool, is_clean);
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

TestSuite(promtail_spool, .init = set_up, .fini = tear_down);

/* A group of one batch whose source has come to `pos`. */
static struct group *append(const char *body, int64_t pos)
{
    spool_prepare(&spool);
    struct group *g = group_new(spool.next_group++);
    struct group_batch b = {.tenant = mem_strdup("t"), .n_entries = 1, .raw_bytes = 10};
    b.seq = spool_next_seq(&spool, STR("t"));
    buf_init(&b.body, BUF_NO_LIMIT);
    buf_append_c(&b.body, body);
    b.body_bytes = b.body.len;
    VEC_PUSH(&g->batches, b);
    struct source *s = source_open(&registry, STR("key"), STR("name"), STR("/f"), 0);
    s->ident.ino = 42;
    source_advance(s, pos);
    source_mark_queued(s, 0);
    struct group_mark m = {.source = s};
    source_mark_copy(&m.mark, &s->queued[0]);
    VEC_PUSH(&g->marks, m);
    struct error err = {0};
    cr_assert_eq(spool_append(&spool, g, &err), 0, "%s", err.text);
    return g;
}

static void done(struct group *g)
{
    g->batches.items[0].is_done = true;
    spool_ack(&spool, g, 0);
    spool_group_done(&spool, g);
    group_free(g);
}

static void check_body(struct group *g, const char *want, uint64_t seq)
{
    struct buf body;
    buf_init(&body, BUF_NO_LIMIT);
    cr_assert_eq(spool_read_body(&spool, &g->batches.items[0], &body), 0);
    cr_expect_str_eq(buf_c(&body), want);
    cr_expect_eq(g->batches.items[0].seq, seq);
    buf_deinit(&body);
}

Test(promtail_spool, gives_back_what_was_not_acknowledged)
{
    char id[GROUP_ID_MAX];
    cr_assert_null(open_spool());
    snprintf(id, sizeof id, "%s", spool.id);
    done(append("first", 100));
    group_free(append("second", 200));
    group_free(append("third", 300));
    close_spool(false); /* as kill -9 leaves it */

    struct group *g = open_spool();
    cr_assert_not_null(g);
    cr_expect_str_eq(spool.id, id);
    check_body(g, "second", 2);
    check_body(g->next, "third", 3);
    cr_assert_null(g->next->next);
    cr_expect_eq(spool_next_seq(&spool, STR("t")), 4);
    struct source *s = source_find(&registry, STR("key"));
    cr_assert_not_null(s);
    cr_expect_eq(source_resume(&registry, s), 300);
    cr_expect_eq(source_acked(&registry, s), 100);
    cr_expect_eq(s->ident.ino, 42);
    group_free(g->next);
    group_free(g);
    close_spool(true);
}

Test(promtail_spool, survives_a_file_cut_at_any_byte)
{
    cr_assert_null(open_spool());
    done(append("first", 100));
    group_free(append("second", 200));
    close_spool(false);
    char path[128], copy[128];
    struct buf whole;
    snprintf(path, sizeof path, "%s/00000001.seg", dir);
    buf_init(&whole, 1u << 20);
    cr_assert_eq(file_read(path, &whole, NULL), 0);
    for (size_t cut = 0; cut <= whole.len; cut++) {
        for (unsigned i = 1; i < 8; i++) {
            snprintf(copy, sizeof copy, "%s/%08u.seg", dir, i);
            unlink(copy);
        }
        int fd = open(path, O_CREAT | O_WRONLY, 0600);
        cr_assert_eq(write(fd, whole.ptr, cut), (ssize_t)cut);
        close(fd);
        struct group *g = open_spool();
        struct source *s = source_find(&registry, STR("key"));
        int64_t pos = s != NULL ? source_resume(&registry, s) : 0;
        cr_expect(pos == 0 || pos == 100 || pos == 200, "cut %zu", cut);
        cr_expect_eq(pos == 200, g != NULL && g->batches.items[0].seq == 2, "cut %zu", cut);
        while (g != NULL) {
            struct group *next = g->next;
            group_free(g);
            g = next;
        }
        close_spool(true);
    }
    buf_deinit(&whole);
}

static void put_segment(int number, str bytes)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%08d.seg", dir, number);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    cr_assert_eq(write(fd, bytes.ptr, bytes.len), (ssize_t)bytes.len);
    close(fd);
}

/* A segment opens with the marks of all sources.  Were they those after the group that is written
 * next, a kill between the two would lose the group. */
Test(promtail_spool, a_new_segment_does_not_speak_of_the_group_to_come)
{
    char body[5000], path[128];
    struct buf segments[2];
    memset(body, 'x', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    cr_assert_null(open_spool());
    group_free(append(body, 100));
    group_free(append("second", 200));
    cr_assert_eq(spool.segments.len, 2);
    close_spool(false);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%08d.seg", dir, i + 1);
        buf_init(&segments[i], 1u << 20);
        cr_assert_eq(file_read(path, &segments[i], NULL), 0);
    }
    for (size_t cut = 0; cut < segments[1].len; cut++) {
        put_segment(1, buf_str(&segments[0]));
        put_segment(2, str_make(segments[1].ptr, cut));
        snprintf(path, sizeof path, "%s/%08d.seg", dir, 3);
        unlink(path);
        struct group *g = open_spool();
        struct source *s = source_find(&registry, STR("key"));
        cr_assert_not_null(s);
        cr_expect_eq(source_resume(&registry, s), 100, "cut %zu", cut);
        cr_assert_not_null(g);
        cr_expect_null(g->next);
        group_free(g);
        close_spool(true);
    }
    buf_deinit(&segments[0]);
    buf_deinit(&segments[1]);
}

Test(promtail_spool, deletes_segments_that_are_done)
{
    cr_assert_null(open_spool());
    char body[1500];
    memset(body, 'x', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    for (int i = 1; i <= 40; i++)
        done(append(body, i * 10));
    cr_expect_leq(spool.segments.len, 2);
    struct group *held = append(body, 1000);
    for (int i = 1; i <= 40; i++)
        done(append(body, 1000 + i * 10));
    cr_expect_gt(spool.segments.len, 5, "the first is still needed");
    done(held);
    done(append(body, 5000));
    cr_expect_leq(spool.segments.len, 2);
    close_spool(true);
}

Test(promtail_spool, belongs_to_one_process)
{
    struct spool other;
    struct group *groups;
    struct error err = {0};
    cr_assert_null(open_spool());
    cr_expect_eq(spool_open(&other, dir, 4096, 0, &registry, false, &groups, &err), E_EXISTS);
    cr_expect_null(other.dir, "it goes on in memory");
    cr_expect_str_neq(other.id, spool.id);
    spool_close(&other, true);
    close_spool(true);
}

Test(promtail_spool, a_source_first_seen_in_a_group_not_sent_is_not_acknowledged)
{
    open_spool();
    struct group *g = append("one", 100);
    group_free(g);
    close_spool(false);
    struct group *left = open_spool();
    struct source *s = source_find(&registry, STR("key"));
    cr_assert_not_null(left);
    cr_expect_eq(source_resume(&registry, s), 100);
    cr_expect_eq(source_acked(&registry, s), 0);
    done(left);
    close_spool(true);
}

Test(promtail_spool, a_client_that_never_heard_of_a_source_reads_it_from_its_start)
{
    struct group *groups = NULL;
    struct error err = {0};
    cr_assert_null(open_spool());
    struct source *s = source_open(&registry, STR("key"), STR("name"), STR("/f"), 70);
    group_free(append("for the first client alone", 300));
    source_unref(s);
    close_spool(false);

    source_registry_init(&registry, 2);
    cr_assert_eq(spool_open(&spool, dir, 4096, 0, &registry, false, &groups, &err), 0, "%s",
                 err.text);
    s = source_find(&registry, STR("key"));
    cr_assert_not_null(s);
    cr_expect_eq(s->queued[0].pos, 300);
    cr_expect_eq(s->queued[1].pos, 70);
    cr_expect_eq(source_resume(&registry, s), 70);
    group_free(groups);
    close_spool(true);
}

Test(promtail_spool, a_source_is_finished_when_all_clients_know)
{
    struct group *groups = NULL;
    struct error err = {0};
    cr_assert_null(open_spool());
    struct source *s = source_open(&registry, STR("key"), STR("name"), STR("/f"), 0);
    s->is_finished = true;
    group_free(append("its end", 300));
    source_unref(s);
    close_spool(false);
    group_free(open_spool());
    cr_expect(source_find(&registry, STR("key"))->is_finished);
    close_spool(false);

    source_registry_init(&registry, 2);
    cr_assert_eq(spool_open(&spool, dir, 4096, 0, &registry, false, &groups, &err), 0, "%s",
                 err.text);
    cr_expect(!source_find(&registry, STR("key"))->is_finished, "the second needs it still");
    group_free(groups);
    close_spool(true);
}
