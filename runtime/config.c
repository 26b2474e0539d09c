#include "runtime/config.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "runtime/config_internal.h"

#define CONFIG_ERRORS_MAX 20
#define NUMBER_TEXT_MAX   64
#define INT64_EDGE        9223372036854775808.0

void config_defaults(const struct config_key *table, void *into, struct arena *a)
{
    for (const struct config_key *k = table; k->name != NULL; k++) {
        void *field = (char *)into + k->offset;
        if (k->type == CONFIG_BLOCK)
            config_defaults(k->table, field, a);
        else if (k->type < CONFIG_BLOCK || k->type == CONFIG_STRING_LIST) {
            int rc = config_value_parse(k, str_c(k->def), a, field, NULL);
            ASSERT(rc == 0); /* a default that its own key refuses */
        }
    }
}

/* --- errors --- */

static int add_error(struct config_reader *r, const struct yaml_node *at, const char *text)
{
    if (++r->n_errors <= CONFIG_ERRORS_MAX) {
        if (r->errors.len > 0)
            buf_append_char(&r->errors, '\n');
        else if (at != NULL)
            r->first_line = at->line;
        if (at != NULL)
            buf_printf(&r->errors, "%s:%d: ", r->source->file, at->line);
        if (r->path.len > 0)
            buf_printf(&r->errors, "%.*s: ", STR_ARG(buf_str(&r->path)));
        buf_append_c(&r->errors, text);
    }
    return E_PARSE;
}

int config_fail(struct config_reader *r, const struct yaml_node *at, const char *fmt, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return add_error(r, at, text);
}

