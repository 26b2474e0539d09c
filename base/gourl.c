#include "base/gourl.h"

#include "base/gofmt.h"
#include "base/goquote.h"
#include "base/mem.h"

/* What a text is a part of: it decides which bytes are escaped. */
enum part { PART_PATH, PART_USER, PART_HOST, PART_ZONE, PART_FRAGMENT };

static bool is_letter(char c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static bool should_escape(char c, enum part part)
{
    if (is_letter(c) || is_digit(c) || is_one_of(c, "-_.~"))
        return false;
    if ((part == PART_HOST || part == PART_ZONE) && is_one_of(c, "!$&'()*+,;=:[]<>\""))
        return false;
    if (is_one_of(c, "$&+,/:;=?@"))
        return part == PART_PATH   ? c == '?'
               : part == PART_USER ? is_one_of(c, "@/?:")
                                   : part != PART_FRAGMENT;
    return part != PART_FRAGMENT || !is_one_of(c, "!()*");
}

static int hex_digit(char c)
{
    return is_digit(c)            ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static int bad_escape(str s, size_t at, struct error *err)
{
    return error_set(err, E_PARSE, "invalid URL escape \"%.*s\"",
                     STR_ARG(str_sub(s, at, MIN(at + 3, s.len))));
}

/* The byte that %xx at s[at] stands for; hosts may escape few bytes only. */
static int unescape_byte(str s, size_t at, enum part part, char *ret, struct error *err)
{
    if (at + 2 >= s.len || hex_digit(s.ptr[at + 1]) < 0 || hex_digit(s.ptr[at + 2]) < 0)
        return bad_escape(s, at, err);
    char c = (char)(hex_digit(s.ptr[at + 1]) << 4 | hex_digit(s.ptr[at + 2]));
    bool is_percent = c == '%';
    if (part == PART_HOST && !is_percent && hex_digit(s.ptr[at + 1]) < 8)
        return bad_escape(s, at, err);
    if (part == PART_ZONE && !is_percent && c != ' ' && should_escape(c, PART_HOST))
        return bad_escape(s, at, err);
    *ret = c;
    return 0;
}

static int unescape(str s, enum part part, struct arena *a, str *ret, struct error *err)
{
    bool is_host = part == PART_HOST || part == PART_ZONE;
    char *out = arena_alloc(a, s.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '%') {
            int rc = unescape_byte(s, i, part, &c, err);
            if (rc != 0)
                return rc;
            i += 2;
        } else if (is_host && (unsigned char)c < 0x80 && should_escape(c, part)) {
            return error_set(err, E_PARSE, "invalid character \"%s%c\" in host name",
                             is_one_of(c, "\"\\") ? "\\" : "", c);
        }
        out[n++] = c;
    }
    *ret = str_make(out, n);
    return 0;
}

static void append_escaped(struct buf *b, str s, enum part part)
{
    for (size_t i = 0; i < s.len; i++) {
        if (should_escape(s.ptr[i], part))
            buf_printf(b, "%%%02X", (unsigned char)s.ptr[i]);
        else
            buf_append_char(b, s.ptr[i]);
    }
}

/* --- reading --- */

/* *rest becomes what stands behind the scheme. */
static int take_scheme(str *rest, struct arena *a, str *ret, struct error *err)
{
    *ret = STR_EMPTY;
    for (size_t i = 0; i < rest->len; i++) {
        char c = rest->ptr[i];
        if (is_letter(c) || (i > 0 && (is_digit(c) || is_one_of(c, "+-."))))
            continue;
        if (c != ':')
            return 0;
        if (i == 0)
            return error_set(err, E_PARSE, "missing protocol scheme");
        char *scheme = arena_alloc(a, i);
        for (size_t k = 0; k < i; k++)
            scheme[k] = is_letter(rest->ptr[k]) ? (char)(rest->ptr[k] | 32) : rest->ptr[k];
        *ret = str_make(scheme, i);
        *rest = str_from(*rest, i + 1);
        return 0;
    }
    return 0;
}

static int check_port(str port, struct error *err)
{
    bool is_good = port.len == 0 || port.ptr[0] == ':';
    for (size_t i = 1; i < port.len; i++)
        is_good = is_good && is_digit(port.ptr[i]);
    return is_good ? 0 : error_set(err, E_PARSE, "invalid port \"%.*s\" after host", STR_ARG(port));
}

/* [fe80::1%25en0]:80 */
static int parse_bracketed_host(str host, struct arena *a, str *ret, struct error *err)
{
    size_t close = str_rfind_char(host, ']');
    if (close == STR_NPOS)
        return error_set(err, E_PARSE, "missing ']' in host");
    int rc = check_port(str_from(host, close + 1), err);
    if (rc != 0)
        return rc;
    size_t zone = str_find(str_sub(host, 0, close), STR("%25"));
    if (zone == STR_NPOS)
        return unescape(host, PART_HOST, a, ret, err);
    str before, name, behind;
    rc = unescape(str_sub(host, 0, zone), PART_HOST, a, &before, err);
    if (rc == 0)
        rc = unescape(str_sub(host, zone, close), PART_ZONE, a, &name, err);
    if (rc == 0)
        rc = unescape(str_from(host, close), PART_HOST, a, &behind, err);
    if (rc == 0)
        *ret = arena_printf(a, "%.*s%.*s%.*s", STR_ARG(before), STR_ARG(name), STR_ARG(behind));
    return rc;
}

static int parse_host(str host, struct arena *a, str *ret, struct error *err)
{
    if (host.len > 0 && host.ptr[0] == '[')
        return parse_bracketed_host(host, a, ret, err);
    size_t colon = str_rfind_char(host, ':');
    int rc = colon == STR_NPOS ? 0 : check_port(str_from(host, colon), err);
    return rc != 0 ? rc : unescape(host, PART_HOST, a, ret, err);
}

static int parse_user(str text, struct arena *a, struct gourl *u, struct error *err)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_letter(text.ptr[i]) && !is_digit(text.ptr[i]) &&
            !is_one_of(text.ptr[i], "-._:~!$&'()*+,;=%@"))
            return error_set(err, E_PARSE, "net/url: invalid userinfo");
    size_t colon = str_find_char(text, ':');
    u->has_user = true;
    u->has_password = colon != STR_NPOS;
    int rc = unescape(str_sub(text, 0, MIN(colon, text.len)), PART_USER, a, &u->user, err);
    if (rc == 0 && u->has_password)
        rc = unescape(str_from(text, colon + 1), PART_USER, a, &u->password, err);
    return rc;
}

