/* promtail/client/client.h - pushes to one server: batches, a queue, retries.
 *
 *   put -> open batches (one per tenant) -> close -> spool + queue -> HTTP, one push at a time
 *
 * A client is slow alone: its queue is bounded, and only when that is full client_is_full() asks
 * the targets to pause (or, with wal.drop_oldest, its oldest groups are dropped and counted). Loop
 * thread only. */
#pragma once
#include "promtail/client/batch.h"
#include "promtail/client/spool.h"
#include "promtail/config/config.h"

struct client;
struct client_metrics;
struct http_client;
struct loop;

struct client_env {
    struct loop *loop;
    const struct promtail_config *config;
    struct source_registry *sources;
    const char *state_dir; /* folder of the spools; NULL: keep everything in memory */
    bool ignore_marks;     /* positions.yaml was changed by hand: it counts */
};

int client_new(const struct client_env *env, const struct client_config *config, size_t index,
               struct client **ret, struct error *err);
/* When all clients are there: writes to the journal and sends what was found in it. */
void client_start(struct client *c);
void client_free(struct client *c);

void client_put(struct client *c, struct record *r);
bool client_is_full(const struct client *c);
/* Records the positions of sources that moved though nothing was to be sent. */
void client_sync(struct client *c);
/* Closes what is open and sends what is queued; calls `done` when all is sent or after grace_ms
 * (what is left stays in the spool). */
void client_stop(struct client *c, uint64_t grace_ms, void (*done)(void *arg), void *arg);
/* A line beyond max_line_size was dropped or cut by so many bytes. */
void client_count_long_line(const struct client *c, const struct record *r, size_t bytes,
                            bool is_cut);
/* A record of a stream beyond max_streams was dropped. */
void client_count_refused_stream(const struct client *c, const struct record *r);
size_t client_queued_bytes(const struct client *c);
const struct client_config *client_config_of(const struct client *c);
const char *client_host(const struct client *c);
