/* promtail/targets/file/tail.h - one path being followed, through all its generations.
 *
 * A generation is one file that has stood under the path: it ends by rename, removal or truncation
 * and is read to its end before the next one begins.  What happened is not taken from events but
 * found by looking: tail_check() compares what stands under the path with what is open.
 * Loop thread only. */
#pragma once
#include "promtail/pipeline.h"
#include "promtail/positions.h"
#include "promtail/targets/file/encoding.h"
#include "promtail/targets/file/ident.h"
#include "promtail/targets/file/inflate.h"
#include "promtail/targets/file/pool.h"

#define SLICE_BYTES    (256u * 1024)
#define LINE_BYTES_MAX (64u << 20) /* a longer line is cut there */

struct tail;

struct generation {
    struct tail *tail;
    struct source *source;
    struct generation *next; /* newer ones follow */
    int fd;                  /* -1: closed for want of descriptors */
    int64_t offset;          /* of the next line; compressed: its number */
    int64_t size;            /* when last looked at */
    int64_t size_at_end;     /* when it was read to the end: a part of a line may be left */
    size_t slice_bytes;      /* of the next read */
    long mtime_nsec;
    bool is_current;         /* stands under the path */
    bool at_end;             /* nothing more to read when last looked */
    struct inflate *inflate; /* compressed files, and .gz copies of lost generations */
    int64_t skip_bytes;      /* .gz copy: plain bytes before offset */
    struct buf carry;        /* compressed: the line being put together */
    bool is_broken;          /* cannot be read (any more) */
    bool is_overwritten;     /* truncated, and something else stands in it */
    bool is_truncated;       /* waits for a look at the folder: is there a copy? */
    bool is_postponed;       /* cannot be read: tried again at the next look */
    bool said_error;
    int64_t again_mono_ns; /* compressed, and ended too early: looked at again then; 0: no */
    int64_t written_ns;    /* when last, as far as is known: orders those not under the path */
    int64_t quiet_since_mono_ns;
    int64_t looked_tick_ns; /* clock_tick_ns() before the last look */
    /* of the pool */
    bool is_queued, is_listed;
    struct generation *queue_next, *open_next, *open_prev;
};

/* What the tails of one job share. */
struct tail_env {
    struct tail_pool *pool;
    struct pipeline *pipeline;
    struct source_registry *sources;
    struct positions *positions;
    const struct scrape_config *job;
    /* True if the path is followed as a file of its own. */
    bool (*is_tailed)(void *arg, str path);
    /* True if a tail has that name: it will take up the sources of it. */
    bool (*is_named)(void *arg, str name);
    /* A tail waits for tail_begin(); for many together, so that a folder is read but once. */
    void (*wants_begin)(void *arg);
    void *arg;
};

struct tail {
    const struct tail_env *env;
    char *path;
    char *place;              /* what the path leads to: what is rotated stands beside that */
    char *name;               /* of its sources: job, labels, path */
    struct label_list labels; /* with filename; in arena */
    struct label_stem *stem;  /* of labels */
    struct arena arena;
    struct encoding *encoding;
    struct generation *first; /* oldest */
    struct path_metrics *metrics;
    int64_t last_ts_ns;
    /* Opened under the path and not begun; fd -1: nothing. */
    struct {
        int fd;
        struct source_ident ident; /* these three as they were at the last look */
        char *head;                /* of ident.head_bytes bytes */
        int64_t size;
        int64_t tick_ns; /* clock_tick_ns() before it */
        int64_t opened_ns;
        int64_t begun_ns; /* something before it, not to be found any more, was begun; 0: nothing */
        int64_t after_ns; /* what was written later came between; 0: not known yet */
    } next;
    bool is_waiting;    /* for tail_begin() */
    unsigned looks;     /* at the folder, since then */
    bool is_expected;   /* the journal knows the path, though nothing may stand there now */
    bool is_there;      /* something stands under the path */
    bool is_leaving;    /* nothing new is begun */
    bool was_recovered; /* the journal was asked */
    bool has_history;   /* something of this path was read before: positions.yaml is of no use */
    bool is_refused;    /* its saved position is no number: Promtail does not read it then */
    bool said_error;
};

/* `labels` without internal ones and without filename.  Opens nothing yet: tail_check does. */
int tail_new(const struct tail_env *env, str path, const struct label_list *labels,
             struct tail **ret, struct error *err);
void tail_free(struct tail *t);
/* What there is now is read, then no more is wanted; a call with false takes that back. */
void tail_leave(struct tail *t, bool is_leaving);
/* True when a tail that leaves has read all. */
bool tail_is_over(const struct tail *t);
/* Lets go of the file under the path: another tail follows it from here on. */
void tail_yield(struct tail *t);
/* tail_free() for one that is over. */
void tail_let_go(struct tail *t);
/* The journal knows of generations of this path: they are looked for even if it is gone. */
void tail_expect(struct tail *t);
/* Looks through the folder for what came before the file that was opened under the path, and begins
 * it.  False if something was renamed meanwhile: to be called again with folders read anew; after
 * some looks what is there is taken. */
bool tail_begin(struct tail *t, struct folder_set *folders);
/* Looks at the path and what is open, and queues what can be read.  False when nothing is left
 * under the path and all that was there is read: the tail may be freed. */
bool tail_check(struct tail *t);
/* The same, for when something was written; cheap while the file is being read anyway. */
void tail_on_event(struct tail *t);
bool tail_is_reading(const struct tail *t); /* has an open generation */
int64_t tail_position(const struct tail *t);
/* Sets promtail_read_bytes_total; now and then is enough, as Promtail does. */
void tail_tell_position(const struct tail *t);

/* For the pool. */
bool generation_is_held_up(const struct generation *g);
bool generation_read(struct generation *g); /* one slice; true: there is more */
bool generation_may_close(const struct generation *g);
void generation_close_fd(struct generation *g);
/* For the files of this folder that have a part of the life of a tail. */
struct generation *tail_current(const struct tail *t); /* NULL if none stands under the path */
/* Those not under the path stand in the order of their last write, the current one last. */
void tail_add_generation(struct tail *t, struct generation *g);
void tail_remove_generation(struct tail *t, struct generation *g, bool is_finished);
void tail_retire(struct generation *g);
void tail_drop_next(struct tail *t);
/* The descriptor of t->next, the caller's from now on. */
int tail_take_next(struct tail *t);
/* False if the file is not under the path any more, or cannot be opened. */
bool generation_open_fd(struct generation *g);
bool generation_read_compressed(struct generation *g);
void generation_put(struct generation *g, str line, int64_t from, int64_t to);
/* The line as UTF-8; valid until the next one. */
str generation_decode(struct generation *g, str line, int64_t offset);
