#include "logql/template/list.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "base/vec.h"

static bool lists_equal(const struct tlist *a, const struct tlist *b)
{
    if (a->len != b->len || strcmp(a->type_name, b->type_name) != 0)
        return false;
    for (size_t i = 0; i < a->len; i++)
        if (!list_deep_equal(&a->items[i], &b->items[i]))
            return false;
    return true;
}

static bool maps_equal(const struct tmap *a, const struct tmap *b)
{
    if (a->len != b->len || strcmp(a->type_name, b->type_name) != 0)
        return false;
    for (size_t i = 0; i < a->len; i++)
        if (!str_eq(a->keys[i], b->keys[i]) || !list_deep_equal(&a->values[i], &b->values[i]))
            return false;
    return true;
}

/* JSON nests at most 512 deep, so does this. */
bool list_deep_equal(const struct tval *a, const struct tval *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case TVAL_NIL:
        return true;
    case TVAL_BOOL:
        return a->b == b->b;
    case TVAL_FLOAT:
        return a->f == b->f;
    case TVAL_STRING:
        return str_eq(a->s, b->s);
    case TVAL_TIME:
        return a->t->s == b->t->s && a->t->ns == b->t->ns && a->t->zone == b->t->zone;
    case TVAL_LIST:
        return lists_equal(a->list, b->list);
    case TVAL_MAP:
        return maps_equal(a->map, b->map);
    case TVAL_ROOT:
        return true;
    default:
        return a->i == b->i;
    }
}

/* Where the next part ends; STR_NPOS if it is the last. */
static size_t part_end(str s, str sep)
{
    uint32_t rune;
    if (sep.len > 0)
        return str_find(s, sep);
    size_t width = utf8_decode(s, &rune);
    return width < s.len ? width : STR_NPOS;
}

int list_split(struct template_call *c, str s, str sep, int64_t limit, struct tval *ret)
{
    size_t n = 0;
    if (limit != 0 && !(sep.len == 0 && s.len == 0)) {
        n = 1;
        for (str rest = s; limit < 0 || n < (size_t)limit; n++) {
            size_t end = part_end(rest, sep);
            if (end == STR_NPOS)
                break;
            rest = str_from(rest, end + sep.len);
        }
    }
    struct tlist *l = tlist_new(c->arena, n, TLIST_STRINGS);
    if (l == NULL)
        return E_LIMIT;
    for (size_t i = 0; i < n; i++) {
        size_t end = i + 1 == n ? s.len : part_end(s, sep);
        l->items[i] = tval_str(str_sub(s, 0, end));
        s = str_from(s, i + 1 == n ? end : end + sep.len);
    }
    *ret = (struct tval){.type = TVAL_LIST, .list = l};
    return 0;
}
