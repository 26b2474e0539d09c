#include "promtail/stages/json_value.h"

#include <math.h>
#include <stdlib.h>

#include "base/gofmt.h"
#include "base/mem.h"
#include "base/vec.h"
#include "proto/json_writer.h"

/* Nesting is limited by the scanner (JSON_DEPTH_MAX). */
static const struct json_tree *read_one(struct json_scan *j, struct arena *a);

static void read_array(struct json_scan *j, struct arena *a, struct json_tree *t)
{
    VEC(const struct json_tree *) items = {0};
    t->type = JSON_VALUE_ARRAY;
    json_array_begin(j);
    while (json_array_next(j))
        VEC_PUSH_ARENA(a, &items, read_one(j, a));
    t->items = items.items;
    t->n = items.len;
}

/* Of equal keys the last one counts. */
static void put(struct json_tree *t, struct arena *a, size_t *cap, str key,
                const struct json_tree *item)
{
    for (size_t i = 0; i < t->n; i++)
        if (str_eq(t->keys[i], key)) {
            t->items[i] = item;
            return;
        }
    if (t->n == *cap) {
        *cap = MAX(*cap * 2, (size_t)8);
        const struct json_tree **items = arena_alloc(a, *cap * sizeof *items);
        str *keys = arena_alloc(a, *cap * sizeof *keys);
        if (t->n > 0) {
            memcpy(items, t->items, t->n * sizeof *items);
            memcpy(keys, t->keys, t->n * sizeof *keys);
        }
        t->items = items;
        t->keys = keys;
    }
    t->keys[t->n] = key;
    t->items[t->n++] = item;
}

static void read_object(struct json_scan *j, struct arena *a, struct json_tree *t)
{
    str key;
    size_t cap = 0;
    t->type = JSON_VALUE_OBJECT;
    json_object_begin(j);
    while (json_object_next(j, &key)) {
        str name = json_unescape_arena(key, a);
        put(t, a, &cap, name.ptr != NULL ? name : key, read_one(j, a));
    }
}

static const struct json_tree *read_one(struct json_scan *j, struct arena *a)
{
    struct json_tree *t = ARENA_NEW(a, struct json_tree);
    str number;
    switch (json_peek(j)) {
    case JSON_OBJECT:
        read_object(j, a, t);
        break;
    case JSON_ARRAY:
        read_array(j, a, t);
        break;
    case JSON_STRING:
        t->type = JSON_VALUE_STRING;
        json_read_string(j, a, &t->text);
        break;
    case JSON_NUMBER:
        t->type = JSON_VALUE_NUMBER;
        if (json_read_number(j, &number) && goparse_float(number, &t->number) != 0)
            j->bad = true; /* beyond a float64 */
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        t->type = JSON_VALUE_BOOL;
        json_read_bool(j, &t->is_true);
        break;
    case JSON_NULL:
    case JSON_NOTHING:
        json_read_null(j);
        break;
    }
    return t;
}

const struct json_tree *json_tree_read(str text, struct arena *a)
{
    struct json_scan j = json_line_scan(text);
    const struct json_tree *t = read_one(&j, a);
    return json_ok(&j) && json_at_end(&j) ? t : NULL;
}

const struct json_tree *json_tree_get(const struct json_tree *object, str key)
{
    for (size_t i = 0; object->type == JSON_VALUE_OBJECT && i < object->n; i++)
        if (str_eq(object->keys[i], key))
            return object->items[i];
    return NULL;
}

bool json_tree_eq(const struct json_tree *a, const struct json_tree *b)
{
    if (a == b)
        return true;
    if (a->type != b->type || a->n != b->n)
        return false;
    switch (a->type) {
    case JSON_VALUE_NULL:
        return true;
    case JSON_VALUE_BOOL:
        return a->is_true == b->is_true;
    case JSON_VALUE_NUMBER:
        return a->number == b->number;
    case JSON_VALUE_STRING:
        return str_eq(a->text, b->text);
    case JSON_VALUE_EXPRESSION:
        return false;
    case JSON_VALUE_ARRAY:
    case JSON_VALUE_OBJECT:
        break;
    }
    for (size_t i = 0; i < a->n; i++) {
        const struct json_tree *other =
            a->type == JSON_VALUE_ARRAY ? b->items[i] : json_tree_get(b, a->keys[i]);
        if (other == NULL || !json_tree_eq(a->items[i], other))
            return false;
    }
    return true;
}

