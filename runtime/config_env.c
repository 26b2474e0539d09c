/* -config.expand-env: ${VAR} and its shell-like forms, as the drone/envsubst library of Loki and
 * Promtail has them.  $VAR without braces stays as it is, $$ is $, \\ is \. */
#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "runtime/config_internal.h"

#define EXPAND_DEPTH_MAX 16

static int expand(str text, struct buf *out, int depth, struct error *err);

static str env_value(str name)
{
    char *key = str_dup_c(name);
    const char *value = getenv(key);
    mem_free(key);
    return str_c(value);
}

static size_t name_length(str s)
{
    size_t n = 0;
    while (n < s.len && (isalnum((unsigned char)s.ptr[n]) || s.ptr[n] == '_'))
        n++;
    return n;
}

/* Offset of the brace that closes s (which begins after "${"), nested ones skipped. */
static size_t closing_brace(str s)
{
    int open = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '$' && i + 1 < s.len && s.ptr[i + 1] == '{') {
            open++;
            i++;
        } else if (s.ptr[i] == '}' && open-- == 0) {
            return i;
        }
    }
    return STR_NPOS;
}

/* ${v^} ${v^^} ${v,} ${v,,} */
static void put_case(str value, bool upper, bool all, struct buf *out)
{
    for (size_t i = 0; i < value.len; i++) {
        int c = (unsigned char)value.ptr[i];
        if (all || i == 0)
            c = upper ? toupper(c) : tolower(c);
        buf_append_char(out, (char)c);
    }
}

/* ${v:from} ${v:from:length} */
static int put_substring(str value, str args, struct buf *out)
{
    str rest = args;
    int64_t from = 0, length = (int64_t)value.len;
    if (!str_to_i64(str_trim(str_split(&rest, ':')), &from) ||
        (rest.ptr != NULL && !str_to_i64(str_trim(rest), &length)))
        return E_PARSE;
    if (from < 0)
        from = MAX(from + (int64_t)value.len, 0);
    from = MIN(from, (int64_t)value.len);
    length = MIN(MAX(length, 0), (int64_t)value.len - from);
    buf_append_str(out, str_sub(value, (size_t)from, (size_t)(from + length)));
    return 0;
}

static bool glob_match(str pattern, str text)
{
    char *p = str_dup_c(pattern), *t = str_dup_c(text);
    bool hit = fnmatch(p, t, 0) == 0;
    mem_free(p);
    mem_free(t);
    return hit;
}

/* ${v#p} ${v##p} ${v%p} ${v%%p}: takes the shortest or longest match off one end. */
static void put_trimmed(str value, str pattern, bool at_end, bool longest, struct buf *out)
{
    for (size_t i = 0; i <= value.len; i++) {
        size_t n = longest ? value.len - i : i; /* length of what is taken off */
        str part = at_end ? str_from(value, value.len - n) : str_sub(value, 0, n);
        if (glob_match(pattern, part)) {
            value = at_end ? str_sub(value, 0, value.len - n) : str_from(value, n);
            break;
        }
    }
    buf_append_str(out, value);
}

/* ${v/a/b} ${v//a/b} ${v/#a/b} ${v/%a/b} */
static void put_replaced(str value, str args, struct buf *out)
{
    char mode = args.len > 0 && memchr("/#%", args.ptr[0], 3) ? args.ptr[0] : '1';
    if (mode != '1')
        args = str_from(args, 1);
    size_t slash = str_find_char(args, '/');
    str what = str_sub(args, 0, slash == STR_NPOS ? args.len : slash);
    str with = slash == STR_NPOS ? STR_EMPTY : str_from(args, slash + 1);
    if (what.len == 0 || (mode == '#' && !str_has_prefix(value, what)) ||
        (mode == '%' && !str_has_suffix(value, what))) {
        buf_append_str(out, value);
        return;
    }
    if (mode == '%') {
        buf_append_str(out, str_sub(value, 0, value.len - what.len));
        buf_append_str(out, with);
        return;
    }
    for (size_t at; (at = str_find(value, what)) != STR_NPOS;) {
        buf_append_str(out, str_sub(value, 0, at));
        buf_append_str(out, with);
        value = str_from(value, at + what.len);
        if (mode != '/')
            break;
    }
    buf_append_str(out, value);
}

