/* The lists of the configuration: clients, scrape_configs and what is in them. */
#include "base/file.h"
#include "base/gourl.h"
#include "base/mem.h"
#include "promtail/config/check.h"
#include "promtail/config/tables.h"

#define AT(type, member) offsetof(struct type, member)
#define HEADER_BYTES_MAX (64u * 1024)

int config_read_string_map(struct config_reader *r, const struct yaml_node *node, void *field)
{
    struct label_list *into = field;
    struct arena *a = config_arena(r);
    if (node->kind == YAML_NULL)
        return 0;
    if (node->kind != YAML_MAP)
        return config_fail(r, node, "cannot unmarshal into a map of strings");
    if (node->both != NULL)
        return config_fail(r, node->both, "key \"%.*s\" already set in map",
                           STR_ARG(node->both->text));
    for (size_t i = 0; i < node->n; i++) {
        const struct yaml_node *value = node->items[i];
        if (value->kind == YAML_LIST || value->kind == YAML_MAP)
            return config_fail(r, value, "cannot unmarshal into string");
        label_list_set(into, a, node->keys[i]->text,
                       value->kind == YAML_NULL ? STR_EMPTY : value->text);
    }
    label_list_sort(into);
    return 0;
}

int config_read_labels(struct config_reader *r, const struct yaml_node *node, void *field)
{
    for (size_t i = 0; node->kind == YAML_MAP && i < node->n; i++) {
        str name = node->keys[i]->text;
        if (name.len == 0 || !str_is_utf8(name))
            return config_fail(r, node->keys[i], "\"%.*s\" is not a valid label name",
                               STR_ARG(name));
    }
    return config_read_string_map(r, node, field);
}

/* The proper spelling of a header that is made by the client itself; NULL if it is none. */
static const char *reserved_header(str name)
{
    static const char *const names[] = {"Authorization",
                                        "Host",
                                        "Content-Encoding",
                                        "Content-Length",
                                        "Content-Type",
                                        "User-Agent",
                                        "Connection",
                                        "Keep-Alive",
                                        "Proxy-Authenticate",
                                        "Proxy-Authorization",
                                        "Www-Authenticate",
                                        "Accept-Encoding",
                                        "X-Prometheus-Remote-Write-Version",
                                        "X-Prometheus-Remote-Read-Version",
                                        "X-Prometheus-Scrape-Timeout-Seconds",
                                        "X-Amz-Date",
                                        "X-Amz-Security-Token",
                                        "X-Amz-Content-Sha256"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_nocase(name, str_c(names[i])))
            return names[i];
    return NULL;
}

struct header_values {
    struct config_strings values, secrets, files;
};

static const struct config_key header_keys[] = {
    {"values", CONFIG_STRING_LIST, AT(header_values, values), ""},
    {"secrets", CONFIG_STRING_LIST, AT(header_values, secrets), ""},
    {"files", CONFIG_STRING_LIST, AT(header_values, files), ""},
    {0},
};

static void add_headers(struct arena *a, str name, const struct config_strings *values,
                        struct label_list *into)
{
    for (size_t i = 0; i < values->n; i++)
        label_list_add(into, a, name, str_c(values->items[i]));
}

static int add_header_files(struct config_reader *r, const struct yaml_node *at, str name,
                            const struct config_strings *files, struct label_list *into)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < files->n; i++) {
        struct buf text;
        struct error err = {0};
        buf_init(&text, HEADER_BYTES_MAX);
        if (file_read(files->items[i], &text, &err) != 0)
            rc =
                config_fail(r, at, "unable to read headers file %s: %s", files->items[i], err.text);
        else
            label_list_add(into, config_arena(r), name,
                           arena_str(config_arena(r), str_trim(buf_str(&text))));
        buf_deinit(&text);
    }
    return rc;
}

