/* Settings of stages, read as Promtail does: YAML into untyped values (a plain 8080 is a number),
 * then into the stage's struct, where a value of another type is an error. */
#include "base/gofmt.h"
#include "base/mem.h"
#include "promtail/stages/stage.h"

static bool node_is_string(const struct yaml_node *n)
{
    bool b;
    double f;
    if (n->kind != YAML_SCALAR)
        return false;
    return n->is_quoted || (!yaml_bool(n, &b) && !yaml_float(n, &f));
}

const char *stage_conf_type(const struct yaml_node *n)
{
    bool b;
    int64_t i;
    double f;
    if (n->kind != YAML_SCALAR)
        return n->kind == YAML_MAP ? "map" : n->kind == YAML_LIST ? "slice" : "nil";
    return n->is_quoted        ? "string"
           : yaml_bool(n, &b)  ? "bool"
           : yaml_int(n, &i)   ? "int"
           : yaml_float(n, &f) ? "float64"
                               : "string";
}

static int wrong_type(const struct yaml_node *n, const char *key, const char *wanted,
                      struct error *err)
{
    return error_set(err, E_PARSE,
                     "line %d: '%s' expected type '%s', got unconvertible type '%s', value: '%.*s'",
                     n->line, key, wanted, stage_conf_type(n), STR_ARG(n->text));
}

/* What a text of a weakly read setting could not become. */
static int not_parsed(const struct yaml_node *n, const char *key, const char *wanted,
                      const char *func, struct error *err)
{
    struct error why = {0};
    if (strcmp(stage_conf_type(n), "string") != 0)
        return wrong_type(n, key, wanted, err);
    goparse_error(&why, func, n->text, E_PARSE);
    return error_set(err, E_PARSE, "line %d: cannot parse '%s' as %s: %s", n->line, key, wanted,
                     why.text);
}

/* The text of any scalar, numbers and booleans as mapstructure spells them. */
static int weak_text(const struct yaml_node *n, const char *key, struct arena *a, str *ret,
                     struct error *err)
{
    bool b;
    int64_t i;
    double f;
    if (n->kind != YAML_SCALAR)
        return wrong_type(n, key, "string", err);
    *ret = n->text;
    if (n->is_quoted)
        return 0;
    if (yaml_bool(n, &b)) {
        *ret = b ? STR("1") : STR("0");
    } else if (yaml_int(n, &i)) {
        *ret = arena_printf(a, "%lld", (long long)i);
    } else if (yaml_float(n, &f)) {
        struct value v = VALUE_N(f);
        value_text(&v, a, ret);
    }
    return 0;
}

const struct yaml_node *stage_conf_get(const struct yaml_node *map, const char *key)
{
    if (map == NULL || map->kind != YAML_MAP)
        return NULL;
    for (size_t i = 0; i < map->n; i++)
        if (str_eq_nocase(map->keys[i]->text, str_c(key)))
            return map->items[i];
    return NULL;
}

static bool is_absent(const struct yaml_node *n)
{
    return n == NULL || yaml_is_null(n);
}

int stage_conf_node_str(const struct yaml_node *n, const char *key, str *ret, struct error *err)
{
    if (!node_is_string(n))
        return wrong_type(n, key, "string", err);
    *ret = n->text;
    return 0;
}

int stage_conf_node_float(const struct yaml_node *n, const char *key, double *ret,
                          struct error *err)
{
    return yaml_float(n, ret) ? 0 : wrong_type(n, key, "float64", err);
}

int stage_conf_str(const struct yaml_node *map, const char *key, str *ret, bool *ret_is_set,
                   struct error *err)
{
    const struct yaml_node *n = stage_conf_get(map, key);
    if (ret_is_set != NULL)
        *ret_is_set = !is_absent(n);
    if (is_absent(n))
        return 0;
    if (!node_is_string(n))
        return wrong_type(n, key, "string", err);
    *ret = n->text;
    return 0;
}

int stage_conf_bool(const struct yaml_node *map, const char *key, bool *ret, struct error *err)
{
    const struct yaml_node *n = stage_conf_get(map, key);
    if (is_absent(n))
        return 0;
    return !n->is_quoted && yaml_bool(n, ret) ? 0 : wrong_type(n, key, "bool", err);
}

int stage_conf_int(const struct yaml_node *map, const char *key, int64_t *ret, struct error *err)
{
    const struct yaml_node *n = stage_conf_get(map, key);
    if (is_absent(n))
        return 0;
    return yaml_int(n, ret) ? 0 : wrong_type(n, key, "int", err);
}

int stage_conf_float(const struct yaml_node *map, const char *key, double *ret, struct error *err)
{
    const struct yaml_node *n = stage_conf_get(map, key);
    if (is_absent(n))
        return 0;
    return yaml_float(n, ret) ? 0 : wrong_type(n, key, "float64", err);
}

int stage_conf_strs(const struct yaml_node *map, const char *key, struct arena *a, str **ret,
                    size_t *ret_n, struct error *err)
{
    return stage_conf_node_strs(stage_conf_get(map, key), key, a, ret, ret_n, err);
}

