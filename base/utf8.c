#include "base/utf8.h"

#include "base/mem.h"
#include "base/unicode_tables.h"

/* Decodes a rune of two bytes or more; 0 if malformed. */
static size_t decode_long(const unsigned char *p, size_t left, uint32_t *ret)
{
    unsigned c = p[0];
    if (c < 0xC2 || c > 0xF4)
        return 0;
    size_t width = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    unsigned lo = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80; /* no overlong forms */
    unsigned hi = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF; /* no surrogates, no giants */
    if (left < width || p[1] < lo || p[1] > hi)
        return 0;
    uint32_t rune = c & (0xFFu >> (width + 1));
    for (size_t i = 1; i < width; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        rune = rune << 6 | (p[i] & 0x3F);
    }
    *ret = rune;
    return width;
}

size_t utf8_decode(str s, uint32_t *ret_rune)
{
    *ret_rune = RUNE_ERROR;
    if (s.len == 0)
        return 0;
    const unsigned char *p = (const unsigned char *)s.ptr;
    if (p[0] < 0x80) {
        *ret_rune = p[0];
        return 1;
    }
    size_t width = decode_long(p, s.len, ret_rune);
    return width == 0 ? 1 : width;
}

size_t utf8_decode_last(str s, uint32_t *ret_rune)
{
    *ret_rune = RUNE_ERROR;
    if (s.len == 0)
        return 0;
    size_t start = s.len - 1;
    for (size_t back = 1; back <= UTF8_MAX && back <= s.len; back++) {
        start = s.len - back;
        if ((s.ptr[start] & 0xC0) != 0x80)
            break;
    }
    if (utf8_decode(str_from(s, start), ret_rune) == s.len - start)
        return s.len - start;
    *ret_rune = RUNE_ERROR;
    return 1;
}

size_t utf8_encode(char out[UTF8_MAX], uint32_t r)
{
    if (r < 0x80) {
        out[0] = (char)r;
        return 1;
    }
    if (r < 0x800) {
        out[0] = (char)(0xC0 | r >> 6);
        out[1] = (char)(0x80 | (r & 0x3F));
        return 2;
    }
    if (r > RUNE_MAX || (r >= 0xD800 && r <= 0xDFFF))
        r = RUNE_ERROR;
    if (r < 0x10000) {
        out[0] = (char)(0xE0 | r >> 12);
        out[1] = (char)(0x80 | (r >> 6 & 0x3F));
        out[2] = (char)(0x80 | (r & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | r >> 18);
    out[1] = (char)(0x80 | (r >> 12 & 0x3F));
    out[2] = (char)(0x80 | (r >> 6 & 0x3F));
    out[3] = (char)(0x80 | (r & 0x3F));
    return 4;
}

bool utf8_append(struct buf *b, uint32_t rune)
{
    char bytes[UTF8_MAX];
    return buf_append(b, bytes, utf8_encode(bytes, rune));
}

size_t utf8_ascii_len(str s)
{
    size_t i = 0;
    uint64_t words[4];
    for (; i + sizeof words <= s.len; i += sizeof words) {
        memcpy(words, s.ptr + i, sizeof words);
        if (((words[0] | words[1] | words[2] | words[3]) & 0x8080808080808080u) != 0)
            break;
    }
    while (i < s.len && (unsigned char)s.ptr[i] < 0x80)
        i++;
    return i;
}

size_t utf8_count(str s)
{
    size_t n = 0;
    uint32_t rune;
    for (; s.len > 0; n++)
        s = str_from(s, utf8_decode(s, &rune));
    return n;
}

size_t utf8_offset(str s, size_t n)
{
    str rest = s;
    uint32_t rune;
    for (; rest.len > 0 && n > 0; n--)
        rest = str_from(rest, utf8_decode(rest, &rune));
    return s.len - rest.len;
}

static bool in_ranges(const struct rune_range *ranges, size_t n, uint32_t rune)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (rune > ranges[mid].hi)
            lo = mid + 1;
        else if (rune < ranges[mid].lo)
            hi = mid;
        else
            return true;
    }
    return false;
}

static const struct case_range *find_case(uint32_t rune)
{
    size_t lo = 0, hi = ARRAY_LEN(case_ranges);
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (rune > case_ranges[mid].hi)
            lo = mid + 1;
        else if (rune < case_ranges[mid].lo)
            hi = mid;
        else
            return &case_ranges[mid];
    }
    return NULL;
}

static uint32_t shifted(uint32_t rune, int32_t by)
{
    return (uint32_t)((int64_t)rune + by);
}

uint32_t rune_to_lower(uint32_t rune)
{
    if (rune < 0x80)
        return rune >= 'A' && rune <= 'Z' ? rune + 32 : rune;
    const struct case_range *c = find_case(rune);
    if (c == NULL)
        return rune;
    if (c->upper == CASE_ALTERNATES)
        return c->lo + ((rune - c->lo) | 1);
    return shifted(rune, c->lower);
}

