#include "proto/labels.h"

#include "base/hash.h"
#include "base/mem.h"

/* Label sets are small (Loki allows 15 a stream), so a linear look-up wins. */
str labels_get(const struct labels *ls, str name)
{
    for (size_t i = 0; i < ls->n; i++)
        if (str_eq(ls->items[i].name, name))
            return ls->items[i].value;
    return str_make(NULL, 0);
}

bool labels_has(const struct labels *ls, str name)
{
    return labels_get(ls, name).ptr != NULL;
}

int labels_cmp(const struct labels *a, const struct labels *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        int c = str_cmp(a->items[i].name, b->items[i].name);
        if (c == 0)
            c = str_cmp(a->items[i].value, b->items[i].value);
        if (c != 0)
            return c;
    }
    return (a->n > b->n) - (a->n < b->n);
}

bool labels_eq(const struct labels *a, const struct labels *b)
{
    return a->n == b->n && labels_cmp(a, b) == 0;
}

uint64_t labels_hash(const struct labels *ls)
{
    static const unsigned char sep = 0xff;
    struct hash_state h;
    hash_start(&h, 0);
    for (size_t i = 0; i < ls->n; i++) {
        hash_add(&h, ls->items[i].name.ptr, ls->items[i].name.len);
        hash_add(&h, &sep, 1);
        hash_add(&h, ls->items[i].value.ptr, ls->items[i].value.len);
        hash_add(&h, &sep, 1);
    }
    return hash_end(&h);
}

struct labels labels_copy(struct arena *a, const struct labels *ls)
{
    struct label *items = ARENA_ARRAY(a, struct label, ls->n);
    for (size_t i = 0; i < ls->n; i++) {
        items[i].name = arena_str(a, ls->items[i].name);
        items[i].value = arena_str(a, ls->items[i].value);
    }
    return (struct labels){items, ls->n};
}

/* Up to here insertion sort wins: sets are small and often sorted already. */
#define LABELS_INSERTION_MAX 32

static void insertion_sort(struct label *items, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct label x = items[i];
        size_t at = i;
        for (; at > 0 && str_cmp(items[at - 1].name, x.name) > 0; at--)
            items[at] = items[at - 1];
        items[at] = x;
    }
}

/* Bottom-up merge sort: stable, and no quadratic time on a hostile set. */
static void merge_sort(struct label *items, size_t n)
{
    struct label *from = items, *tmp = mem_array(n, sizeof *tmp), *to = tmp;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t lo = 0; lo < n; lo += 2 * width) {
            size_t mid = MIN(lo + width, n), hi = MIN(lo + 2 * width, n);
            for (size_t i = lo, j = mid, k = lo; k < hi; k++)
                to[k] = i < mid && (j >= hi || str_cmp(from[i].name, from[j].name) <= 0)
                            ? from[i++]
                            : from[j++];
        }
        struct label *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, n * sizeof *items);
    mem_free(tmp);
}

void labels_sort_stable(struct label *items, size_t n)
{
    if (n > LABELS_INSERTION_MAX)
        merge_sort(items, n);
    else
        insertion_sort(items, n);
}

str labels_sort(struct label *items, size_t *n)
{
    labels_sort_stable(items, *n);
    str duplicate = {NULL, 0};
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++) {
        if (items[i].value.len == 0)
            continue;
        if (duplicate.ptr == NULL && kept > 0 && str_eq(items[kept - 1].name, items[i].name))
            duplicate = items[i].name;
        items[kept++] = items[i];
    }
    *n = kept;
    return duplicate;
}

size_t labels_normalize(struct label *items, size_t n)
{
    labels_sort_stable(items, n);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && str_eq(items[i].name, items[i - 1].name)) {
            items[i] = items[i - 1]; /* the first of equal names stays */
            continue;
        }
        if (items[i].value.len > 0)
            items[kept++] = items[i];
    }
    return kept;
}

struct labels labels_with(struct arena *a, const struct labels *base, const struct label *add,
                          size_t n)
{
    struct label *items = ARENA_ARRAY(a, struct label, base->n + n);
    for (size_t i = 0; i < n; i++) /* later additions win over earlier ones */
        items[i] = add[n - 1 - i];
    if (base->n > 0)
        memcpy(items + n, base->items, base->n * sizeof *items);
    return (struct labels){items, labels_normalize(items, base->n + n)};
}

str label_name_sanitize(const char *name, struct arena *a)
{
    char *s = arena_c(a, str_c(name));
    for (char *p = s; *p != '\0'; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9')))
            *p = '_';
    return str_c(s);
}

bool label_name_is_valid(str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!alpha && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return name.len > 0;
}
