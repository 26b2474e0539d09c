/* promtail/targets/gelf_message.h - one GELF message: JSON in, the same JSON in a fixed order out.
 *
 * Also puts chunked datagrams together.  Pure but for the chunks' store; one owner. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/status.h"

struct gelf_field {
    str name;  /* begins with _ */
    str value; /* JSON text, printed anew */
};

struct gelf_message {
    str version, host, short_message, full_message, facility;
    double timestamp_s; /* 0: none */
    int32_t level;
    struct gelf_field *extra; /* sorted by name */
    size_t n_extra;
};

#define GELF_FIELDS_MAX        4096
#define GELF_DEPTH_MAX         64
#define GELF_MESSAGE_BYTES_MAX (8u << 20) /* inflated */

/* Reads one message, gzipped or not.  E_PARSE or E_TOO_LARGE with a text; strings live in `a`. */
int gelf_message_read(str bytes, struct arena *a, struct gelf_message *ret, struct error *err);
/* As Promtail prints the line: known fields first, empty ones left out, then the extra ones. */
void gelf_message_print(const struct gelf_message *m, struct buf *out);

/* --- chunks of datagrams: 1e 0f, id (8), number (1), count (1), bytes --- */

#define GELF_CHUNKS_MAX        128
#define GELF_CHUNK_TIMEOUT_NS  (INT64_C(5) * 1000000000)
#define GELF_PENDING_MAX       1024        /* messages of which chunks are missing */
#define GELF_PENDING_BYTES_MAX (64u << 20) /* of all of them */

struct gelf_chunks {
    struct strmap pending; /* id -> struct gelf_pending */
    size_t bytes;
};

void gelf_chunks_init(struct gelf_chunks *c);
void gelf_chunks_deinit(struct gelf_chunks *c);
bool gelf_is_chunk(str datagram);
/* Adds a chunk.  0 and the message's bytes in *out if it is whole now, E_AGAIN if more is to come,
 * E_PARSE, E_FULL. */
int gelf_chunks_add(struct gelf_chunks *c, str datagram, int64_t now_mono_ns, struct buf *out,
                    struct error *err);
/* Forgets messages whose chunks did not come in time; how many. */
size_t gelf_chunks_expire(struct gelf_chunks *c, int64_t now_mono_ns);
