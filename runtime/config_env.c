/* -config.expand-env: ${VAR} and its shell-like forms, as the drone/envsubst library of Loki and
 * Promtail has them; its grammar is followed to the letter, for files that work there must work
 * here.
 *
 * $VAR without braces stays as it is; $$ is $, \\ is \ and \/ is / (in plain text and in the
 * arguments of ${v/a/b}, not in defaults).  All of := :- :? :+ and = give a default. */
#include <fnmatch.h>
#include <stdlib.h>

#include "base/gofmt.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "runtime/config_internal.h"

#define EXPAND_DEPTH_MAX 16

struct expander {
    str text;
    size_t at;
    struct error *err;
};

static int expand_func(struct expander *e, struct buf *out, int depth);

static int fail(struct expander *e, const char *text)
{
    return error_set(e->err, E_PARSE, "%s", text);
}

static str env_value(str name)
{
    char *key = str_dup_c(name);
    const char *value = getenv(key);
    mem_free(key);
    return str_c(value);
}

/* --- reading --- */

static char peek(const struct expander *e)
{
    return e->at < e->text.len ? e->text.ptr[e->at] : '\0';
}

static bool is_escape(str rest)
{
    return str_has_prefix(rest, STR("$$")) || str_has_prefix(rest, STR("\\\\")) ||
           str_has_prefix(rest, STR("\\/"));
}

/* Text up to one of `stops` or to "${"; false if there is none. */
static bool take_text(struct expander *e, const char *stops, bool has_escapes, struct buf *out)
{
    size_t from = e->at;
    while (e->at < e->text.len) {
        str rest = str_from(e->text, e->at);
        bool is_escaped = has_escapes && is_escape(rest);
        if (str_has_prefix(rest, STR("${")) ||
            (!is_escaped && memchr(stops, rest.ptr[0], strlen(stops)) != NULL))
            break;
        e->at += is_escaped;
        buf_append_char(out, e->text.ptr[e->at++]);
    }
    return e->at > from;
}

/* One argument: text, or a substitution. */
static int take_param(struct expander *e, const char *stops, bool has_escapes, struct buf *out,
                      int depth)
{
    if (str_has_prefix(str_from(e->text, e->at), STR("${"))) {
        e->at += 2;
        return expand_func(e, out, depth + 1);
    }
    return take_text(e, stops, has_escapes, out)
               ? 0
               : fail(e, "unable to parse substitution within function");
}

static str take_name(struct expander *e)
{
    size_t from = e->at, width;
    uint32_t rune;
    while ((width = utf8_decode(str_from(e->text, e->at), &rune)) > 0 &&
           (rune == '_' || rune_is_letter(rune) || rune_is_digit(rune)))
        e->at += width;
    return str_sub(e->text, from, e->at);
}

/* `c` so often in a row, `max` at most. */
static size_t take_signs(struct expander *e, char c, size_t max)
{
    size_t n = 0;
    while (n < max && peek(e) == c) {
        e->at++;
        n++;
    }
    return n;
}

static int take_brace(struct expander *e)
{
    return take_signs(e, '}', 1) == 1 ? 0 : fail(e, "bad substitution");
}

/* --- functions: the value and what stands behind its name --- */

/* ${v:-text}: several arguments in a row. */
static int put_default(struct expander *e, str value, struct buf *out, int depth)
{
    struct buf text;
    buf_init(&text, CONFIG_FILE_BYTES_MAX);
    int rc = 0;
    while (rc == 0 && peek(e) != '}')
        rc = take_param(e, "}", false, &text, depth);
    if (rc == 0)
        rc = take_brace(e);
    buf_append_str(out, value.len > 0 ? value : buf_str(&text));
    buf_deinit(&text);
    return rc;
}

