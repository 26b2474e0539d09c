#include "distributor/distributor.h"

#include "base/clock.h"
#include "base/mem.h"
#include "distributor/label_cache.h"
#include "distributor/rate.h"
#include "distributor/sources.h"
#include "distributor/spread.h"
#include "distributor/validate.h"
#include "proto/tenant.h"
#include "runtime/http_server.h"
#include "runtime/metrics.h"

#define BODY_BYTES_MAX         (100u << 20)
#define DECOMPRESSED_BYTES_MAX (256u << 20)
/* Arrays of one push: entries that are short cost more in memory than on the wire. */
#define ARENA_BYTES_MAX (256u << 20)
#define LABEL_TEXTS_MAX 65536
#define SOURCES_MAX     100000
#define MIB             1048576.0

struct distributor {
    struct distributor_config config;
    struct ring *ring;
    struct label_cache *labels;
    struct rate_table *rates;
    struct source_table *sources;
    struct metric_family *bytes, *lines, *meta_bytes, *gaps, *duplicates, *mutated;
};

/* One push on its way. */
struct push_job {
    struct distributor *d;
    struct arena arena;
    struct push_buffers buffers;
    struct push_batch batch;
    struct validator validator;
    bool is_numbered; /* source_begin() said SOURCE_NEW */
    void (*answer)(void *arg, int http, const struct error *err);
    void *arg;
};

static struct metric_family *counter(const char *name, const char *alias, const char *help,
                                     const char *const *labels)
{
    struct metric_family *f = metric_family(name, METRIC_COUNTER, help, labels, NULL);
    if (alias != NULL)
        metric_alias(f, alias);
    return f;
}

static void register_metrics(struct distributor *d)
{
    static const char *const by_tenant[] = {"tenant", NULL};
    static const char *const by_source[] = {"tenant", NULL};
    static const char *const by_reason[] = {"reason", "truncated", NULL};
    d->bytes =
        counter("loge_distributor_bytes_received_total", "loki_distributor_bytes_received_total",
                "The total number of uncompressed bytes received per tenant. Includes "
                "structured metadata bytes.",
                by_tenant);
    d->lines =
        counter("loge_distributor_lines_received_total", "loki_distributor_lines_received_total",
                "The total number of lines received per tenant", by_tenant);
    d->meta_bytes = counter("loge_distributor_structured_metadata_bytes_received_total",
                            "loki_distributor_structured_metadata_bytes_received_total",
                            "The total number of uncompressed bytes received per tenant for "
                            "entries' structured metadata",
                            by_tenant);
    d->gaps = counter("loge_source_gaps_total", NULL,
                      "Pushes of numbered sources that never came, or came too late.", by_source);
    d->duplicates =
        counter("loge_source_duplicates_total", NULL,
                "Pushes of numbered sources that came again and were dropped.", by_source);
    d->mutated = counter("loge_mutated_samples_total", "loki_mutated_samples_total",
                         "The total number of samples that have been mutated.", by_reason);
}

struct distributor *distributor_new(const struct distributor_config *config)
{
    struct distributor *d = mem_zalloc(sizeof *d);
    d->config = *config;
    if (d->config.body_bytes_max == 0)
        d->config.body_bytes_max = BODY_BYTES_MAX;
    if (d->config.decompressed_bytes_max == 0)
        d->config.decompressed_bytes_max = DECOMPRESSED_BYTES_MAX;
    if (d->config.replication_factor == 0)
        d->config.replication_factor = 1;
    if (d->config.now_ns == NULL)
        d->config.now_ns = clock_now_ns;
    d->ring = ring_new();
    d->labels = label_cache_new(LABEL_TEXTS_MAX);
    d->rates = rate_table_new();
    d->sources = source_table_new(SOURCES_MAX);
    register_metrics(d);
    return d;
}

void distributor_free(struct distributor *d)
{
    if (d == NULL)
        return;
    ring_free(d->ring);
    label_cache_free(d->labels);
    rate_table_free(d->rates);
    source_table_free(d->sources);
    mem_free(d);
}

int distributor_add_ingester(struct distributor *d, const char *id, const char *addr,
                             struct push_sink *sink)
{
    struct ring_instance instance = {.id = str_c(id),
                                     .addr = str_c(addr),
                                     .zone = STR_EMPTY,
                                     .state = RING_ACTIVE,
                                     .sink = sink};
    int code = ring_add(d->ring, &instance);
    return code < 0 ? code : 0;
}

