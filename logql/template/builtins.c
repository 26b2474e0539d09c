/* The functions Go's templates always have: and, or, not, len, index, slice, print*, html, js,
 * urlquery, call and the comparisons. */
#include "base/mem.h"
#include "base/utf8.h"
#include "logql/template/call.h"
#include "logql/template/escape.h"
#include "logql/template/print.h"

/* Roots among the arguments become maps, which the printers understand. */
static int flatten(struct template_call *c, struct tval *args, int n)
{
    for (int i = 0; i < n; i++) {
        if (args[i].type != TVAL_ROOT)
            continue;
        struct tmap *m;
        int rc = template_call_map(c, &args[i], &m);
        if (rc != 0)
            return rc;
        args[i] = (struct tval){.type = TVAL_MAP, .map = m};
    }
    return 0;
}

/* The executor does and, or; their entries only tell that they exist. */
static int never(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)args, (void)n, (void)ret;
    return template_call_fail(c, "unreachable");
}

static int b_not(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    int rc = flatten(c, args, n);
    *ret = tval_bool(!tval_truth(&args[0]));
    return rc;
}

static int b_len(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    int rc = flatten(c, args, n);
    if (rc != 0)
        return rc;
    switch (args[0].type) {
    case TVAL_STRING:
        *ret = tval_int((int64_t)args[0].s.len);
        return 0;
    case TVAL_LIST:
        *ret = tval_int((int64_t)args[0].list->len);
        return 0;
    case TVAL_MAP:
        *ret = tval_int((int64_t)args[0].map->len);
        return 0;
    case TVAL_NIL:
        return template_call_fail(c, "reflect: call of reflect.Value.Type on zero Value");
    default:
        return template_call_fail(c, "len of type %s", tval_type_name(&args[0]));
    }
}

static int check_index(struct template_call *c, const struct tval *index, size_t len, size_t *ret)
{
    if (index->type == TVAL_NIL)
        return template_call_fail(c, "cannot index slice/array with nil");
    if (!tval_is_int(index))
        return template_call_fail(c, "cannot index slice/array with type %s",
                                  tval_type_name(index));
    if (index->i < 0 || (uint64_t)index->i > len)
        return template_call_fail(c, "index out of range: %lld", (long long)index->i);
    *ret = (size_t)index->i;
    return 0;
}

static int index_map(struct template_call *c, const struct tval *item, const struct tval *key,
                     struct tval *ret)
{
    if (key->type == TVAL_NIL)
        return template_call_fail(c, "value is nil; should be of type string");
    if (key->type != TVAL_STRING)
        return template_call_fail(c, "value has type %s; should be string", tval_type_name(key));
    const struct tval *v = item->type == TVAL_MAP ? tmap_get(item->map, key->s) : NULL;
    bool strings = item->type == TVAL_ROOT && c->ctx->missing_is_empty;
    if (v != NULL)
        *ret = *v;
    else if (item->type != TVAL_ROOT || !template_root_get(c->ctx, key->s, ret))
        *ret = strings ? tval_str(STR_EMPTY) : tval_nil();
    return 0;
}

static int b_index(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    struct tval item = args[0];
    if (item.type == TVAL_NIL)
        return template_call_fail(c, "index of untyped nil");
    for (int i = 1; i < n; i++) {
        size_t at;
        int rc;
        if (item.type == TVAL_NIL)
            return template_call_fail(c, "index of nil pointer");
        if (item.type == TVAL_MAP || item.type == TVAL_ROOT) {
            rc = index_map(c, &item, &args[i], &item);
        } else if (item.type == TVAL_STRING) {
            rc = check_index(c, &args[i], item.s.len, &at);
            if (rc == 0 && at == item.s.len)
                return template_call_fail(c, "reflect: string index out of range");
            if (rc == 0)
                item = (struct tval){.type = TVAL_UINT8, .i = (unsigned char)item.s.ptr[at]};
        } else if (item.type == TVAL_LIST) {
            rc = check_index(c, &args[i], item.list->len, &at);
            if (rc == 0 && at == item.list->len)
                return template_call_fail(c, "reflect: slice index out of range");
            if (rc == 0)
                item = item.list->items[at];
        } else {
            rc = template_call_fail(c, "can't index item of type %s", tval_type_name(&item));
        }
        if (rc != 0)
            return rc;
    }
    *ret = item;
    return 0;
}

