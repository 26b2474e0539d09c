/* ingester/ingester.h - streams in memory: the direct push sink, and a query source over what is
 * not in the store yet.
 *
 * A push is written to the log, then appended to the heads of its streams; full heads become
 * compressed blocks, full chunks go to the day tables of the store.
 *
 * Ask the ingester before the store: a chunk is put into the store before it leaves memory, so
 * with that order it is seen at least once (twice with equal chunk_id and index, perhaps).
 *
 * Threads: docs/threads.md.  Pushes and questions from any worker; one flush thread here writes to
 * the store, one thread of the log forces it to the disk. */
#pragma once
#include "base/buf.h"
#include "ingester/config.h"
#include "proto/push_sink.h"
#include "proto/query_source.h"
#include "runtime/limits.h"

struct ingester;
struct store;
struct http_server;

struct ingester_options {
    const struct ingester_config *config; /* kept, not copied; wal.dir is set */
    const struct limits_set *limits;      /* kept */
    struct store *store;                  /* kept; closed by the caller after ingester_stop() */
    /* Told during the replay of each numbered push (push_sink.h) that the log still holds, in its
     * order; may be NULL. */
    void (*on_numbered)(void *arg, str tenant, str source_id, uint64_t seq);
    void *arg;
};

/* Replays the log, which may take a while, and begins to take pushes. */
int ingester_new(const struct ingester_options *o, struct ingester **ret, struct error *err);
/* Refuses new pushes, flushes if the configuration says so, ends the threads, frees it.  No push
 * and no selection may be in progress.  NULL allowed. */
void ingester_stop(struct ingester *ing);

struct push_sink *ingester_sink(struct ingester *ing);
struct query_source *ingester_source(struct ingester *ing);

/* Cuts and flushes everything there is in memory; returns when it is in the store, or the error
 * that keeps it in memory.  Blocks: for workers and tests. */
int ingester_flush_all(struct ingester *ing);
/* /flush: GET and POST, 204 once all is in the store.
 * /ingester/shutdown is left to the program. */
void ingester_routes(struct ingester *ing, struct http_server *s);

struct ingester_stats {
    size_t streams;
    int64_t head_bytes, chunk_bytes;
    uint64_t wal_bytes;
};
struct ingester_stats ingester_stats(struct ingester *ing);
