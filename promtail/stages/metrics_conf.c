#include "promtail/stages/metrics_conf.h"

#include <math.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/mem.h"

#define IDLE_DEFAULT_S 300

static str lower(str s, struct arena *a)
{
    char *out = arena_alloc(a, MAX(s.len, 1));
    for (size_t i = 0; i < s.len; i++)
        out[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] | 32) : s.ptr[i];
    return str_make(out, s.len);
}

static int read_type(const struct yaml_node *node, struct arena *a, struct metric_conf *m,
                     struct error *err)
{
    str type = STR_EMPTY;
    int rc = stage_conf_str(node, "type", &type, NULL, err);
    if (rc != 0)
        return rc;
    type = lower(type, a);
    if (str_eq(type, STR("counter")))
        m->type = METRIC_COUNTER;
    else if (str_eq(type, STR("gauge")))
        m->type = METRIC_GAUGE;
    else if (str_eq(type, STR("histogram")))
        m->type = METRIC_HISTOGRAM;
    else
        return error_set(err, E_PARSE,
                         "invalid metric type '%.*s', metric type must be one of 'counter', "
                         "'gauge', or 'histogram'",
                         STR_ARG(type));
    return 0;
}

static int read_idle(const struct yaml_node *node, struct metric_conf *m, struct error *err)
{
    str text = STR_EMPTY;
    bool is_set;
    int64_t ns;
    struct error why = {0};
    m->max_idle_s = IDLE_DEFAULT_S;
    int rc = stage_conf_str(node, "max_idle_duration", &text, &is_set, err);
    if (rc != 0 || !is_set)
        return rc;
    if (duration_parse_go(text, &ns, &why) != 0)
        return error_set(err, E_PARSE,
                         "max_idle_duration could not be parsed as a time.Duration: '%s'",
                         why.text);
    if (ns < NS_PER_S)
        return error_set(err, E_PARSE, "max_idle_duration less than 1s not allowed");
    m->max_idle_s = ns / NS_PER_S;
    return 0;
}

static int check_counter(const struct metric_conf *m, struct error *err)
{
    if (m->match_all && m->has_value)
        return error_set(err, E_PARSE,
                         "`match_all: true` cannot be combined with `value`, please remove "
                         "`match_all` or `value`");
    if (m->count_entry_bytes && !m->match_all)
        return error_set(err, E_PARSE,
                         "`count_entry_bytes: true` can only be set with `match_all: true`");
    if (m->count_entry_bytes && m->action != METRIC_ACTION_ADD)
        return error_set(err, E_PARSE,
                         "`count_entry_bytes: true` can only be used with `action: add`");
    return 0;
}

static int read_action(const struct yaml_node *config, struct arena *a, struct metric_conf *m,
                       struct error *err)
{
    static const str names[] = {STR("inc"), STR("add"), STR("dec"), STR("sub"), STR("set")};
    bool is_counter = m->type == METRIC_COUNTER;
    str action = STR_EMPTY;
    int rc = stage_conf_str(config, "action", &action, NULL, err);
    if (rc != 0)
        return rc;
    if (action.len == 0)
        return error_set(
            err, E_PARSE, "%s",
            is_counter ? "counter action must be defined as either `inc` or `add`"
                       : "gauge action must be defined as `set`, `inc`, `dec`, `add`, or `sub`");
    action = lower(action, a);
    for (size_t i = 0; i < (is_counter ? 2 : ARRAY_LEN(names)); i++)
        if (str_eq(action, names[i])) {
            m->action = (enum metric_action)i;
            return is_counter ? check_counter(m, err) : 0;
        }
    return error_set(err, E_PARSE, "action %.*s is not valid, action must be %s", STR_ARG(action),
                     is_counter ? "either `inc` or `add`" : "`set`, `inc`, `dec`, `add`, or `sub`");
}

static int read_buckets(const struct yaml_node *config, struct arena *a, struct metric_conf *m,
                        struct error *err)
{
    const struct yaml_node *list = stage_conf_get(config, "buckets");
    m->action = METRIC_ACTION_OBSERVE;
    if (list == NULL || yaml_is_null(list))
        return 0;
    if (list->kind != YAML_LIST)
        return error_set(err, E_PARSE, "'buckets': source data must be an array or slice, got %s",
                         stage_conf_type(list));
    m->buckets = ARENA_ARRAY(a, double, MAX(list->n, 1));
    for (size_t i = 0; i < list->n; i++) {
        int rc = stage_conf_node_float(list->items[i], "buckets", &m->buckets[i], err);
        if (rc != 0)
            return rc;
        if (i > 0 && !(m->buckets[i] > m->buckets[i - 1]))
            return error_set(err, E_PARSE, "histogram buckets must be in increasing order");
    }
    m->n_buckets = list->n;
    if (m->n_buckets > 0 && isinf(m->buckets[m->n_buckets - 1])) /* there is one anyway */
        m->n_buckets--;
    return 0;
}

static int read_config(const struct yaml_node *config, struct arena *a, struct metric_conf *m,
                       struct error *err)
{
    if (config != NULL && config->kind != YAML_MAP && !yaml_is_null(config))
        return error_set(err, E_PARSE, "'' expected a map, got '%s'", stage_conf_type(config));
    int rc = stage_conf_str(config, "value", &m->value, &m->has_value, err);
    if (rc != 0 || m->type == METRIC_HISTOGRAM)
        return rc != 0 ? rc : read_buckets(config, a, m, err);
    if (m->type == METRIC_COUNTER) {
        rc = stage_conf_bool(config, "match_all", &m->match_all, err);
        if (rc == 0)
            rc = stage_conf_bool(config, "count_entry_bytes", &m->count_entry_bytes, err);
    }
    return rc != 0 ? rc : read_action(config, a, m, err);
}

int metric_conf_read(const struct yaml_node *name, const struct yaml_node *node, struct arena *a,
                     struct metric_conf *ret, struct error *err)
{
    str prefix = STR_EMPTY;
    if (node->kind != YAML_MAP && !yaml_is_null(node))
        return error_set(err, E_PARSE, "'[%.*s]' expected a map, got '%s'", STR_ARG(name->text),
                         stage_conf_type(node));
    *ret = (struct metric_conf){.source = name->text, .description = STR_EMPTY};
    int rc = stage_conf_str(node, "prefix", &prefix, NULL, err);
    if (rc == 0)
        rc = stage_conf_str(node, "description", &ret->description, NULL, err);
    if (rc == 0)
        rc = stage_conf_str(node, "source", &ret->source, NULL, err);
    if (rc == 0)
        rc = read_type(node, a, ret, err);
    if (rc == 0)
        rc = read_idle(node, ret, err);
    if (rc == 0)
        rc = read_config(stage_conf_get(node, "config"), a, ret, err);
    if (prefix.len == 0)
        prefix = STR("promtail_custom_");
    ret->name = arena_printf(a, "%.*s%.*s", STR_ARG(prefix), STR_ARG(name->text));
    return rc;
}
