/* distributor/spread.h - gives a batch to the ingesters that own its streams and waits for a quorum
 * of each stream's replicas.
 *
 * With one ingester the batch goes through as it is.  With more, each gets its share; the answer
 * comes as soon as every stream has its quorum or cannot get it any more, while slower ingesters
 * may still read the batch: so the end has two steps, answer and release. */
#pragma once
#include "base/arena.h"
#include "distributor/ring.h"
#include "proto/push_sink.h"

struct spread_ops {
    /* Once: the outcome, as push_done tells it. */
    void (*answer)(void *arg, int code, const struct error *err);
    /* Once, after answer: nobody uses the batch and the arena any more. */
    void (*release)(void *arg);
};

/* Stores `batch` on `replication_factor` ingesters of the ring (fewer if there are not so many
 * ACTIVE, but more than half of them).  `a`, the batch and all it points to live until release.
 * Any thread; the calls of `ops` come on any thread, perhaps before this returns. */
void spread_push(const struct ring *ring, unsigned replication_factor,
                 const struct push_batch *batch, struct arena *a, const struct spread_ops *ops,
                 void *arg);
