#include "proto/push_proto.h"

#include "base/clock.h"
#include "base/cursor.h"
#include "base/mem.h"

enum wire_type {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_GROUP = 3,
    WIRE_FIXED32 = 5
};

#define TAG(field, type) ((field) << 3 | (type))

/* Three bytes and more: the seconds and nanos of times. */
static uint64_t read_long_varint(struct cursor *c)
{
    const unsigned char *at = c->at;
    uint64_t v = 0;
    if (c->end - at < 10) /* near the end: with checks */
        return cursor_uvarint(c);
    for (unsigned shift = 0; shift < 63; shift += 7) {
        unsigned char b = *at++;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) {
            c->at = at;
            return v;
        }
    }
    return cursor_uvarint(c); /* ten bytes: negative, or malformed */
}

/* Tags are one byte, most lengths one or two. */
static inline uint64_t read_varint(struct cursor *c)
{
    const unsigned char *at = c->at;
    if (c->end - at >= 2) {
        if (at[0] < 0x80) {
            c->at = at + 1;
            return at[0];
        }
        if (at[1] < 0x80) {
            c->at = at + 2;
            return (uint64_t)(at[0] & 0x7f) | (uint64_t)at[1] << 7;
        }
    }
    return read_long_varint(c);
}

static inline str read_bytes(struct cursor *c)
{
    return cursor_bytes(c, read_varint(c));
}

static void skip_field(struct cursor *c, uint64_t tag)
{
    if (tag >> 3 == 0) { /* field 0 does not exist */
        c->bad = true;
        return;
    }
    switch (tag & 7) {
    case WIRE_VARINT:
        read_varint(c);
        break;
    case WIRE_FIXED64:
        cursor_bytes(c, 8);
        break;
    case WIRE_BYTES:
        read_bytes(c);
        break;
    case WIRE_FIXED32:
        cursor_bytes(c, 4);
        break;
    default: /* groups went with proto2 */
        c->bad = true;
    }
}

/* Counts the fields with this tag in a message, checking the others on the way; nothing is read
 * twice but tags and lengths, and arrays get their exact size. */
static size_t count_fields(str message, uint64_t wanted, bool *bad)
{
    struct cursor c = cursor_make(message);
    size_t n = 0;
    while (!cursor_at_end(&c) && cursor_ok(&c)) {
        uint64_t tag = read_varint(&c);
        if (tag == wanted)
            n++;
        skip_field(&c, tag);
    }
    *bad |= !cursor_ok(&c);
    return n;
}

static bool read_timestamp(str message, int64_t *ret_ns)
{
    struct cursor c = cursor_make(message);
    int64_t seconds = 0, nanos = 0;
    while (!cursor_at_end(&c) && cursor_ok(&c)) {
        uint64_t tag = read_varint(&c);
        if (tag == TAG(1, WIRE_VARINT))
            seconds = (int64_t)read_varint(&c);
        else if (tag == TAG(2, WIRE_VARINT))
            nanos = (int32_t)read_varint(&c);
        else
            skip_field(&c, tag);
    }
    if (__builtin_mul_overflow(seconds, NS_PER_S, ret_ns) ||
        __builtin_add_overflow(*ret_ns, nanos, ret_ns))
        return false;
    return cursor_ok(&c);
}

static bool read_pair(str message, struct label *ret)
{
    struct cursor c = cursor_make(message);
    *ret = (struct label){STR_EMPTY, STR_EMPTY};
    while (!cursor_at_end(&c) && cursor_ok(&c)) {
        uint64_t tag = read_varint(&c);
        if (tag == TAG(1, WIRE_BYTES))
            ret->name = read_bytes(&c);
        else if (tag == TAG(2, WIRE_BYTES))
            ret->value = read_bytes(&c);
        else
            skip_field(&c, tag);
    }
    return cursor_ok(&c);
}

static int read_meta(str message, struct arena *a, struct entry *e)
{
    bool bad = false;
    size_t n = count_fields(message, TAG(3, WIRE_BYTES), &bad), at = 0;
    struct label *items = arena_try_alloc(a, MAX(n, 1) * sizeof *items);
    if (items == NULL)
        return E_LIMIT;
    struct cursor c = cursor_make(message);
    while (!cursor_at_end(&c) && !bad) {
        uint64_t tag = read_varint(&c);
        if (tag == TAG(3, WIRE_BYTES))
            bad |= !read_pair(read_bytes(&c), &items[at++]);
        else
            skip_field(&c, tag);
    }
    e->meta = (struct labels){items, at};
    return bad ? E_PARSE : 0;
}

