#include "logql/stages/logfmt_scan.h"

#include "base/utf8.h"
#include "logql/stages/json_lax.h"

/* Bytes that end something: white space and control, '=' and '"'. */
enum { PLAIN, BLANK, EQUALS, QUOTE };

static const unsigned char kinds[256] = {
    [0] = BLANK,  [1] = BLANK,  [2] = BLANK,   [3] = BLANK,    [4] = BLANK,   [5] = BLANK,
    [6] = BLANK,  [7] = BLANK,  [8] = BLANK,   [9] = BLANK,    [10] = BLANK,  [11] = BLANK,
    [12] = BLANK, [13] = BLANK, [14] = BLANK,  [15] = BLANK,   [16] = BLANK,  [17] = BLANK,
    [18] = BLANK, [19] = BLANK, [20] = BLANK,  [21] = BLANK,   [22] = BLANK,  [23] = BLANK,
    [24] = BLANK, [25] = BLANK, [26] = BLANK,  [27] = BLANK,   [28] = BLANK,  [29] = BLANK,
    [30] = BLANK, [31] = BLANK, [' '] = BLANK, ['='] = EQUALS, ['"'] = QUOTE,
};

static inline unsigned kind_at(const struct logfmt_scan *s, size_t at)
{
    return kinds[(unsigned char)s->line.ptr[at]];
}

/* First byte from `at` on that ends something. */
static size_t plain_end(const struct logfmt_scan *s, size_t at)
{
    if (s->index != NULL)
        return byte_index_next(s->index, at);
    while (at < s->line.len && kind_at(s, at) == PLAIN)
        at++;
    return at;
}

static bool fail(struct logfmt_scan *s, enum logfmt_error error)
{
    s->error = error;
    s->error_at = s->at;
    return false;
}

static bool fail_and_skip(struct logfmt_scan *s, enum logfmt_error error)
{
    fail(s, error);
    s->unexpected = s->line.ptr[s->at];
    while (s->at < s->line.len && kind_at(s, s->at) != BLANK)
        s->at++;
    return false;
}

/* True if the key is well-formed UTF-8 without U+FFFD. */
static bool is_good_key(const struct logfmt_scan *s, size_t from)
{
    str key = s->key;
    if (s->index != NULL && byte_index_is_ascii(s->index, from, s->at))
        return true;
    uint64_t high = 0;
    for (size_t i = 0; i < key.len; i++)
        high |= (unsigned char)key.ptr[i];
    if (high < 0x80)
        return true;
    uint32_t rune;
    for (size_t n; key.len > 0; key = str_from(key, n)) {
        n = utf8_decode(key, &rune);
        if (rune == RUNE_ERROR)
            return false;
    }
    return true;
}

static int hex4(str s)
{
    uint64_t v = 0;
    if (s.len < 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        char c = s.ptr[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                : 16;
        if (digit == 16)
            return -1;
        v = v << 4 | digit;
    }
    return (int)v;
}

/* \uXXXX at s: writes the rune, returns bytes taken, 0 if malformed.  Half of a pair alone is
 * U+FFFD. */
static size_t unquote_unicode(str s, char *out, size_t *ret_n)
{
    int high = hex4(str_from(s, 2));
    if (high < 0)
        return 0;
    size_t taken = 6;
    uint32_t rune = (uint32_t)high;
    if (high >= 0xD800 && high <= 0xDFFF) {
        rune = RUNE_ERROR;
        int low = str_has_prefix(str_from(s, 6), STR("\\u")) ? hex4(str_from(s, 8)) : -1;
        if (high < 0xDC00 && low >= 0xDC00 && low <= 0xDFFF) {
            rune = (uint32_t)(0x10000 + (high - 0xD800) * 0x400 + (low - 0xDC00));
            taken = 12;
        }
    }
    *ret_n = utf8_encode(out, rune);
    return taken;
}

bool logfmt_unquote(str s, struct arena *a, str *ret)
{
    static const char from[] = "\"\\/'bfnrt", to[] = "\"\\/'\b\f\n\r\t";
    char *out = arena_alloc(a, s.len * 3), *end = out;
    while (s.len > 0) {
        size_t taken = 1, written = 1;
        if (s.ptr[0] == '\\') {
            const char *escape = s.len < 2 || s.ptr[1] == '\0' ? NULL : strchr(from, s.ptr[1]);
            taken = 2;
            if (escape != NULL)
                *end = to[escape - from];
            else if (s.len >= 2 && s.ptr[1] == 'u')
                taken = unquote_unicode(s, end, &written);
            else
                taken = 0;
            if (taken == 0)
                return false;
        } else if ((unsigned char)s.ptr[0] < 0x80) {
            *end = s.ptr[0];
        } else {
            uint32_t rune;
            taken = utf8_decode(s, &rune);
            written = utf8_encode(end, rune);
        }
        end += written;
        s = str_from(s, taken);
    }
    *ret = str_make(out, (size_t)(end - out));
    return true;
}

static bool has_control(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < ' ')
            return true;
    return false;
}

