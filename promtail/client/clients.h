/* promtail/client/clients.h - all clients, behind the limits: where every pipeline ends.
 *
 * In a dry run records are printed instead: time, labels and line with tabs between. */
#pragma once
#include "promtail/client/client.h"
#include "promtail/token_bucket.h"

struct clients {
    struct record_sink sink; /* first member */
    const struct limits_config *limits;
    struct token_bucket readline;
    int64_t paused_until_mono_ns;
    struct strmap streams; /* label sets seen, for max_streams */
    VEC(struct client *) items;
    size_t n_stopping;
    void (*stopped)(void *arg);
    void *stopped_arg;
    bool is_dry_run;
};

/* Makes a client for each of the configuration (none in a dry run). */
int clients_init(struct clients *all, const struct client_env *env, bool is_dry_run,
                 struct error *err);
void clients_deinit(struct clients *all);
void clients_sync(struct clients *all);
void clients_stop(struct clients *all, uint64_t grace_ms, void (*stopped)(void *arg), void *arg);
