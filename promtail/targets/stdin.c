/* -stdin: lines from standard input, under the labels of the first job, until its end. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "base/clock.h"
#include "base/mem.h"
#include "promtail/targets/all.h"
#include "runtime/loop.h"

#define READ_BYTES     (64 * 1024)
#define HOST_BYTES     256
#define LINE_BYTES_MAX (64u << 20)
#define RETRY_MS       10 /* a plain file cannot be polled; and when the clients are full */

struct stdin_target {
    struct target base;
    const struct target_env *env;
    struct label_list labels;
    struct arena labels_arena, arena;
    uv_poll_t *poll; /* NULL for a plain file */
    struct loop_timer *timer;
    struct buf pending; /* bytes not yet ended by a newline */
    bool at_end, is_stopped;
    int64_t last_ts_ns;
};

static void put_line(struct stdin_target *t, str line)
{
    while (line.len > 0 && (line.ptr[line.len - 1] == '\r' || line.ptr[line.len - 1] == '\n'))
        line.len--;
    if (line.len == 0)
        return;
    struct record r;
    arena_reset(&t->arena);
    record_init(&r, &t->arena, &t->labels);
    r.line = line;
    int64_t now_ns = clock_now_ns();
    r.ts_ns = t->last_ts_ns = MAX(now_ns, t->last_ts_ns + 1);
    record_sink_put(&t->base.pipeline->sink, &r);
}

static void put_lines(struct stdin_target *t)
{
    size_t at = 0;
    for (;;) {
        str rest = str_from(buf_str(&t->pending), at);
        size_t nl = str_find_char(rest, '\n');
        if (nl == STR_NPOS)
            break;
        put_line(t, str_sub(rest, 0, nl));
        at += nl + 1;
    }
    if (at > 0) {
        memmove(t->pending.ptr, t->pending.ptr + at, t->pending.len - at);
        t->pending.len -= at;
    }
    if (t->pending.len > LINE_BYTES_MAX) {
        put_line(t, buf_str(&t->pending));
        buf_reset(&t->pending);
    }
}

static void end(struct stdin_target *t)
{
    t->at_end = true;
    put_line(t, buf_str(&t->pending));
    buf_reset(&t->pending);
    if (t->poll != NULL)
        uv_poll_stop(t->poll);
    loop_timer_stop(t->timer);
    t->env->on_end(t->env->on_end_arg);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void read_some(struct stdin_target *t)
{
    if (t->at_end || t->is_stopped)
        return;
    if (record_sink_is_full(&t->base.pipeline->sink)) {
        if (t->poll != NULL)
            uv_poll_stop(t->poll);
        loop_timer_start(t->timer, RETRY_MS, 0);
        return;
    }
    buf_reserve(&t->pending, READ_BYTES);
    ssize_t n = read(STDIN_FILENO, t->pending.ptr + t->pending.len, READ_BYTES);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        n = -1;
    else if (n <= 0) {
        end(t);
        return;
    }
    if (n > 0) {
        t->pending.len += (size_t)n;
        put_lines(t);
    }
    if (t->poll != NULL)
        uv_poll_start(t->poll, UV_READABLE, on_poll);
    else
        loop_timer_start(t->timer, 1, 0);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    if (poll->data != NULL)
        read_some(poll->data);
}

static void on_timer(void *arg)
{
    read_some(arg);
}

/* Without any job. */
static void take_default_labels(struct stdin_target *t)
{
    char host[HOST_BYTES] = "";
    label_list_set(&t->labels, &t->labels_arena, STR("job"), STR("stdin"));
    if (gethostname(host, sizeof host - 1) == 0)
        label_list_set(&t->labels, &t->labels_arena, STR("hostname"),
                       arena_str(&t->labels_arena, str_c(host)));
}

/* The labels of all static groups as they stand, the last of a name: a __path__ too (Promtail's
 * way). */
static void take_labels(struct stdin_target *t)
{
    const struct scrape_config *job = t->base.job;
    if (t->env->config->n_scrapes == 0)
        take_default_labels(t);
    for (size_t i = 0; i < job->n_static_configs; i++) {
        const struct label_list *group = &job->static_configs[i].labels;
        for (size_t j = 0; j < group->n; j++)
            label_list_set(&t->labels, &t->labels_arena, group->items[j].name,
                           group->items[j].value);
    }
    label_list_sort(&t->labels);
}

static int start(const struct target_env *env, const struct scrape_config *job,
                 struct pipeline *pipeline, struct target **ret, struct error *err)
{
    (void)err;
    struct stdin_target *t = mem_zalloc(sizeof *t);
    struct stat st;
    t->base = (struct target){&target_stdin, job, pipeline};
    t->env = env;
    arena_init(&t->arena, SIZE_MAX);
    arena_init(&t->labels_arena, SIZE_MAX);
    buf_init(&t->pending, 2 * LINE_BYTES_MAX);
    take_labels(t);
    t->timer = loop_timer_new(env->loop, on_timer, t);
    if (fstat(STDIN_FILENO, &st) == 0 && !S_ISREG(st.st_mode)) {
        t->poll = mem_zalloc(sizeof *t->poll);
        if (uv_poll_init(loop_uv(env->loop), t->poll, STDIN_FILENO) == 0) {
            t->poll->data = t;
        } else { /* /dev/null, for instance */
            mem_free(t->poll);
            t->poll = NULL;
        }
    }
    loop_timer_start(t->timer, 1, 0);
    *ret = &t->base;
    return 0;
}

static void on_closed(uv_handle_t *h)
{
    mem_free(h);
}

static void stop(struct target *base, void (*stopped)(void *arg), void *arg)
{
    struct stdin_target *t = (struct stdin_target *)base;
    t->is_stopped = true;
    loop_timer_stop(t->timer);
    if (t->poll != NULL) {
        t->poll->data = NULL;
        uv_close((uv_handle_t *)t->poll, on_closed);
        t->poll = NULL;
    }
    stopped(arg);
}

static void free_target(struct target *base)
{
    struct stdin_target *t = (struct stdin_target *)base;
    loop_timer_free(t->timer);
    buf_deinit(&t->pending);
    arena_deinit(&t->arena);
    arena_deinit(&t->labels_arena);
    mem_free(t);
}

static bool is_ready(const struct target *base)
{
    (void)base;
    return true;
}

static void each_row(const struct target *base,
                     void (*row)(void *arg, const struct target_row *row), void *arg)
{
    const struct stdin_target *t = (const struct stdin_target *)base;
    row(arg, &(struct target_row){&t->labels, &t->labels, STR_EMPTY, true});
}

const struct target_ops target_stdin = {.kind = "Stdin",
                                        .start = start,
                                        .stop = stop,
                                        .free = free_target,
                                        .is_ready = is_ready,
                                        .each_row = each_row};