static int parse_authority(str text, struct arena *a, struct gourl *u, struct error *err)
{
    size_t at = str_rfind_char(text, '@');
    int rc = parse_host(at == STR_NPOS ? text : str_from(text, at + 1), a, &u->host, err);
    return rc != 0 || at == STR_NPOS ? rc : parse_user(str_sub(text, 0, at), a, u, err);
}

/* What stands behind the scheme, without query and fragment. */
static int parse_rest(str rest, struct arena *a, struct gourl *u, struct error *err)
{
    bool is_rooted = rest.len > 0 && rest.ptr[0] == '/';
    if (!is_rooted && u->scheme.len > 0) {
        u->opaque = rest;
        return 0;
    }
    size_t slash = str_find_char(rest, '/');
    if (!is_rooted && str_find_char(str_sub(rest, 0, MIN(slash, rest.len)), ':') != STR_NPOS)
        return error_set(err, E_PARSE, "first path segment in URL cannot contain colon");
    if (str_has_prefix(rest, STR("//")) &&
        (u->scheme.len > 0 || !str_has_prefix(rest, STR("///")))) {
        rest = str_from(rest, 2);
        slash = MIN(str_find_char(rest, '/'), rest.len);
        int rc = parse_authority(str_sub(rest, 0, slash), a, u, err);
        if (rc != 0)
            return rc;
        rest = str_from(rest, slash);
    } else {
        u->omits_host = is_rooted && u->scheme.len > 0;
    }
    return unescape(rest, PART_PATH, a, &u->path, err);
}

