/* proto/str_set.h - distinct strings, copied, bounded; sorted when read. */
#pragma once
#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"

struct str_set {
    struct strmap map;
    size_t bytes, bytes_max; /* E_LIMIT past the maximum */
};

void str_set_init(struct str_set *s, size_t bytes_max);
void str_set_deinit(struct str_set *s);
bool str_set_add(struct str_set *s, str item); /* false if the set is full */
/* The items sorted by bytes, in `a`; they live as long as the set. */
const str *str_set_sorted(const struct str_set *s, struct arena *a, size_t *ret_n);
