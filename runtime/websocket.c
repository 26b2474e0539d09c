#include "runtime/websocket.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdatomic.h>
#include <uv.h>
#include <wslay/wslay.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/vec.h"
#include "runtime/loop.h"
#include "runtime/websocket_internal.h"

#define MESSAGE_BYTES_MAX   (1024 * 1024)
#define QUEUE_BYTES_MAX     ((size_t)4 * 1024 * 1024)
#define CLOSE_TIMEOUT_MS    5000 /* for the peer's close frame */
#define SHUTDOWN_TIMEOUT_MS 1000
#define REASON_BYTES_MAX    123 /* a control frame holds 125 bytes */

struct outgoing {
    char *bytes;
    size_t len;
    bool is_ping;
};

struct websocket {
    struct loop *loop;
    struct websocket_ops ops;
    void *arg;
    bool is_client;
    /* Any thread; guarded by lock. */
    uv_mutex_t lock;
    VEC(struct outgoing) queue;
    bool is_flush_posted;
    int close_code; /* wanted; 0: none */
    char close_reason[REASON_BYTES_MAX + 1];
    bool is_gone;          /* nothing is taken any more */
    size_t queue_bytes;    /* in `queue` */
    _Atomic size_t unsent; /* handed to wslay, not yet written */
    _Atomic unsigned refs; /* the loop's side and each posted call */
    /* The loop's thread alone. */
    wslay_event_context_ptr ctx;
    struct websocket_io io;
    bool is_open, is_closed;
    uv_poll_t poll;
    uv_timer_t timer; /* waits for the close handshake */
    int handles_open;
    struct buf extra; /* read already, not yet given to wslay */
    size_t extra_at;
    int peer_code;
    struct buf peer_reason;
};

/* --- life --- */

/* What wslay wants to hear of a transfer. */
static ssize_t io_result(wslay_event_context_ptr ctx, ptrdiff_t n)
{
    if (n > 0)
        return n;
    wslay_event_set_error(ctx, n == WEBSOCKET_IO_AGAIN ? WSLAY_ERR_WOULDBLOCK
                                                       : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_recv(wslay_event_context_ptr ctx, uint8_t *bytes, size_t n, int flags, void *arg);
static ssize_t on_send(wslay_event_context_ptr ctx, const uint8_t *bytes, size_t n, int flags,
                       void *arg);
static int on_mask(wslay_event_context_ptr ctx, uint8_t *bytes, size_t n, void *arg);
static void on_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m,
                       void *arg);

struct websocket *websocket_new(struct loop *l, bool is_client, const struct websocket_ops *ops,
                                void *arg)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv,
        .send_callback = on_send,
        .genmask_callback = on_mask,
        .on_msg_recv_callback = on_message,
    };
    struct websocket *ws = mem_zalloc(sizeof *ws);
    ws->loop = l;
    ws->ops = *ops;
    ws->arg = arg;
    ws->is_client = is_client;
    atomic_store(&ws->refs, 1);
    ASSERT(uv_mutex_init(&ws->lock) == 0);
    buf_init(&ws->extra, BUF_NO_LIMIT);
    buf_init(&ws->peer_reason, REASON_BYTES_MAX);
    int code = is_client ? wslay_event_context_client_init(&ws->ctx, &callbacks, ws)
                         : wslay_event_context_server_init(&ws->ctx, &callbacks, ws);
    ASSERT(code == 0);
    wslay_event_config_set_max_recv_msg_length(ws->ctx, MESSAGE_BYTES_MAX);
    return ws;
}

static void unref(struct websocket *ws)
{
    if (atomic_fetch_sub(&ws->refs, 1) != 1)
        return;
    for (size_t i = 0; i < ws->queue.len; i++)
        mem_free(ws->queue.items[i].bytes);
    VEC_FREE(&ws->queue);
    wslay_event_context_free(ws->ctx);
    buf_deinit(&ws->extra);
    buf_deinit(&ws->peer_reason);
    uv_mutex_destroy(&ws->lock);
    mem_free(ws);
}

static void on_handle_closed(uv_handle_t *h)
{
    struct websocket *ws = h->data;
    if (--ws->handles_open == 0)
        unref(ws);
}

static void set_gone(struct websocket *ws)
{
    uv_mutex_lock(&ws->lock);
    ws->is_gone = true;
    uv_mutex_unlock(&ws->lock);
}

/* The one end of an open websocket. */
static void end(struct websocket *ws)
{
    if (ws->is_closed)
        return;
    ws->is_closed = true;
    set_gone(ws);
    uv_poll_stop(&ws->poll);
    uv_timer_stop(&ws->timer);
    uv_close((uv_handle_t *)&ws->poll, on_handle_closed);
    uv_close((uv_handle_t *)&ws->timer, on_handle_closed);
    ws->io.close(ws->io.arg);
    int code = ws->peer_code;
    if (code == 0 && wslay_event_get_close_sent(ws->ctx))
        code = wslay_event_get_status_code_sent(ws->ctx);
    ws->ops.on_close(ws->arg, code ? code : 1006, buf_str(&ws->peer_reason));
}

