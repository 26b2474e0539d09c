/* The push target: Loki's push API on a port of its own.
 *
 * A request waits while the clients are full; it is answered once its lines are in the pipeline. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/vec.h"
#include "promtail/config/targets.h"
#include "promtail/targets/all.h"
#include "promtail/targets/enrich.h"
#include "proto/push_json.h"
#include "proto/push_proto.h"
#include "proto/snappy.h"
#include "runtime/http_server.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define COMPONENT         "push"
#define TEXT              "text/plain; charset=utf-8"
#define BODY_BYTES_MAX    (64u << 20)
#define DECODED_BYTES_MAX (256u << 20)
#define ARRAYS_BYTES_MAX  (512u << 20)
#define HELD_MAX          256
#define RETRY_MS          20
#define PATH_BYTES        512
#define STOP_GRACE_MS     1000

struct held_request {
    struct http_request *request;
    void (*handle)(void *arg, struct http_request *r);
};

struct push_target {
    struct target base;
    const struct push_config *config;
    struct http_server *server;
    struct arena arena; /* of one request */
    struct arena paths;
    struct loop_timer *retry;
    VEC(struct held_request) held; /* while the clients are full, in the order they came */
    bool is_stopped;
    void (*stopped)(void *arg);
    void *stopped_arg;
    char text[PATH_BYTES];
};

/* --- decoding --- */

static void refuse(struct http_request *r, const char *text)
{
    char line[ERROR_TEXT_MAX + 2];
    snprintf(line, sizeof line, "%s\n", text);
    log_warn(COMPONENT, "failed to parse incoming push request", LOG_C("err", text));
    http_reply(r, 400, TEXT, str_c(line));
}

static bool is_json(str type)
{
    return str_eq_nocase(str_trim(str_split(&type, ';')), STR("application/json"));
}

/* *ret: the body without its Content-Encoding, in `plain` if it had one; snappy stays. */
static int inflate(struct http_request *r, struct buf *plain, str *ret, struct error *err)
{
    str encoding = http_header(r, "Content-Encoding");
    *ret = http_body(r);
    if (encoding.len == 0 || str_eq(encoding, STR("snappy")))
        return 0;
    if (!str_eq(encoding, STR("gzip")) && !str_eq(encoding, STR("deflate")))
        return error_set(err, E_INVALID, "Content-Encoding \"%.*s\" not supported",
                         STR_ARG(encoding));
    int rc = http_decode_body(*ret, encoding, plain);
    if (rc != 0)
        return error_set(err, rc, "Content-Encoding \"%.*s\": %s", STR_ARG(encoding),
                         status_text(rc));
    *ret = buf_str(plain);
    return 0;
}

/* `inflated` and `body` keep what *ret points into. */
static int decode(struct http_request *r, struct buf *inflated, struct buf *body, struct arena *a,
                  struct push_request *ret, struct error *err)
{
    str bytes, type = str_trim(http_header(r, "Content-Type"));
    int rc = inflate(r, inflated, &bytes, err);
    if (rc != 0)
        return rc;
    if (type.len == 0)
        return error_set(err, E_INVALID, "mime: no media type");
    if (is_json(type))
        return push_json_read(bytes, a, ret, err);
    rc = snappy_decode(bytes, body);
    if (rc != 0)
        return error_set(err, rc, "snappy: %s", rc == E_PARSE ? "corrupt input" : status_text(rc));
    return push_proto_read(buf_str(body), a, ret, err);
}

/* The labels of all streams; one set that does not parse refuses the request. */
static int parse_labels(struct push_request *req, struct arena *a, struct error *err)
{
    for (size_t i = 0; i < req->n_streams; i++) {
        struct push_request_stream *s = &req->streams[i];
        if (s->labels_text.ptr == NULL)
            continue;
        struct labels labels = {0};
        int rc = labels_parse(s->labels_text, a, &labels, err);
        if (rc != 0) {
            error_prefix(err, "error parsing labels: ");
            return rc;
        }
        s->pairs = (struct label *)labels.items;
        s->n_pairs = labels.n;
    }
    return 0;
}

