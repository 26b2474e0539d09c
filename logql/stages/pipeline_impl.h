/* logql/stages/pipeline_impl.h - the inside of struct pipeline, for pipeline.c and pipeline_run.c.
 */
#pragma once
#include "logql/pipeline.h"
#include "logql/stages/label_sets.h"
#include "logql/stages/line_filter.h"
#include "logql/stages/stage.h"

/* A line filter moved to the front. */
struct pipeline_filter {
    struct line_matcher matcher;
    const struct line_filter *source;
};

struct pipeline_step {
    const struct stage_ops *ops;
    void *stage;
    const struct stage *source; /* NULL: a filter of unwrap */
    const struct label_filter *filter;
    size_t *early; /* [n_early] label filters further on that this parser runs too */
    size_t n_early;
};

/* How the labels of a line become those of its sample. */
enum pipeline_grouping {
    GROUPING_NONE,    /* all labels */
    GROUPING_EMPTY,   /* one series without labels */
    GROUPING_BY,      /* these */
    GROUPING_WITHOUT, /* all but these */
};

struct pipeline {
    struct arena arena;
    enum pipeline_sample sample;
    struct pipeline_filter *filters; /* over blocks, in the order in which they run */
    size_t n_filters;
    struct pipeline_step *steps; /* line by line; filters of unwrap stand at the end */
    size_t n_steps;
    size_t n_before_unwrap; /* steps that run before the label is converted */
    const struct unwrap *unwrap;
    enum pipeline_grouping grouping;
    const str *groups;
    size_t n_groups;
    struct parser_hints hints;
    const str *reads; /* labels that steps, grouping and unwrap ask for */
    size_t n_reads;
    bool is_text_needed;   /* some step, or the result, needs more of a line than its length */
    bool is_length_needed; /* sums of bytes */
    bool may_fail;         /* a step may set __error__, and then all labels are shown */
    bool is_set_by_meta;   /* steps look at labels only: all lines with the same metadata fare alike
                            */
    bool reads_any_label;  /* a template that prints them all */
};
