/* proto/query_source.h - the seam between those who ask (querier, ruler) and those who hold entries
 * (ingester memory, the store).
 *
 * A question has two steps.  select() names the streams that match and their blocks in a time
 * range, with what the footers know (times, counts, bytes), touching no line; read() decodes
 * columns of one block.  A selection is a snapshot: its blocks stay readable until it is freed,
 * though they be flushed or compacted meanwhile.  The same entry may come from two blocks
 * (replicas, a flush between two selects, a repeated push): blocks whose times overlap are merged
 * by the asker and equal (time, line) pairs count once; two refs with the same chunk_id and index
 * are the same block.
 *
 * Ask the ingester before the store: a chunk is in the store before it leaves memory, so with that
 * order nothing is missed (and what is in both has the same chunk_id and index).  The labels of a
 * selected stream, and views that read() gave, live no longer than the selection.
 *
 * Threads: all functions may be called from any worker; several workers may read blocks of one
 * selection at once, each into its own block_buf.  Direct implementations: ingester/, querier/. */
#pragma once
#include "base/arena.h"
#include "base/status.h"
#include "proto/block.h"
#include "proto/entry.h"
#include "proto/matcher.h"

struct query_source;
struct selection;

enum select_flags {
    SELECT_STREAMS_ONLY = 1, /* labels and fingerprints, no block lists (for series) */
};

struct select_params {
    str tenant;
    const struct matcher *matchers;
    size_t n_matchers;
    int64_t from_ns; /* inclusive */
    int64_t to_ns;   /* exclusive */
    unsigned flags;
    size_t streams_max; /* 0: no limit; else E_LIMIT when more match */
};

enum block_ref_flags {
    BLOCK_REF_IN_MEMORY = 1, /* not in the store yet */
    BLOCK_REF_HAS_META = 2,  /* some entry has structured metadata besides detected_level */
};

struct block_ref {
    int64_t min_ns, max_ns; /* times of the first and the last entry */
    uint32_t entries;
    uint64_t line_bytes;       /* sum of line lengths */
    uint64_t meta_bytes;       /* sum of structured metadata names and values */
    uint32_t compressed_bytes; /* 0 in a head */
    unsigned flags;
    uint64_t chunk_id;  /* same id and index in two sources: the same block */
    uint32_t index;     /* of the block in its chunk */
    const void *handle; /* the source's own */
};

struct selected_stream {
    uint64_t fingerprint;
    struct labels labels;
    const struct block_ref *blocks; /* by min_ns, then max_ns */
    size_t n_blocks;
    size_t n_chunks;
};

/* Streams in order of their labels.  Extended privately by each source; free by selection_free. */
struct selection {
    struct query_source *source;
    const struct selected_stream *streams;
    size_t n_streams;
};

/* Live entries for a tail; called on the thread that appends: copy and return at once. */
typedef void tail_entries(void *arg, const struct labels *stream, const struct entry *entries,
                          size_t n);
struct tail_sub;

/* Collects distinct strings (label names or values); copies them. */
struct str_set;

struct query_source_ops {
    int (*select)(struct query_source *q, const struct select_params *p, struct selection **ret,
                  struct error *err);
    void (*selection_free)(struct selection *s);
    /* Decodes `columns` of a block into `into`.  E_CORRUPT: checksum or structure is wrong (counted
     * and logged by the source; the asker skips the block). */
    int (*read)(struct query_source *q, const struct block_ref *ref, unsigned columns,
                struct block_buf *into);
    /* Names of labels (name.ptr NULL) or values of label `name` of the matching streams. */
    int (*labels)(struct query_source *q, const struct select_params *p, str name,
                  struct str_set *into, struct error *err);
    /* NULL where a source has no live entries (the store). */
    int (*tail)(struct query_source *q, const struct select_params *p, tail_entries *fn, void *arg,
                struct tail_sub **ret);
    void (*untail)(struct query_source *q, struct tail_sub *sub); /* no call after it returns */
};

/* First member of each implementation. */
struct query_source {
    const struct query_source_ops *ops;
    const char *name; /* "ingester", "store": for stats and explain */
};
