/* logql/engine/internal.h - what the files of the engine share.
 *
 * A query is a tree of expressions whose leaves (one log selector each) are scanned; the shards of
 * a query are parts of its leaves' scans.  Everything made before and after the shards run lives in
 * query->arena; what a shard makes is its own until engine_finish(). */
#pragma once
#include <stdatomic.h>
#include <stddef.h>

#include "base/map.h"
#include "base/vec.h"
#include "logql/engine/engine.h"
#include "logql/engine/scan.h"
#include "logql/engine/series.h"
#include "logql/engine/window.h"
#include "logql/pipeline.h"

#define ENGINE_SHARDS_MAX_DEFAULT   16
#define ENGINE_SHARD_BYTES_MIN      (2u << 20) /* less work is not worth a shard of its own */
#define ENGINE_MEMORY_BYTES_DEFAULT (2ull << 30)
#define ENGINE_LABEL_BYTES_MAX      (64u << 20) /* label sets one log shard keeps interned */

/* The numbers of engine_stats; has_meta, its last field, is known since prepare. */
#define ENGINE_COUNTERS (offsetof(struct engine_stats, has_meta) / sizeof(uint64_t))

struct kept_entry;

/* One log selector of the query and what it is for. */
struct leaf {
    const struct expr *expr; /* EXPR_LOG or EXPR_RANGE_AGG */
    const struct log_expr *log;
    struct pipeline *pipeline;
    struct scan scan;
    struct window_plan window; /* of a range aggregation */
    enum pipeline_sample sample;
    bool is_pushed_down; /* the grouping of the vector aggregation above is done here */
    size_t first_shard, n_shards;
    /* Log queries: units in the order in which they are looked at; shards take the next one. */
    const uint32_t *order;
    atomic_size_t next_unit;
    /* What its shards did: the numbers of engine_stats; relaxed, they order nothing. */
    atomic_uint_fast64_t counters[ENGINE_COUNTERS];
};

/* A sample that carries an error: the earliest one is reported. */
struct sample_error {
    bool is_set;
    int64_t ts_ns;
    struct labels labels; /* in the run's memory */
};

struct shard {
    struct leaf *leaf;
    size_t unit_from, unit_to; /* metric queries: the units of this shard */
    struct pipeline_run *run;
    struct series_table *series;
    struct sample_error failed_sample;
    /* Log queries: a heap of the best entries, the worst on top. */
    VEC(struct kept_entry) kept;
    struct arena copied_labels; /* label sets moved out of the run when it forgot them */
    struct engine_stats stats;  /* since the last time they were published */
    int64_t cpu_ns;
    struct error err;
    bool is_done;
};

struct engine_query {
    const struct expr *expr; /* as asked */
    const struct expr *plan; /* as run: rewrite.h */
    struct engine_params params;
    struct arena *plan_arena; /* the caller's */
    struct arena arena;       /* of the result and the merge */
    struct arena selections;  /* block lists */
    int64_t start_ns, end_ns; /* after alignment */
    size_t n_steps;           /* metric queries */
    struct leaf *leaves;
    size_t n_leaves;
    struct shard *shards;
    size_t n_shards;
    atomic_bool is_failed; /* some shard failed: the others need not go on */
    /* Log queries: no entry worse than this time can be among the answer; see logs.c. */
    _Atomic int64_t bound_ns;
    atomic_uint_fast64_t read_bytes, held_bytes;
    bool is_finished;
    struct engine_stats prepared; /* what was known after prepare */
    size_t result_series, result_points;
    int64_t finish_cpu_ns;
};

/* Adds a shard's stats to its leaf's and empties them. */
void engine_publish_stats(struct shard *s);
/* What the shards of a leaf have done. */
void engine_leaf_stats(const struct leaf *leaf, struct engine_stats *ret);
/* Asked between blocks: 0, or why the query must end (E_CANCELED, E_LIMIT ...).  `added_bytes`:
 * line bytes looked at since the last call. */
int engine_check(struct engine_query *q, uint64_t added_bytes, struct error *err);
/* Counts memory that a shard holds, *held of which are counted already, against the query's limit.
 * 0 or E_LIMIT. */
int engine_hold(struct engine_query *q, size_t *held, size_t now, struct error *err);
/* Reports a failure of a shard. */
void engine_shard_fail(struct engine_query *q, struct shard *s, int code);

/* logs.c */
int logs_plan(struct engine_query *q, struct leaf *leaf);
void logs_run_shard(struct engine_query *q, struct shard *s);
int logs_finish(struct engine_query *q, struct engine_result *ret, struct error *err);
void logs_shard_deinit(struct shard *s);

/* samples.c */
void samples_run_shard(struct engine_query *q, struct shard *s);

/* eval.c */
int eval_finish(struct engine_query *q, struct engine_result *ret, struct error *err);
