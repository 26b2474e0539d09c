/* kubernetes_sd_configs: objects of a cluster become target groups.
 *
 * A role has its own kind of objects (main) and may look into others (services and pods behind
 * endpoints, nodes): each is watched once per namespace, nodes once.  Nothing of a namespace is
 * told before all it needs is listed; one that may not be read keeps no other waiting. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "base/mem.h"
#include "base/vec.h"
#include "promtail/config/targets.h"
#include "promtail/discovery/discovery.h"
#include "promtail/discovery/http.h"
#include "promtail/discovery/k8s_access.h"
#include "promtail/discovery/k8s_labels.h"
#include "promtail/discovery/k8s_watch.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define COMPONENT       "kubernetes"
#define REBUILD_MS      50 /* after a change of an object that others look into */
#define GROUP_BYTES_MAX (64u << 20)

struct kubernetes_provider {
    struct provider base;
    const struct kubernetes_sd_config *config;
    struct loop *loop;
    struct arena arena; /* as long as the provider */
    struct sd_http http;
    struct k8s_access access;
    struct loop_timer *rebuild;
    bool must_rebuild; /* the timer runs */
    struct k8s_lookup lookup;
    VEC(struct k8s_watch *) watches[K8S_ROLES]; /* of each kind, one a namespace */
};

static const struct {
    const char *api, *resource;
} kinds[K8S_ROLES] = {
    [K8S_POD] = {"/api/v1", "pods"},
    [K8S_NODE] = {"/api/v1", "nodes"},
    [K8S_SERVICE] = {"/api/v1", "services"},
    [K8S_ENDPOINTS] = {"/api/v1", "endpoints"},
    [K8S_ENDPOINTSLICE] = {"/apis/discovery.k8s.io/v1", "endpointslices"},
    [K8S_INGRESS] = {"/apis/networking.k8s.io/v1", "ingresses"},
};

/* --- looking into other objects --- */

static const json_t *find(const struct kubernetes_provider *p, enum kubernetes_role kind,
                          const char *ns, const char *name)
{
    char key[K8S_KEY_BYTES];
    snprintf(key, sizeof key, "%s%s%s", ns, ns[0] != '\0' ? "/" : "", name);
    for (size_t i = 0; i < p->watches[kind].len; i++) {
        const json_t *found = k8s_watch_get(p->watches[kind].items[i], str_c(key));
        if (found != NULL)
            return found;
    }
    return NULL;
}

static const json_t *find_pod(void *arg, const char *ns, const char *name)
{
    return find(arg, K8S_POD, ns, name);
}

static const json_t *find_service(void *arg, const char *ns, const char *name)
{
    return find(arg, K8S_SERVICE, ns, name);
}

static const json_t *find_node(void *arg, const char *name)
{
    return find(arg, K8S_NODE, "", name);
}

/* --- groups --- */

/* All that the objects of namespace `i` need is there. */
static bool is_synced(const struct kubernetes_provider *p, size_t i)
{
    for (int kind = 0; kind < K8S_ROLES; kind++) {
        size_t n = p->watches[kind].len;
        if (n > 0 && !k8s_watch_is_synced(p->watches[kind].items[MIN(i, n - 1)]))
            return false;
    }
    return true;
}

static void tell(struct kubernetes_provider *p, str key, const json_t *object)
{
    struct arena a;
    struct target_group group = {0};
    enum kubernetes_role role = (enum kubernetes_role)p->config->role;
    arena_init(&a, GROUP_BYTES_MAX);
    if (object != NULL)
        k8s_group(role, object, &p->lookup, &a, &group);
    group.source = k8s_group_source(role, key, &a);
    p->base.sink.update(p->base.sink.arg, &p->base, &group);
    arena_deinit(&a);
}

static void tell_all(void *arg)
{
    struct kubernetes_provider *p = arg;
    p->must_rebuild = false;
    for (size_t i = 0; i < p->watches[p->config->role].len; i++) {
        size_t at = 0;
        str key;
        const json_t *object;
        if (!is_synced(p, i))
            continue;
        while (k8s_watch_next(p->watches[p->config->role].items[i], &at, &key, &object))
            tell(p, key, object);
    }
}

/* Changes that go on and on put it off no further. */
static void tell_all_soon(struct kubernetes_provider *p, uint64_t after_ms)
{
    if (!p->must_rebuild)
        loop_timer_start(p->rebuild, after_ms, 0);
    p->must_rebuild = true;
}

static void on_changed(void *arg, struct k8s_watch *w, str key, const json_t *object)
{
    struct kubernetes_provider *p = arg;
    size_t n = p->watches[p->config->role].len, i = 0;
    while (i < n && p->watches[p->config->role].items[i] != w)
        i++;
    if (i == n)
        tell_all_soon(p, REBUILD_MS);
    else if (is_synced(p, i))
        tell(p, key, object);
}

