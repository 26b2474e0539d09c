#include "promtail/targets/file/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include <uv.h>

#include "base/clock.h"
#include "base/mem.h"
#include "promtail/targets/file/tail.h"
#include "runtime/loop.h"

#define TURN_NS             (4 * NS_PER_MS) /* then other events have their turn */
#define REST_MS             20
#define OPEN_MAX_LEAST      4
#define DESCRIPTORS_MAX     4096
#define TRIM_LOOKS          64           /* at files that could be closed, each time */
#define READ_BUFFER_MAX     (256u << 20) /* a line longer than that is read in parts */
#define DESCRIPTORS_DEFAULT 256
#define DESCRIPTORS_KEPT    24 /* for all but files */

struct tail_pool {
    struct loop *loop;
    uv_idle_t *idle; /* on the heap: it may outlive the pool until it is closed */
    bool is_running;
    struct loop_timer *rest;
    struct generation *first, *last;           /* queue */
    struct generation *open_first, *open_last; /* those to close, last read first */
    size_t n_open, open_max;
    size_t n_next; /* files opened that no generation has yet */
    struct buf buffer, decoded;
    struct arena arena;
    struct strmap metrics;
};

static const char *const path_names[] = {"path", NULL};

static struct metric_family *lines_family(void)
{
    return metric_family("promtail_read_lines_total", METRIC_COUNTER, "Number of lines read.",
                         path_names, NULL);
}

static struct metric_family *bytes_family(void)
{
    return metric_family("promtail_read_bytes_total", METRIC_GAUGE, "Number of bytes read.",
                         path_names, NULL);
}

static struct metric_family *size_family(void)
{
    return metric_family("promtail_file_bytes_total", METRIC_GAUGE, "Number of bytes total.",
                         path_names, NULL);
}

static void stop_running(struct tail_pool *p)
{
    if (p->is_running)
        uv_idle_stop(p->idle);
    p->is_running = false;
}

static struct generation *take_first(struct tail_pool *p)
{
    struct generation *g = p->first;
    p->first = g->queue_next;
    if (p->first == NULL)
        p->last = NULL;
    g->queue_next = NULL;
    g->is_queued = false;
    return g;
}

/* Takes turns until the time is over.  A round in which nobody could put anything ends it. */
static void on_idle(uv_idle_t *idle)
{
    struct tail_pool *p = idle->data;
    int64_t until = clock_mono_ns() + TURN_NS;
    struct generation *first_full = NULL;
    while (p->first != NULL) {
        struct generation *g = take_first(p);
        if (generation_is_held_up(g)) {
            bool went_round = first_full == g;
            if (first_full == NULL)
                first_full = g;
            tail_pool_enqueue(p, g);
            if (went_round || p->first == g) {
                stop_running(p);
                loop_timer_start(p->rest, REST_MS, 0);
                return;
            }
            continue;
        }
        first_full = NULL;
        if (generation_read(g))
            tail_pool_enqueue(p, g);
        if (clock_mono_ns() >= until)
            return;
    }
    stop_running(p);
}

static void run(void *arg)
{
    struct tail_pool *p = arg;
    if (!p->is_running && p->first != NULL) {
        p->is_running = true;
        uv_idle_start(p->idle, on_idle);
    }
}

void tail_pool_enqueue(struct tail_pool *p, struct generation *g)
{
    if (g->is_queued)
        return;
    g->is_queued = true;
    g->queue_next = NULL;
    if (p->last != NULL)
        p->last->queue_next = g;
    else
        p->first = g;
    p->last = g;
    run(p);
}

void tail_pool_remove(struct tail_pool *p, struct generation *g)
{
    if (!g->is_queued)
        return;
    struct generation **at = &p->first, *before = NULL;
    while (*at != g) {
        before = *at;
        at = &(*at)->queue_next;
    }
    *at = g->queue_next;
    if (p->last == g)
        p->last = before;
    g->queue_next = NULL;
    g->is_queued = false;
}

/* --- descriptors --- */

static size_t descriptors_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return DESCRIPTORS_DEFAULT;
    if (limit.rlim_cur < limit.rlim_max) { /* as Go programs do */
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    size_t left = limit.rlim_cur > DESCRIPTORS_KEPT ? limit.rlim_cur - DESCRIPTORS_KEPT : 0;
    return MAX((size_t)OPEN_MAX_LEAST, MIN(left / 2, (size_t)DESCRIPTORS_MAX));
}

