/* promtail/source.h - how far each thing we read has been read, queued and acknowledged.
 *
 * A source is one generation of a file, a partition of a topic, a journal: something that can be
 * read again from a position.  The rule that makes every line arrive exactly once:
 *   - a target calls source_advance() after each record it has put through the pipeline;
 *   - a stage that keeps a record back (cri, multiline) marks its bytes with source_hold() and
 *     frees them with source_release() after it has handed the record on;
 *   - a client that closes its batches writes, in the same spool record as the batches, the mark of
 *     every source that moved (source_mark_queued): what lies below `pos` and in no hole is in a
 *     batch or was dropped for good;
 *   - after a restart the target starts at source_resume(), and each client refuses the records it
 *     does not want any more (source_wants).
 *
 * Loop thread only.  The registry owns the sources. */
#pragma once
#include "base/map.h"
#include "base/vec.h"

struct range {
    int64_t from, to; /* [from, to) */
};

struct held_range {
    struct range range;
    const void *owner; /* stands for the record that a stage keeps */
};

/* How far one client has come with one source. */
struct source_mark {
    int64_t pos;      /* all below is done, save the holes */
    bool is_told;     /* it stands in the journal, be it that nothing was read yet */
    bool is_finished; /* and there it says that nothing more is to come */
    struct {
        struct range *items;
        size_t len, cap;
    } holes; /* sorted, not overlapping */
};

/* What tells one generation of a file from another under the same name. */
struct source_ident {
    uint64_t dev, ino;
    uint64_t head_hash; /* of the first head_bytes bytes */
    uint32_t head_bytes;
};

struct source {
    char *key;                 /* unique */
    char *name;                /* shared by the generations of one file: job 0x1f path */
    char *yaml_key;            /* name in positions.yaml; NULL: not kept there */
    struct source *next_named; /* of the same name */
    int64_t start;             /* where reading began: what a client needs that never heard of it */
    struct source_ident ident;
    unsigned refs;           /* of targets and of groups under way */
    bool is_claimed;         /* a target reads it */
    bool is_finished;        /* nothing more will be read: forgotten once acknowledged */
    bool is_left;            /* read to its end, and no target wants more of it at present */
    int64_t read_to;         /* all below was put through the pipeline */
    int64_t settled_mono_ns; /* first seen to be finished and acknowledged; 0: not yet */
    struct {
        struct held_range *items;
        size_t len, cap;
    } held;
    struct source_mark *queued; /* [n_clients]: safe in the client's spool */
    struct source_mark *acked;  /* [n_clients]: taken by the peer, or given up */
    /* Called when the position acknowledged by all clients rises (Kafka commits there); may be
     * NULL. */
    void (*on_acked)(void *arg, int64_t pos);
    void *arg;
};

struct source_registry {
    struct strmap by_key;
    struct strmap by_name; /* -> the first of the name, newest first */
    size_t n_clients;
};

void source_registry_init(struct source_registry *r, size_t n_clients);
void source_registry_deinit(struct source_registry *r);
/* All sources, those of a name in the order in which they were opened.  The caller frees the list.
 */
struct source_list {
    struct source **items;
    size_t len, cap;
};
struct source_list source_registry_list(const struct source_registry *r);
/* Frees the finished sources that nothing refers to.  Of a file some are kept, as long as more of
 * that name is to come and for an hour beyond: their texts may turn up once more, as copies, and
 * what comes after them under that name may be rotated unseen. */
void source_registry_sweep(struct source_registry *r);
/* Clients for which is_new[i] is true have never been told anything: they begin where reading goes
 * on for the others.  When all journals are read, before anything else is. */
void source_registry_join(struct source_registry *r, const bool *is_new);

/* The source of this key, made with all marks at `start` if new; one more reference. */
struct source *source_open(struct source_registry *r, str key, str name, str yaml_key,
                           int64_t start);
struct source *source_find(const struct source_registry *r, str key); /* NULL if none */
/* The first source of this name, the others by next_named; NULL if none. */
struct source *source_first_named(const struct source_registry *r, str name);
struct source *source_ref(struct source *s);
void source_unref(struct source *s);
/* Begins anew at `pos` for all clients (a target was told to by positions.yaml). */
void source_restart(struct source_registry *r, struct source *s, int64_t pos);

void source_advance(struct source *s, int64_t read_to);
void source_hold(struct source *s, int64_t from, int64_t to, const void *owner);
void source_release(struct source *s, const void *owner);

/* Where to start reading again: the lowest position any client still needs. */
int64_t source_resume(const struct source_registry *r, const struct source *s);
/* True if client i still needs the record that starts at `from`. */
bool source_wants(const struct source *s, size_t client, int64_t from);
/* Brings the queued mark of a client up to date; true if it changed. */
bool source_mark_queued(struct source *s, size_t client);
/* True if that would tell something. */
bool source_has_news(const struct source *s, size_t client);
/* True if all clients were told that nothing more is to come. */
bool source_was_finished(const struct source_registry *r, const struct source *s);
/* The group that carried `mark` was acknowledged.  Takes the mark over. */
void source_mark_acked(const struct source_registry *r, struct source *s, size_t client,
                       struct source_mark *mark);
/* The lowest acknowledged position over all clients, holes counted. */
int64_t source_acked(const struct source_registry *r, const struct source *s);

void source_mark_copy(struct source_mark *to, const struct source_mark *from);
/* False if the holes are not what the registry writes: a damaged journal. */
bool source_mark_is_sound(const struct source_mark *m);
/* Lowers `m` to the first position that `to` lacks, if it is beyond. */
void source_mark_go_back(struct source_mark *m, const struct source_mark *to);
void source_mark_deinit(struct source_mark *m);
