#include "ingester/wal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/cursor.h"
#include "base/mem.h"
#include "base/vec.h"
#include "ingester/metrics.h"
#include "runtime/log.h"

#define PIECES_MAX 16

struct segment {
    uint64_t from; /* position of its first byte, and its name */
    uint64_t bytes;
    bool is_old; /* was there when the log was opened */
};

struct waiter {
    uint64_t pos;
    void (*done)(void *arg, int code);
    void *arg;
};

struct wal {
    struct wal_config config;
    char *dir;
    pthread_mutex_t lock;         /* guards all below, and the order of writes */
    pthread_cond_t wake;          /* for the sync thread */
    VEC(struct segment) segments; /* the last one is written to */
    VEC(uint64_t) pending;        /* records appended and not yet applied; few */
    VEC(struct waiter) waiters;   /* for sync: always */
    int fd;
    uint64_t end;       /* position behind the last record */
    uint64_t synced_to; /* what is known to be on the disk */
    uint64_t replay_at; /* old records from here on are not applied yet; WAL_POS_NONE: all are */
    bool is_broken;     /* half a record could not be taken back: begin a new file */
    bool is_full;       /* the last append failed; for one log line, not one a push */
    bool is_stopping;
    bool has_thread;
    pthread_t thread;
    VEC(int) closing; /* old files, for the sync thread to force out and close */
};

/* --- files --- */

static char *segment_path(const struct wal *w, uint64_t from)
{
    struct buf path;
    buf_init(&path, 1 << 16);
    buf_printf(&path, "%s/%016llx.wal", w->dir, (unsigned long long)from);
    char *copy = mem_strdup(buf_c(&path));
    buf_deinit(&path);
    return copy;
}

static bool segment_parse(const char *name, uint64_t *ret)
{
    if (strlen(name) != 20 || strcmp(name + 16, ".wal") != 0)
        return false;
    uint64_t v = 0;
    for (int i = 0; i < 16; i++) {
        char c = name[i];
        unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
        if (digit > 15 || (digit > 9 && (c < 'a' || c > 'f')))
            return false;
        v = v << 4 | digit;
    }
    *ret = v;
    return true;
}

static int cmp_segment(const void *a, const void *b)
{
    const struct segment *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

static int list_segments(struct wal *w, struct error *err)
{
    if (mkdir(w->dir, 0750) != 0 && errno != EEXIST)
        return error_set(err, status_from_errno(errno), "%s: %s", w->dir, strerror(errno));
    DIR *d = opendir(w->dir);
    if (d == NULL)
        return error_set(err, status_from_errno(errno), "%s: %s", w->dir, strerror(errno));
    uint64_t from;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct stat st;
        if (segment_parse(e->d_name, &from) && fstatat(dirfd(d), e->d_name, &st, 0) == 0)
            VEC_PUSH(&w->segments, (struct segment){from, (uint64_t)st.st_size, true});
    }
    closedir(d);
    if (w->segments.len > 0)
        qsort(w->segments.items, w->segments.len, sizeof *w->segments.items, cmp_segment);
    for (size_t i = 0; i < w->segments.len; i++)
        w->end = MAX(w->end, w->segments.items[i].from + w->segments.items[i].bytes);
    return 0;
}

/* Makes the folder's entry of a new file durable. */
static void sync_dir(const struct wal *w)
{
    int fd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

/* Begins a new file at w->end.  The lock is held. */
static int begin_segment(struct wal *w)
{
    char *path = segment_path(w, w->end);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    int code = fd < 0 ? status_from_errno(errno) : 0;
    mem_free(path);
    if (code != 0)
        return code;
    if (w->config.sync != WAL_SYNC_NONE)
        sync_dir(w);
    if (w->fd >= 0)
        VEC_PUSH(&w->closing, w->fd);
    w->fd = fd;
    w->is_broken = false;
    /* A file that nothing was written to would have the same name. */
    if (w->segments.len > 0 && w->segments.items[w->segments.len - 1].from == w->end)
        w->segments.items[w->segments.len - 1].is_old = false;
    else
        VEC_PUSH(&w->segments, (struct segment){w->end, 0, false});
    return 0;
}

/* --- the sync thread --- */

static void finish_waiters(struct wal *w, uint64_t safe_to, int code)
{
    VEC(struct waiter) ready = {0};
    size_t kept = 0;
    for (size_t i = 0; i < w->waiters.len; i++)
        if (w->waiters.items[i].pos < safe_to || code != 0)
            VEC_PUSH(&ready, w->waiters.items[i]);
        else
            w->waiters.items[kept++] = w->waiters.items[i];
    w->waiters.len = kept;
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < ready.len; i++)
        ready.items[i].done(ready.items[i].arg, code);
    VEC_FREE(&ready);
    pthread_mutex_lock(&w->lock);
}