static int parse(str text, struct arena *a, struct gourl *u, struct error *err)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return error_set(err, E_PARSE, "net/url: invalid control character in URL");
    size_t hash = str_find_char(text, '#');
    str rest = str_sub(text, 0, MIN(hash, text.len));
    if (str_eq(rest, STR("*"))) {
        u->path = rest;
    } else {
        int rc = take_scheme(&rest, a, &u->scheme, err);
        if (rc != 0)
            return rc;
        size_t mark = str_find_char(rest, '?');
        u->ends_with_mark = mark != STR_NPOS && mark + 1 == rest.len;
        if (mark != STR_NPOS)
            u->query = str_from(rest, mark + 1);
        rc = parse_rest(str_sub(rest, 0, MIN(mark, rest.len)), a, u, err);
        if (rc != 0)
            return rc;
    }
    return hash == STR_NPOS
               ? 0
               : unescape(str_from(text, hash + 1), PART_FRAGMENT, a, &u->fragment, err);
}

int gourl_parse(str text, struct arena *a, struct gourl *ret, struct error *err)
{
    struct error why = {0};
    *ret = (struct gourl){.scheme = STR_EMPTY,
                          .opaque = STR_EMPTY,
                          .user = STR_EMPTY,
                          .password = STR_EMPTY,
                          .host = STR_EMPTY,
                          .path = STR_EMPTY,
                          .query = STR_EMPTY,
                          .fragment = STR_EMPTY};
    int rc = parse(text, a, ret, &why);
    if (rc == 0)
        return 0;
    struct buf quoted;
    buf_init(&quoted, BUF_NO_LIMIT);
    goquote(&quoted, text);
    error_set(err, rc, "parse %s: %s", buf_c(&quoted), why.text);
    buf_deinit(&quoted);
    return rc;
}

/* --- writing --- */

void gourl_append_user(struct buf *b, const struct gourl *u)
{
    append_escaped(b, u->user, PART_USER);
    if (u->has_password) {
        buf_append_char(b, ':');
        append_escaped(b, u->password, PART_USER);
    }
}

static void append_authority(struct buf *b, const struct gourl *u)
{
    if (u->scheme.len == 0 && u->host.len == 0 && !u->has_user)
        return;
    if (u->omits_host && u->host.len == 0 && !u->has_user)
        return;
    if (u->host.len > 0 || u->path.len > 0 || u->has_user)
        buf_append_c(b, "//");
    if (u->has_user) {
        gourl_append_user(b, u);
        buf_append_char(b, '@');
    }
    append_escaped(b, u->host, PART_HOST);
}

static void append_path(struct buf *b, const struct gourl *u)
{
    size_t slash = MIN(str_find_char(u->path, '/'), u->path.len);
    if (u->path.len > 0 && u->path.ptr[0] != '/' && u->host.len > 0)
        buf_append_char(b, '/');
    /* Read again, a:b would be a scheme. */
    if (b->len == 0 && str_find_char(str_sub(u->path, 0, slash), ':') != STR_NPOS)
        buf_append_c(b, "./");
    if (str_eq(u->path, STR("*")))
        buf_append_char(b, '*');
    else
        append_escaped(b, u->path, PART_PATH);
}

void gourl_append(struct buf *b, const struct gourl *u)
{
    if (u->scheme.len > 0) {
        buf_append_str(b, u->scheme);
        buf_append_char(b, ':');
    }
    if (u->opaque.len > 0) {
        buf_append_str(b, u->opaque);
    } else {
        append_authority(b, u);
        append_path(b, u);
    }
    if (u->ends_with_mark || u->query.len > 0) {
        buf_append_char(b, '?');
        buf_append_str(b, u->query);
    }
    if (u->fragment.len > 0) {
        buf_append_char(b, '#');
        append_escaped(b, u->fragment, PART_FRAGMENT);
    }
}

str gourl_host_name(const struct gourl *u)
{
    str host = u->host;
    size_t colon = str_rfind_char(host, ':');
    if (colon != STR_NPOS && check_port(str_from(host, colon), NULL) == 0)
        host = str_sub(host, 0, colon);
    if (host.len > 1 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = str_sub(host, 1, host.len - 1);
    return host;
}
