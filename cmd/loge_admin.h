/* cmd/loge_admin.h - the pages about the process itself: /ready, /config, /services, buildinfo. */
#pragma once
#include <stdatomic.h>

#include "cmd/loge_config.h"

struct http_server;

struct admin {
    const struct loge_config *config;
    atomic_bool is_ready;    /* set once replay is over, cleared when the stop begins */
    atomic_bool is_stopping; /* for /services */
};

/* `a` must live as long as the server. */
void admin_routes(struct admin *a, struct http_server *server);
