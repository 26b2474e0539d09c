#include "runtime/http_params.h"

#include "base/status.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Go quotes the escape with strconv.Quote; what is not printable is shown as \xNN. */
static str escape_error(str s, size_t at, struct arena *a)
{
    str bad = str_sub(s, at, at + 3);
    char quoted[3 * 4];
    size_t n = 0;
    for (size_t i = 0; i < bad.len; i++) {
        static const char hex[] = "0123456789abcdef";
        unsigned char c = (unsigned char)bad.ptr[i];
        if (c == '"' || c == '\\')
            quoted[n++] = '\\';
        if (c >= 0x20 && c < 0x7f) {
            quoted[n++] = (char)c;
        } else {
            quoted[n++] = '\\';
            quoted[n++] = 'x';
            quoted[n++] = hex[c >> 4];
            quoted[n++] = hex[c & 15];
        }
    }
    return arena_printf(a, "invalid URL escape \"%.*s\"", (int)n, quoted);
}

int http_unescape(str s, bool is_query, struct arena *a, str *ret, str *ret_error)
{
    size_t at = 0;
    while (at < s.len && s.ptr[at] != '%' && !(is_query && s.ptr[at] == '+'))
        at++;
    if (at == s.len) { /* nothing to decode, as for most */
        *ret = s;
        return 0;
    }
    char *out = arena_alloc(a, s.len + 1);
    memcpy(out, s.ptr, at);
    size_t n = at;
    for (; at < s.len; at++) {
        char c = s.ptr[at];
        if (c == '+' && is_query) {
            c = ' ';
        } else if (c == '%') {
            int hi = at + 2 < s.len ? hex_digit(s.ptr[at + 1]) : -1;
            int lo = at + 2 < s.len ? hex_digit(s.ptr[at + 2]) : -1;
            if (hi < 0 || lo < 0) {
                *ret_error = escape_error(s, at, a);
                return E_PARSE;
            }
            c = (char)(hi << 4 | lo);
            at += 2;
        }
        out[n++] = c;
    }
    out[n] = '\0';
    *ret = (str){out, n};
    return 0;
}

static void note_error(struct http_params *p, str text)
{
    if (p->error.ptr == NULL)
        p->error = text;
}

static void parse_pair(struct http_params *p, str pair, struct arena *a)
{
    if (pair.len == 0)
        return;
    if (str_find_char(pair, ';') != STR_NPOS) {
        note_error(p, STR("invalid semicolon separator in query"));
        return;
    }
    if (p->list.len >= HTTP_PARAMS_MAX) {
        note_error(p, STR("too many parameters"));
        return;
    }
    size_t equals = str_find_char(pair, '=');
    str name = equals == STR_NPOS ? pair : str_sub(pair, 0, equals);
    str value = equals == STR_NPOS ? STR_EMPTY : str_from(pair, equals + 1);
    struct http_param decoded;
    str error;
    if (http_unescape(name, true, a, &decoded.name, &error) != 0 ||
        http_unescape(value, true, a, &decoded.value, &error) != 0) {
        note_error(p, error);
        return;
    }
    VEC_PUSH_ARENA(a, &p->list, decoded);
}

void http_params_parse(struct http_params *p, str query, struct arena *a)
{
    str rest = query;
    while (rest.ptr != NULL)
        parse_pair(p, str_split(&rest, '&'), a);
}

str http_params_get(const struct http_params *p, str name)
{
    for (size_t i = 0; i < p->list.len; i++) {
        if (str_eq(p->list.items[i].name, name))
            return p->list.items[i].value;
    }
    return (str){0};
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

static bool escape(struct buf *out, str s, bool is_query)
{
    static const char hex[] = "0123456789ABCDEF";
    bool ok = true;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (is_unreserved((char)c) || (!is_query && char_in(c, "$&+=:@")))
            ok = buf_append_char(out, (char)c);
        else if (is_query && c == ' ')
            ok = buf_append_char(out, '+');
        else
            ok = buf_append(out, (char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
    }
    return ok && !out->failed;
}

bool http_query_escape(struct buf *out, str s)
{
    return escape(out, s, true);
}

bool http_path_escape(struct buf *out, str s)
{
    return escape(out, s, false);
}
