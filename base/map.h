/* base/map.h - a hash map from bytes to a pointer, and one from a 64-bit number to a pointer.
 *
 * Open addressing, power-of-two capacity, at most 3/4 full.  The string map copies its keys.  Not
 * locked.  Iterate with an index that starts at 0; do not add or remove meanwhile. */
#pragma once
#include "base/str.h"

struct strmap_slot;
struct strmap {
    struct strmap_slot *slots;
    size_t cap, len, used; /* used counts the removed ones too */
};

void strmap_init(struct strmap *m);
void strmap_deinit(struct strmap *m);              /* values are the caller's */
void strmap_free_values(struct strmap *m);         /* with mem_free; the map is empty afterwards */
void *strmap_get(const struct strmap *m, str key); /* NULL if absent */
/* Adds or replaces; returns the value that was there, or NULL.  `value` is not NULL. */
void *strmap_put(struct strmap *m, str key, void *value);
void *strmap_remove(struct strmap *m, str key); /* the value that was there, or NULL */
/* Next pair from *at on; false at the end.  `ret_key` (may be NULL) lives as long as the pair. */
bool strmap_next(const struct strmap *m, size_t *at, str *ret_key, void **ret_value);

struct u64map_slot;
struct u64map {
    struct u64map_slot *slots;
    size_t cap, len, used;
};

void u64map_init(struct u64map *m);
void u64map_deinit(struct u64map *m);
void *u64map_get(const struct u64map *m, uint64_t key);
void *u64map_put(struct u64map *m, uint64_t key, void *value); /* value is not NULL */
void *u64map_remove(struct u64map *m, uint64_t key);
bool u64map_next(const struct u64map *m, size_t *at, uint64_t *ret_key, void **ret_value);
