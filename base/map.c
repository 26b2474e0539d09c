#include "base/map.h"

#include "base/hash.h"
#include "base/mem.h"

#define MAP_FIRST_CAP 16

/* A slot is free (value NULL, dead false), live, or dead: removed, kept so that probes go on. */
struct strmap_slot {
    uint64_t hash;
    char *key;
    size_t key_len;
    void *value;
    bool dead;
};

void strmap_init(struct strmap *m)
{
    *m = (struct strmap){0};
}

void strmap_deinit(struct strmap *m)
{
    for (size_t i = 0; i < m->cap; i++)
        mem_free(m->slots[i].key);
    mem_free(m->slots);
    strmap_init(m);
}

static struct strmap_slot *str_probe(const struct strmap *m, str key, uint64_t hash)
{
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct strmap_slot *s = &m->slots[i];
        if (s->value == NULL && !s->dead)
            return s;
        if (!s->dead && s->hash == hash && str_eq(str_make(s->key, s->key_len), key))
            return s;
    }
}

static void str_grow(struct strmap *m)
{
    struct strmap old = *m;
    m->cap = old.cap == 0 ? MAP_FIRST_CAP : old.len * 2 >= old.cap ? old.cap * 2 : old.cap;
    m->slots = mem_array(m->cap, sizeof *m->slots);
    m->used = m->len;
    for (size_t i = 0; i < old.cap; i++) {
        struct strmap_slot *s = &old.slots[i];
        if (s->value != NULL)
            *str_probe(m, str_make(s->key, s->key_len), s->hash) = *s;
    }
    mem_free(old.slots);
}

void *strmap_get(const struct strmap *m, str key)
{
    return m->len == 0 ? NULL : str_probe(m, key, hash_xxh64(key, 0))->value;
}

void *strmap_put(struct strmap *m, str key, void *value)
{
    ASSERT(value != NULL);
    if ((m->used + 1) * 4 > m->cap * 3)
        str_grow(m);
    uint64_t hash = hash_xxh64(key, 0);
    struct strmap_slot *s = str_probe(m, key, hash);
    void *was = s->value;
    if (was == NULL) {
        *s = (struct strmap_slot){.hash = hash, .key = str_dup_c(key), .key_len = key.len};
        m->len++;
        m->used++;
    }
    s->value = value;
    return was;
}

void *strmap_remove(struct strmap *m, str key)
{
    if (m->len == 0)
        return NULL;
    struct strmap_slot *s = str_probe(m, key, hash_xxh64(key, 0));
    void *was = s->value;
    if (was != NULL) {
        mem_free(s->key);
        *s = (struct strmap_slot){.dead = true};
        m->len--;
    }
    return was;
}

bool strmap_next(const struct strmap *m, size_t *at, str *ret_key, void **ret_value)
{
    for (; *at < m->cap; (*at)++) {
        struct strmap_slot *s = &m->slots[*at];
        if (s->value == NULL)
            continue;
        if (ret_key != NULL)
            *ret_key = str_make(s->key, s->key_len);
        if (ret_value != NULL)
            *ret_value = s->value;
        (*at)++;
        return true;
    }
    return false;
}

struct u64map_slot {
    uint64_t key;
    void *value;
    bool dead;
};

void u64map_init(struct u64map *m)
{
    *m = (struct u64map){0};
}

void u64map_deinit(struct u64map *m)
{
    mem_free(m->slots);
    u64map_init(m);
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdu;
    x ^= x >> 33;
    return x;
}

static struct u64map_slot *u64_probe(const struct u64map *m, uint64_t key)
{
    for (size_t i = mix(key) & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct u64map_slot *s = &m->slots[i];
        if ((s->value == NULL && !s->dead) || (!s->dead && s->key == key))
            return s;
    }
}

static void u64_grow(struct u64map *m)
{
    struct u64map old = *m;
    m->cap = old.cap == 0 ? MAP_FIRST_CAP : old.len * 2 >= old.cap ? old.cap * 2 : old.cap;
    m->slots = mem_array(m->cap, sizeof *m->slots);
    m->used = m->len;
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value != NULL)
            *u64_probe(m, old.slots[i].key) = old.slots[i];
    mem_free(old.slots);
}

void *u64map_get(const struct u64map *m, uint64_t key)
{
    return m->len == 0 ? NULL : u64_probe(m, key)->value;
}

void *u64map_put(struct u64map *m, uint64_t key, void *value)
{
    ASSERT(value != NULL);
    if ((m->used + 1) * 4 > m->cap * 3)
        u64_grow(m);
    struct u64map_slot *s = u64_probe(m, key);
    void *was = s->value;
    if (was == NULL) {
        m->len++;
        m->used++;
    }
    *s = (struct u64map_slot){.key = key, .value = value};
    return was;
}

void *u64map_remove(struct u64map *m, uint64_t key)
{
    if (m->len == 0)
        return NULL;
    struct u64map_slot *s = u64_probe(m, key);
    void *was = s->value;
    if (was != NULL) {
        *s = (struct u64map_slot){.dead = true};
        m->len--;
    }
    return was;
}

bool u64map_next(const struct u64map *m, size_t *at, uint64_t *ret_key, void **ret_value)
{
    for (; *at < m->cap; (*at)++) {
        struct u64map_slot *s = &m->slots[*at];
        if (s->value == NULL)
            continue;
        if (ret_key != NULL)
            *ret_key = s->key;
        if (ret_value != NULL)
            *ret_value = s->value;
        (*at)++;
        return true;
    }
    return false;
}
