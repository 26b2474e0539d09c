#include "runtime/workers.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "base/status.h"
#include "runtime/loop.h"

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

struct sums {
    struct loop *loop;
    struct workers *workers;
    _Atomic int ran;
    int done;
};

static void run_one(void *arg)
{
    struct sums *s = arg;
    atomic_fetch_add(&s->ran, 1);
}

static void done_one(void *arg)
{
    struct sums *s = arg;
    cr_assert(loop_is_loop_thread(s->loop));
    if (++s->done == 100)
        loop_stop(s->loop);
}

Test(runtime_workers, runs_jobs_and_reports_on_the_loop)
{
    struct sums s = {.loop = loop_new()};
    s.workers = workers_new(s.loop, 3, 100);
    cr_assert_eq(workers_count(s.workers), 3);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(workers_submit(s.workers, run_one, done_one, &s), 0);
    loop_run(s.loop);
    cr_assert_eq(atomic_load(&s.ran), 100);
    workers_free(s.workers);
    loop_free(s.loop);
}

struct gate {
    _Atomic bool is_open;
    _Atomic int entered;
};

static void wait_at_gate(void *arg)
{
    struct gate *g = arg;
    atomic_fetch_add(&g->entered, 1);
    while (!atomic_load(&g->is_open))
        sleep_ms(1);
}

Test(runtime_workers, refuses_when_the_queue_is_full)
{
    struct gate g = {0};
    struct loop *l = loop_new();
    struct workers *w = workers_new(l, 1, 2);
    cr_assert_eq(workers_submit(w, wait_at_gate, NULL, &g), 0);
    while (atomic_load(&g.entered) == 0)
        sleep_ms(1);
    cr_assert_eq(workers_submit(w, wait_at_gate, NULL, &g), 0);
    cr_assert_eq(workers_submit(w, wait_at_gate, NULL, &g), 0);
    cr_assert_eq(workers_submit(w, wait_at_gate, NULL, &g), E_FULL);
    atomic_store(&g.is_open, true);
    workers_free(w); /* finishes what is queued */
    cr_assert_eq(atomic_load(&g.entered), 3);
    loop_free(l);
}

static void count_index(void *arg, size_t i)
{
    _Atomic int *hits = arg;
    atomic_fetch_add(&hits[i], 1);
}

Test(runtime_workers, parallel_calls_each_index_once)
{
    static _Atomic int hits[10000];
    struct loop *l = loop_new();
    struct workers *w = workers_new(l, 4, 10);
    workers_parallel(w, count_index, hits, 10000);
    for (int i = 0; i < 10000; i++)
        cr_assert_eq(atomic_load(&hits[i]), 1);
    workers_parallel(w, count_index, hits, 0);
    workers_parallel(w, count_index, hits, 1);
    cr_assert_eq(atomic_load(&hits[0]), 2);
    workers_free(w);
    loop_free(l);
}

struct nested {
    struct workers *workers;
    _Atomic int sum;
};

static void add_one(void *arg, size_t i)
{
    (void)i;
    struct nested *n = arg;
    atomic_fetch_add(&n->sum, 1);
}

static void split_job(void *arg)
{
    struct nested *n = arg;
    workers_parallel(n->workers, add_one, n, 100);
}

static void split_again(void *arg, size_t i)
{
    (void)i;
    split_job(arg);
}

Test(runtime_workers, parallel_inside_jobs_never_waits_for_a_free_worker)
{
    struct nested n = {0};
    struct loop *l = loop_new();
    n.workers = workers_new(l, 2, 100);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(workers_submit(n.workers, split_job, NULL, &n), 0);
    workers_parallel(n.workers, split_again, &n, 20);
    workers_free(n.workers);
    cr_assert_eq(atomic_load(&n.sum), 4000);
    loop_free(l);
}
