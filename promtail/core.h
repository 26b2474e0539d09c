/* promtail/core.h - all that runs for one configuration: clients, pipelines, targets, positions.
 *
 *   targets -> pipelines -> clients        sources: who has come how far
 *
 * A reload makes a new core and stops the old one first.  Loop thread only. */
#pragma once
#include "promtail/client/clients.h"
#include "promtail/positions.h"
#include "promtail/targets/target.h"

struct core {
    struct target_env env;
    const struct promtail_config *config;
    struct source_registry sources;
    struct positions positions;
    struct clients clients;
    VEC(struct pipeline *) pipelines;
    VEC(struct target *) targets;
    struct loop_timer *flush_timer, *sync_timer;
    char *state_dir; /* of the spools; NULL: none */
    int64_t started_mono_ns;
    uint64_t grace_ms;
    size_t n_stopping;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* Compiles all pipelines and lets them go: what core_start would refuse. */
int core_check(const struct promtail_config *config, struct error *err);
/* `env` gives loop, workers, server, on_end; the rest is filled in. */
int core_start(const struct target_env *env, const struct promtail_config *config,
               struct core **ret, struct error *err);
/* Stops reading, sends what is left (at most grace_ms), saves positions, then calls `stopped`. */
void core_stop(struct core *c, uint64_t grace_ms, void (*stopped)(void *arg), void *arg);
void core_free(struct core *c);
bool core_is_ready(const struct core *c);
