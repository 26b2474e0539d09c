/* What is to be read when a file has appeared under a path: first what became of the generations
 * before it, then itself.  For that the folder is looked through, once for all tails that wait. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "promtail/loss.h"
#include "promtail/targets/file/generation.h"
#include "runtime/log.h"

#define COMPONENT       "file"
#define LOOKS_MAX       12
#define MTIME_COARSE_NS (20 * NS_PER_MS) /* times of files lag behind the clock by a tick */

/* A listing is never quite true where files are renamed all the time, but in the end what is there
 * is taken. */
static bool is_last_look(const struct tail *t)
{
    return t->looks >= LOOKS_MAX;
}

/* What a listing does not show may have been renamed while it was read: it is gone if it is missing
 * from two. */
static bool is_gone_for_sure(const struct tail *t, const struct folder_set *folders)
{
    return is_last_look(t) || (t->looks >= 2 && !folders->is_stale);
}

/* When the source was made: the end of its key, see new_source(). */
static int64_t begun_ns(const struct source *s)
{
    size_t dot = str_rfind_char(str_c(s->key), '.');
    return dot == STR_NPOS ? 0 : (int64_t)strtoull(s->key + dot + 1, NULL, 16);
}

/* The file was written when it was compressed: that says nothing of its text. */
static bool read_as_gzip(struct generation *g)
{
    g->written_ns = begun_ns(g->source);
    return generation_read_as_gzip(g);
}

/* Goes on with a generation found beside the path.  What nobody writes to for long has been quiet
 * for long: else every start would keep all that was rotated for a while. */
static void drain(struct tail *t, struct source *s, int fd, bool is_gzip)
{
    struct generation *g = generation_new(t, s, fd);
    tail_pool_keep(t->env->pool, g);
    g->offset = s->read_to;
    g->quiet_since_mono_ns -= MAX(clock_now_ns() - g->written_ns, (int64_t)0);
    generation_forget_yaml(g);
    if (is_gzip && !read_as_gzip(g)) {
        s->is_finished = true;
        generation_free(g);
        return;
    }
    tail_add_generation(t, g);
    log_info(COMPONENT, "reading the rest of a rotated file", LOG_C("path", t->path),
             LOG_C("source", s->key), LOG_I("offset", g->offset));
}

/* `begun_ns` is when it came, as far as is known: what came after it is looked for by that. */
static struct source *new_source(struct tail *t, const struct source_ident *id, int64_t start,
                                 int64_t begun_ns)
{
    struct arena a;
    arena_init(&a, SIZE_MAX);
    str key = arena_printf(&a, "%s\x1f%llx.%llx", t->name, (unsigned long long)id->ino,
                           (unsigned long long)begun_ns);
    struct source *s = source_open(t->env->sources, key, str_c(t->name), str_c(t->path), start);
    s->ident = *id;
    arena_deinit(&a);
    return s;
}

/* --- rotated while nobody looked --- */

/* Where to go on with a source that nobody reads now.  What its reader put through the pipeline in
 * this run is on its way, though not in the journal yet. */
static int64_t resume(const struct tail *t, const struct source *s)
{
    return MAX(source_resume(t->env->sources, s), s->read_to);
}

/* A generation that was begun with its first bytes and waits to be read: by now there may be more
 * to know it by. */
static void grow_head(struct generation *g)
{
    uint32_t n = g->source->ident.head_bytes;
    if (g->fd >= 0 && g->inflate == NULL && n > 0 && n < IDENT_HEAD_BYTES)
        ident_grow(g->fd, &g->source->ident);
}

/* A copy that is being read has another inode than the source it belongs to; one of a generation
 * that is held open, gzipped perhaps, need not be read. */
static bool is_known(const struct tail *t, int fd, const struct stat *st)
{
    for (struct generation *g = t->first; g != NULL; g = g->next) {
        struct stat read;
        grow_head(g);
        bool is_read = g->fd >= 0 && fstat(g->fd, &read) == 0 && read.st_ino == st->st_ino &&
                       read.st_dev == st->st_dev;
        if (is_read || ident_is_same_file(fd, &g->source->ident) ||
            ident_is_same_text(fd, &g->source->ident))
            return true;
    }
    return false;
}

