/* proto/push_proto.h - the protobuf form of a push: logproto.PushRequest.
 *
 *   PushRequest { 1: repeated Stream }
 *   Stream      { 1: string labels, 2: repeated Entry, 3: uint64 hash }
 *   Entry       { 1: Timestamp { 1: int64 seconds, 2: int32 nanos }, 2: string line,
 *                 3: repeated LabelPair { 1: string name, 2: string value } }
 *
 * The reader makes views into the bytes it is given (which must outlive the result) and takes only
 * the arrays from the arena, so that decoding costs little more than walking over the tags. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "proto/entry.h"

/* The time of an entry that names none: what UnixNano() gives for Go's zero time, as in Loki. */
#define PUSH_NO_TIME_NS INT64_C(-6795364578871345152)

/* A push as it came, in either form.  Metadata is in the order sent: not sorted, maybe with empty
 * values and repeated names; validation puts that right. */
struct push_request_stream {
    str labels_text; /* {a="b"} as sent; ptr NULL if the form carries pairs instead */
    struct label *pairs;
    size_t n_pairs;
    struct entry *entries;
    size_t n_entries;
};

struct push_request {
    struct push_request_stream *streams;
    size_t n_streams;
};

/* Decodes `bytes` (not compressed).  Unknown fields are skipped.  E_PARSE with text if malformed,
 * E_LIMIT if the arrays pass the limit of the arena. */
int push_proto_read(str bytes, struct arena *a, struct push_request *ret, struct error *err);

/* One stream with its entries, encoded into `out` as field 1 of a PushRequest: a request is the
 * concatenation of these.  False if `out` is full. */
bool push_proto_write_stream(struct buf *out, str labels_text, const struct entry *entries,
                             size_t n);
/* Bytes that push_proto_write_stream() would add. */
size_t push_proto_stream_size(str labels_text, const struct entry *entries, size_t n);

/* For a writer that gathers entries as they come: appends one entry as field 2 of a Stream ... */
bool push_proto_write_entry(struct buf *out, const struct entry *e);
/* ... and this what stands before them: the Stream's frame, for so many bytes of entries, and its
 * labels. */
bool push_proto_write_stream_head(struct buf *out, str labels_text, size_t entries_bytes);
