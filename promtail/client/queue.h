/* promtail/client/queue.h - what one client has closed and the server has not taken, oldest first.
 *
 * Groups go through the spool into the queue, and leave it batch by batch.  Bodies of durable
 * groups beyond the first few are not held in memory: they are read back when it is their turn.
 * While the disk is full groups wait in memory, all of them from the first that could not be
 * written: the marks of a later one would say that its lines are safe.
 * Loop thread only. */
#pragma once
#include "promtail/client/spool.h"

struct queue {
    struct spool spool;
    struct group *first, *last;
    struct group *waiting; /* the first that is not in the journal, NULL if all are */
    size_t at;             /* batch of `first` whose turn it is */
    size_t queued_bytes;   /* of bodies not done */
    size_t memory_bytes;   /* of bodies held in memory */
};

/* Opens the spool (arguments as spool_open's) and takes over the groups in it.  On an error the
 * queue works nevertheless, in memory. */
int queue_open(struct queue *q, const char *dir, size_t client, struct source_registry *sources,
               bool ignore_marks, struct error *err);
/* See spool_begin(). */
int queue_begin(struct queue *q, struct error *err);
void queue_close(struct queue *q);

/* A group to be filled and put. */
struct group *queue_new_group(struct queue *q);
/* Takes the group over.  An error means that it is kept in memory until it can be written. */
int queue_put(struct queue *q, struct group *g, struct error *err);
/* Tries again to write what is in memory only; the error is of the first that cannot be. */
int queue_write_waiting(struct queue *q, struct error *err);
/* The batch whose turn it is, NULL if there is none.  Groups that are done leave here. */
struct group_batch *queue_next(struct queue *q, struct group **ret_group);
/* Brings its body into memory. */
int queue_load_next(struct queue *q);
/* It is done: taken, or given up. */
void queue_next_done(struct queue *q);
/* True if more than the group whose turn it is waits. */
bool queue_has_more(const struct queue *q);
