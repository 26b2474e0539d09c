/* sprig's functions on strings. */
#include "base/base64.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "logql/template/case_style.h"
#include "logql/template/convert.h"
#include "logql/template/funcs.h"
#include "logql/template/strings.h"

static int f_lower(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    utf8_append_lower(&b, args[0].s);
    return template_call_take(c, &b, ret);
}

static int f_upper(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    utf8_append_upper(&b, args[0].s);
    return template_call_take(c, &b, ret);
}

static int f_title(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    utf8_append_title(&b, args[0].s);
    return template_call_take(c, &b, ret);
}

static int f_untitle(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    strings_append_untitle(&b, args[0].s);
    return template_call_take(c, &b, ret);
}

/* Bytes, not runes; from the end if negative. */
static int f_trunc(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c, (void)n;
    str s = args[1].s;
    int64_t count = args[0].i, len = (int64_t)s.len;
    if (count < 0 && count > -len)
        s = str_from(s, (size_t)(len + count));
    else if (count >= 0)
        s = str_sub(s, 0, (size_t)count);
    return template_return_str(ret, s);
}

static int f_substr(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    str s = args[2].s;
    int64_t start = args[0].i, end = args[1].i, len = (int64_t)s.len;
    const char *out = "runtime error: slice bounds out of range";
    if (start < 0) {
        if (end < 0)
            return template_call_fail(c, "%s [:%lld]", out, (long long)end);
        if (end > len)
            return template_call_fail(c, "%s [:%lld] with length %lld", out, (long long)end,
                                      (long long)len);
        return template_return_str(ret, str_sub(s, 0, (size_t)end));
    }
    bool to_end = end < 0 || end > len;
    if (to_end)
        end = len;
    if (start > end)
        return template_call_fail(c, "%s [%lld:%lld]", out, (long long)start, (long long)end);
    return template_return_str(ret, str_sub(s, (size_t)start, (size_t)end));
}

#define BOOL_FN(name, expr)                                                                        \
    static int name(struct template_call *c, struct tval *args, int n, struct tval *ret)           \
    {                                                                                              \
        (void)c, (void)n;                                                                          \
        *ret = tval_bool(expr);                                                                    \
        return 0;                                                                                  \
    }
BOOL_FN(f_contains, str_contains(args[1].s, args[0].s))
BOOL_FN(f_has_prefix, str_has_prefix(args[1].s, args[0].s))
BOOL_FN(f_has_suffix, str_has_suffix(args[1].s, args[0].s))

#define VIEW_FN(name, expr)                                                                        \
    static int name(struct template_call *c, struct tval *args, int n, struct tval *ret)           \
    {                                                                                              \
        (void)c, (void)n;                                                                          \
        return template_return_str(ret, (expr));                                                   \
    }
VIEW_FN(f_trim, utf8_trim_space(args[0].s))
VIEW_FN(f_trim_all, strings_trim(args[1].s, args[0].s, STRINGS_BOTH))
VIEW_FN(f_trim_suffix, strings_trim_suffix(args[1].s, args[0].s))
VIEW_FN(f_trim_prefix, strings_trim_prefix(args[1].s, args[0].s))

static int f_replace(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    strings_append_replaced(&b, args[2].s, args[0].s, args[1].s, -1);
    return template_call_take(c, &b, ret);
}

static int f_repeat(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    if (args[0].i < 0)
        return template_call_fail(c, "strings: negative Repeat count");
    template_call_buf(c, &b);
    buf_append_repeated(&b, args[1].s, (uint64_t)args[0].i);
    return template_call_take(c, &b, ret);
}

static int indent(struct template_call *c, int64_t spaces, str s, const char *before,
                  struct tval *ret)
{
    struct buf b;
    if (spaces < 0)
        return template_call_fail(c, "strings: negative Repeat count");
    template_call_buf(c, &b);
    buf_append_c(&b, before);
    for (;;) {
        buf_append_repeated(&b, STR(" "), (uint64_t)spaces);
        size_t end = str_find_char(s, '\n');
        buf_append_str(&b, str_sub(s, 0, MIN(end, s.len)));
        if (end == STR_NPOS || b.failed)
            break;
        buf_append_char(&b, '\n');
        s = str_from(s, end + 1);
    }
    return template_call_take(c, &b, ret);
}

