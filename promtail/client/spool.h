/* promtail/client/spool.h - the journal of one client on disk: what makes a push happen once.
 *
 * A folder of segments.  Before a batch is sent, its group is appended: the bodies with their
 * sequence numbers, and the marks of the sources.  After a crash the groups that were not
 * acknowledged are sent again byte for byte under the same numbers, so that the server can tell a
 * repeat, and reading goes on behind them.  The same file is the disk buffer for when the server is
 * away; its bound is the client's business.
 *
 *   segment := record*      record := u32 length, u32 crc32c of the payload, payload
 *   payload := u8 kind ...  HEAD opens each segment: the whole state by then
 *                           GROUP, ACK (group, batch), CLOSE (clean end)
 *
 * Records are written, not synced: kill -9 loses nothing.  After a power cut the tail may be gone;
 * then (another boot id and no CLOSE) a new source id is taken, so that no number is used twice for
 * different lines.  Loop thread only. */
#pragma once
#include <sys/uio.h>

#include "base/map.h"
#include "base/status.h"
#include "promtail/client/group.h"

struct spool_segment {
    uint32_t number;
    size_t n_open; /* groups in it that are not done */
    uint64_t bytes;
};

struct spool {
    char *dir; /* NULL: memory only */
    int lock_fd;
    int fd; /* of the segment being written; -1 if none */
    VEC(struct spool_segment) segments;
    uint64_t segment_bytes_max;
    char id[GROUP_ID_MAX]; /* source id, hex */
    struct strmap seqs;    /* tenant -> struct spool_seq */
    uint64_t next_group;
    size_t client; /* index in the marks */
    struct source_registry *sources;
    struct buf scratch; /* of the record being made, without bodies */
    VEC(size_t) cuts;   /* where in it the bodies belong */
    VEC(struct iovec) pieces;
};

/* Opens or makes the folder and loads what is in it: marks go to the registry, groups that were not
 * done are returned in order.  dir NULL gives a spool that only hands out numbers.  E_EXISTS if
 * another process has it. */
int spool_open(struct spool *s, const char *dir, uint64_t segment_bytes_max, size_t client,
               struct source_registry *sources, bool ignore_marks, struct group **ret_groups,
               struct error *err);
/* Begins to write, when all spools are open and nothing is known that is not needed: the marks of
 * all sources are carried on.  On an error it is tried again when nothing waits in memory. */
int spool_begin(struct spool *s, struct error *err);
/* is_clean: everything was written in order (no CLOSE otherwise). */
void spool_close(struct spool *s, bool is_clean);

/* Begins a new segment if the last one is full.  Before the marks of a group are taken: a segment
 * opens with all marks, and they must not speak of a group that is not written yet; so not while
 * one waits in memory either. */
void spool_prepare(struct spool *s);
uint64_t spool_next_seq(struct spool *s, str tenant);
/* Appends the group, fills where its bodies are; on failure the group stays memory only.  Groups
 * must be appended in order. */
int spool_append(struct spool *s, struct group *g, struct error *err);
void spool_ack(struct spool *s, const struct group *g, size_t batch);
/* After the last batch of a group: its segment may be deleted. */
void spool_group_done(struct spool *s, const struct group *g);
int spool_read_body(struct spool *s, const struct group_batch *b, struct buf *out);
