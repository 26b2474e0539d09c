#include "ingester/record.h"

#include "base/cursor.h"
#include "base/mem.h"
#include "base/vec.h"
#include "chunks/lz4.h"
#include "chunks/sets.h"
#include "proto/snappy.h"

#define BATCH_VERSION  1
#define BATCH_NUMBERED 2 /* the version of those that hold the number of their push */
#define MARKS_VERSION  1
#define MARK_BYTES     28
#define SETS_LOOK      8 /* newest sets an entry's is compared with, to be named and not repeated */
#define ENTRY_MAX      30 /* bytes of an entry's four varints without a set */

enum body_coding { BODY_PLAIN, BODY_LZ4, BODY_SNAPPY };

/* --- a batch, written --- */

static bool lies_in(str line, str plain)
{
    return line.len == 0 ||
           (line.ptr >= plain.ptr && line.ptr - plain.ptr <= (ptrdiff_t)plain.len &&
            line.len <= plain.len - (size_t)(line.ptr - plain.ptr));
}

/* True if the body as it came can stand in the record: all lines lie in it, and they are most of
 * it (not the share of one ingester out of many). */
static bool can_keep_raw(const struct push_batch *b, const struct push_stream *streams, size_t n)
{
    if (b->raw_encoding != PUSH_SNAPPY_PROTO || b->raw.len == 0 || b->plain.len == 0)
        return false;
    size_t used = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < streams[i].n_entries; k++) {
            if (!lies_in(streams[i].entries[k].line, b->plain))
                return false;
            used += streams[i].entries[k].line.len;
        }
    return used >= b->plain.len / 3;
}

/* Unchecked: the caller has reserved room. */
static inline char *put_uvarint(char *at, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *at++ = (char)(v | 0x80);
    *at++ = (char)v;
    return at;
}