static int f_indent(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return indent(c, args[0].i, args[1].s, "", ret);
}

static int f_nindent(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return indent(c, args[0].i, args[1].s, "\n", ret);
}

static int f_b64enc(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    base64_encode(&b, args[0].s);
    return template_call_take(c, &b, ret);
}

/* What cannot be decoded comes out as the text of the error. */
static int f_b64dec(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    struct error err = {0};
    template_call_buf(c, &b);
    if (base64_decode(&b, args[0].s, &err) != 0) {
        b.len = 0;
        buf_append_c(&b, err.text);
    }
    return template_call_take(c, &b, ret);
}

static int f_default(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c;
    *ret = n < 2 || convert_is_empty(&args[1]) ? args[0] : args[1];
    return 0;
}

/* --- Promtail only --- */

/* The arguments that are not nil, as text with blanks between; each in quotes if asked for. */
static int joined(struct template_call *c, struct tval *args, int n, char quote, struct tval *ret)
{
    struct buf b;
    template_call_buf(c, &b);
    bool first = true;
    for (int i = 0; i < n; i++) {
        if (args[i].type == TVAL_NIL)
            continue;
        if (!first)
            buf_append_char(&b, ' ');
        first = false;
        strings_append_quoted(&b, &args[i], quote);
    }
    return template_call_take(c, &b, ret);
}

static int f_quote(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    return joined(c, args, n, '"', ret);
}

static int f_squote(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    return joined(c, args, n, '\'', ret);
}

static int f_cat(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    return joined(c, args, n, '\0', ret);
}

/* The library goes by bytes, not runes: if blanks are taken out, each byte left becomes a rune. */
static int f_nospace(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    bool has_space = false;
    for (size_t i = 0; i < args[0].s.len; i++)
        has_space = has_space || rune_is_space((unsigned char)args[0].s.ptr[i]);
    if (!has_space)
        return template_return_str(ret, args[0].s);
    template_call_buf(c, &b);
    for (size_t i = 0; i < args[0].s.len; i++) {
        uint32_t rune = (unsigned char)args[0].s.ptr[i];
        if (!rune_is_space(rune))
            utf8_append(&b, rune);
    }
    return template_call_take(c, &b, ret);
}

static int f_swapcase(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    strings_append_swapped(&b, args[0].s);
    return template_call_take(c, &b, ret);
}

static int f_snakecase(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    case_append_snake(&b, args[0].s, '_');
    return template_call_take(c, &b, ret);
}

static int f_kebabcase(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    case_append_snake(&b, args[0].s, '-');
    return template_call_take(c, &b, ret);
}

static int f_camelcase(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    case_append_pascal(&b, args[0].s);
    return template_call_take(c, &b, ret);
}

static int f_initials(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    bool start = true;
    template_call_buf(c, &b);
    for (size_t i = 0; i < args[0].s.len; i++) { /* by bytes, as nospace */
        uint32_t rune = (unsigned char)args[0].s.ptr[i];
        if (start && !rune_is_space(rune))
            utf8_append(&b, rune);
        start = rune_is_space(rune);
    }
    return template_call_take(c, &b, ret);
}

/* At most `width` bytes of s from about `offset` on, with dots where something was left out. */
static void append_abbreviated(struct buf *b, str s, size_t offset, size_t width)
{
    if (s.len <= width) {
        buf_append_str(b, s);
        return;
    }
    size_t kept = width - 3; /* beside the dots */
    offset = MIN(offset, s.len);
    if (s.len - offset < kept)
        offset = s.len - kept;
    if (offset <= 4) {
        buf_append_str(b, str_sub(s, 0, kept));
        buf_append_c(b, "...");
        return;
    }
    buf_append_c(b, "...");
    if (offset + kept >= s.len) {
        buf_append_str(b, str_from(s, s.len - kept));
    } else if (kept >= 4) { /* shorter ones the library gives up */
        buf_append_str(b, str_sub(s, offset, offset + kept - 3));
        buf_append_c(b, "...");
    }
}