/* --- streams --- */

static void put_entry(struct push_target *t, const struct label_list *labels, const struct entry *e,
                      int64_t now_ns)
{
    struct record r;
    record_init(&r, &t->arena, labels);
    r.ts_ns = t->config->use_incoming_timestamp ? e->ts_ns : now_ns;
    r.line = e->line;
    for (size_t i = 0; i < e->meta.n; i++)
        label_list_add(&r.meta, &t->arena, e->meta.items[i].name, e->meta.items[i].value);
    record_sink_put(&t->base.pipeline->sink, &r);
}

/* False: a rule drops the stream or leaves no label of it, and with it goes, as in Promtail, what
 * comes after it. */
static bool put_stream(struct push_target *t, const struct push_request_stream *s)
{
    struct label_list labels = {0};
    for (size_t i = 0; i < s->n_pairs; i++)
        enrich_set(&labels, &t->arena, s->pairs[i].name, s->pairs[i].value);
    for (size_t i = 0; i < t->config->labels.n; i++)
        enrich_set(&labels, &t->arena, t->config->labels.items[i].name,
                   t->config->labels.items[i].value);
    if (labels.n == 0 || !enrich_labels(&t->base.job->relabel, &labels, &t->arena))
        return false;
    int64_t now_ns = clock_now_ns();
    for (size_t i = 0; i < s->n_entries; i++)
        put_entry(t, &labels, &s->entries[i], now_ns);
    return true;
}

static void take_push(void *arg, struct http_request *r)
{
    struct push_target *t = arg;
    struct push_request req = {0};
    struct error err = {0};
    struct buf inflated, body;
    buf_init(&inflated, DECODED_BYTES_MAX);
    buf_init(&body, DECODED_BYTES_MAX);
    arena_reset(&t->arena);
    int rc = decode(r, &inflated, &body, &t->arena, &req, &err);
    if (rc == 0)
        rc = parse_labels(&req, &t->arena, &err);
    if (rc != 0)
        refuse(r, err.text);
    else {
        for (size_t i = 0; i < req.n_streams && put_stream(t, &req.streams[i]); i++)
            ;
        http_reply(r, 204, TEXT, STR(""));
    }
    buf_deinit(&inflated);
    buf_deinit(&body);
}

static void take_raw(void *arg, struct http_request *r)
{
    struct push_target *t = arg;
    for (str rest = http_body(r); rest.ptr != NULL;) {
        str line = str_split(&rest, '\n');
        while (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0)
            continue;
        arena_reset(&t->arena);
        struct record record;
        record_init(&record, &t->arena, &t->config->labels);
        record.ts_ns = clock_now_ns();
        record.line = line;
        record_sink_put(&t->base.pipeline->sink, &record);
    }
    http_reply(r, 204, TEXT, STR(""));
}

/* --- requests that wait --- */

static void handle(struct push_target *t, struct http_request *r,
                   void (*fn)(void *arg, struct http_request *r))
{
    if (t->is_stopped || t->held.len >= HELD_MAX)
        http_reply(r, 503, TEXT, STR("try again later\n"));
    else if (t->held.len > 0 || record_sink_is_full(&t->base.pipeline->sink)) {
        VEC_PUSH(&t->held, (struct held_request){r, fn});
        loop_timer_start(t->retry, RETRY_MS, 0);
    } else
        fn(t, r);
}

