/* sprig's choices, type questions, paths and odds and ends. */
#include <stdlib.h>

#include "base/gofmt.h"
#include "base/mem.h"
#include "logql/template/convert.h"
#include "logql/template/funcs.h"
#include "logql/template/list.h"

static int f_coalesce(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c;
    *ret = tval_nil();
    for (int i = n - 1; i >= 0; i--)
        if (!convert_is_empty(&args[i]))
            *ret = args[i];
    return 0;
}

static int f_empty(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c, (void)n;
    *ret = tval_bool(convert_is_empty(&args[0]));
    return 0;
}

static int f_all(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c;
    *ret = tval_bool(true);
    for (int i = 0; i < n; i++)
        ret->b = ret->b && !convert_is_empty(&args[i]);
    return 0;
}

static int f_any(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c;
    *ret = tval_bool(false);
    for (int i = 0; i < n; i++)
        ret->b = ret->b || !convert_is_empty(&args[i]);
    return 0;
}

static int f_ternary(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c, (void)n;
    *ret = args[2].b ? args[0] : args[1];
    return 0;
}

static int f_fail(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n, (void)ret;
    return template_call_fail(c, "%.*s", STR_ARG(args[0].s));
}

static int f_kind_of(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c, (void)n;
    return template_return_str(ret, str_c(tval_kind_name(&args[0])));
}

static int f_kind_is(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c, (void)n;
    *ret = tval_bool(str_eq_c(args[0].s, tval_kind_name(&args[1])));
    return 0;
}

static const char *type_of(const struct tval *v)
{
    return v->type == TVAL_ROOT ? TMAP_ANY : tval_type_name(v); /* Promtail's extracted values */
}

static int f_type_of(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c, (void)n;
    return template_return_str(ret, str_c(type_of(&args[0])));
}

/* typeIsLike looks through pointers, of which there are none here. */
static int f_type_is(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c, (void)n;
    *ret = tval_bool(str_eq_c(args[0].s, type_of(&args[1])));
    return 0;
}

static int f_deep_equal(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c, (void)n;
    *ret = tval_bool(list_deep_equal(&args[0], &args[1]));
    return 0;
}

static int f_atoi(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c, (void)n;
    int64_t v = 0;
    *ret = tval_int(goparse_int(args[0].s, 10, 64, &v) == E_PARSE ? 0 : v);
    return 0;
}

/* Octal digits to a number. */
static int f_to_decimal(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    int64_t v = 0;
    template_call_buf(c, &b);
    convert_append_text(&b, &args[0]);
    bool ok = goparse_int(buf_str(&b), 8, 64, &v) == 0;
    buf_deinit(&b);
    *ret = tval_int64(ok ? v : 0);
    return 0;
}

static int f_hello(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c, (void)args, (void)n;
    return template_return_str(ret, STR("Hello!"));
}

static int f_env(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    char *name = arena_c(c->arena, args[0].s);
    const char *v = getenv(name);
    return template_return_str(ret, v != NULL ? arena_str(c->arena, str_c(v)) : STR_EMPTY);
}

static bool is_name_char(char ch)
{
    return ch == '_' || (ch >= '0' && ch <= '9') || ((ch | 32) >= 'a' && (ch | 32) <= 'z');
}

/* The name behind a dollar as os.Expand takes it, and how many bytes it takes with its braces; an
 * empty one of some bytes is malformed and goes. */
static str variable_name(str s, size_t *ret_taken)
{
    static const char special[] = "*#$@!?-0123456789";
    bool is_braced = s.ptr[0] == '{';
    size_t from = is_braced, n = from;
    *ret_taken = 1;
    if (from < s.len && char_in((unsigned char)s.ptr[from], special) &&
        (!is_braced || (s.len > 2 && s.ptr[2] == '}'))) {
        *ret_taken = is_braced ? 3 : 1;
        return str_sub(s, from, from + 1);
    }
    if (is_braced) {
        size_t close = str_find_char(s, '}');
        if (close == STR_NPOS)
            return STR_EMPTY;
        *ret_taken = close + 1;
        return str_sub(s, 1, close);
    }
    while (n < s.len && is_name_char(s.ptr[n]))
        n++;
    *ret_taken = n;
    return str_sub(s, 0, n);
}

