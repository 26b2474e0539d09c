/* distributor/ring.h - the hash ring: which ingesters hold a stream.
 *
 * Each instance owns tokens, numbers of 32 bits on a circle.  A stream's key is a number too; its
 * replicas are the owners of the next tokens clockwise, each instance once.  Today instances are
 * registered in this process; a store shared by several (etcd) will feed the same calls.
 * Threads: ring_add() and ring_set_state() take the lock for writing, look-ups for reading. */
#pragma once
#include "base/buf.h"
#include "base/status.h"

struct push_sink;
struct ring;

enum ring_state { RING_PENDING, RING_JOINING, RING_ACTIVE, RING_LEAVING, RING_LEFT };

#define RING_TOKENS_PER_INSTANCE 128
#define RING_INSTANCES_MAX       256
#define RING_REPLICAS_MAX        16

struct ring_instance {
    str id, addr, zone;
    enum ring_state state;
    int64_t heartbeat_ns; /* wall clock; 0: lives in this process, needs none */
    struct push_sink *sink;
};

struct ring *ring_new(void);
void ring_free(struct ring *r); /* NULL allowed */

/* Registers an instance with tokens made from its id (the same at each start).  Strings are copied;
 * the sink is borrowed.  Returns its index, E_FULL, or E_EXISTS if the id is there. */
int ring_add(struct ring *r, const struct ring_instance *instance);
int ring_set_state(struct ring *r, str id, enum ring_state state); /* E_NOT_FOUND */
size_t ring_count(const struct ring *r);
/* A copy of what is known of instance i; its strings live as long as the ring. */
struct ring_instance ring_at(const struct ring *r, size_t i);

/* Key of a stream: FNV-1 of the tenant and the labels' hash. */
uint32_t ring_key(str tenant, uint64_t labels_hash);
/* Indices of the ACTIVE instances for `key`: at most `wanted`, clockwise.  Returns how many. */
size_t ring_replicas(const struct ring *r, uint32_t key, size_t wanted,
                     unsigned ret[RING_REPLICAS_MAX]);

const char *ring_state_text(enum ring_state state);
/* The page /ring as JSON and as HTML. */
void ring_print_json(const struct ring *r, int64_t now_ns, struct buf *out);
void ring_print_html(const struct ring *r, int64_t now_ns, struct buf *out);