void websocket_fail(struct websocket *ws)
{
    ws->is_closed = true;
    set_gone(ws);
    ws->ops.on_close(ws->arg, 1006, STR_EMPTY);
    unref(ws);
}

/* --- wslay's callbacks --- */

static ssize_t on_recv(wslay_event_context_ptr ctx, uint8_t *bytes, size_t n, int flags, void *arg)
{
    (void)flags;
    struct websocket *ws = arg;
    if (ws->extra_at < ws->extra.len) {
        n = MIN(n, ws->extra.len - ws->extra_at);
        memcpy(bytes, ws->extra.ptr + ws->extra_at, n);
        ws->extra_at += n;
        return (ssize_t)n;
    }
    return io_result(ctx, ws->io.recv(ws->io.arg, bytes, n));
}

static ssize_t on_send(wslay_event_context_ptr ctx, const uint8_t *bytes, size_t n, int flags,
                       void *arg)
{
    (void)flags;
    struct websocket *ws = arg;
    return io_result(ctx, ws->io.send(ws->io.arg, bytes, n));
}

static int on_mask(wslay_event_context_ptr ctx, uint8_t *bytes, size_t n, void *arg)
{
    (void)ctx;
    (void)arg;
    return RAND_bytes(bytes, (int)n) == 1 ? 0 : -1;
}

static void on_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m,
                       void *arg)
{
    (void)ctx;
    struct websocket *ws = arg;
    if (m->opcode == WSLAY_CONNECTION_CLOSE) {
        ws->peer_code = m->status_code ? m->status_code : 1005;
        if (m->msg_length > 2)
            buf_append(&ws->peer_reason, m->msg + 2, m->msg_length - 2);
        return;
    }
    if (wslay_is_ctrl_frame(m->opcode) || ws->ops.on_message == NULL)
        return; /* pings are answered by wslay */
    ws->ops.on_message(ws->arg, (str){(const char *)m->msg, m->msg_length},
                       m->opcode == WSLAY_TEXT_FRAME);
}

/* --- on the loop --- */

static void on_ready(uv_poll_t *poll, int status, int events);
static void on_timer(uv_timer_t *t);

static void on_rest(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct websocket *ws = poll->data;
    char bytes[16 * 1024];
    ptrdiff_t n = status < 0 ? WEBSOCKET_IO_ERROR : ws->io.recv(ws->io.arg, bytes, sizeof bytes);
    if (n == 0 || n == WEBSOCKET_IO_ERROR)
        end(ws);
}

/* We refused what the peer sends (too large, malformed) and told it so.  Closing on its unread
 * bytes would reset the connection before it sees our close frame, so they are read and thrown
 * away. */
static void drain(struct websocket *ws)
{
    uv_poll_start(&ws->poll, UV_READABLE, on_rest);
    uv_timer_start(&ws->timer, on_timer, SHUTDOWN_TIMEOUT_MS, 0);
}

static void watch(struct websocket *ws)
{
    atomic_store_explicit(&ws->unsent, wslay_event_get_queued_msg_length(ws->ctx),
                          memory_order_relaxed);
    int events = (wslay_event_want_read(ws->ctx) ? UV_READABLE : 0) |
                 (wslay_event_want_write(ws->ctx) ? UV_WRITABLE : 0);
    if (events == 0 && wslay_event_get_close_sent(ws->ctx) &&
        !wslay_event_get_close_received(ws->ctx))
        drain(ws);
    else if (events == 0)
        end(ws); /* both close frames went over the line */
    else
        uv_poll_start(&ws->poll, events, on_ready);
}

static void work(struct websocket *ws, bool is_readable)
{
    int code = 0;
    if (is_readable)
        code = wslay_event_recv(ws->ctx);
    if (code == 0 && wslay_event_want_write(ws->ctx))
        code = wslay_event_send(ws->ctx);
    if (code != 0)
        end(ws);
    else
        watch(ws);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct websocket *ws = poll->data;
    if (status < 0)
        end(ws);
    else
        work(ws, (events & UV_READABLE) != 0);
}

static void on_timer(uv_timer_t *t)
{
    end(t->data); /* the peer did not answer our close */
}

static void queue_close(struct websocket *ws, int code, const char *reason)
{
    wslay_event_queue_close(ws->ctx, (uint16_t)code, (const uint8_t *)reason, strlen(reason));
    if (!uv_is_active((uv_handle_t *)&ws->timer))
        uv_timer_start(&ws->timer, on_timer, code == 1001 ? SHUTDOWN_TIMEOUT_MS : CLOSE_TIMEOUT_MS,
                       0);
}

