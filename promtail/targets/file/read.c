/* Reading slices of generations and cutting them into lines. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "promtail/loss.h"
#include "promtail/targets/file/tail.h"
#include "runtime/log.h"

#define COMPONENT     "file"
#define SLICE_MIN     4096            /* while lines are let through one by one */
#define GZIP_REST_NS  (60 * NS_PER_S) /* without a write: no more is to come */
#define GZIP_AGAIN_NS NS_PER_S

bool generation_is_held_up(const struct generation *g)
{
    return record_sink_is_full(&g->tail->env->pipeline->sink);
}

/* The time of reading; lines of one tail never get the same, or equal lines would look like one
 * line sent twice. */
static int64_t read_time(struct tail *t, int64_t now_ns)
{
    t->last_ts_ns = now_ns > t->last_ts_ns ? now_ns : t->last_ts_ns + 1;
    return t->last_ts_ns;
}

static void put(struct generation *g, struct arena *a, str line, int64_t from, int64_t to,
                int64_t now_ns)
{
    struct record r;
    arena_reset(a);
    record_init(&r, a, &g->tail->labels);
    r.line = line;
    r.ts_ns = read_time(g->tail, now_ns);
    r.origin = (struct origin){g->source, from, to};
    record_sink_put(&g->tail->env->pipeline->sink, &r);
    source_advance(g->source, to);
}

void generation_put(struct generation *g, str line, int64_t from, int64_t to)
{
    struct tail *t = g->tail;
    put(g, tail_pool_arena(t->env->pool), line, from, to, clock_now_ns());
    metric_inc(t->metrics->lines);
}

/* --- plain files --- */

/* Puts the whole lines of `bytes`, which stand at g->offset; returns the bytes used.  Stops where
 * the sink takes no more. */
static size_t put_lines(struct generation *g, str bytes, bool *ret_is_held_up)
{
    struct tail *t = g->tail;
    struct arena *a = tail_pool_arena(t->env->pool);
    int64_t now_ns = clock_now_ns();
    size_t at = 0, n_lines = 0;
    while (at < bytes.len) {
        const char *nl = memchr(bytes.ptr + at, '\n', bytes.len - at);
        *ret_is_held_up = nl != NULL && generation_is_held_up(g);
        if (nl == NULL || *ret_is_held_up)
            break;
        size_t end = (size_t)(nl - bytes.ptr);
        put(g, a, str_sub(bytes, at, end), g->offset + (int64_t)at, g->offset + (int64_t)end + 1,
            now_ns);
        at = end + 1;
        n_lines++;
    }
    metric_add(t->metrics->lines, (double)n_lines);
    return at;
}

static size_t put_encoded_lines(struct generation *g, str bytes, bool *ret_is_held_up)
{
    struct tail *t = g->tail;
    struct arena *a = tail_pool_arena(t->env->pool);
    struct buf *decoded = tail_pool_decoded(t->env->pool);
    size_t at = 0, n;
    str line;
    while ((n = encoding_line(t->encoding, str_from(bytes, at), g->offset + (int64_t)at, &line)) >
           0) {
        int64_t from = g->offset + (int64_t)at;
        *ret_is_held_up = generation_is_held_up(g);
        if (*ret_is_held_up)
            break;
        buf_reset(decoded);
        encoding_decode(t->encoding, line, from, decoded);
        put(g, a, buf_str(decoded), from, from + (int64_t)n, clock_now_ns());
        metric_inc(t->metrics->lines);
        at += n;
    }
    return at;
}

static void note_progress(struct generation *g)
{
    struct tail *t = g->tail;
    g->quiet_since_mono_ns = clock_mono_ns();
    if (g->fd >= 0)
        tail_pool_read(t->env->pool, g);
    if (g->is_current)
        metric_set(t->metrics->size, (double)MAX(g->size, g->offset));
}

