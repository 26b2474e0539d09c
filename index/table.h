/* index/table.h - one day of the store: streams, their labels, their chunks, in one LMDB
 * environment.
 *
 *   series    tenant, fingerprint           -> labels
 *   postings  tenant, name, value           -> fingerprints (sorted duplicates of fixed size)
 *   chunks    tenant, fingerprint, from, id -> what is known of a chunk
 *   blobs     id                            -> bytes of a chunk
 *
 * Byte by byte: docs/formats.md.  A chunk never crosses midnight UTC, so it lies in exactly one
 * table and a table can be dropped as a whole.
 *
 * Threads: any.  One writer at a time (LMDB sees to it; in practice the flush thread).  A reader
 * may be used by one thread at a time; the bytes it shows may be read by all until it ends. */
#pragma once
#include "base/arena.h"
#include "base/status.h"
#include "proto/labels.h"
#include "proto/matcher.h"
#include "proto/str_set.h"

struct table;

#define TABLE_PERIOD_NS (INT64_C(86400) * 1000000000)

/* Day of a time: floor(ns / 24 h), the number of days since the epoch. */
int64_t table_day_of(int64_t ts_ns);

/* As env_open(). */
int table_open(const char *dir, bool create, size_t map_bytes, struct table **ret,
               struct error *err);
void table_close(struct table *t); /* no reader may be open; NULL allowed */

struct table_chunk {
    uint64_t id; /* unique in the store */
    int64_t from_ns, through_ns;
    uint32_t entries, blocks, bytes;
    uint64_t line_bytes, meta_bytes;
    str blob; /* the chunk's bytes in the map; only where asked for */
};

/* --- writing --- */

struct table_put {
    str tenant;
    uint64_t fingerprint; /* of labels; changed on a collision with other labels */
    struct labels labels;
    struct table_chunk chunk; /* id is changed if it is taken */
    const str *pieces;        /* the chunk's bytes, chunk.bytes in sum */
    size_t n_pieces;
};

/* Writes n chunks in one transaction; durable on return.  E_NO_SPACE, E_IO, E_CORRUPT...: nothing
 * was written. */
int table_write(struct table *t, struct table_put *puts, size_t n);

/* --- reading --- */

struct table_reader;

/* A view of one moment; end it soon.  What is damaged is left out and counted; E_CORRUPT from a
 * reader's function: no more can be found this way. */
int table_read_begin(struct table *t, struct table_reader **ret);
void table_read_end(struct table_reader *r);
/* Streams, chunks and keys left out so far. */
size_t table_reader_corrupt(const struct table_reader *r);

struct table_stream {
    uint64_t fingerprint;
    struct labels labels; /* names and values lie in the map */
};

/* Streams of a tenant that match, ascending by fingerprint; arrays in `a`.  E_LIMIT when the arena
 * is full. */
int table_streams(struct table_reader *r, str tenant, const struct matcher *ms, size_t n_ms,
                  struct arena *a, const struct table_stream **ret, size_t *ret_n);
/* Chunks of a stream with an entry in [from, to), by from; arrays in `a`.  with_blobs: look up the
 * bytes too; a chunk whose bytes cannot be read has an empty blob. */
int table_chunks(struct table_reader *r, str tenant, uint64_t fingerprint, int64_t from_ns,
                 int64_t to_ns, bool with_blobs, struct arena *a, const struct table_chunk **ret,
                 size_t *ret_n);
/* True if there is such a chunk. */
bool table_has_chunk(struct table_reader *r, str tenant, uint64_t fingerprint, int64_t from_ns,
                     int64_t to_ns);
/* All label names of a tenant (name.ptr NULL), or all values of one.  E_LIMIT if the set is full.
 */
int table_labels(struct table_reader *r, str tenant, str name, struct arena *scratch,
                 struct str_set *into);
