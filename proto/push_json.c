#include "proto/push_json.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "proto/json_scan.h"

/* Loki hands each stream to a decoder of its own, and that one's words come in the answer. */
#define MALFORMED_STRING "Value is string, but can't find closing '\"' symbol"
#define MALFORMED_OBJECT "Value looks like object, but can't find closing '}' symbol"
#define MALFORMED_VALUE                                                                            \
    "Value looks like Number/Boolean/None, but can't find its end: ',' or '}' symbol"
#define MALFORMED_JSON "Malformed JSON error"

#define IN_STREAM "loghttp.PushRequest.Streams: []loghttp.LogProtoStream: unmarshalerDecoder"

struct reader {
    struct json_scan j;
    struct arena *arena;
    const char *fault; /* what is wrong with the stream being read, if not its JSON */
    bool full;         /* the arena's limit was met */
};

/* --- growing arrays in the arena, within its limit --- */

struct growing {
    void *items;
    size_t n, cap;
};

static void *grow(struct reader *r, struct growing *g, size_t item_size)
{
    if (g->n == g->cap) {
        size_t cap = g->cap == 0 ? 4 : g->cap * 2;
        void *items = arena_try_alloc(r->arena, cap * item_size);
        if (items == NULL) {
            r->full = true;
            r->j.bad = true;
            return NULL;
        }
        if (g->n > 0)
            memcpy(items, g->items, g->n * item_size);
        g->items = items;
        g->cap = cap;
    }
    return (char *)g->items + g->n++ * item_size;
}

static bool fault(struct reader *r, const char *text)
{
    if (r->fault == NULL)
        r->fault = text;
    return false;
}

/* --- v1 --- */

/* Any value as a label value: strings unescaped, the rest as spelled. */
static bool read_any_as_string(struct reader *r, str *ret)
{
    if (json_peek(&r->j) == JSON_STRING)
        return json_read_string(&r->j, r->arena, ret);
    return json_read_raw(&r->j, ret);
}

/* Of a name given twice the last value counts, as in a map. */
static void set_pair(struct reader *r, struct growing *pairs, struct label pair)
{
    struct label *items = pairs->items;
    for (size_t i = 0; i < pairs->n && pairs->n < 64; i++)
        if (str_eq(items[i].name, pair.name)) {
            items[i].value = pair.value;
            return;
        }
    struct label *l = grow(r, pairs, sizeof *l);
    if (l != NULL)
        *l = pair;
}

static bool read_labels(struct reader *r, struct push_request_stream *s)
{
    struct growing pairs = {0};
    if (json_peek(&r->j) != JSON_OBJECT)
        return fault(r, MALFORMED_OBJECT);
    str key;
    struct label pair;
    json_object_begin(&r->j);
    while (json_object_next(&r->j, &key) && read_any_as_string(r, &pair.value)) {
        pair.name = json_unescape_arena(key, r->arena);
        set_pair(r, &pairs, pair);
    }
    s->labels_text = str_make(NULL, 0);
    s->pairs = pairs.items;
    s->n_pairs = pairs.n;
    return json_ok(&r->j);
}

static bool read_meta(struct reader *r, struct entry *e)
{
    struct growing pairs = {0};
    str key, value;
    json_object_begin(&r->j);
    while (json_object_next(&r->j, &key)) {
        if (json_peek(&r->j) != JSON_STRING)
            return fault(r, MALFORMED_STRING);
        if (!json_read_string(&r->j, r->arena, &value))
            return false;
        struct label *l = grow(r, &pairs, sizeof *l);
        if (l == NULL)
            return false;
        *l = (struct label){json_unescape_arena(key, r->arena), value};
    }
    e->meta = (struct labels){pairs.items, pairs.n};
    return json_ok(&r->j);
}

static bool read_ns(struct reader *r, int64_t *ret)
{
    str text;
    if (json_peek(&r->j) != JSON_STRING)
        return fault(r, MALFORMED_VALUE);
    if (!json_read_raw_string(&r->j, &text, NULL))
        return false;
    return str_to_i64(text, ret) || fault(r, MALFORMED_VALUE);
}