/* Forces out what has been written.  The lock is held, and let go meanwhile. */
static void sync_once(struct wal *w)
{
    uint64_t to = w->end;
    int fd = dup(w->fd), code = 0;
    VEC(int) closing = {0};
    memcpy(&closing, &w->closing, sizeof closing);
    memset(&w->closing, 0, sizeof w->closing);
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < closing.len; i++) {
        if (w->config.sync != WAL_SYNC_NONE && fdatasync(closing.items[i]) != 0)
            code = status_from_errno(errno);
        close(closing.items[i]);
    }
    VEC_FREE(&closing);
    if (fd < 0 || (w->config.sync != WAL_SYNC_NONE && fdatasync(fd) != 0))
        code = status_from_errno(errno);
    if (fd >= 0)
        close(fd);
    if (code != 0)
        log_error("wal", "cannot force the log to disk", LOG_ERR(code));
    pthread_mutex_lock(&w->lock);
    if (code == 0)
        w->synced_to = MAX(w->synced_to, to);
    finish_waiters(w, to, code);
}

static void *sync_main(void *arg)
{
    struct wal *w = arg;
    pthread_mutex_lock(&w->lock);
    while (!w->is_stopping) {
        bool is_due = w->waiters.len > 0 || w->closing.len > 0 ||
                      (w->config.sync == WAL_SYNC_INTERVAL && w->synced_to < w->end);
        if (is_due)
            sync_once(w);
        if (w->is_stopping || w->waiters.len > 0)
            continue;
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        int64_t wait = until.tv_nsec + w->config.sync_interval_ns;
        until.tv_sec += wait / NS_PER_S;
        until.tv_nsec = wait % NS_PER_S;
        pthread_cond_timedwait(&w->wake, &w->lock, &until);
    }
    sync_once(w);
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

void wal_when_safe(struct wal *w, uint64_t pos, void (*done)(void *arg, int code), void *arg)
{
    if (w->config.sync != WAL_SYNC_ALWAYS) {
        done(arg, 0);
        return;
    }
    pthread_mutex_lock(&w->lock);
    VEC_PUSH(&w->waiters, (struct waiter){pos, done, arg});
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

int wal_open(const struct wal_config *config, struct wal **ret, struct error *err)
{
    struct wal *w = mem_zalloc(sizeof *w);
    w->config = *config;
    w->dir = mem_strdup(config->dir);
    w->fd = -1;
    w->end = 1; /* so that 0 is never a position */
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    int code = list_segments(w, err);
    if (code == 0 && (code = begin_segment(w)) != 0)
        error_set(err, code, "%s: %s", w->dir, status_text(code));
    if (code == 0) {
        w->synced_to = w->end;
        w->replay_at = w->segments.items[0].from;
        w->has_thread = pthread_create(&w->thread, NULL, sync_main, w) == 0;
        if (w->has_thread)
            pthread_setname_np(w->thread, "loge-wal");
        else
            code = error_set(err, E_NO_MEMORY, "cannot start a thread");
    }
    if (code != 0) {
        wal_close(w);
        return code;
    }
    *ret = w;
    return 0;
}

void wal_close(struct wal *w)
{
    if (w == NULL)
        return;
    if (w->has_thread) {
        pthread_mutex_lock(&w->lock);
        w->is_stopping = true;
        pthread_cond_signal(&w->wake);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
    }
    for (size_t i = 0; i < w->closing.len; i++)
        close(w->closing.items[i]);
    if (w->fd >= 0)
        close(w->fd);
    VEC_FREE(&w->closing);
    VEC_FREE(&w->segments);
    VEC_FREE(&w->pending);
    VEC_FREE(&w->waiters);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    mem_free(w->dir);
    mem_free(w);
}

/* --- appending --- */

static uint32_t record_crc(uint32_t len, enum wal_record_type type)
{
    unsigned char head[8] = {0};
    memcpy(head, &len, sizeof len);
    head[4] = (unsigned char)type;
    return crc32c(0, str_make((const char *)head, sizeof head));
}

/* Writes all of it; the file is as before if that fails. */
static int write_all(struct wal *w, struct iovec *iov, int n, size_t total)
{
    struct segment *s = &w->segments.items[w->segments.len - 1];
    size_t left = total;
    int code = 0;
    while (left > 0) {
        ssize_t wrote = writev(w->fd, iov, n);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            code = wrote == 0 ? E_NO_SPACE : status_from_errno(errno);
            break;
        }
        left -= (size_t)wrote;
        for (size_t done = (size_t)wrote; done > 0 && n > 0;) {
            size_t part = MIN(done, iov->iov_len);
            iov->iov_base = (char *)iov->iov_base + part;
            iov->iov_len -= part;
            done -= part;
            if (iov->iov_len == 0)
                iov++, n--;
        }
    }
    if (code != 0 && left < total && ftruncate(w->fd, (off_t)s->bytes) != 0)
        w->is_broken = true;
    return code == E_FULL || code == E_NO_SPACE ? E_NO_SPACE : code;
}

static int append_locked(struct wal *w, struct iovec *iov, int n, size_t total, uint64_t *ret_pos)
{
    struct segment *s = &w->segments.items[w->segments.len - 1];
    int code = 0;
    if (w->is_broken || (s->bytes > 0 && s->bytes + total > w->config.segment_bytes)) {
        if (w->is_broken) /* what could not be taken back keeps its positions */
            w->end += total;
        code = begin_segment(w);
    }
    if (code == 0)
        code = write_all(w, iov, n, total);
    if (code != 0)
        return code;
    *ret_pos = w->end;
    w->segments.items[w->segments.len - 1].bytes += total;
    w->end += total;
    VEC_PUSH(&w->pending, *ret_pos);
    return 0;
}

int wal_append(struct wal *w, enum wal_record_type type, const str *pieces, size_t n_pieces,
               uint64_t *ret_pos)
{
    ASSERT(n_pieces < PIECES_MAX);
    struct iovec iov[PIECES_MAX];
    size_t len = 0;
    for (size_t i = 0; i < n_pieces; i++)
        len += pieces[i].len;
    if (len > WAL_RECORD_BYTES_MAX)
        return E_TOO_LARGE;
    uint32_t crc = record_crc((uint32_t)len, type);
    int n = 1;
    for (size_t i = 0; i < n_pieces; i++) {
        if (pieces[i].len == 0)
            continue;
        crc = crc32c(crc, pieces[i]);
        iov[n++] = (struct iovec){(void *)(uintptr_t)pieces[i].ptr, pieces[i].len};
    }
    struct {
        uint32_t magic, len, crc;
        uint8_t type, unused[3];
    } header = {WAL_RECORD_MAGIC, (uint32_t)len, crc, (uint8_t)type, {0}};
    _Static_assert(sizeof header == WAL_RECORD_HEADER_BYTES, "as documented");
    iov[0] = (struct iovec){&header, sizeof header};

    pthread_mutex_lock(&w->lock);
    int code = append_locked(w, iov, n, sizeof header + len, ret_pos);
    bool is_news = (code != 0) != w->is_full;
    w->is_full = code != 0;
    pthread_mutex_unlock(&w->lock);

    struct ingester_metrics *m = ingester_metrics();
    if (code == 0) {
        metric_inc(m->wal_records);
        metric_add(m->wal_bytes_logged, (double)(sizeof header + len));
    } else {
        metric_inc(m->wal_disk_full);
    }
    if (is_news && code != 0)
        log_error("wal", "cannot write the log: pushes are refused", LOG_ERR(code));
    else if (is_news)
        log_info("wal", "the log can be written again");
    return code;
}

void wal_applied(struct wal *w, uint64_t pos)
{
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->pending.len; i++)
        if (w->pending.items[i] == pos) {
            w->pending.items[i] = w->pending.items[--w->pending.len];
            break;
        }
    pthread_mutex_unlock(&w->lock);
}

