#include "promtail/client/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/cursor.h"
#include "base/file.h"
#include "base/mem.h"
#include "promtail/client/spool_format.h"
#include "runtime/log.h"

#define COMPONENT "client"

#define PATH_BYTES 4096

struct spool_seq {
    uint64_t next;
};

static void segment_path(const struct spool *s, uint32_t number, char out[PATH_BYTES])
{
    snprintf(out, PATH_BYTES, "%s/%08u.seg", s->dir, number);
}

static struct spool_segment *find_segment(struct spool *s, uint32_t number)
{
    for (size_t i = 0; i < s->segments.len; i++)
        if (s->segments.items[i].number == number)
            return &s->segments.items[i];
    return NULL;
}

void spool_new_id(struct spool *s)
{
    uint64_t random[2] = {0};
    if (getrandom(random, sizeof random, 0) != sizeof random)
        random[0] = (uint64_t)getpid();
    snprintf(s->id, sizeof s->id, "%016llx%016llx", (unsigned long long)random[0],
             (unsigned long long)random[1]);
}

void spool_set_seq(struct spool *s, str tenant, uint64_t next)
{
    struct spool_seq *q = strmap_get(&s->seqs, tenant);
    if (q == NULL) {
        q = mem_alloc(sizeof *q);
        strmap_put(&s->seqs, tenant, q);
    }
    q->next = next;
}

uint64_t spool_next_seq(struct spool *s, str tenant)
{
    struct spool_seq *q = strmap_get(&s->seqs, tenant);
    if (q == NULL) {
        spool_set_seq(s, tenant, 1);
        q = strmap_get(&s->seqs, tenant);
    }
    return q->next++;
}

/* --- writing --- */

/* A record is s->scratch with the bodies of `g` (may be NULL) put in at s->cuts: the bodies are
 * written from where they are. */
static void list_pieces(struct spool *s, const struct group *g)
{
    size_t at = 0;
    s->pieces.len = 0;
    for (size_t i = 0; g != NULL && i < g->batches.len; i++) {
        const struct buf *body = &g->batches.items[i].body;
        VEC_PUSH(&s->pieces, (struct iovec){s->scratch.ptr + at, s->cuts.items[i] - at});
        VEC_PUSH(&s->pieces, (struct iovec){body->ptr, body->len});
        at = s->cuts.items[i];
    }
    VEC_PUSH(&s->pieces, (struct iovec){s->scratch.ptr + at, s->scratch.len - at});
}

static void frame(struct spool *s)
{
    uint32_t head[2] = {0, 0};
    struct iovec *first = &s->pieces.items[0];
    for (size_t i = 0; i < s->pieces.len; i++) {
        size_t skip = i == 0 ? SPOOL_FRAME_BYTES : 0;
        str piece = {(const char *)s->pieces.items[i].iov_base + skip,
                     s->pieces.items[i].iov_len - skip};
        head[0] += (uint32_t)piece.len;
        head[1] = crc32c(head[1], piece);
    }
    memcpy(first->iov_base, head, sizeof head);
}

static int write_pieces(struct spool *s, int fd, uint64_t offset, size_t *ret_done)
{
    struct iovec *v = s->pieces.items;
    size_t n = s->pieces.len;
    while (n > 0) {
        ssize_t wrote = pwritev(fd, v, (int)MIN(n, (size_t)IOV_MAX), (off_t)(offset + *ret_done));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return wrote < 0 ? status_from_errno(errno) : E_IO;
        *ret_done += (size_t)wrote;
        size_t left = (size_t)wrote;
        while (n > 0 && left >= v->iov_len) {
            left -= v->iov_len;
            v++;
            n--;
        }
        if (n > 0) {
            v->iov_base = (char *)v->iov_base + left;
            v->iov_len -= left;
        }
    }
    return 0;
}

static int write_record(struct spool *s, int fd, struct spool_segment *seg, const struct group *g,
                        uint64_t *ret_offset)
{
    size_t done = 0;
    if (s->scratch.failed)
        return E_NO_MEMORY;
    list_pieces(s, g);
    frame(s);
    *ret_offset = seg->bytes;
    int rc = write_pieces(s, fd, seg->bytes, &done);
    if (rc == 0)
        seg->bytes += done;
    else if (ftruncate(fd, (off_t)seg->bytes) != 0) /* nothing torn before later records */
        rc = E_IO;
    return rc;
}

/* To the segment being written. */
static int append_record(struct spool *s, const struct group *g, uint64_t *ret_offset)
{
    return write_record(s, s->fd, &s->segments.items[s->segments.len - 1], g, ret_offset);
}

