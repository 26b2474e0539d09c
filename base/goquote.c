#include "base/goquote.h"

#include "base/status.h"
#include "base/utf8.h"

static const char hex_digits[] = "0123456789abcdef";

static void append_hex(struct buf *b, char kind, uint32_t v, int digits)
{
    buf_append_char(b, '\\');
    buf_append_char(b, kind);
    while (digits-- > 0)
        buf_append_char(b, hex_digits[v >> 4 * digits & 15]);
}

static void append_escaped(struct buf *b, uint32_t rune, char quote, bool ascii)
{
    static const char from[] = "\a\b\f\n\r\t\v", to[] = "abfnrtv";
    const char *hit = rune > 0 && rune < 0x80 ? strchr(from, (int)rune) : NULL;
    if (rune == (unsigned char)quote || rune == '\\') {
        buf_append_char(b, '\\');
        buf_append_char(b, (char)rune);
    } else if (ascii ? rune < 0x80 && rune_is_print(rune) : rune_is_print(rune)) {
        utf8_append(b, rune);
    } else if (hit != NULL) {
        buf_append_char(b, '\\');
        buf_append_char(b, to[hit - from]);
    } else if (rune < ' ' || rune == 0x7f) {
        append_hex(b, 'x', rune, 2);
    } else if (rune > RUNE_MAX || (rune >= 0xD800 && rune <= 0xDFFF)) {
        append_hex(b, 'u', RUNE_ERROR, 4);
    } else if (rune < 0x10000) {
        append_hex(b, 'u', rune, 4);
    } else {
        append_hex(b, 'U', rune, 8);
    }
}

static bool quote_with(struct buf *b, str s, bool ascii)
{
    buf_append_char(b, '"');
    while (s.len > 0) {
        uint32_t rune;
        size_t width = utf8_decode(s, &rune);
        if (width == 1 && rune == RUNE_ERROR)
            append_hex(b, 'x', (unsigned char)s.ptr[0], 2);
        else
            append_escaped(b, rune, '"', ascii);
        s = str_from(s, width);
    }
    return buf_append_char(b, '"');
}

bool goquote(struct buf *b, str s)
{
    return quote_with(b, s, false);
}

bool goquote_ascii(struct buf *b, str s)
{
    return quote_with(b, s, true);
}

bool goquote_bytes(struct buf *b, str s)
{
    buf_append_char(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c >= 0x80 || c < ' ') {
            append_hex(b, 'x', c, 2);
            continue;
        }
        if (c == '"' || c == '\\')
            buf_append_char(b, '\\');
        buf_append_char(b, (char)c);
    }
    return buf_append_char(b, '"');
}

bool goquote_rune(struct buf *b, uint32_t rune)
{
    if (rune > RUNE_MAX || (rune >= 0xD800 && rune <= 0xDFFF))
        rune = RUNE_ERROR;
    buf_append_char(b, '\'');
    append_escaped(b, rune, '\'', false);
    return buf_append_char(b, '\'');
}

bool goquote_can_backquote(str s)
{
    while (s.len > 0) {
        uint32_t rune;
        size_t width = utf8_decode(s, &rune);
        s = str_from(s, width);
        if (width > 1 && rune == 0xFEFF)
            return false;
        if (width > 1)
            continue;
        if (rune == RUNE_ERROR || (rune < ' ' && rune != '\t') || rune == '`' || rune == 0x7f)
            return false;
    }
    return true;
}

static int hex_value(char c)
{
    const char *hit =
        c == '\0' ? NULL : strchr("0123456789abcdef", c >= 'A' && c <= 'F' ? c + 32 : c);
    return hit == NULL ? -1 : (int)(hit - "0123456789abcdef");
}

static bool read_hex(str *s, int digits, uint32_t *ret)
{
    uint32_t v = 0;
    if (s->len < (size_t)digits)
        return false;
    for (int i = 0; i < digits; i++) {
        int d = hex_value(s->ptr[i]);
        if (d < 0)
            return false;
        v = v << 4 | (uint32_t)d;
    }
    *s = str_from(*s, (size_t)digits);
    *ret = v;
    return true;
}

static bool read_octal(str *s, char first, uint32_t *ret)
{
    uint32_t v = (uint32_t)(first - '0');
    if (s->len < 2)
        return false;
    for (int i = 0; i < 2; i++) {
        if (s->ptr[i] < '0' || s->ptr[i] > '7')
            return false;
        v = v << 3 | (uint32_t)(s->ptr[i] - '0');
    }
    *s = str_from(*s, 2);
    *ret = v;
    return v <= 255;
}

/* Appends what the escape at the start of s (behind its backslash) stands for. */
static bool unescape(str *s, char quote, struct buf *b)
{
    static const char from[] = "abfnrtv\\", to[] = "\a\b\f\n\r\t\v\\";
    if (s->len == 0)
        return false;
    char c = s->ptr[0];
    *s = str_from(*s, 1);
    const char *hit = c == '\0' ? NULL : strchr(from, c);
    uint32_t v;
    if (hit != NULL) {
        buf_append_char(b, to[hit - from]);
    } else if (c == 'x') {
        if (!read_hex(s, 2, &v))
            return false;
        if (quote == '\'')
            utf8_append(b, v);
        else
            buf_append_char(b, (char)v);
    } else if (c == 'u' || c == 'U') {
        if (!read_hex(s, c == 'u' ? 4 : 8, &v) || v > RUNE_MAX || (v >= 0xD800 && v <= 0xDFFF))
            return false;
        utf8_append(b, v);
    } else if (c >= '0' && c <= '7') {
        if (!read_octal(s, c, &v))
            return false;
        if (quote == '\'')
            utf8_append(b, v);
        else
            buf_append_char(b, (char)v);
    } else if ((c == '\'' || c == '"') && c == quote) {
        buf_append_char(b, c);
    } else {
        return false;
    }
    return true;
}

static bool unquote_raw(str body, struct buf *b)
{
    if (str_find_char(body, '`') != STR_NPOS)
        return false;
    for (size_t i = 0; i < body.len; i++)
        if (body.ptr[i] != '\r') /* as in Go source, carriage returns fall out */
            buf_append_char(b, body.ptr[i]);
    return true;
}

static bool unquote_body(str body, char quote, struct buf *b)
{
    size_t chars = 0;
    for (; body.len > 0; chars++) {
        char c = body.ptr[0];
        if (c == quote || c == '\n')
            return false;
        if (c == '\\') {
            body = str_from(body, 1);
            if (!unescape(&body, quote, b))
                return false;
            continue;
        }
        uint32_t rune;
        size_t width = utf8_decode(body, &rune);
        utf8_append(b, rune); /* a malformed byte comes out as U+FFFD */
        body = str_from(body, width);
    }
    return quote == '"' || chars <= 1; /* Go lets the empty '' pass */
}

int gounquote(str s, struct buf *b)
{
    if (s.len < 2 || s.ptr[0] != s.ptr[s.len - 1])
        return E_PARSE;
    size_t start = b->len;
    char quote = s.ptr[0];
    str body = str_sub(s, 1, s.len - 1);
    bool ok = quote == '`' ? unquote_raw(body, b)
                           : (quote == '"' || quote == '\'') && unquote_body(body, quote, b);
    if (ok && !b->failed)
        return 0;
    if (b->len > start)
        b->len = start;
    return b->failed ? E_TOO_LARGE : E_PARSE;
}