uint64_t wal_applied_to(struct wal *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t pos = MIN(w->end, w->replay_at);
    for (size_t i = 0; i < w->pending.len; i++)
        pos = MIN(pos, w->pending.items[i]);
    pthread_mutex_unlock(&w->lock);
    return pos;
}

/* --- giving files back --- */

void wal_truncate(struct wal *w, uint64_t pos)
{
    pthread_mutex_lock(&w->lock);
    size_t n = 0;
    while (n + 1 < w->segments.len && w->segments.items[n + 1].from <= pos) {
        char *path = segment_path(w, w->segments.items[n].from);
        if (unlink(path) != 0 && errno != ENOENT)
            log_warn("wal", "cannot delete a file of the log", LOG_C("file", path),
                     LOG_C("err", strerror(errno)));
        mem_free(path);
        n++;
    }
    w->segments.len -= n;
    memmove(w->segments.items, w->segments.items + n, w->segments.len * sizeof *w->segments.items);
    pthread_mutex_unlock(&w->lock);
}

uint64_t wal_bytes(struct wal *w)
{
    uint64_t bytes = 0;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->segments.len; i++)
        bytes += w->segments.items[i].bytes;
    pthread_mutex_unlock(&w->lock);
    return bytes;
}

uint64_t wal_oldest_end(struct wal *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t end = w->segments.len > 1 ? w->segments.items[1].from : 0;
    pthread_mutex_unlock(&w->lock);
    return end;
}