static int read_entry(str message, struct arena *a, struct entry *e)
{
    struct cursor c = cursor_make(message);
    bool has_meta = false, ok = true;
    *e = (struct entry){PUSH_NO_TIME_NS, STR_EMPTY, LABELS_EMPTY};
    while (!cursor_at_end(&c) && cursor_ok(&c)) {
        uint64_t tag = read_varint(&c);
        if (tag == TAG(1, WIRE_BYTES)) {
            ok &= read_timestamp(read_bytes(&c), &e->ts_ns);
        } else if (tag == TAG(2, WIRE_BYTES)) {
            e->line = read_bytes(&c);
        } else {
            has_meta |= tag == TAG(3, WIRE_BYTES);
            skip_field(&c, tag);
        }
    }
    if (!ok || !cursor_ok(&c))
        return E_PARSE;
    return has_meta ? read_meta(message, a, e) : 0;
}

static int read_stream(str message, struct arena *a, struct push_request_stream *s)
{
    bool bad = false;
    size_t n = count_fields(message, TAG(2, WIRE_BYTES), &bad);
    if (bad)
        return E_PARSE;
    *s = (struct push_request_stream){.labels_text = STR_EMPTY};
    s->entries = arena_try_alloc(a, MAX(n, 1) * sizeof *s->entries);
    if (s->entries == NULL)
        return E_LIMIT;
    struct cursor c = cursor_make(message);
    while (!cursor_at_end(&c)) { /* counted and checked above */
        uint64_t tag = read_varint(&c);
        if (tag == TAG(2, WIRE_BYTES)) {
            int code = read_entry(read_bytes(&c), a, &s->entries[s->n_entries++]);
            if (code != 0)
                return code;
        } else if (tag == TAG(1, WIRE_BYTES)) {
            s->labels_text = read_bytes(&c);
        } else {
            skip_field(&c, tag);
        }
    }
    return 0;
}

int push_proto_read(str bytes, struct arena *a, struct push_request *ret, struct error *err)
{
    bool bad = false;
    size_t n = count_fields(bytes, TAG(1, WIRE_BYTES), &bad);
    if (bad)
        return error_set(err, E_PARSE, "unexpected EOF");
    *ret = (struct push_request){0};
    int code = 0;
    ret->streams = arena_try_alloc(a, MAX(n, 1) * sizeof *ret->streams);
    if (ret->streams == NULL)
        code = E_LIMIT;
    struct cursor c = cursor_make(bytes);
    while (code == 0 && !cursor_at_end(&c)) {
        uint64_t tag = read_varint(&c);
        if (tag == TAG(1, WIRE_BYTES))
            code = read_stream(read_bytes(&c), a, &ret->streams[ret->n_streams++]);
        else
            skip_field(&c, tag);
    }
    if (code == E_LIMIT)
        return error_set(err, E_LIMIT, "push request has too many entries");
    return code == 0 ? 0 : error_set(err, code, "proto: malformed push request");
}

/* --- writer --- */

static size_t bytes_size(size_t n)
{
    return 1 + uvarint_size(n) + n;
}

/* Seconds round down, so that nanos are never negative. */
static void split_ns(int64_t ts_ns, int64_t *seconds, int64_t *nanos)
{
    *seconds = ts_ns / NS_PER_S;
    *nanos = ts_ns % NS_PER_S;
    if (*nanos < 0) {
        *seconds -= 1;
        *nanos += NS_PER_S;
    }
}

static size_t timestamp_size(int64_t seconds, int64_t nanos)
{
    return (seconds != 0 ? 1 + uvarint_size((uint64_t)seconds) : 0) +
           (nanos != 0 ? 1 + uvarint_size((uint64_t)nanos) : 0);
}

static size_t pair_size(const struct label *l)
{
    return (l->name.len ? bytes_size(l->name.len) : 0) +
           (l->value.len ? bytes_size(l->value.len) : 0);
}

static size_t entry_size(const struct entry *e)
{
    int64_t seconds, nanos;
    split_ns(e->ts_ns, &seconds, &nanos);
    size_t n = bytes_size(timestamp_size(seconds, nanos));
    if (e->line.len > 0)
        n += bytes_size(e->line.len);
    for (size_t i = 0; i < e->meta.n; i++)
        n += bytes_size(pair_size(&e->meta.items[i]));
    return n;
}

static void put_bytes(struct buf *out, int field, str s)
{
    if (s.len > 0) {
        buf_put_u8(out, (uint8_t)TAG(field, WIRE_BYTES));
        buf_put_lenstr(out, s);
    }
}

static void put_header(struct buf *out, int field, size_t n)
{
    buf_put_u8(out, (uint8_t)TAG(field, WIRE_BYTES));
    buf_put_uvarint(out, n);
}

