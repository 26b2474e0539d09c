#include "base/map.h"

#include "base/hash.h"
#include "base/mem.h"

#define MAP_FIRST_CAP 16

/* How every slot begins.  It is free (value NULL, dead false), live, or dead: removed, kept so that
 * probes go on. */
struct slot {
    void *value;
    bool dead;
};

/* Capacity for the next element: doubled, unless removed ones take the room. */
static size_t grown_cap(size_t cap, size_t len)
{
    return cap == 0 ? MAP_FIRST_CAP : len * 2 >= cap ? cap * 2 : cap;
}

static bool is_crowded(size_t cap, size_t used)
{
    return (used + 1) * 4 > cap * 3;
}

/* The next live one of `cap` slots of `size` bytes, from *at on; NULL at the end. */
static void *next_slot(void *slots, size_t size, size_t cap, size_t *at)
{
    while (*at < cap) {
        struct slot *s = (struct slot *)((char *)slots + size * (*at)++);
        if (s->value != NULL)
            return s;
    }
    return NULL;
}

/* --- from bytes --- */

struct strmap_slot {
    struct slot slot;
    uint64_t hash;
    char *key;
    size_t key_len;
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

void strmap_free_values(struct strmap *m)
{
    struct strmap_slot *s;
    for (size_t at = 0; (s = next_slot(m->slots, sizeof *s, m->cap, &at)) != NULL;)
        mem_free(s->slot.value);
    strmap_deinit(m);
}

static struct strmap_slot *str_probe(const struct strmap *m, str key, uint64_t hash)
{
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct strmap_slot *s = &m->slots[i];
        if (s->slot.value == NULL && !s->slot.dead)
            return s;
        if (!s->slot.dead && s->hash == hash && str_eq(str_make(s->key, s->key_len), key))
            return s;
    }
}

static void str_grow(struct strmap *m)
{
    struct strmap old = *m;
    m->cap = grown_cap(old.cap, old.len);
    m->slots = mem_array(m->cap, sizeof *m->slots);
    m->used = m->len;
    struct strmap_slot *s;
    for (size_t at = 0; (s = next_slot(old.slots, sizeof *s, old.cap, &at)) != NULL;)
        *str_probe(m, str_make(s->key, s->key_len), s->hash) = *s;
    mem_free(old.slots);
}

void *strmap_get(const struct strmap *m, str key)
{
    return m->len == 0 ? NULL : str_probe(m, key, hash_xxh64(key, 0))->slot.value;
}

void *strmap_put(struct strmap *m, str key, void *value)
{
    ASSERT(value != NULL);
    if (is_crowded(m->cap, m->used))
        str_grow(m);
    uint64_t hash = hash_xxh64(key, 0);
    struct strmap_slot *s = str_probe(m, key, hash);
    void *was = s->slot.value;
    if (was == NULL) {
        *s = (struct strmap_slot){.hash = hash, .key = str_dup_c(key), .key_len = key.len};
        m->len++;
        m->used++;
    }
    s->slot.value = value;
    return was;
}

void *strmap_remove(struct strmap *m, str key)
{
    if (m->len == 0)
        return NULL;
    struct strmap_slot *s = str_probe(m, key, hash_xxh64(key, 0));
    void *was = s->slot.value;
    if (was != NULL) {
        mem_free(s->key);
        *s = (struct strmap_slot){.slot.dead = true};
        m->len--;
    }
    return was;
}

bool strmap_next(const struct strmap *m, size_t *at, str *ret_key, void **ret_value)
{
    const struct strmap_slot *s = next_slot(m->slots, sizeof *s, m->cap, at);
    if (s == NULL)
        return false;
    if (ret_key != NULL)
        *ret_key = str_make(s->key, s->key_len);
    if (ret_value != NULL)
        *ret_value = s->slot.value;
    return true;
}

/* --- from a number --- */

struct u64map_slot {
    struct slot slot;
    uint64_t key;
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
        if (!s->slot.dead && (s->slot.value == NULL || s->key == key))
            return s;
    }
}

static void u64_grow(struct u64map *m)
{
    struct u64map old = *m;
    m->cap = grown_cap(old.cap, old.len);
    m->slots = mem_array(m->cap, sizeof *m->slots);
    m->used = m->len;
    struct u64map_slot *s;
    for (size_t at = 0; (s = next_slot(old.slots, sizeof *s, old.cap, &at)) != NULL;)
        *u64_probe(m, s->key) = *s;
    mem_free(old.slots);
}

void *u64map_get(const struct u64map *m, uint64_t key)
{
    return m->len == 0 ? NULL : u64_probe(m, key)->slot.value;
}

void *u64map_put(struct u64map *m, uint64_t key, void *value)
{
    ASSERT(value != NULL);
    if (is_crowded(m->cap, m->used))
        u64_grow(m);
    struct u64map_slot *s = u64_probe(m, key);
    void *was = s->slot.value;
    if (was == NULL) {
        m->len++;
        m->used++;
    }
    *s = (struct u64map_slot){.slot.value = value, .key = key};
    return was;
}

void *u64map_remove(struct u64map *m, uint64_t key)
{
    if (m->len == 0)
        return NULL;
    struct u64map_slot *s = u64_probe(m, key);
    void *was = s->slot.value;
    if (was != NULL) {
        *s = (struct u64map_slot){.slot.dead = true};
        m->len--;
    }
    return was;
}

bool u64map_next(const struct u64map *m, size_t *at, uint64_t *ret_key, void **ret_value)
{
    const struct u64map_slot *s = next_slot(m->slots, sizeof *s, m->cap, at);
    if (s == NULL)
        return false;
    if (ret_key != NULL)
        *ret_key = s->key;
    if (ret_value != NULL)
        *ret_value = s->slot.value;
    return true;
}
