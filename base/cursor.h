/* base/cursor.h - reading bytes whose error sticks, and writing their twins into a buf.
 *
 * A decode is a straight run of reads and one check of `cursor_ok` at the end: after the first
 * short or malformed read every further one returns 0 or an empty view.  Fixed-width integers are
 * little-endian unless the name says _be; varints are LEB128 as protobuf's and Go's. */
#pragma once
#include "base/buf.h"

struct cursor {
    const unsigned char *at, *end;
    bool bad;
};

static inline struct cursor cursor_make(str s)
{
    return (struct cursor){(const unsigned char *)s.ptr, (const unsigned char *)s.ptr + s.len,
                           false};
}

static inline bool cursor_ok(const struct cursor *c)
{
    return !c->bad;
}

static inline size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

static inline bool cursor_at_end(const struct cursor *c)
{
    return c->at == c->end;
}

/* A view of the next n bytes. */
static inline str cursor_bytes(struct cursor *c, uint64_t n)
{
    if (c->bad || n > (uint64_t)(c->end - c->at)) {
        c->bad = true;
        return STR_EMPTY;
    }
    str s = {(const char *)c->at, (size_t)n};
    c->at += n;
    return s;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
    str s = cursor_bytes(c, 1);
    return c->bad ? 0 : (uint8_t)s.ptr[0];
}

#define CURSOR_FIXED(name, type, swap)                                                             \
    static inline type name(struct cursor *c)                                                      \
    {                                                                                              \
        str s = cursor_bytes(c, sizeof(type));                                                     \
        type v = 0;                                                                                \
        if (!c->bad)                                                                               \
            memcpy(&v, s.ptr, sizeof v);                                                           \
        return swap(v);                                                                            \
    }
#define CURSOR_SAME(v) (v)
CURSOR_FIXED(cursor_u16, uint16_t, CURSOR_SAME)
CURSOR_FIXED(cursor_u32, uint32_t, CURSOR_SAME)
CURSOR_FIXED(cursor_u64, uint64_t, CURSOR_SAME)
CURSOR_FIXED(cursor_u16_be, uint16_t, __builtin_bswap16)
CURSOR_FIXED(cursor_u32_be, uint32_t, __builtin_bswap32)
CURSOR_FIXED(cursor_u64_be, uint64_t, __builtin_bswap64)

/* At most ten bytes; more, or a value over 64 bits, is malformed. */
static inline uint64_t cursor_uvarint(struct cursor *c)
{
    uint64_t v = 0;
    for (int shift = 0; shift < 64 && !c->bad; shift += 7) {
        uint8_t b = cursor_u8(c);
        if (shift == 63 && b > 1)
            break;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return c->bad ? 0 : v;
    }
    c->bad = true;
    return 0;
}

/* Zigzag, as Go's binary.Varint. */
static inline int64_t cursor_varint(struct cursor *c)
{
    uint64_t v = cursor_uvarint(c);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* A uvarint length and that many bytes. */
static inline str cursor_lenstr(struct cursor *c)
{
    return cursor_bytes(c, cursor_uvarint(c));
}

bool buf_put_u8(struct buf *b, uint8_t v);
bool buf_put_u16(struct buf *b, uint16_t v);
bool buf_put_u32(struct buf *b, uint32_t v);
bool buf_put_u64(struct buf *b, uint64_t v);
bool buf_put_u32_be(struct buf *b, uint32_t v);
bool buf_put_u64_be(struct buf *b, uint64_t v);
bool buf_put_uvarint(struct buf *b, uint64_t v);
bool buf_put_varint(struct buf *b, int64_t v);
bool buf_put_lenstr(struct buf *b, str s);

/* Bytes that buf_put_uvarint writes: 1 to 10, one for each seven bits. */
static inline size_t uvarint_size(uint64_t v)
{
    return (size_t)(63 - __builtin_clzll(v | 1)) / 7 + 1;
}
