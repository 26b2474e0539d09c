#include "promtail/discovery/consul_labels.h"

#include <jansson.h>

#include "base/mem.h"

struct build {
    const char *prefix;
    struct arena *a;
    struct label_list *target;
};

static str text(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    return json_is_string(v) ? str_make(json_string_value(v), json_string_length(v)) : STR_EMPTY;
}

static void set(struct build *b, const char *name, str value)
{
    if (value.len > 0)
        label_list_set(b->target, b->a, arena_printf(b->a, "__meta_%s_%s", b->prefix, name),
                       arena_str(b->a, value));
}

static void set_entry(struct build *b, const char *map, const char *key, str value)
{
    set(b, arena_printf(b->a, "%s_%s", map, label_name_sanitize(key, b->a).ptr).ptr, value);
}

static void set_map(struct build *b, const char *name, const json_t *map)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)map, key, value)
        set_entry(b, name, key, str_c(json_string_value(value)));
}

/* ,a,b, : the separators around make matching one tag simple.  Without any there are two. */
static str joined_tags(const json_t *tags, const char *separator, struct arena *a)
{
    bool has_tags = json_array_size(tags) > 0;
    str all = arena_printf(a, "%s%s", separator, has_tags ? "" : separator);
    size_t i;
    json_t *tag;
    json_array_foreach((json_t *)tags, i, tag)
    {
        const char *one = json_string_value(tag);
        all = arena_printf(a, "%.*s%s%s", STR_ARG(all), one != NULL ? one : "", separator);
    }
    return all;
}

/* The worst of the checks. */
static str health(const json_t *instance)
{
    static const char *const order[] = {"maintenance", "critical", "warning", "passing"};
    size_t worst = ARRAY_LEN(order) - 1, i;
    json_t *check;
    json_array_foreach(json_object_get(instance, "Checks"), i, check)
    {
        str id = text(check, "CheckID"), status = text(check, "Status");
        if (str_eq(id, STR("_node_maintenance")) ||
            str_has_prefix(id, STR("_service_maintenance:")))
            worst = 0;
        for (size_t j = 0; j < worst; j++)
            if (str_eq_c(status, order[j]))
                worst = j;
    }
    return str_c(order[worst]);
}

static void set_address(struct build *b, str node, const json_t *service)
{
    str host = text(service, "Address");
    if (host.len == 0)
        host = node;
    bool is_v6 = str_find_char(host, ':') != STR_NPOS;
    long long port = json_integer_value(json_object_get(service, "Port"));
    label_list_set(b->target, b->a, STR("__address__"),
                   arena_printf(b->a, "%s%.*s%s:%lld", is_v6 ? "[" : "", STR_ARG(host),
                                is_v6 ? "]" : "", port));
    set(b, "service_port", arena_printf(b->a, "%lld", port));
}

/* Of the service alone. */
static void set_service(struct build *b, const json_t *service, const char *separator)
{
    set(b, "tags", joined_tags(json_object_get(service, "Tags"), separator, b->a));
    set(b, "service", text(service, "Service"));
    set(b, "service_id", text(service, "ID"));
    set(b, "service_address", text(service, "Address"));
    set(b, "namespace", text(service, "Namespace"));
    set(b, "partition", text(service, "Partition"));
    set_map(b, "service_metadata", json_object_get(service, "Meta"));
}

static void set_of_server(struct build *b, const json_t *instance, const struct consul_view *view)
{
    const json_t *node = json_object_get(instance, "Node");
    str dc = text(node, "Datacenter");
    set_address(b, text(node, "Address"), json_object_get(instance, "Service"));
    set(b, "address", text(node, "Address"));
    set(b, "dc", dc.len > 0 ? dc : str_c(view->datacenter));
    set(b, "node", text(node, "Node"));
    set(b, "health", health(instance));
    set_map(b, "metadata", json_object_get(node, "Meta"));
    set_map(b, "tagged_address", json_object_get(node, "TaggedAddresses"));
}

/* An agent knows its node once for all, and the addresses of a service with their ports. */
static void set_of_agent(struct build *b, const json_t *instance, const struct consul_view *view)
{
    const json_t *config = json_object_get(view->agent, "Config");
    const json_t *service = json_object_get(instance, "Service");
    str address = text(json_object_get(view->agent, "Member"), "Addr");
    const char *dc = view->datacenter;
    set_address(b, address, service);
    set(b, "address", address);
    set(b, "dc", dc[0] != '\0' ? str_c(dc) : text(config, "Datacenter"));
    set(b, "node", text(config, "NodeName"));
    set(b, "health", str_c(view->health));
    set_map(b, "metadata", json_object_get(view->agent, "Meta"));
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(service, "TaggedAddresses"), key, value)
    {
        long long port = json_integer_value(json_object_get(value, "Port"));
        set_entry(b, "tagged_address", key,
                  arena_printf(b->a, "%.*s:%lld", STR_ARG(text(value, "Address")), port));
    }
}

void consul_group(const json_t *instances, const struct consul_view *view, struct arena *a,
                  struct target_group *ret)
{
    size_t i;
    json_t *instance;
    *ret = (struct target_group){0};
    ret->targets = ARENA_ARRAY(a, struct label_list, MAX(json_array_size(instances), 1));
    json_array_foreach((json_t *)instances, i, instance)
    {
        struct build b = {view->agent != NULL ? "consulagent" : "consul", a,
                          &ret->targets[ret->n_targets++]};
        if (view->agent != NULL)
            set_of_agent(&b, instance, view);
        else
            set_of_server(&b, instance, view);
        set_service(&b, json_object_get(instance, "Service"), view->tag_separator);
    }
}
