#include "base/str.h"

#include "base/mem.h"

size_t str_find(str s, str needle)
{
    if (needle.len == 0)
        return 0;
    const char *hit = s.len == 0 ? NULL : memmem(s.ptr, s.len, needle.ptr, needle.len);
    return hit == NULL ? STR_NPOS : (size_t)(hit - s.ptr);
}

size_t str_find_char(str s, char c)
{
    const char *hit = s.len == 0 ? NULL : memchr(s.ptr, c, s.len);
    return hit == NULL ? STR_NPOS : (size_t)(hit - s.ptr);
}

size_t str_rfind_char(str s, char c)
{
    const char *hit = s.len == 0 ? NULL : memrchr(s.ptr, c, s.len);
    return hit == NULL ? STR_NPOS : (size_t)(hit - s.ptr);
}

bool str_contains(str s, str needle)
{
    return str_find(s, needle) != STR_NPOS;
}

static char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool str_eq_nocase(str a, str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i]))
            return false;
    return true;
}

str str_trim(str s)
{
    return str_trim_chars(s, STR(" \t\n\v\f\r"));
}

str str_trim_chars(str s, str set)
{
    while (s.len > 0 && str_find_char(set, s.ptr[0]) != STR_NPOS)
        s = str_from(s, 1);
    while (s.len > 0 && str_find_char(set, s.ptr[s.len - 1]) != STR_NPOS)
        s.len--;
    return s;
}

str str_split(str *rest, char sep)
{
    size_t at = str_find_char(*rest, sep);
    str part = *rest;
    if (at == STR_NPOS) {
        *rest = (str){NULL, 0};
        return part;
    }
    part.len = at;
    *rest = str_from(*rest, at + 1);
    return part;
}

bool str_to_u64(str s, uint64_t *ret)
{
    if (s.len == 0)
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.ptr[i] - '0'), &v))
            return false;
    }
    *ret = v;
    return true;
}

bool str_to_i64(str s, int64_t *ret)
{
    bool neg = s.len > 0 && s.ptr[0] == '-';
    if (neg || (s.len > 0 && s.ptr[0] == '+'))
        s = str_from(s, 1);
    uint64_t v;
    if (!str_to_u64(s, &v) || v > (uint64_t)INT64_MAX + (neg ? 1 : 0))
        return false;
    *ret = neg ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

char *str_dup_c(str s)
{
    char *p = mem_alloc(s.len + 1);
    if (s.len > 0)
        memcpy(p, s.ptr, s.len);
    p[s.len] = '\0';
    return p;
}

/* Eight bytes at a time: almost all text is ASCII. */
bool str_is_ascii(str s)
{
    uint64_t high = 0, word;
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8) {
        memcpy(&word, s.ptr + i, 8);
        high |= word;
    }
    for (; i < s.len; i++)
        high |= (unsigned char)s.ptr[i];
    return (high & 0x8080808080808080u) == 0;
}

bool str_is_utf8(str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr, *end = p + s.len;
    while (p < end) {
        if (end - p >= 8) { /* eight ASCII bytes at once */
            uint64_t w;
            memcpy(&w, p, 8);
            if ((w & 0x8080808080808080u) == 0) {
                p += 8;
                continue;
            }
        }
        unsigned c = *p++;
        if (c < 0x80)
            continue;
        int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
        if (c < 0xC2 || c > 0xF4 || end - p < more)
            return false;
        unsigned lo = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
        unsigned hi = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
        if (p[0] < lo || p[0] > hi)
            return false;
        for (int i = 1; i < more; i++)
            if ((p[i] & 0xC0) != 0x80)
                return false;
        p += more;
    }
    return true;
}
