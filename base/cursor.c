#include "base/cursor.h"

bool buf_put_u8(struct buf *b, uint8_t v)
{
    return buf_append(b, &v, sizeof v);
}

bool buf_put_u16(struct buf *b, uint16_t v)
{
    return buf_append(b, &v, sizeof v);
}

bool buf_put_u32(struct buf *b, uint32_t v)
{
    return buf_append(b, &v, sizeof v);
}

bool buf_put_u64(struct buf *b, uint64_t v)
{
    return buf_append(b, &v, sizeof v);
}

bool buf_put_u32_be(struct buf *b, uint32_t v)
{
    return buf_put_u32(b, __builtin_bswap32(v));
}

bool buf_put_u64_be(struct buf *b, uint64_t v)
{
    return buf_put_u64(b, __builtin_bswap64(v));
}

bool buf_put_uvarint(struct buf *b, uint64_t v)
{
    unsigned char bytes[10];
    size_t n = 0;
    while (v >= 0x80) {
        bytes[n++] = (unsigned char)(v | 0x80);
        v >>= 7;
    }
    bytes[n++] = (unsigned char)v;
    return buf_append(b, bytes, n);
}

bool buf_put_varint(struct buf *b, int64_t v)
{
    return buf_put_uvarint(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

bool buf_put_lenstr(struct buf *b, str s)
{
    return buf_put_uvarint(b, s.len) && buf_append_str(b, s);
}
