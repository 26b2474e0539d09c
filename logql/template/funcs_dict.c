/* sprig's dictionaries. */
#include "base/mem.h"
#include "logql/template/convert.h"
#include "logql/template/funcs.h"

static int new_map(struct template_call *c, struct tval *ret)
{
    struct tmap *m = tmap_new(c->arena, TMAP_ANY);
    *ret = (struct tval){.type = TVAL_MAP, .map = m};
    return m == NULL ? E_LIMIT : 0;
}

static int text_of(struct template_call *c, const struct tval *v, str *ret)
{
    struct buf b;
    struct tval s;
    if (v->type == TVAL_STRING) {
        *ret = v->s;
        return 0;
    }
    template_call_buf(c, &b);
    convert_append_text(&b, v);
    int rc = template_call_take(c, &b, &s);
    if (rc == 0)
        *ret = s.s;
    return rc;
}

static int put(struct template_call *c, struct tmap *m, str key, struct tval v)
{
    return tmap_put(m, c->arena, key, v) ? 0 : E_LIMIT;
}

/* dict "a" 1 "b" 2; a last key without a value gets "". */
static int f_dict(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    int rc = new_map(c, ret);
    for (int i = 0; rc == 0 && i < n; i += 2) {
        str key;
        rc = text_of(c, &args[i], &key);
        if (rc == 0)
            rc = put(c, ret->map, key, i + 1 < n ? args[i + 1] : tval_str(STR_EMPTY));
    }
    return rc;
}

/* A map to be changed: the root reads what has become of it from then on. */
static int own_map(struct template_call *c, const struct tval *v, struct tmap **ret)
{
    int rc = template_call_map(c, v, ret);
    if (rc == 0 && v->type == TVAL_ROOT)
        c->ctx->root = *ret;
    return rc;
}

static int f_set(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tmap *m;
    int rc = own_map(c, &args[0], &m);
    *ret = (struct tval){.type = TVAL_MAP, .map = m};
    return rc != 0 ? rc : put(c, m, args[1].s, args[2]);
}

static int f_unset(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tmap *m;
    int rc = own_map(c, &args[0], &m);
    if (rc == 0)
        tmap_remove(m, args[1].s);
    *ret = (struct tval){.type = TVAL_MAP, .map = m};
    return rc;
}

static int f_has_key(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tmap *m;
    int rc = template_call_map(c, &args[0], &m);
    *ret = tval_bool(rc == 0 && tmap_get(m, args[1].s) != NULL);
    return rc;
}

static int f_get(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tmap *m;
    int rc = template_call_map(c, &args[0], &m);
    const struct tval *v = rc == 0 ? tmap_get(m, args[1].s) : NULL;
    *ret = v != NULL ? *v : tval_str(STR_EMPTY);
    return rc;
}

static int f_pluck(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    struct tlist *l = tlist_new(c->arena, (size_t)n, TLIST_ANY);
    if (l == NULL)
        return E_LIMIT;
    l->len = 0;
    for (int i = 1; i < n; i++) {
        struct tmap *m;
        int rc = template_call_map(c, &args[i], &m);
        if (rc != 0)
            return rc;
        const struct tval *v = tmap_get(m, args[0].s);
        if (v != NULL)
            l->items[l->len++] = *v;
    }
    *ret = (struct tval){.type = TVAL_LIST, .list = l};
    return 0;
}

/* Keys (or values) of all the maps.  Go's order is random; ours is sorted. */
static int items_of(struct template_call *c, struct tval *args, int n, bool keys, struct tval *ret)
{
    size_t len = 0, at = 0;
    for (int i = 0; i < n; i++) {
        struct tmap *m;
        int rc = template_call_map(c, &args[i], &m);
        if (rc != 0)
            return rc;
        args[i] = (struct tval){.type = TVAL_MAP, .map = m};
        len += m->len;
    }
    struct tlist *l = tlist_new(c->arena, len, keys ? TLIST_STRINGS : TLIST_ANY);
    if (l == NULL)
        return E_LIMIT;
    for (int i = 0; i < n; i++)
        for (size_t k = 0; k < args[i].map->len; k++)
            l->items[at++] = keys ? tval_str(args[i].map->keys[k]) : args[i].map->values[k];
    *ret = (struct tval){.type = TVAL_LIST, .list = l};
    return 0;
}

static int f_keys(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    return items_of(c, args, n, true, ret);
}

static int f_values(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    return items_of(c, args, n, false, ret);
}

/* The pairs whose key is (or is not) among the other arguments. */
static int chosen(struct template_call *c, struct tval *args, int n, bool wanted, struct tval *ret)
{
    struct tmap *m;
    int rc = template_call_map(c, &args[0], &m);
    if (rc == 0)
        rc = new_map(c, ret);
    for (size_t i = 0; rc == 0 && i < m->len; i++) {
        bool named = false;
        for (int k = 1; k < n; k++)
            named = named || str_eq(args[k].s, m->keys[i]);
        if (named == wanted)
            rc = put(c, ret->map, m->keys[i], m->values[i]);
    }
    return rc;
}

