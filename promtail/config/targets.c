/* The tables of targets and discovery. */
#include "promtail/config/targets.h"

#include "base/duration.h"
#include "base/mem.h"
#include "promtail/config/check.h"
#include "promtail/config/tables.h"

#define AT(type, member)   offsetof(struct type, member)
#define JOURNAL_MAX_AGE_NS (INT64_C(7) * 3600 * 1000000000)
#define LABELS_KEY(type)                                                                           \
    {                                                                                              \
        "labels", CONFIG_CUSTOM, AT(type, labels), .custom = config_read_labels                    \
    }
#define INCOMING_KEY(type)                                                                         \
    {                                                                                              \
        "use_incoming_timestamp", CONFIG_BOOL, AT(type, use_incoming_timestamp), "false"           \
    }

/* A block that may be there once: a pointer to it, NULL if the key has no value. */
static int read_one(struct config_reader *r, const struct config_key *table, size_t size,
                    const struct yaml_node *node, void *field, void **ret)
{
    *ret = NULL;
    if (node->kind == YAML_NULL)
        return 0;
    *ret = arena_zalloc(config_arena(r), size);
    memcpy(field, ret, sizeof *ret);
    return config_read_block(r, table, node, *ret);
}

static int check_tls(struct config_reader *r, const struct yaml_node *node,
                     const struct tls_config *c)
{
    struct error err = {0};
    return tls_config_check(c, &err) == 0 ? 0 : config_fail(r, node, "%s", err.text);
}

static int check_http(struct config_reader *r, const struct yaml_node *node,
                      const struct http_config *c)
{
    struct error err = {0};
    return http_config_check(c, &err) == 0 ? 0 : config_fail(r, node, "%s", err.text);
}

/* --- syslog, gelf --- */

static const char *const protocols[] = {"tcp", "udp", "unix", NULL};
static const char *const formats[] = {"rfc5424", "rfc3164", NULL};

static int read_protocol(struct config_reader *r, const struct yaml_node *node, void *field)
{
    if (node->kind == YAML_NULL || node->text.len == 0)
        return 0;
    for (int i = 0; node->kind == YAML_SCALAR && protocols[i] != NULL; i++)
        if (str_eq_c(node->text, protocols[i])) {
            *(int *)field = i;
            return 0;
        }
    return config_fail(
        r, node, "invalid transport protocol. expected 'tcp' or 'udp' (or 'unix'), got '%.*s'",
        STR_ARG(node->text));
}

static int read_format(struct config_reader *r, const struct yaml_node *node, void *field)
{
    if (node->kind == YAML_NULL || node->text.len == 0)
        return 0;
    for (int i = 0; node->kind == YAML_SCALAR && formats[i] != NULL; i++)
        if (str_eq_c(node->text, formats[i])) {
            *(int *)field = i;
            return 0;
        }
    if (node->kind != YAML_SCALAR)
        return config_fail(r, node, "expected a string");
    config_warn(r, node, "unknown syslog format \"%.*s\": taken for rfc5424, as by Promtail",
                STR_ARG(node->text));
    return 0;
}

static const struct config_key syslog_keys[] = {
    {"listen_address", CONFIG_STRING, AT(syslog_config, listen_address), ""},
    {"listen_protocol", CONFIG_CUSTOM, AT(syslog_config, protocol), .custom = read_protocol},
    {"syslog_format", CONFIG_CUSTOM, AT(syslog_config, format), .custom = read_format},
    {"idle_timeout", CONFIG_DURATION_GO, AT(syslog_config, idle_timeout_ns), "120s"},
    {"label_structured_data", CONFIG_BOOL, AT(syslog_config, label_structured_data), "false"},
    LABELS_KEY(syslog_config),
    INCOMING_KEY(syslog_config),
    {"use_rfc5424_message", CONFIG_BOOL, AT(syslog_config, use_rfc5424_message), "false"},
    {"max_message_length", CONFIG_UINT, AT(syslog_config, max_message_length), "8192",
     .max = "16777216"},
    {"tls_config", CONFIG_BLOCK, AT(syslog_config, tls), .table = config_tls_keys},
    {0},
};

