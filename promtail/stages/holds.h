/* promtail/stages/holds.h - which bytes of which sources a record that is kept back is made of.
 *
 * The sources may be several: a block can begin in one generation of a file and end in the next. */
#pragma once
#include "promtail/pipeline.h"

struct holds {
    struct source **items; /* each once, referenced */
    size_t len, cap;
};

/* Keeps the bytes of `o` from being counted as read. */
void holds_add(struct holds *h, const struct origin *o);
/* To be called after the record was handed on. */
void holds_release(struct holds *h);
/* At the end, when no position is saved any more: what is held stays unread. */
void holds_deinit(struct holds *h);
