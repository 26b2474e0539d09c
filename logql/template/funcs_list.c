/* sprig's lists. */
#include <stdlib.h>

#include "base/mem.h"
#include "logql/template/convert.h"
#include "logql/template/funcs.h"
#include "logql/template/list.h"

#define LIST_MAX 1000000 /* items; until and seq would make any number */

/* An argument that has to be a list. */
static int take_list(struct template_call *c, const struct tval *v, const char *what,
                     struct tlist **ret)
{
    if (v->type != TVAL_LIST)
        return template_call_fail(c, "Cannot find %s on type %s", what,
                                  v->type == TVAL_NIL ? "invalid" : tval_kind_name(v));
    *ret = v->list;
    return 0;
}

static int new_list(struct template_call *c, size_t len, const char *type, struct tval *ret)
{
    struct tlist *l = tlist_new(c->arena, len, type);
    if (l == NULL)
        return E_LIMIT;
    *ret = (struct tval){.type = TVAL_LIST, .list = l};
    return 0;
}

/* items[from .. to) of a list as a new []interface {}. */
static int part_of(struct template_call *c, const struct tlist *l, size_t from, size_t to,
                   struct tval *ret)
{
    int rc = new_list(c, to - from, TLIST_ANY, ret);
    if (rc == 0 && to > from)
        memcpy(ret->list->items, l->items + from, (to - from) * sizeof *l->items);
    return rc;
}

static int f_list(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    struct tlist l = {args, (size_t)n, TLIST_ANY};
    return part_of(c, &l, 0, l.len, ret);
}

static int f_first(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tlist *l = NULL;
    int rc = take_list(c, &args[0], "first", &l);
    if (rc == 0)
        *ret = l->len > 0 ? l->items[0] : tval_nil();
    return rc;
}

static int f_last(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tlist *l = NULL;
    int rc = take_list(c, &args[0], "last", &l);
    if (rc == 0)
        *ret = l->len > 0 ? l->items[l->len - 1] : tval_nil();
    return rc;
}

static int f_rest(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tlist *l = NULL;
    int rc = take_list(c, &args[0], "rest", &l);
    return rc != 0 ? rc : part_of(c, l, MIN(l->len, (size_t)1), l->len, ret);
}

static int f_initial(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tlist *l = NULL;
    int rc = take_list(c, &args[0], "initial", &l);
    return rc != 0 ? rc : part_of(c, l, 0, l->len > 0 ? l->len - 1 : 0, ret);
}

static int f_reverse(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tlist *l = NULL;
    int rc = take_list(c, &args[0], "reverse", &l);
    if (rc == 0)
        rc = part_of(c, l, 0, l->len, ret);
    for (size_t i = 0; rc == 0 && i < l->len; i++)
        ret->list->items[i] = l->items[l->len - 1 - i];
    return rc;
}

static int f_append(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tlist *l = NULL;
    int rc = take_list(c, &args[0], "push", &l);
    if (rc == 0)
        rc = new_list(c, l->len + 1, TLIST_ANY, ret);
    for (size_t i = 0; rc == 0 && i <= l->len; i++)
        ret->list->items[i] = i < l->len ? l->items[i] : args[1];
    return rc;
}

static int f_prepend(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tlist *l = NULL;
    int rc = take_list(c, &args[0], "prepend", &l);
    if (rc == 0)
        rc = new_list(c, l->len + 1, TLIST_ANY, ret);
    for (size_t i = 0; rc == 0 && i <= l->len; i++)
        ret->list->items[i] = i > 0 ? l->items[i - 1] : args[1];
    return rc;
}

static int f_concat(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    size_t len = 0, at = 0;
    struct tlist *l = NULL;
    int rc = 0;
    for (int i = 0; rc == 0 && i < n; i++) {
        rc = take_list(c, &args[i], "concat", &l);
        len += rc == 0 ? l->len : 0;
    }
    if (rc == 0)
        rc = new_list(c, len, TLIST_ANY, ret);
    for (int i = 0; rc == 0 && i < n; i++)
        for (size_t k = 0; k < args[i].list->len; k++)
            ret->list->items[at++] = args[i].list->items[k];
    return rc;
}

/* Keeps the items for which keep() holds. */
static int filter(struct template_call *c, const struct tlist *l, const struct tval *args, int n,
                  bool (*keep)(const struct tlist *kept, const struct tval *item,
                               const struct tval *args, int n),
                  struct tval *ret)
{
    int rc = new_list(c, l->len, TLIST_ANY, ret);
    if (rc != 0)
        return rc;
    ret->list->len = 0;
    for (size_t i = 0; i < l->len; i++)
        if (keep(ret->list, &l->items[i], args, n))
            ret->list->items[ret->list->len++] = l->items[i];
    return 0;
}

