/* distributor/push_body.h - the body of a push request as it came over HTTP, into a push_request.
 *
 * Content-Encoding: none, snappy (which protobuf bodies are anyway), gzip, deflate.  Content-Type:
 * application/json, with or without parameters; everything else is taken for protobuf in a snappy
 * block; none at all is an error.  All as Loki does, error texts included. */
#pragma once
#include "proto/push_proto.h"

struct push_input {
    str body;
    str content_type;     /* header values; ptr NULL if absent */
    str content_encoding; /* */
    bool is_legacy;       /* came to /api/prom/push */
    str source_id;        /* X-Loge-Source, X-Loge-Sequence; ptr NULL if absent */
    str source_seq;
};

/* Buffers that the result points into; as long as it is used they stay.  Their `max` bounds what is
 * decompressed. */
struct push_buffers {
    struct buf inflated;
    struct buf plain;
    str packed; /* the snappy block that was decoded into `plain`; empty for JSON */
};

/* E_INVALID, E_PARSE (both 400), E_TOO_LARGE (413), E_LIMIT (more entries than the arena's limit
 * allows) with text. */
int push_body_read(const struct push_input *in, struct push_buffers *buffers, struct arena *a,
                   struct push_request *ret, struct error *err);

/* mime.ParseMediaType for what is asked here: checks the whole header, gives the media type in the
 * case it came in.  E_INVALID with Go's text. */
int push_media_type(str header, str *ret, struct error *err);