/* ["<ns>", "line", {metadata}]; what follows is passed over, what is missing is empty. */
static bool read_value(struct reader *r, struct entry *e)
{
    if (json_peek(&r->j) != JSON_ARRAY)
        return fault(r, MALFORMED_JSON);
    *e = (struct entry){PUSH_NO_TIME_NS, STR_EMPTY, LABELS_EMPTY};
    json_array_begin(&r->j);
    bool ok = true;
    for (int i = 0; ok && json_array_next(&r->j); i++) {
        if (i == 0)
            ok = read_ns(r, &e->ts_ns);
        else if (i == 1)
            ok = json_peek(&r->j) == JSON_STRING ? json_read_string(&r->j, r->arena, &e->line)
                                                 : fault(r, MALFORMED_STRING);
        else if (i == 2)
            ok = json_peek(&r->j) == JSON_OBJECT ? read_meta(r, e) : fault(r, MALFORMED_OBJECT);
        else
            ok = json_skip(&r->j);
    }
    return ok && json_ok(&r->j);
}

static bool read_values(struct reader *r, struct push_request_stream *s)
{
    struct growing entries = {0};
    if (json_peek(&r->j) == JSON_NULL)
        return json_read_null(&r->j);
    if (json_peek(&r->j) != JSON_ARRAY)
        return fault(r, MALFORMED_JSON);
    json_array_begin(&r->j);
    while (json_array_next(&r->j)) {
        if (json_peek(&r->j) == JSON_NULL) {
            json_read_null(&r->j);
            continue;
        }
        struct entry *e = grow(r, &entries, sizeof *e);
        if (e == NULL || !read_value(r, e))
            return false;
    }
    s->entries = entries.items;
    s->n_entries = entries.n;
    return json_ok(&r->j);
}

static bool read_stream(struct reader *r, struct push_request_stream *s)
{
    *s = (struct push_request_stream){.labels_text = STR_EMPTY};
    if (json_peek(&r->j) != JSON_OBJECT)
        return fault(r, MALFORMED_OBJECT);
    str key;
    bool ok = true;
    json_object_begin(&r->j);
    while (ok && json_object_next(&r->j, &key)) {
        if (json_key_is(key, "stream"))
            ok = read_labels(r, s);
        else if (json_key_is(key, "values"))
            ok = read_values(r, s);
        else
            ok = json_skip(&r->j);
    }
    return ok && json_ok(&r->j);
}

/* --- legacy --- */

static bool read_legacy_entry(struct reader *r, struct entry *e)
{
    *e = (struct entry){PUSH_NO_TIME_NS, STR_EMPTY, LABELS_EMPTY};
    if (!json_object_begin(&r->j))
        return false;
    str key, ts;
    bool ok = true;
    while (ok && json_object_next(&r->j, &key)) {
        if (json_key_is_nocase(key, "ts"))
            ok = json_read_raw_string(&r->j, &ts, NULL) &&
                 (rfc3339_parse(ts, &e->ts_ns) || fault(r, "parsing time: cannot parse"));
        else if (json_key_is_nocase(key, "line"))
            ok = json_read_string(&r->j, r->arena, &e->line);
        else
            ok = json_skip(&r->j);
    }
    return ok && json_ok(&r->j);
}

static bool read_legacy_entries(struct reader *r, struct push_request_stream *s)
{
    struct growing entries = {0};
    if (json_peek(&r->j) == JSON_NULL)
        return json_read_null(&r->j);
    if (!json_array_begin(&r->j))
        return false;
    while (json_array_next(&r->j)) {
        struct entry *e = grow(r, &entries, sizeof *e);
        if (e == NULL || !read_legacy_entry(r, e))
            return false;
    }
    s->entries = entries.items;
    s->n_entries = entries.n;
    return json_ok(&r->j);
}