int config_read_http_headers(struct config_reader *r, const struct yaml_node *node, void *field)
{
    if (node->kind != YAML_MAP && node->kind != YAML_NULL)
        return config_fail(r, node, "cannot unmarshal into a map of headers");
    for (size_t i = 0; i < node->n; i++) {
        struct header_values h = {0};
        const struct yaml_node *one = node->items[i];
        str name = node->keys[i]->text;
        int rc = config_read_block(r, header_keys, one, &h);
        if (rc == 0 && reserved_header(name) != NULL)
            rc = config_fail(r, node->keys[i], "setting header \"%s\" is not allowed",
                             reserved_header(name));
        if (rc != 0)
            return rc;
        add_headers(config_arena(r), name, &h.values, field);
        add_headers(config_arena(r), name, &h.secrets, field);
        rc = add_header_files(r, one, name, &h.files, field);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int config_read_list(struct config_reader *r, const struct yaml_node *node, size_t item_size,
                     int (*read_item)(struct config_reader *r, const struct yaml_node *node,
                                      void *item),
                     void *ret_items, size_t *ret_n)
{
    if (node->kind == YAML_NULL)
        return 0;
    if (node->kind != YAML_LIST)
        return config_fail(r, node, "expected a list");
    char *items = arena_zalloc(config_arena(r), item_size * MAX(node->n, 1));
    int rc = 0;
    for (size_t i = 0; i < node->n; i++) {
        int one = read_item(r, node->items[i], items + i * item_size);
        rc = rc != 0 ? rc : one;
    }
    memcpy(ret_items, &items, sizeof items);
    *ret_n = node->n;
    return rc;
}

int config_read_strings(struct config_reader *r, const struct yaml_node *node, void *field)
{
    if (node->kind != YAML_LIST && node->kind != YAML_NULL)
        return config_fail(r, node, "cannot unmarshal into a list of strings");
    return config_read_value(r, CONFIG_STRING_LIST, node, field);
}

/* --- clients --- */

int client_config_check(const struct client_config *c, struct error *err)
{
    struct arena a;
    struct gourl url;
    arena_init(&a, SIZE_MAX);
    int rc = gourl_parse(str_c(c->url), &a, &url, err);
    arena_deinit(&a);
    return rc != 0 ? rc : http_config_check(&c->http, err);
}

static int read_client(struct config_reader *r, const struct yaml_node *node, void *item)
{
    struct error err = {0};
    int rc = config_read_block(r, config_client_keys, node, item);
    if (rc == 0 && client_config_check(item, &err) != 0)
        return config_fail(r, node, "%s", err.text);
    return rc;
}

int config_read_clients(struct config_reader *r, const struct yaml_node *node, void *field)
{
    struct promtail_config *c = CONTAINER_OF(field, struct promtail_config, clients);
    c->clients_node = node;
    return config_read_list(r, node, sizeof *c->clients, read_client, &c->clients, &c->n_clients);
}

/* --- relabel_configs --- */

static int read_action(struct config_reader *r, const struct yaml_node *node, void *field)
{
    if (node->kind == YAML_NULL)
        return config_fail(r, node, "relabel action cannot be empty");
    if (!relabel_action_parse(node->text, field))
        return config_fail(r, node, "unknown relabel action \"%.*s\"", STR_ARG(node->text));
    return 0;
}

static int read_regex(struct config_reader *r, const struct yaml_node *node, void *field)
{
    struct relabel_rule *rule = field;
    if (node->kind == YAML_LIST || node->kind == YAML_MAP)
        return config_fail(r, node, "cannot unmarshal into string");
    struct error err = {0};
    regex_free(rule->re);
    rule->re = NULL;
    str pattern = node->kind == YAML_NULL ? STR_EMPTY : node->text;
    rule->regex_is_default = false; /* (.*) is another one, if it is written */
    if (regex_compile(pattern, REGEX_ANCHORED | REGEX_DOT_NEWLINE, &rule->re, &err) != 0)
        return config_fail(r, node, "%s", err.text);
    return 0;
}

static int read_str(struct config_reader *r, const struct yaml_node *node, void *field)
{
    if (node->kind != YAML_SCALAR && node->kind != YAML_NULL)
        return config_fail(r, node, "cannot unmarshal into string");
    *(str *)field = node->kind == YAML_NULL ? STR_EMPTY : node->text;
    return 0;
}

static int read_names(struct config_reader *r, const struct yaml_node *node, void *field)
{
    struct relabel_rule *rule = CONTAINER_OF(field, struct relabel_rule, source_labels);
    if (node->kind == YAML_NULL)
        return 0;
    if (node->kind != YAML_LIST)
        return config_fail(r, node, "cannot unmarshal into a list of label names");
    rule->source_labels = ARENA_ARRAY(config_arena(r), str, MAX(node->n, 1));
    rule->n_source_labels = node->n;
    rule->has_source_labels = true;
    for (size_t i = 0; i < node->n; i++) {
        const struct yaml_node *one = node->items[i];
        rule->source_labels[i] = STR_EMPTY;
        if (one->kind == YAML_NULL)
            continue;
        if (one->kind != YAML_SCALAR)
            return config_fail(r, one, "cannot unmarshal into string");
        rule->source_labels[i] = one->text;
        if (one->text.len == 0 || !str_is_utf8(one->text))
            return config_fail(r, one, "\"%.*s\" is not a valid label name", STR_ARG(one->text));
    }
    return 0;
}

static const struct config_key relabel_keys[] = {
    {"source_labels", CONFIG_CUSTOM, AT(relabel_rule, source_labels), .custom = read_names},
    {"separator", CONFIG_CUSTOM, AT(relabel_rule, separator), .custom = read_str},
    {"regex", CONFIG_CUSTOM, 0, .custom = read_regex},
    {"modulus", CONFIG_UINT, AT(relabel_rule, modulus), "0"},
    {"target_label", CONFIG_CUSTOM, AT(relabel_rule, target_label), .custom = read_str},
    {"replacement", CONFIG_CUSTOM, AT(relabel_rule, replacement), .custom = read_str},
    {"action", CONFIG_CUSTOM, AT(relabel_rule, action), .custom = read_action},
    {0},
};

static int read_rule(struct config_reader *r, const struct yaml_node *node, void *item)
{
    struct relabel_rule *rule = item;
    relabel_rule_init(rule);
    int rc = config_read_block(r, relabel_keys, node, rule);
    if (rc != 0)
        return rc;
    struct error err = {0};
    if (relabel_rule_check(rule, &err) != 0)
        return config_fail(r, node, "%s", err.text);
    return 0;
}

int config_read_relabel(struct config_reader *r, const struct yaml_node *node, void *field)
{
    struct relabel_rules *rules = field;
    return config_read_list(r, node, sizeof *rules->items, read_rule, &rules->items, &rules->n);
}

/* --- static_configs, file_sd_configs --- */

static int read_targets(struct config_reader *r, const struct yaml_node *node, void *field)
{
    struct static_config *s = field;
    struct config_strings names = {0};
    int rc = config_read_strings(r, node, &names);
    if (rc != 0)
        return rc;
    s->n_targets = names.n;
    s->targets = ARENA_ARRAY(config_arena(r), struct label_list, MAX(names.n, 1));
    for (size_t i = 0; i < names.n; i++)
        label_list_set(&s->targets[i], config_arena(r), STR("__address__"), str_c(names.items[i]));
    return 0;
}

static const struct config_key static_keys[] = {
    {"targets", CONFIG_CUSTOM, 0, .custom = read_targets},
    {"labels", CONFIG_CUSTOM, AT(static_config, labels), .custom = config_read_labels},
    {0},
};

static int read_static(struct config_reader *r, const struct yaml_node *node, void *item)
{
    return config_read_block(r, static_keys, node, item);
}

/* Stars in the last part of the path alone, and an ending that names the format. */
static bool is_file_sd_path(str path)
{
    static const char *const endings[] = {".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"};
    bool has_ending = false;
    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        has_ending = has_ending || str_has_suffix(path, str_c(endings[i]));
    size_t star = str_find_char(path, '*');
    if (!has_ending || star == STR_NPOS)
        return has_ending;
    str rest = str_from(path, star + 1);
    return str_find_char(rest, '/') == STR_NPOS;
}

static int read_files(struct config_reader *r, const struct yaml_node *node, void *field)
{
    struct config_strings *files = field;
    int rc = config_read_strings(r, node, files);
    for (size_t i = 0; rc == 0 && i < files->n; i++) {
        if (!is_file_sd_path(str_c(files->items[i])))
            return config_fail(r, node, "path name \"%s\" is not valid for file discovery",
                               files->items[i]);
    }
    return rc;
}

static const struct config_key file_sd_keys[] = {
    {"files", CONFIG_CUSTOM, AT(file_sd_config, files), .custom = read_files},
    {"refresh_interval", CONFIG_DURATION_PROM, AT(file_sd_config, refresh_interval_ns), "5m"},
    {0},
};

static int read_file_sd(struct config_reader *r, const struct yaml_node *node, void *item)
{
    const struct file_sd_config *c = item;
    int rc = config_read_block(r, file_sd_keys, node, item);
    if (rc == 0 && c->files.n == 0)
        return config_fail(r, node,
                           "file service discovery config must contain at least one path name");
    return rc;
}

/* --- scrape_configs --- */

static int read_statics(struct config_reader *r, const struct yaml_node *node, void *field)
{
    struct scrape_config *s = CONTAINER_OF(field, struct scrape_config, static_configs);
    return config_read_list(r, node, sizeof *s->static_configs, read_static, &s->static_configs,
                            &s->n_static_configs);
}

static int read_file_sds(struct config_reader *r, const struct yaml_node *node, void *field)
{
    struct scrape_config *s = CONTAINER_OF(field, struct scrape_config, file_sd_configs);
    return config_read_list(r, node, sizeof *s->file_sd_configs, read_file_sd, &s->file_sd_configs,
                            &s->n_file_sd_configs);
}

/* Untyped maps refuse a key that is merged over another. */
static int check_merges(struct config_reader *r, const struct yaml_node *node, int depth)
{
    if (depth > YAML_DEPTH_MAX)
        return 0;
    if (node->both != NULL)
        return config_fail(r, node->both, "key \"%.*s\" already set in map",
                           STR_ARG(node->both->text));
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < node->n; i++)
        rc = check_merges(r, node->items[i], depth + 1);
    return rc;
}

/* Stages are looked at when their pipeline is made. */
static int keep_stages(struct config_reader *r, const struct yaml_node *node, void *field)
{
    if (node->kind != YAML_LIST && node->kind != YAML_NULL)
        return config_fail(r, node, "cannot unmarshal into a list of stages");
    *(const struct yaml_node **)field = node;
    return check_merges(r, node, 0);
}

/* A job whose target or discovery is not there would run and send nothing. */
static int refuse(struct config_reader *r, const struct yaml_node *node, void *field)
{
    (void)field;
    bool is_empty = node->kind == YAML_NULL || (node->kind == YAML_LIST && node->n == 0);
    return is_empty ? 0 : config_fail(r, node, "this kind of target or discovery is not supported");
}

/* Promtail's own builds for other systems than Windows run such a job and read nothing. */
static int read_windows(struct config_reader *r, const struct yaml_node *node, void *field)
{
    if (node->kind == YAML_NULL)
        return 0;
    config_warn(r, node,
                "windows_events was configured but support for reading the windows event log is "
                "not compiled into this build of promtail");
    *(const struct yaml_node **)field = node;
    return 0;
}

#define UNSUPPORTED_KEY(name)                                                                      \
    {                                                                                              \
        name, CONFIG_CUSTOM, 0, .custom = refuse                                                   \
    }

static const struct config_key decompression_keys[] = {
    {"enabled", CONFIG_BOOL, AT(decompression_config, enabled), "false"},
    {"initial_delay", CONFIG_DURATION_GO, AT(decompression_config, initial_delay_ns), "0s"},
    {"format", CONFIG_STRING, AT(decompression_config, format), ""},
    {0},
};

static const struct config_key scrape_keys[] = {
    {"job_name", CONFIG_STRING, AT(scrape_config, job_name), ""},
    {"pipeline_stages", CONFIG_CUSTOM, AT(scrape_config, pipeline_stages), .custom = keep_stages},
    {"relabel_configs", CONFIG_CUSTOM, AT(scrape_config, relabel), .custom = config_read_relabel},
    {"static_configs", CONFIG_CUSTOM, AT(scrape_config, static_configs), .custom = read_statics},
    {"file_sd_configs", CONFIG_CUSTOM, AT(scrape_config, file_sd_configs), .custom = read_file_sds},
    {"decompression", CONFIG_BLOCK, AT(scrape_config, decompression), .table = decompression_keys},
    {"encoding", CONFIG_STRING, AT(scrape_config, encoding), ""},
    {"kubernetes_sd_configs", CONFIG_CUSTOM, AT(scrape_config, kubernetes_sd_configs),
     .custom = config_read_kubernetes_sd},
    {"docker_sd_configs", CONFIG_CUSTOM, AT(scrape_config, docker_sd_configs),
     .custom = config_read_docker_sd},
    {"consul_sd_configs", CONFIG_CUSTOM, AT(scrape_config, consul_sd_configs),
     .custom = config_read_consul_sd},
    {"consulagent_sd_configs", CONFIG_CUSTOM, AT(scrape_config, consulagent_sd_configs),
     .custom = config_read_consulagent_sd},
    {"dns_sd_configs", CONFIG_CUSTOM, AT(scrape_config, dns_sd_configs),
     .custom = config_read_dns_sd},
    {"journal", CONFIG_CUSTOM, AT(scrape_config, journal), .custom = config_read_journal},
    {"syslog", CONFIG_CUSTOM, AT(scrape_config, syslog), .custom = config_read_syslog},
    UNSUPPORTED_KEY("gcplog"),
    {"loki_push_api", CONFIG_CUSTOM, AT(scrape_config, loki_push_api), .custom = config_read_push},
    {"windows_events", CONFIG_CUSTOM, AT(scrape_config, windows_events), .custom = read_windows},
    {"kafka", CONFIG_CUSTOM, AT(scrape_config, kafka), .custom = config_read_kafka},
    UNSUPPORTED_KEY("azure_event_hubs"),
    {"gelf", CONFIG_CUSTOM, AT(scrape_config, gelf), .custom = config_read_gelf},
    UNSUPPORTED_KEY("cloudflare"),
    {"heroku_drain", CONFIG_CUSTOM, AT(scrape_config, heroku_drain), .custom = config_read_push},
    UNSUPPORTED_KEY("azure_sd_configs"),
    UNSUPPORTED_KEY("digitalocean_sd_configs"),
    UNSUPPORTED_KEY("dockerswarm_sd_configs"),
    UNSUPPORTED_KEY("ec2_sd_configs"),
    UNSUPPORTED_KEY("gce_sd_configs"),
    UNSUPPORTED_KEY("marathon_sd_configs"),
    UNSUPPORTED_KEY("nerve_sd_configs"),
    UNSUPPORTED_KEY("openstack_sd_configs"),
    UNSUPPORTED_KEY("serverset_sd_configs"),
    UNSUPPORTED_KEY("triton_sd_configs"),
    {0},
};

static int read_scrape(struct config_reader *r, const struct yaml_node *node, void *item)
{
    struct scrape_config *job = item;
    job->line = node->line;
    int rc = config_read_block(r, scrape_keys, node, job);
    return rc == 0 && job->job_name[0] == '\0' ? config_fail(r, node, "job_name is empty") : rc;
}

static int check_names(struct config_reader *r, const struct yaml_node *node,
                       const struct promtail_config *c)
{
    for (size_t i = 0; i < c->n_scrapes; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(c->scrapes[i].job_name, c->scrapes[j].job_name) == 0)
                return config_fail(r, node, "found multiple scrape configs with job name \"%s\"",
                                   c->scrapes[i].job_name);
    return 0;
}

int config_read_scrapes(struct config_reader *r, const struct yaml_node *node, void *field)
{
    struct promtail_config *c = CONTAINER_OF(field, struct promtail_config, scrapes);
    c->scrapes_node = node;
    int rc = config_read_list(r, node, sizeof *c->scrapes, read_scrape, &c->scrapes, &c->n_scrapes);
    return rc != 0 ? rc : check_names(r, node, c);
}
