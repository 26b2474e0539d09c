/* base/str.h - a view of bytes: pointer and length, never owned, not NUL-terminated. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct str {
    const char *ptr;
    size_t len;
} str;

#define STR(literal) ((str){"" literal "", sizeof(literal) - 1})
#define STR_EMPTY    ((str){"", 0})
/* for printf: printf("%.*s", STR_ARG(s)) */
#define STR_ARG(s) (int)(s).len, (s).ptr

static inline str str_make(const char *ptr, size_t len)
{
    return (str){ptr, len};
}

/* A view of a C string; NULL gives the empty view. */
static inline str str_c(const char *s)
{
    return s == NULL ? STR_EMPTY : (str){s, strlen(s)};
}

static inline bool str_eq(str a, str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool str_eq_c(str a, const char *b)
{
    return str_eq(a, str_c(b));
}

/* Byte order, shorter first: <0, 0, >0. */
static inline int str_cmp(str a, str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
    return c != 0 ? c : (a.len > b.len) - (a.len < b.len);
}

static inline bool str_has_prefix(str s, str prefix)
{
    return s.len >= prefix.len && memcmp(s.ptr, prefix.ptr, prefix.len) == 0;
}

static inline bool str_has_suffix(str s, str suffix)
{
    return s.len >= suffix.len && memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0;
}

/* s[from .. to), both cut to the length of s. */
static inline str str_sub(str s, size_t from, size_t to)
{
    if (to > s.len)
        to = s.len;
    if (from > to)
        from = to;
    return (str){s.ptr + from, to - from};
}

static inline str str_from(str s, size_t from)
{
    return str_sub(s, from, s.len);
}

#define STR_NPOS ((size_t)-1)

/* True if c, a rune or a byte, is one of these ASCII characters; NUL is none of them. */
static inline bool char_in(uint32_t c, const char *set)
{
    return c != 0 && c < 0x80 && strchr(set, (int)c) != NULL;
}

size_t str_find(str s, str needle);   /* offset of the first hit, STR_NPOS if none */
size_t str_find_char(str s, char c);  /* the same for one byte */
size_t str_rfind_char(str s, char c); /* the last hit */
bool str_contains(str s, str needle);
bool str_eq_nocase(str a, str b);   /* ASCII letters only */
str str_trim(str s);                /* without ASCII white space at both ends */
str str_trim_chars(str s, str set); /* without bytes of `set` at both ends */

/* Takes the part before `sep` off the front of *rest and returns it; the last part empties *rest
 * and sets rest->ptr to NULL, so a loop reads: while (rest.ptr) part = str_split(&rest, ','). */
str str_split(str *rest, char sep);

/* Whole-string decimal numbers.  False, and *ret untouched, on anything else or on overflow. */
bool str_to_i64(str s, int64_t *ret);
bool str_to_u64(str s, uint64_t *ret);

/* A NUL-terminated copy the caller frees with mem_free(). */
char *str_dup_c(str s);

/* True if s is well-formed UTF-8 (no surrogates, no overlong forms), as Go's utf8.Valid. */
bool str_is_utf8(str s);
bool str_is_ascii(str s);
