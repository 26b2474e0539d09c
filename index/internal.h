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

/* Labels as bytes: uvarint count, then names and values, each with a uvarint length. */
bool series_put_labels(struct buf *out, const struct labels *ls);
/* Names and values stay views of `bytes`, the array is in `a`.  E_CORRUPT, E_LIMIT. */
int series_get_labels(str bytes, struct arena *a, struct labels *ret);
/* Labels of one stream.  E_NOT_FOUND. */
int series_labels(struct table_reader *r, str tenant, uint64_t fingerprint, struct arena *a,
                  struct labels *ret);