struct ring *distributor_ring(struct distributor *d)
{
    return d->ring;
}

/* --- one push --- */

static void job_free(void *arg)
{
    struct push_job *job = arg;
    buf_deinit(&job->buffers.inflated);
    buf_deinit(&job->buffers.plain);
    arena_deinit(&job->arena);
    mem_free(job);
}

/* Stored, or refused for what it is: sending it again would end the same.  A limit on rates or a
 * fault of ours is met by trying again. */
static bool is_final(int code, const struct error *err)
{
    int http = err != NULL && err->code != 0 ? error_http(err) : status_http(code);
    return http < 500 && http != 429;
}

static void job_answer(void *arg, int code, const struct error *err)
{
    struct push_job *job = arg;
    struct error local = {0};
    if (job->is_numbered)
        source_done(job->d->sources, job->batch.tenant, job->batch.source_id, job->batch.source_seq,
                    is_final(code, err));
    if (code == 0 && discards_error(&job->validator.discards, &local))
        err = &local;
    else if (code != 0 && (err == NULL || err->code == 0)) {
        error_set(&local, code, "%s", status_text(code));
        err = &local;
    }
    if (code == 0 && local.code == 0)
        job->answer(job->arg, 204, NULL);
    else
        job->answer(job->arg, error_http(err), err);
}

static void finish(struct push_job *job, const struct error *err)
{
    job_answer(job, err->code, err);
    job_free(job);
}

/* What came in, before anything is refused. */
static void count_received(struct push_job *job, const struct push_request *r)
{
    uint64_t lines = 0, bytes = 0, meta = 0;
    for (size_t i = 0; i < r->n_streams; i++) {
        lines += r->streams[i].n_entries;
        for (size_t k = 0; k < r->streams[i].n_entries; k++) {
            const struct entry *e = &r->streams[i].entries[k];
            bytes += e->line.len;
            for (size_t m = 0; m < e->meta.n; m++)
                meta += e->meta.items[m].name.len + e->meta.items[m].value.len;
        }
    }
    metric_add(metric_with1(job->d->lines, job->batch.tenant), (double)lines);
    metric_add(metric_with1(job->d->bytes, job->batch.tenant), (double)(bytes + meta));
    if (meta > 0)
        metric_add(metric_with1(job->d->meta_bytes, job->batch.tenant), (double)meta);
}

/* Label sets of all streams; a malformed one refuses the whole push, as in Loki. */
static int resolve_labels(struct push_job *job, const struct push_request *r,
                          struct stream_labels *labels, int *codes, struct error *err)
{
    const struct config_strings *discover = &job->validator.limits->discover_service_name;
    for (size_t i = 0; i < r->n_streams; i++) {
        const struct push_request_stream *s = &r->streams[i];
        struct error why = {0};
        str text = s->labels_text;
        if (text.ptr == NULL) {
            /* Pairs go through the text, so that names are judged the same way. */
            bool valid = true;
            for (size_t k = 0; k < s->n_pairs; k++)
                valid = valid && label_name_is_valid(s->pairs[k].name);
            if (valid) {
                codes[i] = stream_labels_from_pairs(s->pairs, s->n_pairs, discover, &job->arena,
                                                    &labels[i], &why);
                continue;
            }
            size_t n = s->n_pairs;
            labels_sort(s->pairs, &n);
            struct buf b;
            buf_init(&b, BUF_NO_LIMIT);
            labels_print(&(struct labels){s->pairs, n}, &b);
            text = arena_str(&job->arena, buf_str(&b));
            buf_deinit(&b);
        }
        codes[i] = label_cache_get(job->d->labels, text, discover, &job->arena, &labels[i], &why);
        if (codes[i] == E_PARSE) {
            error_set(err, E_INVALID, "couldn't parse labels: %s", why.text);
            discard(&job->validator.discards, DISCARD_INVALID_LABELS, s->n_entries, 0);
            return E_INVALID;
        }
    }
    return 0;
}

