/* runtime/http_server.h - HTTP/1.1 server on the loop: libmicrohttpd in external epoll mode.
 *
 * A request is complete (headers and body, within limits) before its handler is called.  A handler
 * answers with http_reply*() exactly once, then or later, from any thread; until then the request
 * and its arena are the handler's.  Bodies larger than the route's limit are answered 413 unread.
 * Metrics: <prefix>_request_duration_seconds{method,route,status_code,ws}. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

struct loop;
struct workers;
struct http_server;
struct http_request;

struct http_server_config {
    const char *listen_address;  /* "" or NULL: all */
    uint16_t listen_port;        /* 0: any free one, see http_server_port */
    const char *metrics_prefix;  /* "loki", "promtail" */
    size_t header_bytes_max;     /* request line and headers of a connection; 0: 128 KiB */
    size_t connections_max;      /* 0: 4096 */
    size_t body_bytes_total_max; /* all bodies being received or handled; 0: 1 GiB; then 503 */
    unsigned idle_timeout_s;     /* 0: 120 */
    bool compress_replies;       /* gzip for clients that accept it, above 2 KiB */
    const char *tls_cert_file, *tls_key_file, *tls_client_ca_file; /* NULL: no TLS */
    const char *tls_cert_pem, *tls_key_pem, *tls_client_ca_pem;    /* in place of the files */
};

/* Starts to listen.  E_* with text on failure (address in use, ...). */
int http_server_start(struct loop *l, struct workers *w, const struct http_server_config *config,
                      struct http_server **ret, struct error *err);
uint16_t http_server_port(const struct http_server *s);
/* Stops accepting, lets running requests finish (at most `grace_ms`), then calls `done`; free it
 * after that. */
void http_server_stop(struct http_server *s, unsigned grace_ms, void (*done)(void *arg), void *arg);
void http_server_free(struct http_server *s);

typedef void http_handler(void *arg, struct http_request *r);

enum http_route_flags {
    HTTP_GET = 1,
    HTTP_POST = 2, /* parameters come from a form body and the URL, in this order */
    HTTP_PUT = 4,
    HTTP_DELETE = 8,
    HTTP_ON_WORKER = 16, /* the handler runs on the worker pool; 503 when its queue is full */
    HTTP_WEBSOCKET = 32, /* the handler upgrades with websocket_accept() */
    HTTP_NO_ACCESS_LOG = 64,
    HTTP_ANY = 128, /* any method; HEAD is answered without the body */
};

/* `path` may hold {name} segments ("/loki/api/v1/label/{name}/values") read with http_path_param,
 * and end in "/" + "*" (any rest).  `route` names it in metrics ("loki_api_v1_label_name_values").
 * An unknown path is 404 "404 page not found\n", a wrong method 405.  Register before traffic
 * comes. */
void http_route(struct http_server *s, const char *path, unsigned flags, const char *route,
                size_t body_bytes_max, http_handler *fn, void *arg);

/* What answers a path without a route; NULL: 404.  A program that is not ready yet answers 503 so,
 * and registers its routes (on the loop's thread) once it is. */
void http_route_unknown(struct http_server *s, http_handler *fn, void *arg);

str http_method(const struct http_request *r);
str http_path(const struct http_request *r);
str http_remote_addr(const struct http_request *r); /* "127.0.0.1:1234" */
/* Header value, any case of the name; ptr NULL if absent. */
str http_header(const struct http_request *r, const char *name);
str http_body(const struct http_request *r); /* as it came: still compressed */
/* First value of a parameter, decoded; ptr NULL if absent.  A form body's come before the URL's,
 * as in Go's Request.Form. */
str http_param(const struct http_request *r, const char *name);
size_t http_param_count(const struct http_request *r);
void http_param_at(const struct http_request *r, size_t i, str *ret_name, str *ret_value);
/* Go's text for the first malformed pair, which was left out (ParseForm's error): invalid URL
 * escape
 * "%zz"; ptr NULL if all are well-formed. */
str http_params_error(const struct http_request *r);
str http_raw_query(const struct http_request *r); /* as it came, without the '?' */
str http_path_param(const struct http_request *r, const char *name);
struct arena *http_arena(struct http_request *r); /* dies with the request */
struct workers *http_workers(struct http_request *r);
/* True once the client has gone: stop working.  Cheap, any thread. */
bool http_is_cancelled(const struct http_request *r);

void http_reply(struct http_request *r, int status, const char *content_type,
                str body); /* copies */
void http_reply_take(struct http_request *r, int status, const char *content_type,
                     struct buf *body); /* empties *body */
void http_reply_error(struct http_request *r,
                      const struct error *err); /* text/plain: err->text, no newline */
void http_reply_header(struct http_request *r, const char *name, str value); /* before the reply */
/* Inflates a gzip, deflate or zlib body into `out` (bounded by out->max): E_TOO_LARGE past it,
 * E_INVALID if malformed.  encoding: the Content-Encoding value; empty copies. */
int http_decode_body(str body, str encoding, struct buf *out);

/* Streaming answers: begin, write as often as wanted (blocks a worker while more than 1 MiB waits;
 * not for the loop's thread), end.  A write returns E_CANCELED when the client has gone. */
int http_stream_begin(struct http_request *r, int status, const char *content_type);
int http_stream_write(struct http_request *r, str bytes);
void http_stream_end(struct http_request *r);

/* Admin pages every program has: /metrics, /log_level (GET, POST). */
void http_routes_common(struct http_server *s);