void config_warn(struct config_reader *r, const struct yaml_node *at, const char *fmt, ...)
{
    if (r->source->warn == NULL)
        return;
    char text[ERROR_TEXT_MAX], whole[ERROR_TEXT_MAX + 512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    snprintf(whole, sizeof whole, "%s:%d: %.*s: %s", r->source->file, at->line,
             STR_ARG(buf_str(&r->path)), text);
    r->source->warn(r->source->arg, whole);
}

struct arena *config_arena(struct config_reader *r)
{
    return r->arena;
}

/* --- reading --- */

static int read_strings(struct config_reader *r, const struct yaml_node *node,
                        struct config_strings *into)
{
    if (node->kind == YAML_SCALAR) {
        struct config_key key = {.name = "", .type = CONFIG_STRING_LIST};
        return config_value_parse(&key, node->text, r->arena, into, NULL);
    }
    if (node->kind != YAML_LIST)
        return config_fail(r, node, "expected a list of strings");
    const char **items = ARENA_ARRAY(r->arena, const char *, node->n);
    for (size_t i = 0; i < node->n; i++) {
        if (node->items[i]->kind != YAML_SCALAR)
            return config_fail(r, node->items[i], "expected a string");
        items[i] = arena_c(r->arena, node->items[i]->text);
    }
    *into = (struct config_strings){items, node->n};
    return 0;
}

/* What the value parser reads: numbers and booleans as YAML 1.1 spells them in plain digits and
 * words.  False if the node holds another type: quoted, it is a string, as to Go's YAML reader. */
static bool scalar_text(enum config_type type, const struct yaml_node *node,
                        char number[NUMBER_TEXT_MAX], str *ret)
{
    bool v;
    int64_t i;
    double f;
    *ret = node->text;
    switch (type) {
    case CONFIG_BOOL:
        if (!yaml_bool(node, &v))
            return false;
        *ret = v ? STR("true") : STR("false");
        return true;
    case CONFIG_DURATION:
    case CONFIG_DURATION_GO:
        if (!yaml_int(node, &i))
            return true;
        *ret = str_make(number, (size_t)snprintf(number, NUMBER_TEXT_MAX, "%" PRId64 "ns", i));
        return true;
    case CONFIG_INT:
    case CONFIG_UINT:
    case CONFIG_FLOAT:
        if (!yaml_float(node, &f))
            return false;
        if (type == CONFIG_FLOAT)
            *ret = str_make(number, (size_t)snprintf(number, NUMBER_TEXT_MAX, "%.17g", f));
        else if (yaml_int(node, &i))
            *ret = str_make(number, (size_t)snprintf(number, NUMBER_TEXT_MAX, "%" PRId64, i));
        else if (f > -INT64_EDGE && f < INT64_EDGE)
            *ret =
                str_make(number, (size_t)snprintf(number, NUMBER_TEXT_MAX, "%" PRId64, (int64_t)f));
        return true;
    default:
        return true;
    }
}

static int read_scalar(struct config_reader *r, const struct config_key *k,
                       const struct yaml_node *node, void *field)
{
    if (node->kind == YAML_NULL) {
        if (r->source->null_is_zero)
            config_value_clear(k, field);
        return 0;
    }
    if (k->type == CONFIG_STRING_LIST)
        return read_strings(r, node, field);
    if (node->kind != YAML_SCALAR)
        return config_fail(r, node, "expected a %s, found a %s", config_type_name(k->type),
                           node->kind == YAML_LIST ? "list" : "map");
    char number[NUMBER_TEXT_MAX];
    str text;
    if (!scalar_text(k->type, node, number, &text))
        return config_fail(r, node, "\"%.*s\" is not a valid %s", STR_ARG(node->text),
                           config_type_name(k->type));
    struct error err = {0};
    if (config_value_parse(k, text, r->arena, field, &err) != 0)
        return config_fail(r, node, "%s", err.text);
    return 0;
}

int config_read_value(struct config_reader *r, enum config_type type, const struct yaml_node *node,
                      void *field)
{
    struct config_key key = {.name = "", .type = type};
    return read_scalar(r, &key, node, field);
}

static const struct config_key *find_key(const struct config_key *table, str name)
{
    for (const struct config_key *k = table; k->name != NULL; k++)
        if (str_eq_c(name, k->name))
            return k;
    return NULL;
}

static int read_key(struct config_reader *r, const struct config_key *k,
                    const struct yaml_node *node, void *into)
{
    void *field = (char *)into + k->offset;
    switch (k->type) {
    case CONFIG_BLOCK:
        return config_read_over(r, k->table, node, field);
    case CONFIG_CUSTOM:
        return k->custom(r, node, field);
    case CONFIG_IGNORED:
        config_warn(r, node, "accepted, but of no meaning here");
        return 0;
    case CONFIG_UNSUPPORTED:
        if (!r->source->lenient)
            return config_fail(r, node, "%s (-config.lenient makes this a warning)",
                               k->help ? k->help : "known to Loki, not supported here");
        config_warn(r, node, "%s", k->help ? k->help : "known to Loki, not supported here");
        return 0;
    default:
        return read_scalar(r, k, node, field);
    }
}

int config_read_into(struct config_reader *r, const struct config_key *key,
                     const struct yaml_node *node, void *field)
{
    return read_key(r, key, node, field);
}

/* A name in the table that is close to a misspelt one, for the error text. */
static const char *closest(const struct config_key *table, str name)
{
    const char *best = NULL;
    size_t best_distance = name.len / 3 + 1;
    for (const struct config_key *k = table; k->name != NULL; k++) {
        size_t d = config_edit_distance(str_c(k->name), name);
        if (d <= best_distance) {
            best_distance = d;
            best = k->name;
        }
    }
    return best;
}

static int unknown_key(struct config_reader *r, const struct config_key *table,
                       const struct yaml_node *key)
{
    const char *near = closest(table, key->text);
    char hint[128] = "";
    if (near != NULL)
        snprintf(hint, sizeof hint, ", did you mean \"%s\"?", near);
    if (r->source->go_texts)
        return config_fail(r, key, "field %.*s not found%s", STR_ARG(key->text), hint);
    return config_fail(r, key, "unknown key%s", hint);
}

int config_read_over(struct config_reader *r, const struct config_key *table,
                     const struct yaml_node *node, void *into)
{
    if (node->kind == YAML_NULL)
        return 0;
    if (node->kind != YAML_MAP)
        return config_fail(r, node, "expected a map");
    int rc = 0;
    for (size_t i = 0; i < node->n; i++) {
        const struct yaml_node *key = node->keys[i];
        const struct config_key *k = find_key(table, key->text);
        size_t depth = r->path.len;
        if (depth > 0)
            buf_append_char(&r->path, '.');
        buf_append_str(&r->path, key->text);
        int one = 0;
        if (k != NULL) {
            one = read_key(r, k, node->items[i], into);
        } else {
            one = unknown_key(r, table, key);
        }
        if (one != 0)
            rc = one;
        r->path.len = depth;
    }
    return rc;
}

int config_read_block(struct config_reader *r, const struct config_key *table,
                      const struct yaml_node *node, void *into)
{
    config_defaults(table, into, r->arena);
    return config_read_over(r, table, node, into);
}

static int report(struct config_reader *r, struct error *err)
{
    if (r->n_errors > CONFIG_ERRORS_MAX)
        buf_printf(&r->errors, "\nand %zu more", r->n_errors - CONFIG_ERRORS_MAX);
    return error_set_at(err, E_PARSE, r->first_line, 0, "%s", buf_c(&r->errors));
}

int config_load(const struct config_key *table, void *into, str text,
                const struct config_source *source, struct arena *a, struct error *err)
{
    struct config_reader r = {.source = source, .arena = a};
    struct buf expanded;
    buf_init(&expanded, CONFIG_FILE_BYTES_MAX);
    buf_init(&r.errors, ERROR_TEXT_MAX * 4);
    buf_init(&r.path, 64 * 1024);
    int rc = 0;
    if (source->expand_env) {
        rc = config_expand_env(text, &expanded, err);
        text = buf_str(&expanded);
    }
    struct yaml_node *root = NULL;
    if (rc == 0)
        rc = yaml_load(text, a, &root, err);
    if (rc != 0)
        error_prefix(err, "%s: ", source->file);
    else if ((rc = config_read_over(&r, table, root, into)) != 0)
        report(&r, err);
    buf_deinit(&r.path);
    buf_deinit(&r.errors);
    buf_deinit(&expanded);
    return rc;
}