static void validate(struct push_job *job, const struct push_request *r,
                     const struct stream_labels *labels, const int *codes,
                     struct push_stream *streams)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_streams; i++)
        n += validate_stream(&job->validator, &labels[i], codes[i], &r->streams[i], &streams[n]);
    job->batch.streams = streams;
    job->batch.n_streams = n;
    if (job->validator.truncated_lines > 0)
        metric_add(metric_with2(job->d->mutated, STR("line_too_long"), STR("true")),
                   (double)job->validator.truncated_lines);
}

/* The tenant's bucket; E_RATE_LIMITED with Loki's text. */
static int check_rate(struct push_job *job, struct error *err)
{
    struct validator *v = &job->validator;
    const struct limits *limits = v->limits;
    uint64_t bytes = v->line_bytes + v->meta_bytes;
    double rate = limits->ingestion_rate_mb * MIB;
    if (rate_allow(job->d->rates, job->batch.tenant, rate, limits->ingestion_burst_size_mb * MIB,
                   (double)bytes, job->d->config.now_ns()))
        return 0;
    discard(&v->discards, DISCARD_RATE_LIMITED, v->lines, bytes);
    return error_set(err, E_RATE_LIMITED,
                     "Ingestion rate limit exceeded for user %.*s (limit: %lld bytes/sec) while "
                     "attempting to ingest '%llu' lines totaling '%llu' bytes, reduce log volume "
                     "or contact your Loki administrator to see if the limit can be increased",
                     STR_ARG(job->batch.tenant), (long long)rate, (unsigned long long)v->lines,
                     (unsigned long long)bytes);
}

static int prepare(struct push_job *job, const struct push_input *in, struct error *err)
{
    struct push_request r;
    int code = push_body_read(in, &job->buffers, &job->arena, &r, err);
    if (code == E_TOO_LARGE)
        discard(&job->validator.discards, DISCARD_BODY_TOO_LARGE, 1, in->body.len);
    if (code != 0)
        return code;
    if (r.n_streams == 0)
        return error_set(err, E_UNPROCESSABLE,
                         "error at least one valid stream is required for ingestion");
    struct stream_labels *labels = arena_try_alloc(&job->arena, r.n_streams * sizeof *labels);
    int *codes = arena_try_alloc(&job->arena, r.n_streams * sizeof *codes);
    struct push_stream *streams = arena_try_alloc(&job->arena, r.n_streams * sizeof *streams);
    if (labels == NULL || codes == NULL || streams == NULL)
        return error_set(err, E_LIMIT, "push request has too many streams");
    code = resolve_labels(job, &r, labels, codes, err);
    if (code != 0)
        return code;
    count_received(job, &r);
    validate(job, &r, labels, codes, streams);
    if (job->buffers.packed.len > 0) { /* the log keeps the body rather than compress it again */
        job->batch.raw = job->buffers.packed;
        job->batch.raw_encoding = PUSH_SNAPPY_PROTO;
        job->batch.plain = buf_str(&job->buffers.plain);
    }
    return job->batch.n_streams == 0 ? 0 : check_rate(job, err);
}

/* False if the push is done with: stored before, or being stored. */
static bool begin_numbered(struct push_job *job, const struct push_input *in, struct error *err)
{
    uint64_t seq, gap;
    if (in->source_id.len == 0 || in->source_id.len > SOURCE_ID_LEN_MAX ||
        in->source_seq.ptr == NULL || !str_to_u64(in->source_seq, &seq) || seq == 0)
        return true;
    job->batch.source_id = arena_str(&job->arena, in->source_id);
    job->batch.source_seq = seq;
    enum source_verdict verdict =
        source_begin(job->d->sources, job->batch.tenant, in->source_id, seq, &gap);
    job->is_numbered = verdict == SOURCE_NEW;
    if (gap > 0)
        metric_add(metric_with1(job->d->gaps, job->batch.tenant), (double)gap);
    if (verdict == SOURCE_DUPLICATE)
        metric_inc(metric_with1(job->d->duplicates, job->batch.tenant));
    if (verdict == SOURCE_BUSY)
        error_set(err, E_AGAIN, "push %llu of this source is being stored",
                  (unsigned long long)seq);
    return verdict == SOURCE_NEW;
}

void distributor_remember(struct distributor *d, str tenant, str source_id, uint64_t seq)
{
    if (source_id.len <= SOURCE_ID_LEN_MAX && seq != 0)
        source_remember(d->sources, tenant, source_id, seq);
}

