/* sprig's regular expressions.  Those without "must" panic on a bad pattern, which is an error too.
 */
#include "base/mem.h"
#include "base/vec.h"
#include "logql/template/funcs.h"
#include "logql/template/matches.h"

/* sprig's plain functions use MustCompile, whose panic reads so. */
static int compile(struct template_call *c, str pattern, bool must, const struct regex **ret)
{
    int rc = template_call_regex(c, pattern, ret);
    if (rc != 0 && !must) {
        struct error err = c->error;
        error_clear(&c->error);
        return template_call_fail(c, "regexp: Compile(`%.*s`): %s", STR_ARG(pattern), err.text);
    }
    return rc;
}

static int match(struct template_call *c, struct tval *args, bool must, struct tval *ret)
{
    const struct regex *re;
    int rc = compile(c, args[0].s, must, &re);
    *ret = tval_bool(rc == 0 && regex_is_match(re, args[1].s));
    return rc;
}

/* regexMatch drops its error: a bad pattern matches nothing. */
static int f_match(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    if (match(c, args, false, ret) != 0)
        *ret = tval_bool(false);
    return 0;
}

static int f_must_match(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return match(c, args, true, ret);
}

static int find(struct template_call *c, struct tval *args, bool must, struct tval *ret)
{
    const struct regex *re;
    struct matches m;
    int rc = compile(c, args[0].s, must, &re);
    if (rc != 0)
        return rc;
    matches_start(&m, re, args[1].s);
    return template_return_str(ret, matches_next(&m) ? m.groups[0] : STR_EMPTY);
}

static int f_find(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return find(c, args, false, ret);
}

static int f_must_find(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return find(c, args, true, ret);
}

/* All matches, or what stands between them, as a []string of at most `limit` (< 0: all). */
static int collect(struct template_call *c, const struct regex *re, str text, int64_t limit,
                   bool between, struct tval *ret)
{
    VEC(struct tval) items = {0};
    struct matches m;
    size_t copied = 0;
    matches_start(&m, re, text);
    while (limit != 0 && !(limit > 0 && (int64_t)items.len >= limit - between) &&
           matches_next(&m)) {
        size_t start = (size_t)(m.groups[0].ptr - text.ptr);
        size_t end = start + m.groups[0].len;
        if (between && end == 0)
            continue; /* an empty match at the front splits nothing */
        VEC_PUSH(&items, tval_str(between ? str_sub(text, copied, start) : m.groups[0]));
        copied = end;
        if (items.len * sizeof *items.items > c->arena->limit)
            break;
    }
    if (between && limit != 0 && (copied != text.len || items.len == 0 || m.groups[0].len > 0))
        VEC_PUSH(&items, tval_str(str_from(text, copied)));
    struct tlist *l = tlist_new(c->arena, items.len, TLIST_STRINGS);
    if (l != NULL && items.len > 0)
        memcpy(l->items, items.items, items.len * sizeof *l->items);
    VEC_FREE(&items);
    *ret = (struct tval){.type = TVAL_LIST, .list = l};
    return l == NULL ? E_LIMIT : 0;
}

#define COLLECT_FN(name, must, between)                                                            \
    static int name(struct template_call *c, struct tval *args, int n, struct tval *ret)           \
    {                                                                                              \
        (void)n;                                                                                   \
        const struct regex *re;                                                                    \
        int rc = compile(c, args[0].s, must, &re);                                                 \
        return rc != 0 ? rc : collect(c, re, args[1].s, args[2].i, between, ret);                  \
    }
COLLECT_FN(f_find_all, false, false)
COLLECT_FN(f_must_find_all, true, false)
COLLECT_FN(f_split, false, true)
COLLECT_FN(f_must_split, true, true)

static int replace(struct template_call *c, struct tval *args, bool literal, struct tval *ret)
{
    const struct regex *re;
    struct buf b;
    int rc = compile(c, args[0].s, true, &re);
    if (rc != 0)
        return rc;
    template_call_buf(c, &b);
    matches_append_replaced(&b, re, args[1].s, args[2].s, literal);
    return template_call_take(c, &b, ret);
}

static int f_must_replace(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return replace(c, args, false, ret);
}

static int f_must_replace_literal(struct template_call *c, struct tval *args, int n,
                                  struct tval *ret)
{
    (void)n;
    return replace(c, args, true, ret);
}

static int f_quote_meta(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    for (size_t i = 0; i < args[0].s.len; i++) {
        char ch = args[0].s.ptr[i];
        if (char_in((unsigned char)ch, "\\.+*?()|[]{}^$"))
            buf_append_char(&b, '\\');
        buf_append_char(&b, ch);
    }
    return template_call_take(c, &b, ret);
}

static const struct template_func funcs[] = {
    {"regexMatch", "ss", f_match},
    {"mustRegexMatch", "ss", f_must_match},
    {"regexFind", "ss", f_find},
    {"mustRegexFind", "ss", f_must_find},
    {"regexFindAll", "ssi", f_find_all},
    {"mustRegexFindAll", "ssi", f_must_find_all},
    {"regexSplit", "ssi", f_split},
    {"mustRegexSplit", "ssi", f_must_split},
    {"mustRegexReplaceAll", "sss", f_must_replace},
    {"mustRegexReplaceAllLiteral", "sss", f_must_replace_literal},
    {"regexQuoteMeta", "s", f_quote_meta},
};

const struct template_func_table template_funcs_regex = TEMPLATE_TABLE(funcs);
