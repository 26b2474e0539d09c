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
    t->encoding = encoding;
    arena_init(&t->arena, SIZE_MAX);
    t->path = arena_c(&t->arena, path);
    label_list_copy(&t->labels, &t->arena, labels);
    t->name = (char *)arena_printf(&t->arena, "%s\x1f%016llx\x1f%s", env->job->job_name,
                                   (unsigned long long)t->labels.hash, t->path)
                  .ptr;
    label_list_set(&t->labels, &t->arena, STR("filename"), str_c(t->path));
    label_list_sort(&t->labels);
    t->metrics = tail_pool_metrics(env->pool, path);
    metric_add(active_files(), 1);
    *ret = t;
    return 0;
}

static void add_generation(struct tail *t, struct generation *g)
{
    struct generation **at = &t->first;
    while (*at != NULL)
        at = &(*at)->next;
    *at = g;
}

static struct generation *current(const struct tail *t)
{
    struct generation *g = t->first;
    while (g != NULL && !g->is_current)
        g = g->next;
    return g;
}

static void remove_generation(struct tail *t, struct generation *g, bool is_finished)
{
    struct generation **at = &t->first;
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    g->source->is_finished |= is_finished;
    generation_free(g);
}

void tail_free(struct tail *t)
{
    while (t->first != NULL)
        remove_generation(t, t->first, false);
    tail_pool_metrics_unref(t->env->pool, str_c(t->path));
    metric_add(active_files(), -1);
    encoding_close(t->encoding);
    arena_deinit(&t->arena);
    mem_free(t);
}

/* --- after a restart: what the journal knows of this path --- */

/* Goes on with a generation found beside the path. */
static void drain(struct tail *t, struct source *s, int fd, bool is_gzip)
{
    struct generation *g = generation_new(t, s, fd);
    g->offset = s->read_to;
    generation_forget_yaml(g);
    if (is_gzip && !generation_read_as_gzip(g)) {
        s->is_finished = true;
        generation_free(g);
        return;
    }
    add_generation(t, g);
    log_info(COMPONENT, "reading the rest of a rotated file", LOG_C("path", t->path),
             LOG_I("offset", g->offset));
}

static struct source *new_source(struct tail *t, const struct source_ident *id, int64_t start)
{
    struct arena a;
    arena_init(&a, SIZE_MAX);
    str key = arena_printf(&a, "%s\x1f%llx.%llx", t->name, (unsigned long long)id->ino,
                           (unsigned long long)clock_now_ns());
    struct source *s = source_open(t->env->sources, key, str_c(t->name), str_c(t->path), start);
    s->ident = *id;
    arena_deinit(&a);
    return s;
}

/* Generations that are not under the path any more, and may not have been read to their end: goes
 * on with those that stand in `siblings`; the others stay in the list.  Returns when the newest was
 * last written, 0 if none was found. */
static int64_t recover_moved(struct tail *t, struct ident_siblings *siblings,
                             struct source **sources, size_t *n)
{
    int64_t last_ns = 0;
    size_t left = 0;
    for (size_t i = 0; i < *n; i++) {
        struct source *s = sources[i];
        struct stat st;
        bool is_gzip = false;
        int64_t pos = source_resume(t->env->sources, s);
        int fd = ident_siblings_find(siblings, &s->ident, pos, &is_gzip);
        if (fd < 0 || fstat(fd, &st) != 0) {
            sources[left++] = s;
            continue;
        }
        s->read_to = pos;
        drain(t, source_ref(s), fd, is_gzip);
        last_ns = MAX(last_ns, st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec);
    }
    *n = left;
    return last_ns;
}

static int64_t recover_all_moved(struct tail *t, struct source **sources, size_t n)
{
    int64_t last_ns = 0;
    for (int round = 0; round < 2 && n > 0; round++) { /* the second: renamed meanwhile */
        struct ident_siblings *siblings = ident_siblings_read(t->path);
        int64_t found_ns = recover_moved(t, siblings, sources, &n);
        last_ns = MAX(last_ns, found_ns);
        ident_siblings_free(siblings);
    }
    for (size_t i = 0; i < n; i++) {
        log_warn(COMPONENT, "a file that was being read is gone", LOG_C("path", t->path),
                 LOG_I("offset", source_resume(t->env->sources, sources[i])));
        sources[i]->is_finished = true;
    }
    return last_ns;
}

