#include "promtail/discovery/docker_api.h"

#include <stdio.h>

#include <jansson.h>

#include "base/mem.h"

int docker_host_parse(const char *host, struct docker_host *ret, struct error *err)
{
    str s = str_c(host);
    int n = 0;
    *ret = (struct docker_host){.url = "http://docker"};
    if (str_has_prefix(s, STR("unix://")))
        n = snprintf(ret->socket_path, sizeof ret->socket_path, "%s", host + strlen("unix://"));
    else if (str_has_prefix(s, STR("tcp://")))
        snprintf(ret->url, sizeof ret->url, "http://%s", host + strlen("tcp://"));
    else if (str_has_prefix(s, STR("http://")) || str_has_prefix(s, STR("https://")))
        snprintf(ret->url, sizeof ret->url, "%s", host);
    else
        return error_set(err, E_INVALID, "unable to parse docker host `%s`", host);
    if (n >= (int)sizeof ret->socket_path)
        return error_set(err, E_INVALID, "path of the docker socket is too long");
    return 0;
}

/* --- JSON --- */

static str text(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    return json_is_string(v) ? str_make(json_string_value(v), json_string_length(v)) : STR_EMPTY;
}

static void set(struct label_list *l, struct arena *a, const char *name, str value)
{
    if (value.len > 0)
        label_list_set(l, a, arena_printf(a, "__meta_docker_%s", name), arena_str(a, value));
}

static void set_number(struct label_list *l, struct arena *a, const char *name, const json_t *v)
{
    if (json_is_integer(v) && json_integer_value(v) > 0)
        set(l, a, name, arena_printf(a, "%lld", (long long)json_integer_value(v)));
}

static void set_bool(struct label_list *l, struct arena *a, const char *name, const json_t *v)
{
    set(l, a, name, json_is_true(v) ? STR("true") : STR("false"));
}

static void set_map(struct label_list *l, struct arena *a, const char *prefix, const json_t *map)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)map, key, value)
    {
        str name = arena_printf(a, "%s_%s", prefix, label_name_sanitize(key, a).ptr);
        set(l, a, name.ptr, str_c(json_string_value(value)));
    }
}

/* --- targets --- */

struct build {
    struct target_group *group;
    struct arena *a;
    const json_t *networks;
    const struct docker_sd_config *config;
    struct label_list common; /* of the container at hand */
};

static void set_network(struct build *b, struct label_list *t, const json_t *attached)
{
    str id = text(attached, "NetworkID");
    size_t i;
    json_t *n;
    set(t, b->a, "network_ip", text(attached, "IPAddress"));
    json_array_foreach((json_t *)b->networks, i, n)
    {
        if (id.len == 0 || !str_eq(text(n, "Id"), id))
            continue;
        set(t, b->a, "network_id", id);
        set(t, b->a, "network_name", text(n, "Name"));
        set(t, b->a, "network_scope", text(n, "Scope"));
        set_bool(t, b->a, "network_internal", json_object_get(n, "Internal"));
        set_bool(t, b->a, "network_ingress", json_object_get(n, "Ingress"));
        set_map(t, b->a, "network_label", json_object_get(n, "Labels"));
        return;
    }
}

static struct label_list *add_target(struct build *b, const json_t *attached)
{
    struct target_group *g = b->group;
    if ((g->n_targets & (g->n_targets - 1)) == 0) { /* full at each power of two */
        struct label_list *grown = ARENA_ARRAY(b->a, struct label_list, MAX(g->n_targets * 2, 1));
        if (g->n_targets > 0)
            memcpy(grown, g->targets, g->n_targets * sizeof *grown);
        g->targets = grown;
    }
    struct label_list *t = &g->targets[g->n_targets++];
    label_list_copy(t, b->a, &b->common);
    set_network(b, t, attached);
    return t;
}

static void set_address(struct build *b, struct label_list *t, str host, long long port)
{
    bool is_v6 = str_find_char(host, ':') != STR_NPOS;
    label_list_set(t, b->a, STR("__address__"),
                   arena_printf(b->a, "%s%.*s%s:%lld", is_v6 ? "[" : "", STR_ARG(host),
                                is_v6 ? "]" : "", port));
}

static void add_network(struct build *b, const json_t *container, const json_t *attached,
                        bool is_host)
{
    str ip = text(attached, "IPAddress");
    bool any = false;
    size_t i;
    json_t *port;
    json_array_foreach(json_object_get(container, "Ports"), i, port)
    {
        if (!str_eq(text(port, "Type"), STR("tcp")))
            continue;
        struct label_list *t = add_target(b, attached);
        const json_t *private = json_object_get(port, "PrivatePort");
        set_number(t, b->a, "port_private", private);
        set_number(t, b->a, "port_public", json_object_get(port, "PublicPort"));
        set(t, b->a, "port_public_ip", text(port, "IP"));
        set_address(b, t, ip, json_integer_value(private));
        any = true;
    }
    if (any)
        return;
    struct label_list *t = add_target(b, attached);
    if (is_host)
        label_list_set(t, b->a, STR("__address__"), str_c(b->config->host_networking_host));
    else
        set_address(b, t, ip, b->config->port);
}

/* The first by name when only one is wanted. */
static void add_networks(struct build *b, const json_t *container, const json_t *networks,
                         bool is_host)
{
    const char *name, *first = NULL;
    json_t *attached;
    json_object_foreach((json_t *)networks, name, attached)
    {
        if (first == NULL || strcmp(name, first) < 0)
            first = name;
    }
    json_object_foreach((json_t *)networks, name, attached)
    {
        if (!b->config->match_first_network || strcmp(name, first) == 0)
            add_network(b, container, attached, is_host);
    }
}

static const json_t *networks_of(const json_t *container)
{
    return json_object_get(json_object_get(container, "NetworkSettings"), "Networks");
}

/* "container:<id>" uses that one's networks. */
static const json_t *shared_networks(const json_t *containers, str mode)
{
    size_t i;
    json_t *c;
    if (!str_has_prefix(mode, STR("container:")))
        return NULL;
    json_array_foreach((json_t *)containers, i, c)
    {
        if (str_eq(text(c, "Id"), str_from(mode, strlen("container:"))))
            return networks_of(c);
    }
    return NULL;
}

void docker_group(const json_t *containers, const json_t *networks,
                  const struct docker_sd_config *config, struct arena *a, struct target_group *ret)
{
    size_t i;
    json_t *c;
    *ret = (struct target_group){.source = STR("Docker")};
    json_array_foreach((json_t *)containers, i, c)
    {
        struct build b = {.group = ret, .a = a, .networks = networks, .config = config};
        const json_t *name = json_array_get(json_object_get(c, "Names"), 0);
        str mode = text(json_object_get(c, "HostConfig"), "NetworkMode");
        if (!json_is_string(name))
            continue;
        set(&b.common, a, "container_id", text(c, "Id"));
        set(&b.common, a, "container_name", str_c(json_string_value(name)));
        set(&b.common, a, "container_network_mode", mode);
        set_map(&b.common, a, "container_label", json_object_get(c, "Labels"));
        const json_t *attached = networks_of(c);
        if (json_object_size(attached) == 0)
            attached = shared_networks(containers, mode);
        add_networks(&b, c, attached, str_eq(mode, STR("host")));
    }
}
