#include "promtail/targets/file/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "promtail/targets/file/generation.h"
#include "runtime/log.h"

#define COMPONENT "file"
#define QUIET_RENAMED_NS                                                                           \
    (30 * NS_PER_S)                     /* a writer may keep the last renamed file open that long */
#define QUIET_OLDER_NS   (5 * NS_PER_S) /* and those before it */
#define EMPTY_LOOK_NS    (100 * NS_PER_MS)
#define QUIET_DELETED_NS (2 * NS_PER_S) /* a deleted one takes room on disk until we let go */

static struct metric *active_files(void)
{
    return metric_single(metric_family("promtail_files_active_total", METRIC_GAUGE,
                                       "Number of active files.", NULL, NULL));
}

int tail_new(const struct tail_env *env, str path, const struct label_list *labels,
             struct tail **ret, struct error *err)
{
    struct encoding *encoding = NULL;
    if (env->job->encoding[0] != '\0') {
        int rc = encoding_open(env->job->encoding, &encoding, err);
        if (rc != 0)
            return rc;
    }
    struct tail *t = mem_zalloc(sizeof *t);
    t->env = env;
    t->next.fd = -1;
    t->encoding = encoding;
    arena_init(&t->arena, SIZE_MAX);
    t->path = arena_c(&t->arena, path);
    label_list_copy(&t->labels, &t->arena, labels);
    t->name = (char *)arena_printf(&t->arena, "%s\x1f%016llx\x1f%s", env->job->job_name,
                                   (unsigned long long)t->labels.hash, t->path)
                  .ptr;
    label_list_set(&t->labels, &t->arena, STR("filename"), str_c(t->path));
    label_list_sort(&t->labels);
    t->stem = label_list_make_stem(&t->labels);
    t->metrics = tail_pool_metrics(env->pool, path);
    metric_add(active_files(), 1);
    *ret = t;
    return 0;
}

void tail_add_generation(struct tail *t, struct generation *g)
{
    struct generation **at = &t->first;
    while (*at != NULL &&
           (g->is_current || (!(*at)->is_current && (*at)->written_ns <= g->written_ns)))
        at = &(*at)->next;
    g->next = *at;
    *at = g;
}

struct generation *tail_current(const struct tail *t)
{
    struct generation *g = t->first;
    while (g != NULL && !g->is_current)
        g = g->next;
    return g;
}

void tail_remove_generation(struct tail *t, struct generation *g, bool is_finished)
{
    struct generation **at = &t->first;
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    g->source->is_finished |= is_finished;
    generation_free(g);
}

int tail_take_next(struct tail *t)
{
    int fd = t->next.fd;
    if (fd >= 0)
        tail_pool_next_gone(t->env->pool);
    mem_free(t->next.head);
    t->next.head = NULL;
    t->next.fd = -1;
    return fd;
}

void tail_drop_next(struct tail *t)
{
    int fd = tail_take_next(t);
    if (fd >= 0)
        close(fd);
}

void tail_free(struct tail *t)
{
    tail_drop_next(t);
    while (t->first != NULL)
        tail_remove_generation(t, t->first, false);
    tail_pool_metrics_unref(t->env->pool, str_c(t->path));
    metric_add(active_files(), -1);
    encoding_close(t->encoding);
    label_stem_release(t->stem);
    mem_free(t->place);
    arena_deinit(&t->arena);
    mem_free(t);
}

/* --- generations come and go --- */

static void wait_for_folder(struct tail *t)
{
    if (!t->is_waiting)
        t->env->wants_begin(t->env->arg);
    t->is_waiting = true;
}

/* Opened at once, so that it is held whatever happens to its name; begun when the folder was looked
 * through for what came before it. */
