#include "querier/querier.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "logql/check.h"
#include "logql/parser.h"
#include "proto/tenant.h"
#include "querier/internal.h"
#include "querier/tail.h"

#define CONCURRENT_DEFAULT 4
#define OUTSTANDING_MAX    2048 /* per tenant, as Loki's max_outstanding_per_tenant */
/* What one request may hold beside the engine's own memory. */
#define CALL_ARENA_BYTES_MAX (512u << 20)
#define FORM_BYTES_MAX       (4u << 20)

struct querier *querier_new(const struct querier_config *config)
{
    struct querier *q = mem_zalloc(sizeof *q);
    q->config = *config;
    ASSERT(config->n_sources <= SOURCES_MAX);
    for (size_t i = 0; i < config->n_sources; i++)
        q->sources[i] = config->sources[i];
    q->config.sources = q->sources;
    if (q->config.now_ns == NULL)
        q->config.now_ns = clock_now_ns;
    if (q->config.concurrent_max == 0)
        q->config.concurrent_max = CONCURRENT_DEFAULT;
    q->queue = fair_queue_new(config->workers, q->config.concurrent_max, OUTSTANDING_MAX);
    return q;
}

void querier_stop(struct querier *q)
{
    atomic_store(&q->is_stopping, true);
    tails_close(q);
}

void querier_free(struct querier *q)
{
    if (q == NULL)
        return;
    fair_queue_free(q->queue);
    mem_free(q);
}

/* --- a call --- */

bool call_should_stop(void *call)
{
    const struct call *c = call;
    return http_is_cancelled(c->r) || atomic_load(&c->q->is_stopping) ||
           clock_mono_ns() > c->deadline_mono_ns;
}

int call_stop_code(void *call)
{
    const struct call *c = call;
    if (http_is_cancelled(c->r))
        return E_CANCELED;
    return atomic_load(&c->q->is_stopping) ? E_UNAVAILABLE : E_TIMEOUT;
}

static void reply_error(struct http_request *r, struct error *err, int code)
{
    if (err->code == 0)
        error_set(err, code, "%s", status_text(code));
    if (error_http(err) == 503)
        http_reply_header(r, "Retry-After", STR("1"));
    http_reply_error(r, err);
}

static void call_run_on_worker(void *arg)
{
    struct call *c = arg;
    c->started_mono_ns = clock_mono_ns();
    c->deadline_mono_ns = c->started_mono_ns + c->limits->query_timeout_ns;
    if (c->limits->query_timeout_ns <= 0)
        c->deadline_mono_ns = INT64_MAX;
    int code = call_should_stop(c) ? call_stop_code(c) : c->answer(c);
    if (code != 0)
        reply_error(c->r, &c->err, code);
    arena_deinit(&c->arena);
    mem_free(c);
}

void call_begin(struct querier *q, struct http_request *r, int (*answer)(struct call *c))
{
    struct error err = {0};
    str tenant;
    if (tenant_from_header(http_header(r, TENANT_HEADER), q->config.auth_enabled, &tenant, &err) !=
        0) {
        http_reply_error(r, &err);
        return;
    }
    str malformed = http_params_error(r);
    if (malformed.ptr != NULL) {
        error_set(&err, E_INVALID, "%.*s", STR_ARG(malformed));
        http_reply_error(r, &err);
        return;
    }
    struct call *c = mem_zalloc(sizeof *c);
    arena_init(&c->arena, CALL_ARENA_BYTES_MAX);
    c->q = q;
    c->r = r;
    c->tenant = arena_str(&c->arena, tenant);
    c->limits = limits_for(q->config.limits, tenant);
    c->now_ns = q->config.now_ns();
    c->params = params_of_request(r, c->now_ns);
    c->arrived_mono_ns = clock_mono_ns();
    c->answer = answer;
    if (fair_queue_add(q->queue, c->tenant, call_run_on_worker, c))
        return;
    error_set(&err, E_RATE_LIMITED, "too many outstanding requests");
    http_reply_error(r, &err);
    arena_deinit(&c->arena);
    mem_free(c);
}

/* --- ranges --- */

int call_check_length(struct call *c, int64_t from_ns, int64_t to_ns)
{
    return engine_check_length(from_ns, to_ns, c->limits->max_query_length_ns, &c->err);
}

int call_check_range(struct call *c, int64_t from_ns, int64_t to_ns)
{
    int code = call_check_length(c, from_ns, to_ns);
    if (code == 0 && to_ns < from_ns)
        code = error_set(&c->err, E_INVALID, "invalid query, through < from");
    return code;
}

/* --- selectors and streams --- */

int call_parse_selector(struct call *c, str query, bool is_strict, struct expr **ret)
{
    int code = logql_parse_selector(query, &c->arena, ret, &c->err);
    if (code == 0 && is_strict && (code = logql_check(*ret, true, &c->err)) != 0) {
        logql_release(*ret);
        *ret = NULL;
    }
    return code;
}

