/* promtail/targets/http_target.h - a target that takes lines by HTTP on a port of its own.
 *
 * Shared by the push API and the Heroku drain.  A request waits while the clients are full; it is
 * answered once its lines are in the pipeline.  Loop thread only. */
#pragma once
#include "base/vec.h"
#include "promtail/config/targets.h"
#include "promtail/targets/target.h"
#include "runtime/http_server.h"

#define HTTP_TARGET_TEXT       "text/plain; charset=utf-8"
#define HTTP_TARGET_TEXT_BYTES 512

struct http_target;

struct held_request {
    struct http_request *request;
    void (*handle)(struct http_target *t, struct http_request *r);
};

struct http_target {
    struct target base; /* first */
    const struct push_config *config;
    struct http_server *server;
    struct arena arena; /* of one request: reset by who handles it */
    struct arena paths;
    struct loop_timer *retry;
    VEC(struct held_request) held;   /* while the clients are full, in the order they came */
    struct metric *entries, *errors; /* the drain's; NULL */
    bool is_stopped;
    void (*stopped)(void *arg);
    void *stopped_arg;
    char text[HTTP_TARGET_TEXT_BYTES];
};

/* Starts the server; routes are added after.  name: of metrics and in the log. */
int http_target_start(const struct target_env *env, const struct target *base,
                      const struct push_config *config, const char *name, struct http_target **ret,
                      struct error *err);
/* Under the configured prefix. */
void http_target_route(struct http_target *t, const char *path, unsigned flags, const char *name,
                       http_handler *fn);
/* Calls `handle` now, or when there is room for lines; or refuses the request. */
void http_target_take(struct http_target *t, struct http_request *r,
                      void (*handle)(struct http_target *t, struct http_request *r));

/* For struct target_ops. */
void http_target_stop(struct target *base, void (*stopped)(void *arg), void *arg);
void http_target_free(struct target *base);
bool http_target_is_ready(const struct target *base);
void http_target_each_row(const struct target *base,
                          void (*row)(void *arg, const struct target_row *row), void *arg);
