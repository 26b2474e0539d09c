#include "promtail/discovery/k8s_labels.h"

#include <stdio.h>

#include <jansson.h>

#include "base/mem.h"
#include "promtail/discovery/k8s_build.h"

/* --- JSON --- */

const json_t *k8s_get(const json_t *o, const char *path)
{
    for (str rest = str_c(path); o != NULL && rest.ptr != NULL;) {
        char name[64];
        str part = str_split(&rest, '.');
        snprintf(name, sizeof name, "%.*s", STR_ARG(part));
        o = json_object_get(o, name);
    }
    return o;
}

str k8s_text(const json_t *o, const char *path)
{
    const json_t *v = k8s_get(o, path);
    return json_is_string(v) ? str_make(json_string_value(v), json_string_length(v)) : STR_EMPTY;
}

/* --- labels --- */

/* Labels without a value are no labels; copies both. */
void k8s_set(struct label_list *l, struct arena *a, const char *name, str value)
{
    if (value.len > 0)
        label_list_set(l, a, arena_printf(a, "__meta_kubernetes_%s", name), arena_str(a, value));
}

void k8s_set_bool(struct label_list *l, struct arena *a, const char *name, const json_t *value)
{
    if (json_is_boolean(value))
        k8s_set(l, a, name, json_is_true(value) ? STR("true") : STR("false"));
}

void k8s_set_int(struct label_list *l, struct arena *a, const char *name, const json_t *value)
{
    if (json_is_integer(value))
        k8s_set(l, a, name, arena_printf(a, "%lld", (long long)json_integer_value(value)));
}

/* An empty value stays: the label is there, as the present twin says. */
void k8s_set_map(struct label_list *l, struct arena *a, const char *prefix, const char *kind,
                 const char *present, const json_t *map)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)map, key, value)
    {
        str name = label_name_sanitize(key, a);
        if (!json_is_string(value))
            continue;
        label_list_set(l, a,
                       arena_printf(a, "__meta_kubernetes_%s_%s_%.*s", prefix, kind, STR_ARG(name)),
                       arena_str(a, str_c(json_string_value(value))));
        label_list_set(
            l, a, arena_printf(a, "__meta_kubernetes_%s_%s_%.*s", prefix, present, STR_ARG(name)),
            STR("true"));
    }
}

/* Name, labels and annotations. */
void k8s_set_meta(struct label_list *l, struct arena *a, const char *role, const json_t *object)
{
    k8s_set(l, a, arena_printf(a, "%s_name", role).ptr, k8s_text(object, "metadata.name"));
    k8s_set_map(l, a, role, "label", "labelpresent", k8s_get(object, "metadata.labels"));
    k8s_set_map(l, a, role, "annotation", "annotationpresent",
                k8s_get(object, "metadata.annotations"));
}

void k8s_set_address(struct label_list *l, struct arena *a, str host, const json_t *port)
{
    if (!json_is_integer(port)) {
        label_list_set(l, a, STR("__address__"), arena_str(a, host));
        return;
    }
    bool is_v6 = str_find_char(host, ':') != STR_NPOS;
    label_list_set(l, a, STR("__address__"),
                   arena_printf(a, "%s%.*s%s:%lld", is_v6 ? "[" : "", STR_ARG(host),
                                is_v6 ? "]" : "", (long long)json_integer_value(port)));
}

struct label_list *k8s_add_target(struct target_group *g, struct arena *a)
{
    if ((g->n_targets & (g->n_targets - 1)) == 0) { /* full at each power of two */
        struct label_list *grown = ARENA_ARRAY(a, struct label_list, MAX(g->n_targets * 2, 1));
        if (g->n_targets > 0)
            memcpy(grown, g->targets, g->n_targets * sizeof *grown);
        g->targets = grown;
    }
    return &g->targets[g->n_targets++];
}

void k8s_set_node(struct label_list *l, struct arena *a, const struct k8s_lookup *look,
                  const json_t *name)
{
    const json_t *node = look->attach_node && json_is_string(name)
                             ? look->node(look->arg, json_string_value(name))
                             : NULL;
    if (node == NULL)
        return;
    k8s_set(l, a, "node_name", str_c(json_string_value(name)));
    k8s_set_map(l, a, "node", "label", "labelpresent", k8s_get(node, "metadata.labels"));
}

/* --- pod --- */

static str pod_ready(const json_t *pod, struct arena *a)
{
    size_t i;
    json_t *condition;
    json_array_foreach((json_t *)k8s_get(pod, "status.conditions"), i, condition)
    {
        if (!str_eq(k8s_text(condition, "type"), STR("Ready")))
            continue;
        char *s = arena_c(a, k8s_text(condition, "status"));
        for (char *p = s; *p != '\0'; p++)
            if (*p >= 'A' && *p <= 'Z')
                *p = (char)(*p + 'a' - 'A');
        return str_c(s);
    }
    return STR("unknown");
}

