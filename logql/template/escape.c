#include "logql/template/escape.h"

#include "base/goquote.h"
#include "base/utf8.h"

static const char hex_upper[] = "0123456789ABCDEF";

void escape_html(struct buf *b, str s)
{
    for (size_t i = 0; i < s.len; i++) {
        switch (s.ptr[i]) {
        case '\0':
            utf8_append(b, RUNE_ERROR);
            break;
        case '"':
            buf_append_c(b, "&#34;");
            break;
        case '\'':
            buf_append_c(b, "&#39;");
            break;
        case '&':
            buf_append_c(b, "&amp;");
            break;
        case '<':
            buf_append_c(b, "&lt;");
            break;
        case '>':
            buf_append_c(b, "&gt;");
            break;
        default:
            buf_append_char(b, s.ptr[i]);
        }
    }
}

static void append_js_rune(struct buf *b, uint32_t r, str bytes)
{
    if (r == '\\' || r == '\'' || r == '"')
        buf_printf(b, "\\%c", (char)r);
    else if (r < ' ' || r == '<' || r == '>' || r == '&' || r == '=')
        buf_printf(b, "\\u%04X", r);
    else if (r < 0x80 || rune_is_print(r))
        buf_append_str(b, bytes);
    else
        buf_printf(b, "\\u%04X", r);
}

void escape_js(struct buf *b, str s)
{
    while (s.len > 0) {
        uint32_t r;
        size_t width = utf8_decode(s, &r);
        append_js_rune(b, r, str_sub(s, 0, width));
        s = str_from(s, width);
    }
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

void escape_url_query(struct buf *b, str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (is_plain(s.ptr[i])) {
            buf_append_char(b, s.ptr[i]);
        } else if (c == ' ') {
            buf_append_char(b, '+');
        } else {
            buf_append_char(b, '%');
            buf_append_char(b, hex_upper[c >> 4]);
            buf_append_char(b, hex_upper[c & 15]);
        }
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int unescape_url_query(struct buf *b, str s, struct error *err)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '%') {
            buf_append_char(b, (char)(s.ptr[i] == '+' ? ' ' : s.ptr[i]));
            continue;
        }
        int hi = i + 2 < s.len ? hex_value(s.ptr[i + 1]) : -1;
        int lo = i + 2 < s.len ? hex_value(s.ptr[i + 2]) : -1;
        if (i + 2 < s.len ? hi < 0 || lo < 0 : true) {
            struct buf q;
            buf_init(&q, 64);
            goquote(&q, str_sub(s, i, i + 3));
            error_set(err, E_PARSE, "invalid URL escape %s", buf_c(&q));
            buf_deinit(&q);
            return E_PARSE;
        }
        buf_append_char(b, (char)(hi << 4 | lo));
        i += 2;
    }
    return 0;
}
