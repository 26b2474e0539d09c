/* runtime/http_internal.h - what the files of the HTTP server share; for runtime/ alone.
 *
 * start here: http_server.c (daemon and loop), http_route.c (table), http_request.c (life of a
 * request), http_reply.c, http_stream.c.
 *
 * A request has up to two owners: the connection, from the request line to MHD's completion, and
 * the handler, from its call to its reply (or to the end of its stream).  Both sides are counted
 * and let go on the loop's thread, so `refs` is no atomic.  While a handler owns the request its
 * connection is suspended, and the fields marked H are the handler's. */
#pragma once
#include <microhttpd.h>
#include <stdatomic.h>
#include <uv.h>

#include "base/map.h"
#include "base/vec.h"
#include "runtime/http_params.h"
#include "runtime/http_server.h"
#include "runtime/metrics.h"

#define HTTP_PATH_PARAMS_MAX 8
#define HTTP_SWALLOW_MAX     ((uint64_t)32 * 1024 * 1024) /* refused bodies read to their end */

enum http_method_index {
    HTTP_M_GET,
    HTTP_M_POST,
    HTTP_M_PUT,
    HTTP_M_DELETE,
    HTTP_M_HEAD,
    HTTP_M_OPTIONS,
    HTTP_M_PATCH,
    HTTP_M_OTHER,
    HTTP_M_COUNT
};

/* Cells of one route, resolved at first use. */
struct http_route_cell {
    enum http_method_index method;
    int status;
    bool is_websocket;
    struct metric *duration;
};

struct http_route {
    char *path, *name;
    unsigned flags;
    size_t body_bytes_max;
    http_handler *fn;
    void *arg;
    VEC(struct http_route_cell) cells;
    struct metric *inflight[HTTP_M_COUNT];
};

struct http_routes {
    VEC(struct http_route *) all;
    struct http_route *unknown, *wrong_method, *unclean; /* answer 404, 405 and 301 */
    struct metric_family *duration, *inflight;
};

enum http_phase {
    HTTP_PHASE_NEW,     /* the request line came */
    HTTP_PHASE_BODY,    /* headers are there, the body comes */
    HTTP_PHASE_REFUSED, /* the rest of the body is thrown away, then refuse_status */
    HTTP_PHASE_HANDLED, /* the handler was called */
    HTTP_PHASE_SENDING, /* MHD has the response */
};

/* How a connection that left HTTP is driven; all on the loop's thread. */
struct http_upgrade_ops {
    /* The 101 is sent: fd is the caller's until http_upgrade_close; `extra` came behind the
     * request. */
    void (*on_open)(void *arg, struct http_request *r, int fd, str extra);
    void (*on_fail)(void *arg);     /* the connection went away before; last call */
    void (*on_shutdown)(void *arg); /* the server stops: close soon */
};

struct http_stream;

struct http_request {
    struct http_server *server;
    struct MHD_Connection *conn;      /* NULL once MHD let go */
    struct http_request *prev, *next; /* the server's open requests */
    const struct http_route *route;
    struct http_route *route_cells;
    enum http_phase phase;
    unsigned refs;
    int refuse_status;
    int fd;
    bool has_handler;  /* a handler owns it */
    bool is_suspended; /* in MHD */
    bool in_handler;   /* the handler is being called on the loop's thread */
    bool is_answered;  /* by that call itself: another thread's answer comes by a post */
    int64_t start_ns;
    uint64_t swallowed;
    enum http_method_index method_index;

    struct arena arena; /* H */
    str method, uri, path, query, remote;
    struct http_params headers; /* names and values */
    struct http_params params;  /* H; decoded at first use */
    bool has_params;            /* H */
    struct http_param path_params[HTTP_PATH_PARAMS_MAX];
    size_t n_path_params;
    struct buf body;
    size_t body_counted; /* bytes of it in the server's total */

    _Atomic bool is_cancelled;
    VEC(struct http_param) reply_headers; /* H */
    int status;                           /* H, then the loop's */
    struct MHD_Response *response;        /* H, then the loop's */
    struct http_stream *stream;           /* H creates it */
    const struct http_upgrade_ops *upgrade_ops;
    void *upgrade_arg;
    struct MHD_UpgradeResponseHandle *upgraded;
    bool is_upgrade_closed; /* its owner is done; MHD may still be sending what is left */
};

struct http_server {
    struct loop *loop;
    struct workers *workers;
    struct MHD_Daemon *daemon;
    struct http_routes routes;
    struct http_request *requests; /* open ones, newest first */
    size_t n_requests, n_handlers, n_upgraded;
    size_t body_bytes, body_bytes_max;
    bool compress_replies;
    bool is_pumping, needs_pump;
    bool is_stopping, is_grace_over, is_finishing, is_stopped;
    void (*stopped)(void *arg);
    void *stopped_arg;
    uint16_t port;
    int handles_open;
    uv_poll_t poll;
    uv_timer_t timer;     /* MHD's time-outs */
    uv_prepare_t prepare; /* runs the daemon before the loop sleeps, if asked to */
    uv_idle_t idle;       /* keeps the loop awake while the daemon is busy */
    uv_timer_t watch;     /* looks whether the clients of suspended requests are still there */
    uv_timer_t grace;
    struct metric *connections;
    char *tls_cert, *tls_key, *tls_ca;
};

/* http_server.c */
void http_server_wake(struct http_server *s);  /* the daemon has something to do */
void http_server_watch(struct http_server *s); /* a handler has a suspended request */
void http_server_check(struct http_server *s); /* a request ended: is a stop complete now? */

/* http_route.c */
void http_routes_init(struct http_routes *t, const char *metrics_prefix);
void http_routes_deinit(struct http_routes *t);
/* Finds the route of r->path and fills r's path parameters; never NULL. */
struct http_route *http_routes_find(struct http_routes *t, struct http_request *r);
/* One of those three: it takes no body. */
bool http_routes_is_own(const struct http_routes *t, const struct http_route *route);
enum http_method_index http_method_index(str method);
void http_route_begin(struct http_server *s, struct http_request *r);
void http_route_end(struct http_server *s, struct http_request *r);

/* http_request.c: MHD's callbacks */
void *http_request_on_uri(void *server, const char *uri, struct MHD_Connection *conn);
enum MHD_Result http_request_on_data(void *server, struct MHD_Connection *conn, const char *url,
                                     const char *method, const char *version, const char *data,
                                     size_t *data_size, void **con_cls);
void http_request_on_completed(void *server, struct MHD_Connection *conn, void **con_cls,
                               enum MHD_RequestTerminationCode why);
void http_request_unref(struct http_request *r);
void http_request_suspend(struct http_request *r);
void http_request_resume(struct http_request *r);
void http_request_cancel(struct http_request *r); /* the client has gone, or the time is up */

/* http_reply.c */
void http_reply_deliver(void *request);      /* on the loop: the handler has answered */
void http_reply_stream_ended(void *request); /* on the loop: so has its stream */
void http_reply_with(struct http_request *r, int status, const char *content_type,
                     struct MHD_Response *response);
/* Answers 101 and hands the connection over. */
void http_upgrade(struct http_request *r, const struct http_upgrade_ops *ops, void *arg);
void http_upgrade_close(struct http_request *r); /* closes the fd given to on_open */

/* http_stream.c */
void http_stream_wake(struct http_stream *st); /* cancelled or gone: the writer must not wait */
void http_stream_free(struct http_stream *st);
