#include "chunks/chunk.h"

#include "base/crc32c.h"

/* The smallest descriptor: five varints, four columns of which two have a checksum. */
#define DESCRIPTOR_BYTES_MIN 17

bool chunk_put_header(struct buf *out)
{
    return buf_put_u32(out, CHUNK_MAGIC) && buf_put_u8(out, CHUNK_VERSION) &&
           buf_put_u8(out, 0) /* feature bits */ && buf_put_u16(out, 0) /* not used */;
}

/* Header and footer share one checksum, so that a flipped bit in either is seen. */
static uint32_t chunk_crc(str footer)
{
    struct buf header;
    buf_init(&header, CHUNK_HEADER_BYTES);
    chunk_put_header(&header);
    uint32_t crc = crc32c(crc32c(0, buf_str(&header)), footer);
    buf_deinit(&header);
    return crc;
}

bool chunk_put_footer(struct buf *out, const struct chunk_block *blocks, size_t n_blocks)
{
    size_t from = out->len;
    for (size_t i = 0; i < n_blocks; i++)
        if (!chunk_block_put(out, &blocks[i]))
            return false;
    str footer = str_from(buf_str(out), from);
    uint32_t footer_len = (uint32_t)footer.len, crc = chunk_crc(footer);
    return buf_put_u32(out, (uint32_t)n_blocks) && buf_put_u32(out, footer_len) &&
           buf_put_u32(out, crc) && buf_put_u32(out, CHUNK_MAGIC_FOOTER);
}

static int check_header(str bytes)
{
    struct cursor c = cursor_make(bytes);
    uint32_t magic = cursor_u32(&c);
    uint8_t version = cursor_u8(&c), features = cursor_u8(&c);
    uint16_t unused = cursor_u16(&c);
    if (!cursor_ok(&c) || magic != CHUNK_MAGIC || version == 0)
        return E_CORRUPT;
    if (version > CHUNK_VERSION || features != 0)
        return E_UNSUPPORTED;
    return unused == 0 ? 0 : E_CORRUPT;
}

int chunk_open(str bytes, struct arena *a, struct chunk_view *ret)
{
    int code = check_header(bytes);
    if (code != 0)
        return code;
    if (bytes.len < CHUNK_HEADER_BYTES + CHUNK_TRAILER_BYTES || bytes.len > UINT32_MAX)
        return E_CORRUPT;
    size_t body_end = bytes.len - CHUNK_TRAILER_BYTES;
    struct cursor c = cursor_make(str_from(bytes, body_end));
    uint32_t n = cursor_u32(&c), footer_len = cursor_u32(&c), crc = cursor_u32(&c);
    if (cursor_u32(&c) != CHUNK_MAGIC_FOOTER || footer_len > body_end - CHUNK_HEADER_BYTES ||
        n > CHUNK_BLOCKS_MAX || n > footer_len / DESCRIPTOR_BYTES_MIN)
        return E_CORRUPT;
    str footer = str_sub(bytes, body_end - footer_len, body_end);
    if (chunk_crc(footer) != crc)
        return E_CORRUPT;
    struct chunk_block *blocks = arena_try_alloc(a, n * sizeof *blocks);
    uint32_t *block_at = arena_try_alloc(a, n * sizeof *block_at);
    if (blocks == NULL || block_at == NULL)
        return E_NO_MEMORY;
    c = cursor_make(footer);
    uint64_t at = CHUNK_HEADER_BYTES;
    for (uint32_t i = 0; i < n && cursor_ok(&c) && at <= body_end; i++) {
        chunk_block_get(&c, &blocks[i]);
        block_at[i] = (uint32_t)at;
        at += chunk_block_size(&blocks[i]);
    }
    if (!cursor_ok(&c) || !cursor_at_end(&c) || at != body_end - footer_len)
        return E_CORRUPT;
    *ret = (struct chunk_view){bytes, blocks, block_at, n};
    return 0;
}

str chunk_block_bytes(const struct chunk_view *c, size_t i)
{
    return str_make(c->bytes.ptr + c->block_at[i], chunk_block_size(&c->blocks[i]));
}
