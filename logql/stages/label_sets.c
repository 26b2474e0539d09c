#include "logql/stages/label_sets.h"

#define SETS_FIRST_CAP 64

struct stored_set {
    struct pipeline_labels labels; /* what callers see */
    uint64_t hash;
    size_t n;
    const struct label_view *views; /* [n] by number of the name */
};

void label_sets_init(struct label_sets *s, bool has_origins)
{
    *s = (struct label_sets){.has_origins = has_origins};
    arena_init(&s->arena, SIZE_MAX);
}

void label_sets_deinit(struct label_sets *s)
{
    mem_free(s->slots);
    arena_deinit(&s->arena);
}

void label_sets_reset(struct label_sets *s)
{
    if (s->cap > 0)
        memset(s->slots, 0, s->cap * sizeof *s->slots);
    s->n = 0;
    s->last = NULL;
    arena_reset(&s->arena);
}

/* Lines of one shape give their labels in one order, so there is little to move. */
static void sort_by_id(struct label_view *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct label_view x = v[i];
        size_t at = i;
        for (; at > 0 && v[at - 1].id > x.id; at--)
            v[at] = v[at - 1];
        v[at] = x;
    }
}

static uint64_t hash_views(const struct label_sets *s, const struct label_view *v, size_t n)
{
    uint64_t h = n;
    for (size_t i = 0; i < n; i++) {
        uint64_t origin = s->has_origins ? v[i].origin : 0;
        h = (h ^ (names_hash(v[i].value) + v[i].id + (origin << 32))) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    return h;
}

static bool is_same(const struct label_sets *s, const struct stored_set *set,
                    const struct label_view *v, size_t n)
{
    if (set->n != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (set->views[i].id != v[i].id || !str_eq(set->views[i].value, v[i].value))
            return false;
        if (s->has_origins && set->views[i].origin != v[i].origin)
            return false;
    }
    return true;
}

static struct stored_set **probe(const struct label_sets *s, const struct label_view *v, size_t n,
                                 uint64_t hash)
{
    for (uint32_t i = (uint32_t)hash & (s->cap - 1);; i = (i + 1) & (s->cap - 1)) {
        struct stored_set *set = s->slots[i];
        if (set == NULL || (set->hash == hash && is_same(s, set, v, n)))
            return &s->slots[i];
    }
}

static void grow(struct label_sets *s)
{
    struct stored_set **old = s->slots;
    uint32_t old_cap = s->cap;
    s->cap = old_cap == 0 ? SETS_FIRST_CAP : old_cap * 2;
    s->slots = mem_array(s->cap, sizeof *s->slots);
    for (uint32_t i = 0; i < old_cap; i++)
        if (old[i] != NULL)
            *probe(s, old[i]->views, old[i]->n, old[i]->hash) = old[i];
    mem_free(old);
}

/* Insertion by name: sets are small. */
static void insert(struct label *items, size_t n, struct label x)
{
    for (; n > 0 && str_cmp(items[n - 1].name, x.name) > 0; n--)
        items[n] = items[n - 1];
    items[n] = x;
}

/* The part of `all` that has one origin. */
static struct labels of_origin(struct label_sets *s, const struct stored_set *set,
                               const struct names *names, enum label_origin origin)
{
    struct label *items = arena_alloc(&s->arena, set->n * sizeof *items);
    size_t n = 0;
    for (size_t i = 0; i < set->n; i++)
        if (set->views[i].origin == origin)
            insert(items, n++,
                   (struct label){names_text(names, set->views[i].id), set->views[i].value});
    return (struct labels){items, n};
}

static struct stored_set *store(struct label_sets *s, const struct names *names,
                                const struct label_view *v, size_t n, uint64_t hash)
{
    struct stored_set *set = ARENA_NEW(&s->arena, struct stored_set);
    struct label_view *views = arena_alloc(&s->arena, n * sizeof *views);
    struct label *all = arena_alloc(&s->arena, n * sizeof *all);
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += v[i].value.len;
    char *values = arena_alloc(&s->arena, bytes);
    for (size_t i = 0; i < n; i++) {
        views[i] = v[i];
        views[i].value.ptr = values;
        if (v[i].value.len > 0)
            memcpy(values, v[i].value.ptr, v[i].value.len);
        values += v[i].value.len;
        insert(all, i, (struct label){names_text(names, v[i].id), views[i].value});
    }
    *set = (struct stored_set){.hash = hash, .n = n, .views = views};
    set->labels.all = (struct labels){all, n};
    set->labels.hash = labels_hash(&set->labels.all);
    set->labels.error = labels_get(&set->labels.all, LABEL_ERROR);
    set->labels.error_details = labels_get(&set->labels.all, LABEL_ERROR_DETAILS);
    set->labels.id = s->n;
    if (s->has_origins) {
        set->labels.stream = of_origin(s, set, names, FROM_STREAM);
        set->labels.meta = of_origin(s, set, names, FROM_META);
        set->labels.parsed = of_origin(s, set, names, FROM_PARSED);
    }
    return set;
}

struct pipeline_labels *label_sets_intern(struct label_sets *s, const struct names *names,
                                          struct label_view *views, size_t n)
{
    if ((s->n + 1) * 2 > s->cap)
        grow(s);
    sort_by_id(views, n);
    if (s->last != NULL && is_same(s, s->last, views, n))
        return &s->last->labels;
    uint64_t hash = hash_views(s, views, n);
    struct stored_set **slot = probe(s, views, n, hash);
    if (*slot == NULL) {
        *slot = store(s, names, views, n, hash);
        s->n++;
    }
    s->last = *slot;
    return &s->last->labels;
}
