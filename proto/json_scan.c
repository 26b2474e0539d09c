#include "proto/json_scan.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/gofmt.h"
#include "base/mem.h"
#include "base/utf8.h"

struct json_scan json_scan_make(str text)
{
    struct json_scan j;
    /* is_array is written before it is read, so it stays as it is: it is big. */
    j.start = j.at = text.ptr;
    j.end = text.ptr + text.len;
    j.bad = j.first = j.is_lax = j.is_jsoniter = false;
    j.depth = 0;
    return j;
}

static bool fail(struct json_scan *j)
{
    j->bad = true;
    return false;
}

static void skip_space(struct json_scan *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\t' || *j->at == '\r'))
        j->at++;
}

enum json_kind json_peek(struct json_scan *j)
{
    if (j->bad)
        return JSON_NOTHING;
    skip_space(j);
    if (j->at == j->end)
        return JSON_NOTHING;
    switch (*j->at) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return JSON_NUMBER;
    default:
        return JSON_NOTHING;
    }
}

/* --- containers --- */

static bool open_container(struct json_scan *j, char c, bool is_array)
{
    if (j->bad)
        return false;
    skip_space(j);
    if (j->at == j->end || *j->at != c || j->depth == JSON_DEPTH_MAX)
        return fail(j);
    j->at++;
    uint64_t bit = UINT64_C(1) << (j->depth % 64);
    if (is_array)
        j->is_array[j->depth / 64] |= bit;
    else
        j->is_array[j->depth / 64] &= ~bit;
    j->depth++;
    j->first = true;
    return true;
}

bool json_object_begin(struct json_scan *j)
{
    return open_container(j, '{', false);
}

bool json_array_begin(struct json_scan *j)
{
    return open_container(j, '[', true);
}

/* Behind an item: takes the comma and returns true, or the closing bracket and returns false. */
static bool next_item(struct json_scan *j, char closing)
{
    if (j->bad)
        return false;
    skip_space(j);
    if (j->at == j->end)
        return fail(j);
    if (*j->at == closing) {
        j->at++;
        j->depth--;
        j->first = false;
        return false;
    }
    if (!j->first) {
        if (*j->at != ',')
            return fail(j);
        j->at++;
    }
    j->first = false;
    return true;
}

bool json_object_next(struct json_scan *j, str *ret_key)
{
    if (!next_item(j, '}') || !json_read_raw_string(j, ret_key, NULL))
        return false;
    skip_space(j);
    if (j->at == j->end || *j->at != ':')
        return fail(j);
    j->at++;
    return true;
}

bool json_array_next(struct json_scan *j)
{
    return next_item(j, ']');
}

/* --- scalars --- */

/* The first byte at or after p that ends or interrupts a string: ", \ or a control character. */
static const char *string_stop(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
    const __m128i top = _mm_set1_epi8(0x1f);
    for (; p + 16 <= end; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, top), v); /* v <= 0x1f, unsigned */
        __m128i hit =
            _mm_or_si128(low, _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)));
        int mask = _mm_movemask_epi8(hit);
        if (mask != 0)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
        p++;
    return p;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Length of the escape at p (a backslash), 0 if it is malformed. */
static size_t escape_length(const char *p, const char *end)
{
    if (end - p < 2)
        return 0;
    if (p[1] != 'u')
        return memchr("\"\\/bfnrt", p[1], 8) != NULL ? 2 : 0;
    if (end - p < 6)
        return 0;
    return is_hex(p[2]) && is_hex(p[3]) && is_hex(p[4]) && is_hex(p[5]) ? 6 : 0;
}

