/* The file target of a job: from service discovery by relabelling and globbing to tails.
 *
 *   provider -> group -> relabel -> file_target (labels, pattern) -> tail per path
 *
 * What stands here again and again is a reconcile: what should be is compared with what is. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "promtail/discovery/discovery.h"
#include "promtail/discovery/providers.h"
#include "promtail/targets/all.h"
#include "promtail/targets/file/file_target.h"
#include "promtail/targets/file/found.h"
#include "promtail/targets/file/glob.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

#define COMPONENT         "file"
#define SETTLE_MS         20 /* after an event, before folders are read again */
#define SCAN_SHARE        20 /* at most one part in so many of the time goes to that */
#define BEGIN_TRIES       3  /* at once; then again after a while */
#define BEGIN_SHARE       10 /* at most one part in so many goes to that */
#define BEGIN_WAIT_MAX_MS 500
#define BEGIN_AGAIN_MS    50
#define POLL_WATCHED_MS   2000 /* files of watched folders: only a net below inotify */
#define TARGETS_MAX       1000000

struct file_manager {
    struct target base;
    const struct target_env *env;
    struct file_target_env files;
    VEC(struct provider *) providers;
    struct found_set found;
    struct strmap targets; /* key -> struct file_target */
    struct loop_timer *settle, *sync, *poll, *begin;
    bool is_settling;      /* the timer runs because of an event */
    bool is_beginning;     /* and this one because of a tail */
    int64_t last_scan_ns;  /* it took */
    int64_t last_begin_ns; /* the same */
    bool is_changed;       /* groups changed since the targets were made */
    bool is_stopped;
    unsigned round;
    int64_t next_full_poll_ns;
};

/* A pattern that takes rotated names in too reads them as files of their own. */
static bool is_tailed(void *arg, str path)
{
    struct file_manager *m = arg;
    size_t at = 0;
    void *item;
    while (strmap_next(&m->targets, &at, NULL, &item))
        if (glob_match(((struct file_target *)item)->pattern, path))
            return true;
    return false;
}

static bool is_named(void *arg, str name)
{
    struct file_manager *m = arg;
    str path = str_from(name, str_rfind_char(name, '\x1f') + 1);
    size_t at = 0;
    void *item;
    while (strmap_next(&m->targets, &at, NULL, &item)) {
        const struct file_target *target = item;
        const struct tail *t = strmap_get(&target->tails, path);
        if (t != NULL && !target->is_leaving && str_eq_c(name, t->name))
            return true;
    }
    return false;
}

/* --- targets --- */

static str target_key(struct arena *a, const struct found_target *f)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    buf_append_str(&b, label_list_get(&f->labels, STR("__path__")));
    buf_append_char(&b, '\n');
    buf_append_str(&b, label_list_get(&f->labels, STR("__path_exclude__")));
    for (size_t i = 0; i < f->labels.n; i++) {
        const struct label *l = &f->labels.items[i];
        if (!str_has_prefix(l->name, STR("__")))
            buf_printf(&b, "\n%.*s=%.*s", STR_ARG(l->name), STR_ARG(l->value));
    }
    str key = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return key;
}

static void want_target(struct file_manager *m, const struct found_target *f)
{
    struct arena a;
    arena_init(&a, SIZE_MAX);
    str key = target_key(&a, f);
    struct file_target *t = strmap_get(&m->targets, key);
    if (t == NULL && m->targets.len < TARGETS_MAX) {
        t = file_target_new(&m->files, key, &f->discovered, &f->labels);
        strmap_put(&m->targets, key, t);
        log_info(COMPONENT, "Adding target", LOG_S("path", t->pattern),
                 LOG_C("job", m->base.job->job_name));
        t->round = m->round;
        file_target_scan(t);
    } else if (t != NULL) {
        found_count_failed("exists");
    }
    if (t != NULL)
        t->round = m->round;
    if (t != NULL && t->is_leaving)
        file_target_come_back(t);
    arena_deinit(&a);
}

/* True if a target that stays waits to begin with the path. */
static bool has_heir(const struct file_manager *m, str path)
{
    size_t at = 0;
    void *item;
    while (strmap_next(&m->targets, &at, NULL, &item)) {
        const struct file_target *target = item;
        const struct tail *t = strmap_get(&target->tails, path);
        if (t != NULL && !target->is_leaving && t->is_waiting && tail_current(t) == NULL)
            return true;
    }
    return false;
}

