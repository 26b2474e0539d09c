#include "promtail/targets/file/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "promtail/loss.h"
#include "runtime/log.h"

#define COMPONENT "file"

int64_t generation_written_ns(const struct generation *g)
{
    struct stat st;
    return g->fd >= 0 && fstat(g->fd, &st) == 0 ? ident_written_ns(&st) : 0;
}

/* Size and time of a descriptor that is new to us. */
static void take_stat(struct generation *g)
{
    struct stat st;
    if (fstat(g->fd, &st) != 0)
        return;
    g->size = st.st_size;
    g->written_ns = ident_written_ns(&st);
}

struct generation *generation_new(struct tail *t, struct source *s, int fd)
{
    struct generation *g = mem_zalloc(sizeof *g);
    g->tail = t;
    g->source = s;
    s->is_claimed = true;
    s->is_left = false;
    g->fd = fd;
    g->size_at_end = -1;
    g->slice_bytes = SLICE_BYTES;
    take_stat(g);
    g->quiet_since_mono_ns = clock_mono_ns();
    buf_init(&g->carry, LINE_BYTES_MAX);
    tail_pool_opened(t->env->pool, g);
    return g;
}

void generation_close_fd(struct generation *g)
{
    if (g->fd < 0)
        return;
    if (g->inflate == NULL)
        close(g->fd);
    g->fd = -1; /* the decompressor has its own life */
    tail_pool_closed(g->tail->env->pool, g);
}

void generation_free(struct generation *g)
{
    tail_pool_remove(g->tail->env->pool, g);
    generation_close_fd(g);
    inflate_close(g->inflate);
    buf_deinit(&g->carry);
    g->source->is_claimed = false;
    source_unref(g->source);
    mem_free(g);
}

/* Only what stands under a path can be found again when it was closed. */
bool generation_may_close(const struct generation *g)
{
    bool is_read = g->at_end || g->size <= g->offset;
    return g->fd >= 0 && g->inflate == NULL && g->is_current && is_read && !g->is_queued;
}

bool generation_open_fd(struct generation *g)
{
    struct stat st;
    if (g->fd >= 0)
        return true;
    int fd = tail_pool_open(g->tail->env->pool, g->tail->path);
    g->is_postponed = fd < 0 && errno != ENOENT; /* for want of descriptors, of a right */
    if (g->is_postponed && !g->said_error)
        log_error(COMPONENT, "cannot open", LOG_C("path", g->tail->path),
                  LOG_C("err", strerror(errno)));
    g->said_error = g->is_postponed;
    if (fd < 0)
        return false;
    if (!ident_is_same_file(fd, &g->source->ident)) {
        g->is_overwritten = fstat(fd, &st) == 0 && st.st_ino == g->source->ident.ino;
        close(fd);
        return false;
    }
    g->fd = fd;
    tail_pool_opened(g->tail->env->pool, g);
    return true;
}

void generation_replace_fd(struct generation *g, int fd)
{
    generation_close_fd(g);
    g->fd = fd;
    g->at_end = g->is_overwritten = g->is_truncated = false;
    g->size_at_end = -1;
    take_stat(g);
    tail_pool_opened(g->tail->env->pool, g);
    tail_pool_keep(g->tail->env->pool, g);
}

void generation_forget_yaml(struct generation *g)
{
    if (g->source->yaml_key != NULL) /* or another file there would begin at its end */
        positions_remove(g->tail->env->positions, str_c(g->source->yaml_key));
    mem_free(g->source->yaml_key);
    g->source->yaml_key = NULL;
}

static bool inflate_as(struct generation *g, const char *format)
{
    struct error err = {0};
    lseek(g->fd, 0, SEEK_SET);
    if (inflate_open(g->fd, format, &g->inflate, &err) == 0)
        return true;
    log_error(COMPONENT, "cannot decompress", LOG_C("path", g->tail->path), LOG_C("err", err.text));
    g->fd = -1; /* inflate_open closed it */
    tail_pool_closed(g->tail->env->pool, g);
    return false;
}

bool generation_decompress(struct generation *g)
{
    g->offset = 0; /* lines are counted from the start */
    return inflate_as(g, g->tail->env->job->decompression.format);
}

bool generation_read_as_gzip(struct generation *g)
{
    g->skip_bytes = g->offset;
    return inflate_as(g, "gz");
}

int64_t generation_unread(const struct generation *g)
{
    return g->inflate == NULL ? MAX(g->size - g->offset, (int64_t)0) : 0;
}

void generation_count_loss(const struct generation *g, str reason)
{
    loss_count(STR_EMPTY, reason, (size_t)generation_unread(g));
}

/* Bytes of the rest that could be read and were put. */
static size_t put_rest(struct generation *g, size_t want)
{
    struct tail *t = g->tail;
    struct buf *b = tail_pool_buffer(t->env->pool);
    buf_reset(b);
    if (g->fd < 0 || g->is_broken || want > LINE_BYTES_MAX || !buf_reserve(b, want))
        return 0;
    ssize_t n = pread(g->fd, b->ptr, want, g->offset);
    if (n <= 0)
        return 0;
    b->len = (size_t)n;
    generation_put(g, generation_decode(g, buf_str(b), g->offset), g->offset, g->offset + n);
    g->offset += n;
    return (size_t)n;
}

void generation_put_rest(struct generation *g)
{
    size_t want = (size_t)generation_unread(g);
    if (want > 0 && put_rest(g, want) < want)
        generation_count_loss(g, LOSS_UNREADABLE);
}
