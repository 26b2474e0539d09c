#include "runtime/yaml.h"

#include <math.h>

#include <yaml.h>

#include "base/base64.h"
#include "base/gofmt.h"
#include "base/map.h"
#include "base/vec.h"

#define NUMBER_TEXT_MAX 64
#define BINARY_TAG      "tag:yaml.org,2002:binary"

/* Our own enum names collide with none of libyaml's: those end in _EVENT, _TOKEN, _NODE, _ERROR. */

struct loader {
    yaml_parser_t parser;
    struct arena *arena;
    struct strmap anchors; /* name -> struct sized_node */
    size_t nodes;          /* with aliases counted as often as they are used */
    struct error *err;
};

/* A node and how many nodes stand in it, so that aliases of aliases cannot explode. */
struct sized_node {
    struct yaml_node *node;
    size_t size;
};

static int load_node(struct loader *l, const yaml_event_t *event, int depth,
                     struct yaml_node **ret);

/* Go's yaml.v2 counts lines as libyaml does, save that scanner errors are one further on. */
static int parser_error(struct loader *l)
{
    const yaml_parser_t *p = &l->parser;
    size_t line = p->problem_mark.line;
    if (line != 0)
        line += p->error == YAML_SCANNER_ERROR;
    else
        line = p->context_mark.line;
    const char *problem = p->problem != NULL ? p->problem : "unknown problem parsing YAML content";
    if (line != 0)
        return error_set_at(l->err, E_PARSE, (int)line, 0, "yaml: line %zu: %s", line, problem);
    return error_set(l->err, E_PARSE, "yaml: %s", problem);
}

static int next_event(struct loader *l, yaml_event_t *event)
{
    return yaml_parser_parse(&l->parser, event) ? 0 : parser_error(l);
}

static int count_nodes(struct loader *l, size_t n)
{
    l->nodes += n;
    if (l->nodes > YAML_NODES_MAX)
        return error_set(l->err, E_LIMIT, "yaml: document contains excessive aliasing");
    return 0;
}

static struct yaml_node *new_node(struct loader *l, const yaml_event_t *event, enum yaml_kind kind)
{
    struct yaml_node *n = ARENA_NEW(l->arena, struct yaml_node);
    n->kind = kind;
    n->line = (int)event->start_mark.line + 1;
    n->col = (int)event->start_mark.column + 1;
    n->text = STR_EMPTY;
    return n;
}

static void keep_anchor(struct loader *l, const yaml_char_t *anchor, struct yaml_node *node,
                        size_t size)
{
    if (anchor == NULL)
        return;
    struct sized_node *kept = ARENA_NEW(l->arena, struct sized_node);
    *kept = (struct sized_node){node, size};
    strmap_put(&l->anchors, str_c((const char *)anchor), kept);
}

static int load_alias(struct loader *l, const yaml_event_t *event, struct yaml_node **ret)
{
    const char *name = (const char *)event->data.alias.anchor;
    const struct sized_node *kept = strmap_get(&l->anchors, str_c(name));
    if (kept == NULL)
        return error_set(l->err, E_PARSE, "yaml: unknown anchor '%s' referenced", name);
    *ret = kept->node;
    return count_nodes(l, kept->size);
}

/* !!binary: what Go's yaml.v2 writes for a text that is not UTF-8. */
static int decode_binary(struct loader *l, struct yaml_node *n)
{
    struct buf bytes;
    buf_init(&bytes, n->text.len);
    struct error why = {0};
    int rc = base64_decode(&bytes, n->text, &why);
    if (rc == 0)
        n->text = arena_str(l->arena, buf_str(&bytes));
    else
        error_set_at(l->err, rc, n->line, n->col,
                     "yaml: line %d: !!binary value contains invalid base64 data", n->line);
    buf_deinit(&bytes);
    return rc;
}

