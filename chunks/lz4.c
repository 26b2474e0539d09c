#include "chunks/lz4.h"

#include <lz4.h>

#define EXPANSION_MAX 255 /* LZ4 cannot make more of a byte */

int lz4_put(struct buf *out, str raw, bool *ret_is_plain)
{
    if (raw.len > LZ4_MAX_INPUT_SIZE)
        return E_TOO_LARGE;
    int bound = LZ4_compressBound((int)raw.len);
    if (!buf_reserve(out, (size_t)bound))
        return E_NO_MEMORY;
    int n = LZ4_compress_default(raw.ptr, out->ptr + out->len, (int)raw.len, bound);
    *ret_is_plain = n <= 0 || (size_t)n >= raw.len;
    if (*ret_is_plain)
        return buf_append_str(out, raw) ? 0 : E_NO_MEMORY;
    out->len += (size_t)n;
    return 0;
}

int lz4_get(struct buf *out, str block, size_t raw_len)
{
    if (raw_len == 0 || block.len > LZ4_MAX_INPUT_SIZE || raw_len > LZ4_MAX_INPUT_SIZE ||
        raw_len > block.len * EXPANSION_MAX)
        return E_CORRUPT;
    if (!buf_reserve(out, raw_len))
        return E_NO_MEMORY;
    int n = LZ4_decompress_safe(block.ptr, out->ptr + out->len, (int)block.len, (int)raw_len);
    if (n < 0 || (size_t)n != raw_len)
        return E_CORRUPT;
    out->len += raw_len;
    return 0;
}
