/* Kubernetes discovery: watch events, labels of each role, kubeconfig. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/mem.h"
#include "promtail/discovery/k8s_access.h"
#include "promtail/discovery/k8s_labels.h"
#include "promtail/discovery/k8s_watch.h"

static const json_t *no_object(void *arg, const char *ns, const char *name)
{
    (void)arg, (void)ns, (void)name;
    return NULL;
}

static const json_t *no_node(void *arg, const char *name)
{
    (void)arg, (void)name;
    return NULL;
}

/* The group of an object in JSON with ' for ". */
static void group_of(enum kubernetes_role role, const char *quoted, struct arena *a,
                     struct target_group *ret)
{
    struct k8s_lookup look = {no_object, no_object, no_node, NULL, false};
    char *text = arena_c(a, str_c(quoted));
    for (char *p = text; *p != '\0'; p++)
        if (*p == '\'')
            *p = '"';
    json_error_t err;
    json_t *object = json_loads(text, 0, &err);
    cr_assert_not_null(object, "%s", err.text);
    k8s_group(role, object, &look, a, ret);
    json_decref(object);
}

static void has(const struct label_list *l, const char *name, const char *value)
{
    str got = label_list_get(l, str_c(name));
    cr_assert(str_eq_c(got, value), "%s is %.*s, not %s", name, STR_ARG(got), value);
}

Test(promtail_k8s, a_node_has_its_first_address_and_all_types)
{
    struct arena a;
    struct target_group g;
    arena_init(&a, SIZE_MAX);
    group_of(K8S_NODE,
             "{'metadata': {'name': 'n1', 'labels': {'a/b': ''}}, 'spec': {'providerID': 'p'},"
             "'status': {'daemonEndpoints': {'kubeletEndpoint': {'Port': 10250}}, 'addresses': ["
             "{'type': 'Hostname', 'address': 'h'}, {'type': 'InternalIP', 'address': 'fd00::1'},"
             "{'type': 'InternalIP', 'address': '10.0.0.2'}]}}",
             &a, &g);
    cr_assert_eq(g.n_targets, 1);
    has(&g.targets[0], "__address__", "[fd00::1]:10250");
    has(&g.targets[0], "instance", "n1");
    has(&g.targets[0], "__meta_kubernetes_node_address_InternalIP", "fd00::1");
    has(&g.targets[0], "__meta_kubernetes_node_address_Hostname", "h");
    has(&g.labels, "__meta_kubernetes_node_name", "n1");
    has(&g.labels, "__meta_kubernetes_node_provider_id", "p");
    has(&g.labels, "__meta_kubernetes_node_labelpresent_a_b", "true");
    arena_deinit(&a);
}

Test(promtail_k8s, a_service_has_a_target_for_each_port)
{
    struct arena a;
    struct target_group g;
    arena_init(&a, SIZE_MAX);
    group_of(K8S_SERVICE,
             "{'metadata': {'name': 's', 'namespace': 'ns', 'annotations': {'x.y/z': '1'}},"
             "'spec': {'type': 'ClusterIP', 'clusterIP': '10.1.1.1', 'ports': ["
             "{'name': 'http', 'port': 80, 'protocol': 'TCP'}, {'port': 53, 'protocol': 'UDP'}]}}",
             &a, &g);
    cr_assert_eq(g.n_targets, 2);
    has(&g.targets[0], "__address__", "s.ns.svc:80");
    has(&g.targets[0], "__meta_kubernetes_service_port_name", "http");
    has(&g.targets[1], "__meta_kubernetes_service_port_number", "53");
    has(&g.targets[1], "__meta_kubernetes_service_cluster_ip", "10.1.1.1");
    has(&g.labels, "__meta_kubernetes_service_annotation_x_y_z", "1");
    has(&g.labels, "__meta_kubernetes_namespace", "ns");
    arena_deinit(&a);
}

Test(promtail_k8s, an_ingress_has_a_target_for_each_path)
{
    struct arena a;
    struct target_group g;
    arena_init(&a, SIZE_MAX);
    group_of(K8S_INGRESS,
             "{'metadata': {'name': 'i', 'namespace': 'ns'}, 'spec': {'ingressClassName': 'c',"
             "'tls': [{'hosts': ['*.a.org']}], 'rules': [{'host': 'x.a.org', 'http': {'paths': ["
             "{'path': '/p'}, {}]}}, {'host': 'y.x.a.org'}]}}",
             &a, &g);
    cr_assert_eq(g.n_targets, 3);
    has(&g.targets[0], "__meta_kubernetes_ingress_scheme", "https");
    has(&g.targets[0], "__meta_kubernetes_ingress_path", "/p");
    has(&g.targets[1], "__meta_kubernetes_ingress_path", "/");
    has(&g.targets[2], "__meta_kubernetes_ingress_scheme", "http");
    has(&g.labels, "__meta_kubernetes_ingress_class_name", "c");
    arena_deinit(&a);
}