struct member {
    str key;
    const struct json_tree *value;
};

static int compare_members(const void *a, const void *b)
{
    return str_cmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

/* In the order of their keys if `is_sorted`; to be freed. */
static struct member *members_of(const struct json_tree *object, bool is_sorted)
{
    struct member *m = mem_alloc(MAX(object->n, 1) * sizeof *m);
    for (size_t i = 0; i < object->n; i++)
        m[i] = (struct member){object->keys[i], object->items[i]};
    if (is_sorted)
        qsort(m, object->n, sizeof *m, compare_members);
    return m;
}

static bool print(const struct json_tree *t, struct buf *out, bool is_go);

static bool print_string(str text, struct buf *out, bool is_go)
{
    return is_go ? json_append_string_go(out, text, true) : json_append_string(out, text);
}

static bool print_object(const struct json_tree *t, struct buf *out, bool is_go)
{
    struct member *members = members_of(t, is_go);
    buf_append_char(out, '{');
    for (size_t i = 0; i < t->n && !out->failed; i++) {
        if (i > 0)
            buf_append_char(out, ',');
        print_string(members[i].key, out, is_go);
        buf_append_char(out, ':');
        print(members[i].value, out, is_go);
    }
    mem_free(members);
    return buf_append_char(out, '}') && !out->failed;
}

static bool print_array(const struct json_tree *t, struct buf *out, bool is_go)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < t->n && !out->failed; i++) {
        if (i > 0)
            buf_append_char(out, ',');
        print(t->items[i], out, is_go);
    }
    return buf_append_char(out, ']') && !out->failed;
}

static bool print_number(double v, struct buf *out, bool is_go)
{
    double size = fabs(v);
    if (is_go)
        gofmt_float_json(out, v);
    else
        gofmt_float(out, v, size != 0 && (size < 1e-6 || size >= 1e21) ? 'e' : 'f', -1);
    return !out->failed;
}

static bool print(const struct json_tree *t, struct buf *out, bool is_go)
{
    switch (t->type) {
    case JSON_VALUE_NULL:
        return buf_append_c(out, "null");
    case JSON_VALUE_EXPRESSION: /* &a: a Go struct without public fields */
        return buf_append_c(out, "{}");
    case JSON_VALUE_BOOL:
        return buf_append_c(out, t->is_true ? "true" : "false");
    case JSON_VALUE_NUMBER:
        return print_number(t->number, out, is_go);
    case JSON_VALUE_STRING:
        return print_string(t->text, out, is_go);
    case JSON_VALUE_ARRAY:
        return print_array(t, out, is_go);
    case JSON_VALUE_OBJECT:
        return print_object(t, out, is_go);
    }
    return false;
}

bool json_tree_print(const struct json_tree *t, struct buf *out)
{
    return print(t, out, false);
}

bool json_tree_print_go(const struct json_tree *t, struct buf *out)
{
    return print(t, out, true);
}

struct value json_tree_value(const struct json_tree *t, struct arena *a)
{
    switch (t->type) {
    case JSON_VALUE_BOOL:
        return VALUE_B(t->is_true);
    case JSON_VALUE_NUMBER:
        return VALUE_N(t->number);
    case JSON_VALUE_STRING:
        return VALUE_S(t->text);
    case JSON_VALUE_EXPRESSION:
    case JSON_VALUE_ARRAY:
    case JSON_VALUE_OBJECT: {
        struct buf out;
        buf_init(&out, JSON_PRINT_BYTES_MAX);
        bool fits = json_tree_print(t, &out);
        str text = arena_str(a, buf_str(&out));
        buf_deinit(&out);
        return fits ? VALUE_S(text) : VALUE_NIL;
    }
    case JSON_VALUE_NULL:
        break;
    }
    return VALUE_NIL;
}

struct value json_value(str text, struct arena *a)
{
    const struct json_tree *t = json_tree_read(text, a);
    return t != NULL ? json_tree_value(t, a) : VALUE_NIL;
}