void k8s_set_pod(struct label_list *l, struct arena *a, const json_t *pod)
{
    size_t i;
    json_t *owner;
    k8s_set_meta(l, a, "pod", pod);
    k8s_set(l, a, "pod_ip", k8s_text(pod, "status.podIP"));
    k8s_set(l, a, "pod_ready", pod_ready(pod, a));
    k8s_set(l, a, "pod_phase", k8s_text(pod, "status.phase"));
    k8s_set(l, a, "pod_node_name", k8s_text(pod, "spec.nodeName"));
    k8s_set(l, a, "pod_host_ip", k8s_text(pod, "status.hostIP"));
    k8s_set(l, a, "pod_uid", k8s_text(pod, "metadata.uid"));
    json_array_foreach((json_t *)k8s_get(pod, "metadata.ownerReferences"), i, owner)
    {
        if (!json_is_true(json_object_get(owner, "controller")))
            continue;
        k8s_set(l, a, "pod_controller_kind", k8s_text(owner, "kind"));
        k8s_set(l, a, "pod_controller_name", k8s_text(owner, "name"));
        return;
    }
}

static str container_id(const json_t *statuses, str name)
{
    size_t i;
    json_t *status;
    json_array_foreach((json_t *)statuses, i, status)
    {
        if (str_eq(k8s_text(status, "name"), name))
            return k8s_text(status, "containerID");
    }
    return STR_EMPTY;
}

void k8s_set_container(struct label_list *l, struct arena *a, const json_t *container,
                       const json_t *port, bool is_init)
{
    k8s_set(l, a, "pod_container_name", k8s_text(container, "name"));
    k8s_set(l, a, "pod_container_image", k8s_text(container, "image"));
    k8s_set(l, a, "pod_container_init", is_init ? STR("true") : STR("false"));
    if (port == NULL)
        return;
    k8s_set(l, a, "pod_container_port_name", k8s_text(port, "name"));
    k8s_set_int(l, a, "pod_container_port_number", json_object_get(port, "containerPort"));
    k8s_set(l, a, "pod_container_port_protocol", k8s_text(port, "protocol"));
}

static void add_containers(struct target_group *g, struct arena *a, const json_t *pod,
                           const json_t *containers, const json_t *statuses, bool is_init)
{
    str ip = k8s_text(pod, "status.podIP");
    size_t i;
    json_t *c;
    json_array_foreach((json_t *)containers, i, c)
    {
        const json_t *ports = json_object_get(c, "ports");
        size_t n = json_array_size(ports);
        for (size_t j = 0; j < MAX(n, 1); j++) { /* one even without ports */
            const json_t *port = json_array_get(ports, j);
            struct label_list *t = k8s_add_target(g, a);
            k8s_set_address(t, a, ip, json_object_get(port, "containerPort"));
            k8s_set_container(t, a, c, port, is_init);
            k8s_set(t, a, "pod_container_id", container_id(statuses, k8s_text(c, "name")));
        }
    }
}

static void pod_group(const json_t *pod, const struct k8s_lookup *look, struct arena *a,
                      struct target_group *g)
{
    if (k8s_text(pod, "status.podIP").len == 0)
        return; /* it starts, or was evicted */
    k8s_set(&g->labels, a, "namespace", k8s_text(pod, "metadata.namespace"));
    k8s_set_pod(&g->labels, a, pod);
    k8s_set_node(&g->labels, a, look, k8s_get(pod, "spec.nodeName"));
    add_containers(g, a, pod, k8s_get(pod, "spec.containers"),
                   k8s_get(pod, "status.containerStatuses"), false);
    add_containers(g, a, pod, k8s_get(pod, "spec.initContainers"),
                   k8s_get(pod, "status.initContainerStatuses"), true);
}

/* --- node --- */

static const json_t *find_address(const json_t *node, const char *type)
{
    size_t i;
    json_t *address;
    json_array_foreach((json_t *)k8s_get(node, "status.addresses"), i, address)
    {
        if (str_eq_c(k8s_text(address, "type"), type))
            return address;
    }
    return NULL;
}

static void node_group(const json_t *node, struct arena *a, struct target_group *g)
{
    static const char *const order[] = {"InternalIP",  "InternalDNS",  "ExternalIP",
                                        "ExternalDNS", "LegacyHostIP", "Hostname"};
    const json_t *found = NULL;
    for (size_t i = 0; found == NULL && i < ARRAY_LEN(order); i++)
        found = find_address(node, order[i]);
    if (found == NULL)
        return;
    k8s_set_meta(&g->labels, a, "node", node);
    k8s_set(&g->labels, a, "node_provider_id", k8s_text(node, "spec.providerID"));
    struct label_list *t = k8s_add_target(g, a);
    json_t *zero = json_integer(0);
    const json_t *port = k8s_get(node, "status.daemonEndpoints.kubeletEndpoint.Port");
    k8s_set_address(t, a, k8s_text(found, "address"), json_is_integer(port) ? port : zero);
    json_decref(zero);
    label_list_set(t, a, STR("instance"), arena_str(a, k8s_text(node, "metadata.name")));
    size_t i;
    json_t *address;
    json_array_foreach((json_t *)k8s_get(node, "status.addresses"), i, address)
    {
        const char *type = json_string_value(json_object_get(address, "type"));
        if (type != NULL && find_address(node, type) == address) /* the first of its type */
            k8s_set(t, a,
                    arena_printf(a, "node_address_%.*s", STR_ARG(label_name_sanitize(type, a))).ptr,
                    k8s_text(address, "address"));
    }
}