static int f_expand_env(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    str s = args[0].s;
    template_call_buf(c, &b);
    while (s.len > 0) {
        size_t taken;
        if (s.ptr[0] != '$' || s.len == 1) {
            buf_append_char(&b, s.ptr[0]);
            s = str_from(s, 1);
            continue;
        }
        s = str_from(s, 1);
        str name = variable_name(s, &taken);
        const char *v = name.len > 0 ? getenv(arena_c(c->arena, name)) : NULL;
        if (taken == 0)
            buf_append_char(&b, '$');
        buf_append_c(&b, v != NULL ? v : "");
        s = str_from(s, taken);
    }
    return template_call_take(c, &b, ret);
}

/* --- paths, as package path --- */

static str strip_slashes(str s)
{
    while (s.len > 0 && s.ptr[s.len - 1] == '/')
        s.len--;
    return s;
}

static int f_base(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c, (void)n;
    str s = strip_slashes(args[0].s);
    if (args[0].s.len == 0)
        return template_return_str(ret, STR("."));
    if (s.len == 0)
        return template_return_str(ret, STR("/"));
    size_t at = str_rfind_char(s, '/');
    return template_return_str(ret, at == STR_NPOS ? s : str_from(s, at + 1));
}

static int f_ext(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c, (void)n;
    str s = args[0].s;
    for (size_t i = s.len; i-- > 0 && s.ptr[i] != '/';)
        if (s.ptr[i] == '.')
            return template_return_str(ret, str_from(s, i));
    return template_return_str(ret, STR_EMPTY);
}

static int f_is_abs(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c, (void)n;
    *ret = tval_bool(args[0].s.len > 0 && args[0].s.ptr[0] == '/');
    return 0;
}

/* path.Clean: no empty, . or .. parts where they can go. */
static int clean(struct template_call *c, str s, struct tval *ret)
{
    bool rooted = s.len > 0 && s.ptr[0] == '/';
    struct buf b;
    template_call_buf(c, &b);
    if (rooted)
        buf_append_char(&b, '/');
    size_t root = b.len, fixed = b.len; /* what .. may not take away */
    for (str rest = s; rest.ptr != NULL;) {
        str part = str_split(&rest, '/');
        if (part.len == 0 || str_eq(part, STR(".")))
            continue;
        if (str_eq(part, STR(".."))) {
            if (b.len > fixed) {
                size_t at = str_rfind_char(str_sub(buf_str(&b), 0, b.len), '/');
                b.len = at == STR_NPOS || at < fixed ? fixed : at;
                continue;
            }
            if (rooted)
                continue;
        }
        if (b.len > root)
            buf_append_char(&b, '/');
        buf_append_str(&b, part);
        if (str_eq(part, STR("..")))
            fixed = b.len;
    }
    if (b.len == 0)
        buf_append_char(&b, '.');
    return template_call_take(c, &b, ret);
}

static int f_clean(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return clean(c, args[0].s, ret);
}

static int f_dir(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    size_t at = str_rfind_char(args[0].s, '/');
    return clean(c, at == STR_NPOS ? STR_EMPTY : str_sub(args[0].s, 0, at + 1), ret);
}

static const struct template_func funcs[] = {
    {"coalesce", "v*", f_coalesce},
    {"empty", "v", f_empty},
    {"all", "v*", f_all},
    {"any", "v*", f_any},
    {"ternary", "vvb", f_ternary},
    {"fail", "s", f_fail},
    {"kindOf", "v", f_kind_of},
    {"kindIs", "sv", f_kind_is},
    {"typeOf", "v", f_type_of},
    {"typeIs", "sv", f_type_is},
    {"typeIsLike", "sv", f_type_is},
    {"deepEqual", "vv", f_deep_equal},
    {"atoi", "s", f_atoi},
    {"toDecimal", "v", f_to_decimal},
    {"hello", "", f_hello},
    {"env", "s", f_env},
    {"expandenv", "s", f_expand_env},
    {"base", "s", f_base},
    {"osBase", "s", f_base},
    {"ext", "s", f_ext},
    {"osExt", "s", f_ext},
    {"isAbs", "s", f_is_abs},
    {"osIsAbs", "s", f_is_abs},
    {"clean", "s", f_clean},
    {"osClean", "s", f_clean},
    {"dir", "s", f_dir},
    {"osDir", "s", f_dir},
};

const struct template_func_table template_funcs_reflect = TEMPLATE_TABLE(funcs);