/* What was opened under the path may have been renamed or copied since. */
static bool is_next(const struct tail *t, int fd, const struct stat *st)
{
    return t->next.fd >= 0 &&
           (st->st_ino == t->next.ident.ino || ident_is_copy(fd, &t->next.ident) ||
            ident_is_same_text(fd, &t->next.ident));
}

/* Bytes of the text that were read under a source that is finished: what was rotated long ago may
 * have been compressed, and so written, just now. */
static int64_t read_before(const struct tail *t, int fd)
{
    const struct source *s = source_first_named(t->env->sources, str_c(t->name));
    for (; s != NULL; s = s->next_named) {
        int64_t pos = resume(t, s);
        bool has_full_head = s->ident.head_bytes == IDENT_HEAD_BYTES;
        if (s->is_finished && ((has_full_head && ident_is_same_file(fd, &s->ident)) ||
                               ident_is_whole(fd, &s->ident, pos)))
            return pos;
    }
    return 0;
}

/* Takes over `fd`, of a rotated file; true if it was not known. */
static bool take_between(struct tail *t, int fd, const struct stat *st, str name)
{
    struct source_ident id;
    bool is_gzip = str_has_suffix(name, STR(".gz"));
    int64_t start = read_before(t, fd);
    bool is_read = start > 0 && (is_gzip || st->st_size <= start);
    bool is_new = !is_read && !is_next(t, fd, st) && !is_known(t, fd, st);
    bool is_too_new = st->st_size == 0 && !is_last_look(t); /* perhaps a copy only just begun */
    if (is_new && !is_too_new && (is_gzip ? ident_take_gzip(fd, &id) : ident_take(fd, &id)))
        drain(t, new_source(t, &id, start, ident_written_ns(st)), fd, is_gzip);
    else
        close(fd);
    return is_new;
}

/* Generations that came and went while nobody looked: rotated files newer than the last one known,
 * unless they have a tail of their own. */
static void recover_between(struct tail *t, struct folder_set *folders)
{
    struct rotated_file *files;
    size_t n = ident_list_rotated(folders, t->place, t->next.after_ns, &files);
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        str name = str_c(files[i].path);
        if (t->env->is_tailed(t->env->arg, name))
            continue;
        int fd = open(files[i].path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        folders->is_stale |= fd < 0 && errno == ENOENT;
        if (fd < 0)
            continue;
        if (fstat(fd, &st) != 0) {
            close(fd);
            continue;
        }
        folders->is_stale |= st.st_ino != files[i].ino;
        folders->is_stale |= take_between(t, fd, &st, name); /* there may be more */
    }
    mem_free(files);
}

/* Of two times of which 0 says that it is not known. */
static int64_t earlier(int64_t a, int64_t b)
{
    return a == 0 || b == 0 ? MAX(a, b) : MIN(a, b);
}

/* Nothing of it can be found, but what came after it can. */
static void note_begun(struct tail *t, const struct source *s)
{
    t->next.begun_ns = earlier(t->next.begun_ns, begun_ns(s));
}

/* What came after a generation was written after it, and after it was opened under the path: a file
 * that had been rotated by then may have been written later than it all the same. */
static int64_t after_generation(const struct generation *g)
{
    int64_t begun = begun_ns(g->source) - MTIME_COARSE_NS;
    return g->inflate != NULL ? begun : MAX(generation_written_ns(g), begun);
}

/* The newest of what is done and has been let go; 0: nothing. */
static int64_t after_finished(const struct tail *t)
{
    int64_t ns = 0;
    const struct source *s = source_first_named(t->env->sources, str_c(t->name));
    for (; s != NULL; s = s->next_named)
        if (s->is_finished)
            ns = MAX(ns, begun_ns(s) - MTIME_COARSE_NS);
    return ns;
}

/* What is newer than this has come since. */
static int64_t after_last(const struct tail *t)
{
    const struct generation *last = NULL;
    for (const struct generation *g = t->first; g != NULL && !g->is_current; g = g->next)
        last = g;
    if (last != NULL && last->fd >= 0)
        return after_generation(last);
    return earlier(t->next.begun_ns, after_finished(t));
}