/* --- replay --- */

void wal_replayed_to(struct wal *w, uint64_t pos)
{
    pthread_mutex_lock(&w->lock);
    w->replay_at = pos;
    pthread_mutex_unlock(&w->lock);
}

/* Length of the whole record at the start of `bytes`, its type and payload; 0 if there is none. */
static size_t record_get(str bytes, enum wal_record_type *ret_type, str *ret_payload)
{
    struct cursor c = cursor_make(bytes);
    uint32_t magic = cursor_u32(&c), len = cursor_u32(&c), crc = cursor_u32(&c);
    uint32_t type = cursor_u32(&c);
    str payload = cursor_bytes(&c, len);
    if (!cursor_ok(&c) || magic != WAL_RECORD_MAGIC || len > WAL_RECORD_BYTES_MAX || type == 0 ||
        type > 0xff)
        return 0;
    if (crc32c(record_crc(len, (enum wal_record_type)type), payload) != crc)
        return 0;
    *ret_type = (enum wal_record_type)type;
    *ret_payload = payload;
    return WAL_RECORD_HEADER_BYTES + len;
}

/* Offset of the next whole record behind `at`; bytes.len if there is none. */
static size_t resync(str bytes, size_t at)
{
    static const uint32_t magic = WAL_RECORD_MAGIC;
    str needle = str_make((const char *)&magic, sizeof magic);
    enum wal_record_type type;
    str payload;
    for (at++; at < bytes.len; at++) {
        size_t hit = str_find(str_from(bytes, at), needle);
        if (hit == STR_NPOS)
            break;
        at += hit;
        if (record_get(str_from(bytes, at), &type, &payload) != 0)
            return at;
    }
    return bytes.len;
}

struct replay {
    struct wal *wal;
    int type;
    bool cut;
    wal_replay_record *fn;
    void *arg;
    struct wal_replay_stats *stats;
};

static int replay_bytes(struct replay *r, const struct segment *s, const char *path, str bytes)
{
    int code = 0;
    for (size_t at = 0; at < bytes.len && code == 0;) {
        enum wal_record_type type;
        str payload;
        size_t len = record_get(str_from(bytes, at), &type, &payload);
        if (len == 0) {
            size_t next = resync(bytes, at);
            if (next == bytes.len) { /* a torn tail: never acknowledged, or lost with the power */
                r->stats->torn_bytes += bytes.len - at;
                if (r->cut && truncate(path, (off_t)at) != 0)
                    log_warn("wal", "cannot cut a torn tail", LOG_C("file", path));
                return 0;
            }
            r->stats->corruptions++;
            if (r->cut)
                log_error("wal", "skipped a damaged record", LOG_C("file", path),
                          LOG_U("offset", at), LOG_U("bytes", next - at));
            at = next;
            continue;
        }
        r->stats->records++;
        if (r->type == 0 || (int)type == r->type)
            code = r->fn(r->arg, s->from + at, type, payload);
        at += len;
    }
    return code;
}

static int replay_segment(struct replay *r, const struct segment *s)
{
    char *path = segment_path(r->wal, s->from);
    int code = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *map = MAP_FAILED;
    if (fd < 0 || fstat(fd, &st) != 0) {
        code = status_from_errno(errno);
        goto out;
    }
    if (st.st_size == 0)
        goto out;
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        code = status_from_errno(errno);
        goto out;
    }
    madvise(map, (size_t)st.st_size, MADV_SEQUENTIAL);
    r->stats->segments++;
    r->stats->bytes += (uint64_t)st.st_size;
    code = replay_bytes(r, s, path, str_make(map, (size_t)st.st_size));
out:
    if (map != MAP_FAILED)
        munmap(map, (size_t)st.st_size);
    if (fd >= 0)
        close(fd);
    if (code == E_NOT_FOUND) /* truncated away by a flush during the replay */
        code = 0;
    mem_free(path);
    return code;
}

int wal_replay(struct wal *w, int type, bool cut, wal_replay_record *fn, void *arg,
               struct wal_replay_stats *stats)
{
    struct replay r = {w, type, cut, fn, arg, stats};
    VEC(struct segment) old = {0};
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->segments.len; i++)
        if (w->segments.items[i].is_old)
            VEC_PUSH(&old, w->segments.items[i]);
    pthread_mutex_unlock(&w->lock);
    int code = 0;
    for (size_t i = 0; i < old.len && code == 0; i++)
        code = replay_segment(&r, &old.items[i]);
    VEC_FREE(&old);
    return code;
}