int config_read_syslog(struct config_reader *r, const struct yaml_node *node, void *field)
{
    void *block;
    int rc = read_one(r, syslog_keys, sizeof(struct syslog_config), node, field, &block);
    const struct syslog_config *c = block;
    return rc != 0 || c == NULL ? rc : check_tls(r, node, &c->tls);
}

static const struct config_key gelf_keys[] = {
    {"listen_address", CONFIG_STRING, AT(gelf_config, listen_address), "0.0.0.0:12201"},
    {"listen_protocol", CONFIG_CUSTOM, AT(gelf_config, protocol), .custom = read_protocol},
    LABELS_KEY(gelf_config),
    INCOMING_KEY(gelf_config),
    {0},
};

static int read_gelf(struct config_reader *r, const struct yaml_node *node, void *item)
{
    struct gelf_config *c = item;
    int rc = config_read_block(r, gelf_keys, node, c);
    if (yaml_get(node, "listen_protocol") == NULL)
        c->protocol = SYSLOG_UDP;
    return rc;
}

int config_read_gelf(struct config_reader *r, const struct yaml_node *node, void *field)
{
    if (node->kind == YAML_NULL)
        return 0;
    struct gelf_config *c = ARENA_NEW(config_arena(r), struct gelf_config);
    memcpy(field, &c, sizeof c);
    return read_gelf(r, node, c);
}

/* --- push API --- */

static const struct config_key push_keys[] = {
    {"server", CONFIG_BLOCK, AT(push_config, server), .table = config_server_keys},
    LABELS_KEY(push_config),
    INCOMING_KEY(push_config),
    {0},
};

int config_read_push(struct config_reader *r, const struct yaml_node *node, void *field)
{
    void *c;
    return read_one(r, push_keys, sizeof(struct push_config), node, field, &c);
}

/* --- journal --- */

static const struct config_key journal_keys[] = {
    {"max_age", CONFIG_STRING, AT(journal_config, max_age), ""},
    {"json", CONFIG_BOOL, AT(journal_config, json), "false"},
    LABELS_KEY(journal_config),
    {"path", CONFIG_STRING, AT(journal_config, path), ""},
    {"matches", CONFIG_STRING, AT(journal_config, matches), ""},
    {0},
};

int config_read_journal(struct config_reader *r, const struct yaml_node *node, void *field)
{
    void *block;
    int rc = read_one(r, journal_keys, sizeof(struct journal_config), node, field, &block);
    struct journal_config *c = block;
    if (rc != 0 || c == NULL)
        return rc;
    c->max_age_ns = JOURNAL_MAX_AGE_NS;
    if (c->max_age[0] != '\0' && duration_parse_go(str_c(c->max_age), &c->max_age_ns, NULL) != 0)
        return config_fail(r, node,
                           "parsing journal reader 'max_age' config value: \"%s\" is no duration",
                           c->max_age);
    return 0;
}

/* --- kafka --- */

static const struct config_key sasl_keys[] = {
    {"mechanism", CONFIG_STRING, AT(kafka_sasl_config, mechanism), "PLAIN"},
    {"user", CONFIG_STRING, AT(kafka_sasl_config, user), ""},
    {"password", CONFIG_SECRET, AT(kafka_sasl_config, password), ""},
    {"use_tls", CONFIG_BOOL, AT(kafka_sasl_config, use_tls), "false"},
    {"ca", CONFIG_STRING, AT(kafka_sasl_config, tls.ca), ""},
    {"cert", CONFIG_STRING, AT(kafka_sasl_config, tls.cert), ""},
    {"key", CONFIG_SECRET, AT(kafka_sasl_config, tls.key), ""},
    {"ca_file", CONFIG_STRING, AT(kafka_sasl_config, tls.ca_file), ""},
    {"cert_file", CONFIG_STRING, AT(kafka_sasl_config, tls.cert_file), ""},
    {"key_file", CONFIG_STRING, AT(kafka_sasl_config, tls.key_file), ""},
    {"server_name", CONFIG_STRING, AT(kafka_sasl_config, tls.server_name), ""},
    {"insecure_skip_verify", CONFIG_BOOL, AT(kafka_sasl_config, tls.insecure_skip_verify), "false"},
    {"min_version", CONFIG_IGNORED},
    {"max_version", CONFIG_IGNORED},
    {"oauth_config", CONFIG_UNSUPPORTED},
    {0},
};

