#include "proto/str_set.h"

#include <stdlib.h>

void str_set_init(struct str_set *s, size_t bytes_max)
{
    strmap_init(&s->map);
    s->bytes = 0;
    s->bytes_max = bytes_max;
}

void str_set_deinit(struct str_set *s)
{
    strmap_deinit(&s->map);
}

bool str_set_add(struct str_set *s, str item)
{
    if (strmap_get(&s->map, item) != NULL)
        return true;
    if (item.len > s->bytes_max - s->bytes)
        return false;
    s->bytes += item.len;
    strmap_put(&s->map, item, s);
    return true;
}

static int cmp_str(const void *a, const void *b)
{
    return str_cmp(*(const str *)a, *(const str *)b);
}

const str *str_set_sorted(const struct str_set *s, struct arena *a, size_t *ret_n)
{
    str *items = ARENA_ARRAY(a, str, s->map.len);
    size_t n = 0, at = 0;
    while (strmap_next(&s->map, &at, &items[n < s->map.len ? n : 0], NULL) && ++n < s->map.len)
        ;
    qsort(items, n, sizeof *items, cmp_str);
    *ret_n = n;
    return items;
}
