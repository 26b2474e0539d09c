/* distributor/distributor.h - takes pushes over HTTP: reads, checks and completes them, counts and
 * limits them per tenant, and gives them to the ingesters.
 *
 * Routes: POST /loki/api/v1/push, POST /api/prom/push, GET /ring, GET /distributor/ring.
 * Threads: requests are worked on by any worker; nothing here belongs to the loop. */
#pragma once
#include "distributor/push_body.h"
#include "distributor/ring.h"
#include "proto/push_sink.h"
#include "runtime/limits.h"

struct distributor;
struct http_server;

struct distributor_config {
    const struct limits_set *limits; /* borrowed */
    bool auth_enabled;
    size_t body_bytes_max;         /* as it is sent; 0: 100 MiB */
    size_t decompressed_bytes_max; /* 0: 256 MiB */
    unsigned replication_factor;   /* 0: 1 */
    int64_t (*now_ns)(void);       /* wall clock; NULL: clock_now_ns */
};

struct distributor *distributor_new(const struct distributor_config *config);
/* After the server has stopped and all pushes are answered; NULL allowed. */
void distributor_free(struct distributor *d);

/* Adds an ingester to the ring, ACTIVE at once.  `id` and `addr` are shown on /ring; the sink is
 * borrowed.  Before traffic comes. */
int distributor_add_ingester(struct distributor *d, const char *id, const char *addr,
                             struct push_sink *sink);
struct ring *distributor_ring(struct distributor *d);

void distributor_routes(struct distributor *d, struct http_server *server);

/* A numbered push that the log held at the start: should it come again, it is dropped. */
void distributor_remember(struct distributor *d, str tenant, str source_id, uint64_t seq);

/* The same without HTTP: answer() is called once, on any thread, perhaps before this returns.
 * http: 204, or the status of the error whose text is in err.  The input must live until then. */
void distributor_push(struct distributor *d, str tenant, const struct push_input *in,
                      void (*answer)(void *arg, int http, const struct error *err), void *arg);