uint32_t rune_to_upper(uint32_t rune)
{
    if (rune < 0x80)
        return rune >= 'a' && rune <= 'z' ? rune - 32 : rune;
    const struct case_range *c = find_case(rune);
    if (c == NULL)
        return rune;
    if (c->upper == CASE_ALTERNATES)
        return c->lo + ((rune - c->lo) & ~UINT32_C(1));
    return shifted(rune, c->upper);
}

uint32_t rune_to_title(uint32_t rune)
{
    if (rune < 0x80)
        return rune_to_upper(rune);
    const struct case_range *c = find_case(rune);
    if (c == NULL)
        return rune;
    if (c->upper == CASE_ALTERNATES)
        return c->lo + ((rune - c->lo) & ~UINT32_C(1));
    return shifted(rune, c->title);
}

bool rune_is_letter(uint32_t r)
{
    if (r < 0x80)
        return (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z');
    return in_ranges(letter_ranges, ARRAY_LEN(letter_ranges), r);
}

bool rune_is_digit(uint32_t r)
{
    if (r < 0x80)
        return r >= '0' && r <= '9';
    return in_ranges(digit_ranges, ARRAY_LEN(digit_ranges), r);
}

/* A letter that has another lower (upper) form: all but a few ornamental alphabets. */
bool rune_is_upper(uint32_t r)
{
    return rune_to_lower(r) != r;
}

bool rune_is_lower(uint32_t r)
{
    return rune_to_upper(r) != r;
}

bool rune_is_space(uint32_t r)
{
    return r == ' ' || (r >= '\t' && r <= '\r') || r == 0x85 || r == 0xA0 || r == 0x1680 ||
           (r >= 0x2000 && r <= 0x200a) || r == 0x2028 || r == 0x2029 || r == 0x202f ||
           r == 0x205f || r == 0x3000;
}

bool rune_is_print(uint32_t r)
{
    if (r < 0x80)
        return r >= 0x20 && r < 0x7F;
    return in_ranges(print_ranges, ARRAY_LEN(print_ranges), r);
}

static bool append_mapped(struct buf *b, str s, uint32_t (*map)(uint32_t))
{
    if (!buf_reserve(b, s.len))
        return false;
    if (str_is_ascii(s)) {
        for (size_t i = 0; i < s.len; i++)
            b->ptr[b->len++] = (char)map((unsigned char)s.ptr[i]);
        return true;
    }
    while (s.len > 0) {
        uint32_t rune;
        s = str_from(s, utf8_decode(s, &rune));
        utf8_append(b, map(rune));
    }
    return !b->failed;
}

bool utf8_append_lower(struct buf *b, str s)
{
    return append_mapped(b, s, rune_to_lower);
}

bool utf8_append_upper(struct buf *b, str s)
{
    return append_mapped(b, s, rune_to_upper);
}

/* What ends a word for strings.Title. */
static bool is_separator(uint32_t r)
{
    if (r < 0x80)
        return !rune_is_letter(r) && !rune_is_digit(r) && r != '_';
    return !rune_is_letter(r) && !rune_is_digit(r) && rune_is_space(r);
}

bool utf8_append_title(struct buf *b, str s)
{
    uint32_t before = ' ';
    while (s.len > 0) {
        uint32_t rune;
        s = str_from(s, utf8_decode(s, &rune));
        utf8_append(b, is_separator(before) ? rune_to_title(rune) : rune);
        before = rune;
    }
    return !b->failed;
}

bool utf8_append_valid(struct buf *b, str s, str replacement)
{
    bool in_bad = false;
    while (s.len > 0) {
        uint32_t rune;
        size_t width = utf8_decode(s, &rune);
        bool bad = rune == RUNE_ERROR && width == 1;
        if (!bad)
            buf_append(b, s.ptr, width);
        else if (!in_bad)
            buf_append_str(b, replacement);
        in_bad = bad;
        s = str_from(s, width);
    }
    return !b->failed;
}

str utf8_trim_space(str s)
{
    uint32_t rune;
    size_t width;
    while ((width = utf8_decode(s, &rune)) > 0 && rune_is_space(rune))
        s = str_from(s, width);
    while ((width = utf8_decode_last(s, &rune)) > 0 && rune_is_space(rune))
        s.len -= width;
    return s;
}

bool utf8_eq_fold(str a, str b)
{
    while (a.len > 0 && b.len > 0) {
        uint32_t x, y;
        a = str_from(a, utf8_decode(a, &x));
        b = str_from(b, utf8_decode(b, &y));
        if (x != y && rune_to_lower(rune_to_upper(x)) != rune_to_lower(rune_to_upper(y)))
            return false;
    }
    return a.len == b.len;
}
