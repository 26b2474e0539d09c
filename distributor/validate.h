/* distributor/validate.h - checks the streams and entries of a push against the tenant's limits and
 * completes them: service_name, detected_level, metadata names.
 *
 * What is refused is left out and noted in `discards`; the rest goes on.  One pass per stream, in
 * place; memory comes from the arena of the push. */
#pragma once
#include "distributor/discards.h"
#include "distributor/label_cache.h"
#include "distributor/level.h"
#include "proto/push_proto.h"
#include "proto/push_sink.h"
#include "runtime/limits.h"

struct validator {
    const struct limits *limits;
    struct arena *arena;
    int64_t oldest_ns, newest_ns; /* entries outside are refused */
    struct level_fields level_fields;
    struct discards discards;
    /* What was let through. */
    uint64_t lines, line_bytes, meta_bytes;
    uint64_t truncated_lines, truncated_bytes;
    str stream_text; /* the labels of the stream in hand, once a text needs them */
};

void validator_init(struct validator *v, const struct limits *limits, struct arena *a,
                    int64_t now_ns);

/* Checks one stream, whose labels are known.  False if nothing of it is left (or it had no
 * entries); else *ret is what to store.  `code` is what label_cache_get said: 0 or E_CONFLICT. */
bool validate_stream(struct validator *v, const struct stream_labels *labels, int code,
                     struct push_request_stream *in, struct push_stream *ret);