static int load_scalar(struct loader *l, const yaml_event_t *event, struct yaml_node **ret)
{
    struct yaml_node *n = new_node(l, event, YAML_SCALAR);
    n->text = arena_str(
        l->arena, str_make((const char *)event->data.scalar.value, event->data.scalar.length));
    n->is_quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    const char *tag = (const char *)event->data.scalar.tag;
    bool is_binary = tag != NULL && strcmp(tag, BINARY_TAG) == 0;
    if (is_binary || (tag != NULL && strcmp(tag, YAML_STR_TAG) == 0))
        n->is_quoted = true;
    if (!n->is_quoted && yaml_is_null(n))
        n->kind = YAML_NULL;
    *ret = n;
    return is_binary ? decode_binary(l, n) : 0;
}

typedef VEC(struct yaml_node *) node_vec;

static int load_list(struct loader *l, const yaml_event_t *start, int depth, struct yaml_node **ret)
{
    struct yaml_node *list = new_node(l, start, YAML_LIST);
    node_vec items = {0};
    for (;;) {
        yaml_event_t event;
        int rc = next_event(l, &event);
        if (rc != 0)
            return rc;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            break;
        }
        struct yaml_node *item = NULL;
        rc = load_node(l, &event, depth + 1, &item);
        yaml_event_delete(&event);
        if (rc != 0)
            return rc;
        VEC_PUSH_ARENA(l->arena, &items, item);
    }
    list->items = items.items;
    list->n = items.len;
    *ret = list;
    return 0;
}

/* A map as it grows. */
struct open_map {
    node_vec keys, values;
    struct strmap slots;          /* text of the key -> struct slot */
    const struct yaml_node *both; /* see struct yaml_node */
};

struct slot {
    size_t at;
    bool is_written; /* in the map itself, not merged */
};

/* The last one wins, whether written or merged, as in Go's structs. */
static int put_pair(struct loader *l, struct open_map *m, struct yaml_node *key,
                    struct yaml_node *value, bool is_written)
{
    struct slot *slot = strmap_get(&m->slots, key->text);
    if (slot == NULL) {
        slot = ARENA_NEW(l->arena, struct slot);
        *slot = (struct slot){m->keys.len, is_written};
        strmap_put(&m->slots, key->text, slot);
        VEC_PUSH_ARENA(l->arena, &m->keys, key);
        VEC_PUSH_ARENA(l->arena, &m->values, value);
        return 0;
    }
    if (is_written && slot->is_written)
        return error_set_at(l->err, E_PARSE, key->line, key->col,
                            "yaml: unmarshal errors:\n  line %d: key \"%.*s\" already set in map",
                            key->line, STR_ARG(key->text));
    slot->is_written |= is_written;
    m->both = m->both != NULL ? m->both : key;
    m->keys.items[slot->at] = key;
    m->values.items[slot->at] = value;
    return 0;
}

/* Adds the pairs of `from`: a map, or a list of maps of which the first wins. */
static int merge_map(struct loader *l, const struct yaml_node *from, struct open_map *m)
{
    if (from->kind == YAML_LIST) {
        for (size_t i = from->n; i > 0; i--) {
            if (from->items[i - 1]->kind != YAML_MAP)
                return error_set(l->err, E_PARSE,
                                 "yaml: map merge requires map or sequence of maps as the value");
            int rc = merge_map(l, from->items[i - 1], m);
            if (rc != 0)
                return rc;
        }
        return 0;
    }
    if (from->kind != YAML_MAP)
        return error_set(l->err, E_PARSE,
                         "yaml: map merge requires map or sequence of maps as the value");
    for (size_t i = 0; i < from->n; i++)
        put_pair(l, m, from->keys[i], from->items[i], false);
    return count_nodes(l, from->n);
}