/* The same path under other labels: who begins with it goes on where this one stands. */
static void yield_to_heirs(struct file_manager *m, struct file_target *leaving)
{
    size_t at = 0;
    str path;
    void *tail;
    while (strmap_next(&leaving->tails, &at, &path, &tail))
        if (has_heir(m, path))
            tail_yield(tail);
}

static void leave_unwanted(struct file_manager *m)
{
    size_t at = 0;
    void *item;
    while (strmap_next(&m->targets, &at, NULL, &item)) {
        struct file_target *t = item;
        if (t->round == m->round || t->is_leaving)
            continue;
        log_info(COMPONENT, "Removing target", LOG_S("path", t->pattern));
        file_target_leave(t);
        yield_to_heirs(m, t);
    }
}

static void drop_left(struct file_manager *m)
{
    VEC(struct file_target *) gone = {0};
    size_t at = 0;
    void *item;
    while (strmap_next(&m->targets, &at, NULL, &item)) {
        struct file_target *t = item;
        if (!t->is_leaving)
            continue;
        file_target_check(t);
        if (file_target_is_over(t))
            VEC_PUSH(&gone, t);
    }
    for (size_t i = 0; i < gone.len; i++) {
        strmap_remove(&m->targets, str_c(gone.items[i]->key));
        file_target_let_go(gone.items[i]);
    }
    VEC_FREE(&gone);
}

static void reconcile(struct file_manager *m)
{
    m->is_changed = false;
    m->round++;
    const struct found_group *g;
    for (size_t at = 0; (g = found_next(&m->found, &at)) != NULL;)
        for (size_t i = 0; i < g->n; i++)
            if (g->targets[i].dropped == NULL)
                want_target(m, &g->targets[i]);
            else
                found_count_failed(g->targets[i].dropped->metric);
    leave_unwanted(m);
    drop_left(m);
}

static void on_group(void *arg, struct provider *p, const struct target_group *group)
{
    struct file_manager *m = arg;
    found_put(&m->found, p, group);
    m->is_changed = true;
    if (m->settle != NULL)
        loop_timer_start(m->settle, 1, 0); /* one reconcile for many groups */
}

/* --- events and timers --- */

static bool check_path(struct file_manager *m, str path)
{
    bool is_known = false;
    size_t at = 0;
    void *item;
    while (strmap_next(&m->targets, &at, NULL, &item)) {
        struct tail *t = strmap_get(&((struct file_target *)item)->tails, path);
        if (t == NULL)
            continue;
        is_known = true;
        tail_on_event(t); /* freed, if at all, at the next poll */
    }
    return is_known;
}

/* Soon, but never so often that reading the folders takes more than a small part of the time. */
static void settle_soon(struct file_manager *m)
{
    int64_t wait_ns = MAX(SETTLE_MS * NS_PER_MS, m->last_scan_ns * SCAN_SHARE);
    if (!m->is_settling)
        loop_timer_start(m->settle, (uint64_t)(wait_ns / NS_PER_MS), 0);
    m->is_settling = true;
}

static void on_event(void *arg, str dir, str name, bool is_new)
{
    struct file_manager *m = arg;
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%.*s%s%.*s", STR_ARG(dir),
                     dir.len > 1 && name.len > 0 ? "/" : "", STR_ARG(name));
    if (n <= 0 || (size_t)n >= sizeof path)
        return;
    bool is_known = check_path(m, str_c(path));
    if (!is_known && (is_new || strmap_get(&m->files.links, str_c(path)) != NULL))
        settle_soon(m);
}

static void scan_all(struct file_manager *m)
{
    int64_t start_ns = clock_mono_ns();
    size_t at = 0;
    void *item;
    while (strmap_next(&m->targets, &at, NULL, &item)) {
        file_target_check(item);
        if (!((struct file_target *)item)->is_leaving)
            file_target_scan(item);
    }
    m->last_scan_ns = clock_mono_ns() - start_ns;
}

static void on_settle(void *arg)
{
    struct file_manager *m = arg;
    bool is_event = m->is_settling;
    m->is_settling = false;
    if (m->is_changed)
        reconcile(m); /* which reads the folders of new targets only: pods change often */
    if (is_event)
        scan_all(m);
}

