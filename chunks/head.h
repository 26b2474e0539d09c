/* chunks/head.h - the block of a stream that is still being filled.
 *
 * Entries are appended in any order; in time order it costs a copy of the line and nothing else.
 * An entry equal in time and line to one that is here already is dropped.
 *
 * Rows lie in a buffer whose written part never changes, so a snapshot is a reference and two
 * numbers: readers look at the first rows while the writer adds more behind them; when the rows
 * must move (growth, sorting) a new buffer is made and the old one lives as long as its readers.
 *
 * Threads: a head has one user at a time (the lock of its stream's shard); a snapshot may be read
 * and released by any thread. */
#pragma once
#include "base/map.h"
#include "proto/block.h"
#include "proto/entry.h"

struct head_rows; /* the buffer, counted */

/* Sets looked at before hashing: the six levels there are. */
#define HEAD_RECENT_SETS 6u

struct head {
    struct head_rows *rows; /* NULL when empty and never used */
    uint32_t n;
    uint32_t n_sets; /* distinct sets of metadata */
    size_t text_len; /* lines, each with its '\n' */
    size_t sets_len; /* the sets as bytes */
    struct u64map
        set_by_hash; /* hash of a set's bytes -> index + 1; of those that did not collide */
    uint64_t meta_bytes;
    int64_t min_ns, max_ns;
    bool is_sorted; /* rows are in time order and hold no duplicates */
    struct {
        uint32_t index, at;
    } recent[HEAD_RECENT_SETS]; /* sets used lately, newest first; min(n_sets, size) of them */
    bool has_meta;              /* besides detected_level */
};

void head_init(struct head *h);
void head_deinit(struct head *h);
static inline bool head_is_empty(const struct head *h)
{
    return h->n == 0;
}
/* True if the head must be cut before an entry with this time and line length is appended: a block
 * holds block_bytes of lines (usually BLOCK_BYTES_TARGET) and BLOCK_ENTRIES_MAX entries, several
 * times that when it would else end between equal times. */
bool head_is_full_for(const struct head *h, int64_t ts_ns, size_t line_len, size_t block_bytes);
/* Appends a copy.  0; E_EXISTS: an exact duplicate, dropped; E_NO_MEMORY. */
int head_append(struct head *h, const struct entry *e);
/* Bytes of memory held. */
size_t head_memory(const struct head *h);

/* Entries at one moment, in time order, without duplicates. */
struct head_snapshot {
    struct head_rows *rows; /* a reference */
    uint32_t n, n_sets;
    size_t text_len, sets_len;
    int64_t min_ns, max_ns;
    uint64_t line_bytes, meta_bytes;
    bool has_meta;
};

/* Takes a snapshot (sorting the head first if it has to be); n is 0 for an empty head.
 * E_NO_MEMORY. */
int head_take(struct head *h, struct head_snapshot *ret);
void head_release(struct head_snapshot *s);
/* Shows columns of a snapshot; times and text stay where they are, metadata is decoded into
 * `into`.  The view lives until head_release() and the next read into `into`. */
int head_read(const struct head_snapshot *s, unsigned columns, struct block_buf *into);
/* Empties the head.  Its buffer is used again unless a snapshot holds it. */
void head_clear(struct head *h);
