#include "distributor/label_cache.h"

#include <pthread.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

#define SHARDS 16 /* locks; workers are few, so collisions are rare */
/* Bytes one shard may hold: label texts are as long as their senders like. */
#define SHARD_BYTES_MAX (4u << 20)
/* Longer texts are parsed each time rather than kept. */
#define TEXT_BYTES_MAX 4096

struct shard {
    pthread_mutex_t lock; /* protects the rest */
    struct strmap map;    /* text -> struct stream_labels in `arena` */
    struct arena arena;
};

struct label_cache {
    size_t shard_entries_max;
    struct shard shards[SHARDS];
};

struct label_cache *label_cache_new(size_t entries_max)
{
    struct label_cache *c = mem_zalloc(sizeof *c);
    c->shard_entries_max = MAX(entries_max / SHARDS, 1);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&c->shards[i].lock, NULL);
        strmap_init(&c->shards[i].map);
        arena_init(&c->shards[i].arena, BUF_NO_LIMIT);
    }
    return c;
}

void label_cache_free(struct label_cache *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        strmap_deinit(&c->shards[i].map);
        arena_deinit(&c->shards[i].arena);
        pthread_mutex_destroy(&c->shards[i].lock);
    }
    mem_free(c);
}

#define SERVICE_NAME    STR("service_name")
#define UNKNOWN_SERVICE STR("unknown_service")

/* The service_name that a set without one gets: the first of `discover` it has a value for. */
static str find_service(const struct labels *ls, const struct config_strings *discover)
{
    for (size_t i = 0; i < discover->n; i++) {
        str value = labels_get(ls, str_c(discover->items[i]));
        if (value.len > 0)
            return value;
    }
    return UNKNOWN_SERVICE;
}

/* Streams that Loki makes for itself keep the labels they have. */
static bool is_internal(const struct labels *ls)
{
    return labels_has(ls, STR("__aggregated_metric__")) || labels_has(ls, STR("__pattern__"));
}

static void finish(struct label *items, size_t n, const struct config_strings *discover,
                   struct arena *a, struct stream_labels *ret)
{
    struct labels ls = {items, n};
    if (discover->n > 0 && !labels_has(&ls, SERVICE_NAME) && !is_internal(&ls)) {
        struct label service = {SERVICE_NAME, find_service(&ls, discover)};
        struct label *more = ARENA_ARRAY(a, struct label, n + 1);
        size_t at = 0;
        while (at < n && str_cmp(items[at].name, service.name) < 0)
            at++;
        if (n > 0) {
            memcpy(more, items, at * sizeof *more);
            memcpy(more + at + 1, items + at, (n - at) * sizeof *more);
        }
        more[at] = service;
        ls = (struct labels){more, n + 1};
    }
    ret->labels = ls;
    ret->hash = labels_hash(&ls);
}

int stream_labels_from_pairs(struct label *pairs, size_t n, const struct config_strings *discover,
                             struct arena *a, struct stream_labels *ret, struct error *err)
{
    str duplicate = labels_sort(pairs, &n);
    finish(pairs, n, discover, a, ret);
    if (duplicate.ptr != NULL)
        return error_set(err, E_CONFLICT, "%.*s", STR_ARG(duplicate));
    return 0;
}

static int parse(str text, const struct config_strings *discover, struct arena *a,
                 struct stream_labels *ret, struct error *err)
{
    struct label *items;
    size_t n;
    int code = labels_parse_items(text, a, &items, &n, err);
    if (code != 0)
        return code;
    return stream_labels_from_pairs(items, n, discover, a, ret, err);
}

static bool look_up(struct shard *s, str text, struct arena *a, struct stream_labels *ret)
{
    pthread_mutex_lock(&s->lock);
    const struct stream_labels *hit = strmap_get(&s->map, text);
    if (hit != NULL)
        *ret = (struct stream_labels){labels_copy(a, &hit->labels), hit->hash};
    pthread_mutex_unlock(&s->lock);
    return hit != NULL;
}

static void remember(struct label_cache *c, struct shard *s, str text,
                     const struct stream_labels *found)
{
    pthread_mutex_lock(&s->lock);
    if (s->map.len >= c->shard_entries_max || arena_used(&s->arena) > SHARD_BYTES_MAX) {
        strmap_deinit(&s->map);
        strmap_init(&s->map);
        arena_reset(&s->arena);
    }
    struct stream_labels *kept = ARENA_NEW(&s->arena, struct stream_labels);
    *kept = (struct stream_labels){labels_copy(&s->arena, &found->labels), found->hash};
    strmap_put(&s->map, text, kept);
    pthread_mutex_unlock(&s->lock);
}

int label_cache_get(struct label_cache *c, str text, const struct config_strings *discover,
                    struct arena *a, struct stream_labels *ret, struct error *err)
{
    char bytes[sizeof discover->items + TEXT_BYTES_MAX];
    if (text.len > TEXT_BYTES_MAX)
        return parse(text, discover, a, ret, err);
    /* What a text stands for depends on the list, too; lists live as long as the process. */
    memcpy(bytes, &discover->items, sizeof discover->items);
    memcpy(bytes + sizeof discover->items, text.ptr, text.len);
    str key = str_make(bytes, sizeof discover->items + text.len);
    struct shard *s = &c->shards[hash_xxh64(key, 0) % SHARDS];
    if (look_up(s, key, a, ret))
        return 0;
    int code = parse(text, discover, a, ret, err);
    if (code == 0)
        remember(c, s, key, ret);
    return code;
}
