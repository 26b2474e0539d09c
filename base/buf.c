#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

#define BUF_FIRST_BYTES 256

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){.max = max_bytes};
}

void buf_deinit(struct buf *b)
{
    mem_free(b->ptr);
    *b = (struct buf){.max = b->max};
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

bool buf_reserve(struct buf *b, size_t n)
{
    if (n <= b->cap - b->len)
        return true;
    if (n > b->max || b->len > b->max - n) {
        b->failed = true;
        return false;
    }
    /* The first room is what was asked for: often the size is known, or the bound of it. */
    size_t want = b->len + n, cap = b->cap ? b->cap : MAX(n, (size_t)BUF_FIRST_BYTES);
    while (cap < want)
        cap += cap / 2 + 64;
    cap = MIN(cap, b->max); /* so that "fits the capacity" means "fits the maximum" */
    char *p = mem_try_realloc(b->ptr, cap);
    if (p == NULL) {
        b->failed = true;
        return false;
    }
    b->ptr = p;
    b->cap = cap;
    return true;
}

bool buf_append(struct buf *b, const void *bytes, size_t n)
{
    if (!buf_reserve(b, n))
        return false;
    if (n > 0)
        memcpy(b->ptr + b->len, bytes, n);
    b->len += n;
    return true;
}

bool buf_append_str(struct buf *b, str s)
{
    return buf_append(b, s.ptr, s.len);
}

bool buf_append_c(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

bool buf_append_char(struct buf *b, char c)
{
    return buf_append(b, &c, 1);
}

bool buf_append_repeated(struct buf *b, str s, uint64_t times)
{
    size_t total;
    if (__builtin_mul_overflow(s.len, times, &total) || !buf_reserve(b, total)) {
        b->failed = true;
        return false;
    }
    if (total == 0)
        return true;
    char *to = b->ptr + b->len;
    memcpy(to, s.ptr, s.len);
    for (size_t done = s.len; done < total; done += MIN(done, total - done))
        memcpy(to + done, to, MIN(done, total - done)); /* doubles what is there */
    b->len += total;
    return true;
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    bool ok = n >= 0 && buf_reserve(b, (size_t)n + 1);
    if (ok) {
        vsnprintf(b->ptr + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return ok;
}

bool buf_append_u64(struct buf *b, uint64_t v)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    return buf_append(b, digits + at, sizeof digits - at);
}

bool buf_append_i64(struct buf *b, int64_t v)
{
    if (v >= 0)
        return buf_append_u64(b, (uint64_t)v);
    return buf_append_char(b, '-') && buf_append_u64(b, 0 - (uint64_t)v);
}

const char *buf_c(struct buf *b)
{
    if (!buf_reserve(b, 1))
        return "";
    b->ptr[b->len] = '\0';
    return b->ptr;
}

char *buf_take(struct buf *b, size_t *ret_len)
{
    char *p = b->ptr;
    if (ret_len != NULL)
        *ret_len = b->len;
    b->ptr = NULL;
    b->len = b->cap = 0;
    return p;
}