void distributor_push(struct distributor *d, str tenant, const struct push_input *in,
                      void (*answer)(void *arg, int http, const struct error *err), void *arg)
{
    static const struct spread_ops ops = {job_answer, job_free};
    struct push_job *job = mem_zalloc(sizeof *job);
    struct error err = {0};
    job->d = d;
    job->answer = answer;
    job->arg = arg;
    arena_init(&job->arena, ARENA_BYTES_MAX);
    buf_init(&job->buffers.inflated, d->config.decompressed_bytes_max);
    buf_init(&job->buffers.plain, d->config.decompressed_bytes_max);
    job->batch.tenant = arena_str(&job->arena, tenant);
    validator_init(&job->validator, limits_for(d->config.limits, tenant), &job->arena,
                   d->config.now_ns());
    if (!begin_numbered(job, in, &err)) {
        finish(job, &err);
        return;
    }
    struct push_input mine = *in;
    if (ring_count(d->ring) > 1) /* a slow replica may read on after the answer */
        mine.body = arena_str(&job->arena, in->body);
    int code = prepare(job, &mine, &err);
    discards_count(&job->validator.discards, job->batch.tenant);
    if (code != 0 || job->batch.n_streams == 0)
        finish(job, &err);
    else
        spread_push(d->ring, d->config.replication_factor, &job->batch, &job->arena, &ops, job);
}

/* --- HTTP --- */

static void push_reply(void *arg, int http, const struct error *err)
{
    struct http_request *r = arg;
    if (http == 204) {
        http_reply(r, 204, "text/plain; charset=utf-8", STR_EMPTY);
        return;
    }
    struct buf text;
    buf_init(&text, ERROR_TEXT_MAX + 16);
    buf_printf(&text, "%s\n", err->text);
    if (http == 429 || http == 503)
        http_reply_header(r, "Retry-After", STR("1"));
    http_reply_take(r, http, "text/plain; charset=utf-8", &text);
    buf_deinit(&text);
}

static void handle_push(struct distributor *d, struct http_request *r, bool is_legacy)
{
    struct error err = {0};
    str tenant;
    if (tenant_from_header(http_header(r, TENANT_HEADER), d->config.auth_enabled, &tenant, &err) !=
        0) {
        push_reply(r, error_http(&err), &err);
        return;
    }
    struct push_input in = {
        .body = http_body(r),
        .content_type = http_header(r, "Content-Type"),
        .content_encoding = http_header(r, "Content-Encoding"),
        .is_legacy = is_legacy,
        .source_id = http_header(r, "X-Loge-Source"),
        .source_seq = http_header(r, "X-Loge-Sequence"),
    };
    distributor_push(d, tenant, &in, push_reply, r);
}

static void on_push(void *arg, struct http_request *r)
{
    handle_push(arg, r, false);
}

static void on_push_legacy(void *arg, struct http_request *r)
{
    handle_push(arg, r, true);
}

static void on_ring(void *arg, struct http_request *r)
{
    struct distributor *d = arg;
    struct buf page;
    buf_init(&page, 16 << 20);
    str accept = http_header(r, "Accept");
    bool json = accept.ptr != NULL && str_contains(accept, STR("application/json"));
    if (json)
        ring_print_json(d->ring, d->config.now_ns(), &page);
    else
        ring_print_html(d->ring, d->config.now_ns(), &page);
    http_reply_take(r, 200, json ? "application/json" : "text/html; charset=utf-8", &page);
    buf_deinit(&page);
}

void distributor_routes(struct distributor *d, struct http_server *server)
{
    size_t max = d->config.body_bytes_max;
    http_route(server, "/loki/api/v1/push", HTTP_POST | HTTP_ON_WORKER, "loki_api_v1_push", max,
               on_push, d);
    http_route(server, "/api/prom/push", HTTP_POST | HTTP_ON_WORKER, "api_prom_push", max,
               on_push_legacy, d);
    http_route(server, "/ring", HTTP_GET, "ring", 0, on_ring, d);
    /* One process has all the roles, so the rings of the others have the same member. */
    http_route(server, "/distributor/ring", HTTP_GET, "distributor_ring", 0, on_ring, d);
    http_route(server, "/compactor/ring", HTTP_GET, "compactor_ring", 0, on_ring, d);
}
