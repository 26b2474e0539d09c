#include "promtail/targets/gelf_message.h"

#include <stdlib.h>

#include "base/gofmt.h"
#include "base/mem.h"
#include "base/vec.h"
#include "proto/json_scan.h"
#include "proto/json_writer.h"
#include "runtime/http_server.h"

/* --- JSON printed anew, as Go does: keys sorted, numbers as float64 --- */

static int compare_fields(const void *a, const void *b)
{
    const struct gelf_field *x = a, *y = b;
    int c = str_cmp(x->name, y->name);
    return c != 0 ? c : (x->value.ptr > y->value.ptr) - (x->value.ptr < y->value.ptr);
}

/* Sorts by name; of equal names the last in the text stays (values are views of it). */
static size_t sort_fields(struct gelf_field *items, size_t n)
{
    if (n > 0)
        if (n > 0)
            qsort(items, n, sizeof *items, compare_fields);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && str_eq(items[kept - 1].name, items[i].name))
            kept--;
        items[kept++] = items[i];
    }
    return kept;
}

static bool print_value(str raw, struct arena *a, struct json_writer *w, unsigned depth);

static bool print_object(struct json_scan *j, struct arena *a, struct json_writer *w,
                         unsigned depth)
{
    VEC(struct gelf_field) fields = {0};
    str key, raw;
    json_object_begin(j);
    while (json_object_next(j, &key)) {
        str name = json_unescape_arena(key, a);
        if (!json_read_raw(j, &raw) || name.ptr == NULL)
            return false;
        VEC_PUSH_ARENA(a, &fields, (struct gelf_field){name, raw});
    }
    size_t n = sort_fields(fields.items, fields.len);
    jsonw_begin_object(w);
    for (size_t i = 0; i < n; i++) {
        jsonw_key(w, fields.items[i].name);
        if (!print_value(fields.items[i].value, a, w, depth + 1))
            return false;
    }
    jsonw_end_object(w);
    return json_ok(j);
}

static bool print_array(struct json_scan *j, struct arena *a, struct json_writer *w, unsigned depth)
{
    str raw;
    json_array_begin(j);
    jsonw_begin_array(w);
    while (json_array_next(j))
        if (!json_read_raw(j, &raw) || !print_value(raw, a, w, depth + 1))
            return false;
    jsonw_end_array(w);
    return json_ok(j);
}

static bool print_value(str raw, struct arena *a, struct json_writer *w, unsigned depth)
{
    struct json_scan j = json_scan_make(raw);
    str s;
    double number;
    if (depth >= GELF_DEPTH_MAX - 1)
        return false;
    switch (json_peek(&j)) {
    case JSON_OBJECT:
        return print_object(&j, a, w, depth);
    case JSON_ARRAY:
        return print_array(&j, a, w, depth);
    case JSON_STRING:
        if (!json_read_string(&j, a, &s))
            return false;
        jsonw_string(w, s);
        return true;
    case JSON_NUMBER:
        if (!json_read_number(&j, &s) || goparse_float(s, &number) != 0)
            return false;
        jsonw_float(w, number);
        return true;
    default: /* true, false, null */
        jsonw_raw(w, str_trim(raw));
        return true;
    }
}

static bool reprint(str raw, struct arena *a, str *ret)
{
    struct json_writer w;
    struct buf out;
    buf_init(&out, GELF_MESSAGE_BYTES_MAX * 6); /* what escapes can make of it */
    jsonw_writer_init(&w, &out);
    bool ok = print_value(raw, a, &w, 0) && !out.failed;
    *ret = arena_str(a, buf_str(&out));
    buf_deinit(&out);
    return ok;
}

/* --- reading --- */

static bool read_number(struct json_scan *j, double *ret)
{
    str s;
    return json_peek(j) == JSON_NUMBER && json_read_number(j, &s) && goparse_float(s, ret) == 0;
}

static bool read_string(struct json_scan *j, struct arena *a, str *ret)
{
    return json_peek(j) == JSON_STRING && json_read_string(j, a, ret);
}

static bool read_level(struct json_scan *j, int32_t *ret)
{
    double level;
    if (!read_number(j, &level))
        return false;
    *ret = level >= INT32_MIN && level <= INT32_MAX ? (int32_t)level : INT32_MIN;
    return true;
}