static void begin_record(struct spool *s, enum spool_kind kind)
{
    buf_reset(&s->scratch);
    buf_append(&s->scratch, "\0\0\0\0\0\0\0\0", SPOOL_FRAME_BYTES);
    buf_put_u8(&s->scratch, (uint8_t)kind);
}

static int write_head(struct spool *s, int fd, struct spool_segment *seg)
{
    struct buf *b = &s->scratch;
    begin_record(s, SPOOL_HEAD);
    buf_put_u8(b, SPOOL_VERSION);
    buf_put_lenstr(b, str_c(s->id));
    char boot[SPOOL_BOOT_ID_MAX];
    buf_put_lenstr(b, spool_boot_id(boot));
    buf_put_uvarint(b, s->next_group);
    buf_put_uvarint(b, s->seqs.len);
    size_t at = 0;
    str tenant;
    void *item;
    while (strmap_next(&s->seqs, &at, &tenant, &item)) {
        buf_put_lenstr(b, tenant);
        buf_put_uvarint(b, ((struct spool_seq *)item)->next);
    }
    struct source_list sources = source_registry_list(s->sources);
    buf_put_uvarint(b, sources.len);
    for (size_t i = 0; i < sources.len; i++)
        spool_put_mark(b, sources.items[i], &sources.items[i]->queued[s->client]);
    VEC_FREE(&sources);
    uint64_t offset;
    return write_record(s, fd, seg, NULL, &offset);
}

int spool_new_segment(struct spool *s, struct error *err)
{
    uint32_t number = s->segments.len > 0 ? s->segments.items[s->segments.len - 1].number + 1 : 1;
    char path[PATH_BYTES];
    segment_path(s, number, path);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(err, status_from_errno(errno), "open %s: %s", path, strerror(errno));
    struct spool_segment seg = {.number = number};
    int rc = write_head(s, fd, &seg);
    if (rc != 0) { /* the old one goes on */
        error_set(err, rc, "write %s: %s", path, status_text(rc));
        close(fd);
        unlink(path);
        return rc;
    }
    if (s->fd >= 0)
        close(s->fd);
    s->fd = fd;
    VEC_PUSH(&s->segments, seg);
    return 0;
}

/* Whole segments go when nothing in them is needed; never the one being written. */
static void delete_old(struct spool *s)
{
    size_t n = 0;
    while (n + 1 < s->segments.len && s->segments.items[n].n_open == 0) {
        char path[PATH_BYTES];
        segment_path(s, s->segments.items[n].number, path);
        unlink(path);
        n++;
    }
    if (n > 0) {
        s->segments.len -= n;
        memmove(s->segments.items, s->segments.items + n,
                s->segments.len * sizeof *s->segments.items);
    }
}

static void put_group(struct spool *s, struct group *g)
{
    struct buf *b = &s->scratch;
    size_t bodies = 0;
    s->cuts.len = 0;
    ASSERT(g->batches.len <= GROUP_BATCHES_MAX);
    begin_record(s, SPOOL_GROUP);
    buf_put_uvarint(b, g->id);
    buf_put_uvarint(b, g->batches.len);
    for (size_t i = 0; i < g->batches.len; i++) {
        struct group_batch *one = &g->batches.items[i];
        buf_put_lenstr(b, str_c(one->tenant));
        buf_put_uvarint(b, one->seq);
        buf_put_uvarint(b, one->n_entries);
        buf_put_uvarint(b, one->raw_bytes);
        buf_put_uvarint(b, one->body.len);
        VEC_PUSH(&s->cuts, b->len);
        one->offset = b->len + bodies;
        bodies += one->body.len;
    }
    buf_put_uvarint(b, g->marks.len);
    for (size_t i = 0; i < g->marks.len; i++)
        spool_put_mark(b, g->marks.items[i].source, &g->marks.items[i].mark);
}

static bool wants_segment(const struct spool *s)
{
    return s->fd < 0 || s->segments.items[s->segments.len - 1].bytes > s->segment_bytes_max;
}

void spool_prepare(struct spool *s)
{
    struct error err = {0};
    if (s->dir != NULL && wants_segment(s) && spool_new_segment(s, &err) != 0)
        log_warn(COMPONENT, "cannot begin a segment", LOG_C("err", err.text)); /* tried again */
}

