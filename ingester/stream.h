/* ingester/stream.h - one stream in memory: a head being filled, and chunks of finished blocks.
 *
 * A chunk takes blocks until it is large enough, then it is sealed and waits for the flush thread.
 * Blocks are cut at midnight UTC and a chunk holds blocks of one day, so late entries go to a
 * chunk of their own day.  Blocks are counted: a selection may read them after they were flushed.
 *
 * Threads: everything in a stream is guarded by the lock of its shard, save `refs` and what never
 * changes (labels, fingerprint, tenant).  Only the flush thread takes chunks out of a stream. */
#pragma once
#include <stdatomic.h>

#include "base/vec.h"
#include "chunks/block.h"
#include "chunks/head.h"
#include "ingester/metrics.h"
#include "ingester/record.h"

struct tenant;

/* A finished block; its bytes never change. */
struct mem_block {
    atomic_uint refs;
    struct chunk_block info;
    uint64_t chunk_id;
    uint32_t index;
    size_t size;
    char bytes[];
};

struct mem_block *mem_block_ref(struct mem_block *b);
void mem_block_unref(struct mem_block *b); /* NULL allowed */

struct mem_chunk {
    struct stream *stream;
    uint64_t id;
    int64_t day;
    VEC(struct mem_block *) blocks;
    int64_t min_ns, max_ns;
    uint64_t entries, line_bytes, meta_bytes;
    size_t bytes;              /* of the blocks */
    int64_t begun_ns;          /* wall clock, when its first entry came */
    int64_t touched_ns;        /* when its last block came */
    struct log_place wal_from; /* no entry of it stands in the log before this */
    bool is_sealed;
    enum flush_reason reason;
};

struct stream {
    struct stream *next; /* in its bucket of the shard's map */
    struct tenant *tenant;
    struct labels labels;
    uint64_t fingerprint;
    uint64_t check;   /* second hash of tenant and labels, for flush marks */
    atomic_uint refs; /* the map has one, selections and pushes in progress others */

    struct head head;
    struct log_place head_wal_from;
    int64_t head_begun_ns;
    VEC(struct mem_chunk *) chunks; /* open and sealed, not flushed */
    int64_t newest_ns;              /* time of the newest entry; INT64_MIN if none */
    int64_t touched_ns;             /* wall clock of the last append */
    double rate_tokens;             /* bytes that may come at once; filled up by time */
    int64_t rate_at_ns;
};

/* A stream with copies of the labels; one reference, the caller's. */
struct stream *stream_new(struct tenant *tenant, str tenant_name, const struct labels *labels,
                          uint64_t fingerprint);
static inline void stream_ref(struct stream *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}
void stream_unref(struct stream *s);
uint64_t stream_check_hash(str tenant_name, const struct labels *labels);

/* How chunks are made. */
struct stream_params {
    size_t block_target, chunk_target; /* bytes at which a block is cut, a chunk sealed */
    int64_t now_ns;
    uint64_t (*next_chunk_id)(void *arg);
    void (*on_sealed)(void *arg, struct mem_chunk *c);
    void *arg;
    atomic_int_fast64_t *head_bytes, *chunk_bytes; /* memory in use, kept up to date */
};

/* Appends entries that stand in the log from `at` on.  Exact duplicates are dropped in silence.
 * E_NO_MEMORY: the rest is not appended. */
int stream_append(struct stream *s, const struct stream_params *p, const struct entry *entries,
                  size_t n, struct log_place at);
/* Turns the head into blocks. */
int stream_cut(struct stream *s, const struct stream_params *p);
/* Gives back the memory of an empty head. */
void stream_trim(struct stream *s, const struct stream_params *p);
void stream_seal(struct mem_chunk *c, const struct stream_params *p, enum flush_reason reason);
/* Takes a chunk out and frees it. */
void stream_drop_chunk(struct stream *s, const struct stream_params *p, struct mem_chunk *c);
/* The first place in the log that the stream still needs; LOG_PLACE_NONE if none. */
struct log_place stream_wal_from(const struct stream *s);
static inline bool stream_is_empty(const struct stream *s)
{
    return s->chunks.len == 0 && head_is_empty(&s->head);
}
