#include "chunks/sets.h"

bool sets_put(struct buf *out, const struct labels *ls)
{
    bool ok = buf_put_uvarint(out, ls->n);
    for (size_t i = 0; i < ls->n; i++)
        ok =
            buf_put_lenstr(out, ls->items[i].name) && buf_put_lenstr(out, ls->items[i].value) && ok;
    return ok;
}

struct labels sets_get(struct cursor *c, struct arena *a)
{
    uint64_t n = cursor_uvarint(c);
    if (n > SETS_LABELS_MAX || n > cursor_left(c)) {
        c->bad = true;
        return LABELS_EMPTY;
    }
    if (n == 0)
        return LABELS_EMPTY;
    struct label *items = arena_try_alloc(a, n * sizeof *items);
    if (items == NULL) {
        c->bad = true;
        return LABELS_EMPTY;
    }
    for (uint64_t i = 0; i < n; i++) {
        items[i].name = cursor_lenstr(c);
        items[i].value = cursor_lenstr(c);
    }
    return (struct labels){items, n};
}

size_t sets_size(const struct labels *ls)
{
    size_t size = uvarint_size(ls->n);
    for (size_t i = 0; i < ls->n; i++) {
        size_t name = ls->items[i].name.len, value = ls->items[i].value.len;
        size += uvarint_size(name) + name + uvarint_size(value) + value;
    }
    return size;
}

size_t sets_text_bytes(const struct labels *ls)
{
    size_t size = 0;
    for (size_t i = 0; i < ls->n; i++)
        size += ls->items[i].name.len + ls->items[i].value.len;
    return size;
}

bool sets_is_rich(const struct labels *ls)
{
    return ls->n > 1 || (ls->n == 1 && !str_eq(ls->items[0].name, STR("detected_level")));
}
