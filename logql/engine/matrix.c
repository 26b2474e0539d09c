#include "logql/engine/matrix.h"

#include "base/mem.h"

void *evaluator_alloc(struct evaluator *ev, size_t n, size_t item_size, struct error *err)
{
    void *p = n > SIZE_MAX / item_size ? NULL : arena_try_alloc(ev->arena, n * item_size);
    if (p == NULL)
        error_set(
            err, E_LIMIT,
            "the result needs more memory than the limit of %zu bytes; consider reducing query "
            "cardinality or the number of steps",
            ev->arena->limit);
    return p;
}

static bool is_named(str name, const str *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(name, names[i]))
            return true;
    return false;
}

struct labels labels_grouped(struct arena *a, const struct labels *ls, const str *names, size_t n,
                             bool is_without)
{
    struct label *items = ARENA_ARRAY(a, struct label, ls->n);
    size_t len = 0;
    for (size_t i = 0; i < ls->n; i++)
        if (is_named(ls->items[i].name, names, n) != is_without)
            items[len++] = ls->items[i];
    return (struct labels){items, len};
}

struct labels labels_without_empty(struct arena *a, const struct labels *ls)
{
    size_t len = 0;
    for (size_t i = 0; i < ls->n; i++)
        len += ls->items[i].value.len > 0;
    if (len == ls->n)
        return *ls;
    struct label *items = ARENA_ARRAY(a, struct label, len);
    len = 0;
    for (size_t i = 0; i < ls->n; i++)
        if (ls->items[i].value.len > 0)
            items[len++] = ls->items[i];
    return (struct labels){items, len};
}

void label_groups_init(struct label_groups *g, struct arena *a, const str *names, size_t n,
                       bool is_without)
{
    *g = (struct label_groups){.arena = a, .names = names, .n_names = n, .is_without = is_without};
    u64map_init(&g->by_hash);
}

void label_groups_deinit(struct label_groups *g)
{
    u64map_deinit(&g->by_hash);
    VEC_FREE(&g->items);
}

uint32_t label_groups_of(struct label_groups *g, const struct labels *ls)
{
    struct labels key = labels_grouped(g->arena, ls, g->names, g->n_names, g->is_without);
    uint64_t hash = labels_hash(&key);
    uint32_t first = (uint32_t)(uintptr_t)u64map_get(&g->by_hash, hash); /* index + 1 */
    for (uint32_t i = first; i != 0; i = g->items.items[i - 1].next_same_hash)
        if (labels_eq(&g->items.items[i - 1].labels, &key))
            return i - 1;
    VEC_PUSH(&g->items, (struct label_group){key, first});
    u64map_put(&g->by_hash, hash, (void *)(uintptr_t)g->items.len);
    return (uint32_t)g->items.len - 1;
}

struct group_members group_members_make(struct arena *a, const uint32_t *of, size_t n,
                                        size_t n_groups)
{
    struct group_members m = {.first = ARENA_ARRAY(a, uint32_t, n_groups + 2),
                              .members = ARENA_ARRAY(a, uint32_t, n + 1),
                              .n_groups = n_groups};
    /* first[g + 2] counts, then first[g + 1] is where the next member of g goes. */
    for (size_t i = 0; i < n; i++)
        m.first[of[i] + 2]++;
    for (size_t g = 2; g < n_groups + 2; g++)
        m.first[g] += m.first[g - 1];
    for (size_t i = 0; i < n; i++)
        m.members[m.first[of[i] + 1]++] = (uint32_t)i;
    return m;
}
