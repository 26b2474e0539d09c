/* runtime/websocket_internal.h - frames over any transport; for websocket*.c alone. */
#pragma once
#include "runtime/websocket.h"

enum { WEBSOCKET_IO_AGAIN = -1, WEBSOCKET_IO_ERROR = -2 };

/* Where the frames go.  recv and send return bytes, 0 at the end, or WEBSOCKET_IO_*. */
struct websocket_io {
    ptrdiff_t (*recv)(void *arg, void *bytes, size_t n);
    ptrdiff_t (*send)(void *arg, const void *bytes, size_t n);
    void (*close)(void *arg); /* last call; the descriptor is not watched any more */
    void *arg;
    int fd;
};

/* A websocket that may be sent to and closed, but has no transport yet. */
struct websocket *websocket_new(struct loop *l, bool is_client, const struct websocket_ops *ops,
                                void *arg);
/* The handshake is done; `extra` came behind it.  Loop's thread. */
void websocket_open(struct websocket *ws, const struct websocket_io *io, str extra);
/* It never will be: on_close(1006). */
void websocket_fail(struct websocket *ws);
/* Closes with a short time for the peer's answer. */
void websocket_shutdown(struct websocket *ws);
/* Sec-WebSocket-Accept for a Sec-WebSocket-Key; 28 characters and NUL. */
void websocket_accept_key(str key, char out[32]);
