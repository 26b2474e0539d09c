/* index/internal.h - what the files of this folder share. */
#pragma once
#include <lmdb.h>

#include "index/env.h"
#include "index/key.h"
#include "index/table.h"

struct table {
    struct env *env;
    MDB_dbi series, postings, chunks, blobs;
};

struct table_reader {
    struct table *table;
    MDB_txn *txn;
    str bytes;        /* env_bytes() when it began */
    size_t n_corrupt; /* streams, chunks and keys that were left out */
};

static inline MDB_val mdb_of_str(str s)
{
    return (MDB_val){s.len, (void *)(uintptr_t)s.ptr};
}

static inline MDB_val mdb_of_key(const struct key *k)
{
    return mdb_of_str(key_str(k));
}

static inline str str_of_mdb(MDB_val v)
{
    return str_make(v.mv_data, v.mv_size);
}

/* Keys and values are only handed out if they lie in the file, and keys if they are no longer than
 * keys are: a spoilt page may say anything.  The codes are LMDB's; MDB_CORRUPTED: they do not. */
int reader_get(struct table_reader *r, MDB_dbi dbi, const struct key *k, str *ret);
int reader_move(struct table_reader *r, MDB_cursor *cursor, MDB_val *key, MDB_val *value,
                MDB_cursor_op op);

/* Labels as bytes: uvarint count, then names and values, each with a uvarint length. */
bool series_put_labels(struct buf *out, const struct labels *ls);
/* Names and values stay views of `bytes`, the array is in `a`.  E_CORRUPT, E_LIMIT. */
int series_get_labels(str bytes, struct arena *a, struct labels *ret);
/* Labels of one stream.  E_NOT_FOUND. */
int series_labels(struct table_reader *r, str tenant, uint64_t fingerprint, struct arena *a,
                  struct labels *ret);