static void open_next(struct tail *t)
{
    struct stat st;
    if (tail_pool_is_full(t->env->pool))
        return;                         /* at the next look */
    int64_t opened_ns = clock_now_ns(); /* before: it may be rotated at once */
    int fd = tail_pool_open(t->env->pool, t->path);
    if (fd < 0) {
        if (errno != ENOENT && !t->said_error)
            log_error(COMPONENT, "cannot open", LOG_C("path", t->path),
                      LOG_C("err", strerror(errno)));
        t->said_error = errno != ENOENT;
        return;
    }
    t->next.fd = fd;
    tail_pool_next_opened(t->env->pool);
    t->next.head = mem_alloc(IDENT_HEAD_BYTES);
    t->next.after_ns = t->next.begun_ns = 0;
    t->next.tick_ns = clock_tick_ns();
    t->next.opened_ns = opened_ns;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        !ident_take_head(fd, &t->next.ident, t->next.head)) {
        tail_drop_next(t);
        return;
    }
    t->next.size = t->next.ident.head_bytes > 0 ? st.st_size : 0;
    if (t->next.ident.head_bytes == 0) /* something may come and go before it is begun */
        t->next.begun_ns = t->next.opened_ns;
    wait_for_folder(t);
}

/* It stands under the path no more: read to its end, then let go. */
void tail_retire(struct generation *g)
{
    g->is_current = false;
    tail_pool_keep(g->tail->env->pool, g);
    g->at_end = g->inflate != NULL && g->at_end;
    g->quiet_since_mono_ns = clock_mono_ns();
    g->written_ns = generation_written_ns(g);
    generation_forget_yaml(g);
    if (g->fd < 0 && !g->is_broken)
        wait_for_folder(g->tail);
}

/* The same file begins anew. */
static void truncated(struct tail *t, struct generation *g)
{
    g->is_truncated = true;
    wait_for_folder(t);
    open_next(t);
}

/* It was empty when last seen.  If a text came and was copied away since, the folder was changed.
 * On a network file system that time is by another machine's clock: long ago is enough, too. */
static bool may_have_gone(const struct generation *g)
{
    int64_t ago = clock_tick_ns() - g->looked_tick_ns;
    return ago > EMPTY_LOOK_NS || ago < 0 || folder_changed_ns(g->tail->place) >= g->looked_tick_ns;
}

static bool is_truncated(const struct generation *g, const struct stat *st)
{
    if (g->inflate != NULL)
        return false;
    /* Shorter than what was read, or than what was seen of it before it could be read. */
    if (st->st_size < MAX(g->offset, (int64_t)g->source->ident.head_bytes) || g->is_overwritten)
        return true;
    if (g->offset == 0 && g->source->ident.head_bytes == 0 && st->st_size > 0 && may_have_gone(g))
        return true;
    /* At the end and then more, or another time: is it still the same text in front? */
    bool changed = st->st_size != g->size || st->st_mtim.tv_nsec != g->mtime_nsec;
    return g->at_end && changed && g->fd >= 0 && !ident_head_matches(g->fd, &g->source->ident);
}

/* It was empty a moment ago.  Its head is taken now: until it is read, another text may stand
 * there.
 */
static void know_head(struct generation *g)
{
    if (g->inflate != NULL || g->source->ident.head_bytes > 0 || g->size == 0)
        return;
    if (generation_open_fd(g) && !ident_take(g->fd, &g->source->ident))
        g->is_broken = true;
    if (g->source->ident.head_bytes == 0)
        g->size = 0; /* and is empty again */
}

static void look_at_path(struct tail *t)
{
    struct stat st;
    struct generation *g = tail_current(t);
    int64_t tick_ns = clock_tick_ns();
    t->is_there = stat(t->path, &st) == 0 && S_ISREG(st.st_mode);
    if (t->is_waiting)
        return; /* one thing after the other */
    if (g != NULL) {
        if (!t->is_there || st.st_ino != g->source->ident.ino || st.st_dev != g->source->ident.dev)
            tail_retire(g);
        else if (is_truncated(g, &st))
            truncated(t, g);
        else {
            g->size = st.st_size;
            g->mtime_nsec = st.st_mtim.tv_nsec;
            g->looked_tick_ns = tick_ns;
            know_head(g);
        }
    }
    if (t->is_there && !t->is_refused && !t->is_leaving && tail_current(t) == NULL)
        open_next(t);
}

/* --- looking --- */