/* After a slow look, a stopped process, a restart. */
static void catch_up(struct tail *t, struct folder_set *folders)
{
    if (t->next.after_ns == 0) /* a second try begins where the first did */
        t->next.after_ns = after_last(t);
    if (t->next.after_ns != 0)
        recover_between(t, folders);
}

/* --- after a restart: what the journal knows of this path --- */

/* A generation that is not under the path any more, and may not have been read to its end.  False
 * if it is not to be found. */
static bool recover_moved(struct tail *t, struct folder_set *folders, struct source *s)
{
    bool is_gzip = false;
    int64_t pos = resume(t, s);
    int fd = ident_find_moved(folders, t->place, &s->ident, pos, &is_gzip);
    if (fd < 0)
        return false;
    s->read_to = pos;
    drain(t, source_ref(s), fd, is_gzip);
    return true;
}

static void give_up(struct tail *t, struct source *s)
{
    log_warn(COMPONENT, "a file that was being read is gone", LOG_C("path", t->path),
             LOG_I("offset", resume(t, s)));
    loss_count_file();
    note_begun(t, s);
    s->is_finished = true;
}

static void drop_source(struct source *s)
{
    s->is_finished = true;
    source_unref(s);
}

/* One source from before the restart; false if it was not found. */
static bool recover_one(struct tail *t, struct folder_set *folders, struct source *s,
                        struct source **ret_same)
{
    str head = t->next.fd >= 0 ? str_make(t->next.head, t->next.ident.head_bytes) : STR_EMPTY;
    bool is_same =
        t->next.fd >= 0 && s->ident.ino == t->next.ident.ino && ident_begins(&s->ident, head);
    bool is_better = *ret_same == NULL || (*ret_same)->ident.head_bytes < s->ident.head_bytes;
    if (is_same && is_better) {
        if (*ret_same != NULL)
            drop_source(*ret_same);
        *ret_same = source_ref(s);
    } else if (is_same || t->env->job->decompression.enabled) {
        s->is_finished = true;
    } else if (!recover_moved(t, folders, s)) {
        if (!is_gone_for_sure(t, folders))
            return false;
        give_up(t, s);
    }
    return true;
}

/* Sources of this path from before the restart become generations to be drained; the one that is
 * the file under the path now goes to *ret_same (a reference).  False if some were not found. */
static bool recover(struct tail *t, struct folder_set *folders, struct source **ret_same)
{
    bool found_all = true;
    struct source *s = source_first_named(t->env->sources, str_c(t->name));
    for (; s != NULL; s = s->next_named) {
        if (s->is_claimed || s->is_finished)
            continue;
        t->has_history = true;
        found_all &= recover_one(t, folders, s, ret_same);
    }
    return found_all;
}

/* --- the file under the path --- */

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

static bool is_path_of(const struct tail *t, const struct source *s)
{
    str name = str_c(s->name), job = str_c(t->env->job->job_name);
    size_t at = str_rfind_char(name, '\x1f');
    return at != STR_NPOS && str_eq_c(str_from(name, at + 1), t->path) &&
           str_has_prefix(name, job) && name.ptr[job.len] == '\x1f';
}

/* The file was followed under other labels, by a target that is no more: a pod got a label.  Goes
 * on where that one stopped; false if there was none. */
static bool take_over(struct tail *t, int64_t *ret_start)
{
    str head = str_make(t->next.head, t->next.ident.head_bytes);
    bool any = false;
    size_t at = 0;
    void *item;
    while (strmap_next(&t->env->sources->by_key, &at, NULL, &item)) {
        struct source *s = item;
        if (s->is_claimed || s->is_finished || !is_path_of(t, s) ||
            s->ident.ino != t->next.ident.ino || !ident_begins(&s->ident, head) ||
            t->env->is_named(t->env->arg, str_c(s->name)))
            continue;
        *ret_start = any ? MAX(*ret_start, resume(t, s)) : resume(t, s);
        any = true;
        s->is_finished = true;
    }
    return any;
}

