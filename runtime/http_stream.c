/* Streaming answers: a worker writes, MHD on the loop's thread takes.
 *
 * Two buffers: the worker fills one under the lock, MHD drains the other without it; they are
 * swapped when the drained one is empty.  An empty stream suspends its connection. */
#include "base/mem.h"
#include "runtime/http_internal.h"
#include "runtime/loop.h"

#define STREAM_BYTES_MAX   (1024 * 1024) /* more waits, and the writer with it */
#define STREAM_BLOCK_BYTES ((size_t)32 * 1024)

struct http_stream {
    uv_mutex_t lock; /* guards filling and the flags */
    uv_cond_t room;  /* filling was taken away, or the client has gone */
    struct buf filling;
    bool is_ended;
    bool is_reader_waiting; /* the connection is suspended until bytes come */
    /* the loop's alone */
    struct buf draining;
    size_t drained;
};

static void swap_buffers(struct http_stream *st)
{
    struct buf empty = st->draining;
    buf_reset(&empty);
    st->draining = st->filling;
    st->drained = 0;
    st->filling = empty;
    uv_cond_signal(&st->room);
}

static ssize_t read_stream(void *cls, uint64_t pos, char *out, size_t max)
{
    (void)pos;
    struct http_request *r = cls;
    struct http_stream *st = r->stream;
    if (http_is_cancelled(r))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (st->drained == st->draining.len) {
        uv_mutex_lock(&st->lock);
        if (st->filling.len > 0) {
            swap_buffers(st);
        } else if (st->is_ended) {
            uv_mutex_unlock(&st->lock);
            return MHD_CONTENT_READER_END_OF_STREAM;
        } else {
            st->is_reader_waiting = true;
            http_request_suspend(r);
            uv_mutex_unlock(&st->lock);
            return 0;
        }
        uv_mutex_unlock(&st->lock);
    }
    size_t n = MIN(max, st->draining.len - st->drained);
    memcpy(out, st->draining.ptr + st->drained, n);
    st->drained += n;
    return (ssize_t)n;
}

int http_stream_begin(struct http_request *r, int status, const char *content_type)
{
    if (http_is_cancelled(r))
        return E_CANCELED;
    struct http_stream *st = mem_zalloc(sizeof *st);
    ASSERT(uv_mutex_init(&st->lock) == 0);
    ASSERT(uv_cond_init(&st->room) == 0);
    buf_init(&st->filling, BUF_NO_LIMIT);
    buf_init(&st->draining, BUF_NO_LIMIT);
    r->stream = st;
    http_reply_with(r, status, content_type,
                    MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES,
                                                      read_stream, r, NULL));
    return 0;
}

static void resume_reader(void *request)
{
    http_request_resume(request);
}

int http_stream_write(struct http_request *r, str bytes)
{
    struct http_stream *st = r->stream;
    struct loop *l = r->server->loop;
    int code = 0;
    bool wake = false;
    uv_mutex_lock(&st->lock);
    while (st->filling.len > STREAM_BYTES_MAX && !http_is_cancelled(r) && code == 0) {
        if (loop_is_loop_thread(l))
            code = E_FULL; /* the loop must not wait for itself */
        else
            uv_cond_wait(&st->room, &st->lock);
    }
    if (http_is_cancelled(r))
        code = E_CANCELED;
    if (code == 0 && !buf_append_str(&st->filling, bytes))
        code = E_NO_MEMORY;
    if (code == 0) {
        wake = st->is_reader_waiting && st->filling.len > 0;
        st->is_reader_waiting = st->is_reader_waiting && !wake;
    }
    uv_mutex_unlock(&st->lock);
    if (wake)
        loop_post(l, resume_reader, r);
    return code;
}

void http_stream_end(struct http_request *r)
{
    uv_mutex_lock(&r->stream->lock);
    r->stream->is_ended = true;
    uv_mutex_unlock(&r->stream->lock);
    loop_post(r->server->loop, http_reply_stream_ended, r);
}

void http_stream_wake(struct http_stream *st)
{
    uv_mutex_lock(&st->lock);
    uv_cond_broadcast(&st->room);
    uv_mutex_unlock(&st->lock);
}

void http_stream_free(struct http_stream *st)
{
    if (st == NULL)
        return;
    buf_deinit(&st->filling);
    buf_deinit(&st->draining);
    uv_cond_destroy(&st->room);
    uv_mutex_destroy(&st->lock);
    mem_free(st);
}