/* Size of a generation that is not under the path; the link count tells if it is deleted. */
static void look_at_old(struct generation *g, bool *ret_is_deleted)
{
    struct stat st;
    *ret_is_deleted = true;
    if (g->fd >= 0 && fstat(g->fd, &st) == 0) {
        g->size = st.st_size;
        *ret_is_deleted = st.st_nlink == 0;
    }
}

static bool has_more(const struct generation *g)
{
    if (g->is_broken || g->is_truncated || (g->fd < 0 && !g->is_current))
        return false;
    if (g->inflate != NULL)
        return g->again_mono_ns != 0 ? clock_mono_ns() >= g->again_mono_ns : !g->at_end;
    return g->size > g->offset && (!g->at_end || g->size != g->size_at_end);
}

/* Queues the oldest generation with something to read; newer ones wait for it. */
static void queue_next(struct tail *t)
{
    for (struct generation *g = t->first; g != NULL; g = g->next) {
        if (has_more(g)) {
            g->at_end = false;
            tail_pool_enqueue(t->env->pool, g);
        }
        if (!g->at_end && has_more(g))
            return;
    }
}

static void drop_finished(struct tail *t)
{
    int64_t now_ns = clock_mono_ns();
    if (t->is_waiting)
        return; /* what was found beside the path must not be found again */
    for (struct generation *g = t->first, *next; g != NULL; g = next) {
        bool is_deleted;
        next = g->next;
        if (g->is_current || (g->fd < 0 && !g->is_broken))
            continue; /* or waiting to be found */
        look_at_old(g, &is_deleted);
        bool is_plain = g->inflate == NULL;
        int64_t quiet_ns = now_ns - g->quiet_since_mono_ns;
        bool is_last = (g->next == NULL || g->next->is_current) &&
                       !tail_pool_is_full(t->env->pool); /* others wait for a descriptor */
        int64_t enough_ns = is_deleted ? QUIET_DELETED_NS
                            : is_last  ? QUIET_RENAMED_NS
                                       : QUIET_OLDER_NS;
        bool is_done = g->is_broken || (!has_more(g) && g->again_mono_ns == 0 && !g->is_queued &&
                                        (!is_plain || quiet_ns > enough_ns));
        if (!is_done)
            continue;
        log_debug(COMPONENT, "finished", LOG_C("path", t->path), LOG_C("source", g->source->key),
                  LOG_I("offset", g->offset), LOG_I("size", g->size));
        generation_put_rest(g);
        tail_remove_generation(t, g, true);
    }
}

void tail_on_event(struct tail *t)
{
    const struct generation *g = tail_current(t);
    if (g == NULL || !g->is_queued) /* else it is looked at when it was read */
        tail_check(t);
}

void tail_expect(struct tail *t)
{
    t->is_expected = true;
    wait_for_folder(t);
}

bool tail_check(struct tail *t)
{
    look_at_path(t);
    drop_finished(t);
    queue_next(t);
    return t->first != NULL || t->is_there || t->is_waiting;
}

/* --- leaving --- */

void tail_leave(struct tail *t, bool is_leaving)
{
    if (is_leaving)
        tail_check(t); /* what stands there now is still wanted */
    t->is_leaving = is_leaving;
}

bool tail_is_over(const struct tail *t)
{
    for (const struct generation *g = t->first; g != NULL; g = g->next)
        if (!g->is_current || g->is_queued || has_more(g))
            return false;
    return !t->is_waiting;
}

void tail_yield(struct tail *t)
{
    struct generation *g = tail_current(t);
    if (g != NULL)
        tail_remove_generation(t, g, false);
    tail_drop_next(t);
    t->is_waiting = false;
}

void tail_let_go(struct tail *t)
{
    for (struct generation *g = t->first; g != NULL; g = g->next)
        g->source->is_left = true;
    tail_free(t);
}

void tail_tell_position(const struct tail *t)
{
    metric_set(t->metrics->bytes, (double)tail_position(t));
}

bool tail_is_reading(const struct tail *t)
{
    return t->first != NULL;
}

int64_t tail_position(const struct tail *t)
{
    const struct generation *g = tail_current(t);
    return g != NULL ? g->offset : 0;
}