static int f_pick(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    return chosen(c, args, n, true, ret);
}

static int f_omit(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    return chosen(c, args, n, false, ret);
}

/* Fills dst from src; maps in both are merged in turn. */
static int merge(struct template_call *c, struct tmap *dst, const struct tmap *src, bool overwrite,
                 int depth)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < src->len; i++) {
        const struct tval *old = tmap_get(dst, src->keys[i]), *new = &src->values[i];
        if (old != NULL && old->type == TVAL_MAP && new->type == TVAL_MAP &&depth < 512)
            rc = merge(c, old->map, new->map, overwrite, depth + 1);
        else if (overwrite || (new->type != TVAL_NIL && (old == NULL || convert_is_empty(old))))
            rc = put(c, dst, src->keys[i], *new);
    }
    return rc;
}

static int merge_all(struct template_call *c, struct tval *args, int n, bool overwrite,
                     struct tval *ret)
{
    struct tmap *dst, *src;
    int rc = own_map(c, &args[0], &dst);
    for (int i = 1; rc == 0 && i < n; i++) {
        rc = template_call_map(c, &args[i], &src);
        if (rc == 0 && src != dst)
            rc = merge(c, dst, src, overwrite, 0);
    }
    *ret = (struct tval){.type = TVAL_MAP, .map = dst};
    return rc;
}

static int f_merge(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    return merge_all(c, args, n, false, ret);
}

static int f_merge_overwrite(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    return merge_all(c, args, n, true, ret);
}

/* dig "a" "b" default map */
static int f_dig(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    struct tmap *m;
    if (n < 3)
        return template_call_fail(c, "dig needs at least three arguments");
    if (args[n - 1].type != TVAL_MAP && args[n - 1].type != TVAL_ROOT)
        return template_call_fail(c, "last argument of dig is no map");
    int rc = template_call_map(c, &args[n - 1], &m);
    if (rc != 0)
        return rc;
    for (int i = 0; i < n - 2; i++) {
        if (args[i].type != TVAL_STRING)
            return template_call_fail(c, "a key of dig is no string");
        const struct tval *v = tmap_get(m, args[i].s);
        if (v == NULL) {
            *ret = args[n - 2];
            return 0;
        }
        *ret = *v;
        if (i == n - 3)
            return 0;
        if (v->type != TVAL_MAP)
            return template_call_fail(c, "interface conversion: interface {} is %s, not %s",
                                      tval_type_name(v), TMAP_ANY);
        m = v->map;
    }
    return 0;
}

static int copy_value(struct template_call *c, const struct tval *v, int depth, struct tval *ret)
{
    int rc = 0;
    *ret = *v;
    if (depth > 512)
        return E_LIMIT;
    if (v->type == TVAL_LIST) {
        ret->list = tlist_new(c->arena, v->list->len, v->list->type_name);
        if (ret->list == NULL)
            return E_LIMIT;
        for (size_t i = 0; rc == 0 && i < v->list->len; i++)
            rc = copy_value(c, &v->list->items[i], depth + 1, &ret->list->items[i]);
    } else if (v->type == TVAL_MAP) {
        ret->map = tmap_new(c->arena, v->map->type_name);
        if (ret->map == NULL)
            return E_LIMIT;
        for (size_t i = 0; rc == 0 && i < v->map->len; i++) {
            struct tval item;
            rc = copy_value(c, &v->map->values[i], depth + 1, &item);
            if (rc == 0)
                rc = put(c, ret->map, v->map->keys[i], item);
        }
    }
    return rc;
}

static int f_deep_copy(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    if (args[0].type == TVAL_NIL)
        return template_call_fail(c, "reflect: call of reflect.Value.Type on zero Value");
    return copy_value(c, &args[0], 0, ret);
}

static const struct template_func funcs[] = {
    {"dict", "v*", f_dict},
    {"set", "msv", f_set},
    {"unset", "ms", f_unset},
    {"hasKey", "ms", f_has_key},
    {"get", "ms", f_get},
    {"pluck", "sm*", f_pluck},
    {"keys", "m*", f_keys},
    {"values", "m", f_values},
    {"pick", "ms*", f_pick},
    {"omit", "ms*", f_omit},
    {"merge", "mm*", f_merge},
    {"mustMerge", "mm*", f_merge},
    {"mergeOverwrite", "mm*", f_merge_overwrite},
    {"mustMergeOverwrite", "mm*", f_merge_overwrite},
    {"dig", "v*", f_dig},
    {"deepCopy", "v", f_deep_copy},
    {"mustDeepCopy", "v", f_deep_copy},
};

const struct template_func_table template_funcs_dict = TEMPLATE_TABLE(funcs);
