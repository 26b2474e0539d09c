/* promtail/client/group.h - batches closed together, and how far the sources had come by then.
 *
 * A group is the unit that goes to the spool: all open batches of a client (one per tenant) and the
 * marks of the sources that moved.  Its marks count as acknowledged when all its batches are done.
 */
#pragma once
#include "base/buf.h"
#include "base/vec.h"
#include "promtail/source.h"

#define GROUP_ID_MAX      40
#define GROUP_BATCHES_MAX 65536 /* that the journal can tell apart */

struct group_batch {
    char *tenant;
    uint64_t seq; /* running number per client and tenant */
    size_t n_entries;
    size_t raw_bytes;  /* of lines and metadata */
    size_t body_bytes; /* of the request */
    struct buf body;   /* empty if it is only in the spool */
    uint32_t segment;  /* where in the spool */
    uint64_t offset;
    bool is_done; /* taken, or given up */
};

struct group_mark {
    struct source *source; /* one reference */
    struct source_mark mark;
};

struct group {
    uint64_t id;
    char source_id[GROUP_ID_MAX]; /* under which its numbers count */
    VEC(struct group_batch) batches;
    VEC(struct group_mark) marks;
    bool is_durable; /* in the spool */
    struct group *next;
};

struct group *group_new(uint64_t id);
void group_free(struct group *g);
void group_batch_deinit(struct group_batch *b);
size_t group_bytes(const struct group *g); /* of the bodies not done yet */
bool group_is_done(const struct group *g);
