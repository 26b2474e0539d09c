#include "promtail/targets/file/inflate.h"

#include <bzlib.h>
#include <unistd.h>
#include <zlib.h>

#include "base/mem.h"

#define IN_BYTES (64 * 1024)

struct inflate {
    int fd;
    bool is_bz2;
    int window_bits; /* zlib: 15 + 16 for gzip, 15 for zlib */
    z_stream z;
    bz_stream bz;
    bool is_open;  /* a member was begun */
    bool at_end;   /* of the file */
    bool any_done; /* a whole member was read */
    char *in;
    size_t in_at, in_len;
};

int inflate_open(int fd, const char *format, struct inflate **ret, struct error *err)
{
    str f = str_c(format);
    bool is_gz = str_eq(f, STR("gz")), is_z = str_eq(f, STR("z")), is_bz2 = str_eq(f, STR("bz2"));
    if (!is_gz && !is_z && !is_bz2) {
        close(fd);
        return error_set(err, E_PARSE, "unsupported compression format \"%s\"", format);
    }
    struct inflate *z = mem_zalloc(sizeof *z);
    z->fd = fd;
    z->is_bz2 = is_bz2;
    z->window_bits = is_gz ? 15 + 16 : 15;
    z->in = mem_alloc(IN_BYTES);
    *ret = z;
    return 0;
}

static void end_member(struct inflate *z)
{
    if (z->is_open && z->is_bz2)
        BZ2_bzDecompressEnd(&z->bz);
    else if (z->is_open)
        inflateEnd(&z->z);
    z->is_open = false;
}

void inflate_close(struct inflate *z)
{
    if (z == NULL)
        return;
    end_member(z);
    close(z->fd);
    mem_free(z->in);
    mem_free(z);
}

static int begin_member(struct inflate *z)
{
    z->z = (z_stream){0};
    z->bz = (bz_stream){0};
    int rc = z->is_bz2 ? BZ2_bzDecompressInit(&z->bz, 0, 0) : inflateInit2(&z->z, z->window_bits);
    z->is_open = rc == 0;
    return rc == 0 ? 0 : E_NO_MEMORY;
}

static int fill(struct inflate *z)
{
    if (z->in_at < z->in_len || z->at_end)
        return 0;
    ssize_t n = read(z->fd, z->in, IN_BYTES);
    if (n < 0)
        return E_IO;
    z->at_end = n == 0;
    z->in_at = 0;
    z->in_len = (size_t)n;
    return 0;
}

/* One call of the library; *ret_ended tells that the member is complete. */
static int step(struct inflate *z, char *to, size_t room, size_t *ret_made, bool *ret_ended)
{
    size_t have = z->in_len - z->in_at;
    if (z->is_bz2) {
        z->bz.next_in = z->in + z->in_at;
        z->bz.avail_in = (unsigned)have;
        z->bz.next_out = to;
        z->bz.avail_out = (unsigned)room;
        int rc = BZ2_bzDecompress(&z->bz);
        z->in_at = z->in_len - z->bz.avail_in;
        *ret_made = room - z->bz.avail_out;
        *ret_ended = rc == BZ_STREAM_END;
        return rc == BZ_OK || rc == BZ_STREAM_END ? 0 : E_CORRUPT;
    }
    z->z.next_in = (unsigned char *)z->in + z->in_at;
    z->z.avail_in = (unsigned)have;
    z->z.next_out = (unsigned char *)to;
    z->z.avail_out = (unsigned)room;
    int rc = inflate(&z->z, Z_NO_FLUSH);
    z->in_at = z->in_len - z->z.avail_in;
    *ret_made = room - z->z.avail_out;
    *ret_ended = rc == Z_STREAM_END;
    return rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR ? 0 : E_CORRUPT;
}

int inflate_read(struct inflate *z, struct buf *out, size_t n, size_t *ret_read)
{
    *ret_read = 0;
    if (!buf_reserve(out, n))
        return E_NO_MEMORY;
    while (*ret_read == 0) {
        int rc = fill(z);
        if (rc != 0)
            return rc;
        if (z->in_at == z->in_len) { /* the end: of a member, or too early */
            bool is_early = z->is_open || !z->any_done;
            z->at_end = !is_early;
            return is_early ? E_EOF : 0;
        }
        if (!z->is_open && (rc = begin_member(z)) != 0)
            return rc;
        bool ended = false;
        rc = step(z, out->ptr + out->len, n, ret_read, &ended);
        if (rc != 0)
            return rc;
        out->len += *ret_read;
        if (ended) {
            end_member(z);
            z->any_done = true;
        }
    }
    return 0;
}