int stage_conf_node_strs(const struct yaml_node *n, const char *key, struct arena *a, str **ret,
                         size_t *ret_n, struct error *err)
{
    if (is_absent(n))
        return 0;
    if (n->kind != YAML_LIST)
        return error_set(err, E_PARSE,
                         "line %d: '%s': source data must be an array or slice, got %s", n->line,
                         key, stage_conf_type(n));
    str *items = ARENA_ARRAY(a, str, MAX(n->n, 1));
    for (size_t i = 0; i < n->n; i++) {
        items[i] = STR_EMPTY;
        if (!yaml_is_null(n->items[i]) && !node_is_string(n->items[i]))
            return wrong_type(n->items[i], key, "string", err);
        if (!yaml_is_null(n->items[i]))
            items[i] = n->items[i]->text;
    }
    *ret = items;
    *ret_n = n->n;
    return 0;
}

/* --- what WeakDecode makes of other types --- */

int stage_weak_str(const struct yaml_node *map, const char *key, struct arena *a, str *ret,
                   bool *ret_is_set, struct error *err)
{
    const struct yaml_node *n = stage_conf_get(map, key);
    if (ret_is_set != NULL)
        *ret_is_set = !is_absent(n);
    return is_absent(n) ? 0 : weak_text(n, key, a, ret, err);
}

static bool is_empty_text(const struct yaml_node *n)
{
    return n->kind == YAML_SCALAR && n->text.len == 0;
}

int stage_weak_bool(const struct yaml_node *map, const char *key, bool *ret, struct error *err)
{
    const struct yaml_node *n = stage_conf_get(map, key);
    double f;
    if (is_absent(n) || is_empty_text(n)) {
        *ret = is_absent(n) && *ret;
        return 0;
    }
    if (!n->is_quoted && yaml_bool(n, ret))
        return 0;
    if (yaml_float(n, &f)) {
        *ret = f != 0;
        return 0;
    }
    if (node_is_string(n) && goparse_bool(n->text, ret) == 0)
        return 0;
    return not_parsed(n, key, "bool", "ParseBool", err);
}

static int weak_whole(const struct yaml_node *n, const char *key, int64_t *ret, const char *wanted,
                      const char *func, struct error *err)
{
    bool b;
    double f;
    if (is_absent(n) || yaml_int(n, ret))
        return 0;
    if (yaml_float(n, &f) && f > -9e18 && f < 9e18) {
        *ret = (int64_t)f;
        return 0;
    }
    if (!n->is_quoted && yaml_bool(n, &b)) {
        *ret = b;
        return 0;
    }
    if (is_empty_text(n)) {
        *ret = 0;
        return 0;
    }
    bool is_signed = strcmp(wanted, "int") == 0;
    if (node_is_string(n) && (is_signed || !str_has_prefix(n->text, STR("-"))) &&
        goparse_int(n->text, 0, 64, ret) == 0)
        return 0;
    return not_parsed(n, key, wanted, func, err);
}

int stage_weak_int(const struct yaml_node *map, const char *key, int64_t *ret, struct error *err)
{
    return weak_whole(stage_conf_get(map, key), key, ret, "int", "ParseInt", err);
}

int stage_weak_uint(const struct yaml_node *map, const char *key, int64_t *ret, struct error *err)
{
    return weak_whole(stage_conf_get(map, key), key, ret, "uint", "ParseUint", err);
}

int stage_weak_float(const struct yaml_node *map, const char *key, double *ret, struct error *err)
{
    const struct yaml_node *n = stage_conf_get(map, key);
    bool b;
    if (is_absent(n) || yaml_float(n, ret))
        return 0;
    if (!n->is_quoted && yaml_bool(n, &b)) {
        *ret = b;
        return 0;
    }
    if (is_empty_text(n)) {
        *ret = 0;
        return 0;
    }
    if (node_is_string(n) && goparse_float(n->text, ret) == 0)
        return 0;
    return not_parsed(n, key, "float", "ParseFloat", err);
}

int stage_weak_strs(const struct yaml_node *map, const char *key, struct arena *a, str **ret,
                    size_t *ret_n, struct error *err)
{
    const struct yaml_node *n = stage_conf_get(map, key);
    if (is_absent(n))
        return 0;
    bool is_list = n->kind == YAML_LIST;
    size_t count = is_list ? n->n : 1;
    str *items = ARENA_ARRAY(a, str, MAX(count, 1));
    for (size_t i = 0; i < count; i++) {
        const struct yaml_node *item = is_list ? n->items[i] : n;
        items[i] = STR_EMPTY;
        int rc = is_absent(item) ? 0 : weak_text(item, key, a, &items[i], err);
        if (rc != 0)
            return rc;
    }
    *ret = items;
    *ret_n = count;
    return 0;
}

int stage_conf_pairs(const struct yaml_node *map, struct arena *a, struct stage_pair **ret,
                     size_t *ret_n, struct error *err)
{
    *ret = NULL;
    *ret_n = 0;
    if (is_absent(map))
        return 0;
    if (map->kind != YAML_MAP)
        return error_set(err, E_PARSE, "line %d: '' expected a map, got '%s'", map->line,
                         stage_conf_type(map));
    struct stage_pair *items = ARENA_ARRAY(a, struct stage_pair, map->n > 0 ? map->n : 1);
    for (size_t i = 0; i < map->n; i++) {
        const struct yaml_node *key = map->keys[i], *value = map->items[i];
        if (!node_is_string(key))
            return wrong_type(key, "key", "string", err);
        if (!yaml_is_null(value) && !node_is_string(value))
            return wrong_type(value, arena_printf(a, "[%.*s]", STR_ARG(key->text)).ptr, "string",
                              err);
        bool is_empty = yaml_is_null(value) || value->text.len == 0;
        items[i] = (struct stage_pair){key->text, is_empty ? key->text : value->text, is_empty};
    }
    *ret = items;
    *ret_n = map->n;
    return 0;
}