static bool is_new(const struct tlist *kept, const struct tval *item, const struct tval *args,
                   int n)
{
    (void)args, (void)n;
    for (size_t i = 0; i < kept->len; i++)
        if (list_deep_equal(&kept->items[i], item))
            return false;
    return true;
}

static bool is_not_among(const struct tlist *kept, const struct tval *item, const struct tval *args,
                         int n)
{
    (void)kept;
    for (int i = 0; i < n; i++)
        if (list_deep_equal(&args[i], item))
            return false;
    return true;
}

static bool is_something(const struct tlist *kept, const struct tval *item, const struct tval *args,
                         int n)
{
    (void)kept, (void)args, (void)n;
    return !convert_is_empty(item);
}

static int f_uniq(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tlist *l = NULL;
    int rc = take_list(c, &args[0], "uniq", &l);
    if (rc == 0 && l->len > 10000) /* the search is quadratic, as sprig's */
        return E_LIMIT;
    return rc != 0 ? rc : filter(c, l, NULL, 0, is_new, ret);
}

static int f_without(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    struct tlist *l = NULL;
    int rc = take_list(c, &args[0], "without", &l);
    return rc != 0 ? rc : filter(c, l, args + 1, n - 1, is_not_among, ret);
}

static int f_compact(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tlist *l = NULL;
    int rc = take_list(c, &args[0], "compact", &l);
    return rc != 0 ? rc : filter(c, l, NULL, 0, is_something, ret);
}

static int f_has(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tlist *l = NULL;
    *ret = tval_bool(false);
    if (args[1].type == TVAL_NIL)
        return 0;
    int rc = take_list(c, &args[1], "has", &l);
    for (size_t i = 0; rc == 0 && i < l->len; i++)
        ret->b = ret->b || list_deep_equal(&args[0], &l->items[i]);
    return rc;
}

/* slice list [from [to]] */
static int f_slice(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    struct tlist *l = NULL;
    if (args[0].type != TVAL_LIST)
        return template_call_fail(c, "list should be type of slice or array but %s",
                                  tval_kind_name(&args[0]));
    l = args[0].list;
    if (l->len == 0) {
        *ret = tval_nil();
        return 0;
    }
    int64_t from = n > 1 ? convert_int(&args[1]) : 0;
    int64_t to = n > 2 ? convert_int(&args[2]) : (int64_t)l->len;
    if (from < 0 || from > to || to > (int64_t)l->len)
        return template_call_fail(c, "reflect.Value.Slice: slice index out of bounds");
    int rc = part_of(c, l, (size_t)from, (size_t)to, ret);
    if (rc == 0)
        ret->list->type_name = l->type_name;
    return rc;
}

static int f_chunk(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tlist *l = NULL;
    int rc = take_list(c, &args[1], "chunk", &l);
    if (rc != 0)
        return rc;
    if (args[0].i < 1)
        return template_call_fail(c, "runtime error: integer divide by zero");
    size_t size = (size_t)args[0].i, n_chunks = l->len / size + (l->len % size != 0);
    rc = new_list(c, n_chunks, "[][]interface {}", ret);
    for (size_t i = 0; rc == 0 && i < n_chunks; i++)
        rc = part_of(c, l, i * size, MIN((i + 1) * size, l->len), &ret->list->items[i]);
    return rc;
}

/* --- lists and strings --- */

/* The items as strings, nil ones left out. */
static int strings_of(struct template_call *c, const struct tval *v, struct tval *ret)
{
    struct tlist one = {(struct tval *)v, 1, TLIST_ANY}, none = {NULL, 0, TLIST_ANY};
    const struct tlist *l = v->type == TVAL_LIST ? v->list : v->type == TVAL_NIL ? &none : &one;
    int rc = new_list(c, l->len, TLIST_STRINGS, ret);
    size_t len = 0;
    for (size_t i = 0; rc == 0 && i < l->len; i++) {
        if (l->items[i].type == TVAL_NIL)
            continue;
        struct buf b;
        template_call_buf(c, &b);
        convert_append_text(&b, &l->items[i]);
        rc = template_call_take(c, &b, &ret->list->items[len++]);
    }
    if (rc == 0)
        ret->list->len = len;
    return rc;
}

static int f_to_strings(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return strings_of(c, &args[0], ret);
}

static int f_join(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tval strings;
    int rc = strings_of(c, &args[1], &strings);
    if (rc != 0)
        return rc;
    struct buf b;
    template_call_buf(c, &b);
    for (size_t i = 0; i < strings.list->len; i++) {
        if (i > 0)
            buf_append_str(&b, args[0].s);
        buf_append_str(&b, strings.list->items[i].s);
    }
    return template_call_take(c, &b, ret);
}

static int compare_strings(const void *a, const void *b)
{
    return str_cmp(((const struct tval *)a)->s, ((const struct tval *)b)->s);
}

