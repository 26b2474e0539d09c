/* logql/engine/scan.h - which blocks one log selector has to look at, and reading them.
 *
 * A scan joins the selections of all sources: streams in order of labels, the blocks of a stream in
 * order of time, the same block known to two sources once.  Blocks of a stream whose times overlap
 * much (replicas) form one unit and are merged when read, so that equal (time, line) pairs come
 * once.  All other blocks are a unit each and are handed on as they are, save that one which begins
 * a little before others end (late entries) leaves out what those have already.
 *
 * A scan is built by one thread and immutable after; each worker has its own unit_reader. */
#pragma once
#include <stdatomic.h>

#include "base/map.h"
#include "base/vec.h"
#include "logql/engine/engine.h"

struct scan_block {
    const struct block_ref *ref;
    struct query_source *source;
    /* Of its chunk, shared by its blocks: set when the first of them is read (a mere counter, so
     * relaxed will do). */
    atomic_bool *is_chunk_read;
};

struct scan_stream {
    struct labels labels;
    uint64_t hash; /* labels_hash(): equal times of different streams go by it, as in Loki */
    const struct scan_block *blocks; /* by time */
    size_t n_blocks;
};

struct scan_unit {
    uint32_t stream;        /* index into streams */
    uint32_t first, n;      /* blocks of the stream; n > 1: they overlap much */
    uint32_t n_before;      /* n == 1: so many blocks before it may end within it */
    int64_t min_ns, max_ns; /* of their entries */
    uint64_t entries, line_bytes, meta_bytes;
    unsigned flags; /* enum block_ref_flags that some block has */
};

struct scan {
    int64_t from_ns, to_ns; /* from inclusive, to exclusive */
    struct selection **selections;
    size_t n_selections;
    const struct scan_stream *streams;
    size_t n_streams;
    const struct scan_unit *units; /* by stream, then time */
    size_t n_units;
    struct scan_totals {
        uint64_t chunks, blocks, entries, line_bytes, meta_bytes, compressed_bytes;
    } totals;
};

struct scan_params {
    str tenant;
    const struct matcher *const *matchers;
    size_t n_matchers;
    int64_t from_ns, to_ns;
    struct query_source *const *sources;
    size_t n_sources;
    size_t streams_max;
    /* NULL, or tells whether a block with these times is needed. */
    bool (*is_needed)(const void *arg, int64_t min_ns, int64_t max_ns);
    const void *is_needed_arg;
};

/* Selects and lays out the units; memory from `a`.  scan_close() gives the selections back. */
int scan_open(struct scan *s, const struct scan_params *p, struct arena *a, struct error *err);
void scan_close(struct scan *s);

/* ---- reading ---- */

struct merge;

struct unit_reader {
    const struct scan *scan;
    struct engine_stats *stats;
    struct block_buf buf, late_buf;
    struct block_view view; /* of a single block */
    struct merge *merge;    /* made when first needed */
    const struct scan_unit *unit;
    unsigned columns, late;
    /* Of a block with others before it: rows that those have too. */
    struct block_buf other;
    VEC(unsigned char) dropped;
    uint32_t row; /* that the next piece begins with */
    enum { UNIT_TO_READ, UNIT_CUT, UNIT_MERGING, UNIT_AT_END } state;
};

void unit_reader_init(struct unit_reader *r, const struct scan *scan, struct engine_stats *stats);
void unit_reader_deinit(struct unit_reader *r);
/* Begins with a unit.  BLOCK_TIMES is always read.  If is_late, a single block that lies within the
 * scan's time range is handed over with its lines alone (ts_ns is NULL), until
 * unit_reader_complete() puts the other columns into the same view. */
void unit_reader_open(struct unit_reader *r, const struct scan_unit *u, unsigned columns,
                      bool is_late);
/* The next piece of the unit, in time order: entries [*from, *to) of *ret lie in the scan's time
 * range.  Returns 1, 0 at the end, or an error that ends the query (a corrupt block is left out and
 * counted).  The view lives until the next call. */
int unit_reader_next(struct unit_reader *r, const struct block_view **ret, uint32_t *from,
                     uint32_t *to);
/* Reads what was left for later, if anything was.  Returns 1, 0 if the block turns out to be
 * corrupt, or an error. */
int unit_reader_complete(struct unit_reader *r);

/* First index in [from, to) whose time is >= ts. */
uint32_t scan_lower_bound(const int64_t *ts, uint32_t from, uint32_t to, int64_t t);

/* ---- overlap.c ---- */

/* Cuts the blocks of a stream into units; returns how many were written (n_blocks at most). */
size_t scan_cut_units(const struct scan_stream *st, uint32_t stream, struct scan_unit *units);
/* Fills r->dropped for the block in r->view (r->buf); may read its lines to do so. */
int overlap_find(struct unit_reader *r);

/* ---- merge.c ---- */

struct merge *merge_new(void);
void merge_free(struct merge *m); /* NULL allowed */
void merge_open(struct merge *m, const struct scan_block *blocks, size_t n, unsigned columns,
                struct engine_stats *stats);
/* Returns 1 with a piece of the merged entries, 0 at the end, or an error. */
int merge_next(struct merge *m, const struct block_view **ret);

/* Reads one block, counting what was done.  0, E_CORRUPT (counted) or another error. */
int scan_read_block(const struct scan_block *b, unsigned columns, struct block_buf *into,
                    struct engine_stats *stats);
/* The same for a block that is, or will be, counted as read elsewhere: only bytes are counted. */
int scan_read_again(const struct scan_block *b, unsigned columns, struct block_buf *into,
                    struct engine_stats *stats);