static str substring(str s, str from_text, const str *length_text)
{
    int64_t from, length;
    int64_t len = (int64_t)s.len;
    if (goparse_int(from_text, 10, 64, &from) != 0 ||
        (length_text != NULL && goparse_int(*length_text, 10, 64, &length) != 0))
        return s;
    if (from < 0)
        from = MAX(from + len, 0);
    from = MIN(from, len);
    length = length_text != NULL ? MIN(MAX(length, 0), len - from) : len - from;
    return str_sub(s, (size_t)from, (size_t)(from + length));
}

/* ${v:from} ${v:from:length}, in bytes */
static int put_substring(struct expander *e, str value, struct buf *out, int depth)
{
    struct buf from, length;
    buf_init(&from, CONFIG_FILE_BYTES_MAX);
    buf_init(&length, CONFIG_FILE_BYTES_MAX);
    e->at++;
    int rc = take_param(e, ":}", false, &from, depth);
    bool has_length = rc == 0 && take_signs(e, ':', SIZE_MAX) > 0;
    if (has_length)
        rc = take_param(e, "}", false, &length, depth);
    if (rc == 0)
        rc = take_brace(e);
    str length_text = buf_str(&length);
    if (rc == 0)
        buf_append_str(out, substring(value, buf_str(&from), has_length ? &length_text : NULL));
    buf_deinit(&from);
    buf_deinit(&length);
    return rc;
}

/* ${v^} ${v^^} ${v,} ${v,,} */
static int put_case(struct expander *e, str value, struct buf *out)
{
    uint32_t rune;
    char first = peek(e);
    e->at++;
    char second = peek(e) == '^' || peek(e) == ',' ? peek(e) : '\0';
    e->at += second != '\0';
    size_t n = second != '\0' ? value.len : value.len > 0 ? utf8_decode(value, &rune) : 0;
    if (second != '\0' && second != first)
        n = 0; /* ^, and ,^ are nothing */
    if (first == '^')
        utf8_append_upper(out, str_sub(value, 0, n));
    else
        utf8_append_lower(out, str_sub(value, 0, n));
    buf_append_str(out, str_from(value, n));
    return take_brace(e);
}

static bool is_glob_match(str pattern, str text)
{
    char *p = str_dup_c(pattern), *t = str_dup_c(text);
    bool is_match = fnmatch(p, t, 0) == 0;
    mem_free(p);
    mem_free(t);
    return is_match;
}

/* Without the shortest or longest match at one end; an empty one does not count. */
static str trim(str s, str pattern, bool at_end, bool is_longest)
{
    for (size_t i = 1; i <= s.len; i++) {
        size_t n = is_longest ? s.len + 1 - i : i;
        str part = at_end ? str_from(s, s.len - n) : str_sub(s, 0, n);
        if (is_glob_match(pattern, part))
            return at_end ? str_sub(s, 0, s.len - n) : str_from(s, n);
    }
    return s;
}

/* ${v#p} ${v##p} ${v%p} ${v%%p} */
static int put_trimmed(struct expander *e, str value, struct buf *out, int depth)
{
    struct buf pattern;
    buf_init(&pattern, CONFIG_FILE_BYTES_MAX);
    char sign = peek(e);
    bool is_longest = take_signs(e, sign, 2) == 2;
    int rc = take_param(e, "}", false, &pattern, depth);
    if (rc == 0)
        rc = take_brace(e);
    if (rc == 0)
        buf_append_str(out, trim(value, buf_str(&pattern), sign == '%', is_longest));
    buf_deinit(&pattern);
    return rc;
}

/* An empty `what` is found before every character, as by Go's strings.Replace. */
static void replace(str s, str what, str with, bool is_all, struct buf *out)
{
    uint32_t rune;
    size_t at;
    while ((at = what.len > 0 ? str_find(s, what) : 0) != STR_NPOS) {
        buf_append_str(out, str_sub(s, 0, at));
        buf_append_str(out, with);
        s = str_from(s, at + what.len);
        if (!is_all || (what.len == 0 && s.len == 0))
            break;
        size_t width = what.len > 0 ? 0 : utf8_decode(s, &rune);
        buf_append_str(out, str_sub(s, 0, width));
        s = str_from(s, width);
    }
    buf_append_str(out, s);
}

