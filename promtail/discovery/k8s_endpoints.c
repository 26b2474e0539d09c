/* Groups of the roles endpoints and endpointslice: addresses, and the pods behind them. */
#include <jansson.h>

#include "base/mem.h"
#include "base/vec.h"
#include "promtail/discovery/k8s_build.h"

/* Pods met while a group is built, with the ports of it that became targets. */
struct seen_port {
    const json_t *pod;
    json_int_t port;
};

struct build {
    struct target_group *group;
    struct arena *a;
    const struct k8s_lookup *look;
    VEC(struct seen_port) seen; /* in the arena */
};

static const json_t *pod_of(const struct build *b, const json_t *ref)
{
    const char *ns = json_string_value(json_object_get(ref, "namespace"));
    const char *name = json_string_value(json_object_get(ref, "name"));
    if (!str_eq(k8s_text(ref, "kind"), STR("Pod")) || ns == NULL || name == NULL)
        return NULL;
    return b->look->pod(b->look->arg, ns, name);
}

static bool is_port_of(const json_t *container_port, json_int_t port)
{
    const json_t *number = json_object_get(container_port, "containerPort");
    return json_is_integer(number) && json_integer_value(number) == port;
}

static void set_container_of(struct build *b, struct label_list *t, const json_t *containers,
                             const json_t *port, bool is_init)
{
    size_t i, j;
    json_t *c, *p;
    json_array_foreach((json_t *)containers, i, c)
    {
        json_array_foreach(json_object_get(c, "ports"), j, p)
        {
            if (!json_is_integer(port) || !is_port_of(p, json_integer_value(port)))
                continue;
            k8s_set_container(t, b->a, c, p, is_init);
            break;
        }
    }
}

/* The labels of the pod that the target stands for. */
static void set_pod_of(struct build *b, struct label_list *t, const json_t *ref, const json_t *port)
{
    const json_t *pod = pod_of(b, ref);
    if (pod == NULL)
        return;
    k8s_set_pod(t, b->a, pod);
    set_container_of(b, t, k8s_get(pod, "spec.containers"), port, false);
    set_container_of(b, t, k8s_get(pod, "spec.initContainers"), port, true);
    struct seen_port seen = {pod, json_is_integer(port) ? json_integer_value(port) : -1};
    VEC_PUSH_ARENA(b->a, &b->seen, seen);
}

static bool is_seen(const struct build *b, const json_t *pod, const json_t *port)
{
    for (size_t i = 0; i < b->seen.len; i++)
        if (b->seen.items[i].pod == pod && is_port_of(port, b->seen.items[i].port))
            return true;
    return false;
}

static void add_rest_of_pod(struct build *b, const json_t *pod, const char *path, bool is_init)
{
    size_t i, j;
    json_t *c, *p;
    json_array_foreach((json_t *)k8s_get(pod, path), i, c)
    {
        json_array_foreach(json_object_get(c, "ports"), j, p)
        {
            if (is_seen(b, pod, p))
                continue;
            struct label_list *t = k8s_add_target(b->group, b->a);
            k8s_set_address(t, b->a, k8s_text(pod, "status.podIP"),
                            json_object_get(p, "containerPort"));
            k8s_set_container(t, b->a, c, p, is_init);
            k8s_set_pod(t, b->a, pod);
        }
    }
}

/* Ports of the pods that no address named are targets too. */
static void add_rest(struct build *b)
{
    for (size_t i = 0; i < b->seen.len; i++) {
        const json_t *pod = b->seen.items[i].pod;
        bool is_first = true;
        for (size_t j = 0; j < i; j++)
            is_first &= b->seen.items[j].pod != pod;
        if (!is_first || k8s_text(pod, "status.podIP").len == 0)
            continue;
        add_rest_of_pod(b, pod, "spec.containers", false);
        add_rest_of_pod(b, pod, "spec.initContainers", true);
    }
}

static void set_service_of(struct build *b, const json_t *object, str name)
{
    const char *ns = json_string_value(k8s_get(object, "metadata.namespace"));
    const json_t *service =
        ns != NULL && name.len > 0 ? b->look->service(b->look->arg, ns, arena_c(b->a, name)) : NULL;
    if (service != NULL)
        k8s_set_service(&b->group->labels, b->a, service);
}

/* --- endpoints --- */

static void add_address(struct build *b, const json_t *address, const json_t *port, str ready)
{
    struct label_list *t = k8s_add_target(b->group, b->a);
    const json_t *ref = json_object_get(address, "targetRef");
    const json_t *number = json_object_get(port, "port");
    k8s_set_address(t, b->a, k8s_text(address, "ip"), number);
    k8s_set(t, b->a, "endpoint_port_name", k8s_text(port, "name"));
    k8s_set(t, b->a, "endpoint_port_protocol", k8s_text(port, "protocol"));
    k8s_set(t, b->a, "endpoint_ready", ready);
    k8s_set(t, b->a, "endpoint_address_target_kind", k8s_text(ref, "kind"));
    k8s_set(t, b->a, "endpoint_address_target_name", k8s_text(ref, "name"));
    k8s_set(t, b->a, "endpoint_node_name", k8s_text(address, "nodeName"));
    k8s_set(t, b->a, "endpoint_hostname", k8s_text(address, "hostname"));
    bool is_node = str_eq(k8s_text(ref, "kind"), STR("Node"));
    k8s_set_node(t, b->a, b->look,
                 is_node ? json_object_get(ref, "name") : json_object_get(address, "nodeName"));
    set_pod_of(b, t, ref, number);
}

