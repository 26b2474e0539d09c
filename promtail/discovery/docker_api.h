/* promtail/discovery/docker_api.h - the daemon's address as a URL, and its containers as targets.
 */
#pragma once
#include "promtail/config/targets.h"
#include "promtail/discovery/discovery.h"

typedef struct json_t json_t; /* jansson's */

struct docker_host {
    char url[512];         /* "http://docker" or "http://host:port" */
    char socket_path[256]; /* "": none */
};

/* unix:///path, tcp://host:port, http://..., https://... */
int docker_host_parse(const char *host, struct docker_host *ret, struct error *err);
/* One target for each container, network and TCP port, labels as Prometheus'.  Both are arrays as
 * the daemon answers them. */
void docker_group(const json_t *containers, const json_t *networks,
                  const struct docker_sd_config *config, struct arena *a, struct target_group *ret);