/* `sign`: '/' all, '#' at the start, '%' at the end, '\0' the first.  At an end something must be
 * put in the place of what is found. */
static void put_replacement(str value, char sign, str what, str with, struct buf *out)
{
    bool is_there = sign == '#'   ? with.ptr != NULL && str_has_prefix(value, what)
                    : sign == '%' ? with.ptr != NULL && str_has_suffix(value, what)
                                  : true;
    if (!is_there) {
        buf_append_str(out, value);
    } else if (sign == '%') {
        buf_append_str(out, str_sub(value, 0, value.len - what.len));
        buf_append_str(out, with);
    } else {
        replace(value, what, with, sign == '/', out);
    }
}

/* ${v/a/b} ${v//a/b} ${v/#a/b} ${v/%a/b} */
static int put_replaced(struct expander *e, str value, struct buf *out, int depth)
{
    struct buf what, with;
    buf_init(&what, CONFIG_FILE_BYTES_MAX);
    buf_init(&with, CONFIG_FILE_BYTES_MAX);
    e->at++;
    char sign = peek(e) == '/' || peek(e) == '#' || peek(e) == '%' ? peek(e) : '\0';
    e->at += sign != '\0';
    int rc = take_param(e, "/", true, &what, depth);
    if (rc == 0 && take_signs(e, '/', SIZE_MAX) == 0)
        rc = fail(e, "bad substitution");
    bool has_with = rc == 0 && peek(e) != '}';
    if (has_with)
        rc = take_param(e, "}", true, &with, depth);
    if (rc == 0)
        rc = take_brace(e);
    if (rc == 0)
        put_replacement(value, sign, buf_str(&what), has_with ? buf_str(&with) : (str){0}, out);
    buf_deinit(&what);
    buf_deinit(&with);
    return rc;
}

/* ${#v}, in bytes */
static int put_length(struct expander *e, struct buf *out)
{
    e->at++;
    str name = take_name(e);
    if (name.len == 0)
        return fail(e, "bad substitution");
    buf_append_u64(out, env_value(name).len);
    return take_brace(e);
}

/* What stands behind "${". */
static int expand_func(struct expander *e, struct buf *out, int depth)
{
    if (depth > EXPAND_DEPTH_MAX)
        return error_set(e->err, E_LIMIT, "bad substitution: nested too deep");
    if (peek(e) == '#')
        return put_length(e, out);
    str name = take_name(e);
    if (name.len == 0)
        return fail(e, "unable to parse variable name");
    str value = env_value(name);
    str rest = str_from(e->text, e->at);
    switch (peek(e)) {
    case ':':
        if (rest.len < 2 || memchr("=-?+", rest.ptr[1], 4) == NULL)
            return put_substring(e, value, out, depth);
        e->at += 2;
        return put_default(e, value, out, depth);
    case '=':
        e->at++;
        return put_default(e, value, out, depth);
    case ',':
    case '^':
        return put_case(e, value, out);
    case '/':
        return put_replaced(e, value, out, depth);
    case '#':
    case '%':
        return put_trimmed(e, value, out, depth);
    case '}':
        e->at++;
        buf_append_str(out, value);
        return 0;
    default:
        return fail(e, "missing closing brace");
    }
}

int config_expand_env(str text, struct buf *out, struct error *err)
{
    struct expander e = {.text = text, .err = err};
    while (e.at < text.len) {
        if (take_text(&e, "", true, out))
            continue;
        e.at += 2; /* nothing but ${ ends a text */
        int rc = expand_func(&e, out, 0);
        if (rc != 0)
            return rc;
    }
    return out->failed ? error_set(err, E_TOO_LARGE, "the expanded file is too large") : 0;
}
