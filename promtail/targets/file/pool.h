/* promtail/targets/file/pool.h - the turn-taking of all files being read in this process.
 *
 * Generations with something to read stand in one queue; each turn reads one slice, so that a big
 * file does not starve the others.  One read buffer serves all.  When what comes after is full, the
 * pool rests and looks again soon.  It also bounds the descriptors: files at their end are closed,
 * least recently read first, and opened again when they grow.  Loop thread only. */
#pragma once
#include "base/buf.h"
#include "base/map.h"
#include "base/vec.h"
#include "runtime/metrics.h"

struct generation;
struct loop;
struct tail_pool;

struct tail_pool *tail_pool_new(struct loop *l);
/* Afterwards the loop still has to run until its handles are closed. */
void tail_pool_free(struct tail_pool *p);

/* Puts a generation at the end of the queue unless it is there. */
void tail_pool_enqueue(struct tail_pool *p, struct generation *g);
void tail_pool_remove(struct tail_pool *p, struct generation *g);
/* Opens a file for reading; -1 and errno.  Where the system has no descriptor left, the pool makes
 * do with fewer from now on. */
int tail_pool_open(struct tail_pool *p, const char *path);
/* A file was opened that is not begun yet; it was closed, or a generation has it. */
void tail_pool_next_opened(struct tail_pool *p);
void tail_pool_next_gone(struct tail_pool *p);
/* Descriptors of generations: to be called when one was opened, closed or read from. */
void tail_pool_opened(struct tail_pool *p, struct generation *g);
void tail_pool_closed(struct tail_pool *p, struct generation *g);
void tail_pool_read(struct tail_pool *p, struct generation *g);
/* From now on it is not to be closed: it could not be opened again by its path. */
void tail_pool_keep(struct tail_pool *p, struct generation *g);
/* If there are too many, closes what can be opened again among the `looks` least recently read. */
void tail_pool_trim(struct tail_pool *p, size_t looks);
#define TAIL_POOL_FEW 64
/* True if no more should be opened before others were read and closed. */
bool tail_pool_is_full(const struct tail_pool *p);

struct buf *tail_pool_buffer(struct tail_pool *p);  /* of raw bytes; emptied by each reader */
struct buf *tail_pool_decoded(struct tail_pool *p); /* of one decoded line */
struct arena *tail_pool_arena(struct tail_pool *p); /* of one record */

/* Counters of a path, shared by all jobs that read it. */
struct path_metrics {
    unsigned refs;
    struct metric *lines, *bytes, *size;
};
struct path_metrics *tail_pool_metrics(struct tail_pool *p, str path);
void tail_pool_metrics_unref(struct tail_pool *p, str path);