static int b_slice(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    struct tval *item = &args[0];
    if (item->type == TVAL_NIL)
        return template_call_fail(c, "slice of untyped nil");
    if (n > 4)
        return template_call_fail(c, "too many slice indexes: %d", n - 1);
    if (item->type != TVAL_STRING && item->type != TVAL_LIST)
        return template_call_fail(c, "can't slice item of type %s", tval_type_name(item));
    if (item->type == TVAL_STRING && n == 4)
        return template_call_fail(c, "cannot 3-index slice a string");
    size_t len = item->type == TVAL_STRING ? item->s.len : item->list->len;
    size_t at[3] = {0, len, len};
    for (int i = 1; i < n; i++) {
        int rc = check_index(c, &args[i], len, &at[i - 1]);
        if (rc != 0)
            return rc;
    }
    for (int i = 0; i < (n == 4 ? 2 : 1); i++)
        if (at[i] > at[i + 1])
            return template_call_fail(c, "invalid slice index: %zu > %zu", at[i], at[i + 1]);
    if (item->type == TVAL_STRING)
        return template_return_str(ret, str_sub(item->s, at[0], at[1]));
    struct tlist *l = template_call_alloc(c, sizeof *l);
    if (l == NULL)
        return E_LIMIT;
    *l = (struct tlist){item->list->items + at[0], at[1] - at[0], item->list->type_name};
    *ret = (struct tval){.type = TVAL_LIST, .list = l};
    return 0;
}

/* --- text --- */

static int b_print(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    struct buf b;
    int rc = flatten(c, args, n);
    if (rc != 0)
        return rc;
    template_call_buf(c, &b);
    tprint_all(&b, args, n);
    return template_call_take(c, &b, ret);
}

static int b_println(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    struct buf b;
    int rc = flatten(c, args, n);
    if (rc != 0)
        return rc;
    template_call_buf(c, &b);
    tprint_line(&b, args, n);
    return template_call_take(c, &b, ret);
}

static int b_printf(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    struct buf b;
    int rc = flatten(c, args, n);
    if (rc != 0)
        return rc;
    template_call_buf(c, &b);
    tprint_format(&b, args[0].s, args + 1, n - 1);
    return template_call_take(c, &b, ret);
}

/* html, js and urlquery take what print takes and escape what it prints. */
static int escaped(struct template_call *c, struct tval *args, int n, struct tval *ret,
                   void (*escape)(struct buf *, str))
{
    struct tval text;
    for (int i = 0; i < n; i++)
        if (args[i].type == TVAL_NIL)
            args[i] = tval_str(STR("<no value>"));
    int rc = b_print(c, args, n, &text);
    if (rc != 0)
        return rc;
    struct buf b;
    template_call_buf(c, &b);
    escape(&b, text.s);
    return template_call_take(c, &b, ret);
}

static int b_html(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    return escaped(c, args, n, ret, escape_html);
}

static int b_js(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    return escaped(c, args, n, ret, escape_js);
}

static int b_urlquery(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    return escaped(c, args, n, ret, escape_url_query);
}

/* No value of ours is a function. */
static int b_call(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n, (void)ret;
    if (args[0].type == TVAL_NIL)
        return template_call_fail(c, "call of nil");
    struct buf b;
    template_call_buf(c, &b);
    tprint_value(&b, &args[0]);
    int rc =
        template_call_fail(c, "non-function %s of type %s", buf_c(&b), tval_type_name(&args[0]));
    buf_deinit(&b);
    return rc;
}

/* --- comparisons --- */

enum basic { BASIC_NONE, BASIC_BOOL, BASIC_INT, BASIC_UINT, BASIC_FLOAT, BASIC_STRING };

static enum basic basic_kind(const struct tval *v)
{
    switch (v->type) {
    case TVAL_BOOL:
        return BASIC_BOOL;
    case TVAL_UINT8:
    case TVAL_UINT32:
        return BASIC_UINT;
    case TVAL_FLOAT:
        return BASIC_FLOAT;
    case TVAL_STRING:
        return BASIC_STRING;
    default:
        return tval_is_int(v) ? BASIC_INT : BASIC_NONE;
    }
}

static const char incompatible[] = "incompatible types for comparison";
static const char bad_type[] = "invalid type for comparison";