static const struct config_key kafka_auth_keys[] = {
    {"type", CONFIG_STRING, AT(kafka_config, auth_type), "none"},
    {"tls_config", CONFIG_BLOCK, AT(kafka_config, tls), .table = config_tls_keys},
    {"sasl_config", CONFIG_BLOCK, AT(kafka_config, sasl), .table = sasl_keys},
    {0},
};

static const struct config_key kafka_keys[] = {
    LABELS_KEY(kafka_config),
    INCOMING_KEY(kafka_config),
    {"brokers", CONFIG_CUSTOM, AT(kafka_config, brokers), .custom = config_read_strings},
    {"topics", CONFIG_CUSTOM, AT(kafka_config, topics), .custom = config_read_strings},
    {"group_id", CONFIG_STRING, AT(kafka_config, group_id), "promtail"},
    {"version", CONFIG_STRING, AT(kafka_config, version), "2.2.1"},
    {"assignor", CONFIG_STRING, AT(kafka_config, assignor), "range"},
    {"authentication", CONFIG_BLOCK, 0, .table = kafka_auth_keys},
    {0},
};

int config_read_kafka(struct config_reader *r, const struct yaml_node *node, void *field)
{
    void *block;
    int rc = read_one(r, kafka_keys, sizeof(struct kafka_config), node, field, &block);
    const struct kafka_config *c = block;
    if (rc == 0 && c != NULL)
        rc = check_tls(r, node, &c->tls);
    return rc != 0 || c == NULL ? rc : check_tls(r, node, &c->sasl.tls);
}

/* --- kubernetes --- */

static const char *const roles[] = {"pod",           "node",    "service", "endpoints",
                                    "endpointslice", "ingress", NULL};

static int read_role(struct config_reader *r, const struct yaml_node *node, void *field)
{
    for (int i = 0; node->kind == YAML_SCALAR && roles[i] != NULL; i++)
        if (str_eq_c(node->text, roles[i])) {
            *(int *)field = i;
            return 0;
        }
    return config_fail(r, node, "unknown Kubernetes SD role \"%.*s\"", STR_ARG(node->text));
}

static const struct config_key selector_keys[] = {
    {"role", CONFIG_CUSTOM, AT(kubernetes_selector, role), .custom = read_role},
    {"label", CONFIG_STRING, AT(kubernetes_selector, label), ""},
    {"field", CONFIG_STRING, AT(kubernetes_selector, field), ""},
    {0},
};

static int read_selector(struct config_reader *r, const struct yaml_node *node, void *item)
{
    return config_read_block(r, selector_keys, node, item);
}

static int read_selectors(struct config_reader *r, const struct yaml_node *node, void *field)
{
    struct kubernetes_sd_config *c = CONTAINER_OF(field, struct kubernetes_sd_config, selectors);
    return config_read_list(r, node, sizeof *c->selectors, read_selector, &c->selectors,
                            &c->n_selectors);
}

static const struct config_key namespace_keys[] = {
    {"own_namespace", CONFIG_BOOL, AT(kubernetes_sd_config, own_namespace), "false"},
    {"names", CONFIG_CUSTOM, AT(kubernetes_sd_config, namespaces), .custom = config_read_strings},
    {0},
};

static const struct config_key attach_keys[] = {
    {"node", CONFIG_BOOL, AT(kubernetes_sd_config, attach_node), "false"},
    {0},
};