/* Stands on the opening quote. */
static bool quoted_value(struct logfmt_scan *s, struct arena *a)
{
    size_t from = s->at + 1;
    bool has_escape;
    size_t end = json_lax_string_end(s->line, from, &has_escape); /* strings end alike */
    if (end == STR_NPOS) {
        s->at = s->line.len;
        return fail(s, LOGFMT_UNTERMINATED);
    }
    s->at = end;
    s->value = str_sub(s->line, from, end - 1);
    if (has_escape &&
        ((s->is_strict && has_control(s->value)) || !logfmt_unquote(s->value, a, &s->value)))
        return fail(s, LOGFMT_BAD_QUOTED);
    return true;
}

/* Stands behind the '='. */
static bool value(struct logfmt_scan *s, struct arena *a)
{
    if (logfmt_is_end(s) || kind_at(s, s->at) == BLANK)
        return true;
    if (kind_at(s, s->at) == QUOTE)
        return quoted_value(s, a);
    size_t from = s->at;
    s->at = plain_end(s, from);
    if (!logfmt_is_end(s) && kind_at(s, s->at) != BLANK)
        return fail_and_skip(s, LOGFMT_UNEXPECTED);
    s->value = str_sub(s->line, from, s->at);
    return true;
}

bool logfmt_next(struct logfmt_scan *s, struct arena *a)
{
    s->key = s->value = STR_EMPTY;
    while (!logfmt_is_end(s) && kind_at(s, s->at) == BLANK)
        s->at++;
    if (logfmt_is_end(s))
        return false;
    size_t from = s->at;
    s->at = plain_end(s, from);
    s->key = str_sub(s->line, from, s->at);
    unsigned kind = logfmt_is_end(s) ? BLANK : kind_at(s, s->at);
    if (kind == QUOTE || s->key.len == 0)
        return fail_and_skip(s, LOGFMT_UNEXPECTED);
    if (!is_good_key(s, from))
        return kind == EQUALS ? fail_and_skip(s, LOGFMT_BAD_KEY) : fail(s, LOGFMT_BAD_KEY);
    if (kind != EQUALS)
        return true;
    s->at++;
    return value(s, a);
}

str logfmt_error_text(const struct logfmt_scan *s, struct arena *a)
{
    static const char *const texts[] = {
        [LOGFMT_BAD_KEY] = "invalid key",
        [LOGFMT_UNTERMINATED] = "unterminated quoted value",
        [LOGFMT_BAD_QUOTED] = "invalid quoted value",
    };
    unsigned long pos = (unsigned long)s->error_at + 1;
    if (s->error == LOGFMT_UNEXPECTED) /* only '=' and '"' can be unexpected */
        return arena_printf(a, "logfmt syntax error at pos %lu : unexpected '%c'", pos,
                            s->unexpected);
    return arena_printf(a, "logfmt syntax error at pos %lu : %s", pos, texts[s->error]);
}