struct matcher *call_matchers(struct call *c, const struct log_expr *selector)
{
    struct matcher *ms = ARENA_ARRAY(&c->arena, struct matcher, selector->n_matchers);
    for (size_t i = 0; i < selector->n_matchers; i++)
        ms[i] = *selector->matchers[i];
    return ms;
}

static int by_labels(const void *a, const void *b)
{
    const struct selected_stream *const *x = a, *const *y = b;
    return labels_cmp(&(*x)->labels, &(*y)->labels);
}

static int order(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_chunk(const void *a, const void *b)
{
    const struct block_ref *x = *(const struct block_ref *const *)a;
    const struct block_ref *y = *(const struct block_ref *const *)b;
    int o = order(x->chunk_id, y->chunk_id);
    return o != 0 ? o : order(x->index, y->index);
}

/* Blocks of a stream that agree in all of this hold the same entries: a push that was repeated
 * after a flush, or replicas. */
static int by_content(const void *a, const void *b)
{
    const struct block_ref *x = *(const struct block_ref *const *)a;
    const struct block_ref *y = *(const struct block_ref *const *)b;
    int o = order((uint64_t)x->min_ns ^ INT64_MIN, (uint64_t)y->min_ns ^ INT64_MIN);
    if (o == 0)
        o = order((uint64_t)x->max_ns ^ INT64_MIN, (uint64_t)y->max_ns ^ INT64_MIN);
    if (o == 0)
        o = order(x->entries, y->entries);
    if (o == 0)
        o = order(x->line_bytes, y->line_bytes);
    return o != 0 ? o : order(x->meta_bytes, y->meta_bytes);
}

typedef int block_order(const void *a, const void *b);

/* Sorts, and keeps the first of equal ones. */
static void sort_unique(struct found_stream *s, block_order *cmp)
{
    size_t kept = 0;
    if (s->n_blocks > 1)
        qsort(s->blocks, s->n_blocks, sizeof *s->blocks, cmp);
    for (size_t i = 0; i < s->n_blocks; i++)
        if (kept == 0 || cmp(&s->blocks[kept - 1], &s->blocks[i]) != 0)
            s->blocks[kept++] = s->blocks[i];
    s->n_blocks = kept;
}

/* One stream from the selections it is in: n of them, side by side. */
static void join(struct call *c, const struct selected_stream *const *parts, size_t n,
                 struct found_stream *ret)
{
    size_t total = 0;
    *ret = (struct found_stream){parts[0]->labels, parts[0]->fingerprint, NULL, 0, 0};
    for (size_t i = 0; i < n; i++)
        total += parts[i]->n_blocks;
    ret->blocks = ARENA_ARRAY(&c->arena, const struct block_ref *, total);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < parts[i]->n_blocks; k++)
            ret->blocks[ret->n_blocks++] = &parts[i]->blocks[k];
    /* A chunk that is being flushed is in memory and in the store: each block counts once. */
    sort_unique(ret, by_content);
    sort_unique(ret, by_chunk);
    for (size_t i = 0; i < ret->n_blocks; i++)
        ret->n_chunks += i == 0 || ret->blocks[i]->chunk_id != ret->blocks[i - 1]->chunk_id;
}

static void join_all(struct call *c, struct found *f)
{
    size_t total = 0, n = 0;
    for (size_t i = 0; i < f->n_selections; i++)
        total += f->selections[i]->n_streams;
    const struct selected_stream **all =
        ARENA_ARRAY(&c->arena, const struct selected_stream *, total);
    for (size_t i = 0; i < f->n_selections; i++)
        for (size_t k = 0; k < f->selections[i]->n_streams; k++)
            all[n++] = &f->selections[i]->streams[k];
    if (f->n_selections > 1 && total > 0)
        qsort(all, total, sizeof *all, by_labels);
    f->streams = ARENA_ARRAY(&c->arena, struct found_stream, total);
    for (size_t i = 0, k; i < total; i = k) {
        for (k = i + 1; k < total && by_labels(&all[i], &all[k]) == 0; k++)
            ;
        join(c, all + i, k - i, &f->streams[f->n_streams++]);
    }
}

int call_select(struct call *c, const struct log_expr *selector, int64_t from_ns, int64_t to_ns,
                unsigned flags, struct found *ret)
{
    *ret = (struct found){0};
    struct select_params p = {
        .tenant = c->tenant,
        .matchers = call_matchers(c, selector),
        .n_matchers = selector->n_matchers,
        .from_ns = from_ns,
        .to_ns = to_ns,
        .flags = flags,
        .streams_max = (size_t)MAX(c->limits->cardinality_limit, 0),
    };
    for (size_t i = 0; i < c->q->config.n_sources; i++) {
        struct query_source *q = c->q->sources[i];
        int code = q->ops->select(q, &p, &ret->selections[ret->n_selections], &c->err);
        if (code != 0) {
            found_free(ret);
            return code;
        }
        ret->n_selections++;
    }
    join_all(c, ret);
    return 0;
}

