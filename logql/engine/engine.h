/* logql/engine/engine.h - runs a parsed LogQL query over query sources and gives its answer.
 *
 * Pure: no clock, no threads of its own, no I/O but through proto/query_source.h.
 * Life of a query:
 *     engine_prepare()            plan; selects streams and blocks (may block: on a worker)
 *     engine_run_shard(q, i)      for every i < engine_shard_count(q), in any order, several at
 * once engine_finish()             merge; the result lives until engine_free() engine_free()
 * always, also after a failure of any step but prepare All of prepare, finish, explain and free
 * belong to one thread at a time.  The tree, the params' strings and the sources outlive the query.
 *
 * How it works is told in docs/logql.md, section "How a query runs". */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "logql/ast.h"
#include "proto/query_source.h"

struct engine_query;

enum engine_direction { ENGINE_BACKWARD, ENGINE_FORWARD }; /* newest first, oldest first */

/* 0 means no limit. */
struct engine_limits {
    size_t series_max;         /* of one answer: max_query_series */
    size_t entries_max;        /* a log query may ask for: max_entries_limit_per_query */
    size_t streams_max;        /* a selector may meet */
    uint64_t read_bytes_max;   /* line bytes that one query may look at: max_bytes_read */
    int64_t length_ns_max;     /* end - start, and a [range]: max_query_length */
    int64_t range_ns_max;      /* of a [range]: max_query_range */
    uint64_t memory_bytes_max; /* for partial results; default 2 GiB when 0 */
    uint64_t answer_bytes_max; /* lines of a log query's answer with their labels */
};

#define ENGINE_POINTS_MAX 11000 /* steps of one query, as Loki's HTTP layer refuses more */

struct engine_params {
    str tenant;
    /* Log queries: start inclusive, end exclusive.  Metric queries: both are evaluation times.
     * Instant: start_ns == end_ns is the time of evaluation; step_ns is not looked at. */
    int64_t start_ns, end_ns;
    int64_t step_ns;     /* metric range queries; > 0 */
    int64_t interval_ns; /* log queries: at least so far between two entries; 0: all */
    uint32_t limit;      /* entries of a log query */
    enum engine_direction direction;
    bool is_instant;
    /* Start down and end up to multiples of step, as Loki's frontend does for metric range queries.
     * The HTTP API sets it; a ruler (instant) need not. */
    bool is_step_aligned;
    /* Group log answers by the labels of the stream alone and give metadata and parsed labels with
     * each entry (X-Loki-Response-Encoding-Flags: categorize-labels). */
    bool is_categorized;
    struct engine_limits limits;
    struct query_source *const *sources;
    size_t n_sources;
    /* How many shards to make at most; 0: 16.  Answers do not depend on it, save the last digits of
     * float sums. */
    unsigned shards_max;
    uint64_t shard_bytes_min; /* less work is not worth a shard of its own; 0: 2 MiB */
    /* Asked between blocks, by any shard; true ends the query.  stop_code, asked once after, says
     * why (E_CANCELED, E_TIMEOUT); NULL: E_CANCELED. */
    bool (*should_stop)(void *arg);
    int (*stop_code)(void *arg);
    void *stop_arg;
    /* CPU time of the calling thread, for the costs that explain shows; NULL: no costs. */
    int64_t (*cpu_ns)(void);
    bool is_explained; /* measure each step of the pipelines; costs some speed */
};

/* E_LIMIT, in Loki's words, if the range asked for is longer than `max_ns` (0: no limit).
 * engine_prepare() asks this, too. */
int engine_check_length(int64_t start_ns, int64_t end_ns, int64_t max_ns, struct error *err);

/* Checks limits and what needs no data, plans, and selects streams and blocks.  `a` holds the plan.
 * Errors have Loki's text and, where it differs from the code's own, Loki's HTTP status in
 * err->http. */
int engine_prepare(const struct expr *e, const struct engine_params *p, struct arena *a,
                   struct engine_query **ret, struct error *err);
