#include "promtail/targets/http_target.h"

#include <stdio.h>

#include "base/mem.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define BODY_BYTES_MAX   (64u << 20)
#define ARRAYS_BYTES_MAX (512u << 20)
#define HELD_MAX         256
#define RETRY_MS         20
#define STOP_GRACE_MS    1000

/* --- requests that wait --- */

void http_target_take(struct http_target *t, struct http_request *r,
                      void (*handle)(struct http_target *t, struct http_request *r))
{
    if (t->is_stopped || t->held.len >= HELD_MAX)
        http_reply(r, 503, HTTP_TARGET_TEXT, STR("try again later\n"));
    else if (t->held.len > 0 || record_sink_is_full(&t->base.pipeline->sink)) {
        VEC_PUSH(&t->held, (struct held_request){r, handle});
        loop_timer_start(t->retry, RETRY_MS, 0);
    } else
        handle(t, r);
}

static void on_retry(void *arg)
{
    struct http_target *t = arg;
    size_t done = 0;
    while (done < t->held.len && !record_sink_is_full(&t->base.pipeline->sink)) {
        struct held_request *h = &t->held.items[done++];
        h->handle(t, h->request);
    }
    t->held.len -= done;
    if (t->held.len > 0) {
        memmove(t->held.items, t->held.items + done, t->held.len * sizeof *t->held.items);
        loop_timer_start(t->retry, RETRY_MS, 0);
    }
}

/* --- life --- */

static const char *or_null(const char *s)
{
    return s[0] != '\0' ? s : NULL;
}

void http_target_route(struct http_target *t, const char *path, unsigned flags, const char *name,
                       http_handler *fn)
{
    str prefix = str_trim_chars(str_c(t->config->server.http_path_prefix), STR("/"));
    str full =
        arena_printf(&t->paths, "%s%.*s%s", prefix.len > 0 ? "/" : "", STR_ARG(prefix), path);
    http_route(t->server, arena_c(&t->paths, full), flags, name, BODY_BYTES_MAX, fn, t);
}

void http_target_free(struct target *base)
{
    struct http_target *t = (struct http_target *)base;
    if (t->server != NULL)
        http_server_free(t->server);
    loop_timer_free(t->retry);
    VEC_FREE(&t->held);
    arena_deinit(&t->arena);
    arena_deinit(&t->paths);
    mem_free(t);
}

int http_target_start(const struct target_env *env, const struct target *base,
                      const struct push_config *config, const char *name, struct http_target **ret,
                      struct error *err)
{
    struct http_target *t = mem_zalloc(sizeof *t);
    t->base = *base;
    t->config = config;
    arena_init(&t->arena, ARRAYS_BYTES_MAX);
    arena_init(&t->paths, SIZE_MAX);
    t->retry = loop_timer_new(env->loop, on_retry, t);
    const struct server_config *s = &config->server;
    str prefix = arena_printf(&t->paths, "promtail_%s", name);
    struct http_server_config http = {.listen_address = s->http_listen_address,
                                      .listen_port = (uint16_t)s->http_listen_port,
                                      .metrics_prefix = arena_c(&t->paths, prefix),
                                      .tls_cert_file = or_null(s->tls_cert_file),
                                      .tls_key_file = or_null(s->tls_key_file),
                                      .tls_client_ca_file = or_null(s->tls_client_ca_file),
                                      .tls_cert_pem = s->tls_cert,
                                      .tls_key_pem = s->tls_key,
                                      .tls_client_ca_pem = s->tls_client_ca};
    int rc = http_server_start(env->loop, env->workers, &http, &t->server, err);
    if (rc != 0) {
        http_target_free(&t->base);
        return rc;
    }
    snprintf(t->text, sizeof t->text, "http %s:%u", s->http_listen_address,
             http_server_port(t->server));
    log_info(name, "starting server", LOG_C("job", base->job->job_name),
             LOG_U("port", http_server_port(t->server)));
    *ret = t;
    return 0;
}

static void on_server_stopped(void *arg)
{
    struct http_target *t = arg;
    t->stopped(t->stopped_arg);
}

void http_target_stop(struct target *base, void (*stopped)(void *arg), void *arg)
{
    struct http_target *t = (struct http_target *)base;
    t->is_stopped = true;
    t->stopped = stopped;
    t->stopped_arg = arg;
    loop_timer_stop(t->retry);
    for (size_t i = 0; i < t->held.len; i++) /* not taken: the sender has them still */
        http_reply(t->held.items[i].request, 503, HTTP_TARGET_TEXT, STR("shutting down\n"));
    t->held.len = 0;
    http_server_stop(t->server, STOP_GRACE_MS, on_server_stopped, t);
}

bool http_target_is_ready(const struct target *base)
{
    return !((const struct http_target *)base)->is_stopped;
}

void http_target_each_row(const struct target *base,
                          void (*row)(void *arg, const struct target_row *row), void *arg)
{
    const struct http_target *t = (const struct http_target *)base;
    row(arg, &(struct target_row){NULL, &t->config->labels, str_c(t->text), true});
}
