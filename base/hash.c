#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(sizeof(XXH64_state_t) <= sizeof(struct hash_state), "state fits");

uint64_t hash_xxh64(str s, uint64_t seed)
{
    return XXH64(s.ptr, s.len, seed);
}

void hash_start(struct hash_state *h, uint64_t seed)
{
    XXH64_reset((XXH64_state_t *)h->opaque, seed);
}

void hash_add(struct hash_state *h, const void *bytes, size_t n)
{
    if (n > 0)
        XXH64_update((XXH64_state_t *)h->opaque, bytes, n);
}

uint64_t hash_end(struct hash_state *h)
{
    return XXH64_digest((const XXH64_state_t *)h->opaque);
}

uint32_t hash_fnv32(uint32_t h, str s)
{
    for (size_t i = 0; i < s.len; i++)
        h = (h * 16777619u) ^ (unsigned char)s.ptr[i];
    return h;
}
