/* consul_sd_configs and consulagent_sd_configs: services and where they run.
 *
 * With a server each question blocks there until something changed (index and wait): one for the
 * list of services, one for each service that is wanted.  An agent knows no such questions and is
 * asked at each refresh_interval, about itself first: its answers do not tell the node. */
#include <stdio.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "promtail/config/targets.h"
#include "promtail/discovery/consul_labels.h"
#include "promtail/discovery/discovery.h"
#include "promtail/discovery/http.h"
#include "runtime/http_params.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define COMPONENT       "consul"
#define WAIT_S          120
#define TIMEOUT_MS      ((WAIT_S + 15) * 1000)
#define RETRY_MS        15000
#define PAUSE_MS        1000 /* where something changes all the time */
#define URL_BYTES_MAX   16384
#define REPLY_BYTES_MAX (64u << 20)
#define SERVICES_MAX    100000

struct consul_provider;

enum question { ASK_SELF, ASK_SERVICES, ASK_SERVICE };

/* One question asked again and again. */
struct query {
    struct consul_provider *provider;
    enum question question;
    char *service; /* ASK_SERVICE */
    char index[32];
    struct http_handle *request;
    struct loop_timer *again;
    unsigned round; /* of the list that named the service last */
};

struct consul_provider {
    struct provider base;
    const struct consul_sd_config *config;
    bool is_agent;
    struct loop *loop;
    struct sd_http http;
    struct query self; /* of an agent */
    struct query catalog;
    struct strmap services; /* name -> struct query */
    json_t *agent;          /* the answer to `self`; NULL: none yet, or a server */
    char token[600];
    const char *headers[2];
    unsigned round;
};

/* --- URLs --- */

static void add_param(struct buf *out, const char *name, const char *value)
{
    if (value[0] == '\0')
        return;
    buf_printf(out, "&%s=", name);
    http_query_escape(out, str_c(value));
}

static void add_server_params(struct buf *url, const struct query *q)
{
    const struct consul_sd_config *c = q->provider->config;
    add_param(url, "index", q->index);
    buf_printf(url, "&wait=%ds", WAIT_S);
    if (c->allow_stale)
        buf_append_c(url, "&stale=");
    add_param(url, "dc", c->datacenter);
    add_param(url, "ns", c->namespace_);
    add_param(url, "partition", c->partition);
    for (size_t i = 0; i < c->node_meta.n; i++) {
        struct buf pair;
        buf_init(&pair, URL_BYTES_MAX);
        buf_printf(&pair, "%.*s:%.*s", STR_ARG(c->node_meta.items[i].name),
                   STR_ARG(c->node_meta.items[i].value));
        add_param(url, "node-meta", buf_c(&pair));
        buf_deinit(&pair);
    }
    if (q->question == ASK_SERVICES)
        add_param(url, "filter", c->filter);
    for (size_t i = 0; q->question == ASK_SERVICE && i < c->tags.n; i++)
        add_param(url, "tag", c->tags.items[i]);
}

static void make_url(struct buf *url, const struct query *q)
{
    const struct consul_sd_config *c = q->provider->config;
    bool has_scheme = strstr(c->server, "://") != NULL;
    buf_printf(url, "%s%s%s%s%s", has_scheme ? "" : c->scheme, has_scheme ? "" : "://", c->server,
               c->path_prefix[0] != '\0' && c->path_prefix[0] != '/' ? "/" : "", c->path_prefix);
    static const char *const paths[][2] = {
        [ASK_SELF] = {NULL, "/v1/agent/self"},
        [ASK_SERVICES] = {"/v1/catalog/services", "/v1/agent/services"},
        [ASK_SERVICE] = {"/v1/health/service/", "/v1/agent/health/service/name/"},
    };
    bool is_agent = q->provider->is_agent;
    buf_append_c(url, paths[q->question][is_agent]);
    if (q->question == ASK_SERVICE)
        http_path_escape(url, str_c(q->service));
    buf_append_char(url, '?');
    if (!is_agent)
        add_server_params(url, q);
}

/* --- questions --- */

static void on_answer(void *arg, int code, int status, str body);

static void ask(void *arg)
{
    struct query *q = arg;
    struct buf url;
    buf_init(&url, URL_BYTES_MAX);
    make_url(&url, q);
    q->request = http_client_start(q->provider->http.client,
                                   &(struct http_call){.method = "GET",
                                                       .url = buf_c(&url),
                                                       .headers = q->provider->headers[0] != NULL
                                                                      ? q->provider->headers
                                                                      : NULL,
                                                       .response_bytes_max = REPLY_BYTES_MAX,
                                                       .done = on_answer,
                                                       .arg = q,
                                                       .want_header = "X-Consul-Index"});
    buf_deinit(&url);
}