bool json_read_raw_string(struct json_scan *j, str *ret, bool *ret_escaped)
{
    if (j->bad)
        return false;
    skip_space(j);
    if (j->at == j->end || *j->at != '"')
        return fail(j);
    const char *p = j->at + 1;
    bool escaped = false;
    for (;;) {
        p = string_stop(p, j->end);
        if (p < j->end && *p == '"')
            break;
        size_t n = p < j->end && *p == '\\' ? escape_length(p, j->end) : 0;
        if (n == 0 && j->is_lax && j->end - p >= 2)
            n = *p == '\\' ? 2 : 1;
        if (n == 0 && j->is_jsoniter && escaped && p < j->end && *p != '\\')
            n = 1;
        if (n == 0) {
            j->at = p;
            return fail(j);
        }
        escaped = true;
        p += n;
    }
    *ret = str_make(j->at + 1, (size_t)(p - j->at) - 1);
    if (ret_escaped != NULL)
        *ret_escaped = escaped;
    j->at = p + 1;
    return true;
}

bool json_read_string(struct json_scan *j, struct arena *a, str *ret)
{
    bool escaped;
    if (!json_read_raw_string(j, ret, &escaped))
        return false;
    if (!escaped)
        return true;
    *ret = json_unescape_arena(*ret, a);
    return ret->ptr != NULL || fail(j);
}

static const char *digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

/* Beyond a float64: 1e400, or a number of more than 300 digits. */
static bool is_too_big(str number)
{
    double v;
    bool is_suspect = number.len > 300 || memchr(number.ptr, 'e', number.len) != NULL ||
                      memchr(number.ptr, 'E', number.len) != NULL;
    return is_suspect && goparse_float(number, &v) != 0;
}

bool json_read_number(struct json_scan *j, str *ret)
{
    if (j->bad)
        return false;
    skip_space(j);
    const char *p = j->at, *from;
    if (p < j->end && *p == '-')
        p++;
    from = p;
    p = digits(p, j->end);
    if (p == from || (*from == '0' && p - from > 1))
        return fail(j);
    if (p < j->end && *p == '.') {
        from = ++p;
        if ((p = digits(p, j->end)) == from)
            return fail(j);
    }
    if (p < j->end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < j->end && (*p == '+' || *p == '-'))
            p++;
        from = p;
        if ((p = digits(p, j->end)) == from)
            return fail(j);
    }
    *ret = str_make(j->at, (size_t)(p - j->at));
    if (j->is_jsoniter && is_too_big(*ret))
        return fail(j);
    j->at = p;
    return true;
}

static bool take_word(struct json_scan *j, str word)
{
    if (j->bad)
        return false;
    skip_space(j);
    if (!str_has_prefix(str_make(j->at, (size_t)(j->end - j->at)), word))
        return fail(j);
    j->at += word.len;
    return true;
}

bool json_read_bool(struct json_scan *j, bool *ret)
{
    *ret = json_peek(j) == JSON_TRUE;
    return take_word(j, *ret ? STR("true") : STR("false"));
}

bool json_read_null(struct json_scan *j)
{
    return take_word(j, STR("null"));
}

/* Passes over a scalar, or enters a container. */
static bool skip_step(struct json_scan *j)
{
    str ignored;
    switch (json_peek(j)) {
    case JSON_OBJECT:
        return json_object_begin(j);
    case JSON_ARRAY:
        return json_array_begin(j);
    case JSON_STRING:
        return json_read_raw_string(j, &ignored, NULL);
    case JSON_NUMBER:
        return json_read_number(j, &ignored);
    case JSON_TRUE:
        return take_word(j, STR("true"));
    case JSON_FALSE:
        return take_word(j, STR("false"));
    case JSON_NULL:
        return take_word(j, STR("null"));
    case JSON_NOTHING:
        break;
    }
    return fail(j);
}

bool json_skip(struct json_scan *j)
{
    unsigned outside = j->depth;
    str key;
    if (!skip_step(j))
        return false;
    while (j->depth > outside) {
        unsigned top = j->depth - 1;
        bool more = j->is_array[top / 64] >> (top % 64) & 1 ? json_array_next(j)
                                                            : json_object_next(j, &key);
        if (more && !skip_step(j))
            return false;
        if (j->bad)
            return false;
    }
    return true;
}

