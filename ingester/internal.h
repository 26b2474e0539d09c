/* ingester/internal.h - what the files of this folder share. */
#pragma once
#include <pthread.h>

#include "base/map.h"
#include "index/store.h"
#include "ingester/ingester.h"
#include "ingester/label_index.h"
#include "ingester/metrics.h"
#include "ingester/record.h"
#include "ingester/stream.h"
#include "ingester/tail.h"
#include "ingester/wal.h"

/* More shards than workers by far, so that two of them seldom want the same lock. */
#define SHARD_COUNT 64

struct tenant {
    str name; /* a copy */
    atomic_size_t n_streams;
    struct metric *streams_created, *streams_removed;
};

struct shard {
    pthread_mutex_t lock;  /* guards the map and everything in its streams */
    struct u64map streams; /* hash of tenant and labels -> chain of streams */
    struct label_index labels;
};

struct flusher {
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* guards the rest; taken inside a shard's lock, never around one */
    pthread_cond_t wake, finished;
    VEC(struct mem_chunk *) queue; /* sealed, in the order sealed */
    size_t queue_bytes;
    bool is_stopping, wants_memory;
    uint64_t all_asked, all_done; /* flush_all: number asked for, number answered */
    atomic_bool is_failing;       /* the last write to the store failed */
    int all_code;                 /* result of the last one */
};

struct ingester {
    struct push_sink sink; /* first */
    struct query_source source;
    struct ingester_options o;
    const struct ingester_config *config;
    struct wal *wal; /* NULL if it is switched off */
    struct shard shards[SHARD_COUNT];
    pthread_mutex_t tenants_lock;
    struct strmap tenants; /* name -> struct tenant; never removed */
    struct tail_set tails;
    struct flusher flusher;
    atomic_uint_fast64_t next_chunk_id;
    atomic_int_fast64_t head_bytes;  /* memory of heads */
    atomic_int_fast64_t chunk_bytes; /* blocks of chunks not flushed */
    atomic_size_t n_streams;
    atomic_bool is_stopping;
};

static inline struct ingester *ingester_of_sink(struct push_sink *s)
{
    return CONTAINER_OF(s, struct ingester, sink);
}

static inline struct ingester *ingester_of_source(struct query_source *q)
{
    return CONTAINER_OF(q, struct ingester, source);
}

/* Made if it is new. */
struct tenant *tenant_get(struct ingester *ing, str name);
/* NULL if it is not known. */
struct tenant *tenant_find(struct ingester *ing, str name);

uint64_t stream_slot(const struct tenant *t, uint64_t labels_hash);
struct shard *shard_of(struct ingester *ing, uint64_t slot);
/* The lock of the shard is held for these three. */
struct stream *shard_find(struct shard *sh, uint64_t slot, const struct tenant *t,
                          const struct labels *labels);
struct stream *shard_add(struct ingester *ing, struct shard *sh, uint64_t slot, struct tenant *t,
                         const struct push_stream *from);
void shard_remove(struct ingester *ing, struct shard *sh, uint64_t slot, struct stream *s);

struct stream_params ingester_stream_params(struct ingester *ing);

static inline int64_t ingester_memory(struct ingester *ing)
{
    return atomic_load_explicit(&ing->head_bytes, memory_order_relaxed) +
           atomic_load_explicit(&ing->chunk_bytes, memory_order_relaxed);
}

/* Appends streams to memory; what is refused has been taken out.  skipped: of each stream, how many
 * of its entries in the record at wal_pos stand before those given; NULL: none. */
int ingester_apply(struct ingester *ing, struct tenant *t, const struct push_stream *streams,
                   size_t n, uint64_t wal_pos, const uint32_t *skipped);

void ingester_push(struct push_sink *sink, const struct push_batch *batch, push_done *done,
                   void *arg);
extern const struct query_source_ops ingester_source_ops;

int flusher_start(struct ingester *ing);
void flusher_stop(struct ingester *ing, bool flush_all);
void flusher_add(struct ingester *ing, struct mem_chunk *c); /* it has been sealed */
void flusher_want_memory(struct ingester *ing);
int flusher_flush_all(struct ingester *ing);

int ingester_replay(struct ingester *ing, struct error *err);