static int load_pair(struct loader *l, const yaml_event_t *key_event, int depth, struct open_map *m)
{
    struct yaml_node *key = NULL, *value = NULL;
    int rc = load_node(l, key_event, depth + 1, &key);
    if (rc != 0)
        return rc;
    if (key->kind == YAML_LIST || key->kind == YAML_MAP)
        return error_set_at(l->err, E_PARSE, key->line, key->col, "yaml: line %d: invalid map key",
                            key->line);
    yaml_event_t event;
    rc = next_event(l, &event);
    if (rc != 0)
        return rc;
    rc = load_node(l, &event, depth + 1, &value);
    yaml_event_delete(&event);
    if (rc != 0)
        return rc;
    if (str_eq(key->text, STR("<<")) && !key->is_quoted)
        return merge_map(l, value, m);
    return put_pair(l, m, key, value, true);
}

static int load_pairs(struct loader *l, int depth, struct open_map *m)
{
    for (;;) {
        yaml_event_t event;
        int rc = next_event(l, &event);
        if (rc != 0)
            return rc;
        bool is_end = event.type == YAML_MAPPING_END_EVENT;
        if (!is_end)
            rc = load_pair(l, &event, depth, m);
        yaml_event_delete(&event);
        if (is_end || rc != 0)
            return rc;
    }
}

static int load_map(struct loader *l, const yaml_event_t *start, int depth, struct yaml_node **ret)
{
    struct yaml_node *map = new_node(l, start, YAML_MAP);
    struct open_map m = {0};
    strmap_init(&m.slots);
    int rc = load_pairs(l, depth, &m);
    strmap_deinit(&m.slots);
    if (rc != 0)
        return rc;
    map->keys = m.keys.items;
    map->items = m.values.items;
    map->n = m.keys.len;
    map->both = m.both;
    *ret = map;
    return 0;
}

static int load_node(struct loader *l, const yaml_event_t *event, int depth, struct yaml_node **ret)
{
    if (depth > YAML_DEPTH_MAX)
        return error_set(l->err, E_LIMIT, "yaml: exceeded max depth of %d", YAML_DEPTH_MAX);
    int rc = count_nodes(l, 1);
    if (rc != 0)
        return rc;
    size_t before = l->nodes;
    const yaml_char_t *anchor = NULL;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return load_alias(l, event, ret);
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        rc = load_scalar(l, event, ret);
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        rc = load_list(l, event, depth, ret);
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        rc = load_map(l, event, depth, ret);
        break;
    default:
        return error_set(l->err, E_PARSE, "yaml: unexpected event");
    }
    if (rc == 0)
        keep_anchor(l, anchor, *ret, l->nodes - before + 1);
    return rc;
}

/* The stream and document brackets around the root node. */
static int load_document(struct loader *l, struct yaml_node **ret)
{
    for (;;) {
        yaml_event_t event;
        int rc = next_event(l, &event);
        if (rc != 0)
            return rc;
        yaml_event_type_t type = event.type;
        bool is_root = type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT &&
                       type != YAML_STREAM_END_EVENT;
        if (is_root)
            rc = load_node(l, &event, 0, ret);
        else if (type == YAML_STREAM_END_EVENT)
            *ret = new_node(l, &event, YAML_NULL);
        yaml_event_delete(&event);
        if (rc != 0 || is_root || type == YAML_STREAM_END_EVENT)
            return rc;
    }
}

/* Reads on to the end: what follows the root must be well-formed too. */
static int finish_document(struct loader *l)
{
    for (;;) {
        yaml_event_t event;
        int rc = next_event(l, &event);
        if (rc != 0)
            return rc;
        yaml_event_type_t type = event.type;
        yaml_event_delete(&event);
        if (type == YAML_DOCUMENT_END_EVENT || type == YAML_STREAM_END_EVENT ||
            type == YAML_NO_EVENT)
            return 0;
    }
}

