/* ingester/tail.h - who wants to see new entries as they come.
 *
 * Threads: any.  tail_publish() calls subscribers on the pushing thread, under a read lock, so
 * that none is called after tail_remove() returned. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "base/vec.h"
#include "proto/push_sink.h"
#include "proto/query_source.h"

struct tail_set {
    pthread_rwlock_t lock;
    atomic_size_t n; /* read without the lock: most of the time nobody listens */
    VEC(struct tail_sub *) subs;
};

void tail_set_init(struct tail_set *t);
void tail_set_deinit(struct tail_set *t);
/* Copies the matchers. */
int tail_add(struct tail_set *t, const struct select_params *p, tail_entries *fn, void *arg,
             struct tail_sub **ret);
void tail_remove(struct tail_set *t, struct tail_sub *sub);
void tail_publish(struct tail_set *t, str tenant, const struct push_stream *streams, size_t n);