Test(promtail_k8s, an_endpointslice_tells_conditions_and_ports)
{
    struct arena a;
    struct target_group g;
    arena_init(&a, SIZE_MAX);
    group_of(K8S_ENDPOINTSLICE,
             "{'metadata': {'name': 'e', 'namespace': 'ns'}, 'addressType': 'IPv4', 'ports': ["
             "{'name': 'p', 'port': 81, 'protocol': 'TCP', 'appProtocol': 'http'}], 'endpoints': ["
             "{'addresses': ['1.1.1.1', '1.1.1.2'], 'conditions': {'ready': true, "
             "'serving': false}, 'hostname': 'h', 'targetRef': {'kind': 'Pod', 'name': 'p1', "
             "'namespace': 'ns'}, 'deprecatedTopology': {'topology/zone': 'z'}}]}",
             &a, &g);
    cr_assert_eq(g.n_targets, 2);
    has(&g.targets[1], "__address__", "1.1.1.2:81");
    has(&g.targets[0], "__meta_kubernetes_endpointslice_endpoint_conditions_ready", "true");
    has(&g.targets[0], "__meta_kubernetes_endpointslice_endpoint_conditions_serving", "false");
    has(&g.targets[0], "__meta_kubernetes_endpointslice_port_app_protocol", "http");
    has(&g.targets[0], "__meta_kubernetes_endpointslice_address_target_name", "p1");
    has(&g.targets[0], "__meta_kubernetes_endpointslice_endpoint_topology_topology_zone", "z");
    has(&g.targets[0], "__meta_kubernetes_endpointslice_endpoint_topology_present_topology_zone",
        "true");
    has(&g.labels, "__meta_kubernetes_endpointslice_name", "e");
    arena_deinit(&a);
}

Test(promtail_k8s, a_pod_without_address_is_no_target)
{
    struct arena a;
    struct target_group g;
    arena_init(&a, SIZE_MAX);
    group_of(K8S_POD, "{'metadata': {'name': 'p'}, 'spec': {'containers': [{'name': 'c'}]}}", &a,
             &g);
    cr_assert_eq(g.n_targets, 0);
    arena_deinit(&a);
}

Test(promtail_k8s, reads_the_events_of_a_watch)
{
    struct k8s_event e;
    cr_assert_eq(k8s_event_read(STR("{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":"
                                    "{\"resourceVersion\":\"7\"}}}"),
                                &e, NULL),
                 0);
    cr_assert_eq(e.kind, K8S_EVENT_BOOKMARK);
    cr_assert_str_eq(e.version, "7");
    k8s_event_deinit(&e);
    cr_assert_eq(k8s_event_read(STR("{\"type\":\"ERROR\",\"object\":{\"code\":410}}"), &e, NULL),
                 0);
    cr_assert_eq(e.code, 410);
    k8s_event_deinit(&e);
    cr_assert_eq(k8s_event_read(STR("{\"type\":\"NEW\",\"object\":{}}"), &e, NULL), E_PARSE);
    k8s_event_deinit(&e);
    cr_assert_eq(k8s_event_read(STR("{\"type\""), &e, NULL), E_PARSE);
}

Test(promtail_k8s, reads_a_kubeconfig)
{
    struct arena a;
    struct k8s_access access = {0};
    struct error err = {0};
    arena_init(&a, SIZE_MAX);
    str text = STR("current-context: c\n"
                   "contexts: [{name: c, context: {cluster: k, user: u, namespace: d}}]\n"
                   "clusters: [{name: k, cluster: {server: 'https://h:6443', "
                   "certificate-authority-data: YWI=}}]\n"
                   "users: [{name: u, user: {token: t, client-key: k.pem}}]\n");
    cr_assert_eq(k8s_access_read_kubeconfig(text, "/etc/x", &a, &access, &err), 0, "%s", err.text);
    cr_assert_str_eq(access.server, "https://h:6443");
    cr_assert_str_eq(access.own_namespace, "d");
    cr_assert_str_eq(access.http.tls.ca, "ab");
    cr_assert_str_eq(access.http.tls.key_file, "/etc/x/k.pem");
    cr_assert_str_eq(access.http.bearer_token, "t");
    arena_deinit(&a);
}

Test(promtail_k8s, takes_the_service_account_of_the_pod)
{
    struct arena a;
    struct k8s_access access = {0};
    struct kubernetes_sd_config config = {.api_server = "", .kubeconfig_file = ""};
    arena_init(&a, SIZE_MAX);
    unsetenv("KUBERNETES_SERVICE_HOST");
    cr_assert_neq(k8s_access_find(&config, "/nowhere", &a, &access, NULL), 0);
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    cr_assert_eq(k8s_access_find(&config, "/nowhere", &a, &access, NULL), 0);
    cr_assert_str_eq(access.server, "https://[fd00::1]:443");
    cr_assert_str_eq(access.http.bearer_token_file, "/nowhere/token");
    arena_deinit(&a);
}
