/* promtail/discovery/consul_labels.h - instances of a service as targets with Consul's labels. */
#pragma once
#include "promtail/discovery/discovery.h"

typedef struct json_t json_t; /* jansson's */

/* `instances` is what /v1/health/service/x answers (of an agent: without Node).  `prefix` is
 * "consul" or "consulagent": __meta_<prefix>_...; `datacenter` stands in where the answer has none.
 */
void consul_group(const json_t *instances, const char *prefix, const char *separator,
                  const char *datacenter, struct arena *a, struct target_group *ret);
