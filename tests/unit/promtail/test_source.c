#include <criterion/criterion.h>
#include <stdio.h>

#include "base/mem.h"
#include "promtail/source.h"

static struct source_registry registry;
static struct source *source;

static void set_up(void)
{
    source_registry_init(&registry, 2);
    source = source_open(&registry, STR("k"), STR("n"), STR("/f"), 100);
}

static void tear_down(void)
{
    source_unref(source);
    source_registry_deinit(&registry);
}

TestSuite(promtail_source, .init = set_up, .fini = tear_down);

Test(promtail_source, starts_where_it_was_told)
{
    cr_assert_eq(source_resume(&registry, source), 100);
    cr_assert_eq(source_acked(&registry, source), 100);
    cr_assert(!source_wants(source, 0, 99));
    cr_assert(source_wants(source, 0, 100));
    cr_assert_eq(source_open(&registry, STR("k"), STR("n"), STR("/f"), 7), source);
    source_unref(source);
}

Test(promtail_source, moves_each_client_alone)
{
    source_advance(source, 200);
    cr_assert(source_mark_queued(source, 0));
    cr_assert(!source_mark_queued(source, 0), "nothing moved since");
    cr_assert_eq(source->queued[0].pos, 200);
    cr_assert_eq(source->queued[1].pos, 100);
    cr_assert_eq(source_resume(&registry, source), 100);
    cr_assert(!source_wants(source, 0, 150));
    cr_assert(source_wants(source, 1, 150));
}

Test(promtail_source, is_told_once_before_anything_was_read)
{
    cr_assert(source_mark_queued(source, 0), "a start must know that it was there");
    cr_assert_eq(source->queued[0].pos, 100);
    cr_assert(!source_mark_queued(source, 0));
    cr_assert(source_mark_queued(source, 1), "each client has its own journal");
}

Test(promtail_source, leaves_holes_for_what_a_stage_keeps_back)
{
    int a = 0, b = 0; /* owners are told by their addresses */
    source_hold(source, 110, 120, &a);
    source_hold(source, 120, 130, &b);
    source_hold(source, 150, 160, &a);
    source_advance(source, 200);
    source_mark_queued(source, 0);
    const struct source_mark *m = &source->queued[0];
    cr_assert_eq(m->pos, 200);
    cr_assert_eq(m->holes.len, 2);
    cr_assert_eq(m->holes.items[0].from, 110);
    cr_assert_eq(m->holes.items[0].to, 130);
    cr_assert(source_wants(source, 0, 115));
    cr_assert(!source_wants(source, 0, 140));
    source_release(source, &a);
    cr_assert(source_mark_queued(source, 0));
    cr_assert_eq(m->holes.len, 1);
    cr_assert_eq(m->holes.items[0].from, 120);
    source_release(source, &b);
    source_mark_queued(source, 0);
    cr_assert_eq(m->holes.len, 0);
}

/* After a restart reading begins at the first hole; what lies ahead must not be forgotten. */
Test(promtail_source, keeps_the_mark_while_reading_again)
{
    int kept = 0;
    source_hold(source, 110, 120, &kept);
    source_hold(source, 180, 190, &kept);
    source_advance(source, 200);
    source_mark_queued(source, 0);
    source->held.len = 0;
    source->read_to = source_resume(&registry, source);
    cr_assert_eq(source->read_to, 100, "the other client has nothing yet");
    source->read_to = 110;
    source_advance(source, 130);
    source_mark_queued(source, 0);
    cr_assert_eq(source->queued[0].pos, 200);
    cr_assert_eq(source->queued[0].holes.len, 1);
    cr_assert_eq(source->queued[0].holes.items[0].from, 180);
}

static int64_t told;

static void on_acked(void *arg, int64_t pos)
{
    (void)arg;
    told = pos;
}

Test(promtail_source, is_acknowledged_when_all_clients_are)
{
    source->on_acked = on_acked;
    source_advance(source, 300);
    for (size_t i = 0; i < 2; i++) {
        struct source_mark m;
        source_mark_queued(source, i);
        source_mark_copy(&m, &source->queued[i]);
        source_mark_acked(&registry, source, i, &m);
        cr_assert_eq(told, i == 0 ? 0 : 300);
    }
}

Test(promtail_source, is_forgotten_when_finished_and_settled)
{
    source->is_finished = true;
    source_advance(source, 150);
    source_mark_queued(source, 0);
    source_mark_queued(source, 1);
    source_unref(source);
    source_registry_sweep(&registry);
    cr_assert_not_null(source_find(&registry, STR("k")), "not acknowledged yet");
    for (size_t i = 0; i < 2; i++) {
        struct source_mark m;
        source_mark_copy(&m, &source->queued[i]);
        source_mark_acked(&registry, source, i, &m);
    }
    source_registry_sweep(&registry);
    cr_assert_null(source_find(&registry, STR("k")));
    source = source_open(&registry, STR("k"), STR("n"), STR(""), 0); /* for the tear-down */
}

Test(promtail_source, tells_its_end_once)
{
    source_advance(source, 150);
    cr_assert(source_mark_queued(source, 0));
    source->is_finished = true;
    cr_assert(source_has_news(source, 0));
    cr_assert(source_mark_queued(source, 0), "the end is news, though nothing was read");
    cr_assert(source->queued[0].is_finished);
    cr_assert(!source_has_news(source, 0) && !source_mark_queued(source, 0));
    cr_assert(!source_was_finished(&registry, source), "the other client was not told");
    source_mark_queued(source, 1);
    cr_assert(source_was_finished(&registry, source));
}

