/* logql/pipeline.h - from a block of entries to the lines, or samples, that a query wants.
 *
 * A pipeline is compiled once per query from the stages of a log expression (line filters, parsers,
 * label filters, formats, unwrap): immutable, any number of threads.  Each worker makes its own
 * pipeline_run, tells it the stream, hands it blocks and pulls results:
 *
 *     pipeline_compile(&params, &p, err);
 *     run = pipeline_run_new(p);
 *     for each stream:
 *         s = pipeline_run_stream(run, &labels);
 *         for each block: (read s.columns and the times)
 *             pipeline_run_block(run, view, from, to, backward);
 *             while (pipeline_run_next(run, &r)) ...
 *     pipeline_run_free(run); pipeline_free(p);
 *
 * Leading line filters run over the text of the whole block; only lines they leave are looked at
 * one by one.  Nothing is allocated per line: a label set is stored once, the first time it occurs.
 * The tree the pipeline was compiled from must outlive it. */
#pragma once
#include "base/buf.h"
#include "logql/ast.h"
#include "proto/block.h"

enum pipeline_sample {
    PIPELINE_LINES, /* a log query: the line and all its labels */
    PIPELINE_COUNT, /* each line is 1 */
    PIPELINE_BYTES, /* each line is its length after the stages */
    PIPELINE_VALUE, /* the unwrapped label */
};

struct pipeline_params {
    const struct stage *const *stages;
    size_t n_stages;
    enum pipeline_sample sample;
    const struct unwrap *unwrap; /* for PIPELINE_VALUE */
    /* Labels that make a series of samples.  !is_present: all labels (without the unwrapped one).
     * Present: the range aggregation's own grouping, or the vector aggregation's where it may be
     * pushed down; `by ()` puts everything into one series without labels.  As in Loki, the
     * parsers then look only for labels that something asks for, and stop when all are found. */
    struct grouping grouping;
    bool is_labels_ignored; /* absent_over_time: one series without labels, whatever the grouping */
};

struct pipeline;

/* Compiles.  E_PARSE with Loki's text (bad regex, template, expression, ip()); the caller frees
 * *ret with pipeline_free(). */
int pipeline_compile(const struct pipeline_params *params, struct pipeline **ret,
                     struct error *err);
void pipeline_free(struct pipeline *p); /* NULL allowed; no run may be left */

/* True if no stage can drop a line (then the number of lines needs no text). */
bool pipeline_keeps_all(const struct pipeline *p);

/* ---- label sets ---- */

/* A distinct label set of results, interned by one run: equal sets have one address (in log queries
 * as long as each label has the same origin).  Values may be empty.  Lives until
 * pipeline_run_forget() or pipeline_run_free(). */
struct pipeline_labels {
    struct labels all;                  /* sorted by name; the series of a sample */
    struct labels stream, meta, parsed; /* the same by origin, each sorted; log queries only */
    uint64_t hash;                      /* labels_hash(&all): the same in every run */
    str error, error_details;           /* of __error__, __error_details__; empty if none */
    uint32_t id;                        /* 0, 1, 2 ... in the order they were first seen */
    void *user; /* the caller's own, NULL at first: where the aggregator keeps its series */
};

/* ---- running ---- */

struct pipeline_run;

struct pipeline_run *pipeline_run_new(const struct pipeline *p);
void pipeline_run_free(struct pipeline_run *run); /* NULL allowed */

struct pipeline_stream {
    unsigned columns; /* enum block_column beyond BLOCK_TIMES that run_block needs for this stream
                       * when the block has structured metadata; without: BLOCK_META is needless */
    /* Not NULL: every line of the stream passes and belongs to this series, whatever stands in it
     * and in its structured metadata: counts (and, if the pipeline is PIPELINE_BYTES, bytes) may
     * come from footers. */
    struct pipeline_labels *constant;
    /* The same for entries whose structured metadata is detected_level at most (blocks without
     * BLOCK_REF_HAS_META); not NULL whenever `constant` is. */
    struct pipeline_labels *constant_if_plain;
};

/* Says which stream the next blocks belong to; `stream` must live until the next call. */
struct pipeline_stream pipeline_run_stream(struct pipeline_run *run, const struct labels *stream);

/* Begins with entries [from, to) of a block that has the columns asked for (without BLOCK_META: as
 * if no entry had metadata), first to last or last to first.  The view must live until the last
 * pipeline_run_next(). */
void pipeline_run_block(struct pipeline_run *run, const struct block_view *v, uint32_t from,
                        uint32_t to, bool is_backward);

/* True if the pipeline has line filters that run over whole blocks, within pipeline_run_block(). */
bool pipeline_filters_blocks(const struct pipeline *p);
/* True if they left some entry of the block.  Only pipeline_run_next() looks at times and metadata,
 * so who has decoded nothing but the lines may ask this, and put the other columns into the view
 * before the first pipeline_run_next(). */
bool pipeline_run_has_lines(const struct pipeline_run *run);

struct pipeline_result {
    uint32_t at; /* entry of the block: its time is v->ts_ns[at] */
    str line;    /* after the stages; lives until the next call; empty when no text was read */
    struct pipeline_labels *labels;
    double value; /* of the sample; 0 for PIPELINE_LINES */
};

/* The next entry that passes; false at the end of the block or when an error broke the pipeline
 * (pipeline_run_error). */
bool pipeline_run_next(struct pipeline_run *run, struct pipeline_result *ret);

/* One entry by itself (tail).  False if it does not pass. */
bool pipeline_run_entry(struct pipeline_run *run, int64_t ts_ns, str line,
                        const struct labels *meta, struct pipeline_result *ret);

/* 0, or the status that ended the run: E_LIMIT when lines have more label names than a run may
 * hold. */
int pipeline_run_error(const struct pipeline_run *run, struct error *err);

/* 0, or E_INTERNAL with Loki's text if a set holds a label without a name (from a JSON object with
 * an empty key): Loki fails a query that would answer with such a set. */
int pipeline_labels_check(const struct labels *all, struct error *err);

/* Forgets all label sets: their pointers die.  For log queries between blocks, once what is kept
 * has been copied; bytes held: pipeline_run_label_bytes(). */
void pipeline_run_forget(struct pipeline_run *run);
size_t pipeline_run_label_bytes(const struct pipeline_run *run);

/* ---- explain ---- */

/* What one step of a pipeline did in one run.  Steps are in the order in which they run, which may
 * differ from the order of the query: line filters go first. */
struct pipeline_step_stats {
    uint64_t lines_in, lines_out;
    uint64_t bytes_in; /* text looked at */
    uint64_t cpu_ns;   /* only when timed */
};

size_t pipeline_step_count(const struct pipeline *p);
/* The step as text, and how it is done: |= "error"  (over whole blocks: memmem). */
bool pipeline_step_print(const struct pipeline *p, size_t step, struct buf *out);
/* Measures cpu_ns from now on (costs two clock reads a line and step). */
void pipeline_run_time_steps(struct pipeline_run *run);
struct pipeline_step_stats pipeline_run_step_stats(const struct pipeline_run *run, size_t step);
