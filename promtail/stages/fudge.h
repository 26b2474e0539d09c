/* promtail/stages/fudge.h - what becomes of records whose time cannot be read.
 *
 * Promtail's action_on_failure `fudge`: the last good time of the same label set plus 1 ns each
 * time; a record of a set that never had a good time keeps the time of its reading. */
#pragma once
#include "base/map.h"
#include "promtail/record.h"

#define FUDGE_SETS_MAX 10000 /* label sets remembered, as Promtail */

struct fudge_time;

struct fudge {
    struct u64map last; /* hash of the label set -> struct fudge_time */
    /* The one used last: lines of one set mostly come in a row. */
    struct fudge_time *recent; /* NULL: none */
    uint64_t recent_hash;
};

void fudge_init(struct fudge *f);
void fudge_deinit(struct fudge *f);
void fudge_remember(struct fudge *f, const struct record *r); /* r->ts_ns is good */
void fudge_apply(struct fudge *f, struct record *r);