static bool read_legacy_stream(struct reader *r, struct push_request_stream *s)
{
    *s = (struct push_request_stream){.labels_text = STR_EMPTY};
    if (!json_object_begin(&r->j))
        return false;
    str key;
    bool ok = true;
    while (ok && json_object_next(&r->j, &key)) {
        if (json_key_is_nocase(key, "labels"))
            ok = json_read_string(&r->j, r->arena, &s->labels_text);
        else if (json_key_is_nocase(key, "entries"))
            ok = read_legacy_entries(r, s);
        else
            ok = json_skip(&r->j);
    }
    return ok && json_ok(&r->j);
}

/* --- the request around them --- */

/* jsoniter's report: the ten bytes on both sides of `head`, then fifty. */
static int report(struct reader *r, str body, const char *what, const char *why, size_t head,
                  struct error *err)
{
    size_t near = head > 10 ? head - 10 : 0, far = head > 50 ? head - 50 : 0;
    str close_by = str_sub(body, near, head + 10), around = str_sub(body, far, head + 50);
    (void)r;
    return error_set(
        err, E_PARSE,
        "%s: %s, error found in #%zu byte of ...|%.*s|..., bigger context ...|%.*s|...", what, why,
        head - near, STR_ARG(close_by), STR_ARG(around));
}

/* The error that reading the body gave.  `stream_at` is where the stream in hand begins. */
static int explain(struct reader *r, str body, size_t stream_at, struct error *err)
{
    if (r->full)
        return error_set(err, E_LIMIT, "push request has too many entries");
    if (r->fault == NULL)
        return report(r, body, IN_STREAM, "invalid JSON", json_offset(&r->j), err);
    /* Loki takes the whole stream before it looks into it: the place is behind it. */
    struct json_scan again = json_scan_make(str_from(body, stream_at));
    json_skip(&again);
    return report(r, body, IN_STREAM, r->fault, stream_at + json_offset(&again), err);
}

typedef bool read_stream_fn(struct reader *r, struct push_request_stream *s);

static int read_streams(struct reader *r, str body, read_stream_fn *read, struct push_request *ret,
                        struct error *err)
{
    struct growing streams = {0};
    if (json_peek(&r->j) == JSON_NULL)
        return json_read_null(&r->j) ? 0 : explain(r, body, json_offset(&r->j), err);
    if (!json_array_begin(&r->j))
        return report(r, body, "loghttp.PushRequest.Streams: decode slice", "expect [ or n",
                      json_offset(&r->j) + 1, err);
    while (json_array_next(&r->j)) {
        json_peek(&r->j);
        size_t at = json_offset(&r->j);
        struct push_request_stream *s = grow(r, &streams, sizeof *s);
        if (s == NULL || !read(r, s))
            return explain(r, body, at, err);
    }
    ret->streams = streams.items;
    ret->n_streams = streams.n;
    return json_ok(&r->j) ? 0 : explain(r, body, json_offset(&r->j), err);
}

static int read_request(str body, struct arena *a, read_stream_fn *read, struct push_request *ret,
                        struct error *err)
{
    struct reader r = {.j = json_scan_make(body), .arena = a};
    *ret = (struct push_request){0};
    enum json_kind kind = json_peek(&r.j);
    if (json_at_end(&r.j))
        return error_set(err, E_PARSE, "EOF");
    if (kind == JSON_NULL && json_read_null(&r.j))
        return 0;
    if (kind != JSON_OBJECT) {
        char why[64];
        snprintf(why, sizeof why, "expect { or n, but found %c", *r.j.at);
        return report(&r, body, "readObjectStart", why, json_offset(&r.j) + 1, err);
    }
    str key;
    int code = 0;
    json_object_begin(&r.j);
    while (code == 0 && json_object_next(&r.j, &key)) {
        if (json_key_is_nocase(key, "streams"))
            code = read_streams(&r, body, read, ret, err);
        else if (!json_skip(&r.j))
            break;
    }
    if (code == 0 && !json_ok(&r.j))
        code = report(&r, body, "readObject", "invalid JSON", json_offset(&r.j), err);
    return code;
}

int push_json_read(str body, struct arena *a, struct push_request *ret, struct error *err)
{
    return read_request(body, a, read_stream, ret, err);
}

int push_json_read_legacy(str body, struct arena *a, struct push_request *ret, struct error *err)
{
    return read_request(body, a, read_legacy_stream, ret, err);
}