static void init_query(struct query *q, struct consul_provider *p, enum question question,
                       str service)
{
    *q = (struct query){.provider = p, .question = question};
    q->service = question == ASK_SERVICE ? str_dup_c(service) : NULL;
    q->again = loop_timer_new(p->loop, ask, q);
    loop_timer_start(q->again, 0, 0);
}

/* One that was never asked too. */
static void deinit_query(struct query *q)
{
    if (q->request != NULL)
        http_handle_cancel(q->request);
    loop_timer_free(q->again);
    mem_free(q->service);
}

/* --- the list of services --- */

static bool is_listed(const struct consul_provider *p, str name)
{
    const struct config_strings *wanted = &p->config->services;
    for (size_t i = 0; i < wanted->n; i++)
        if (str_eq_c(name, wanted->items[i]))
            return true;
    return wanted->n == 0;
}

static bool has_tags(const struct consul_provider *p, const json_t *tags)
{
    for (size_t i = 0; i < p->config->tags.n; i++) {
        size_t j;
        json_t *tag;
        bool found = false;
        json_array_foreach((json_t *)tags, j, tag)
        {
            const char *text = json_string_value(tag);
            found |= text != NULL && strcmp(text, p->config->tags.items[i]) == 0;
        }
        if (!found)
            return false;
    }
    return true;
}

static void tell(struct consul_provider *p, const char *service, const json_t *instances,
                 const char *health)
{
    struct arena a;
    struct target_group group = {0};
    struct consul_view view = {p->config->tag_separator, p->config->datacenter, p->agent, health};
    arena_init(&a, SIZE_MAX);
    if (instances != NULL)
        consul_group(instances, &view, &a, &group);
    group.source = str_c(service);
    p->base.sink.update(p->base.sink.arg, &p->base, &group);
    arena_deinit(&a);
}

static void want_service(struct consul_provider *p, str name)
{
    struct query *q = strmap_get(&p->services, name);
    if (q == NULL && p->services.len < SERVICES_MAX) {
        q = mem_zalloc(sizeof *q);
        init_query(q, p, ASK_SERVICE, name);
        strmap_put(&p->services, name, q);
    }
    if (q != NULL)
        q->round = p->round;
}

static void drop_gone(struct consul_provider *p)
{
    VEC(struct query *) gone = {0};
    size_t at = 0;
    void *item;
    while (strmap_next(&p->services, &at, NULL, &item))
        if (((struct query *)item)->round != p->round)
            VEC_PUSH(&gone, item);
    for (size_t i = 0; i < gone.len; i++) {
        tell(p, gone.items[i]->service, NULL, NULL);
        strmap_remove(&p->services, str_c(gone.items[i]->service));
        deinit_query(gone.items[i]);
        mem_free(gone.items[i]);
    }
    VEC_FREE(&gone);
}

/* {"web": ["tag"]}, of an agent {"id": {"Service": "web", "Tags": ["tag"]}}. */
static void take_catalog(struct consul_provider *p, const json_t *root)
{
    const char *key;
    json_t *value;
    p->round++;
    json_object_foreach((json_t *)root, key, value)
    {
        const char *name = p->is_agent ? json_string_value(json_object_get(value, "Service")) : key;
        const json_t *tags = p->is_agent ? json_object_get(value, "Tags") : value;
        if (name != NULL && is_listed(p, str_c(name)) && has_tags(p, tags))
            want_service(p, str_c(name));
    }
    drop_gone(p);
}

/* --- answers --- */

static void ask_again(struct query *q, bool failed)
{
    int64_t ms = MAX(q->provider->config->refresh_interval_ns / NS_PER_MS, 0);
    bool is_blocking = q->index[0] != '\0';
    if (is_blocking)
        ms = MIN(ms, PAUSE_MS);
    loop_timer_start(q->again, (uint64_t)(failed ? RETRY_MS : ms), 0);
}

/* What the answer is as new as.  It may be less than before: a server that was set up anew counts
 * anew. */
static void take_index(struct query *q)
{
    uint64_t now = 0;
    q->index[0] = '\0'; /* 0 and none: asked without waiting */
    if (str_to_u64(str_trim(http_handle_header(q->request)), &now) && now > 0)
        snprintf(q->index, sizeof q->index, "%llu", (unsigned long long)now);
}

