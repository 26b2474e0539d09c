/* promtail/source.h - how far each thing we read has been read, queued and acknowledged.
 *
 * A source is one generation of a file, a partition of a topic, a journal: something that can be
 * read again from a position.  The rule that makes every line arrive exactly once:
 *   - a target raises `read_to` after each record it has put through the pipeline;
 *   - a stage that keeps a record back (cri, multiline) marks its bytes with source_hold() and
 *     frees them with source_release() when it lets the record go;
 *   - a client that closes its batches writes, in the same journal record as the batches, read_to
 *     and the held ranges of every source that moved: what lies below and is not held is in a
 *     batch or was dropped for good;
 *   - after a restart the target starts at source_resume() and asks source_wants() for each line.
 *
 * Loop thread only.  Sources are owned by the registry; a target holds a reference while reading,
 * each client one while something is unacknowledged. */
#pragma once
#include "base/buf.h"
#include "base/map.h"
#include "base/vec.h"

struct range {
    int64_t from, to; /* [from, to) */
};

struct held_range {
    struct range range;
    const void *owner; /* the stage's kept record */
};

/* How far one client has come with one source. */
struct source_mark {
    int64_t pos;             /* all below is durable with the client, save the holes */
    VEC(struct range) holes; /* sorted, not touching */
};

struct source {
    char *key;      /* unique; for files job, path and identity */
    char *yaml_key; /* name in positions.yaml; NULL: not kept there */
    unsigned refs;
    int64_t read_to; /* all below was put through the pipeline */
    VEC(struct held_range) held;
    struct source_mark *queued; /* [n_clients]: in the client's spool */
    struct source_mark *acked;  /* [n_clients]: taken by the peer, or given up */
    uint64_t moved;             /* counts changes of read_to and held; clients compare it */
    uint64_t *moved_seen;       /* [n_clients] */
    bool is_dirty;              /* in the registry's list of moved sources */
    /* Called when the position acknowledged by all clients rises (Kafka commits there); may be
     * NULL. */
    void (*on_acked)(void *arg, int64_t pos);
    void *arg;
    int64_t acked_all; /* lowest acked position over the clients */
};

struct source_registry {
    struct strmap by_key;
    size_t n_clients;
    VEC(struct source *) dirty; /* moved since the clients last looked */
};

void source_registry_init(struct source_registry *r, size_t n_clients);
void source_registry_deinit(struct source_registry *r);
/* The source of this key, made at position `start` if new; one more reference. */
struct source *source_open(struct source_registry *r, str key, str yaml_key, int64_t start);
/* NULL if there is none; no reference is taken. */
struct source *source_find(const struct source_registry *r, str key);
struct source *source_ref(struct source *s);
void source_unref(struct source_registry *r, struct source *s);

/* Sets read_to after a record or a slice was put. */
void source_advance(struct source_registry *r, struct source *s, int64_t read_to);
void source_hold(struct source_registry *r, struct source *s, int64_t from, int64_t to,
                 const void *owner);
void source_release(struct source_registry *r, struct source *s, const void *owner);

/* Where to start reading again: the lowest position any client still needs. */
int64_t source_resume(const struct source *s);
/* True if some client, or client i, still needs the record that starts at `from`. */
bool source_wants_any(const struct source *s, int64_t from);
bool source_wants(const struct source *s, size_t client, int64_t from);
