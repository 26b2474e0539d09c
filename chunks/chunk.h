/* chunks/chunk.h - a chunk: blocks of one stream, one behind the other, and a footer about them.
 *
 * Format: docs/formats.md.  A chunk is read in place, out of the memory map of the store; nothing
 * in it is trusted.  Pure functions, any thread. */
#pragma once
#include "chunks/block.h"

#define CHUNK_MAGIC         0x4843474cu /* "LGCH" */
#define CHUNK_MAGIC_FOOTER  0x4643474cu /* "LGCF" */
#define CHUNK_VERSION       1
#define CHUNK_HEADER_BYTES  8
#define CHUNK_TRAILER_BYTES 16
#define CHUNK_BLOCKS_MAX    65536

/* Appends the 8 bytes that begin a chunk. */
bool chunk_put_header(struct buf *out);
/* Appends footer and trailer, which stand behind the bytes of all blocks. */
bool chunk_put_footer(struct buf *out, const struct chunk_block *blocks, size_t n_blocks);

struct chunk_view {
    str bytes;
    const struct chunk_block *blocks; /* [n_blocks] */
    const uint32_t *block_at;         /* [n_blocks] where the bytes of each begin */
    size_t n_blocks;
};

/* Reads the footer of a chunk.  The arrays are in `a`; the view lives as long as both.
 * E_CORRUPT; E_UNSUPPORTED for a newer version or an unknown feature bit; E_NO_MEMORY past the
 * arena's limit. */
int chunk_open(str bytes, struct arena *a, struct chunk_view *ret);
/* Bytes of block i. */
str chunk_block_bytes(const struct chunk_view *c, size_t i);