/* The health of a whole service, which an agent tells by the status; NULL: no answer to use. */
static const char *health_of(const struct query *q, int status)
{
    bool tells = q->provider->is_agent && q->question == ASK_SERVICE;
    if (status == 200)
        return "passing";
    if (tells && status == 429)
        return "warning";
    /* 404: it has gone since it was listed; the answer is a text */
    return tells && (status == 503 || status == 404) ? "critical" : NULL;
}

/* NULL: none to use.  What stands between us and Consul may answer in its place, in JSON too. */
static json_t *read_answer(const struct query *q, int status, str body)
{
    if (health_of(q, status) == NULL)
        return NULL;
    if (status == 404)
        return json_array();
    json_t *root = json_loadb(body.ptr, body.len, 0, NULL);
    if (q->question == ASK_SERVICE ? json_is_array(root) : json_is_object(root))
        return root;
    json_decref(root);
    return NULL;
}

/* The list of services is asked for once the node is known. */
static void take_self(struct consul_provider *p, json_t *root)
{
    bool is_first = p->agent == NULL;
    json_decref(p->agent);
    p->agent = json_incref(root);
    if (is_first)
        init_query(&p->catalog, p, ASK_SERVICES, STR_EMPTY);
}

static void on_answer(void *arg, int code, int status, str body)
{
    struct query *q = arg;
    struct consul_provider *p = q->provider;
    if (code == 0 && !p->is_agent)
        take_index(q);
    q->request = NULL;
    json_t *root = code == 0 ? read_answer(q, status, body) : NULL;
    if (root == NULL) {
        log_error(COMPONENT, "error refreshing service", LOG_C("service", q->service),
                  LOG_I("status", status), LOG_S("err", str_sub(body, 0, 200)));
        q->index[0] = '\0'; /* a new server counts anew: it would wait for an index far ahead */
    }
    ask_again(q, root == NULL);
    if (root != NULL && q->question == ASK_SELF)
        take_self(p, root);
    else if (root != NULL && q->question == ASK_SERVICE)
        tell(p, q->service, root, health_of(q, status));
    else if (root != NULL)
        take_catalog(p, root); /* may free other queries, never this */
    json_decref(root);
}

/* --- life --- */

static void stop(struct provider *base)
{
    struct consul_provider *p = (struct consul_provider *)base;
    size_t at = 0;
    void *item;
    deinit_query(&p->self);
    deinit_query(&p->catalog);
    json_decref(p->agent);
    while (strmap_next(&p->services, &at, NULL, &item)) {
        deinit_query(item);
        mem_free(item);
    }
    strmap_deinit(&p->services);
    sd_http_stop(&p->http);
    mem_free(p);
}

static int start_any(struct loop *l, const void *config, const struct discovery_sink *sink,
                     const struct provider_ops *ops, struct provider **ret, struct error *err)
{
    struct consul_provider *p = mem_zalloc(sizeof *p);
    p->base = (struct provider){.ops = ops, .sink = *sink};
    p->config = config;
    p->is_agent = ops == &provider_consulagent;
    p->loop = l;
    strmap_init(&p->services);
    struct http_config http = p->config->http;
    if (p->config->username[0] != '\0') {
        http.basic_auth.username = p->config->username;
        http.basic_auth.password = p->config->password;
    }
    if (p->config->token[0] != '\0') {
        snprintf(p->token, sizeof p->token, "X-Consul-Token: %s", p->config->token);
        p->headers[0] = p->token;
    }
    int rc = sd_http_start(&p->http, l, &http, NULL, TIMEOUT_MS, err);
    if (rc != 0) {
        strmap_deinit(&p->services);
        mem_free(p);
        return rc;
    }
    if (p->is_agent)
        init_query(&p->self, p, ASK_SELF, STR_EMPTY);
    else
        init_query(&p->catalog, p, ASK_SERVICES, STR_EMPTY);
    *ret = &p->base;
    return 0;
}

static int start_consul(struct loop *l, const void *config, const struct discovery_sink *sink,
                        struct provider **ret, struct error *err)
{
    return start_any(l, config, sink, &provider_consul, ret, err);
}

static int start_agent(struct loop *l, const void *config, const struct discovery_sink *sink,
                       struct provider **ret, struct error *err)
{
    return start_any(l, config, sink, &provider_consulagent, ret, err);
}

const struct provider_ops provider_consul = {.name = "consul", .start = start_consul, .stop = stop};
const struct provider_ops provider_consulagent = {
    .name = "consulagent", .start = start_agent, .stop = stop};
