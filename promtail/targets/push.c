/* The push target: Loki's push API on a port of its own. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "promtail/targets/all.h"
#include "promtail/targets/enrich.h"
#include "promtail/targets/http_target.h"
#include "proto/push_json.h"
#include "proto/push_proto.h"
#include "proto/snappy.h"
#include "runtime/log.h"

#define COMPONENT         "push"
#define DECODED_BYTES_MAX (256u << 20)

/* --- decoding --- */

static void refuse(struct http_request *r, const char *text)
{
    char line[ERROR_TEXT_MAX + 2];
    snprintf(line, sizeof line, "%s\n", text);
    log_warn(COMPONENT, "failed to parse incoming push request", LOG_C("err", text));
    http_reply(r, 400, HTTP_TARGET_TEXT, str_c(line));
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

static void put_entry(struct http_target *t, const struct label_list *labels, const struct entry *e,
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
static bool put_stream(struct http_target *t, const struct push_request_stream *s)
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

static void take_push(struct http_target *t, struct http_request *r)
{
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
        http_reply(r, 204, HTTP_TARGET_TEXT, STR(""));
    }
    buf_deinit(&inflated);
    buf_deinit(&body);
}

static void take_raw(struct http_target *t, struct http_request *r)
{
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
    http_reply(r, 204, HTTP_TARGET_TEXT, STR(""));
}

/* --- the target --- */

static void on_push(void *arg, struct http_request *r)
{
    http_target_take(arg, r, take_push);
}

static void on_raw(void *arg, struct http_request *r)
{
    http_target_take(arg, r, take_raw);
}

static void on_ready(void *arg, struct http_request *r)
{
    (void)arg;
    http_reply(r, 200, HTTP_TARGET_TEXT, STR("ready"));
}

static bool is_wanted(const struct scrape_config *job)
{
    return job->loki_push_api != NULL;
}

static int start(const struct target_env *env, const struct scrape_config *job,
                 struct pipeline *pipeline, struct target **ret, struct error *err)
{
    struct http_target *t;
    struct target base = {&target_push, job, pipeline};
    int rc = http_target_start(env, &base, job->loki_push_api, COMPONENT, &t, err);
    if (rc != 0)
        return rc;
    http_target_route(t, "/loki/api/v1/push", HTTP_POST, "loki_api_v1_push", on_push);
    http_target_route(t, "/promtail/api/v1/raw", HTTP_POST, "promtail_api_v1_raw", on_raw);
    http_target_route(t, "/ready", HTTP_GET | HTTP_NO_ACCESS_LOG, "ready", on_ready);
    *ret = &t->base;
    return 0;
}

const struct target_ops target_push = {.kind = "Push",
                                       .is_wanted = is_wanted,
                                       .start = start,
                                       .stop = http_target_stop,
                                       .free = http_target_free,
                                       .is_ready = http_target_is_ready,
                                       .each_row = http_target_each_row};