void k8s_endpoints_group(const json_t *o, const struct k8s_lookup *look, struct arena *a,
                         struct target_group *g)
{
    struct build b = {.group = g, .a = a, .look = look};
    size_t i, j, k;
    json_t *subset, *port, *address;
    k8s_set(&g->labels, a, "namespace", k8s_text(o, "metadata.namespace"));
    set_service_of(&b, o, k8s_text(o, "metadata.name"));
    k8s_set_meta(&g->labels, a, "endpoints", o);
    json_array_foreach((json_t *)json_object_get(o, "subsets"), i, subset)
    {
        json_array_foreach(json_object_get(subset, "ports"), j, port)
        {
            json_array_foreach(json_object_get(subset, "addresses"), k, address)
            {
                add_address(&b, address, port, STR("true"));
            }
            json_array_foreach(json_object_get(subset, "notReadyAddresses"), k, address)
            {
                add_address(&b, address, port, STR("false"));
            }
        }
    }
    add_rest(&b);
}

/* --- endpointslice --- */

static void set_topology(struct build *b, struct label_list *t, const json_t *endpoint)
{
    k8s_set_map(t, b->a, "endpointslice_endpoint", "topology", "topology_present",
                json_object_get(endpoint, "deprecatedTopology"));
    k8s_set(t, b->a, "endpointslice_endpoint_zone", k8s_text(endpoint, "zone"));
    k8s_set(t, b->a, "endpointslice_endpoint_node_name", k8s_text(endpoint, "nodeName"));
}

static void add_endpoint(struct build *b, const json_t *endpoint, const json_t *port, str ip)
{
    struct label_list *t = k8s_add_target(b->group, b->a);
    const json_t *ref = json_object_get(endpoint, "targetRef");
    const json_t *conditions = json_object_get(endpoint, "conditions");
    const json_t *number = json_object_get(port, "port");
    k8s_set_address(t, b->a, ip, number);
    k8s_set(t, b->a, "endpointslice_port_name", k8s_text(port, "name"));
    k8s_set(t, b->a, "endpointslice_port_protocol", k8s_text(port, "protocol"));
    k8s_set_int(t, b->a, "endpointslice_port", number);
    k8s_set(t, b->a, "endpointslice_port_app_protocol", k8s_text(port, "appProtocol"));
    k8s_set_bool(t, b->a, "endpointslice_endpoint_conditions_ready",
                 json_object_get(conditions, "ready"));
    k8s_set_bool(t, b->a, "endpointslice_endpoint_conditions_serving",
                 json_object_get(conditions, "serving"));
    k8s_set_bool(t, b->a, "endpointslice_endpoint_conditions_terminating",
                 json_object_get(conditions, "terminating"));
    k8s_set(t, b->a, "endpointslice_endpoint_hostname", k8s_text(endpoint, "hostname"));
    k8s_set(t, b->a, "endpointslice_address_target_kind", k8s_text(ref, "kind"));
    k8s_set(t, b->a, "endpointslice_address_target_name", k8s_text(ref, "name"));
    set_topology(b, t, endpoint);
    bool is_node = str_eq(k8s_text(ref, "kind"), STR("Node"));
    k8s_set_node(t, b->a, b->look,
                 is_node ? json_object_get(ref, "name") : json_object_get(endpoint, "nodeName"));
    set_pod_of(b, t, ref, number);
}

void k8s_endpointslice_group(const json_t *o, const struct k8s_lookup *look, struct arena *a,
                             struct target_group *g)
{
    struct build b = {.group = g, .a = a, .look = look};
    size_t i, j, k;
    json_t *endpoint, *port, *ip;
    const json_t *labels = k8s_get(o, "metadata.labels");
    k8s_set(&g->labels, a, "namespace", k8s_text(o, "metadata.namespace"));
    k8s_set(&g->labels, a, "endpointslice_address_type", k8s_text(o, "addressType"));
    k8s_set_meta(&g->labels, a, "endpointslice", o);
    set_service_of(&b, o,
                   str_c(json_string_value(json_object_get(labels, "kubernetes.io/service-name"))));
    json_array_foreach((json_t *)json_object_get(o, "endpoints"), i, endpoint)
    {
        json_array_foreach((json_t *)json_object_get(o, "ports"), j, port)
        {
            json_array_foreach(json_object_get(endpoint, "addresses"), k, ip)
            {
                add_endpoint(&b, endpoint, port, str_c(json_string_value(ip)));
            }
        }
    }
    add_rest(&b);
}
