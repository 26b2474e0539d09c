#include "promtail/client/batch.h"

#include "base/mem.h"
#include "proto/push_proto.h"
#include "proto/snappy.h"

#define TENANT_LABEL STR("__tenant_id__")

struct batch *batch_new(str tenant, int64_t now_mono_ns)
{
    struct batch *b = mem_zalloc(sizeof *b);
    arena_init(&b->arena, SIZE_MAX);
    b->tenant = arena_str(&b->arena, tenant);
    buf_init(&b->scratch, BUF_NO_LIMIT);
    u64map_init(&b->by_hash);
    b->created_mono_ns = now_mono_ns;
    return b;
}

void batch_free(struct batch *b)
{
    if (b == NULL)
        return;
    for (size_t i = 0; i < b->streams.len; i++) {
        label_stem_release(b->streams.items[i]->labels.stem);
        buf_deinit(&b->streams.items[i]->entries);
        buf_deinit(&b->streams.items[i]->packed);
        mem_free(b->streams.items[i]);
    }
    VEC_FREE(&b->streams);
    u64map_deinit(&b->by_hash);
    buf_deinit(&b->scratch);
    arena_deinit(&b->arena);
    mem_free(b);
}

/* A string field of a protobuf message: tag, length, bytes; nothing if empty. */
static size_t field_bytes(str s)
{
    size_t n = s.len > 0 ? 2 + s.len : 0;
    for (size_t rest = s.len >> 7; rest > 0; rest >>= 7)
        n++;
    return n;
}

size_t batch_record_bytes(const struct record *r)
{
    size_t n = r->line.len;
    for (size_t i = 0; i < r->meta.n; i++)
        n += field_bytes(r->meta.items[i].name) + field_bytes(r->meta.items[i].value);
    return n;
}

static struct batch_stream *find_stream(const struct batch *b, const struct label_list *labels)
{
    for (int i = 0; i < BATCH_RECENT; i++)
        if (b->recent[i] != NULL && label_list_eq(labels, &b->recent[i]->labels))
            return b->recent[i];
    struct batch_stream *s = u64map_get(&b->by_hash, labels->hash);
    while (s != NULL && !label_list_eq(labels, &s->labels))
        s = s->next_same_hash;
    return s;
}

/* {a="b", c="d"} as Promtail sends it: the record's labels over the external ones. */
static str stream_text(struct batch *b, const struct label_list *labels,
                       const struct label_list *external)
{
    struct label_list all = {0};
    for (size_t i = 0; i < external->n; i++)
        label_list_add(&all, &b->arena, external->items[i].name, external->items[i].value);
    for (size_t i = 0; i < labels->n; i++)
        label_list_set(&all, &b->arena, labels->items[i].name, labels->items[i].value);
    label_list_remove(&all, TENANT_LABEL);
    label_list_sort(&all);
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    labels_print(&(struct labels){all.items, all.n}, &out);
    str text = arena_str(&b->arena, buf_str(&out));
    buf_deinit(&out);
    return text;
}

static struct batch_stream *make_stream(struct batch *b, const struct label_list *labels,
                                        const struct label_list *external)
{
    struct batch_stream *s = mem_zalloc(sizeof *s);
    label_list_copy(&s->labels, &b->arena, labels);
    s->labels.stem = label_stem_hold(labels->stem);
    s->labels.n_stem = labels->n_stem;
    s->text = stream_text(b, labels, external);
    buf_init(&s->entries, BUF_NO_LIMIT);
    buf_init(&s->packed, BUF_NO_LIMIT);
    s->next_same_hash = u64map_put(&b->by_hash, labels->hash, s);
    VEC_PUSH(&b->streams, s);
    b->recent[b->recent_at++ % BATCH_RECENT] = s;
    return s;
}

static bool pack(struct batch *b, struct batch_stream *s)
{
    if (s->entries.len == 0)
        return true;
    if (snappy_encode_piece(buf_str(&s->entries), &b->scratch, &s->packed) != 0)
        return false;
    s->packed_bytes += s->entries.len;
    buf_reset(&s->entries);
    return true;
}

bool batch_add(struct batch *b, const struct record *r, const struct label_list *external)
{
    struct batch_stream *s = find_stream(b, &r->labels);
    if (s == NULL)
        s = make_stream(b, &r->labels, external);
    struct entry e = {.ts_ns = r->ts_ns, .line = r->line, .meta = {r->meta.items, r->meta.n}};
    if (s->entries.len + r->line.len > SNAPPY_PIECE_BYTES && !pack(b, s))
        return false;
    if (!push_proto_write_entry(&s->entries, &e))
        return false;
    b->bytes += batch_record_bytes(r);
    b->n_entries++;
    return true;
}

static bool make_head(const struct batch_stream *s, struct buf *head)
{
    buf_reset(head);
    return push_proto_write_stream_head(head, s->text, s->packed_bytes);
}

/* Packs what is left; tells the size of the request, before and (no less than) after. */
static int pack_all(struct batch *b, struct buf *head, size_t *ret_plain, size_t *ret_packed)
{
    *ret_plain = *ret_packed = 0;
    for (size_t i = 0; i < b->streams.len; i++) {
        struct batch_stream *s = b->streams.items[i];
        if (!pack(b, s) || !make_head(s, head))
            return E_NO_MEMORY;
        buf_deinit(&s->entries);
        *ret_plain += head->len + s->packed_bytes;
        *ret_packed += snappy_piece_bytes_max(head->len) + s->packed.len;
    }
    return 0;
}

/* The stream's frame is a small piece before the packed entries. */
static int put_stream(struct batch *b, struct batch_stream *s, struct buf *head, struct buf *out)
{
    int rc = make_head(s, head) ? 0 : E_NO_MEMORY;
    if (rc == 0)
        rc = snappy_encode_piece(buf_str(head), &b->scratch, out);
    if (rc == 0 && !buf_append_str(out, buf_str(&s->packed)))
        rc = E_NO_MEMORY;
    buf_deinit(&s->packed);
    return rc;
}

int batch_encode(struct batch *b, struct buf *out)
{
    struct buf head;
    size_t plain, packed;
    buf_init(&head, BUF_NO_LIMIT);
    int rc = pack_all(b, &head, &plain, &packed);
    if (rc == 0 && !buf_reserve(out, SNAPPY_LENGTH_BYTES_MAX + packed))
        rc = E_NO_MEMORY;
    if (rc == 0)
        rc = snappy_encode_length(plain, out);
    for (size_t i = 0; i < b->streams.len && rc == 0; i++)
        rc = put_stream(b, b->streams.items[i], &head, out);
    buf_deinit(&head);
    return rc;
}
