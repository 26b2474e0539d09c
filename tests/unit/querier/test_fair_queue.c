#include <criterion/criterion.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "querier/fair_queue.h"
#include "runtime/loop.h"
#include "runtime/workers.h"

static char order[64];
static atomic_size_t n_run;
static struct loop *loop;
static size_t expected;

static void run(void *arg)
{
    size_t i = atomic_fetch_add(&n_run, 1);
    order[i] = *(const char *)arg;
    if (i + 1 == expected)
        loop_stop(loop);
}

Test(querier_fair_queue, lets_tenants_take_turns)
{
    loop = loop_new();
    struct workers *w = workers_new(loop, 2, 100);
    struct fair_queue *q = fair_queue_new(w, 1, 10);
    expected = 9;
    for (int i = 0; i < 6; i++)
        cr_assert(fair_queue_add(q, STR("greedy"), run, "g"));
    for (int i = 0; i < 3; i++)
        cr_assert(fair_queue_add(q, STR("modest"), run, "m"));
    loop_run(loop);
    cr_expect_eq(atomic_load(&n_run), 9);
    cr_expect_str_eq(order, "ggmgmgmgg");
    cr_expect_eq(fair_queue_waiting(q), 0);
    workers_free(w);
    fair_queue_free(q);
    loop_free(loop);
}

Test(querier_fair_queue, refuses_a_line_that_is_too_long)
{
    loop = loop_new();
    struct workers *w = workers_new(loop, 1, 100);
    struct fair_queue *q = fair_queue_new(w, 1, 2);
    expected = 3;
    cr_assert(fair_queue_add(q, STR("a"), run, "1")); /* runs */
    cr_assert(fair_queue_add(q, STR("a"), run, "2"));
    cr_assert(fair_queue_add(q, STR("a"), run, "3"));
    cr_expect_not(fair_queue_add(q, STR("a"), run, "4"));
    cr_expect_eq(fair_queue_waiting(q), 2);
    loop_run(loop);
    cr_expect_str_eq(order, "123");
    workers_free(w);
    fair_queue_free(q);
    loop_free(loop);
}
