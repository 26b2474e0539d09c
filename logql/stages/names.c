#include "logql/stages/names.h"

#include "base/mem.h"

#define NAMES_FIRST_CAP 64

struct name_slot {
    uint64_t hash;
    uint32_t id_plus_1; /* 0: free */
};

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    __uint128_t m = (__uint128_t)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xe7037ed1a0b428dbu);
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint64_t load8(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

uint64_t names_hash(str s)
{
    uint64_t h = s.len;
    const char *p = s.ptr;
    size_t left = s.len;
    for (; left >= 16; p += 16, left -= 16)
        h = mix(load8(p) ^ h, load8(p + 8));
    uint64_t a = 0, b = 0;
    if (left >= 8) {
        a = load8(p);
        b = load8(p + left - 8);
    } else if (left >= 4) {
        uint32_t x, y;
        memcpy(&x, p, sizeof x);
        memcpy(&y, p + left - 4, sizeof y);
        a = x;
        b = y;
    } else if (left > 0) {
        a = (uint64_t)(unsigned char)p[0] << 16 | (uint64_t)(unsigned char)p[left / 2] << 8 |
            (unsigned char)p[left - 1];
    }
    return mix(a ^ h, b ^ s.len << 32);
}

void names_init(struct names *t)
{
    *t = (struct names){0};
    arena_init(&t->arena, SIZE_MAX);
}

void names_deinit(struct names *t)
{
    mem_free(t->slots);
    mem_free(t->texts);
    mem_free(t->hashes);
    arena_deinit(&t->arena);
}

void names_reset(struct names *t)
{
    if (t->cap > 0)
        memset(t->slots, 0, t->cap * sizeof *t->slots);
    t->n = 0;
    arena_reset(&t->arena);
}

static struct name_slot *probe(const struct names *t, str name, uint64_t hash)
{
    for (uint32_t i = (uint32_t)hash & (t->cap - 1);; i = (i + 1) & (t->cap - 1)) {
        struct name_slot *s = &t->slots[i];
        if (s->id_plus_1 == 0 || (s->hash == hash && str_eq(t->texts[s->id_plus_1 - 1], name)))
            return s;
    }
}

static void grow(struct names *t)
{
    mem_free(t->slots);
    t->cap = t->cap == 0 ? NAMES_FIRST_CAP : t->cap * 2;
    t->slots = mem_array(t->cap, sizeof *t->slots);
    for (uint32_t id = 0; id < t->n; id++)
        *probe(t, t->texts[id], t->hashes[id]) =
            (struct name_slot){.hash = t->hashes[id], .id_plus_1 = id + 1};
}

uint32_t names_find(const struct names *t, str name)
{
    return t->cap == 0 ? NAME_NONE : probe(t, name, names_hash(name))->id_plus_1 - 1;
}

uint32_t names_id(struct names *t, str name)
{
    if ((t->n + 1) * 2 > t->cap)
        grow(t);
    uint64_t hash = names_hash(name);
    struct name_slot *s = probe(t, name, hash);
    if (s->id_plus_1 != 0)
        return s->id_plus_1 - 1;
    if (t->n == NAMES_MAX)
        return NAME_NONE;
    if (t->n == t->texts_cap) {
        t->texts_cap = t->texts_cap == 0 ? NAMES_FIRST_CAP : t->texts_cap * 2;
        t->texts = mem_realloc(t->texts, t->texts_cap * sizeof *t->texts);
        t->hashes = mem_realloc(t->hashes, t->texts_cap * sizeof *t->hashes);
    }
    t->texts[t->n] = arena_str(&t->arena, name);
    t->hashes[t->n] = hash;
    *s = (struct name_slot){.hash = hash, .id_plus_1 = ++t->n};
    return t->n - 1;
}
