#include "proto/snappy.h"

#include <snappy-c.h>

#include "base/cursor.h"

/* A block codes at most 64 bytes by 2 (a copy), after the length: what claims more is corrupt, and
 * memory is not asked for on its word. */
#define SNAPPY_RATIO_MAX 64

int snappy_decoded_size(str block, size_t *ret)
{
    if (snappy_uncompressed_length(block.ptr, block.len, ret) != SNAPPY_OK)
        return E_PARSE;
    return *ret / SNAPPY_RATIO_MAX <= block.len ? 0 : E_PARSE;
}

int snappy_decode(str block, struct buf *out)
{
    size_t size;
    int code = snappy_decoded_size(block, &size);
    if (code != 0)
        return code;
    if (size > out->max - out->len)
        return E_TOO_LARGE;
    if (!buf_reserve(out, size + 1))
        return E_NO_MEMORY;
    if (snappy_uncompress(block.ptr, block.len, out->ptr + out->len, &size) != SNAPPY_OK)
        return E_PARSE;
    out->len += size;
    return 0;
}

int snappy_encode(str plain, struct buf *out)
{
    size_t size = snappy_max_compressed_length(plain.len);
    if (!buf_reserve(out, size))
        return E_TOO_LARGE;
    if (snappy_compress(plain.ptr, plain.len, out->ptr + out->len, &size) != SNAPPY_OK)
        return E_INTERNAL;
    out->len += size;
    return 0;
}

int snappy_encode_length(size_t plain_bytes, struct buf *out)
{
    return buf_put_uvarint(out, plain_bytes) ? 0 : E_TOO_LARGE;
}

size_t snappy_piece_bytes_max(size_t plain_bytes)
{
    return snappy_max_compressed_length(plain_bytes);
}

/* A block of its own without its length: its copies look back no further than its beginning. */
int snappy_encode_piece(str plain, struct buf *scratch, struct buf *out)
{
    buf_reset(scratch);
    int code = snappy_encode(plain, scratch);
    if (code != 0)
        return code;
    return buf_append_str(out, str_from(buf_str(scratch), uvarint_size(plain.len))) ? 0
                                                                                    : E_TOO_LARGE;
}