/* --- service --- */

void k8s_set_service(struct label_list *l, struct arena *a, const json_t *service)
{
    k8s_set(l, a, "namespace", k8s_text(service, "metadata.namespace"));
    k8s_set_meta(l, a, "service", service);
}

static void service_group(const json_t *service, struct arena *a, struct target_group *g)
{
    str type = k8s_text(service, "spec.type");
    size_t i;
    json_t *port;
    k8s_set_service(&g->labels, a, service);
    str host = arena_printf(a, "%.*s.%.*s.svc", STR_ARG(k8s_text(service, "metadata.name")),
                            STR_ARG(k8s_text(service, "metadata.namespace")));
    json_array_foreach((json_t *)k8s_get(service, "spec.ports"), i, port)
    {
        struct label_list *t = k8s_add_target(g, a);
        k8s_set_address(t, a, host, json_object_get(port, "port"));
        k8s_set(t, a, "service_port_name", k8s_text(port, "name"));
        k8s_set_int(t, a, "service_port_number", json_object_get(port, "port"));
        k8s_set(t, a, "service_port_protocol", k8s_text(port, "protocol"));
        k8s_set(t, a, "service_type", type);
        if (str_eq(type, STR("ExternalName")))
            k8s_set(t, a, "service_external_name", k8s_text(service, "spec.externalName"));
        else
            k8s_set(t, a, "service_cluster_ip", k8s_text(service, "spec.clusterIP"));
        if (str_eq(type, STR("LoadBalancer")))
            k8s_set(t, a, "service_loadbalancer_ip", k8s_text(service, "spec.loadBalancerIP"));
    }
}

/* --- ingress --- */

/* *.example.com fits one more label in front. */
static bool host_matches(str pattern, str host)
{
    if (str_eq(pattern, host))
        return true;
    size_t dot = str_find_char(host, '.');
    return str_has_prefix(pattern, STR("*.")) && dot != STR_NPOS &&
           str_eq(str_from(pattern, 1), str_from(host, dot));
}

static bool has_tls(const json_t *ingress, str host)
{
    size_t i, j;
    json_t *tls, *name;
    json_array_foreach((json_t *)k8s_get(ingress, "spec.tls"), i, tls)
    {
        json_array_foreach(json_object_get(tls, "hosts"), j, name)
        {
            if (json_is_string(name) && host_matches(str_c(json_string_value(name)), host))
                return true;
        }
    }
    return false;
}

static void add_path(struct target_group *g, struct arena *a, str host, bool is_tls, str path)
{
    struct label_list *t = k8s_add_target(g, a);
    label_list_set(t, a, STR("__address__"), arena_str(a, host));
    k8s_set(t, a, "ingress_scheme", is_tls ? STR("https") : STR("http"));
    k8s_set(t, a, "ingress_host", host);
    k8s_set(t, a, "ingress_path", path.len > 0 ? path : STR("/"));
}

static void ingress_group(const json_t *ingress, struct arena *a, struct target_group *g)
{
    size_t i, j;
    json_t *rule, *path;
    k8s_set(&g->labels, a, "namespace", k8s_text(ingress, "metadata.namespace"));
    k8s_set_meta(&g->labels, a, "ingress", ingress);
    k8s_set(&g->labels, a, "ingress_class_name", k8s_text(ingress, "spec.ingressClassName"));
    json_array_foreach((json_t *)k8s_get(ingress, "spec.rules"), i, rule)
    {
        str host = k8s_text(rule, "host");
        bool is_tls = has_tls(ingress, host);
        const json_t *http = json_object_get(rule, "http");
        if (!json_is_object(http))
            add_path(g, a, host, is_tls, STR("/"));
        json_array_foreach(json_object_get(http, "paths"), j, path)
        {
            add_path(g, a, host, is_tls, k8s_text(path, "path"));
        }
    }
}

/* --- roles --- */

str k8s_group_source(enum kubernetes_role role, str key, struct arena *a)
{
    static const char *const names[] = {"pod",       "node",          "svc",
                                        "endpoints", "endpointslice", "ingress"};
    return arena_printf(a, "%s/%.*s", names[role], STR_ARG(key));
}

void k8s_group(enum kubernetes_role role, const json_t *object, const struct k8s_lookup *look,
               struct arena *a, struct target_group *ret)
{
    *ret = (struct target_group){0};
    switch (role) {
    case K8S_POD:
        pod_group(object, look, a, ret);
        break;
    case K8S_NODE:
        node_group(object, a, ret);
        break;
    case K8S_SERVICE:
        service_group(object, a, ret);
        break;
    case K8S_ENDPOINTS:
        k8s_endpoints_group(object, look, a, ret);
        break;
    case K8S_ENDPOINTSLICE:
        k8s_endpointslice_group(object, look, a, ret);
        break;
    case K8S_INGRESS:
        ingress_group(object, a, ret);
        break;
    case K8S_ROLES:
        break;
    }
}
