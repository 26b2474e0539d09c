/* base/hash.h - XXH64 (fingerprints, maps) and FNV-1 32 (ring tokens, as Loki's). */
#pragma once
#include "base/str.h"

uint64_t hash_xxh64(str s, uint64_t seed);

/* XXH64 over parts, as if they stood in one string. */
struct hash_state {
    _Alignas(64) unsigned char opaque[128];
};
void hash_start(struct hash_state *h, uint64_t seed);
void hash_add(struct hash_state *h, const void *bytes, size_t n);
uint64_t hash_end(struct hash_state *h);

/* FNV-1, 32 bit, continued from `h`; start with HASH_FNV32_START. */
#define HASH_FNV32_START 2166136261u
uint32_t hash_fnv32(uint32_t h, str s);