/* Reads until at least one whole line is there, the file's end, or the longest line. */
static ssize_t read_slice(struct generation *g, struct buf *b)
{
    size_t want = g->slice_bytes;
    buf_reset(b);
    for (;;) {
        if (!buf_reserve(b, want - b->len))
            return -1;
        ssize_t n = pread(g->fd, b->ptr + b->len, want - b->len, g->offset + (off_t)b->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        size_t before = b->len;
        b->len += (size_t)n;
        bool has_line = memchr(b->ptr + before, '\n', (size_t)n) != NULL;
        if (n == 0 || has_line || b->len >= LINE_BYTES_MAX)
            return (ssize_t)b->len;
        if (b->len == want)
            want = MIN(want * 2, (size_t)LINE_BYTES_MAX);
    }
}

static void give_back_memory(struct buf *b)
{
    if (b->cap > 4 * SLICE_BYTES) {
        size_t max = b->max;
        buf_deinit(b);
        buf_init(b, max);
    }
}

/* What stands under the path can be opened anew: a network file system may have lost it for a
 * while.  Anything else cannot be found again. */
static void postpone(struct generation *g)
{
    if (!g->said_error)
        log_error(COMPONENT, "error reading", LOG_C("path", g->tail->path),
                  LOG_C("err", strerror(errno)));
    g->said_error = true;
    g->is_postponed = g->is_current;
    g->is_broken = !g->is_current;
    if (g->is_current)
        generation_close_fd(g);
}

static bool read_plain(struct generation *g)
{
    struct tail *t = g->tail;
    struct buf *b = tail_pool_buffer(t->env->pool);
    ssize_t n = read_slice(g, b);
    if (n < 0) {
        postpone(g);
        return false;
    }
    g->said_error = false;
    if (n > 0 && !ident_confirm(g->fd, &g->source->ident, g->offset, buf_str(b))) {
        g->is_overwritten = true;
        return false;
    }
    bool is_held_up = false;
    size_t used = t->encoding != NULL ? put_encoded_lines(g, buf_str(b), &is_held_up)
                                      : put_lines(g, buf_str(b), &is_held_up);
    g->slice_bytes = is_held_up ? SLICE_MIN : MIN(g->slice_bytes * 2, (size_t)SLICE_BYTES);
    if (used == 0 && !is_held_up && b->len >= LINE_BYTES_MAX) { /* no end in sight */
        generation_put(g, buf_str(b), g->offset, g->offset + (int64_t)b->len);
        used = b->len;
    }
    g->offset += (int64_t)used;
    bool more = used > 0 || is_held_up;
    give_back_memory(b);
    g->size = MAX(g->size, g->offset + (n > 0 ? (int64_t)((size_t)n - used) : 0));
    if (used > 0)
        note_progress(g);
    return more;
}

/* --- compressed files --- */

str generation_decode(struct generation *g, str line, int64_t offset)
{
    struct tail *t = g->tail;
    if (t->encoding == NULL)
        return line;
    struct buf *decoded = tail_pool_decoded(t->env->pool);
    buf_reset(decoded);
    encoding_decode(t->encoding, line, offset, decoded);
    return buf_str(decoded);
}

/* Lines are counted, positions are their numbers, carriage returns go, and the last line needs no
 * newline: all as Promtail does. */
static void put_numbered(struct generation *g, str line, size_t end_bytes, bool is_copy)
{
    int64_t number = g->source->read_to;
    if (is_copy) { /* a .gz of a rotated plain file: positions are bytes of the plain text */
        int64_t to = g->offset + (int64_t)(line.len + end_bytes);
        generation_put(g, generation_decode(g, line, g->offset), g->offset, to);
        g->offset = to;
        return;
    }
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    g->offset++;
    if (g->offset <= number)
        return; /* read before the restart */
    generation_put(g, generation_decode(g, line, g->offset - 1), g->offset - 1, g->offset);
}

static bool is_gzip_copy(const struct generation *g)
{
    return !g->tail->env->job->decompression.enabled && g->inflate != NULL;
}

static void put_carry(struct generation *g, size_t end_bytes, bool is_copy)
{
    put_numbered(g, buf_str(&g->carry), end_bytes, is_copy);
    buf_reset(&g->carry);
}

static void put_decompressed(struct generation *g, str bytes, bool is_copy)
{
    while (bytes.len > 0) {
        if (is_copy && g->skip_bytes > 0) {
            size_t skip = MIN(bytes.len, (size_t)g->skip_bytes);
            g->skip_bytes -= (int64_t)skip;
            bytes = str_from(bytes, skip);
            continue;
        }
        size_t nl = str_find_char(bytes, '\n');
        size_t len = MIN(nl, bytes.len); /* of this line, as far as it is there */
        if (g->carry.len > 0 && g->carry.len + len > LINE_BYTES_MAX)
            put_carry(g, 0, is_copy);
        if (nl == STR_NPOS) {
            buf_append_str(&g->carry, bytes);
            return;
        }
        if (g->carry.len > 0) {
            buf_append_str(&g->carry, str_sub(bytes, 0, nl));
            put_carry(g, 1, is_copy);
        } else {
            put_numbered(g, str_sub(bytes, 0, nl), 1, is_copy);
        }
        bytes = str_from(bytes, nl + 1);
    }
}

/* Perhaps it is still being written. */
static bool wait_for_rest(struct generation *g)
{
    struct stat st;
    if (g->fd < 0 || fstat(g->fd, &st) != 0 ||
        clock_now_ns() - ident_written_ns(&st) > GZIP_REST_NS)
        return false;
    g->again_mono_ns = clock_mono_ns() + GZIP_AGAIN_NS;
    return true;
}

bool generation_read_compressed(struct generation *g)
{
    struct tail *t = g->tail;
    struct buf *b = tail_pool_buffer(t->env->pool);
    size_t n = 0;
    buf_reset(b);
    int rc = inflate_read(g->inflate, b, SLICE_BYTES, &n);
    bool is_copy = is_gzip_copy(g);
    if (rc == E_EOF && is_copy && wait_for_rest(g))
        return false;
    g->again_mono_ns = 0;
    if (rc != 0) {
        log_error(COMPONENT, "error decompressing", LOG_C("path", t->path), LOG_ERR(rc));
        loss_count(STR_EMPTY, LOSS_UNREADABLE, g->carry.len); /* and what nobody can know */
        g->is_broken = true;
        return false;
    }
    put_decompressed(g, buf_str(b), is_copy);
    if (n == 0 && g->carry.len > 0)
        put_carry(g, 0, is_copy);
    note_progress(g);
    return n > 0;
}

static bool read_some(struct generation *g)
{
    if (g->is_truncated || !generation_open_fd(g))
        return false;
    return g->inflate != NULL ? generation_read_compressed(g) : read_plain(g);
}

bool generation_read(struct generation *g)
{
    struct tail_pool *pool = g->tail->env->pool; /* g may be gone afterwards */
    bool more = read_some(g);
    if (!more) {
        g->at_end = true;
        g->size_at_end = g->is_postponed ? -1 : g->size;
        if (g->is_postponed)
            return false; /* at the next look */
        if (g->fd < 0 || g->is_broken || g->is_overwritten || g->next != NULL)
            tail_check(g->tail); /* the next generation may begin */
        tail_pool_trim(pool, TAIL_POOL_FEW);
    }
    return more;
}
