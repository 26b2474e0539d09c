#include "promtail/targets/file/file_target.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "promtail/targets/file/glob.h"
#include "runtime/log.h"

#define COMPONENT "file"
#define LEAVE_NS  (60 * NS_PER_S) /* and no longer, however much is written */

static struct metric *active_targets(void)
{
    return metric_single(metric_family("promtail_targets_active_total", METRIC_GAUGE,
                                       "Number of active total.", NULL, NULL));
}

/* Absolute and without . and .. and double slashes, as Go's filepath.Abs. */
static str absolute(struct arena *a, str path)
{
    char cwd[PATH_MAX];
    if (path.len == 0 || path.ptr[0] != '/') {
        if (getcwd(cwd, sizeof cwd) == NULL)
            return path;
        path = arena_printf(a, "%s/%.*s", cwd, STR_ARG(path));
    }
    char *out = arena_alloc(a, path.len + 2);
    size_t n = 0;
    for (str rest = path; rest.ptr != NULL;) {
        str part = str_split(&rest, '/');
        if (part.len == 0 || str_eq(part, STR(".")))
            continue;
        if (str_eq(part, STR(".."))) {
            while (n > 0 && out[--n] != '/')
                ;
            continue;
        }
        out[n++] = '/';
        memcpy(out + n, part.ptr, part.len);
        n += part.len;
    }
    if (n == 0)
        out[n++] = '/';
    return str_make(out, n);
}

static void remove_internal(struct label_list *labels)
{
    size_t n = 0;
    for (size_t i = 0; i < labels->n; i++)
        if (!str_has_prefix(labels->items[i].name, STR("__")))
            labels->items[n++] = labels->items[i];
    labels->n = n;
    label_list_rehash(labels);
}

struct file_target *file_target_new(struct file_target_env *env, str key,
                                    const struct label_list *discovered,
                                    const struct label_list *labels)
{
    struct file_target *t = mem_zalloc(sizeof *t);
    t->env = env;
    t->key = str_dup_c(key);
    arena_init(&t->arena, SIZE_MAX);
    strmap_init(&t->tails);
    label_list_copy(&t->discovered, &t->arena, discovered);
    label_list_copy(&t->labels, &t->arena, labels);
    t->pattern = absolute(&t->arena, label_list_get(&t->labels, STR("__path__")));
    str exclude = label_list_get(&t->labels, STR("__path_exclude__"));
    t->exclude = exclude.len > 0 ? absolute(&t->arena, exclude) : STR_EMPTY;
    remove_internal(&t->labels);
    metric_add(active_targets(), 1);
    return t;
}

void file_target_free(struct file_target *target)
{
    metric_add(active_targets(), -1);
    size_t at = 0;
    void *item;
    while (strmap_next(&target->tails, &at, NULL, &item))
        tail_free(item);
    strmap_deinit(&target->tails);
    arena_deinit(&target->arena);
    mem_free(target->key);
    mem_free(target);
}

/* --- new paths --- */

/* What is written through a link is told where the file is. */
static void watch_link(struct file_target *target, const char *real)
{
    struct file_target_env *env = target->env;
    watcher_add(env->watcher, folder_of(str_c(real)));
    strmap_put(&env->links, str_c(real), env);
}

static void add_tail(struct file_target *target, str path)
{
    struct error err = {0};
    struct tail *t = NULL;
    char real[PATH_MAX];
    if (tail_new(&target->env->tails, path, &target->labels, &t, &err) != 0) {
        log_error(COMPONENT, "failed to start tailer", LOG_S("path", path), LOG_C("err", err.text));
        return;
    }
    if (!tail_check(t)) {
        tail_free(t);
        return;
    }
    strmap_put(&target->tails, path, t);
    watcher_add(target->env->watcher, folder_of(path));
    if (realpath(t->path, real) != NULL && strcmp(real, t->path) != 0)
        watch_link(target, real);
}

static void on_dir(void *arg, str dir)
{
    watcher_add(((struct file_target *)arg)->env->watcher, dir);
}

static bool is_ours(const struct file_target *t, str path)
{
    return strmap_get(&t->tails, path) == NULL && glob_match(t->pattern, path) &&
           !glob_excludes(t->exclude, path);
}

