/* Answers: built on the handler's thread, delivered on the loop's. */
#include <zlib.h>

#include "base/mem.h"
#include "runtime/http_internal.h"
#include "runtime/loop.h"

#define COMPRESS_BYTES_MIN 2048 /* below this a packet is a packet */

/* --- on the loop's thread --- */

/* The handler has let go: nothing of the request but its answer is needed any more. */
static void release_handler(struct http_request *r)
{
    struct http_server *s = r->server;
    r->has_handler = false;
    s->n_handlers--;
    s->body_bytes -= r->body_counted;
    r->body_counted = 0;
    buf_deinit(&r->body);
    http_request_unref(r);
    http_server_check(s);
}

void http_reply_deliver(void *request)
{
    struct http_request *r = request;
    r->phase = HTTP_PHASE_SENDING;
    if (r->server->is_stopping && r->status != 101)
        MHD_add_response_header(r->response, "Connection", "close");
    http_request_resume(r);
    if (r->stream == NULL)
        release_handler(r);
    else if (http_is_cancelled(r))
        http_stream_wake(r->stream);
}

void http_reply_stream_ended(void *request)
{
    struct http_request *r = request;
    http_request_resume(r);
    release_handler(r);
}

/* --- on the handler's thread --- */

void http_reply_header(struct http_request *r, const char *name, str value)
{
    struct http_param h = {arena_str(&r->arena, str_c(name)), arena_str(&r->arena, value)};
    VEC_PUSH_ARENA(&r->arena, &r->reply_headers, h);
}

void http_reply_with(struct http_request *r, int status, const char *content_type,
                     struct MHD_Response *response)
{
    ASSERT(response != NULL);
    ASSERT(r->response == NULL); /* answered twice */
    if (content_type != NULL)
        MHD_add_response_header(response, "Content-Type", content_type);
    for (size_t i = 0; i < r->reply_headers.len; i++) /* both are NUL-terminated copies */
        MHD_add_response_header(response, r->reply_headers.items[i].name.ptr,
                                r->reply_headers.items[i].value.ptr);
    r->response = response;
    r->status = status;
    /* Inside the handler's call on the loop's thread the caller sees the answer at once. */
    if (loop_is_loop_thread(r->server->loop) && r->in_handler) {
        r->is_answered = true;
        return;
    }
    loop_post(r->server->loop, http_reply_deliver, r);
}

static bool accepts_gzip(const struct http_request *r)
{
    str accepted = http_header(r, "Accept-Encoding");
    while (accepted.ptr != NULL) {
        str one = str_split(&accepted, ',');
        if (str_eq_nocase(str_trim(str_sub(one, 0, str_find_char(one, ';'))), STR("gzip")))
            return !str_contains(one, STR("q=0")) || str_contains(one, STR("q=0."));
    }
    return false;
}

/* Compresses at the lowest level into `out`; false if it is not worth it. */
static bool compress_body(str body, struct buf *out)
{
    z_stream z = {0};
    if (body.len > UINT32_MAX / 2 ||
        deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    size_t bound = deflateBound(&z, (uLong)body.len);
    buf_init(out, bound);
    bool ok = buf_reserve(out, bound);
    if (ok) {
        z.next_in = (Bytef *)(uintptr_t)body.ptr;
        z.avail_in = (uInt)body.len;
        z.next_out = (Bytef *)out->ptr;
        z.avail_out = (uInt)bound;
        ok = deflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out < body.len;
        out->len = z.total_out;
    }
    deflateEnd(&z);
    if (!ok)
        buf_deinit(out);
    return ok;
}

static bool try_compressed(struct http_request *r, int status, const char *content_type, str body)
{
    struct buf packed;
    if (!r->server->compress_replies || body.len < COMPRESS_BYTES_MIN || !accepts_gzip(r) ||
        !compress_body(body, &packed))
        return false;
    http_reply_header(r, "Content-Encoding", STR("gzip"));
    http_reply_header(r, "Vary", STR("Accept-Encoding"));
    size_t len;
    char *bytes = buf_take(&packed, &len);
    http_reply_with(r, status, content_type,
                    MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE));
    return true;
}

void http_reply(struct http_request *r, int status, const char *content_type, str body)
{
    if (try_compressed(r, status, content_type, body))
        return;
    http_reply_with(r, status, content_type,
                    MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.ptr,
                                                    MHD_RESPMEM_MUST_COPY));
}

void http_reply_take(struct http_request *r, int status, const char *content_type, struct buf *body)
{
    if (try_compressed(r, status, content_type, buf_str(body))) {
        buf_deinit(body);
        return;
    }
    size_t len;
    char *bytes = buf_take(body, &len);
    /* MHD frees it with free(), which is what mem_free is. */
    http_reply_with(r, status, content_type,
                    MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE));
}

void http_reply_error(struct http_request *r, const struct error *err)
{
    http_reply_header(r, "X-Content-Type-Options", STR("nosniff"));
    http_reply(r, error_http(err), "text/plain; charset=utf-8", str_c(err->text));
}

/* --- upgrades --- */

static void on_upgraded(void *cls, struct MHD_Connection *conn, void *con_cls, const char *extra,
                        size_t extra_len, MHD_socket fd, struct MHD_UpgradeResponseHandle *urh)
{
    (void)conn;
    (void)con_cls;
    struct http_request *r = cls;
    r->upgraded = urh;
    r->server->n_upgraded++;
    r->upgrade_ops->on_open(r->upgrade_arg, r, fd, (str){extra, extra_len});
    if (r->server->is_stopping) /* it missed the call to all */
        r->upgrade_ops->on_shutdown(r->upgrade_arg);
}

void http_upgrade(struct http_request *r, const struct http_upgrade_ops *ops, void *arg)
{
    r->upgrade_ops = ops;
    r->upgrade_arg = arg;
    http_reply_with(r, 101, NULL, MHD_create_response_for_upgrade(on_upgraded, r));
}

void http_upgrade_close(struct http_request *r)
{
    r->is_upgrade_closed = true;
    MHD_upgrade_action(r->upgraded, MHD_UPGRADE_ACTION_CLOSE);
    http_server_wake(r->server);
}