/* Unsigned values of ours fit an int64, so signed and unsigned compare as numbers. */
static bool are_ints(enum basic a, enum basic b)
{
    return (a == BASIC_INT || a == BASIC_UINT) && (b == BASIC_INT || b == BASIC_UINT);
}

static int equal(struct template_call *c, const struct tval *a, const struct tval *b, bool *ret)
{
    enum basic ka = basic_kind(a), kb = basic_kind(b);
    *ret = false;
    if (are_ints(ka, kb)) {
        *ret = a->i == b->i;
    } else if (ka != kb) {
        if (a->type != TVAL_NIL && b->type != TVAL_NIL)
            return template_call_fail(c, incompatible);
    } else if (ka == BASIC_BOOL) {
        *ret = a->b == b->b;
    } else if (ka == BASIC_FLOAT) {
        *ret = a->f == b->f;
    } else if (ka == BASIC_STRING) {
        *ret = str_eq(a->s, b->s);
    } else if (a->type == TVAL_NIL || b->type == TVAL_NIL) {
        *ret = a->type == b->type;
    } else if (a->type == TVAL_TIME && b->type == TVAL_TIME) {
        *ret = a->t->s == b->t->s && a->t->ns == b->t->ns && a->t->zone == b->t->zone;
    } else {
        struct buf text;
        template_call_buf(c, &text);
        tprint_format(&text, STR("%s"), b, 1);
        bool same = tval_kind_name(a) == tval_kind_name(b);
        int rc = same ? template_call_fail(c, "non-comparable type %s: %s", buf_c(&text),
                                           tval_type_name(b))
                      : template_call_fail(c, "non-comparable types");
        buf_deinit(&text);
        return rc;
    }
    return 0;
}

static int less(struct template_call *c, const struct tval *a, const struct tval *b, bool *ret)
{
    enum basic ka = basic_kind(a), kb = basic_kind(b);
    if (ka == BASIC_NONE || kb == BASIC_NONE)
        return template_call_fail(c, bad_type);
    if (are_ints(ka, kb))
        *ret = a->i < b->i;
    else if (ka != kb)
        return template_call_fail(c, incompatible);
    else if (ka == BASIC_BOOL)
        return template_call_fail(c, bad_type);
    else
        *ret = ka == BASIC_FLOAT ? a->f < b->f : str_cmp(a->s, b->s) < 0;
    return 0;
}

static int b_eq(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    bool same = false;
    if (n < 2)
        return template_call_fail(c, "missing argument for comparison");
    int rc = flatten(c, args, n);
    for (int i = 1; rc == 0 && i < n && !same; i++)
        rc = equal(c, &args[0], &args[i], &same);
    *ret = tval_bool(same);
    return rc;
}

static int b_ne(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    int rc = b_eq(c, args, n, ret);
    ret->b = !ret->b;
    return rc;
}

static int b_lt(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    *ret = tval_bool(false);
    return less(c, &args[0], &args[1], &ret->b);
}

static int b_le(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    int rc = b_lt(c, args, n, ret);
    return rc != 0 || ret->b ? rc : b_eq(c, args, n, ret);
}

static int b_gt(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    int rc = b_le(c, args, n, ret);
    ret->b = !ret->b;
    return rc;
}

static int b_ge(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    int rc = b_lt(c, args, n, ret);
    ret->b = !ret->b;
    return rc;
}

const struct template_func template_func_and = {"and", "vv*", never};
const struct template_func template_func_or = {"or", "vv*", never};

static const struct template_func builtins[] = {
    {"not", "v", b_not},         {"len", "v", b_len},
    {"index", "vv*", b_index},   {"slice", "vv*", b_slice},
    {"print", "v*", b_print},    {"println", "v*", b_println},
    {"printf", "sv*", b_printf}, {"html", "v*", b_html},
    {"js", "v*", b_js},          {"urlquery", "v*", b_urlquery},
    {"call", "vv*", b_call},     {"eq", "vv*", b_eq},
    {"ne", "vv", b_ne},          {"lt", "vv", b_lt},
    {"le", "vv", b_le},          {"gt", "vv", b_gt},
    {"ge", "vv", b_ge},
};

const struct template_func_table template_builtins = TEMPLATE_TABLE(builtins);