/* A file that was moved away and back is read again from its start, as by Promtail; but then not
 * under its old name too. */
static void drop_moved_back(struct tail *t)
{
    for (struct generation *g = t->first, *next; g != NULL; g = next) {
        next = g->next;
        if (!g->is_current && g->source->ident.ino == t->next.ident.ino &&
            g->source->ident.dev == t->next.ident.dev && g->inflate == NULL &&
            ident_begins(&g->source->ident, str_make(t->next.head, t->next.ident.head_bytes)))
            tail_remove_generation(t, g, true);
    }
}

/* `s` is the source it was before a restart, or NULL. */
static void start_next(struct tail *t, struct source *s)
{
    bool is_compressed = t->env->job->decompression.enabled;
    int64_t start = 0, size = t->next.size;
    bool is_new = s == NULL && !take_over(t, &start) && !t->has_history;
    if (is_new && !saved_start(t, size, &start)) {
        t->is_refused = true;
        tail_drop_next(t);
        return;
    }
    t->has_history = true;
    if (s == NULL)
        s = new_source(t, &t->next.ident, start, t->next.opened_ns);
    else
        s->read_to = resume(t, s);
    s->ident = t->next.ident;
    drop_moved_back(t);
    if (s->read_to > size && !is_compressed)
        source_restart(t->env->sources, s, 0);
    struct generation *g = generation_new(t, s, tail_take_next(t));
    g->looked_tick_ns = t->next.tick_ns;
    g->offset = s->read_to;
    g->is_current = true;
    g->size = size;
    if (is_compressed && !generation_decompress(g)) {
        generation_free(g);
        t->is_refused = true;
        return;
    }
    tail_add_generation(t, g);
    log_info(COMPONENT, "tail routine: started", LOG_C("path", t->path), LOG_C("source", s->key),
             LOG_I("offset", g->offset));
}

/* What was not read before the truncation may stand in a copy beside the file. */
static bool follow_copy(struct tail *t, struct folder_set *folders)
{
    struct generation *g = tail_current(t);
    bool is_gzip = false;
    int fd = ident_find_moved(folders, t->place, &g->source->ident, g->offset, &is_gzip);
    if (fd < 0 && !is_gone_for_sure(t, folders))
        return false;
    tail_retire(g);
    bool is_loss = fd < 0 && generation_unread(g) > 0;
    LOG_AT(is_loss ? LOG_WARN : LOG_INFO, COMPONENT, "file was truncated", LOG_C("path", t->path),
           LOG_C("source", g->source->key), LOG_I("offset", g->offset), LOG_I("size", g->size),
           LOG_C("copy", fd >= 0 ? "found" : "none"));
    if (fd < 0) {
        generation_count_loss(g, LOSS_TRUNCATED);
        note_begun(t, g->source);
        tail_remove_generation(t, g, true);
        return true;
    }
    generation_replace_fd(g, fd);
    if (is_gzip && !read_as_gzip(g))
        tail_remove_generation(t, g, true);
    return true;
}

/* A generation that was closed for want of descriptors before the path became another's. */
static bool reopen(struct generation *g, struct folder_set *folders)
{
    bool is_gzip = false;
    int fd = ident_find_moved(folders, g->tail->place, &g->source->ident, g->offset, &is_gzip);
    if (fd < 0 && !is_gone_for_sure(g->tail, folders))
        return false;
    if (fd < 0) {
        log_warn(COMPONENT, "a file that was being read is gone", LOG_C("path", g->tail->path),
                 LOG_I("offset", g->offset), LOG_I("size", g->size));
        generation_count_loss(g, LOSS_GONE);
        g->offset = g->size;
        g->is_broken = true;
        return true;
    }
    generation_replace_fd(g, fd);
    if (is_gzip && !read_as_gzip(g))
        g->is_broken = true;
    return true;
}

static bool reopen_all(struct tail *t, struct folder_set *folders)
{
    bool is_whole = true;
    for (struct generation *g = t->first; g != NULL; g = g->next)
        if (!g->is_current && g->fd < 0 && !g->is_broken)
            is_whole &= reopen(g, folders);
    return is_whole;
}