static void on_sync(void *arg)
{
    struct file_manager *m = arg;
    scan_all(m);
    size_t at = 0, i;
    void *target, *tail;
    while (strmap_next(&m->targets, &at, NULL, &target))
        for (i = 0; strmap_next(&((struct file_target *)target)->tails, &i, NULL, &tail);)
            tail_tell_position(tail);
}

/* Looks at what no event tells about, and now and then at all. */
static void on_poll(void *arg)
{
    struct file_manager *m = arg;
    int64_t now_ns = clock_mono_ns();
    bool all = now_ns >= m->next_full_poll_ns;
    if (all)
        m->next_full_poll_ns = now_ns + POLL_WATCHED_MS * NS_PER_MS;
    size_t at = 0;
    void *item;
    while (strmap_next(&m->targets, &at, NULL, &item)) {
        if (all)
            file_target_check(item);
        else
            file_target_check_unwatched(item);
    }
    drop_left(m);
    if (all)
        tail_pool_trim(m->env->tail_pool, SIZE_MAX);
}

static void begin_in(struct file_manager *m, int64_t wait_ms)
{
    if (!m->is_beginning)
        loop_timer_start(m->begin, (uint64_t)wait_ms, 0);
    m->is_beginning = true;
}

/* One look at each folder for all tails that wait; false if files were renamed under the eyes of
 * some. */
static bool begin_all(struct file_manager *m)
{
    struct folder_set folders;
    folder_set_init(&folders);
    bool all = true;
    size_t at = 0;
    void *item;
    while (strmap_next(&m->targets, &at, NULL, &item))
        all &= file_target_begin(item, &folders);
    folder_set_deinit(&folders);
    return all;
}

static int64_t begin_wait_ms(const struct file_manager *m)
{
    return MIN(m->last_begin_ns * BEGIN_SHARE / NS_PER_MS, BEGIN_WAIT_MAX_MS);
}

static void on_begin(void *arg)
{
    struct file_manager *m = arg;
    int64_t start_ns = clock_mono_ns();
    m->is_beginning = false;
    bool all = false;
    for (int i = 0; i < BEGIN_TRIES && !all; i++)
        all = begin_all(m);
    m->last_begin_ns = clock_mono_ns() - start_ns;
    if (!all)
        begin_in(m, MAX(begin_wait_ms(m), BEGIN_AGAIN_MS));
}

static void wants_begin(void *arg)
{
    begin_in(arg, begin_wait_ms(arg));
}

/* --- life --- */

static bool is_wanted(const struct scrape_config *job)
{
    for (size_t i = 0; provider_kinds[i] != NULL; i++)
        if (provider_kinds[i]->count(job) > 0)
            return true;
    return false;
}

/* One that cannot be made, a cluster that is not there, keeps the others of the job no less. */
static void start_providers(struct file_manager *m)
{
    struct discovery_sink sink = {.update = on_group, .arg = m};
    for (size_t k = 0; provider_kinds[k] != NULL; k++) {
        const struct provider_kind *kind = provider_kinds[k];
        size_t n = kind->count(m->base.job);
        for (size_t i = 0; i < n; i++) {
            struct provider *p = NULL;
            struct error err = {0};
            if (kind->ops->start(m->env->loop, kind->config(m->base.job, i), &sink, &p, &err) == 0)
                VEC_PUSH(&m->providers, p);
            else
                log_error(COMPONENT, "Cannot create service discovery", LOG_C("err", err.text),
                          LOG_C("type", kind->ops->name), LOG_C("config", m->base.job->job_name));
        }
    }
}

static void stop(struct target *base, void (*stopped)(void *arg), void *arg)
{
    struct file_manager *m = (struct file_manager *)base;
    m->is_stopped = true;
    for (size_t i = 0; i < m->providers.len; i++)
        m->providers.items[i]->ops->stop(m->providers.items[i]);
    VEC_FREE(&m->providers);
    loop_timer_stop(m->settle);
    loop_timer_stop(m->sync);
    loop_timer_stop(m->poll);
    loop_timer_stop(m->begin);
    size_t at = 0;
    void *item;
    while (strmap_next(&m->targets, &at, NULL, &item))
        file_target_free(item);
    strmap_deinit(&m->targets);
    strmap_init(&m->targets);
    stopped(arg);
}

