/* Reading the configuration: defaults, then the file, then the flags. */
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/gourl.h"
#include "base/mem.h"
#include "promtail/config/check.h"
#include "promtail/config/tables.h"
#include "runtime/log.h"

#define CONFIG_FILE_BYTES_MAX (16u << 20)
#define BLOCK_DEPTH_MAX       16

/* One field of a comma list; in quotes it may hold commas, and quotes doubled. */
static int take_field(str *rest, struct buf *field)
{
    bool is_quoted = rest->len > 0 && rest->ptr[0] == '"';
    size_t i = is_quoted;
    for (; i < rest->len; i++) {
        char c = rest->ptr[i];
        if (is_quoted && c == '"') {
            bool is_end = i + 1 == rest->len || rest->ptr[i + 1] == ',';
            if (!is_end && rest->ptr[i + 1] != '"')
                return E_PARSE;
            is_quoted = !is_end;
            i++;
            if (is_end)
                break;
        } else if (!is_quoted && (c == ',' || c == '"')) {
            if (c == '"')
                return E_PARSE;
            break;
        }
        buf_append_char(field, c);
    }
    *rest = i < rest->len ? str_from(*rest, i + 1) : (str){0};
    return is_quoted ? E_PARSE : 0;
}

static int add_label(str pair, struct arena *a, struct label_list *ret, struct error *err)
{
    size_t eq = str_find_char(pair, '=');
    if (eq == STR_NPOS)
        return error_set(err, E_INVALID, "%.*s must be formatted as key=value", STR_ARG(pair));
    str name = str_sub(pair, 0, eq), value = str_from(pair, eq + 1);
    if (name.len == 0 || !str_is_utf8(name) || !str_is_utf8(value))
        return error_set(err, E_INVALID, "invalid name \"%.*s\"", STR_ARG(name));
    label_list_set(ret, a, arena_str(a, name), arena_str(a, value));
    return 0;
}

/* a=b,c=d; one pair alone may have commas in its value. */
static int parse_labels(str text, struct arena *a, struct label_list *ret, struct error *err)
{
    size_t first = str_find_char(text, '=');
    if (first == STR_NPOS || str_find_char(str_from(text, first + 1), '=') == STR_NPOS) {
        while (text.len > 0 && text.ptr[0] == '"')
            text = str_from(text, 1);
        while (text.len > 0 && text.ptr[text.len - 1] == '"')
            text.len--;
        return add_label(text, a, ret, err);
    }
    struct buf field;
    buf_init(&field, BUF_NO_LIMIT);
    int rc = 0;
    while (rc == 0 && text.ptr != NULL) {
        field.len = 0;
        rc = take_field(&text, &field);
        rc = rc != 0 ? error_set(err, E_INVALID, "parse error: a quote in the wrong place")
                     : add_label(buf_str(&field), a, ret, err);
    }
    buf_deinit(&field);
    return rc;
}

/* The flag stands for the labels of the `client` block. */
static int parse_label_flag(const char *text, struct arena *a, struct label_list *ret,
                            struct error *err)
{
    struct error why = {0};
    if (text[0] == '\0')
        return 0;
    *ret = (struct label_list){0};
    if (parse_labels(str_c(text), a, ret, &why) == 0)
        return 0;
    return error_set(err, E_INVALID, "invalid value \"%s\" for flag -client.external-labels: %s",
                     text, why.text);
}

static int read_file(const char *path, struct arena *a, str *ret, struct error *err)
{
    struct buf b;
    buf_init(&b, CONFIG_FILE_BYTES_MAX);
    int rc = file_read(path, &b, err);
    if (rc == 0)
        *ret = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return rc;
}

/* Of a comma list the first that exists; NULL if none does. */
static const char *pick_file(const char *list, struct arena *a)
{
    str rest = str_c(list);
    while (rest.ptr != NULL) {
        const char *path = arena_c(a, str_trim(str_split(&rest, ',')));
        if (access(path, F_OK) == 0)
            return path;
    }
    return NULL;
}

static void merge_labels(struct label_list *into, const struct label_list *weaker, struct arena *a)
{
    for (size_t i = 0; i < weaker->n; i++)
        if (label_list_get(into, weaker->items[i].name).ptr == NULL)
            label_list_set(into, a, weaker->items[i].name, weaker->items[i].value);
    label_list_sort(into);
}