int yaml_load(str text, struct arena *a, struct yaml_node **ret, struct error *err)
{
    struct loader l = {.arena = a, .err = err};
    if (!yaml_parser_initialize(&l.parser))
        return error_set(err, E_NO_MEMORY, "yaml: out of memory");
    strmap_init(&l.anchors);
    yaml_parser_set_input_string(&l.parser, (const unsigned char *)text.ptr, text.len);
    struct yaml_node *root = NULL;
    int rc = load_document(&l, &root);
    if (rc == 0)
        rc = finish_document(&l);
    if (rc == 0)
        *ret = root;
    strmap_deinit(&l.anchors);
    yaml_parser_delete(&l.parser);
    return rc;
}

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (map == NULL || map->kind != YAML_MAP)
        return NULL;
    for (size_t i = 0; i < map->n; i++)
        if (str_eq_c(map->keys[i]->text, key))
            return map->items[i];
    return NULL;
}

static bool is_one_of(str s, const char *const *words)
{
    for (; *words != NULL; words++)
        if (str_eq_c(s, *words))
            return true;
    return false;
}

bool yaml_bool(const struct yaml_node *n, bool *ret)
{
    static const char *const yes[] = {"y",  "Y",  "yes",  "Yes",  "YES",  "on",
                                      "On", "ON", "true", "True", "TRUE", NULL};
    static const char *const no[] = {"n",   "N",   "no",    "No",    "NO",    "off",
                                     "Off", "OFF", "false", "False", "FALSE", NULL};
    if (n->kind != YAML_SCALAR || n->is_quoted)
        return false;
    bool is_yes = is_one_of(n->text, yes);
    if (is_yes || is_one_of(n->text, no)) {
        *ret = is_yes;
        return true;
    }
    return false;
}

/* The text without underscores, as YAML 1.1 allows them in numbers; false if too long. */
static bool plain_number(const struct yaml_node *n, char out[NUMBER_TEXT_MAX], str *ret)
{
    size_t len = 0;
    if (n->kind != YAML_SCALAR || n->is_quoted || n->text.len == 0 ||
        n->text.len >= NUMBER_TEXT_MAX)
        return false;
    for (size_t i = 0; i < n->text.len; i++)
        if (n->text.ptr[i] != '_')
            out[len++] = n->text.ptr[i];
    *ret = str_make(out, len);
    return len > 0;
}

bool yaml_int(const struct yaml_node *n, int64_t *ret)
{
    char text[NUMBER_TEXT_MAX];
    str s;
    return plain_number(n, text, &s) && goparse_int(s, 0, 64, ret) == 0;
}

/* .inf and .nan, in the spellings of YAML 1.1. */
static bool is_special_float(str s, double *ret)
{
    static const char *const nan[] = {".nan", ".NaN", ".NAN", NULL};
    static const char *const inf[] = {".inf", ".Inf", ".INF", NULL};
    if (is_one_of(s, nan)) {
        *ret = NAN;
        return true;
    }
    bool has_sign = s.len > 0 && (s.ptr[0] == '+' || s.ptr[0] == '-');
    if (!is_one_of(str_from(s, has_sign), inf))
        return false;
    *ret = s.ptr[0] == '-' ? -INFINITY : INFINITY;
    return true;
}

bool yaml_float(const struct yaml_node *n, double *ret)
{
    char text[NUMBER_TEXT_MAX];
    str s;
    int64_t i;
    if (yaml_int(n, &i)) {
        *ret = (double)i;
        return true;
    }
    if (!plain_number(n, text, &s))
        return false;
    if (is_special_float(n->text, ret))
        return true;
    char last = s.ptr[s.len - 1];
    if (!((last >= '0' && last <= '9') || last == '.'))
        return false; /* inf, nan without a dot, 1p: words to YAML */
    return goparse_float(s, ret) == 0;
}

bool yaml_is_null(const struct yaml_node *n)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    return n->kind == YAML_NULL ||
           (n->kind == YAML_SCALAR && !n->is_quoted && is_one_of(n->text, nulls));
}
