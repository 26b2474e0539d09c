/* promtail/client/batch.h - entries gathered for one push of one tenant.
 *
 * Entries are encoded as they come, and compressed 64 KiB at a time, stream by stream; closing a
 * batch only puts the pieces behind each other.  So a batch takes about the room of its request,
 * and a line is copied once while it is still in the cache.  Loop thread only. */
#pragma once
#include "base/buf.h"
#include "base/map.h"
#include "base/vec.h"
#include "promtail/record.h"

#define BATCH_RECENT 4 /* streams looked at before the map: lines come in runs */

struct batch_stream {
    struct label_list labels; /* in the arena; holds the stem */
    str text;                 /* {a="b"} */
    struct buf entries;       /* encoded, not compressed yet */
    struct buf packed;        /* compressed pieces of earlier entries */
    size_t packed_bytes;      /* that they stand for */
    struct batch_stream *next_same_hash;
};

struct batch {
    str tenant;
    struct arena arena; /* of the tenant and the labels */
    struct u64map by_hash;
    VEC(struct batch_stream *) streams;
    struct batch_stream *recent[BATCH_RECENT];
    unsigned recent_at;
    size_t bytes; /* of lines and metadata: what batchsize bounds */
    size_t n_entries;
    int64_t created_mono_ns;
    struct buf scratch; /* of the compressor */
};

struct batch *batch_new(str tenant, int64_t now_mono_ns);
void batch_free(struct batch *b); /* NULL allowed */
/* Bytes a record counts for: line and metadata. */
size_t batch_record_bytes(const struct record *r);
/* Adds a copy of the record; `external` are labels the record's own win over.  False when out of
 * memory. */
bool batch_add(struct batch *b, const struct record *r, const struct label_list *external);
/* Appends the request: protobuf, snappy.  0 or E_NO_MEMORY. */
int batch_encode(struct batch *b, struct buf *out);
