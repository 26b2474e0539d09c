/* promtail/discovery/consul_labels.h - instances of a service as targets with Consul's labels. */
#pragma once
#include "promtail/discovery/discovery.h"

typedef struct json_t json_t; /* jansson's */

/* What an answer about a service does not hold itself. */
struct consul_view {
    const char *tag_separator;
    const char *datacenter; /* where the answer has none */
    /* Of an agent: what /v1/agent/self answers, and the health of the whole service; else NULL. */
    const json_t *agent;
    const char *health;
};

/* `instances` is what /v1/health/service/x answers: targets with labels __meta_consul_...; or what
 * /v1/agent/health/service/name/x does: with __meta_consulagent_... */
void consul_group(const json_t *instances, const struct consul_view *view, struct arena *a,
                  struct target_group *ret);
