/* Content-Encoding of request bodies. */
#include <zlib.h>

#include "base/mem.h"
#include "runtime/http_server.h"

#define INFLATE_STEP_BYTES (64 * 1024)

/* "deflate" means zlib by the standard and raw deflate to Go and many senders; the first bytes
 * tell: a zlib header is a multiple of 31 with method 8. */
static int window_bits(str body, str encoding)
{
    if (!str_eq_nocase(encoding, STR("deflate")))
        return 15 + 32; /* gzip or zlib by header */
    if (body.len >= 2 && ((unsigned char)body.ptr[0] & 0x0f) == 8 &&
        (((unsigned)(unsigned char)body.ptr[0] << 8) | (unsigned char)body.ptr[1]) % 31 == 0)
        return 15;
    return -15;
}

/* Makes room for the next piece, at most to the buffer's maximum. */
static int make_room(struct buf *out)
{
    if (out->len == out->max)
        return E_TOO_LARGE;
    size_t step = MAX(INFLATE_STEP_BYTES, out->len / 2);
    return buf_reserve(out, MIN(step, out->max - out->len)) ? 0 : E_TOO_LARGE;
}

/* One member; *body moves behind it. */
static int inflate_member(z_stream *z, struct buf *out)
{
    for (;;) {
        char spare; /* lets a stream that exactly fills `out` reach its end */
        bool is_full = out->len == out->max;
        int code = is_full ? 0 : make_room(out);
        if (code != 0)
            return code;
        size_t room = is_full ? 1 : MIN(out->cap, out->max) - out->len;
        z->next_out = is_full ? (Bytef *)&spare : (Bytef *)(out->ptr + out->len);
        z->avail_out = (uInt)MIN(room, (size_t)1 << 30);
        uInt before = z->avail_out;
        int zcode = inflate(z, Z_NO_FLUSH);
        if (is_full && z->avail_out != before)
            return E_TOO_LARGE;
        out->len += before - z->avail_out;
        if (zcode == Z_STREAM_END)
            return 0;
        if (zcode == Z_MEM_ERROR)
            return E_NO_MEMORY;
        if (zcode != Z_OK || (z->avail_in == 0 && z->avail_out != 0))
            return E_INVALID; /* malformed, or it ends in the middle */
    }
}

static int inflate_body(str body, str encoding, struct buf *out)
{
    z_stream z = {0};
    if (body.len > UINT32_MAX)
        return E_TOO_LARGE;
    if (inflateInit2(&z, window_bits(body, encoding)) != Z_OK)
        return E_NO_MEMORY;
    z.next_in = (Bytef *)(uintptr_t)body.ptr;
    z.avail_in = (uInt)body.len;
    int code;
    do { /* gzip members may follow each other (RFC 1952, 2.2) */
        code = inflate_member(&z, out);
    } while (code == 0 && z.avail_in > 0 && str_eq_nocase(encoding, STR("gzip")) &&
             inflateReset(&z) == Z_OK);
    inflateEnd(&z);
    return code;
}

int http_decode_body(str body, str encoding, struct buf *out)
{
    encoding = str_trim(encoding);
    if (encoding.len == 0 || str_eq_nocase(encoding, STR("identity"))) {
        if (body.len > out->max)
            return E_TOO_LARGE;
        return buf_append_str(out, body) ? 0 : E_TOO_LARGE;
    }
    if (!str_eq_nocase(encoding, STR("gzip")) && !str_eq_nocase(encoding, STR("x-gzip")) &&
        !str_eq_nocase(encoding, STR("deflate")) && !str_eq_nocase(encoding, STR("zlib")))
        return E_UNSUPPORTED;
    return inflate_body(body, encoding, out);
}