/* May be 0 (1 + 1, or no stream matches). */
size_t engine_shard_count(const struct engine_query *q);
/* An error stays in the query and engine_finish() returns it; further shards then return at once.
 */
void engine_run_shard(struct engine_query *q, size_t i);

/* ---- the answer ---- */

enum engine_result_kind {
    ENGINE_STREAMS,
    ENGINE_MATRIX,
    ENGINE_VECTOR,
    ENGINE_SCALAR,
};

/* Structured metadata and parsed labels of an entry; either may be empty. */
struct engine_entry_labels {
    struct labels meta;
    struct labels parsed;
};

struct engine_entry {
    int64_t ts_ns;
    str line;
    const struct engine_entry_labels *labels; /* NULL unless is_categorized was asked */
};

/* Entries in the direction asked, equal times in their order of arrival (reversed when backward).
 */
struct engine_stream {
    struct labels labels; /* all labels; only those of the stream if is_categorized */
    const struct engine_entry *entries;
    size_t n_entries;
};

struct engine_point {
    int64_t ts_ms;
    double value;
};

/* A series of a matrix; in a vector n_points is 1. */
struct engine_series {
    struct labels labels;
    const struct engine_point *points;
    size_t n_points;
};

/* What was really done; the names follow Loki's stats JSON.  execTime, queueTime and what divides
 * by them are the caller's. */
struct engine_stats {
    uint64_t streams;              /* that matched */
    uint64_t chunks;               /* totalChunksRef */
    uint64_t chunks_read;          /* totalChunksDownloaded: at least one block was read */
    uint64_t blocks;               /* within the time range */
    uint64_t blocks_read;          /* some column was decoded */
    uint64_t blocks_from_footer;   /* answered without reading */
    uint64_t blocks_skipped;       /* not needed: limit met */
    uint64_t blocks_corrupt;       /* left out */
    uint64_t lines_processed;      /* totalLinesProcessed */
    uint64_t bytes_processed;      /* totalBytesProcessed: line and metadata bytes */
    uint64_t meta_bytes_processed; /* totalStructuredMetadataBytesProcessed */
    uint64_t head_lines;           /* of those, from memory: headChunkLines */
    uint64_t head_bytes;           /* headChunkBytes */
    uint64_t decompressed_lines;   /* decompressedLines */
    uint64_t decompressed_bytes;   /* decompressedBytes */
    uint64_t compressed_bytes;     /* compressedBytes */
    uint64_t lines_after_filters;  /* totalPostFilterLines */
    uint64_t duplicates;           /* totalDuplicates */
    uint64_t entries_returned;     /* totalEntriesReturned */
    uint64_t shards;               /* shards */
    uint64_t subqueries;           /* subqueries: leaves of the tree */
    bool has_meta;                 /* queryReferencedStructuredMetadata */
};

struct engine_result {
    enum engine_result_kind kind;
    const struct engine_stream *streams; /* STREAMS; by labels */
    size_t n_streams;
    const struct engine_series
        *series; /* MATRIX by labels; VECTOR by labels, or by value if sorted */
    size_t n_series;
    double scalar; /* SCALAR */
    int64_t scalar_ms;
    const str *warnings;
    size_t n_warnings;
    struct engine_stats stats;
};

/* Merges what the shards found.  *ret lives until engine_free(). */
int engine_finish(struct engine_query *q, struct engine_result *ret, struct error *err);
void engine_free(struct engine_query *q); /* NULL allowed */
/* The counts so far; while shards run they may be a little behind. */
void engine_query_stats(const struct engine_query *q, struct engine_stats *ret);

enum engine_explain_format { ENGINE_EXPLAIN_TEXT, ENGINE_EXPLAIN_JSON };

/* Prints the plan: steps with what they were rewritten to, streams, blocks and bytes that will be
 * looked at; after a run also what each step read, kept and cost.  JSON: one object.  False if the
 * buffer is full. */
bool engine_explain(const struct engine_query *q, enum engine_explain_format format,
                    struct buf *out);
