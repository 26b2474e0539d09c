#include "ingester/internal.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "runtime/http_server.h"
#include "runtime/log.h"

/* --- tenants --- */

struct tenant *tenant_find(struct ingester *ing, str name)
{
    pthread_mutex_lock(&ing->tenants_lock);
    struct tenant *t = strmap_get(&ing->tenants, name);
    pthread_mutex_unlock(&ing->tenants_lock);
    return t;
}

struct tenant *tenant_get(struct ingester *ing, str name)
{
    pthread_mutex_lock(&ing->tenants_lock);
    struct tenant *t = strmap_get(&ing->tenants, name);
    if (t == NULL) {
        t = mem_zalloc(sizeof *t);
        t->name = str_make(str_dup_c(name), name.len);
        t->streams_created = metric_with1(ingester_metrics()->streams_created, name);
        t->streams_removed = metric_with1(ingester_metrics()->streams_removed, name);
        strmap_put(&ing->tenants, name, t);
    }
    pthread_mutex_unlock(&ing->tenants_lock);
    return t;
}

/* --- shards --- */

uint64_t stream_slot(const struct tenant *t, uint64_t labels_hash)
{
    return labels_hash ^ hash_xxh64(t->name, 0x6c6f6765);
}

struct shard *shard_of(struct ingester *ing, uint64_t slot)
{
    return &ing->shards[(slot >> 32) % SHARD_COUNT]; /* the map uses the low bits */
}

struct stream *shard_find(struct shard *sh, uint64_t slot, const struct tenant *t,
                          const struct labels *labels)
{
    struct stream *s = u64map_get(&sh->streams, slot);
    while (s != NULL && (s->tenant != t || !labels_eq(&s->labels, labels)))
        s = s->next;
    return s;
}

struct stream *shard_add(struct ingester *ing, struct shard *sh, uint64_t slot, struct tenant *t,
                         const struct push_stream *from)
{
    struct stream *s = stream_new(t, t->name, &from->labels, from->hash);
    s->touched_ns = clock_now_ns();
    s->next = u64map_get(&sh->streams, slot);
    u64map_put(&sh->streams, slot, s);
    label_index_add(&sh->labels, t, s);
    atomic_fetch_add(&t->n_streams, 1);
    atomic_fetch_add(&ing->n_streams, 1);
    metric_add(ingester_metrics()->streams, 1);
    metric_inc(t->streams_created);
    return s;
}

void shard_remove(struct ingester *ing, struct shard *sh, uint64_t slot, struct stream *s)
{
    struct stream *first = u64map_get(&sh->streams, slot);
    if (first == s) {
        if (s->next != NULL)
            u64map_put(&sh->streams, slot, s->next);
        else
            u64map_remove(&sh->streams, slot);
    } else {
        while (first->next != s)
            first = first->next;
        first->next = s->next;
    }
    label_index_remove(&sh->labels, s->tenant, s);
    atomic_fetch_sub(&s->tenant->n_streams, 1);
    atomic_fetch_sub(&ing->n_streams, 1);
    metric_add(ingester_metrics()->streams, -1);
    metric_inc(s->tenant->streams_removed);
    stream_unref(s);
}

/* --- appending --- */

/* Unique over restarts: the clock at start, then one up for each. */
static uint64_t next_chunk_id(void *arg)
{
    struct ingester *ing = arg;
    return atomic_fetch_add(&ing->next_chunk_id, 1);
}

static void on_sealed(void *arg, struct mem_chunk *c)
{
    flusher_add(arg, c);
}

struct stream_params ingester_stream_params(struct ingester *ing)
{
    return (struct stream_params){
        .block_target = ing->config->chunk_block_bytes,
        .chunk_target = ing->config->chunk_target_bytes,
        .now_ns = clock_now_ns(),
        .next_chunk_id = next_chunk_id,
        .on_sealed = on_sealed,
        .arg = ing,
        .head_bytes = &ing->head_bytes,
        .chunk_bytes = &ing->chunk_bytes,
    };
}