Test(promtail_source, has_not_ended_while_a_stage_keeps_a_part)
{
    int kept = 0;
    source_hold(source, 110, 150, &kept);
    source_advance(source, 150);
    source->is_finished = true;
    source_mark_queued(source, 0);
    cr_assert(!source->queued[0].is_finished);
    source_release(source, &kept);
    cr_assert(source_mark_queued(source, 0) && source->queued[0].is_finished);
    cr_assert_eq(source->queued[0].holes.len, 0);
}

/* What was kept back before a restart and cannot be read again. */
Test(promtail_source, gives_its_holes_up_at_its_end)
{
    int kept = 0;
    source_hold(source, 110, 150, &kept);
    source_advance(source, 150);
    source_mark_queued(source, 0);
    source->held.len = 0; /* the restart */
    source->read_to = 110;
    source->is_finished = true;
    cr_assert(source_mark_queued(source, 0));
    cr_assert(source->queued[0].is_finished && source->queued[0].holes.len == 0);
}

Test(promtail_source, a_new_client_begins_where_the_other_goes_on)
{
    const bool is_new[2] = {false, true};
    int a = 0;
    source_hold(source, 150, 160, &a);
    source_advance(source, 200);
    source_mark_queued(source, 0);
    source_registry_join(&registry, is_new);
    cr_expect(!source_wants(source, 1, 100));
    cr_expect(source_wants(source, 1, 150));
    cr_expect_eq(source_resume(&registry, source), 150);
    cr_expect_eq(source->queued[0].pos, 200);
}

Test(promtail_source, a_new_client_needs_nothing_of_a_finished_source)
{
    const bool is_new[2] = {false, true};
    source_advance(source, 200);
    source->is_finished = true;
    source_mark_queued(source, 0);
    struct source_mark mark;
    source_mark_copy(&mark, &source->queued[0]);
    source_mark_acked(&registry, source, 0, &mark);
    source->is_finished = false; /* as after a load: the second was not told */
    source_registry_join(&registry, is_new);
    cr_expect(source->is_finished);
    source_unref(source);
    source_registry_sweep(&registry);
    cr_expect_null(source_find(&registry, STR("k")));
    source = source_open(&registry, STR("k"), STR("n"), STR("/f"), 0);
}

Test(promtail_source, new_clients_alone_change_nothing)
{
    const bool is_new[2] = {true, true};
    source_registry_join(&registry, is_new);
    cr_expect_eq(source_resume(&registry, source), 100);
}

static void finish(struct source *s)
{
    s->is_finished = true;
    for (size_t i = 0; i < registry.n_clients; i++) {
        struct source_mark mark;
        source_mark_queued(s, i);
        source_mark_copy(&mark, &s->queued[i]);
        source_mark_acked(&registry, s, i, &mark);
    }
    source_unref(s);
}

static struct source *open_generation(int number)
{
    char key[8];
    snprintf(key, sizeof key, "g%d", number);
    return source_open(&registry, str_c(key), STR("file"), STR_EMPTY, 0);
}

Test(promtail_source, some_that_are_finished_are_kept_while_more_is_to_come)
{
    struct source *current = open_generation(0);
    for (int i = 1; i < 50; i++) {
        finish(current);
        current = open_generation(i);
        source_registry_sweep(&registry);
    }
    cr_expect_not_null(source_find(&registry, STR("g48")), "may be compressed and found again");
    cr_expect_null(source_find(&registry, STR("g20")));
    cr_expect_lt(registry.by_key.len, 12);
    finish(current);
    source_registry_sweep(&registry);
    cr_expect_eq(registry.by_key.len, 1, "nothing is kept of what has no text to be told by");
}

Test(promtail_source, a_file_that_is_no_more_is_kept_for_a_while)
{
    struct source *s = open_generation(0);
    s->ident.ino = 7;
    finish(s);
    source_registry_sweep(&registry);
    source_registry_sweep(&registry);
    cr_assert_eq(source_find(&registry, STR("g0")), s, "it may come again");
    s->settled_mono_ns -= 3601LL * 1000 * 1000 * 1000;
    source_registry_sweep(&registry);
    cr_expect_null(source_find(&registry, STR("g0")));
}

Test(promtail_source, of_very_many_files_that_are_no_more_none_is_kept)
{
    enum { MANY = 10001 };
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        struct source *s = source_open(&registry, str_c(name), str_c(name), STR_EMPTY, 0);
        s->ident.ino = 7;
        finish(s);
    }
    source_registry_sweep(&registry);
    cr_expect_eq(registry.by_key.len, 1);
}

Test(promtail_source, of_a_name_is_listed_in_the_order_of_opening)
{
    struct source *all[3];
    for (int i = 0; i < 3; i++)
        all[i] = open_generation(i);
    struct source_list list = source_registry_list(&registry);
    cr_assert_eq(list.len, 4);
    size_t at = list.items[0] == source ? 1 : 0;
    for (size_t i = 0; i < 3; i++)
        cr_expect_eq(list.items[at + i], all[i]);
    VEC_FREE(&list);
    for (int i = 0; i < 3; i++)
        source_unref(all[i]);
}