static inline char *put_varint(char *at, int64_t v)
{
    return put_uvarint(at, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

struct batch_writer {
    struct buf *out;
    const char *base; /* of the decoded body; NULL: lines are copied, one behind the other */
    int64_t ts_ns;
    size_t line_end;
    uint64_t n_sets;
    const struct labels *sets[SETS_LOOK]; /* set i in sets[i % SETS_LOOK] */
};

static bool put_entry(struct batch_writer *w, const struct entry *e)
{
    uint64_t set = w->n_sets;
    uint64_t oldest = w->n_sets > SETS_LOOK ? w->n_sets - SETS_LOOK : 0;
    for (uint64_t i = w->n_sets; i-- > oldest;)
        if (labels_eq(w->sets[i % SETS_LOOK], &e->meta)) {
            set = i;
            break;
        }
    if (!buf_reserve(w->out, ENTRY_MAX))
        return false;
    size_t from = w->base && e->line.len > 0 ? (size_t)(e->line.ptr - w->base) : w->line_end;
    char *at = w->out->ptr + w->out->len;
    at = put_varint(at, (int64_t)((uint64_t)e->ts_ns - (uint64_t)w->ts_ns));
    at = put_varint(at, (int64_t)from - (int64_t)w->line_end);
    at = put_uvarint(at, e->line.len);
    at = put_uvarint(at, set);
    w->out->len = (size_t)(at - w->out->ptr);
    w->ts_ns = e->ts_ns;
    w->line_end = from + e->line.len;
    if (set < w->n_sets)
        return true;
    w->sets[w->n_sets++ % SETS_LOOK] = &e->meta;
    return sets_put(w->out, &e->meta);
}

static bool put_streams(struct batch_writer *w, const struct push_stream *streams, size_t n)
{
    bool ok = buf_put_uvarint(w->out, n);
    for (size_t i = 0; i < n && ok; i++) {
        ok = sets_put(w->out, &streams[i].labels) && buf_put_uvarint(w->out, streams[i].n_entries);
        for (size_t k = 0; k < streams[i].n_entries && ok; k++)
            ok = put_entry(w, &streams[i].entries[k]);
    }
    return ok;
}

/* Joins the lines and puts them behind the list.  *ret_at: where coding and length stand. */
static int put_lines(struct buf *out, const struct push_stream *streams, size_t n,
                     enum body_coding *ret_coding, uint32_t *ret_plain_len)
{
    struct buf lines;
    buf_init(&lines, RECORD_PLAIN_BYTES_MAX);
    bool ok = true, is_plain = true;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < streams[i].n_entries; k++)
            ok = ok && buf_append_str(&lines, streams[i].entries[k].line);
    int code = ok ? lz4_put(out, buf_str(&lines), &is_plain) : E_TOO_LARGE;
    *ret_coding = is_plain ? BODY_PLAIN : BODY_LZ4;
    *ret_plain_len = (uint32_t)lines.len;
    buf_deinit(&lines);
    return code;
}

static bool put_number(struct buf *out, str source_id, uint64_t seq)
{
    return buf_put_lenstr(out, source_id) && buf_put_uvarint(out, seq);
}

/* What begins a batch: version, coding of the body, two unused bytes, length of the decoded body,
 * length of the list. */
#define BATCH_HEADER_BYTES 12

int record_put_batch(struct buf *out, const struct push_batch *batch,
                     const struct push_stream *streams, size_t n, bool with_number, str *ret_body)
{
    bool is_numbered = with_number && batch->source_id.len > 0;
    bool keep = can_keep_raw(batch, streams, n);
    enum body_coding coding = BODY_SNAPPY;
    uint32_t plain_len = (uint32_t)batch->plain.len;
    struct batch_writer w = {.out = out, .base = keep ? batch->plain.ptr : NULL};
    if (!buf_reserve(out, BATCH_HEADER_BYTES))
        return E_NO_MEMORY;
    out->len += BATCH_HEADER_BYTES;
    if (!buf_put_lenstr(out, batch->tenant) ||
        (is_numbered && !put_number(out, batch->source_id, batch->source_seq)) ||
        !put_streams(&w, streams, n))
        return E_NO_MEMORY;
    uint32_t list_len = (uint32_t)(out->len - BATCH_HEADER_BYTES);
    *ret_body = keep ? batch->raw : STR_EMPTY;
    int code = keep ? 0 : put_lines(out, streams, n, &coding, &plain_len);
    const unsigned char head[4] = {is_numbered ? BATCH_NUMBERED : BATCH_VERSION,
                                   (unsigned char)coding, 0, 0};
    memcpy(out->ptr, head, sizeof head);
    memcpy(out->ptr + 4, &plain_len, sizeof plain_len);
    memcpy(out->ptr + 8, &list_len, sizeof list_len);
    return code;
}

/* --- a batch, read --- */

static int get_body(enum body_coding coding, str body, uint32_t plain_len, struct buf *plain)
{
    int code;
    switch (coding) {
    case BODY_PLAIN:
        code = buf_append_str(plain, body) ? 0 : E_NO_MEMORY;
        break;
    case BODY_LZ4:
        code = lz4_get(plain, body, plain_len);
        break;
    case BODY_SNAPPY:
        code = snappy_decode(body, plain);
        break;
    default:
        code = E_CORRUPT;
    }
    if (code == E_PARSE || code == E_TOO_LARGE || (code == 0 && plain->len != plain_len))
        code = E_CORRUPT;
    return code;
}

struct batch_reader {
    struct cursor c;
    struct arena *a;
    str plain;
    int64_t ts_ns;
    size_t line_end;
    VEC(struct labels) sets;
};

static void get_entry(struct batch_reader *r, struct entry *e)
{
    r->ts_ns = (int64_t)((uint64_t)r->ts_ns + (uint64_t)cursor_varint(&r->c));
    uint64_t from = r->line_end + (uint64_t)cursor_varint(&r->c), len = cursor_uvarint(&r->c);
    uint64_t set = cursor_uvarint(&r->c);
    if (from > r->plain.len || len > r->plain.len - from || set > r->sets.len) {
        r->c.bad = true;
        return;
    }
    r->line_end = from + len;
    if (set == r->sets.len)
        VEC_PUSH(&r->sets, sets_get(&r->c, r->a));
    *e = (struct entry){r->ts_ns, str_make(r->plain.ptr + from, len), r->sets.items[set]};
}

static int get_stream(struct batch_reader *r, struct push_stream *s)
{
    s->labels = sets_get(&r->c, r->a);
    uint64_t n = cursor_uvarint(&r->c);
    if (!cursor_ok(&r->c) || n > cursor_left(&r->c))
        return E_CORRUPT;
    struct entry *entries = arena_try_alloc(r->a, n * sizeof *entries);
    if (entries == NULL)
        return E_NO_MEMORY;
    for (uint64_t k = 0; k < n && cursor_ok(&r->c); k++)
        get_entry(r, &entries[k]);
    s->hash = labels_hash(&s->labels);
    s->entries = entries;
    s->n_entries = n;
    return cursor_ok(&r->c) ? 0 : E_CORRUPT;
}

int record_get_batch(str payload, struct arena *a, struct buf *plain, struct push_batch *ret)
{
    struct cursor c = cursor_make(payload);
    uint8_t version = cursor_u8(&c), coding = cursor_u8(&c);
    cursor_u16(&c);
    uint32_t plain_len = cursor_u32(&c), list_len = cursor_u32(&c);
    struct batch_reader r = {.c = cursor_make(cursor_bytes(&c, list_len)), .a = a};
    if (!cursor_ok(&c) || (version != BATCH_VERSION && version != BATCH_NUMBERED))
        return E_CORRUPT;
    buf_reset(plain);
    int code = get_body(coding, cursor_bytes(&c, cursor_left(&c)), plain_len, plain);
    if (code != 0)
        return code;
    r.plain = buf_str(plain);
    *ret = (struct push_batch){.tenant = cursor_lenstr(&r.c)};
    if (version == BATCH_NUMBERED) {
        ret->source_id = cursor_lenstr(&r.c);
        ret->source_seq = cursor_uvarint(&r.c);
    }
    uint64_t n = cursor_uvarint(&r.c);
    if (!cursor_ok(&r.c) || n > cursor_left(&r.c))
        return E_CORRUPT;
    struct push_stream *streams = arena_try_alloc(a, n * sizeof *streams);
    if (streams == NULL)
        return E_NO_MEMORY;
    for (uint64_t i = 0; i < n && code == 0; i++)
        code = get_stream(&r, &streams[i]);
    if (code == 0 && !cursor_at_end(&r.c))
        code = E_CORRUPT;
    ret->streams = streams;
    ret->n_streams = n;
    VEC_FREE(&r.sets);
    return code;
}

/* --- flush marks --- */

bool record_put_marks(struct buf *out, const struct flush_mark *marks, size_t n)
{
    bool ok = buf_put_u32(out, MARKS_VERSION) && buf_put_u32(out, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        ok = ok && buf_put_u64(out, marks[i].fingerprint) && buf_put_u64(out, marks[i].check) &&
             buf_put_u64(out, marks[i].to.pos) && buf_put_u32(out, marks[i].to.entry);
    return ok;
}

int record_get_marks(str payload, struct arena *a, const struct flush_mark **ret, size_t *ret_n)
{
    struct cursor c = cursor_make(payload);
    uint32_t version = cursor_u32(&c), n = cursor_u32(&c);
    if (!cursor_ok(&c) || version != MARKS_VERSION || n > cursor_left(&c) / MARK_BYTES)
        return E_CORRUPT;
    struct flush_mark *marks = arena_try_alloc(a, n * sizeof *marks);
    if (marks == NULL)
        return E_NO_MEMORY;
    for (uint32_t i = 0; i < n; i++) {
        marks[i].fingerprint = cursor_u64(&c);
        marks[i].check = cursor_u64(&c);
        marks[i].to.pos = cursor_u64(&c);
        marks[i].to.entry = cursor_u32(&c);
    }
    *ret = marks;
    *ret_n = n;
    return cursor_ok(&c) && cursor_at_end(&c) ? 0 : E_CORRUPT;
}