int ingester_apply(struct ingester *ing, struct tenant *t, const struct push_stream *streams,
                   size_t n, uint64_t wal_pos, const uint32_t *skipped)
{
    struct stream_params params = ingester_stream_params(ing);
    int code = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t slot = stream_slot(t, streams[i].hash);
        struct shard *sh = shard_of(ing, slot);
        pthread_mutex_lock(&sh->lock);
        struct stream *s = shard_find(sh, slot, t, &streams[i].labels);
        if (s == NULL) /* new in a replay, or dropped as idle since it was admitted */
            s = shard_add(ing, sh, slot, t, &streams[i]);
        struct log_place at = {wal_pos, skipped != NULL ? skipped[i] : 0};
        int one = stream_append(s, &params, streams[i].entries, streams[i].n_entries, at);
        pthread_mutex_unlock(&sh->lock);
        code = code ? code : one;
    }
    if ((uint64_t)atomic_load(&ing->chunk_bytes) > ing->config->memory_target_bytes ||
        (uint64_t)atomic_load(&ing->head_bytes) > ing->config->head_memory_target_bytes)
        flusher_want_memory(ing);
    return code;
}

/* --- life --- */

static const struct push_sink_ops sink_ops = {.push = ingester_push};

static void free_streams(struct ingester *ing)
{
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        struct shard *sh = &ing->shards[i];
        size_t at = 0;
        void *value;
        while (u64map_next(&sh->streams, &at, NULL, &value))
            for (struct stream *s = value, *next; s != NULL; s = next) {
                next = s->next;
                stream_unref(s);
            }
        u64map_deinit(&sh->streams);
        label_index_deinit(&sh->labels);
        pthread_mutex_destroy(&sh->lock);
    }
}

static void ingester_free(struct ingester *ing)
{
    wal_close(ing->wal);
    free_streams(ing);
    size_t at = 0;
    void *value;
    while (strmap_next(&ing->tenants, &at, NULL, &value)) {
        struct tenant *t = value;
        mem_free((void *)(uintptr_t)t->name.ptr);
        mem_free(t);
    }
    strmap_deinit(&ing->tenants);
    tail_set_deinit(&ing->tails);
    pthread_mutex_destroy(&ing->tenants_lock);
    mem_free(ing);
}

int ingester_new(const struct ingester_options *o, struct ingester **ret, struct error *err)
{
    struct ingester *ing = mem_zalloc(sizeof *ing);
    ing->sink.ops = &sink_ops;
    ing->source.ops = &ingester_source_ops;
    ing->source.name = "ingester";
    ing->o = *o;
    ing->config = o->config;
    atomic_init(&ing->next_chunk_id, (uint64_t)clock_now_ns());
    pthread_mutex_init(&ing->tenants_lock, NULL);
    strmap_init(&ing->tenants);
    tail_set_init(&ing->tails);
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        pthread_mutex_init(&ing->shards[i].lock, NULL);
        u64map_init(&ing->shards[i].streams);
        label_index_init(&ing->shards[i].labels);
    }
    int code = 0;
    if (o->config->wal.enabled)
        code = wal_open(&o->config->wal, &ing->wal, err);
    if (code == 0 && (code = flusher_start(ing)) != 0)
        error_set(err, code, "cannot start the flush thread");
    if (code == 0 && ing->wal != NULL)
        code = ingester_replay(ing, err);
    if (code != 0) {
        flusher_stop(ing, false);
        ingester_free(ing);
        return code;
    }
    *ret = ing;
    return 0;
}

void ingester_stop(struct ingester *ing)
{
    if (ing == NULL)
        return;
    atomic_store(&ing->is_stopping, true);
    flusher_stop(ing, ing->config->wal.flush_on_shutdown || ing->wal == NULL);
    ingester_free(ing);
}

struct push_sink *ingester_sink(struct ingester *ing)
{
    return &ing->sink;
}

struct query_source *ingester_source(struct ingester *ing)
{
    return &ing->source;
}

int ingester_flush_all(struct ingester *ing)
{
    return flusher_flush_all(ing);
}

struct ingester_stats ingester_stats(struct ingester *ing)
{
    struct ingester_stats st = {
        .streams = atomic_load(&ing->n_streams),
        .head_bytes = atomic_load(&ing->head_bytes),
        .chunk_bytes = atomic_load(&ing->chunk_bytes),
        .wal_bytes = ing->wal ? wal_bytes(ing->wal) : 0,
    };
    return st;
}

/* --- HTTP --- */

static void handle_flush(void *arg, struct http_request *r)
{
    struct ingester *ing = arg;
    int code = ingester_flush_all(ing);
    if (code != 0) {
        struct error err = {0};
        error_set(&err, code, "flush: %s", status_text(code));
        http_reply_error(r, &err);
        return;
    }
    http_reply(r, 204, "text/plain; charset=utf-8", STR_EMPTY);
}

void ingester_routes(struct ingester *ing, struct http_server *s)
{
    http_route(s, "/flush", HTTP_GET | HTTP_POST | HTTP_ON_WORKER, "flush", 0, handle_flush, ing);
}
