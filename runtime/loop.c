#include "runtime/loop.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include <uv.h>

#include "base/mem.h"

struct loop_call {
    struct loop_call *next;
    void (*fn)(void *arg);
    void *arg;
};

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    /* Newest first: a push is one compare-and-swap, the loop takes the whole list by one exchange
     * and turns it round. */
    _Atomic(struct loop_call *) calls;
    _Atomic(uv_thread_t) thread;

    uv_signal_t sigterm, sigint, sighup;
    bool has_signals, has_reload;
    bool stop_signalled;
    void (*on_stop)(void *arg);
    void (*on_reload)(void *arg);
    void *signal_arg;
};

struct loop_timer {
    uv_timer_t uv;
    void (*fn)(void *arg);
    void *arg;
};

struct loop_watch {
    uv_poll_t uv;
    void (*fn)(void *arg);
    void *arg;
};

static void run_calls(struct loop *l)
{
    struct loop_call *newest = atomic_exchange_explicit(&l->calls, NULL, memory_order_acquire);
    struct loop_call *oldest = NULL;
    while (newest != NULL) {
        struct loop_call *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct loop_call call = *oldest;
        mem_free(oldest);
        oldest = call.next;
        call.fn(call.arg);
    }
}

static void on_wake(uv_async_t *wake)
{
    run_calls(wake->data);
}

void loop_run_posted(struct loop *l)
{
    run_calls(l);
}

struct loop *loop_new(void)
{
    struct loop *l = mem_zalloc(sizeof *l);
    ASSERT(uv_loop_init(&l->uv) == 0);
    ASSERT(uv_async_init(&l->uv, &l->wake, on_wake) == 0);
    l->wake.data = l;
    atomic_store(&l->thread, uv_thread_self());
    return l;
}

void loop_free(struct loop *l)
{
    if (l == NULL)
        return;
    atomic_store(&l->thread, uv_thread_self());
    uv_unref((uv_handle_t *)&l->wake);
    /* Calls posted after loop_run returned (a worker's last `done`) may free things: run them and
     * let what they closed go. */
    while (atomic_load(&l->calls) != NULL) {
        run_calls(l);
        uv_run(&l->uv, UV_RUN_DEFAULT);
    }
    if (l->has_signals) {
        uv_close((uv_handle_t *)&l->sigterm, NULL);
        uv_close((uv_handle_t *)&l->sigint, NULL);
        if (l->has_reload)
            uv_close((uv_handle_t *)&l->sighup, NULL);
    }
    uv_close((uv_handle_t *)&l->wake, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    ASSERT(uv_loop_close(&l->uv) == 0); /* someone left a handle open */
    mem_free(l);
}

uv_loop_t *loop_uv(struct loop *l)
{
    return &l->uv;
}

void loop_run(struct loop *l)
{
    atomic_store(&l->thread, uv_thread_self());
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

static void stop_on_loop(void *arg)
{
    struct loop *l = arg;
    /* The wake-up handle alone keeps an idle loop alive.  Without its reference the loop goes on,
     * still taking posts, until the last other handle is closed. */
    uv_unref((uv_handle_t *)&l->wake);
}

void loop_stop(struct loop *l)
{
    loop_post(l, stop_on_loop, l);
}

void loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
    struct loop_call *call = mem_alloc(sizeof *call);
    call->fn = fn;
    call->arg = arg;
    call->next = atomic_load_explicit(&l->calls, memory_order_relaxed);
    /* release: what the caller wrote before the post is seen by fn. */
    while (!atomic_compare_exchange_weak_explicit(&l->calls, &call->next, call,
                                                  memory_order_release, memory_order_relaxed))
        ;
    uv_async_send(&l->wake);
}

bool loop_is_loop_thread(const struct loop *l)
{
    uv_thread_t self = uv_thread_self(), thread = atomic_load(&l->thread);
    return uv_thread_equal(&self, &thread) != 0;
}

/* --- timers --- */

static void on_timer(uv_timer_t *uv)
{
    struct loop_timer *t = CONTAINER_OF(uv, struct loop_timer, uv);
    t->fn(t->arg);
}

struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg)
{
    struct loop_timer *t = mem_zalloc(sizeof *t);
    uv_timer_init(&l->uv, &t->uv);
    t->fn = fn;
    t->arg = arg;
    return t;
}

void loop_timer_start(struct loop_timer *t, uint64_t after_ms, uint64_t repeat_ms)
{
    /* Not 0: re-armed with it in its own callback, a timer would be all that libuv runs. */
    uv_timer_start(&t->uv, on_timer, MAX(after_ms, 1), repeat_ms);
}

void loop_timer_stop(struct loop_timer *t)
{
    uv_timer_stop(&t->uv);
}

static void on_timer_closed(uv_handle_t *h)
{
    mem_free(CONTAINER_OF((uv_timer_t *)h, struct loop_timer, uv));
}

void loop_timer_free(struct loop_timer *t)
{
    if (t != NULL)
        uv_close((uv_handle_t *)&t->uv, on_timer_closed);
}

/* --- descriptors --- */

static void on_readable(uv_poll_t *uv, int status, int events)
{
    struct loop_watch *w = CONTAINER_OF(uv, struct loop_watch, uv);
    (void)status, (void)events;
    w->fn(w->arg);
}

struct loop_watch *loop_watch_new(struct loop *l, int fd, void (*fn)(void *arg), void *arg)
{
    struct loop_watch *w = mem_zalloc(sizeof *w);
    ASSERT(uv_poll_init(&l->uv, &w->uv, fd) == 0);
    w->fn = fn;
    w->arg = arg;
    uv_poll_start(&w->uv, UV_READABLE, on_readable);
    return w;
}

static void on_watch_closed(uv_handle_t *h)
{
    mem_free(CONTAINER_OF((uv_poll_t *)h, struct loop_watch, uv));
}

void loop_watch_free(struct loop_watch *w)
{
    if (w == NULL)
        return;
    uv_poll_stop(&w->uv); /* leaves epoll at once */
    uv_close((uv_handle_t *)&w->uv, on_watch_closed);
}

/* --- signals --- */

static void on_stop_signal(uv_signal_t *s, int signum)
{
    (void)signum;
    struct loop *l = s->data;
    if (l->stop_signalled)
        _exit(1); /* asked twice: the orderly way hangs or takes too long */
    l->stop_signalled = true;
    l->on_stop(l->signal_arg);
}

static void on_reload_signal(uv_signal_t *s, int signum)
{
    (void)signum;
    struct loop *l = s->data;
    l->on_reload(l->signal_arg);
}

static void watch_signal(struct loop *l, uv_signal_t *s, int signum, uv_signal_cb cb)
{
    ASSERT(uv_signal_init(&l->uv, s) == 0);
    s->data = l;
    ASSERT(uv_signal_start(s, cb, signum) == 0);
    uv_unref((uv_handle_t *)s); /* stays armed while the loop drains, but does not hold it */
}

void loop_signals(struct loop *l, void (*on_stop)(void *arg), void (*on_reload)(void *arg),
                  void *arg)
{
    ASSERT(!l->has_signals);
    l->on_stop = on_stop;
    l->on_reload = on_reload;
    l->signal_arg = arg;
    l->has_signals = true;
    l->has_reload = on_reload != NULL;
    signal(SIGPIPE, SIG_IGN);
    watch_signal(l, &l->sigterm, SIGTERM, on_stop_signal);
    watch_signal(l, &l->sigint, SIGINT, on_stop_signal);
    if (l->has_reload)
        watch_signal(l, &l->sighup, SIGHUP, on_reload_signal);
}