/* What follows the name in ${name...}: `op` is not empty, args are expanded already. */
static int apply(str name, str op, struct buf *out, struct error *err)
{
    str value = env_value(name);
    bool colon = op.ptr[0] == ':' && op.len > 1 && memchr("-=+?", op.ptr[1], 4) != NULL;
    char c = colon ? op.ptr[1] : op.ptr[0];
    bool twice = op.len > 1 && op.ptr[1] == op.ptr[0];
    str args = str_from(op, colon || (twice && c != '/') ? 2 : 1);
    switch (c) {
    case '-':
    case '=':
        buf_append_str(out, value.len > 0 ? value : args);
        return 0;
    case '+':
        buf_append_str(out, value.len > 0 ? args : STR_EMPTY);
        return 0;
    case '?':
        if (value.len == 0)
            return error_set(err, E_PARSE, "%.*s: %.*s", STR_ARG(name), STR_ARG(args));
        buf_append_str(out, value);
        return 0;
    case '^':
    case ',':
        put_case(value, c == '^', twice, out);
        return 0;
    case '#':
    case '%':
        put_trimmed(value, args, c == '%', twice, out);
        return 0;
    case '/':
        put_replaced(value, args, out);
        return 0;
    case ':':
        if (put_substring(value, args, out) == 0)
            return 0;
        break;
    default:
        break;
    }
    return error_set(err, E_PARSE, "bad substitution: ${%.*s%.*s}", STR_ARG(name), STR_ARG(op));
}

/* `inside` is what stands between ${ and }. */
static int expand_one(str inside, struct buf *out, int depth, struct error *err)
{
    if (inside.len > 1 && inside.ptr[0] == '#') {
        str name = str_from(inside, 1);
        if (name_length(name) == name.len) {
            buf_append_u64(out, utf8_count(env_value(name)));
            return 0;
        }
    }
    size_t n = name_length(inside);
    if (n == 0)
        return error_set(err, E_PARSE, "bad substitution: ${%.*s}", STR_ARG(inside));
    if (n == inside.len) {
        buf_append_str(out, env_value(inside));
        return 0;
    }
    struct buf op;
    buf_init(&op, CONFIG_FILE_BYTES_MAX);
    int rc = expand(str_from(inside, n), &op, depth + 1, err);
    if (rc == 0)
        rc = apply(str_sub(inside, 0, n), buf_str(&op), out, err);
    buf_deinit(&op);
    return rc;
}

static int expand(str text, struct buf *out, int depth, struct error *err)
{
    if (depth > EXPAND_DEPTH_MAX)
        return error_set(err, E_LIMIT, "bad substitution: nested too deep");
    for (size_t i = 0; i < text.len; i++) {
        str rest = str_from(text, i);
        if (str_has_prefix(rest, STR("$$")) || str_has_prefix(rest, STR("\\\\"))) {
            buf_append_char(out, rest.ptr[0]);
            i++;
        } else if (str_has_prefix(rest, STR("${"))) {
            size_t end = closing_brace(str_from(rest, 2));
            if (end == STR_NPOS)
                return error_set(err, E_PARSE, "bad substitution: missing closing brace");
            int rc = expand_one(str_sub(rest, 2, 2 + end), out, depth, err);
            if (rc != 0)
                return rc;
            i += end + 2;
        } else {
            buf_append_char(out, text.ptr[i]);
        }
    }
    return out->failed ? error_set(err, E_TOO_LARGE, "the expanded file is too large") : 0;
}

int config_expand_env(str text, struct buf *out, struct error *err)
{
    return expand(text, out, 0, err);
}
