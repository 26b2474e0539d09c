/* chunks/block.h - one block as bytes: four columns, each compressed and checked on its own.
 *
 * Format: docs/formats.md.  What describes a block (struct chunk_block) is kept in the chunk's
 * footer, so that counts, sums and time ranges are known without touching a column.
 * Pure functions, any thread. */
#pragma once
#include "base/cursor.h"
#include "proto/block.h"
#include "proto/query_source.h"

enum chunk_column_index { COLUMN_TIMES, COLUMN_LENGTHS, COLUMN_TEXT, COLUMN_META, COLUMN_COUNT };
enum column_coding { COLUMN_PLAIN, COLUMN_LZ4 };

struct chunk_column {
    uint32_t stored_bytes; /* 0: the column is absent, its values follow from the descriptor */
    uint32_t raw_bytes;
    uint32_t crc; /* CRC-32C of the stored bytes */
    enum column_coding coding;
};

enum chunk_block_flags {
    CHUNK_BLOCK_HAS_META = 1, /* some entry has structured metadata besides detected_level */
};
#define CHUNK_BLOCK_FLAGS_ALL 1u

struct chunk_block {
    int64_t min_ns, max_ns;
    uint32_t entries;    /* at least 1 */
    uint32_t line_bytes; /* sum of line lengths */
    uint32_t meta_bytes; /* sum of structured metadata names and values over the entries */
    unsigned flags;
    struct chunk_column columns[COLUMN_COUNT]; /* the columns lie in this order, without gaps */
};

/* A block that is not huge has at most BLOCK_ENTRIES_MAX; equal times may make it longer. */
#define CHUNK_BLOCK_ENTRIES_MAX (4 * BLOCK_ENTRIES_MAX)

/* Appends the columns of entries [from, to) of a view with all columns (from < to, at most
 * CHUNK_BLOCK_ENTRIES_MAX, text at most BLOCK_TEXT_BYTES_MAX) to `out` and describes them.
 * E_NO_MEMORY if `out` or the scratch memory cannot grow. */
int chunk_block_encode(const struct block_view *v, uint32_t from, uint32_t to, struct buf *out,
                       struct chunk_block *ret);
/* Decodes columns of a block out of its bytes.  E_CORRUPT if checksum or structure is wrong,
 * E_NO_MEMORY.  In `into->view` only n is set then. */
int chunk_block_decode(const struct chunk_block *b, str bytes, unsigned columns,
                       struct block_buf *into);
/* Bytes of all columns. */
uint64_t chunk_block_size(const struct chunk_block *b);

/* The descriptor as it stands in a footer. */
bool chunk_block_put(struct buf *out, const struct chunk_block *b);
/* Sets c->bad on anything chunk_block_encode cannot have written. */
void chunk_block_get(struct cursor *c, struct chunk_block *ret);
/* What a descriptor says, as a block_ref; the caller fills chunk_id, index and handle. */
struct block_ref chunk_block_ref(const struct chunk_block *b);