static bool is_known(const struct tail *t, int fd)
{
    for (const struct generation *g = t->first; g != NULL; g = g->next)
        if (ident_is_same_file(fd, &g->source->ident))
            return true;
    return false;
}

/* Generations that came and went while nobody looked: rotated files newer than the last one known,
 * unless they have a tail of their own. */
static void recover_between(struct tail *t, int64_t after_ns, const struct source_ident *now)
{
    struct rotated_file *files;
    size_t n = ident_list_rotated(t->path, after_ns, &files);
    for (size_t i = 0; i < n; i++) {
        struct source_ident id;
        struct stat st;
        str name = str_c(files[i].path);
        int fd = t->env->is_tailed(t->env->arg, name)
                     ? -1
                     : open(files[i].path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        /* What was opened under the path may have been renamed or copied since. */
        bool is_current =
            fd >= 0 && fstat(fd, &st) == 0 && (st.st_ino == now->ino || ident_is_copy(fd, now));
        if (fd >= 0 && !is_current && !is_known(t, fd) && ident_take(fd, &id))
            drain(t, new_source(t, &id, 0), fd, str_has_suffix(name, STR(".gz")));
        else if (fd >= 0)
            close(fd);
        mem_free(files[i].path);
    }
    mem_free(files);
}

/* The same while running, after a time in which nobody looked: a slow start, a stopped process. */
static void catch_up(struct tail *t, const struct source_ident *now)
{
    struct stat st;
    const struct generation *last = t->first;
    while (last != NULL && last->next != NULL)
        last = last->next;
    if (last != NULL && last->fd >= 0 && fstat(last->fd, &st) == 0)
        recover_between(t, st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec, now);
}

/* Sources of this path from before the restart.  Returns the one that is the file under the path
 * now (a reference), or NULL; the others become generations to be drained. */
static struct source *recover(struct tail *t, int fd, const struct source_ident *now, bool *ret_any)
{
    struct source *same = NULL;
    int64_t last_ns = 0;
    size_t at = 0;
    void *item;
    VEC(struct source *) moved = {0};
    while (strmap_next(&t->env->sources->by_key, &at, NULL, &item)) {
        struct source *s = item;
        if (s->is_claimed || s->is_finished || strcmp(s->name, t->name) != 0)
            continue;
        *ret_any = true;
        if (same == NULL && fd >= 0 && ident_is_same_file(fd, &s->ident))
            same = source_ref(s);
        else
            VEC_PUSH(&moved, s);
    }
    if (!t->env->job->decompression.enabled)
        last_ns = recover_all_moved(t, moved.items, moved.len);
    else
        for (size_t i = 0; i < moved.len; i++)
            moved.items[i]->is_finished = true;
    VEC_FREE(&moved);
    if (same == NULL && last_ns > 0)
        recover_between(t, last_ns, now);
    return same;
}

/* --- generations come and go --- */

/* Where positions.yaml says to start; false if the path is not to be read at all. */
static bool saved_start(struct tail *t, int64_t size, int64_t *ret)
{
    str name = str_c(t->path);
    *ret = 0;
    if (positions_get(t->env->positions, name).ptr == NULL)
        return true;
    if (!positions_get_offset(t->env->positions, name, ret)) {
        log_error(COMPONENT, "the saved position is no number, the file is not read",
                  LOG_C("path", t->path));
        return false;
    }
    if (*ret > size && !t->env->job->decompression.enabled)
        *ret = 0;
    return true;
}

static void start_generation(struct tail *t, int fd, const struct stat *st)
{
    struct source_ident id;
    struct source *s = NULL;
    bool any_known = t->was_opened;
    if (!ident_take(fd, &id)) {
        close(fd);
        return;
    }
    if (!t->was_opened)
        s = recover(t, fd, &id, &any_known);
    else
        catch_up(t, &id);
    t->was_opened = true;
    int64_t start = 0;
    if (s == NULL && !any_known && !saved_start(t, st->st_size, &start)) {
        t->is_refused = true;
        close(fd);
        return;
    }
    if (s == NULL)
        s = new_source(t, &id, start);
    else
        s->read_to = source_resume(t->env->sources, s);
    s->ident = id;
    if (s->read_to > st->st_size && !t->env->job->decompression.enabled)
        source_restart(t->env->sources, s, 0);
    struct generation *g = generation_new(t, s, fd);
    g->offset = s->read_to;
    g->is_current = true;
    g->size = st->st_size;
    if (t->env->job->decompression.enabled && !generation_decompress(g)) {
        generation_free(g);
        t->is_refused = true;
        return;
    }
    add_generation(t, g);
    log_info(COMPONENT, "tail routine: started", LOG_C("path", t->path),
             LOG_I("offset", g->offset));
}

static void try_start(struct tail *t)
{
    struct stat st;
    int fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        if (errno != ENOENT && !t->said_error)
            log_error(COMPONENT, "cannot open", LOG_C("path", t->path),
                      LOG_C("err", strerror(errno)));
        t->said_error = errno != ENOENT;
        return;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return;
    }
    start_generation(t, fd, &st);
}