static const struct config_key kubernetes_keys[] = {
    {"api_server", CONFIG_STRING, AT(kubernetes_sd_config, api_server), ""},
    {"role", CONFIG_CUSTOM, AT(kubernetes_sd_config, role), .custom = read_role},
    {"kubeconfig_file", CONFIG_STRING, AT(kubernetes_sd_config, kubeconfig_file), ""},
    CONFIG_HTTP_KEYS(kubernetes_sd_config, http),
    {"namespaces", CONFIG_BLOCK, 0, .table = namespace_keys},
    {"selectors", CONFIG_CUSTOM, AT(kubernetes_sd_config, selectors), .custom = read_selectors},
    {"attach_metadata", CONFIG_BLOCK, 0, .table = attach_keys},
    {0},
};

static bool is_set(const char *s)
{
    return s != NULL && s[0] != '\0';
}

static bool is_default_http(const struct http_config *h)
{
    const char *texts[] = {h->basic_auth.username,
                           h->basic_auth.username_file,
                           h->basic_auth.password,
                           h->basic_auth.password_file,
                           h->authorization.credentials,
                           h->authorization.credentials_file,
                           h->bearer_token,
                           h->bearer_token_file,
                           h->proxy_url,
                           h->tls.ca,
                           h->tls.cert,
                           h->tls.key,
                           h->tls.ca_file,
                           h->tls.cert_file,
                           h->tls.key_file,
                           h->tls.server_name,
                           h->tls.min_version};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (is_set(texts[i]))
            return false;
    return !h->tls.insecure_skip_verify && !h->oauth2.is_set && h->follow_redirects &&
           h->enable_http2;
}

/* Only one of the three places can say where the API server is and who asks. */
static int check_kubernetes_access(struct config_reader *r, const struct yaml_node *node,
                                   const struct kubernetes_sd_config *c)
{
    bool has_server = is_set(c->api_server), has_file = is_set(c->kubeconfig_file);
    bool is_custom = !is_default_http(&c->http);
    if (has_server && has_file)
        return config_fail(r, node, "cannot use 'kubeconfig_file' and 'api_server' simultaneously");
    if (has_file && is_custom)
        return config_fail(r, node,
                           "cannot use a custom HTTP client configuration together with "
                           "'kubeconfig_file'");
    if (!has_server && is_custom)
        return config_fail(r, node,
                           "to use custom HTTP client configuration please provide the "
                           "'api_server' URL explicitly");
    if (c->own_namespace && (has_server || has_file))
        return config_fail(r, node, "cannot use '%s' and 'namespaces.own_namespace' simultaneously",
                           has_server ? "api_server" : "kubeconfig_file");
    return 0;
}

/* A role selects its own objects and those it looks into, each once. */
static int check_kubernetes_selectors(struct config_reader *r, const struct yaml_node *node,
                                      const struct kubernetes_sd_config *c)
{
    bool seen[K8S_ROLES] = {false};
    bool is_behind = c->role == K8S_ENDPOINTS || c->role == K8S_ENDPOINTSLICE;
    for (size_t i = 0; i < c->n_selectors; i++) {
        int role = c->selectors[i].role;
        if (seen[role])
            return config_fail(r, node, "duplicated selector role: %s", roles[role]);
        seen[role] = true;
        if (role != c->role && !(is_behind && (role == K8S_POD || role == K8S_SERVICE)))
            return config_fail(r, node, "%s role supports only %s%s selectors", roles[c->role],
                               is_behind ? "pod, service, " : "", roles[c->role]);
    }
    return 0;
}

static int read_kubernetes(struct config_reader *r, const struct yaml_node *node, void *item)
{
    const struct kubernetes_sd_config *c = item;
    int rc = config_read_block(r, kubernetes_keys, node, item);
    if (rc == 0 && yaml_get(node, "role") == NULL)
        return config_fail(r, node,
                           "role missing (one of: pod, service, endpoints, endpointslice, node, "
                           "ingress)");
    if (rc == 0)
        rc = check_http(r, node, &c->http);
    if (rc == 0)
        rc = check_kubernetes_access(r, node, c);
    return rc == 0 ? check_kubernetes_selectors(r, node, c) : rc;
}

