/* distributor/sources.h - senders that number their pushes, so that a retry is stored once.
 *
 * A sender names itself and counts: X-Loge-Source: <id>, X-Loge-Sequence: 1, 2, 3, ...  For each
 * (tenant, id) the table keeps the highest number seen and which of the 64 below it were stored.
 * A number that is stored already is answered 204 and dropped; a number that is skipped is a gap.
 * Bounded; kept in memory, and told again at a start what the log holds.  Any thread. */
#pragma once
#include <stdint.h>

#include "base/str.h"

struct source_table;

#define SOURCE_ID_LEN_MAX 128

struct source_table *source_table_new(size_t sources_max);
void source_table_free(struct source_table *t); /* NULL allowed */

enum source_verdict {
    SOURCE_NEW,       /* store it, then call source_done() */
    SOURCE_DUPLICATE, /* stored before */
    SOURCE_BUSY,      /* the same number is being stored right now */
};

/* *ret_gap: numbers newly known to be missing below this one. */
enum source_verdict source_begin(struct source_table *t, str tenant, str id, uint64_t seq,
                                 uint64_t *ret_gap);
/* Ends what SOURCE_NEW began. */
void source_done(struct source_table *t, str tenant, str id, uint64_t seq, bool is_stored);
/* This number was stored before the start. */
void source_remember(struct source_table *t, str tenant, str id, uint64_t seq);