/* True if all that came before t->next is known.  What was empty when last seen is no witness:
 * other texts may have come and gone before the one that stands there now. */
static bool look_behind(struct tail *t, struct folder_set *folders, struct source **ret_same)
{
    if (!t->was_recovered && !recover(t, folders, ret_same))
        return false;
    if (*ret_same != NULL && (*ret_same)->ident.head_bytes == 0)
        note_begun(t, *ret_same);
    if (*ret_same == NULL || (*ret_same)->ident.head_bytes == 0)
        catch_up(t, folders);
    return !folders->is_stale || is_last_look(t);
}

static bool begin_next(struct tail *t, struct folder_set *folders)
{
    struct source *same = NULL;
    if (look_behind(t, folders, &same)) {
        t->was_recovered = true;
        start_next(t, same);
        return true;
    }
    if (same != NULL)
        source_unref(same);
    return false;
}

/* Nothing stands under the path after a restart, but something did before, and what came after that
 * may have gone, too. */
static bool begin_expected(struct tail *t, struct folder_set *folders)
{
    struct source *same = NULL;
    if (!t->is_expected || t->was_recovered)
        return true;
    if (!recover(t, folders, &same))
        return false;
    catch_up(t, folders);
    t->was_recovered = !folders->is_stale || is_last_look(t);
    return t->was_recovered;
}

/* The current one was empty for a while, and is not any more. */
static bool look_behind_empty(struct tail *t, struct folder_set *folders)
{
    struct generation *g = tail_current(t);
    note_begun(t, g->source);
    catch_up(t, folders);
    if (folders->is_stale && !is_last_look(t))
        return false;
    g->source->ident = t->next.ident;
    g->size = t->next.size;
    g->is_truncated = false;
    tail_drop_next(t);
    return true;
}

static bool is_next_itself(const struct tail *t, const struct generation *g)
{
    return g->source->ident.head_bytes == 0 && t->next.fd >= 0 &&
           t->next.ident.ino == g->source->ident.ino;
}

/* The file that was opened has been truncated and written since: what stood there first has come
 * and gone like others, if a copy of it is to be found. */
static void note_gone(struct tail *t, struct folder_set *folders)
{
    t->next.begun_ns = earlier(t->next.begun_ns, t->next.opened_ns);
    t->next.opened_ns = clock_now_ns();
    folders->is_stale = true; /* the listing may be older than the copy */
}

/* It may have been empty, or nearly, when it was opened: a copy beside it cannot be told by that.
 */
static void look_at_next(struct tail *t, struct folder_set *folders)
{
    struct stat st;
    struct source_ident now;
    char head[IDENT_HEAD_BYTES];
    int64_t tick_ns = clock_tick_ns();
    if (t->next.fd < 0 || t->next.ident.head_bytes == IDENT_HEAD_BYTES ||
        fstat(t->next.fd, &st) != 0 || !ident_take_head(t->next.fd, &now, head))
        return;
    if (!ident_begins(&t->next.ident, str_make(head, now.head_bytes)))
        note_gone(t, folders);
    t->next.ident = now;
    memcpy(t->next.head, head, now.head_bytes);
    t->next.size = now.head_bytes > 0 ? st.st_size : 0;
    t->next.tick_ns = tick_ns;
}

bool tail_begin(struct tail *t, struct folder_set *folders)
{
    const struct generation *g = tail_current(t);
    folders->is_stale = false;
    t->looks++;
    mem_free(t->place);
    t->place = folder_follow(t->path);
    look_at_next(t, folders);
    if (g != NULL && g->is_truncated) {
        bool is_whole =
            is_next_itself(t, g) ? look_behind_empty(t, folders) : follow_copy(t, folders);
        if (!is_whole)
            return false;
    }
    if (!reopen_all(t, folders))
        return false;
    if (t->next.fd >= 0 ? !begin_next(t, folders) : !begin_expected(t, folders))
        return false;
    t->is_waiting = false;
    t->looks = 0;
    return true;
}