static void on_synced(void *arg, struct k8s_watch *w)
{
    (void)w;
    tell_all_soon(arg, 0);
}

/* --- start --- */

static void host_name(char *out, size_t size)
{
    const char *env = getenv("HOSTNAME");
    if (env != NULL && env[0] != '\0')
        snprintf(out, size, "%s", env);
    else if (gethostname(out, size) != 0)
        out[0] = '\0';
    out[size - 1] = '\0';
}

/* Only this node's pods are of use: their files are here.  Promtail adds that to the first
 * selector. */
static const char *own_node(struct kubernetes_provider *p, const char *field)
{
    char host[256];
    host_name(host, sizeof host);
    str own = arena_printf(&p->arena, "spec.nodeName=%s", host);
    if (field[0] == '\0')
        return own.ptr;
    if (str_contains(str_c(field), own))
        return field;
    return arena_printf(&p->arena, "%s,%s", field, own.ptr).ptr;
}

static void selectors(struct kubernetes_provider *p, int kind, const char **ret_label,
                      const char **ret_field)
{
    const struct kubernetes_sd_config *c = p->config;
    *ret_label = *ret_field = "";
    for (size_t i = 0; i < c->n_selectors; i++) {
        const struct kubernetes_selector *s = &c->selectors[i];
        if (s->role != kind)
            continue;
        *ret_label = s->label; /* the last of a role counts */
        *ret_field = s->field;
    }
    if (c->role == K8S_POD && kind == K8S_POD)
        *ret_field = own_node(p, *ret_field);
}

static void add_watch(struct kubernetes_provider *p, int kind, const char *ns)
{
    struct k8s_watch_config config = {.http = p->http.client,
                                      .server = p->access.server,
                                      .api = kinds[kind].api,
                                      .resource = kinds[kind].resource,
                                      .namespace_ = ns,
                                      .changed = on_changed,
                                      .synced = on_synced,
                                      .arg = p};
    selectors(p, kind, &config.label, &config.field);
    VEC_PUSH(&p->watches[kind], k8s_watch_new(p->loop, &config));
}

static void add_kind(struct kubernetes_provider *p, int kind)
{
    const struct kubernetes_sd_config *c = p->config;
    bool own = c->own_namespace && p->access.own_namespace[0] != '\0';
    if (kind == K8S_NODE || (c->namespaces.n == 0 && !own)) {
        add_watch(p, kind, "");
        return;
    }
    for (size_t i = 0; i < c->namespaces.n; i++)
        add_watch(p, kind, c->namespaces.items[i]);
    if (own)
        add_watch(p, kind, p->access.own_namespace);
}

static void add_kinds(struct kubernetes_provider *p)
{
    int role = p->config->role;
    add_kind(p, role);
    if (role == K8S_ENDPOINTS || role == K8S_ENDPOINTSLICE) {
        add_kind(p, K8S_SERVICE);
        add_kind(p, K8S_POD);
    }
    bool may_attach = role == K8S_POD || role == K8S_ENDPOINTS || role == K8S_ENDPOINTSLICE;
    if (p->config->attach_node && may_attach)
        add_kind(p, K8S_NODE);
}

static void stop(struct provider *base)
{
    struct kubernetes_provider *p = (struct kubernetes_provider *)base;
    loop_timer_free(p->rebuild);
    for (int kind = 0; kind < K8S_ROLES; kind++) {
        for (size_t i = 0; i < p->watches[kind].len; i++)
            k8s_watch_free(p->watches[kind].items[i]);
        VEC_FREE(&p->watches[kind]);
    }
    sd_http_stop(&p->http);
    arena_deinit(&p->arena);
    mem_free(p);
}

static int start(struct loop *l, const void *config, const struct discovery_sink *sink,
                 struct provider **ret, struct error *err)
{
    struct kubernetes_provider *p = mem_zalloc(sizeof *p);
    p->base = (struct provider){.ops = &provider_kubernetes, .sink = *sink};
    p->config = config;
    p->loop = l;
    p->lookup = (struct k8s_lookup){.pod = find_pod,
                                    .service = find_service,
                                    .node = find_node,
                                    .arg = p,
                                    .attach_node = p->config->attach_node};
    arena_init(&p->arena, SIZE_MAX);
    p->rebuild = loop_timer_new(l, tell_all, p);
    int rc = k8s_access_find(p->config, K8S_ACCOUNT_DIR, &p->arena, &p->access, err);
    if (rc == 0)
        rc = sd_http_start(&p->http, l, &p->access.http, NULL, 0, err);
    if (rc != 0) {
        error_prefix(err, "kubernetes_sd: ");
        stop(&p->base);
        return rc;
    }
    log_info(COMPONENT, "Using Kubernetes API", LOG_C("server", p->access.server));
    add_kinds(p);
    *ret = &p->base;
    return 0;
}

const struct provider_ops provider_kubernetes = {
    .name = "kubernetes", .start = start, .stop = stop};