/* The old single client counts as one more of `clients`; its labels go to all of them. */
static int settle_clients(struct promtail_config *c, struct arena *a, struct error *err)
{
    struct label_list *common = &c->flag_client.external_labels;
    int rc = parse_label_flag(c->flags.external_labels, a, common, err);
    if (rc != 0)
        return rc;
    if (c->flag_client.url[0] != '\0') {
        struct client_config *all = ARENA_ARRAY(a, struct client_config, c->n_clients + 1);
        if (c->n_clients > 0)
            memcpy(all, c->clients, c->n_clients * sizeof *all);
        all[c->n_clients++] = c->flag_client;
        c->clients = all;
    }
    for (size_t i = 0; i < c->n_clients; i++)
        merge_labels(&c->clients[i].external_labels, common, a);
    return 0;
}

/* What Promtail says after every error of the file. */
static void hint_at_env(struct error *err)
{
    if (err == NULL)
        return;
    size_t n = strlen(err->text);
    snprintf(err->text + n, sizeof err->text - n,
             ". Use `-config.expand-env=true` flag if you want to expand environment variables in "
             "your config file");
}

static int load_file(struct arena *a, struct promtail_config *ret, struct error *err)
{
    const char *list = ret->flags.config_file;
    const char *file = list[0] != '\0' ? pick_file(list, a) : "";
    if (file == NULL)
        return error_set(err, E_PARSE, "%s does not exist, set config.file for custom config path",
                         list);
    ret->file = file;
    if (file[0] == '\0')
        return 0; /* flags alone may do */
    int rc = read_file(file, a, &ret->text, err);
    if (rc != 0)
        return rc;
    struct config_source source = {
        .file = file, .expand_env = ret->flags.expand_env, .go_texts = true, .null_is_zero = true};
    rc = config_load(config_file_keys, ret, ret->text, &source, a, err);
    if (rc != 0 && !source.expand_env)
        hint_at_env(err);
    return rc;
}

static bool is_log_level(const char *name)
{
    enum log_level level;
    return log_level_parse(str_c(name), &level);
}

static int check_url_flag(const char *text, struct arena *a, struct error *err)
{
    struct gourl url;
    struct error why = {0};
    if (gourl_parse(str_c(text), a, &url, &why) == 0)
        return 0;
    return error_set(err, E_INVALID, "invalid value \"%s\" for flag -client.url: %s", text,
                     why.text);
}

int promtail_config_load(int argc, char **argv, struct arena *a, struct promtail_config *ret,
                         struct error *err)
{
    int rest = 0;
    *ret = (struct promtail_config){0};
    config_defaults(config_all_keys, ret, a);
    int rc = config_flags(config_all_keys, ret, argc, argv, a, &rest, err);
    if (rc == 0)
        rc = check_url_flag(ret->flag_client.url, a, err);
    if (rc != 0 || ret->flags.help || ret->flags.version)
        return rc;
    struct promtail_flags flags = ret->flags;
    *ret = (struct promtail_config){0};
    config_defaults(config_all_keys, ret, a);
    ret->flags = flags;
    rc = load_file(a, ret, err);
    if (rc != 0)
        return rc == E_INVALID ? E_PARSE : rc;
    if (!is_log_level(ret->server.log_level))
        return error_set(err, E_PARSE, "unrecognized log level \"%s\"", ret->server.log_level);
    rc = config_flags(config_all_keys, ret, argc, argv, a, &rest, err);
    if (rc == 0 && !is_log_level(ret->server.log_level))
        return error_set(err, E_INVALID,
                         "invalid value \"%s\" for flag -log.level: unrecognized log level \"%s\"",
                         ret->server.log_level, ret->server.log_level);
    if (rc == 0 && client_config_check(&ret->flag_client, err) != 0)
        return E_PARSE;
    return rc != 0 ? rc : settle_clients(ret, a, err);
}

static const struct yaml_node *find_item(const struct yaml_node *map, str key, size_t hint)
{
    if (str_eq(map->keys[hint]->text, key))
        return map->items[hint];
    for (size_t i = 0; i < map->n; i++)
        if (str_eq(map->keys[i]->text, key))
            return map->items[i];
    return NULL;
}

