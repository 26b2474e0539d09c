#include "runtime/loop.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

struct order {
    struct loop *loop;
    int seen[4];
    int n;
};

struct order_call {
    struct order *order;
    int value;
};

static void note(void *arg)
{
    struct order_call *c = arg;
    c->order->seen[c->order->n++] = c->value;
    cr_assert(loop_is_loop_thread(c->order->loop));
}

Test(runtime_loop, runs_posted_calls_in_order)
{
    struct order o = {.loop = loop_new()};
    struct order_call calls[] = {{&o, 1}, {&o, 2}, {&o, 3}};
    for (int i = 0; i < 3; i++)
        loop_post(o.loop, note, &calls[i]);
    loop_stop(o.loop);
    loop_run(o.loop);
    cr_assert_eq(o.n, 3);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(o.seen[i], i + 1);
    loop_free(o.loop);
}

#define POSTERS      4
#define POSTS_EACH   5000
#define POSTS_IN_ALL (POSTERS * POSTS_EACH)

struct flood {
    struct loop *loop;
    int count;
    int last[POSTERS];
};

struct flood_call {
    struct flood *flood;
    int poster, number;
};

static void count_call(void *arg)
{
    struct flood_call *c = arg;
    struct flood *f = c->flood;
    cr_assert_eq(c->number, f->last[c->poster]++);
    if (++f->count == POSTS_IN_ALL)
        loop_stop(f->loop);
}

static void *post_many(void *arg)
{
    struct flood_call *calls = arg;
    for (int i = 0; i < POSTS_EACH; i++)
        loop_post(calls[i].flood->loop, count_call, &calls[i]);
    return NULL;
}

Test(runtime_loop, takes_posts_from_many_threads_each_in_its_order)
{
    struct flood f = {.loop = loop_new()};
    static struct flood_call calls[POSTERS][POSTS_EACH];
    pthread_t threads[POSTERS];
    for (int p = 0; p < POSTERS; p++) {
        for (int i = 0; i < POSTS_EACH; i++)
            calls[p][i] = (struct flood_call){&f, p, i};
        pthread_create(&threads[p], NULL, post_many, calls[p]);
    }
    loop_run(f.loop);
    for (int p = 0; p < POSTERS; p++)
        pthread_join(threads[p], NULL);
    cr_assert_eq(f.count, POSTS_IN_ALL);
    loop_free(f.loop);
}

struct ticker {
    struct loop *loop;
    struct loop_timer *timer;
    int ticks;
};

static void on_tick(void *arg)
{
    struct ticker *t = arg;
    if (++t->ticks < 3) {
        loop_timer_start(t->timer, 1, 0); /* re-armed in its own callback */
        return;
    }
    loop_timer_free(t->timer);
    loop_stop(t->loop);
}

Test(runtime_loop, timers_are_rearmed_and_freed_in_their_callback)
{
    struct ticker t = {.loop = loop_new()};
    t.timer = loop_timer_new(t.loop, on_tick, &t);
    loop_timer_start(t.timer, 1, 0);
    loop_run(t.loop);
    cr_assert_eq(t.ticks, 3);
    loop_timer_free(NULL);
    loop_free(t.loop);
}

static void free_timer(void *arg)
{
    loop_timer_free(arg);
}

Test(runtime_loop, runs_what_was_posted_after_it_returned_when_it_is_freed)
{
    struct loop *l = loop_new();
    struct loop_timer *timer = loop_timer_new(l, on_tick, NULL);
    loop_stop(l);
    loop_run(l);
    loop_post(l, free_timer, timer);
    loop_free(l);
}

static void stop_loop(void *arg)
{
    loop_stop(arg);
}

static void raise_twice(void *arg)
{
    (void)arg;
    raise(SIGTERM);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

Test(runtime_loop, first_signal_stops_and_second_exits)
{
    pid_t child = fork();
    if (child == 0) {
        struct loop *l = loop_new();
        loop_signals(l, stop_loop, NULL, l);
        loop_post(l, raise_twice, NULL);
        loop_run(l);
        loop_free(l);
        _exit(7);
    }
    int status;
    waitpid(child, &status, 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);

    child = fork();
    if (child == 0) {
        struct loop *l = loop_new();
        loop_signals(l, do_nothing, NULL, NULL);
        struct loop_timer *timer = loop_timer_new(l, raise_twice, NULL);
        loop_timer_start(timer, 1, 5);
        loop_run(l);
        _exit(7);
    }
    waitpid(child, &status, 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

struct watched {
    struct loop *loop;
    struct loop_watch *watch;
    int pipe[2];
    int n;
};

static void on_byte(void *arg)
{
    struct watched *w = arg;
    char byte;
    cr_assert_eq(read(w->pipe[0], &byte, 1), 1);
    if (++w->n < 3)
        return;
    loop_watch_free(w->watch); /* in its own call, with bytes left */
    loop_stop(w->loop);
}

Test(runtime_loop, watches_a_descriptor_until_it_is_freed)
{
    struct watched w = {.loop = loop_new()};
    cr_assert_eq(pipe(w.pipe), 0);
    w.watch = loop_watch_new(w.loop, w.pipe[0], on_byte, &w);
    cr_assert_eq(write(w.pipe[1], "12345", 5), 5);
    loop_run(w.loop);
    cr_assert_eq(w.n, 3);
    loop_free(w.loop);
    close(w.pipe[0]);
    close(w.pipe[1]);
}