bool json_read_raw(struct json_scan *j, str *ret)
{
    skip_space(j);
    const char *from = j->at;
    if (!json_skip(j))
        return false;
    *ret = str_make(from, (size_t)(j->at - from));
    return true;
}

bool json_at_end(struct json_scan *j)
{
    skip_space(j);
    return j->at == j->end || (j->is_jsoniter && *j->at == '\0');
}

/* --- escapes --- */

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        v = v << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

/* Decodes the escape at p into out; returns its length in the text, 0 if malformed. */
static size_t unescape_one(const char *p, const char *end, char out[UTF8_MAX], size_t *ret_n)
{
    size_t n = escape_length(p, end);
    *ret_n = 1;
    switch (n == 0 ? '\0' : p[1]) {
    case '\0':
        return 0;
    case 'b':
        out[0] = '\b';
        break;
    case 'f':
        out[0] = '\f';
        break;
    case 'n':
        out[0] = '\n';
        break;
    case 'r':
        out[0] = '\r';
        break;
    case 't':
        out[0] = '\t';
        break;
    case 'u': {
        uint32_t rune = hex4(p + 2);
        bool has_next = end - p >= 12 && p[6] == '\\' && p[7] == 'u';
        if (rune >= 0xd800 && rune < 0xdc00 && has_next && escape_length(p + 6, end) == 6) {
            uint32_t low = hex4(p + 8);
            if (low >= 0xdc00 && low < 0xe000) {
                rune = 0x10000 + ((rune - 0xd800) << 10) + (low - 0xdc00);
                n = 12;
            }
        }
        *ret_n = utf8_encode(out, rune); /* a lone surrogate becomes U+FFFD */
        break;
    }
    default:
        out[0] = p[1];
    }
    return n;
}

/* Writes what raw stands for to `to`, which has room for raw.len bytes: nothing grows. */
static bool unescape(str raw, char *to, size_t *ret_n)
{
    const char *p = raw.ptr, *end = raw.ptr + raw.len;
    char *start = to;
    while (p < end) {
        const char *hit = memchr(p, '\\', (size_t)(end - p));
        size_t run = (size_t)((hit == NULL ? end : hit) - p), n;
        memcpy(to, p, run);
        to += run;
        p += run;
        if (hit == NULL)
            break;
        char bytes[UTF8_MAX];
        size_t taken = unescape_one(p, end, bytes, &n);
        if (taken == 0)
            return false;
        memcpy(to, bytes, n);
        to += n;
        p += taken;
    }
    *ret_n = (size_t)(to - start);
    return true;
}

bool json_unescape(str raw, struct buf *out)
{
    size_t n;
    if (!buf_reserve(out, raw.len) || (raw.len > 0 && !unescape(raw, out->ptr + out->len, &n)))
        return false;
    out->len += raw.len > 0 ? n : 0;
    return true;
}

str json_unescape_arena(str raw, struct arena *a)
{
    if (raw.len == 0 || memchr(raw.ptr, '\\', raw.len) == NULL)
        return raw;
    char *p = arena_try_alloc(a, raw.len);
    size_t n;
    if (p == NULL || !unescape(raw, p, &n))
        return str_make(NULL, 0);
    return str_make(p, n);
}

static bool key_eq(str raw, const char *name, bool (*eq)(str, str))
{
    if (memchr(raw.ptr, '\\', raw.len) == NULL)
        return eq(raw, str_c(name));
    char bytes[256];
    size_t n;
    if (raw.len > sizeof bytes || !unescape(raw, bytes, &n))
        return false;
    return eq(str_make(bytes, n), str_c(name));
}

bool json_key_is(str raw_key, const char *name)
{
    return key_eq(raw_key, name, str_eq);
}

bool json_key_is_nocase(str raw_key, const char *name)
{
    return key_eq(raw_key, name, str_eq_nocase);
}