/* Hands what was queued to wslay and writes. */
static void flush(struct websocket *ws)
{
    VEC(struct outgoing) queue = {0};
    char reason[REASON_BYTES_MAX + 1];
    uv_mutex_lock(&ws->lock);
    memcpy(&queue, &ws->queue, sizeof queue);
    memset(&ws->queue, 0, sizeof ws->queue);
    ws->queue_bytes = 0;
    ws->is_flush_posted = false;
    int close_code = ws->close_code;
    memcpy(reason, ws->close_reason, sizeof reason);
    uv_mutex_unlock(&ws->lock);
    for (size_t i = 0; i < queue.len; i++) {
        const struct outgoing *o = &queue.items[i];
        struct wslay_event_msg msg = {o->is_ping ? WSLAY_PING : WSLAY_TEXT_FRAME,
                                      (const uint8_t *)o->bytes, o->len};
        wslay_event_queue_msg(ws->ctx, &msg); /* copies; refuses after a close */
        mem_free(o->bytes);
    }
    VEC_FREE(&queue);
    if (close_code != 0)
        queue_close(ws, close_code, reason);
    work(ws, false);
}

static void on_flush(void *arg)
{
    struct websocket *ws = arg;
    if (ws->is_open && !ws->is_closed)
        flush(ws);
    unref(ws);
}

void websocket_open(struct websocket *ws, const struct websocket_io *io, str extra)
{
    ws->io = *io;
    ws->is_open = true;
    ws->handles_open = 2;
    ASSERT(uv_poll_init(loop_uv(ws->loop), &ws->poll, io->fd) == 0);
    uv_timer_init(loop_uv(ws->loop), &ws->timer);
    ws->poll.data = ws->timer.data = ws;
    buf_append_str(&ws->extra, extra);
    flush(ws);
    if (!ws->is_closed)
        work(ws, true); /* `extra` is not announced by the descriptor */
}

void websocket_shutdown(struct websocket *ws)
{
    websocket_close(ws, 1001, STR_EMPTY);
}

/* --- any thread --- */

/* Lock held. */
static void post_flush(struct websocket *ws)
{
    if (ws->is_flush_posted)
        return;
    ws->is_flush_posted = true;
    atomic_fetch_add(&ws->refs, 1);
    loop_post(ws->loop, on_flush, ws);
}

static int enqueue(struct websocket *ws, str bytes, bool is_ping)
{
    int code = 0;
    uv_mutex_lock(&ws->lock);
    size_t waiting = ws->queue_bytes + atomic_load_explicit(&ws->unsent, memory_order_relaxed);
    if (ws->is_gone || ws->close_code != 0) {
        code = E_CANCELED;
    } else if (waiting > QUEUE_BYTES_MAX || bytes.len > QUEUE_BYTES_MAX - waiting) {
        code = E_FULL;
    } else {
        char *copy = mem_alloc(bytes.len);
        if (bytes.len > 0)
            memcpy(copy, bytes.ptr, bytes.len);
        VEC_PUSH(&ws->queue, (struct outgoing){copy, bytes.len, is_ping});
        ws->queue_bytes += bytes.len;
        post_flush(ws);
    }
    uv_mutex_unlock(&ws->lock);
    return code;
}

int websocket_send(struct websocket *ws, str text)
{
    return enqueue(ws, text, false);
}

void websocket_ping(struct websocket *ws)
{
    enqueue(ws, STR_EMPTY, true);
}

size_t websocket_queued_bytes(const struct websocket *cws)
{
    struct websocket *ws = (struct websocket *)(uintptr_t)cws; /* for the lock */
    uv_mutex_lock(&ws->lock);
    size_t n = ws->queue_bytes + atomic_load_explicit(&ws->unsent, memory_order_relaxed);
    uv_mutex_unlock(&ws->lock);
    return n;
}

void websocket_close(struct websocket *ws, int code, str reason)
{
    uv_mutex_lock(&ws->lock);
    if (!ws->is_gone && ws->close_code == 0) {
        ws->close_code = code;
        size_t n = MIN(reason.len, REASON_BYTES_MAX);
        if (n > 0)
            memcpy(ws->close_reason, reason.ptr, n);
        ws->close_reason[n] = '\0';
        post_flush(ws);
    }
    uv_mutex_unlock(&ws->lock);
}

void websocket_accept_key(str key, char out[32])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, 1.3 */
    char text[64 + sizeof guid];
    unsigned char digest[SHA_DIGEST_LENGTH];
    size_t n = MIN(key.len, 64);
    memcpy(text, key.ptr, n);
    memcpy(text + n, guid, sizeof guid - 1);
    SHA1((const unsigned char *)text, n + sizeof guid - 1, digest);
    EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
}
