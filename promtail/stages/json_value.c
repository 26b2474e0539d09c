#include "promtail/stages/json_value.h"

#include <math.h>

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

static void print_number(double v, struct buf *out)
{
    double size = fabs(v);
    bool has_exponent = size != 0 && (size < 1e-6 || size >= 1e21);
    gofmt_float(out, v, has_exponent ? 'e' : 'f', -1);
    if (has_exponent && str_has_suffix(str_sub(buf_str(out), 0, out->len - 1), STR("e-0"))) {
        out->ptr[out->len - 2] = out->ptr[out->len - 1]; /* e-07 is written e-7 */
        out->len--;
    }
}

bool json_tree_print(const struct json_tree *t, struct buf *out)
{
    bool is_object = t->type == JSON_VALUE_OBJECT;
    switch (t->type) {
    case JSON_VALUE_NULL:
        return buf_append_c(out, "null");
    case JSON_VALUE_EXPRESSION: /* &a: a Go struct without public fields */
        return buf_append_c(out, "{}");
    case JSON_VALUE_BOOL:
        return buf_append_c(out, t->is_true ? "true" : "false");
    case JSON_VALUE_NUMBER:
        print_number(t->number, out);
        return !out->failed;
    case JSON_VALUE_STRING:
        return json_append_string(out, t->text);
    case JSON_VALUE_ARRAY:
    case JSON_VALUE_OBJECT:
        break;
    }
    buf_append_char(out, is_object ? '{' : '[');
    for (size_t i = 0; i < t->n && !out->failed; i++) {
        if (i > 0)
            buf_append_char(out, ',');
        if (is_object) {
            json_append_string(out, t->keys[i]);
            buf_append_char(out, ':');
        }
        json_tree_print(t->items[i], out);
    }
    return buf_append_char(out, is_object ? '}' : ']') && !out->failed;
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
