/* chunks/lz4.h - LZ4 blocks with sizes checked, for those outside this folder.  Pure functions. */
#pragma once
#include "base/buf.h"
#include "base/status.h"

/* Appends `raw` compressed, or as it is where that saves nothing; *ret_is_plain says which.
 * E_NO_MEMORY, E_TOO_LARGE. */
int lz4_put(struct buf *out, str raw, bool *ret_is_plain);
/* Appends the raw_len bytes that `block` holds: at least one, nothing is kept plain.  E_CORRUPT,
 * E_NO_MEMORY. */
int lz4_get(struct buf *out, str block, size_t raw_len);
