/* base/buf.h - a growable byte buffer with one owner and a maximum set at init.
 *
 * An append that would pass the maximum, or for which memory is not there, fails and leaves the
 * buffer as it was, with `failed` set: a writer may do many appends and check once.  The bytes may
 * move at any append. */
#pragma once
#include "base/str.h"

struct buf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t max;  /* bytes */
    bool failed; /* an append did not fit; sticky until buf_reset */
};

#define BUF_NO_LIMIT ((size_t)1 << 46) /* for what is bounded by other means */

void buf_init(struct buf *b, size_t max_bytes);
void buf_deinit(struct buf *b);
void buf_reset(struct buf *b); /* len = 0, keeps the memory */
/* Makes room for n more bytes; false (and `failed`) if that passes the maximum. */
bool buf_reserve(struct buf *b, size_t n);
bool buf_append(struct buf *b, const void *bytes, size_t n);
bool buf_append_str(struct buf *b, str s);
bool buf_append_c(struct buf *b, const char *s);
bool buf_append_char(struct buf *b, char c);
/* `s`, `times` times over; what would not fit fails before anything is copied. */
bool buf_append_repeated(struct buf *b, str s, uint64_t times);
bool buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Decimal digits; much faster than buf_printf. */
bool buf_append_i64(struct buf *b, int64_t v);
bool buf_append_u64(struct buf *b, uint64_t v);
/* Writes a NUL behind the bytes (not counted in len) and returns them; "" when that fails. */
const char *buf_c(struct buf *b);
/* Moves the bytes out: the caller frees them with mem_free(); the buffer is empty after. */
char *buf_take(struct buf *b, size_t *ret_len);

static inline str buf_str(const struct buf *b)
{
    return (str){b->ptr ? b->ptr : "", b->len};
}