static void open_unlink(struct tail_pool *p, struct generation *g)
{
    if (!g->is_listed)
        return;
    g->is_listed = false;
    *(g->open_prev != NULL ? &g->open_prev->open_next : &p->open_first) = g->open_next;
    *(g->open_next != NULL ? &g->open_next->open_prev : &p->open_last) = g->open_prev;
}

static void open_link(struct tail_pool *p, struct generation *g)
{
    g->is_listed = true;
    g->open_prev = NULL;
    g->open_next = p->open_first;
    *(p->open_first != NULL ? &p->open_first->open_prev : &p->open_last) = g;
    p->open_first = g;
}

void tail_pool_closed(struct tail_pool *p, struct generation *g)
{
    open_unlink(p, g);
    p->n_open--;
}

void tail_pool_read(struct tail_pool *p, struct generation *g)
{
    if (!g->is_listed)
        return;
    open_unlink(p, g);
    open_link(p, g);
}

void tail_pool_keep(struct tail_pool *p, struct generation *g)
{
    open_unlink(p, g);
}

bool tail_pool_is_full(const struct tail_pool *p)
{
    return p->n_open + p->n_next >= p->open_max + p->open_max / 2;
}

void tail_pool_trim(struct tail_pool *p, size_t looks)
{
    struct generation *g = p->open_last, *before;
    for (; looks > 0 && g != NULL && p->n_open >= p->open_max; looks--, g = before) {
        before = g->open_prev;
        if (generation_may_close(g))
            generation_close_fd(g);
    }
}

int tail_pool_open(struct tail_pool *p, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 || (errno != EMFILE && errno != ENFILE))
        return fd;
    p->open_max = MAX(p->n_open * 3 / 4, (size_t)OPEN_MAX_LEAST);
    tail_pool_trim(p, SIZE_MAX);
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

void tail_pool_next_opened(struct tail_pool *p)
{
    p->n_next++;
}

void tail_pool_next_gone(struct tail_pool *p)
{
    p->n_next--;
}

void tail_pool_opened(struct tail_pool *p, struct generation *g)
{
    tail_pool_trim(p, TAIL_POOL_FEW);
    open_link(p, g);
    p->n_open++;
}

/* --- shared things --- */

struct buf *tail_pool_buffer(struct tail_pool *p)
{
    return &p->buffer;
}

struct buf *tail_pool_decoded(struct tail_pool *p)
{
    return &p->decoded;
}

struct arena *tail_pool_arena(struct tail_pool *p)
{
    return &p->arena;
}

struct path_metrics *tail_pool_metrics(struct tail_pool *p, str path)
{
    struct path_metrics *m = strmap_get(&p->metrics, path);
    if (m == NULL) {
        m = mem_zalloc(sizeof *m);
        m->lines = metric_with1(lines_family(), path);
        m->bytes = metric_with1(bytes_family(), path);
        m->size = metric_with1(size_family(), path);
        strmap_put(&p->metrics, path, m);
    }
    m->refs++;
    return m;
}

void tail_pool_metrics_unref(struct tail_pool *p, str path)
{
    struct path_metrics *m = strmap_get(&p->metrics, path);
    if (m == NULL || --m->refs > 0)
        return;
    metric_remove(lines_family(), &path, 1);
    metric_remove(bytes_family(), &path, 1);
    metric_remove(size_family(), &path, 1);
    strmap_remove(&p->metrics, path);
    mem_free(m);
}

struct tail_pool *tail_pool_new(struct loop *l)
{
    struct tail_pool *p = mem_zalloc(sizeof *p);
    p->loop = l;
    p->idle = mem_zalloc(sizeof *p->idle);
    uv_idle_init(loop_uv(l), p->idle);
    p->idle->data = p;
    p->rest = loop_timer_new(l, run, p);
    p->open_max = descriptors_max();
    buf_init(&p->buffer, READ_BUFFER_MAX);
    buf_init(&p->decoded, READ_BUFFER_MAX);
    arena_init(&p->arena, SIZE_MAX);
    strmap_init(&p->metrics);
    return p;
}

static void on_idle_closed(uv_handle_t *h)
{
    mem_free(h);
}

void tail_pool_free(struct tail_pool *p)
{
    ASSERT(p->first == NULL && p->n_open == 0);
    stop_running(p);
    uv_close((uv_handle_t *)p->idle, on_idle_closed);
    loop_timer_free(p->rest);
    buf_deinit(&p->buffer);
    buf_deinit(&p->decoded);
    arena_deinit(&p->arena);
    strmap_deinit(&p->metrics);
    mem_free(p);
}
