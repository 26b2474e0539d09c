#include "promtail/discovery/k8s_access.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "base/file.h"
#include "base/mem.h"
#include "runtime/yaml.h"

#define KUBECONFIG_BYTES_MAX (4u << 20)

static const struct yaml_node *find_named(const struct yaml_node *root, const char *list, str name,
                                          const char *key)
{
    const struct yaml_node *items = yaml_get(root, list);
    for (size_t i = 0; items != NULL && items->kind == YAML_LIST && i < items->n; i++) {
        const struct yaml_node *item = items->items[i];
        const struct yaml_node *n = item->kind == YAML_MAP ? yaml_get(item, "name") : NULL;
        if (n == NULL || !str_eq(n->text, name))
            continue;
        const struct yaml_node *found = yaml_get(item, key);
        return found != NULL && found->kind == YAML_MAP ? found : NULL;
    }
    return NULL;
}

static str text_of(const struct yaml_node *map, const char *key)
{
    const struct yaml_node *n = map != NULL ? yaml_get(map, key) : NULL;
    return n != NULL && n->kind == YAML_SCALAR ? n->text : STR_EMPTY;
}

static const char *path_of(const struct yaml_node *map, const char *key, const char *dir,
                           struct arena *a)
{
    str path = text_of(map, key);
    if (path.len == 0 || path.ptr[0] == '/')
        return arena_c(a, path);
    return arena_printf(a, "%s/%.*s", dir, STR_ARG(path)).ptr;
}

/* Base64 of the file itself. */
static const char *data_of(const struct yaml_node *map, const char *key, struct arena *a,
                           struct error *err)
{
    str b64 = str_trim(text_of(map, key));
    if (b64.len == 0)
        return "";
    unsigned char *out = arena_zalloc(a, b64.len + 4);
    int n =
        b64.len % 4 == 0 ? EVP_DecodeBlock(out, (const unsigned char *)b64.ptr, (int)b64.len) : -1;
    if (n < 0)
        error_set(err, E_PARSE, "%s is not base64", key);
    return (const char *)out; /* padding decodes to NULs: a C string ends before it */
}

static bool is_true(const struct yaml_node *map, const char *key)
{
    bool value = false;
    const struct yaml_node *n = yaml_get(map, key);
    return n != NULL && yaml_bool(n, &value) && value;
}

int k8s_access_read_kubeconfig(str text, const char *dir, struct arena *a, struct k8s_access *ret,
                               struct error *err)
{
    struct yaml_node *root = NULL;
    struct error why = {0};
    int rc = yaml_load(text, a, &root, err);
    if (rc != 0)
        return rc;
    if (root->kind != YAML_MAP)
        return error_set(err, E_PARSE, "kubeconfig: not a map");
    const struct yaml_node *context =
        find_named(root, "contexts", text_of(root, "current-context"), "context");
    if (context == NULL)
        return error_set(err, E_PARSE, "kubeconfig: no current context");
    const struct yaml_node *cluster =
        find_named(root, "clusters", text_of(context, "cluster"), "cluster");
    const struct yaml_node *user = find_named(root, "users", text_of(context, "user"), "user");
    if (cluster == NULL || text_of(cluster, "server").len == 0)
        return error_set(err, E_PARSE, "kubeconfig: the context's cluster has no server");
    if (user != NULL && (yaml_get(user, "exec") != NULL || yaml_get(user, "auth-provider") != NULL))
        return error_set(err, E_UNSUPPORTED,
                         "kubeconfig: exec and auth-provider are not supported");
    struct http_config *h = &ret->http;
    ret->server = arena_c(a, text_of(cluster, "server"));
    ret->own_namespace = arena_c(a, text_of(context, "namespace"));
    h->tls.ca_file = path_of(cluster, "certificate-authority", dir, a);
    h->tls.ca = data_of(cluster, "certificate-authority-data", a, &why);
    h->tls.server_name = arena_c(a, text_of(cluster, "tls-server-name"));
    h->tls.insecure_skip_verify = is_true(cluster, "insecure-skip-tls-verify");
    h->proxy_url = arena_c(a, text_of(cluster, "proxy-url"));
    h->tls.cert_file = path_of(user, "client-certificate", dir, a);
    h->tls.cert = data_of(user, "client-certificate-data", a, &why);
    h->tls.key_file = path_of(user, "client-key", dir, a);
    h->tls.key = data_of(user, "client-key-data", a, &why);
    h->bearer_token = arena_c(a, text_of(user, "token"));
    h->bearer_token_file = path_of(user, "tokenFile", dir, a);
    h->basic_auth.username = arena_c(a, text_of(user, "username"));
    h->basic_auth.password = arena_c(a, text_of(user, "password"));
    return why.code != 0 ? error_set(err, why.code, "kubeconfig: %s", why.text) : 0;
}

static int from_kubeconfig(const char *file, struct arena *a, struct k8s_access *ret,
                           struct error *err)
{
    struct buf text;
    buf_init(&text, KUBECONFIG_BYTES_MAX);
    int rc = file_read(file, &text, err);
    str name = str_c(file);
    size_t slash = str_rfind_char(name, '/');
    const char *dir = slash == STR_NPOS ? "." : arena_c(a, str_sub(name, 0, MAX(slash, 1)));
    if (rc == 0)
        rc = k8s_access_read_kubeconfig(arena_str(a, buf_str(&text)), dir, a, ret, err);
    buf_deinit(&text);
    return rc;
}

static const char *read_namespace(const char *dir, struct arena *a)
{
    struct buf text;
    struct error ignored = {0};
    buf_init(&text, 4096);
    file_read(arena_printf(a, "%s/namespace", dir).ptr, &text, &ignored);
    const char *name = arena_c(a, str_trim(buf_str(&text)));
    buf_deinit(&text);
    return name;
}

static int from_cluster(const char *dir, struct arena *a, struct k8s_access *ret, struct error *err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    if (host == NULL || port == NULL || host[0] == '\0')
        return error_set(err, E_INVALID,
                         "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and "
                         "KUBERNETES_SERVICE_PORT must be defined");
    bool is_v6 = strchr(host, ':') != NULL;
    ret->server =
        arena_printf(a, "https://%s%s%s:%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "", port).ptr;
    ret->http.tls.ca_file = arena_printf(a, "%s/ca.crt", dir).ptr;
    /* Kubernetes replaces the file before the token expires: read for each request. */
    ret->http.bearer_token_file = arena_printf(a, "%s/token", dir).ptr;
    return 0;
}

int k8s_access_find(const struct kubernetes_sd_config *c, const char *account_dir, struct arena *a,
                    struct k8s_access *ret, struct error *err)
{
    int rc = 0;
    *ret = (struct k8s_access){.server = c->api_server, .http = c->http};
    ret->own_namespace = read_namespace(account_dir, a);
    if (c->kubeconfig_file[0] != '\0')
        rc = from_kubeconfig(c->kubeconfig_file, a, ret, err);
    else if (c->api_server[0] == '\0')
        rc = from_cluster(account_dir, a, ret, err);
    if (rc == 0 && c->own_namespace && ret->own_namespace[0] == '\0')
        rc = error_set(err, E_IO, "could not determine the pod's namespace: no %s/namespace",
                       account_dir);
    if (rc != 0)
        return rc;
    str server = str_c(ret->server);
    while (server.len > 0 && server.ptr[server.len - 1] == '/')
        server.len--;
    ret->server = arena_c(a, server);
    return 0;
}