/* One known field; false if its value has another type. */
static bool read_field(struct json_scan *j, str key, struct arena *a, struct gelf_message *m)
{
    if (str_eq(key, STR("version")))
        return read_string(j, a, &m->version);
    if (str_eq(key, STR("host")))
        return read_string(j, a, &m->host);
    if (str_eq(key, STR("short_message")))
        return read_string(j, a, &m->short_message);
    if (str_eq(key, STR("full_message")))
        return read_string(j, a, &m->full_message);
    if (str_eq(key, STR("facility")))
        return read_string(j, a, &m->facility);
    if (str_eq(key, STR("timestamp")))
        return read_number(j, &m->timestamp_s);
    if (str_eq(key, STR("level")))
        return read_level(j, &m->level);
    return json_skip(j);
}

static int print_extra(struct gelf_message *m, struct arena *a, struct error *err)
{
    m->n_extra = sort_fields(m->extra, m->n_extra);
    for (size_t i = 0; i < m->n_extra; i++)
        if (!reprint(m->extra[i].value, a, &m->extra[i].value))
            return error_set(err, E_PARSE, "invalid value of field %.*s",
                             STR_ARG(m->extra[i].name));
    return 0;
}

static int read_json(str text, struct arena *a, struct gelf_message *ret, struct error *err)
{
    VEC(struct gelf_field) extra = {0};
    struct json_scan j = json_scan_make(text);
    str key, raw;
    *ret = (struct gelf_message){0};
    if (!json_object_begin(&j))
        return error_set(err, E_PARSE, "not a JSON object");
    while (json_object_next(&j, &key)) {
        str name = json_unescape_arena(key, a);
        if (name.len > 0 && name.ptr[0] == '_') {
            if (extra.len == GELF_FIELDS_MAX)
                return error_set(err, E_PARSE, "too many fields");
            if (json_read_raw(&j, &raw))
                VEC_PUSH_ARENA(a, &extra, (struct gelf_field){name, raw});
        } else if (!read_field(&j, name, a, ret))
            return error_set(err, E_PARSE, "invalid type for field %.*s", STR_ARG(name));
    }
    if (!json_ok(&j))
        return error_set(err, E_PARSE, "malformed JSON at %zu", json_offset(&j));
    ret->extra = extra.items;
    ret->n_extra = extra.len;
    return print_extra(ret, a, err);
}

static bool is_zlib(str s)
{
    return s.len >= 2 && s.ptr[0] == 0x78 &&
           ((unsigned char)s.ptr[0] * 256 + (unsigned char)s.ptr[1]) % 31 == 0;
}

int gelf_message_read(str bytes, struct arena *a, struct gelf_message *ret, struct error *err)
{
    bool is_gzip = bytes.len >= 2 && memcmp(bytes.ptr, "\x1f\x8b", 2) == 0;
    if (!is_gzip && !is_zlib(bytes))
        return read_json(bytes, a, ret, err);
    struct buf plain;
    buf_init(&plain, GELF_MESSAGE_BYTES_MAX);
    int rc = http_decode_body(bytes, is_gzip ? STR("gzip") : STR("deflate"), &plain);
    if (rc != 0)
        error_set(err, rc, "inflate: %s", status_text(rc));
    else
        rc = read_json(arena_str(a, buf_str(&plain)), a, ret, err);
    buf_deinit(&plain);
    return rc;
}

/* --- printing --- */

void gelf_message_print(const struct gelf_message *m, struct buf *out)
{
    struct json_writer w;
    jsonw_writer_init(&w, out);
    jsonw_begin_object(&w);
    jsonw_key_c(&w, "version");
    jsonw_string(&w, m->version);
    jsonw_key_c(&w, "host");
    jsonw_string(&w, m->host);
    jsonw_key_c(&w, "short_message");
    jsonw_string(&w, m->short_message);
    if (m->full_message.len > 0) {
        jsonw_key_c(&w, "full_message");
        jsonw_string(&w, m->full_message);
    }
    jsonw_key_c(&w, "timestamp");
    jsonw_float(&w, m->timestamp_s);
    if (m->level != 0) {
        jsonw_key_c(&w, "level");
        jsonw_i64(&w, m->level);
    }
    if (m->facility.len > 0) {
        jsonw_key_c(&w, "facility");
        jsonw_string(&w, m->facility);
    }
    for (size_t i = 0; i < m->n_extra; i++) {
        jsonw_key(&w, m->extra[i].name);
        jsonw_raw(&w, m->extra[i].value);
    }
    jsonw_end_object(&w);
}