int config_read_kubernetes_sd(struct config_reader *r, const struct yaml_node *node, void *field)
{
    struct scrape_config *s = CONTAINER_OF(field, struct scrape_config, kubernetes_sd_configs);
    return config_read_list(r, node, sizeof *s->kubernetes_sd_configs, read_kubernetes,
                            &s->kubernetes_sd_configs, &s->n_kubernetes_sd_configs);
}

/* --- docker --- */

static const struct config_key filter_keys[] = {
    {"name", CONFIG_STRING, AT(docker_filter, name), ""},
    {"values", CONFIG_CUSTOM, AT(docker_filter, values), .custom = config_read_strings},
    {0},
};

static int read_filter(struct config_reader *r, const struct yaml_node *node, void *item)
{
    return config_read_block(r, filter_keys, node, item);
}

static int read_filters(struct config_reader *r, const struct yaml_node *node, void *field)
{
    struct docker_sd_config *c = CONTAINER_OF(field, struct docker_sd_config, filters);
    return config_read_list(r, node, sizeof *c->filters, read_filter, &c->filters, &c->n_filters);
}

static const struct config_key docker_keys[] = {
    {"host", CONFIG_STRING, AT(docker_sd_config, host), ""},
    {"port", CONFIG_INT, AT(docker_sd_config, port), "80"},
    {"filters", CONFIG_CUSTOM, AT(docker_sd_config, filters), .custom = read_filters},
    {"host_networking_host", CONFIG_STRING, AT(docker_sd_config, host_networking_host),
     "localhost"},
    {"refresh_interval", CONFIG_DURATION_PROM, AT(docker_sd_config, refresh_interval_ns), "60s"},
    {"match_first_network", CONFIG_BOOL, AT(docker_sd_config, match_first_network), "true"},
    CONFIG_HTTP_KEYS(docker_sd_config, http),
    {0},
};

static int read_docker(struct config_reader *r, const struct yaml_node *node, void *item)
{
    const struct docker_sd_config *c = item;
    int rc = config_read_block(r, docker_keys, node, item);
    if (rc == 0 && c->host[0] == '\0')
        return config_fail(r, node, "host missing");
    return rc != 0 ? rc : check_http(r, node, &c->http);
}

int config_read_docker_sd(struct config_reader *r, const struct yaml_node *node, void *field)
{
    struct scrape_config *s = CONTAINER_OF(field, struct scrape_config, docker_sd_configs);
    return config_read_list(r, node, sizeof *s->docker_sd_configs, read_docker,
                            &s->docker_sd_configs, &s->n_docker_sd_configs);
}

/* --- consul --- */

static const struct config_key consul_keys[] = {
    {"server", CONFIG_STRING, AT(consul_sd_config, server), "localhost:8500"},
    {"path_prefix", CONFIG_STRING, AT(consul_sd_config, path_prefix), ""},
    {"token", CONFIG_SECRET, AT(consul_sd_config, token), ""},
    {"datacenter", CONFIG_STRING, AT(consul_sd_config, datacenter), ""},
    {"namespace", CONFIG_STRING, AT(consul_sd_config, namespace_), ""},
    {"partition", CONFIG_STRING, AT(consul_sd_config, partition), ""},
    {"tag_separator", CONFIG_STRING, AT(consul_sd_config, tag_separator), ","},
    {"scheme", CONFIG_STRING, AT(consul_sd_config, scheme), "http"},
    {"username", CONFIG_STRING, AT(consul_sd_config, username), ""},
    {"password", CONFIG_SECRET, AT(consul_sd_config, password), ""},
    {"filter", CONFIG_STRING, AT(consul_sd_config, filter), ""},
    {"allow_stale", CONFIG_BOOL, AT(consul_sd_config, allow_stale), "true"},
    {"refresh_interval", CONFIG_DURATION_PROM, AT(consul_sd_config, refresh_interval_ns), "30s"},
    {"services", CONFIG_CUSTOM, AT(consul_sd_config, services), .custom = config_read_strings},
    {"tags", CONFIG_CUSTOM, AT(consul_sd_config, tags), .custom = config_read_strings},
    {"node_meta", CONFIG_CUSTOM, AT(consul_sd_config, node_meta), .custom = config_read_string_map},
    CONFIG_HTTP_KEYS(consul_sd_config, http),
    {0},
};