/* It stands under the path no more: read to its end, then let go. */
static void retire(struct generation *g)
{
    g->is_current = false;
    g->at_end = g->inflate != NULL && g->at_end;
    g->quiet_since_mono_ns = clock_mono_ns();
    generation_forget_yaml(g);
}

/* The same file begins anew.  What was not read yet may stand in a copy beside it. */
static void truncated(struct tail *t, struct generation *g)
{
    bool is_gzip = false;
    int fd = ident_find_moved(t->path, &g->source->ident, g->offset, &is_gzip);
    retire(g);
    log_info(COMPONENT, "file was truncated", LOG_C("path", t->path), LOG_I("offset", g->offset),
             LOG_C("copy", fd >= 0 ? "found" : "none"));
    if (fd < 0) {
        remove_generation(t, g, true);
        return;
    }
    generation_replace_fd(g, fd);
    if (is_gzip && !generation_read_as_gzip(g))
        remove_generation(t, g, true);
}

static bool is_truncated(const struct generation *g, const struct stat *st)
{
    if (g->inflate != NULL)
        return false;
    if (st->st_size < g->offset || g->is_overwritten)
        return true;
    /* At the end and then more, or another time: is it still the same text in front? */
    bool changed = st->st_size != g->size || st->st_mtim.tv_nsec != g->mtime_nsec;
    return g->at_end && changed && g->fd >= 0 && !ident_head_matches(g->fd, &g->source->ident);
}

static void look_at_path(struct tail *t)
{
    struct stat st;
    struct generation *g = current(t);
    bool is_there = stat(t->path, &st) == 0 && S_ISREG(st.st_mode);
    t->is_there = is_there;
    if (g != NULL) {
        if (!is_there || g->is_lost || st.st_ino != g->source->ident.ino ||
            st.st_dev != g->source->ident.dev)
            retire(g);
        else if (is_truncated(g, &st))
            truncated(t, g);
        else {
            g->size = st.st_size;
            g->mtime_nsec = st.st_mtim.tv_nsec;
        }
    }
    if (is_there && !t->is_refused && current(t) == NULL)
        try_start(t);
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
    if (g->is_broken)
        return false;
    if (g->inflate != NULL)
        return !g->at_end;
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
    for (struct generation *g = t->first, *next; g != NULL; g = next) {
        bool is_deleted;
        next = g->next;
        if (g->is_current)
            continue;
        look_at_old(g, &is_deleted);
        bool is_plain = g->inflate == NULL;
        int64_t quiet_ns = now_ns - g->quiet_since_mono_ns;
        bool is_last = g->next == NULL || g->next->is_current;
        int64_t enough_ns = is_deleted ? QUIET_DELETED_NS
                            : is_last  ? QUIET_RENAMED_NS
                                       : QUIET_OLDER_NS;
        bool is_done =
            g->is_broken || (!has_more(g) && !g->is_queued && (!is_plain || quiet_ns > enough_ns));
        if (!is_done)
            continue;
        generation_put_rest(g);
        remove_generation(t, g, true);
    }
}

void tail_on_event(struct tail *t)
{
    const struct generation *g = current(t);
    if (g == NULL || !g->is_queued) /* else it is looked at when it was read */
        tail_check(t);
}

bool tail_check(struct tail *t)
{
    look_at_path(t);
    drop_finished(t);
    queue_next(t);
    return t->first != NULL || t->is_there;
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
    const struct generation *g = current(t);
    return g != NULL ? g->offset : 0;
}