static void on_retry(void *arg)
{
    struct push_target *t = arg;
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

static void on_push(void *arg, struct http_request *r)
{
    handle(arg, r, take_push);
}

static void on_raw(void *arg, struct http_request *r)
{
    handle(arg, r, take_raw);
}

static void on_ready(void *arg, struct http_request *r)
{
    (void)arg;
    http_reply(r, 200, TEXT, STR("ready"));
}

/* --- the target --- */

static bool is_wanted(const struct scrape_config *job)
{
    return job->loki_push_api != NULL;
}

static const char *or_null(const char *s)
{
    return s[0] != '\0' ? s : NULL;
}

static void route(struct push_target *t, const char *path, unsigned flags, const char *name,
                  http_handler *fn)
{
    str prefix = str_trim_chars(str_c(t->config->server.http_path_prefix), STR("/"));
    str full =
        arena_printf(&t->paths, "%s%.*s%s", prefix.len > 0 ? "/" : "", STR_ARG(prefix), path);
    http_route(t->server, arena_c(&t->paths, full), flags, name, BODY_BYTES_MAX, fn, t);
}

static void free_target(struct target *base)
{
    struct push_target *t = (struct push_target *)base;
    if (t->server != NULL)
        http_server_free(t->server);
    loop_timer_free(t->retry);
    VEC_FREE(&t->held);
    arena_deinit(&t->arena);
    arena_deinit(&t->paths);
    mem_free(t);
}

static int start(const struct target_env *env, const struct scrape_config *job,
                 struct pipeline *pipeline, struct target **ret, struct error *err)
{
    struct push_target *t = mem_zalloc(sizeof *t);
    t->base = (struct target){&target_push, job, pipeline};
    t->config = job->loki_push_api;
    arena_init(&t->arena, ARRAYS_BYTES_MAX);
    arena_init(&t->paths, SIZE_MAX);
    t->retry = loop_timer_new(env->loop, on_retry, t);
    const struct server_config *s = &t->config->server;
    struct http_server_config http = {.listen_address = s->http_listen_address,
                                      .listen_port = (uint16_t)s->http_listen_port,
                                      .metrics_prefix = "promtail_push",
                                      .tls_cert_file = or_null(s->tls_cert_file),
                                      .tls_key_file = or_null(s->tls_key_file),
                                      .tls_client_ca_file = or_null(s->tls_client_ca_file),
                                      .tls_cert_pem = s->tls_cert,
                                      .tls_key_pem = s->tls_key,
                                      .tls_client_ca_pem = s->tls_client_ca};
    int rc = http_server_start(env->loop, env->workers, &http, &t->server, err);
    if (rc != 0) {
        free_target(&t->base);
        return rc;
    }
    snprintf(t->text, sizeof t->text, "http %s:%u", s->http_listen_address,
             http_server_port(t->server));
    route(t, "/loki/api/v1/push", HTTP_POST, "loki_api_v1_push", on_push);
    route(t, "/promtail/api/v1/raw", HTTP_POST, "promtail_api_v1_raw", on_raw);
    route(t, "/ready", HTTP_GET | HTTP_NO_ACCESS_LOG, "ready", on_ready);
    log_info(COMPONENT, "starting push server", LOG_C("job", job->job_name),
             LOG_U("port", http_server_port(t->server)));
    *ret = &t->base;
    return 0;
}

static void on_server_stopped(void *arg)
{
    struct push_target *t = arg;
    t->stopped(t->stopped_arg);
}

static void stop(struct target *base, void (*stopped)(void *arg), void *arg)
{
    struct push_target *t = (struct push_target *)base;
    t->is_stopped = true;
    t->stopped = stopped;
    t->stopped_arg = arg;
    loop_timer_stop(t->retry);
    for (size_t i = 0; i < t->held.len; i++) /* not taken: the sender has them still */
        http_reply(t->held.items[i].request, 503, TEXT, STR("shutting down\n"));
    t->held.len = 0;
    http_server_stop(t->server, STOP_GRACE_MS, on_server_stopped, t);
}

static bool is_ready(const struct target *base)
{
    return !((const struct push_target *)base)->is_stopped;
}

static void each_row(const struct target *base,
                     void (*row)(void *arg, const struct target_row *row), void *arg)
{
    const struct push_target *t = (const struct push_target *)base;
    row(arg, &(struct target_row){NULL, &t->config->labels, str_c(t->text), true});
}

const struct target_ops target_push = {.kind = "Push",
                                       .is_wanted = is_wanted,
                                       .start = start,
                                       .stop = stop,
                                       .free = free_target,
                                       .is_ready = is_ready,
                                       .each_row = each_row};