static int read_any_consul(struct config_reader *r, const struct yaml_node *node,
                           struct consul_sd_config *c, const char *name)
{
    int rc = config_read_block(r, consul_keys, node, c);
    if (rc == 0 && c->server[0] == '\0')
        return config_fail(r, node, "%s SD configuration requires a server address", name);
    return rc != 0 ? rc : check_http(r, node, &c->http);
}

static int read_consul(struct config_reader *r, const struct yaml_node *node, void *item)
{
    return read_any_consul(r, node, item, "consul");
}

static int read_consulagent(struct config_reader *r, const struct yaml_node *node, void *item)
{
    return read_any_consul(r, node, item, "consulagent");
}

int config_read_consul_sd(struct config_reader *r, const struct yaml_node *node, void *field)
{
    struct scrape_config *s = CONTAINER_OF(field, struct scrape_config, consul_sd_configs);
    return config_read_list(r, node, sizeof *s->consul_sd_configs, read_consul,
                            &s->consul_sd_configs, &s->n_consul_sd_configs);
}

int config_read_consulagent_sd(struct config_reader *r, const struct yaml_node *node, void *field)
{
    struct scrape_config *s = CONTAINER_OF(field, struct scrape_config, consulagent_sd_configs);
    return config_read_list(r, node, sizeof *s->consulagent_sd_configs, read_consulagent,
                            &s->consulagent_sd_configs, &s->n_consulagent_sd_configs);
}

/* --- dns --- */

static const char *const dns_types[] = {"SRV", "A", "AAAA", "MX", "NS", NULL};

static int read_dns_type(struct config_reader *r, const struct yaml_node *node, void *field)
{
    for (int i = 0; node->kind == YAML_SCALAR && dns_types[i] != NULL; i++)
        if (str_eq_nocase(node->text, str_c(dns_types[i]))) {
            *(int *)field = i;
            return 0;
        }
    return config_fail(r, node, "invalid DNS-SD records type %.*s", STR_ARG(node->text));
}

static const struct config_key dns_keys[] = {
    {"names", CONFIG_CUSTOM, AT(dns_sd_config, names), .custom = config_read_strings},
    {"refresh_interval", CONFIG_DURATION_PROM, AT(dns_sd_config, refresh_interval_ns), "30s"},
    {"type", CONFIG_CUSTOM, AT(dns_sd_config, type), .custom = read_dns_type},
    {"port", CONFIG_INT, AT(dns_sd_config, port), "0", .min = "0", .max = "65535"},
    {0},
};

static int read_dns(struct config_reader *r, const struct yaml_node *node, void *item)
{
    const struct dns_sd_config *c = item;
    int rc = config_read_block(r, dns_keys, node, item);
    if (rc != 0)
        return rc;
    if (c->names.n == 0)
        return config_fail(r, node, "DNS-SD config must contain at least one SRV record name");
    if ((c->type == DNS_A || c->type == DNS_AAAA) && c->port == 0)
        return config_fail(r, node,
                           "a port is required in DNS-SD configs for all record types "
                           "except SRV");
    return 0;
}

int config_read_dns_sd(struct config_reader *r, const struct yaml_node *node, void *field)
{
    struct scrape_config *s = CONTAINER_OF(field, struct scrape_config, dns_sd_configs);
    return config_read_list(r, node, sizeof *s->dns_sd_configs, read_dns, &s->dns_sd_configs,
                            &s->n_dns_sd_configs);
}
