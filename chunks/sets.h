/* chunks/sets.h - label sets as bytes: uvarint count, then for each label name and value, each
 * with a uvarint length.  Used for structured metadata in heads and chunks, and for WAL records. */
#pragma once
#include "base/cursor.h"
#include "proto/labels.h"

#define SETS_LABELS_MAX 4096 /* labels in one set that a reader accepts */

bool sets_put(struct buf *out, const struct labels *ls);
/* Reads one set; names and values are views of the cursor's bytes, the array is in `a`.  Sets
 * c->bad on malformed input, or when the arena's limit is reached. */
struct labels sets_get(struct cursor *c, struct arena *a);
/* Bytes that sets_put writes. */
size_t sets_size(const struct labels *ls);
/* Sum of the lengths of names and values. */
size_t sets_text_bytes(const struct labels *ls);
/* True if there is a label besides detected_level, which the distributor adds to every entry. */
bool sets_is_rich(const struct labels *ls);
