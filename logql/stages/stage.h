/* logql/stages/stage.h - what every stage of a pipeline is: a table of functions and its compiled
 * form.
 *
 * A stage sees one line at a time, with its labels; it may change both, and says whether the line
 * goes on.  The compiled form is immutable and shared by threads; what a stage must remember from
 * line to line (caches keyed on numbers of names) is its local, one per run.  One file per stage;
 * pipeline.c puts them together. */
#pragma once
#include "base/status.h"
#include "logql/ast.h"
#include "logql/stages/labels_builder.h"

struct stage_line;
typedef bool stage_run(const void *stage, void *local, struct stage_line *line);

/* A label filter further on that asks for one label only: a parser runs it as soon as it has set
 * the label, so that the rest of a line that will be dropped need not be parsed.  It also means, as
 * in Loki, that of several values that cannot be converted the first one in the line is reported.
 */
struct early_filter {
    uint32_t id;
    stage_run *run;
    const void *stage;
    void *local;
};

/* The line a pipeline is looking at. */
struct stage_line {
    str text;
    int64_t ts_ns;
    struct labels_builder *labels;
    struct arena *arena; /* what a stage makes of this line: texts, values; forgotten after it */
    const struct early_filter *early; /* [n_early] for the parser that is running */
    size_t n_early;
};

/* Sets a parsed label; false: the line is dropped. */
static inline bool stage_set(struct stage_line *line, uint32_t id, str value)
{
    labels_builder_set(line->labels, id, value);
    for (size_t i = 0; i < line->n_early; i++)
        if (line->early[i].id == id)
            return line->early[i].run(line->early[i].stage, line->early[i].local, line);
    return true;
}

struct str_list;

struct stage_ops {
    const char *name;
    bool runs_early_filters; /* a parser that calls stage_set() */
    /* Compiles; E_PARSE with Loki's text.  `a` lives as long as the pipeline. */
    int (*compile)(const struct stage *s, struct arena *a, void **ret, struct error *err);
    /* Frees what lies outside the arena; NULL: nothing does. */
    void (*release)(void *stage);
    /* Makes and frees the local; both NULL if there is none.  Made anew when the numbers of names
     * are. */
    void *(*local_new)(const void *stage, struct labels_builder *b);
    void (*local_free)(void *local);
    /* False: the line is dropped. */
    stage_run *run;
    /* Adds names of labels that the stage reads (Loki's RequiredLabelNames); NULL: none. */
    void (*reads)(const void *stage, struct str_list *into);
};

extern const struct stage_ops stage_json, stage_json_expr, stage_logfmt, stage_logfmt_expr,
    stage_regexp, stage_pattern, stage_unpack, stage_decolorize, stage_label_filter,
    stage_line_filter, stage_line_format, stage_label_format, stage_drop, stage_keep;

/* Compiles one tree of label filters for stage_label_filter.run: those of unwrap. */
int filter_tree_compile(const struct label_filter *f, struct arena *a, void **ret,
                        struct error *err);
/* The label of a tree that asks for one only; empty for others, and for filters that pass all. */
str filter_tree_label(const void *stage);

/* Names gathered from stages, in an arena. */
struct str_list {
    struct arena *arena;
    str *items;
    size_t len, cap;
};

/* Adds a name unless it is empty or there already. */
void str_list_add(struct str_list *l, str name);

/* Texts of __error__. */
#define ERROR_JSON              STR("JSONParserErr")
#define ERROR_LOGFMT            STR("LogfmtParserErr")
#define ERROR_SAMPLE_EXTRACTION STR("SampleExtractionErr")
#define ERROR_LABEL_FILTER      STR("LabelFilterErr")
#define ERROR_TEMPLATE          STR("TemplateFormatErr")
