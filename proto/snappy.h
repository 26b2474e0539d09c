/* proto/snappy.h - the Snappy block format, by libsnappy, with sizes bounded.
 *
 * Pure functions, any thread. */
#pragma once
#include "base/buf.h"
#include "base/status.h"

/* Length that the block says it has once decoded; E_PARSE if there is no valid length in front. */
int snappy_decoded_size(str block, size_t *ret);
/* Appends the decoded bytes to `out`.  E_PARSE ("snappy: corrupt input"), E_TOO_LARGE if they do
 * not fit into out->max, E_NO_MEMORY; `out` is then as it was. */
int snappy_decode(str block, struct buf *out);
/* Appends `plain` as one block.  E_TOO_LARGE if it does not fit. */
int snappy_encode(str plain, struct buf *out);

/* A block made piece by piece, so that its plain text is never in memory as a whole: the length of
 * all pieces first, then each piece (best of 64 KiB, what the format looks back over at once).
 * Append what snappy_encode_piece() makes behind what snappy_encode_length() makes.  `scratch` is
 * room to work in, so that `out` grows by no more than the piece. */
#define SNAPPY_PIECE_BYTES      (64u * 1024)
#define SNAPPY_LENGTH_BYTES_MAX 10
int snappy_encode_length(size_t plain_bytes, struct buf *out);
int snappy_encode_piece(str plain, struct buf *scratch, struct buf *out);
/* The most that a piece of so many bytes takes. */
size_t snappy_piece_bytes_max(size_t plain_bytes);