static int f_abbrev(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    if (args[0].i < 4)
        return template_return_str(ret, args[1].s);
    template_call_buf(c, &b);
    append_abbreviated(&b, args[1].s, 0, (size_t)args[0].i);
    return template_call_take(c, &b, ret);
}

static int f_abbrevboth(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    int64_t left = args[0].i, right = args[1].i;
    if (right < 4 || (left > 0 && right < 7))
        return template_return_str(ret, args[2].s);
    template_call_buf(c, &b);
    append_abbreviated(&b, args[2].s, left > 0 ? (size_t)left : 0, (size_t)right);
    return template_call_take(c, &b, ret);
}

static int f_plural(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c, (void)n;
    *ret = args[2].i == 1 ? args[0] : args[1];
    return 0;
}

static int f_wrap_with(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    str newline = args[1].s.len > 0 ? args[1].s : STR("\n");
    template_call_buf(c, &b);
    strings_append_wrapped(&b, args[2].s, args[0].i, newline, true);
    return template_call_take(c, &b, ret);
}

static int f_wrap(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    strings_append_wrapped(&b, args[1].s, args[0].i, STR("\n"), false);
    return template_call_take(c, &b, ret);
}

static int f_to_string(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    convert_append_text(&b, &args[0]);
    return template_call_take(c, &b, ret);
}

static int f_b32enc(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    base32_encode(&b, args[0].s);
    return template_call_take(c, &b, ret);
}

static int f_b32dec(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    struct error err = {0};
    template_call_buf(c, &b);
    if (base32_decode(&b, args[0].s, &err) != 0) {
        b.len = 0;
        buf_append_c(&b, err.text);
    }
    return template_call_take(c, &b, ret);
}

static const struct template_func funcs[] = {
    {"b64enc", "s", f_b64enc},
    {"b64dec", "s", f_b64dec},
    {"lower", "s", f_lower},
    {"upper", "s", f_upper},
    {"title", "s", f_title},
    {"trunc", "is", f_trunc},
    {"substr", "iis", f_substr},
    {"contains", "ss", f_contains},
    {"hasPrefix", "ss", f_has_prefix},
    {"hasSuffix", "ss", f_has_suffix},
    {"indent", "is", f_indent},
    {"nindent", "is", f_nindent},
    {"replace", "sss", f_replace},
    {"repeat", "is", f_repeat},
    {"trim", "s", f_trim},
    {"trimAll", "ss", f_trim_all},
    {"trimSuffix", "ss", f_trim_suffix},
    {"trimPrefix", "ss", f_trim_prefix},
    {"default", "vv*", f_default},
};

static const struct template_func more[] = {
    {"untitle", "s", f_untitle},      {"quote", "v*", f_quote},
    {"squote", "v*", f_squote},       {"cat", "v*", f_cat},
    {"nospace", "s", f_nospace},      {"swapcase", "s", f_swapcase},
    {"snakecase", "s", f_snakecase},  {"kebabcase", "s", f_kebabcase},
    {"camelcase", "s", f_camelcase},  {"initials", "s", f_initials},
    {"abbrev", "is", f_abbrev},       {"abbrevboth", "iis", f_abbrevboth},
    {"plural", "ssi", f_plural},      {"wrap", "is", f_wrap},
    {"wrapWith", "iss", f_wrap_with}, {"toString", "v", f_to_string},
    {"b32enc", "s", f_b32enc},        {"b32dec", "s", f_b32dec},
    {"trimall", "ss", f_trim_all},
};

const struct template_func_table template_funcs_text = TEMPLATE_TABLE(funcs);
const struct template_func_table template_funcs_text_more = TEMPLATE_TABLE(more);
