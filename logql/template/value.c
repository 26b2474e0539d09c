#include "logql/template/value.h"

#include "base/mem.h"

static const struct {
    const char *type, *kind;
} names[] = {
    [TVAL_NIL] = {"<nil>", "invalid"},     [TVAL_BOOL] = {"bool", "bool"},
    [TVAL_INT] = {"int", "int"},           [TVAL_INT64] = {"int64", "int64"},
    [TVAL_INT32] = {"int32", "int32"},     [TVAL_UINT8] = {"uint8", "uint8"},
    [TVAL_UINT32] = {"uint32", "uint32"},  [TVAL_DURATION] = {"time.Duration", "int64"},
    [TVAL_MONTH] = {"time.Month", "int"},  [TVAL_WEEKDAY] = {"time.Weekday", "int"},
    [TVAL_FLOAT] = {"float64", "float64"}, [TVAL_STRING] = {"string", "string"},
    [TVAL_TIME] = {"time.Time", "struct"}, [TVAL_LIST] = {TLIST_ANY, "slice"},
    [TVAL_MAP] = {TMAP_ANY, "map"},        [TVAL_ROOT] = {TMAP_STRINGS, "map"},
};

const char *tval_type_name(const struct tval *v)
{
    if (v->type == TVAL_LIST)
        return v->list->type_name;
    return v->type == TVAL_MAP ? v->map->type_name : names[v->type].type;
}

const char *tval_kind_name(const struct tval *v)
{
    return names[v->type].kind;
}

bool tval_truth(const struct tval *v)
{
    switch (v->type) {
    case TVAL_NIL:
        return false;
    case TVAL_BOOL:
        return v->b;
    case TVAL_FLOAT:
        return v->f != 0;
    case TVAL_STRING:
        return v->s.len > 0;
    case TVAL_LIST:
        return v->list->len > 0;
    case TVAL_MAP:
        return v->map->len > 0;
    case TVAL_TIME:
    case TVAL_ROOT:
        return true;
    default:
        return v->i != 0;
    }
}

bool tval_holds_any(const struct tval *v)
{
    const char *name = v->type == TVAL_LIST  ? v->list->type_name
                       : v->type == TVAL_MAP ? v->map->type_name
                                             : "";
    return str_has_suffix(str_c(name), STR("interface {}"));
}

/* Index of the first key that is not below `key`. */
static size_t lower_bound(const struct tmap *m, str key)
{
    size_t lo = 0, hi = m->len;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (str_cmp(m->keys[mid], key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const struct tval *tmap_get(const struct tmap *m, str key)
{
    size_t at = lower_bound(m, key);
    return at < m->len && str_eq(m->keys[at], key) ? &m->values[at] : NULL;
}

static bool grow(struct tmap *m, struct arena *a)
{
    size_t cap = m->cap == 0 ? 8 : m->cap * 2;
    str *keys = arena_try_alloc(a, cap * sizeof *keys);
    struct tval *values = arena_try_alloc(a, cap * sizeof *values);
    if (keys == NULL || values == NULL)
        return false;
    if (m->len > 0) {
        memcpy(keys, m->keys, m->len * sizeof *keys);
        memcpy(values, m->values, m->len * sizeof *values);
    }
    m->keys = keys;
    m->values = values;
    m->cap = cap;
    return true;
}

bool tmap_put(struct tmap *m, struct arena *a, str key, struct tval value)
{
    size_t at = lower_bound(m, key);
    if (at < m->len && str_eq(m->keys[at], key)) {
        m->values[at] = value;
        return true;
    }
    if (m->len == m->cap && !grow(m, a))
        return false;
    memmove(&m->keys[at + 1], &m->keys[at], (m->len - at) * sizeof *m->keys);
    memmove(&m->values[at + 1], &m->values[at], (m->len - at) * sizeof *m->values);
    m->keys[at] = key;
    m->values[at] = value;
    m->len++;
    return true;
}

void tmap_remove(struct tmap *m, str key)
{
    size_t at = lower_bound(m, key);
    if (at == m->len || !str_eq(m->keys[at], key))
        return;
    m->len--;
    memmove(&m->keys[at], &m->keys[at + 1], (m->len - at) * sizeof *m->keys);
    memmove(&m->values[at], &m->values[at + 1], (m->len - at) * sizeof *m->values);
}

struct tmap *tmap_new(struct arena *a, const char *type_name)
{
    struct tmap *m = arena_try_alloc(a, sizeof *m);
    if (m != NULL)
        *m = (struct tmap){.type_name = type_name};
    return m;
}

struct tlist *tlist_new(struct arena *a, size_t len, const char *type_name)
{
    struct tlist *l = arena_try_alloc(a, sizeof *l);
    struct tval *items = len == 0 ? NULL : arena_try_alloc(a, len * sizeof *items);
    if (l == NULL || (len > 0 && items == NULL))
        return NULL;
    if (len > 0)
        memset(items, 0, len * sizeof *items);
    *l = (struct tlist){items, len, type_name};
    return l;
}
