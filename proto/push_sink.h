/* proto/push_sink.h - the seam between distributor and ingester: where validated streams go.
 *
 * Direct implementation: ingester/.  Across processes: a gRPC one, later.  Only cmd/ chooses.
 * Threads: push() may be called from any worker thread; `done` is called exactly once, on any
 * thread, perhaps before push() returns.  The batch and all it points to stays valid until `done`.
 */
#pragma once
#include "base/status.h"
#include "proto/entry.h"

struct push_stream {
    struct labels labels; /* sorted, with service_name */
    uint64_t hash;        /* labels_hash(&labels) */
    const struct entry *entries;
    size_t n_entries;
};

enum push_encoding { PUSH_NOT_KEPT, PUSH_SNAPPY_PROTO, PUSH_PROTO, PUSH_JSON };

struct push_batch {
    str tenant;
    const struct push_stream *streams;
    size_t n_streams;
    /* The request body as it came, for a WAL that stores it rather than encodes anew. */
    str raw;
    enum push_encoding raw_encoding;
    /* `raw` decoded, where that is the buffer most lines above point into: the WAL then keeps `raw`
     * and says of each line where it lies.  Empty if not known. */
    str plain;
    /* Who sent it and its running number, so that a retry is stored once; empty and 0 if unknown.
     */
    str source_id;
    uint64_t source_seq;
};

/* code 0: every entry is in the log that survives kill -9.  E_RATE_LIMITED, E_LIMIT, E_TOO_OLD...:
 * some entries were refused, the others are stored; the text is Loki's.  E_NO_SPACE, E_FULL,
 * E_UNAVAILABLE: not stored, the client should retry. */
typedef void push_done(void *arg, int code, const struct error *err);

struct push_sink;
struct push_sink_ops {
    void (*push)(struct push_sink *sink, const struct push_batch *batch, push_done *done,
                 void *arg);
};

/* First member of each implementation. */
struct push_sink {
    const struct push_sink_ops *ops;
};

static inline void push_sink_push(struct push_sink *sink, const struct push_batch *batch,
                                  push_done *done, void *arg)
{
    sink->ops->push(sink, batch, done, arg);
}