/* Path of a source of this job that nobody has taken up; the end of its name, see tail_new(). */
static str forgotten_path(const struct file_target *t, const struct source *s)
{
    str name = str_c(s->name), job = str_c(t->env->tails.job->job_name);
    size_t at = str_rfind_char(name, '\x1f');
    if (s->is_claimed || s->is_finished || at == STR_NPOS || !str_has_prefix(name, job))
        return STR_EMPTY;
    return str_from(name, at + 1);
}

/* A file may have been rotated while we were stopped, and nothing stand under its path yet. */
static void expect_forgotten(struct file_target *target)
{
    size_t at = 0;
    void *item;
    while (strmap_next(&target->env->tails.sources->by_key, &at, NULL, &item)) {
        const struct source *s = item;
        struct error err = {0};
        struct tail *t;
        str path = forgotten_path(target, s);
        if (path.len == 0 || !is_ours(target, path) ||
            tail_new(&target->env->tails, path, &target->labels, &t, &err) != 0)
            continue;
        if (strcmp(t->name, s->name) != 0) { /* with other labels: another target's */
            tail_free(t);
            continue;
        }
        strmap_put(&target->tails, path, t);
        watcher_add(target->env->watcher, folder_of(path));
        tail_expect(t);
    }
}

void file_target_scan(struct file_target *t)
{
    struct arena a;
    arena_init(&a, SIZE_MAX);
    struct glob_result found = {.arena = &a, .on_dir = on_dir, .arg = t};
    glob_expand(t->pattern, &found);
    for (size_t i = 0; i < found.paths.len; i++) {
        str path = found.paths.items[i];
        if (strmap_get(&t->tails, path) == NULL && !glob_excludes(t->exclude, path))
            add_tail(t, path);
    }
    arena_deinit(&a);
    if (!t->was_scanned)
        expect_forgotten(t);
    t->was_scanned = true;
}

/* --- leaving --- */

static void leave(struct file_target *t, bool is_leaving)
{
    size_t at = 0;
    void *item;
    t->is_leaving = is_leaving;
    t->left_mono_ns = clock_mono_ns();
    while (strmap_next(&t->tails, &at, NULL, &item))
        tail_leave(item, is_leaving);
}

void file_target_leave(struct file_target *t)
{
    file_target_scan(t);
    leave(t, true);
}

void file_target_come_back(struct file_target *t)
{
    leave(t, false);
    file_target_scan(t);
    file_target_check(t);
}

bool file_target_is_over(const struct file_target *t)
{
    size_t at = 0;
    void *item;
    if (clock_mono_ns() - t->left_mono_ns > LEAVE_NS)
        return true;
    while (strmap_next(&t->tails, &at, NULL, &item))
        if (!tail_is_over(item))
            return false;
    return true;
}

void file_target_let_go(struct file_target *t)
{
    size_t at = 0;
    void *item;
    while (strmap_next(&t->tails, &at, NULL, &item))
        tail_let_go(item);
    strmap_deinit(&t->tails);
    strmap_init(&t->tails);
    file_target_free(t);
}

/* --- the tails --- */

void file_target_check(struct file_target *t)
{
    VEC(str) gone = {0};
    size_t at = 0;
    str path;
    void *item;
    while (strmap_next(&t->tails, &at, &path, &item))
        if (!tail_check(item))
            VEC_PUSH(&gone, path);
    for (size_t i = 0; i < gone.len; i++)
        tail_free(strmap_remove(&t->tails, gone.items[i]));
    VEC_FREE(&gone);
}

static bool is_watched(const struct file_target *target, const struct tail *t)
{
    char real[PATH_MAX];
    if (!watcher_has(target->env->watcher, folder_of(str_c(t->path))))
        return false;
    return readlink(t->path, real, sizeof real) < 0; /* links are polled */
}

void file_target_check_unwatched(struct file_target *t)
{
    size_t at = 0;
    void *item;
    while (strmap_next(&t->tails, &at, NULL, &item))
        if (!is_watched(t, item))
            tail_check(item);
}

bool file_target_begin(struct file_target *t, struct folder_set *folders)
{
    bool all = true;
    size_t at = 0;
    void *item;
    while (strmap_next(&t->tails, &at, NULL, &item)) {
        struct tail *tail = item;
        if (!tail->is_waiting)
            continue;
        if (tail_begin(tail, folders))
            tail_check(tail); /* freed, if at all, at the next poll */
        else
            all = false;
    }
    return all;
}