static void put_varint(struct buf *out, int field, int64_t v)
{
    if (v != 0) {
        buf_put_u8(out, (uint8_t)TAG(field, WIRE_VARINT));
        buf_put_uvarint(out, (uint64_t)v);
    }
}

static void put_entry(struct buf *out, const struct entry *e)
{
    int64_t seconds, nanos;
    split_ns(e->ts_ns, &seconds, &nanos);
    put_header(out, 2, entry_size(e));
    put_header(out, 1, timestamp_size(seconds, nanos));
    put_varint(out, 1, seconds);
    put_varint(out, 2, nanos);
    put_bytes(out, 2, e->line);
    for (size_t i = 0; i < e->meta.n; i++) {
        put_header(out, 3, pair_size(&e->meta.items[i]));
        put_bytes(out, 1, e->meta.items[i].name);
        put_bytes(out, 2, e->meta.items[i].value);
    }
}

static size_t stream_body_size(str labels_text, const struct entry *entries, size_t n)
{
    size_t size = labels_text.len > 0 ? bytes_size(labels_text.len) : 0;
    for (size_t i = 0; i < n; i++)
        size += bytes_size(entry_size(&entries[i]));
    return size;
}

size_t push_proto_stream_size(str labels_text, const struct entry *entries, size_t n)
{
    return bytes_size(stream_body_size(labels_text, entries, n));
}

bool push_proto_write_stream(struct buf *out, str labels_text, const struct entry *entries,
                             size_t n)
{
    size_t size = stream_body_size(labels_text, entries, n);
    if (!buf_reserve(out, bytes_size(size)))
        return false;
    put_header(out, 1, size);
    put_bytes(out, 1, labels_text);
    for (size_t i = 0; i < n; i++)
        put_entry(out, &entries[i]);
    return !out->failed;
}

/* The writers below stand where room was made before: a shipper encodes millions of entries. */
static inline char *raw_uvarint(char *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (char)(v | 0x80);
        v >>= 7;
    }
    *p++ = (char)v;
    return p;
}

static inline char *raw_header(char *p, int field, size_t n)
{
    *p++ = (char)TAG(field, WIRE_BYTES);
    return raw_uvarint(p, n);
}

static char *raw_bytes(char *p, int field, str s)
{
    if (s.len == 0)
        return p;
    p = raw_header(p, field, s.len);
    memcpy(p, s.ptr, s.len);
    return p + s.len;
}

#define TIMESTAMP_BYTES_MAX 17 /* two tags, ten and five bytes of numbers */

static char *raw_timestamp(char *p, int64_t ts_ns)
{
    int64_t seconds, nanos;
    split_ns(ts_ns, &seconds, &nanos);
    if (seconds != 0) {
        *p++ = (char)TAG(1, WIRE_VARINT);
        p = raw_uvarint(p, (uint64_t)seconds);
    }
    if (nanos != 0) {
        *p++ = (char)TAG(2, WIRE_VARINT);
        p = raw_uvarint(p, (uint64_t)nanos);
    }
    return p;
}

/* The timestamp is written first, so that its size need not be computed. */
bool push_proto_write_entry(struct buf *out, const struct entry *e)
{
    char ts[TIMESTAMP_BYTES_MAX];
    size_t ts_size = (size_t)(raw_timestamp(ts, e->ts_ns) - ts);
    size_t size = bytes_size(ts_size) + (e->line.len > 0 ? bytes_size(e->line.len) : 0);
    for (size_t i = 0; i < e->meta.n; i++)
        size += bytes_size(pair_size(&e->meta.items[i]));
    if (!buf_reserve(out, bytes_size(size)))
        return false;
    char *start = out->ptr + out->len;
    char *p = raw_header(raw_header(start, 2, size), 1, ts_size);
    memcpy(p, ts, ts_size);
    p = raw_bytes(p + ts_size, 2, e->line);
    for (size_t i = 0; i < e->meta.n; i++) {
        p = raw_header(p, 3, pair_size(&e->meta.items[i]));
        p = raw_bytes(p, 1, e->meta.items[i].name);
        p = raw_bytes(p, 2, e->meta.items[i].value);
    }
    ASSERT((size_t)(p - start) == bytes_size(size));
    out->len += (size_t)(p - start);
    return true;
}

/* Everything of a Stream but its entries, of which there are entries_bytes. */
bool push_proto_write_stream_head(struct buf *out, str labels_text, size_t entries_bytes)
{
    size_t labels = labels_text.len > 0 ? bytes_size(labels_text.len) : 0;
    put_header(out, 1, labels + entries_bytes);
    put_bytes(out, 1, labels_text);
    return !out->failed;
}