static int f_sort_alpha(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tval text = tval_str(STR("<nil>")); /* what is no list counts as its text */
    int rc = strings_of(c, args[0].type == TVAL_NIL ? &text : &args[0], ret);
    if (rc == 0 && ret->list->len > 1)
        qsort(ret->list->items, ret->list->len, sizeof *ret->list->items, compare_strings);
    return rc;
}

static int f_split_list(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return list_split(c, args[1].s, args[0].s, -1, ret);
}

/* {_0: a, _1: b} */
static int split_map(struct template_call *c, str s, str sep, int64_t limit, struct tval *ret)
{
    struct tval parts;
    int rc = list_split(c, s, sep, limit, &parts);
    struct tmap *m = rc == 0 ? tmap_new(c->arena, TMAP_STRINGS) : NULL;
    if (m == NULL)
        return rc != 0 ? rc : E_LIMIT;
    for (size_t i = 0; i < parts.list->len; i++) {
        str key = arena_printf(c->arena, "_%zu", i);
        if (!tmap_put(m, c->arena, key, parts.list->items[i]))
            return E_LIMIT;
    }
    *ret = (struct tval){.type = TVAL_MAP, .map = m};
    return 0;
}

static int f_split(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return split_map(c, args[1].s, args[0].s, -1, ret);
}

static int f_splitn(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return split_map(c, args[2].s, args[0].s, args[1].i, ret);
}

/* --- numbers --- */

static int count_up(struct template_call *c, int64_t start, int64_t stop, int64_t step,
                    struct tval *ret)
{
    __int128 span = (__int128)stop - start;
    __int128 len =
        step == 0 || (span < 0) != (step < 0) ? 0 : (span + step + (step > 0 ? -1 : 1)) / step;
    if (len > LIST_MAX)
        return E_LIMIT;
    int rc = new_list(c, span == 0 ? 0 : (size_t)len, TLIST_INTS, ret);
    for (size_t i = 0; rc == 0 && i < ret->list->len; i++)
        ret->list->items[i] = tval_int(start + (int64_t)i * step);
    return rc;
}

static int f_until(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return count_up(c, 0, args[0].i, args[0].i < 0 ? -1 : 1, ret);
}

static int f_until_step(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return count_up(c, args[0].i, args[1].i, args[2].i, ret);
}

/* seq end, seq start end, seq start step end: the numbers with blanks between. */
static int f_seq(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    if (n == 0 || n > 3)
        return template_return_str(ret, STR_EMPTY);
    int64_t end = args[n - 1].i, start = n > 1 ? args[0].i : 1;
    int64_t step = n == 3 ? args[1].i : end < start ? -1 : 1;
    struct tval numbers;
    if (n == 3 && ((step > 0 && end < start) || (step < 0 && end > start) || step == 0))
        return template_return_str(ret, STR_EMPTY);
    int rc = count_up(c, start, end + (step < 0 ? -1 : 1), step, &numbers);
    struct tval join[2] = {tval_str(STR(" ")), numbers};
    return rc != 0 ? rc : f_join(c, join, 2, ret);
}

static const struct template_func funcs[] = {
    {"list", "v*", f_list},
    {"tuple", "v*", f_list},
    {"first", "v", f_first},
    {"mustFirst", "v", f_first},
    {"last", "v", f_last},
    {"mustLast", "v", f_last},
    {"rest", "v", f_rest},
    {"mustRest", "v", f_rest},
    {"initial", "v", f_initial},
    {"mustInitial", "v", f_initial},
    {"reverse", "v", f_reverse},
    {"mustReverse", "v", f_reverse},
    {"append", "vv", f_append},
    {"mustAppend", "vv", f_append},
    {"push", "vv", f_append},
    {"mustPush", "vv", f_append},
    {"prepend", "vv", f_prepend},
    {"mustPrepend", "vv", f_prepend},
    {"concat", "v*", f_concat},
    {"uniq", "v", f_uniq},
    {"mustUniq", "v", f_uniq},
    {"without", "vv*", f_without},
    {"mustWithout", "vv*", f_without},
    {"compact", "v", f_compact},
    {"mustCompact", "v", f_compact},
    {"has", "vv", f_has},
    {"mustHas", "vv", f_has},
    {"slice", "vv*", f_slice},
    {"mustSlice", "vv*", f_slice},
    {"chunk", "iv", f_chunk},
    {"mustChunk", "iv", f_chunk},
    {"toStrings", "v", f_to_strings},
    {"join", "sv", f_join},
    {"sortAlpha", "v", f_sort_alpha},
    {"splitList", "ss", f_split_list},
    {"split", "ss", f_split},
    {"splitn", "sis", f_splitn},
    {"until", "i", f_until},
    {"untilStep", "iii", f_until_step},
    {"seq", "i*", f_seq},
};

const struct template_func_table template_funcs_list = TEMPLATE_TABLE(funcs);
