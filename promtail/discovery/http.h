/* promtail/discovery/http.h - an HTTP client for service discovery from Prometheus' settings. */
#pragma once
#include "base/status.h"
#include "promtail/config/config.h"
#include "runtime/http_client.h"

struct sd_http {
    struct http_client *client; /* NULL: not started */
};

/* `unix_socket` may be NULL.  Files with passwords are read now, the token file at each request. */
int sd_http_start(struct sd_http *h, struct loop *l, const struct http_config *c,
                  const char *unix_socket, uint64_t timeout_ms, struct error *err);
void sd_http_stop(struct sd_http *h);