/* Two blocks that say the same, in whatever order. */
static bool is_same_block(const struct yaml_node *a, const struct yaml_node *b, unsigned depth)
{
    if (a->kind != b->kind || a->n != b->n || depth == 0)
        return false;
    bool is_same = str_eq(a->text, b->text);
    for (size_t i = 0; is_same && i < a->n; i++) {
        const struct yaml_node *item =
            a->kind == YAML_MAP ? find_item(b, a->keys[i]->text, i) : b->items[i];
        is_same = item != NULL && is_same_block(a->items[i], item, depth - 1);
    }
    return is_same;
}

bool promtail_config_is_same(const struct promtail_config *a, const struct promtail_config *b)
{
    struct arena arena;
    struct yaml_node *of_a, *of_b;
    arena_init(&arena, SIZE_MAX);
    bool is_same = str_eq(a->text, b->text) || (yaml_load(a->text, &arena, &of_a, NULL) == 0 &&
                                                yaml_load(b->text, &arena, &of_b, NULL) == 0 &&
                                                is_same_block(of_a, of_b, YAML_DEPTH_MAX));
    arena_deinit(&arena);
    return is_same;
}

/* A client without a name goes by what its block says. */
static bool is_same_client(const struct promtail_config *c, size_t i, size_t k)
{
    const struct yaml_node *list = c->clients_node;
    const char *name = c->clients[i].name;
    if (name[0] != '\0' || c->clients[k].name[0] != '\0')
        return strcmp(name, c->clients[k].name) == 0;
    return list != NULL && i < list->n && k < list->n &&
           is_same_block(list->items[i], list->items[k], BLOCK_DEPTH_MAX);
}

static int check_each_client(const struct promtail_config *c, struct error *err)
{
    if (c->n_clients == 0)
        return error_set(err, E_PARSE, "at least one client config must be provided");
    for (size_t i = 0; i < c->n_clients; i++) {
        const struct client_config *one = &c->clients[i];
        if (one->url[0] == '\0')
            return error_set(err, E_PARSE, "client needs target URL");
        for (size_t j = 0; j < i; j++)
            if (is_same_client(c, i, j))
                return error_set(err, E_PARSE,
                                 "duplicate client configs are not allowed, found duplicate for "
                                 "name: %s",
                                 one->name);
        int rc = tls_config_try(&one->http.tls, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int check_clients(const struct promtail_config *c, struct error *err)
{
    int rc = check_each_client(c, err);
    if (rc != 0 && !c->flags.dry_run)
        error_prefix(err, "failed to create client manager: ");
    return rc;
}

static bool has_target(const struct scrape_config *s)
{
    return s->static_configs || s->file_sd_configs || s->kubernetes_sd_configs ||
           s->docker_sd_configs || s->consul_sd_configs || s->consulagent_sd_configs ||
           s->dns_sd_configs || s->journal || s->syslog || s->loki_push_api || s->windows_events ||
           s->kafka || s->gelf || s->heroku_drain;
}

static int check_server(const struct server_config *c, struct error *err)
{
    struct arena a;
    struct gourl url;
    arena_init(&a, SIZE_MAX);
    int rc = c->disable ? 0 : gourl_parse(str_c(c->external_url), &a, &url, err);
    if (rc != 0)
        error_prefix(err,
                     "error creating loki server: parse external URL \"%s\": ", c->external_url);
    arena_deinit(&a);
    return rc;
}

int promtail_config_check(const struct promtail_config *c, struct error *err)
{
    int rc = check_clients(c, err);
    if (rc == 0)
        rc = check_server(&c->server, err);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < c->n_scrapes; i++) {
        const struct scrape_config *s = &c->scrapes[i];
        if (!has_target(s) && !c->target.read_stdin)
            return error_set(err, E_PARSE, "no valid target scrape config defined for \"%s\"",
                             s->job_name);
    }
    return 0;
}

void promtail_config_help(struct buf *out)
{
    buf_append_c(out, "Usage of promtail:\n");
    config_help(config_all_keys, out);
}

void promtail_config_free(struct promtail_config *c)
{
    for (size_t i = 0; i < c->n_scrapes; i++)
        relabel_rules_free(&c->scrapes[i].relabel);
    *c = (struct promtail_config){0};
}
