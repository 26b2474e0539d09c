/* The server's side of the handshake, and frames over a connection that left MHD.
 *
 * With TLS the descriptor is one end of a pair behind which libmicrohttpd (0.9.75) de- and encrypts
 * in pieces of a few bytes: right, but slow (some 100 kB/s).  Let a proxy end TLS for busy tails.
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "runtime/http_internal.h"
#include "runtime/websocket_internal.h"

struct server_side {
    struct websocket *ws;
    struct http_request *request;
    int fd;
};

static ptrdiff_t side_recv(void *arg, void *bytes, size_t n)
{
    struct server_side *side = arg;
    for (;;) {
        ssize_t got = recv(side->fd, bytes, n, MSG_DONTWAIT);
        if (got >= 0)
            return got;
        if (errno != EINTR)
            return errno == EAGAIN ? WEBSOCKET_IO_AGAIN : WEBSOCKET_IO_ERROR;
    }
}

static ptrdiff_t side_send(void *arg, const void *bytes, size_t n)
{
    struct server_side *side = arg;
    for (;;) {
        ssize_t sent = send(side->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0)
            return sent;
        if (errno != EINTR)
            return errno == EAGAIN ? WEBSOCKET_IO_AGAIN : WEBSOCKET_IO_ERROR;
    }
}

static void side_close(void *arg)
{
    struct server_side *side = arg;
    http_upgrade_close(side->request);
    mem_free(side);
}

static void on_open(void *arg, struct http_request *r, int fd, str extra)
{
    struct server_side *side = arg;
    side->fd = fd;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    side->request = r;
    struct websocket_io io = {side_recv, side_send, side_close, side, fd};
    websocket_open(side->ws, &io, extra);
}

static void on_fail(void *arg)
{
    struct server_side *side = arg;
    websocket_fail(side->ws);
    mem_free(side);
}

static void on_shutdown(void *arg)
{
    struct server_side *side = arg;
    websocket_shutdown(side->ws);
}

static bool has_token(str list, str token)
{
    while (list.ptr != NULL) {
        if (str_eq_nocase(str_trim(str_split(&list, ',')), token))
            return true;
    }
    return false;
}

static bool is_upgrade(const struct http_request *r)
{
    return r->method_index == HTTP_M_GET &&
           has_token(http_header(r, "Connection"), STR("upgrade")) &&
           has_token(http_header(r, "Upgrade"), STR("websocket")) &&
           has_token(http_header(r, "Sec-WebSocket-Version"), STR("13")) &&
           http_header(r, "Sec-WebSocket-Key").len == 24;
}

struct websocket *websocket_accept(struct http_request *r, const struct websocket_ops *ops,
                                   void *arg)
{
    static const struct http_upgrade_ops upgrade = {on_open, on_fail, on_shutdown};
    if (!is_upgrade(r)) {
        http_reply_header(r, "Sec-Websocket-Version", STR("13"));
        http_reply_header(r, "X-Content-Type-Options", STR("nosniff"));
        http_reply(r, 400, "text/plain; charset=utf-8", STR("Bad Request\n"));
        return NULL;
    }
    char key[32];
    websocket_accept_key(http_header(r, "Sec-WebSocket-Key"), key);
    struct server_side *side = mem_zalloc(sizeof *side);
    struct websocket *ws = websocket_new(r->server->loop, false, ops, arg);
    side->ws = ws;
    http_reply_header(r, "Upgrade", STR("websocket"));
    http_reply_header(r, "Sec-WebSocket-Accept", str_c(key));
    http_upgrade(r, &upgrade, side);
    return ws;
}
