/* querier/querier.h - answers questions: LogQL over the sources, and the Loki HTTP API around it.
 *
 * Threads: routes are entered on the loop, which only queues; the work is done on the pool
 * `workers`, tenants taking turns.  Tails live on the loop. */
#pragma once
#include "proto/query_source.h"
#include "runtime/limits.h"

struct http_server;
struct loop;
struct querier;
struct workers;

struct querier_config {
    struct loop *loop;
    struct workers *workers;         /* for queries alone: pushes must not wait behind them */
    const struct limits_set *limits; /* borrowed */
    bool auth_enabled;
    /* Memory before store: what is flushed between two questions is then seen at least once.
     * The array is copied, the sources are borrowed. */
    struct query_source *const *sources;
    size_t n_sources;
    /* Label browsing over a range that ends later than so long ago also shows the labels of streams
     * in memory that have nothing in that range, as Loki's ingesters answer; 0: always. */
    int64_t query_ingesters_within_ns;
    size_t concurrent_max;   /* queries at the same time; 0: 4 */
    int64_t (*now_ns)(void); /* wall clock; NULL: clock_now_ns */
};

struct querier *querier_new(const struct querier_config *config);
/* Ends running queries and closes tails; later ones are answered 503.  The loop's thread. */
void querier_stop(struct querier *q);
/* After the HTTP server has stopped; NULL allowed. */
void querier_free(struct querier *q);

/* /loki/api/v1/{query, query_range, labels, label, label/{name}/values, series, index/...,
 * patterns, detected_..., tail, format_query, drilldown-limits}, /config/tenant/v1/limits,
 * /api/prom/... */
void querier_routes(struct querier *q, struct http_server *server);
