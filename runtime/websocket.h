/* runtime/websocket.h - server and client side of RFC 6455 on the loop (frames by wslay). */
#pragma once
#include "base/status.h"
#include "base/str.h"

struct http_request;
struct loop;
struct websocket;

struct websocket_ops {
    void (*on_message)(void *arg, str message, bool is_text); /* may be NULL */
    void (*on_close)(void *arg, int code,
                     str reason); /* last call; the websocket is gone after it */
};

/* Answers 101 to the request of an HTTP_WEBSOCKET route, or 400 if it is no upgrade (then NULL and
 * the request is answered).  The request is over either way; copy what is needed first. */
struct websocket *websocket_accept(struct http_request *r, const struct websocket_ops *ops,
                                   void *arg);
/* Client: ws://host:port/path (wss, http and https too); on_open is called once, with 0 or a code,
 * status and body text. */
void websocket_connect(struct loop *l, str url, const char *const *headers,
                       void (*on_open)(void *arg, struct websocket *ws, int code, int http_status,
                                       str text),
                       const struct websocket_ops *ops, void *arg);
/* The same with TLS options, proxy, user agent and credentials. */
struct http_client_config;
void websocket_connect_with(struct loop *l, const struct http_client_config *config, str url,
                            const char *const *headers,
                            void (*on_open)(void *arg, struct websocket *ws, int code,
                                            int http_status, str text),
                            const struct websocket_ops *ops, void *arg);
/* Queues a text message; copies.  Any thread.  E_FULL when more than 4 MiB wait, E_CANCELED
 * when it is closing. */
int websocket_send(struct websocket *ws, str text);
size_t websocket_queued_bytes(const struct websocket *ws);
void websocket_ping(struct websocket *ws);
void websocket_close(struct websocket *ws, int code, str reason); /* any thread; on_close follows */
