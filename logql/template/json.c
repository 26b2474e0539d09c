#include "logql/template/json.h"

#include "base/gofmt.h"
#include "base/mem.h"
#include "base/vec.h"
#include "proto/json_scan.h"
#include "proto/json_writer.h"

/* Items while an array is read; moved to the arena when their number is known. */
typedef VEC(struct tval) tval_vec;

static int read_value(struct json_scan *j, struct arena *a, struct tval *ret);

static int read_array(struct json_scan *j, struct arena *a, struct tval *ret)
{
    tval_vec items = {0};
    int rc = 0;
    json_array_begin(j);
    while (rc == 0 && json_array_next(j)) {
        struct tval v = tval_nil();
        rc = read_value(j, a, &v);
        if (rc == 0)
            VEC_PUSH(&items, v);
        if (items.len * sizeof v > a->limit)
            rc = E_LIMIT;
    }
    struct tlist *l = rc == 0 ? tlist_new(a, items.len, TLIST_ANY) : NULL;
    if (l != NULL && items.len > 0)
        memcpy(l->items, items.items, items.len * sizeof *l->items);
    if (rc == 0 && l == NULL)
        rc = E_LIMIT;
    VEC_FREE(&items);
    *ret = (struct tval){.type = TVAL_LIST, .list = l};
    return rc;
}

static int read_object(struct json_scan *j, struct arena *a, struct tval *ret)
{
    struct tmap *m = tmap_new(a, TMAP_ANY);
    int rc = m == NULL ? E_LIMIT : 0;
    str raw;
    json_object_begin(j);
    while (rc == 0 && json_object_next(j, &raw)) {
        str key = json_unescape_arena(raw, a);
        struct tval v = tval_nil();
        if (key.ptr == NULL)
            return E_PARSE;
        rc = read_value(j, a, &v);
        if (rc == 0 && !tmap_put(m, a, key, v)) /* the last of equal keys stays */
            rc = E_LIMIT;
    }
    *ret = (struct tval){.type = TVAL_MAP, .map = m};
    return rc;
}

/* The scanner limits the depth. */
static int read_value(struct json_scan *j, struct arena *a, struct tval *ret)
{
    str s = STR_EMPTY;
    bool b = false;
    double f;
    int rc = 0;
    switch (json_peek(j)) {
    case JSON_OBJECT:
        rc = read_object(j, a, ret);
        break;
    case JSON_ARRAY:
        rc = read_array(j, a, ret);
        break;
    case JSON_STRING:
        json_read_string(j, a, &s);
        *ret = tval_str(s);
        break;
    case JSON_NUMBER:
        json_read_number(j, &s);
        rc = !json_ok(j) || goparse_float(s, &f) != 0 ? E_PARSE : 0;
        *ret = tval_float(rc == 0 ? f : 0);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        json_read_bool(j, &b);
        *ret = tval_bool(b);
        break;
    case JSON_NULL:
        json_read_null(j);
        *ret = tval_nil();
        break;
    case JSON_NOTHING:
        return E_PARSE;
    }
    return rc == 0 && !json_ok(j) ? E_PARSE : rc;
}

int tjson_parse(str text, struct arena *arena, struct tval *ret, struct error *err)
{
    struct json_scan j = json_scan_make(text);
    struct tval v = tval_nil();
    int rc = read_value(&j, arena, &v);
    if (rc == 0 && !json_at_end(&j))
        rc = E_PARSE;
    if (rc == 0)
        *ret = v;
    else if (json_offset(&j) >= text.len)
        error_set(err, rc, "unexpected end of JSON input");
    else
        error_set(err, rc, "invalid character '%c' looking for beginning of value",
                  text.ptr[json_offset(&j)]);
    return rc;
}

static void append_string(struct buf *b, str s, enum tjson_style style)
{
    json_append_string_go(b, s, style != TJSON_RAW);
}

static void new_line(struct buf *b, enum tjson_style style, int depth)
{
    if (style != TJSON_PRETTY)
        return;
    buf_append_char(b, '\n');
    for (int i = 0; i < depth; i++)
        buf_append_c(b, "  ");
}

static void append(struct buf *b, const struct tval *v, enum tjson_style style, int depth);

static void append_list(struct buf *b, const struct tlist *l, enum tjson_style style, int depth)
{
    buf_append_char(b, '[');
    for (size_t i = 0; i < l->len && !b->failed; i++) {
        if (i > 0)
            buf_append_char(b, ',');
        new_line(b, style, depth + 1);
        append(b, &l->items[i], style, depth + 1);
    }
    if (l->len > 0)
        new_line(b, style, depth);
    buf_append_char(b, ']');
}

static void append_map(struct buf *b, const struct tmap *m, enum tjson_style style, int depth)
{
    buf_append_char(b, '{');
    for (size_t i = 0; i < m->len && !b->failed; i++) {
        if (i > 0)
            buf_append_char(b, ',');
        new_line(b, style, depth + 1);
        append_string(b, m->keys[i], style);
        buf_append_c(b, style == TJSON_PRETTY ? ": " : ":");
        append(b, &m->values[i], style, depth + 1);
    }
    if (m->len > 0)
        new_line(b, style, depth);
    buf_append_char(b, '}');
}

static void append(struct buf *b, const struct tval *v, enum tjson_style style, int depth)
{
    switch (v->type) {
    case TVAL_NIL:
    case TVAL_ROOT:
        buf_append_c(b, "null");
        break;
    case TVAL_BOOL:
        buf_append_c(b, v->b ? "true" : "false");
        break;
    case TVAL_FLOAT:
        gofmt_float_json(b, v->f);
        break;
    case TVAL_STRING:
        append_string(b, v->s, style);
        break;
    case TVAL_TIME:
        buf_append_char(b, '"');
        gotime_format(b, GOTIME_RFC3339_NANO, v->t);
        buf_append_char(b, '"');
        break;
    case TVAL_LIST:
        append_list(b, v->list, style, depth);
        break;
    case TVAL_MAP:
        append_map(b, v->map, style, depth);
        break;
    default:
        buf_append_i64(b, v->i);
        break;
    }
}

void tjson_append(struct buf *b, const struct tval *v, enum tjson_style style)
{
    append(b, v, style, 0);
}
