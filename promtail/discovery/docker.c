/* docker_sd_configs: the running containers of a daemon, asked for again and again. */
#include <stdlib.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/mem.h"
#include "promtail/discovery/discovery.h"
#include "promtail/discovery/docker_api.h"
#include "promtail/discovery/http.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define COMPONENT       "docker"
#define TIMEOUT_MS      30000
#define URL_BYTES_MAX   65536
#define REPLY_BYTES_MAX (64u << 20)

struct docker_provider {
    struct provider base;
    const struct docker_sd_config *config;
    struct docker_host host;
    struct sd_http http;
    struct loop_timer *refresh;
    struct http_handle *request; /* under way, or NULL */
    json_t *containers;          /* between the two questions */
};

static void add_escaped(struct buf *out, str s)
{
    for (size_t i = 0; i < s.len; i++)
        buf_printf(out, "%%%02X", (unsigned char)s.ptr[i]);
}

/* {"status":["running"]} */
static void add_filters(struct buf *url, const struct docker_sd_config *c)
{
    if (c->n_filters == 0)
        return;
    json_t *filters = json_object();
    for (size_t i = 0; i < c->n_filters; i++) {
        json_t *values = json_object_get(filters, c->filters[i].name);
        if (values == NULL) {
            values = json_array();
            json_object_set_new(filters, c->filters[i].name, values);
        }
        for (size_t j = 0; j < c->filters[i].values.n; j++)
            json_array_append_new(values, json_string(c->filters[i].values.items[j]));
    }
    char *text = json_dumps(filters, JSON_COMPACT);
    buf_append_c(url, "?filters=");
    add_escaped(url, str_c(text));
    free(text);
    json_decref(filters);
}

static void ask(struct docker_provider *p, const char *path, bool filtered,
                void (*done)(void *arg, int code, int status, str body))
{
    struct buf url;
    buf_init(&url, URL_BYTES_MAX);
    buf_printf(&url, "%s%s", p->host.url, path);
    if (filtered)
        add_filters(&url, p->config);
    p->request =
        http_client_start(p->http.client, &(struct http_call){.method = "GET",
                                                              .url = buf_c(&url),
                                                              .response_bytes_max = REPLY_BYTES_MAX,
                                                              .done = done,
                                                              .arg = p});
    buf_deinit(&url);
}

static json_t *read_array(int code, int status, str body)
{
    json_t *root = code == 0 && status == 200 ? json_loadb(body.ptr, body.len, 0, NULL) : NULL;
    if (json_is_array(root))
        return root;
    json_decref(root);
    log_error(COMPONENT, "unable to refresh target groups", LOG_I("status", status),
              LOG_S("err", str_sub(body, 0, 200)));
    return NULL;
}

static void next_refresh(struct docker_provider *p)
{
    int64_t ms = p->config->refresh_interval_ns / NS_PER_MS;
    loop_timer_start(p->refresh, (uint64_t)MAX(ms, 100), 0);
}

static void on_networks(void *arg, int code, int status, str body)
{
    struct docker_provider *p = arg;
    struct arena a;
    struct target_group group;
    p->request = NULL;
    json_t *networks = read_array(code, status, body);
    if (networks != NULL) {
        arena_init(&a, SIZE_MAX);
        docker_group(p->containers, networks, p->config, &a, &group);
        p->base.sink.update(p->base.sink.arg, &p->base, &group);
        arena_deinit(&a);
        json_decref(networks);
    }
    json_decref(p->containers);
    p->containers = NULL;
    next_refresh(p);
}

static void on_containers(void *arg, int code, int status, str body)
{
    struct docker_provider *p = arg;
    p->request = NULL;
    p->containers = read_array(code, status, body);
    if (p->containers != NULL)
        ask(p, "/networks", false, on_networks);
    else
        next_refresh(p);
}

static void refresh(void *arg)
{
    ask(arg, "/containers/json", true, on_containers);
}

static void stop(struct provider *base)
{
    struct docker_provider *p = (struct docker_provider *)base;
    if (p->request != NULL)
        http_handle_cancel(p->request);
    loop_timer_free(p->refresh);
    sd_http_stop(&p->http);
    json_decref(p->containers);
    mem_free(p);
}

static int start(struct loop *l, const void *config, const struct discovery_sink *sink,
                 struct provider **ret, struct error *err)
{
    struct docker_provider *p = mem_zalloc(sizeof *p);
    p->base = (struct provider){.ops = &provider_docker, .sink = *sink};
    p->config = config;
    p->refresh = loop_timer_new(l, refresh, p);
    int rc = docker_host_parse(p->config->host, &p->host, err);
    if (rc == 0)
        rc = sd_http_start(&p->http, l, &p->config->http,
                           p->host.socket_path[0] != '\0' ? p->host.socket_path : NULL, TIMEOUT_MS,
                           err);
    if (rc != 0) {
        stop(&p->base);
        return rc;
    }
    loop_timer_start(p->refresh, 0, 0);
    *ret = &p->base;
    return 0;
}

const struct provider_ops provider_docker = {.name = "docker", .start = start, .stop = stop};