int spool_append(struct spool *s, struct group *g, struct error *err)
{
    if (s->dir == NULL)
        return 0;
    if (s->fd < 0)
        return error_set(err, E_IO, "%s has no segment", s->dir);
    uint64_t offset;
    put_group(s, g);
    int rc = append_record(s, g, &offset);
    if (rc != 0)
        return error_set(err, rc, "write to %s: %s", s->dir, status_text(rc));
    struct spool_segment *seg = &s->segments.items[s->segments.len - 1];
    for (size_t i = 0; i < g->batches.len; i++) {
        g->batches.items[i].segment = seg->number;
        g->batches.items[i].offset += offset;
    }
    g->is_durable = true;
    if (g->batches.len > 0)
        seg->n_open++;
    delete_old(s);
    return 0;
}

void spool_ack(struct spool *s, const struct group *g, size_t batch)
{
    if (s->fd < 0 || !g->is_durable)
        return;
    uint64_t offset;
    begin_record(s, SPOOL_ACK);
    buf_put_uvarint(&s->scratch, g->id);
    buf_put_uvarint(&s->scratch, batch);
    /* If it fails the batch may be sent again: the server knows it. */
    append_record(s, NULL, &offset);
}

void spool_group_done(struct spool *s, const struct group *g)
{
    if (s->dir == NULL || !g->is_durable || g->batches.len == 0)
        return;
    struct spool_segment *seg = find_segment(s, g->batches.items[0].segment);
    if (seg != NULL && seg->n_open > 0)
        seg->n_open--;
    delete_old(s);
}

int spool_read_body(struct spool *s, const struct group_batch *b, struct buf *out)
{
    char path[PATH_BYTES];
    segment_path(s, b->segment, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return status_from_errno(errno);
    int rc = buf_reserve(out, b->body_bytes) ? 0 : E_NO_MEMORY;
    for (size_t done = 0; rc == 0 && done < b->body_bytes;) {
        ssize_t n = pread(fd, out->ptr + out->len, b->body_bytes - done, (off_t)(b->offset + done));
        if (n <= 0)
            rc = n < 0 ? status_from_errno(errno) : E_CORRUPT;
        else
            done += (size_t)n, out->len += (size_t)n;
    }
    close(fd);
    return rc;
}

/* --- opening and closing --- */

static int lock_dir(struct spool *s, struct error *err)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/lock", s->dir);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return error_set(err, status_from_errno(errno), "open %s: %s", path, strerror(errno));
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return error_set(err, E_EXISTS, "%s is used by another promtail", s->dir);
    return 0;
}

int spool_open(struct spool *s, const char *dir, uint64_t segment_bytes_max, size_t client,
               struct source_registry *sources, bool ignore_marks, struct group **ret_groups,
               struct error *err)
{
    *s = (struct spool){.lock_fd = -1,
                        .fd = -1,
                        .segment_bytes_max = segment_bytes_max,
                        .client = client,
                        .sources = sources,
                        .next_group = 1};
    *ret_groups = NULL;
    strmap_init(&s->seqs);
    buf_init(&s->scratch, BUF_NO_LIMIT);
    spool_new_id(s);
    if (dir == NULL)
        return 0;
    s->dir = mem_strdup(dir);
    int rc = file_make_dirs(dir, err);
    if (rc == 0)
        rc = lock_dir(s, err);
    if (rc == 0)
        rc = spool_load(s, ignore_marks, ret_groups, err);
    if (rc == 0)
        return 0;
    mem_free(s->dir); /* goes on in memory */
    s->dir = NULL;
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    s->lock_fd = -1;
    spool_new_id(s);
    return rc;
}

int spool_begin(struct spool *s, struct error *err)
{
    int rc = s->dir != NULL ? spool_new_segment(s, err) : 0;
    if (rc == 0)
        delete_old(s);
    return rc;
}

void spool_close(struct spool *s, bool is_clean)
{
    uint64_t offset;
    if (s->fd >= 0 && is_clean) {
        begin_record(s, SPOOL_CLOSE);
        append_record(s, NULL, &offset);
        fdatasync(s->fd);
    }
    if (s->fd >= 0)
        close(s->fd);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    size_t at = 0;
    void *seq;
    while (strmap_next(&s->seqs, &at, NULL, &seq))
        mem_free(seq);
    strmap_deinit(&s->seqs);
    VEC_FREE(&s->segments);
    VEC_FREE(&s->cuts);
    VEC_FREE(&s->pieces);
    buf_deinit(&s->scratch);
    mem_free(s->dir);
    *s = (struct spool){.fd = -1, .lock_fd = -1};
}
