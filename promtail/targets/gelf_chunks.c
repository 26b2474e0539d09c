/* Chunked GELF datagrams put together; bounded in number, bytes and time. */
#include "base/mem.h"
#include "promtail/targets/gelf_message.h"

#define HEAD_BYTES 12
#define ID_BYTES   8

struct gelf_pending {
    int64_t until_ns;
    unsigned count, seen;
    size_t bytes;
    struct buf chunks[GELF_CHUNKS_MAX];
};

void gelf_chunks_init(struct gelf_chunks *c)
{
    strmap_init(&c->pending);
    c->bytes = 0;
}

static void drop(struct gelf_chunks *c, str id)
{
    struct gelf_pending *p = strmap_remove(&c->pending, id);
    if (p == NULL)
        return;
    c->bytes -= p->bytes;
    for (unsigned i = 0; i < p->count; i++)
        buf_deinit(&p->chunks[i]);
    mem_free(p);
}

/* The id of a message whose time is over; false if there is none. */
static bool find_expired(const struct gelf_chunks *c, int64_t now_ns, char id[ID_BYTES])
{
    size_t at = 0;
    str key;
    void *item;
    while (strmap_next(&c->pending, &at, &key, &item))
        if (((struct gelf_pending *)item)->until_ns <= now_ns) {
            memcpy(id, key.ptr, ID_BYTES);
            return true;
        }
    return false;
}

size_t gelf_chunks_expire(struct gelf_chunks *c, int64_t now_ns)
{
    char id[ID_BYTES];
    size_t n = 0;
    for (; find_expired(c, now_ns, id); n++)
        drop(c, str_make(id, ID_BYTES));
    return n;
}

void gelf_chunks_deinit(struct gelf_chunks *c)
{
    gelf_chunks_expire(c, INT64_MAX);
    strmap_deinit(&c->pending);
}

bool gelf_is_chunk(str datagram)
{
    return datagram.len >= 2 && memcmp(datagram.ptr, "\x1e\x0f", 2) == 0;
}

static struct gelf_pending *pending(struct gelf_chunks *c, str id, unsigned count, int64_t now_ns)
{
    struct gelf_pending *p = strmap_get(&c->pending, id);
    if (p != NULL || c->pending.len >= GELF_PENDING_MAX)
        return p;
    p = mem_zalloc(sizeof *p);
    p->until_ns = now_ns + GELF_CHUNK_TIMEOUT_NS;
    p->count = count;
    for (unsigned i = 0; i < count; i++)
        buf_init(&p->chunks[i], BUF_NO_LIMIT);
    strmap_put(&c->pending, id, p);
    return p;
}

static void join(const struct gelf_pending *p, struct buf *out)
{
    for (unsigned i = 0; i < p->count; i++)
        buf_append_str(out, buf_str(&p->chunks[i]));
}

int gelf_chunks_add(struct gelf_chunks *c, str datagram, int64_t now_ns, struct buf *out,
                    struct error *err)
{
    if (datagram.len <= HEAD_BYTES)
        return error_set(err, E_PARSE, "chunked message size must be greater than %d", HEAD_BYTES);
    char id_bytes[ID_BYTES];
    memcpy(id_bytes, datagram.ptr + 2, ID_BYTES);
    str id = str_make(id_bytes, ID_BYTES), body = str_from(datagram, HEAD_BYTES);
    unsigned number = (unsigned char)datagram.ptr[10], count = (unsigned char)datagram.ptr[11];
    if (count == 0 || count > GELF_CHUNKS_MAX || number >= count)
        return error_set(err, E_PARSE, "message must not be split into more than %d chunks",
                         GELF_CHUNKS_MAX);
    struct gelf_pending *p =
        c->bytes + body.len > GELF_PENDING_BYTES_MAX ? NULL : pending(c, id, count, now_ns);
    if (p == NULL)
        return error_set(err, E_FULL, "too many incomplete messages");
    if (p->until_ns <= now_ns || p->count != count) {
        drop(c, id);
        return error_set(err, E_PARSE, "message is expired or its chunks do not agree");
    }
    if (p->chunks[number].len > 0)
        return E_AGAIN; /* came twice */
    buf_append_str(&p->chunks[number], body);
    p->bytes += body.len;
    c->bytes += body.len;
    if (++p->seen < p->count)
        return E_AGAIN;
    join(p, out);
    drop(c, id);
    return 0;
}
