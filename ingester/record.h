/* ingester/record.h - what stands in the records of the log: a batch of entries, flush marks.
 *
 * Format: docs/formats.md.  A batch keeps the body of the push as it came, compressed by the
 * client, and beside it what was made of it: labels, and of each entry its time, where its line
 * lies in the decoded body, and its metadata.  So writing it costs neither a copy nor a
 * compression.  Where there is no such body the lines are copied and compressed with LZ4.
 * Pure functions, any thread. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "proto/push_sink.h"

#define RECORD_PLAIN_BYTES_MAX ((size_t)512 << 20) /* decoded body that a reader accepts */

/* Writes a batch: first the list of entries into `out`, then *ret_body, which is either a view of
 * batch->raw or lies in `out` too (then it is empty).  `streams` are those of the batch, without
 * what was refused.  with_number: the sender's number too, if it has one.  E_NO_MEMORY,
 * E_TOO_LARGE. */
int record_put_batch(struct buf *out, const struct push_batch *batch,
                     const struct push_stream *streams, size_t n, bool with_number, str *ret_body);
/* Reads a batch.  Lines lie in `plain` (reset first), labels, metadata and the sender's name in
 * `payload`, arrays in `a`; ret->raw is empty.  E_CORRUPT, E_NO_MEMORY. */
int record_get_batch(str payload, struct arena *a, struct buf *plain, struct push_batch *ret);

/* A place in the log as one stream sees it: a record, and how many of the stream's entries in that
 * record lie before it. */
struct log_place {
    uint64_t pos;
    uint32_t entry;
};

#define LOG_PLACE_NONE ((struct log_place){UINT64_MAX, 0})

static inline struct log_place log_place_min(struct log_place a, struct log_place b)
{
    return a.pos < b.pos || (a.pos == b.pos && a.entry < b.entry) ? a : b;
}

/* All entries of a stream before a place are in the store. */
struct flush_mark {
    uint64_t fingerprint;
    uint64_t check; /* second hash, over tenant and labels */
    struct log_place to;
};

bool record_put_marks(struct buf *out, const struct flush_mark *marks, size_t n);
int record_get_marks(str payload, struct arena *a, const struct flush_mark **ret, size_t *ret_n);