void found_free(struct found *f)
{
    for (size_t i = 0; i < f->n_selections; i++) {
        struct query_source *q = f->selections[i]->source;
        q->ops->selection_free(f->selections[i]);
    }
    f->n_selections = 0;
}

/* --- routes --- */

#define ROUTE_HANDLER(name, fn)                                                                    \
    static void name(void *arg, struct http_request *r)                                            \
    {                                                                                              \
        call_begin(arg, r, fn);                                                                    \
    }
ROUTE_HANDLER(on_query, answer_query)
ROUTE_HANDLER(on_query_range, answer_query_range)
ROUTE_HANDLER(on_legacy_query, answer_legacy_query)
ROUTE_HANDLER(on_labels, answer_labels)
ROUTE_HANDLER(on_label_values, answer_label_values)
ROUTE_HANDLER(on_legacy_labels, answer_legacy_labels)
ROUTE_HANDLER(on_series, answer_series)
ROUTE_HANDLER(on_index_stats, answer_index_stats)
ROUTE_HANDLER(on_index_shards, answer_index_shards)
ROUTE_HANDLER(on_volume, answer_volume)
ROUTE_HANDLER(on_volume_range, answer_volume_range)
ROUTE_HANDLER(on_detected_labels, answer_detected_labels)
ROUTE_HANDLER(on_detected_fields, answer_detected_fields)
ROUTE_HANDLER(on_detected_values, answer_detected_values)
ROUTE_HANDLER(on_format_query, answer_format_query)
ROUTE_HANDLER(on_patterns, answer_patterns)
ROUTE_HANDLER(on_drilldown_limits, answer_drilldown_limits)
ROUTE_HANDLER(on_tenant_limits, answer_tenant_limits)
ROUTE_HANDLER(on_rules, answer_no_rules)
ROUTE_HANDLER(on_alerts, answer_no_alerts)

void querier_routes(struct querier *q, struct http_server *server)
{
    static const struct {
        const char *path, *name;
        http_handler *handler;
    } routes[] = {
        {"/loki/api/v1/query", "loki_api_v1_query", on_query},
        {"/loki/api/v1/query_range", "loki_api_v1_query_range", on_query_range},
        {"/loki/api/v1/labels", "loki_api_v1_labels", on_labels},
        {"/loki/api/v1/label", "loki_api_v1_label", on_labels},
        {"/loki/api/v1/label/{name}/values", "loki_api_v1_label_name_values", on_label_values},
        {"/loki/api/v1/series", "loki_api_v1_series", on_series},
        {"/loki/api/v1/index/stats", "loki_api_v1_index_stats", on_index_stats},
        {"/loki/api/v1/index/shards", "loki_api_v1_index_shards", on_index_shards},
        {"/loki/api/v1/index/volume", "loki_api_v1_index_volume", on_volume},
        {"/loki/api/v1/index/volume_range", "loki_api_v1_index_volume_range", on_volume_range},
        {"/loki/api/v1/detected_labels", "loki_api_v1_detected_labels", on_detected_labels},
        {"/loki/api/v1/detected_fields", "loki_api_v1_detected_fields", on_detected_fields},
        {"/loki/api/v1/detected_field/{name}/values", "loki_api_v1_detected_field_name_values",
         on_detected_values},
        {"/loki/api/v1/format_query", "loki_api_v1_format_query", on_format_query},
        {"/loki/api/v1/patterns", "loki_api_v1_patterns", on_patterns},
        {"/loki/api/v1/drilldown-limits", "loki_api_v1_drilldown_limits", on_drilldown_limits},
        {"/config/tenant/v1/limits", "config_tenant_v1_limits", on_tenant_limits},
        {"/prometheus/api/v1/rules", "prometheus_api_v1_rules", on_rules},
        {"/prometheus/api/v1/alerts", "prometheus_api_v1_alerts", on_alerts},
        {"/api/prom/query", "api_prom_query", on_legacy_query},
        {"/api/prom/label", "api_prom_label", on_legacy_labels},
        {"/api/prom/label/{name}/values", "api_prom_label_name_values", on_legacy_labels},
        {"/api/prom/series", "api_prom_series", on_series},
    };
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        http_route(server, routes[i].path, HTTP_GET | HTTP_POST, routes[i].name, FORM_BYTES_MAX,
                   routes[i].handler, q);
    http_route(server, "/loki/api/v1/tail", HTTP_GET | HTTP_WEBSOCKET, "loki_api_v1_tail", 0,
               tail_accept, q);
    http_route(server, "/api/prom/tail", HTTP_GET | HTTP_WEBSOCKET, "api_prom_tail", 0,
               tail_accept_legacy, q);
}