static void free_manager(struct target *base)
{
    struct file_manager *m = (struct file_manager *)base;
    found_deinit(&m->found);
    strmap_deinit(&m->targets);
    strmap_deinit(&m->files.links);
    watcher_free(m->files.watcher);
    loop_timer_free(m->settle);
    loop_timer_free(m->sync);
    loop_timer_free(m->poll);
    loop_timer_free(m->begin);
    mem_free(m);
}

static void start_timers(struct file_manager *m)
{
    const struct promtail_config *c = m->env->config;
    uint64_t sync_ms = (uint64_t)MAX(c->target.sync_period_ns / NS_PER_MS, 100);
    uint64_t poll_ms = (uint64_t)MAX(c->watch.min_poll_ns / NS_PER_MS, 10);
    loop_timer_start(m->sync, sync_ms, sync_ms);
    loop_timer_start(m->poll, poll_ms, poll_ms);
}

static int start(const struct target_env *env, const struct scrape_config *job,
                 struct pipeline *pipeline, struct target **ret, struct error *err)
{
    (void)err;
    struct file_manager *m = mem_zalloc(sizeof *m);
    m->base = (struct target){&target_file, job, pipeline};
    m->env = env;
    m->files.tails = (struct tail_env){.pool = env->tail_pool,
                                       .pipeline = pipeline,
                                       .sources = env->sources,
                                       .positions = env->positions,
                                       .job = job,
                                       .is_tailed = is_tailed,
                                       .is_named = is_named,
                                       .wants_begin = wants_begin,
                                       .arg = m};
    found_init(&m->found, job);
    strmap_init(&m->targets);
    strmap_init(&m->files.links);
    m->files.watcher = watcher_new(env->loop, on_event, m);
    m->settle = loop_timer_new(env->loop, on_settle, m);
    m->sync = loop_timer_new(env->loop, on_sync, m);
    m->poll = loop_timer_new(env->loop, on_poll, m);
    m->begin = loop_timer_new(env->loop, on_begin, m);
    start_providers(m);
    reconcile(m);
    start_timers(m);
    *ret = &m->base;
    return 0;
}

static bool is_ready(const struct target *base)
{
    const struct file_manager *m = (const struct file_manager *)base;
    size_t at = 0;
    void *item;
    while (strmap_next(&m->targets, &at, NULL, &item)) {
        size_t i = 0;
        void *t;
        while (strmap_next(&((struct file_target *)item)->tails, &i, NULL, &t))
            if (tail_is_reading(t))
                return true;
    }
    return false;
}

static void each_row(const struct target *base,
                     void (*row)(void *arg, const struct target_row *row), void *arg)
{
    const struct file_manager *m = (const struct file_manager *)base;
    size_t at = 0;
    void *item;
    while (strmap_next(&m->targets, &at, NULL, &item)) {
        struct file_target *target = item;
        struct buf details;
        if (target->is_leaving)
            continue;
        buf_init(&details, BUF_NO_LIMIT);
        bool any = false;
        size_t i = 0;
        str path;
        while (strmap_next(&target->tails, &i, &path, &item)) {
            buf_printf(&details, "%.*s: %lld\n", STR_ARG(path), (long long)tail_position(item));
            any = true;
        }
        struct target_row one = {&target->discovered, &target->labels, buf_str(&details), any};
        row(arg, &one);
        buf_deinit(&details);
    }
}

static void each_dropped(const struct target *base,
                         void (*row)(void *arg, const struct target_row *row), void *arg)
{
    const struct file_manager *m = (const struct file_manager *)base;
    const struct found_group *g;
    for (size_t at = 0; (g = found_next(&m->found, &at)) != NULL;)
        for (size_t i = 0; i < g->n; i++) {
            const struct found_target *f = &g->targets[i];
            if (f->dropped == NULL)
                continue;
            struct target_row one = {&f->discovered, &f->labels, str_c(f->dropped->text), false};
            row(arg, &one);
        }
}

const struct target_ops target_file = {
    .kind = "File",
    .is_wanted = is_wanted,
    .start = start,
    .stop = stop,
    .free = free_manager,
    .is_ready = is_ready,
    .each_row = each_row,
    .each_dropped = each_dropped,
};
