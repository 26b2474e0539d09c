#include "runtime/workers.h"

#include <stdatomic.h>
#include <stdbool.h>

#include <uv.h>

#include "base/mem.h"
#include "base/status.h"
#include "runtime/loop.h"

#define WORKERS_MAX 256

struct job {
    void (*run)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

/* One workers_parallel() under way; lives on its caller's stack.  `next` is shared by all who take
 * part; the rest is guarded by the pool's lock. */
struct split {
    void (*fn)(void *arg, size_t i);
    void *arg;
    size_t n;
    _Atomic size_t next; /* index to be taken next; >= n: none left */
    size_t helpers;      /* workers inside fn */
    struct split *prev_split, *next_split;
};

struct workers {
    struct loop *loop;
    uv_mutex_t lock; /* guards everything below */
    uv_cond_t work;  /* a job or a split came, or stop */
    uv_cond_t left;  /* the last helper left a split */
    struct job *ring;
    size_t ring_cap, head, len;
    struct split *splits; /* those with indices to take, oldest first by and large */
    bool is_stopping;
    unsigned n_threads;
    uv_thread_t threads[];
};

static void split_run(struct split *s)
{
    for (;;) {
        size_t i = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed);
        if (i >= s->n)
            return;
        s->fn(s->arg, i);
    }
}

static void split_unlink(struct workers *w, struct split *s)
{
    if (s->prev_split != NULL)
        s->prev_split->next_split = s->next_split;
    else if (w->splits == s)
        w->splits = s->next_split;
    else
        return; /* taken out already */
    if (s->next_split != NULL)
        s->next_split->prev_split = s->prev_split;
    s->prev_split = s->next_split = NULL;
}

/* Called and returns with the lock held. */
static void help_split(struct workers *w, struct split *s)
{
    s->helpers++;
    uv_mutex_unlock(&w->lock);
    split_run(s);
    uv_mutex_lock(&w->lock);
    split_unlink(w, s); /* nothing left to take */
    if (--s->helpers == 0)
        uv_cond_broadcast(&w->left);
}

static void run_job(struct workers *w)
{
    struct job job = w->ring[w->head];
    w->head = (w->head + 1) % w->ring_cap;
    w->len--;
    uv_mutex_unlock(&w->lock);
    job.run(job.arg);
    if (job.done != NULL)
        loop_post(w->loop, job.done, job.arg);
    uv_mutex_lock(&w->lock);
}

static void worker_main(void *arg)
{
    struct workers *w = arg;
    uv_mutex_lock(&w->lock);
    for (;;) {
        if (w->splits != NULL) /* first finish what is begun: a job is already waiting on it */
            help_split(w, w->splits);
        else if (w->len > 0)
            run_job(w);
        else if (w->is_stopping)
            break;
        else
            uv_cond_wait(&w->work, &w->lock);
    }
    uv_mutex_unlock(&w->lock);
}

struct workers *workers_new(struct loop *l, unsigned n_threads, size_t queue_max)
{
    if (n_threads == 0)
        n_threads = uv_available_parallelism();
    n_threads = MIN(n_threads, WORKERS_MAX);
    struct workers *w = mem_zalloc(sizeof *w + n_threads * sizeof w->threads[0]);
    w->loop = l;
    w->n_threads = n_threads;
    w->ring_cap = MAX(queue_max, 1);
    w->ring = mem_array(w->ring_cap, sizeof *w->ring);
    ASSERT(uv_mutex_init(&w->lock) == 0);
    ASSERT(uv_cond_init(&w->work) == 0);
    ASSERT(uv_cond_init(&w->left) == 0);
    for (unsigned i = 0; i < n_threads; i++)
        ASSERT(uv_thread_create(&w->threads[i], worker_main, w) == 0);
    return w;
}

void workers_free(struct workers *w)
{
    if (w == NULL)
        return;
    uv_mutex_lock(&w->lock);
    w->is_stopping = true;
    uv_cond_broadcast(&w->work);
    uv_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->n_threads; i++)
        uv_thread_join(&w->threads[i]);
    ASSERT(w->len == 0 && w->splits == NULL);
    uv_cond_destroy(&w->left);
    uv_cond_destroy(&w->work);
    uv_mutex_destroy(&w->lock);
    mem_free(w->ring);
    mem_free(w);
}

unsigned workers_count(const struct workers *w)
{
    return w->n_threads;
}

int workers_submit(struct workers *w, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
    int code = 0;
    uv_mutex_lock(&w->lock);
    if (w->len == w->ring_cap) {
        code = E_FULL;
    } else {
        w->ring[(w->head + w->len) % w->ring_cap] = (struct job){run, done, arg};
        w->len++;
        uv_cond_signal(&w->work);
    }
    uv_mutex_unlock(&w->lock);
    return code;
}

void workers_parallel(struct workers *w, void (*fn)(void *arg, size_t i), void *arg, size_t n)
{
    if (n <= 1 || w == NULL) {
        for (size_t i = 0; i < n; i++)
            fn(arg, i);
        return;
    }
    struct split s = {.fn = fn, .arg = arg, .n = n};
    uv_mutex_lock(&w->lock);
    struct split **tail = &w->splits;
    while (*tail != NULL) {
        s.prev_split = *tail;
        tail = &(*tail)->next_split;
    }
    *tail = &s;
    uv_cond_broadcast(&w->work);
    uv_mutex_unlock(&w->lock);

    split_run(&s);

    uv_mutex_lock(&w->lock);
    split_unlink(w, &s);
    while (s.helpers > 0)
        uv_cond_wait(&w->left, &w->lock);
    uv_mutex_unlock(&w->lock);
}
