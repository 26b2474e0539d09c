#include "cmd/loge_admin.h"

#include "runtime/http_server.h"

#define ADMIN_BYTES_MAX (4u << 20)

/* What Grafana and logcli read; a version from which Grafana's features are on (3.5 and later). */
#define LOKI_API_VERSION "3.6.0"

static void handle_ready(void *arg, struct http_request *r)
{
    struct admin *a = arg;
    if (atomic_load(&a->is_ready))
        http_reply(r, 200, "text/plain; charset=utf-8", STR("ready\n"));
    else
        http_reply(r, 503, "text/plain; charset=utf-8",
                   atomic_load(&a->is_stopping) ? STR("stopping\n")
                                                : STR("Ingester not ready: replaying the log\n"));
}

static void handle_config(void *arg, struct http_request *r)
{
    struct admin *a = arg;
    struct buf out;
    buf_init(&out, ADMIN_BYTES_MAX);
    if (str_eq(http_param(r, "mode"), STR("defaults"))) {
        struct loge_config defaults = {0};
        config_defaults(loge_config_table, &defaults, http_arena(r));
        config_print(loge_config_table, &defaults, &out);
    } else {
        config_print(loge_config_table, a->config, &out);
    }
    http_reply_take(r, 200, "text/plain; charset=utf-8", &out);
    buf_deinit(&out);
}

static void handle_services(void *arg, struct http_request *r)
{
    static const char *const services[] = {"server",      "ring",    "store",          "ingester",
                                           "distributor", "querier", "query-frontend", NULL};
    struct admin *a = arg;
    const char *state = atomic_load(&a->is_stopping) ? "Stopping"
                        : atomic_load(&a->is_ready)  ? "Running"
                                                     : "Starting";
    struct buf out;
    buf_init(&out, ADMIN_BYTES_MAX);
    for (size_t i = 0; services[i] != NULL; i++)
        buf_printf(&out, "%s => %s\n", services[i], state);
    http_reply_take(r, 200, "text/plain; charset=utf-8", &out);
    buf_deinit(&out);
}

static void handle_buildinfo(void *arg, struct http_request *r)
{
    (void)arg;
    http_reply(r, 200, "application/json; charset=UTF-8",
               STR("{\"version\":\"" LOKI_API_VERSION "\",\"revision\":\"loge-" LOGE_VERSION
                   "\",\"branch\":\"main\",\"buildUser\":\"\",\"buildDate\":\"\","
                   "\"goVersion\":\"\"}"));
}

void admin_routes(struct admin *a, struct http_server *server)
{
    http_route(server, "/ready", HTTP_GET | HTTP_NO_ACCESS_LOG, "ready", 0, handle_ready, a);
    http_route(server, "/config", HTTP_GET, "config", 0, handle_config, a);
    http_route(server, "/services", HTTP_GET, "services", 0, handle_services, a);
    http_route(server, "/loki/api/v1/status/buildinfo", HTTP_GET, "loki_api_v1_status_buildinfo", 0,
               handle_buildinfo, a);
    http_routes_common(server);
}
