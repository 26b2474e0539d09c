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
