/* What Loki and Promtail take from Go as it is: ToLower, Replace, Trim, regexReplaceAll. */
#include "base/mem.h"
#include "base/utf8.h"
#include "logql/template/funcs.h"
#include "logql/template/matches.h"
#include "logql/template/strings.h"

static int f_to_lower(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    utf8_append_lower(&b, args[0].s);
    return template_call_take(c, &b, ret);
}

static int f_to_upper(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    utf8_append_upper(&b, args[0].s);
    return template_call_take(c, &b, ret);
}

static int f_replace(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    strings_append_replaced(&b, args[0].s, args[1].s, args[2].s, args[3].i);
    return template_call_take(c, &b, ret);
}

#define VIEW_FN(name, expr)                                                                        \
    static int name(struct template_call *c, struct tval *args, int n, struct tval *ret)           \
    {                                                                                              \
        (void)c, (void)n;                                                                          \
        return template_return_str(ret, (expr));                                                   \
    }
VIEW_FN(f_trim, strings_trim(args[0].s, args[1].s, STRINGS_BOTH))
VIEW_FN(f_trim_left, strings_trim(args[0].s, args[1].s, STRINGS_LEFT))
VIEW_FN(f_trim_right, strings_trim(args[0].s, args[1].s, STRINGS_RIGHT))
VIEW_FN(f_trim_prefix, strings_trim_prefix(args[0].s, args[1].s))
VIEW_FN(f_trim_suffix, strings_trim_suffix(args[0].s, args[1].s))
VIEW_FN(f_trim_space, utf8_trim_space(args[0].s))

static int replace_all(struct template_call *c, struct tval *args, bool literal, struct tval *ret)
{
    const struct regex *re;
    struct buf b;
    int rc = template_call_regex(c, args[0].s, &re);
    if (rc != 0)
        return rc;
    template_call_buf(c, &b);
    matches_append_replaced(&b, re, args[1].s, args[2].s, literal);
    return template_call_take(c, &b, ret);
}

static int f_regex_replace_all(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return replace_all(c, args, false, ret);
}

static int f_regex_replace_literal(struct template_call *c, struct tval *args, int n,
                                   struct tval *ret)
{
    (void)n;
    return replace_all(c, args, true, ret);
}

static const struct template_func funcs[] = {
    {"ToLower", "s", f_to_lower},
    {"ToUpper", "s", f_to_upper},
    {"Replace", "sssi", f_replace},
    {"Trim", "ss", f_trim},
    {"TrimLeft", "ss", f_trim_left},
    {"TrimRight", "ss", f_trim_right},
    {"TrimPrefix", "ss", f_trim_prefix},
    {"TrimSuffix", "ss", f_trim_suffix},
    {"TrimSpace", "s", f_trim_space},
    {"regexReplaceAll", "sss", f_regex_replace_all},
    {"regexReplaceAllLiteral", "sss", f_regex_replace_literal},
};

const struct template_func_table template_funcs_go = TEMPLATE_TABLE(funcs);
