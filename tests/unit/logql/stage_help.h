/* tests/unit/logql/stage_help.h - a query over one line, its outcome as text. */
#pragma once
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/vec.h"
#include "logql/parser.h"
#include "logql/pipeline.h"

/* One line of the stream {app="x"}; metadata as {a="b"}, "" for none. */
struct stage_case {
    const char *query; /* behind the selector: | json | a="b"; or a whole metric query */
    const char *line;
    const char *want; /* as stage_outcome() prints it */
    const char *meta;
};

struct stage_fixture {
    struct arena arena;
    struct expr *expr;
    struct pipeline *pipeline;
    struct pipeline_run *run;
    struct labels stream;
};

static inline const struct expr *stage_leaf(const struct expr *e, struct grouping *g)
{
    const struct expr *outer = NULL;
    for (; e->kind == EXPR_VECTOR_AGG; e = e->vector_agg.inner)
        outer = e;
    if (e->kind == EXPR_RANGE_AGG && e->range_agg.grouping.is_present)
        *g = e->range_agg.grouping;
    else if (outer != NULL && outer->vector_agg.op == VECTOR_SUM)
        *g = (struct grouping){true, outer->vector_agg.grouping.is_without,
                               outer->vector_agg.grouping.labels, outer->vector_agg.grouping.n};
    return e;
}

/* Compiles a log query, or the range of a metric query.  Returns what pipeline_compile() does. */
static inline int stage_open(struct stage_fixture *f, const char *query, struct error *err)
{
    memset(f, 0, sizeof *f);
    arena_init(&f->arena, SIZE_MAX);
    bool is_whole = strchr(query, '(') != NULL && strstr(query, "_over_time(") != NULL;
    is_whole |= strstr(query, "rate(") != NULL || query[0] == '{';
    str text = is_whole ? str_c(query) : arena_printf(&f->arena, "{app=\"x\"} %s", query);
    int r = logql_parse(text, &f->arena, &f->expr, err);
    if (r != 0)
        return r;
    struct pipeline_params pp = {0};
    const struct expr *leaf = stage_leaf(f->expr, &pp.grouping);
    const struct log_expr *log = &leaf->log;
    if (leaf->kind == EXPR_RANGE_AGG) {
        enum range_op op = leaf->range_agg.op;
        log = &leaf->range_agg.range.log;
        pp.unwrap = leaf->range_agg.range.unwrap;
        pp.sample = pp.unwrap != NULL                                       ? PIPELINE_VALUE
                    : op == RANGE_BYTES_OVER_TIME || op == RANGE_BYTES_RATE ? PIPELINE_BYTES
                                                                            : PIPELINE_COUNT;
        pp.is_labels_ignored = op == RANGE_ABSENT_OVER_TIME;
    }
    pp.stages = log->stages;
    pp.n_stages = log->n_stages;
    r = pipeline_compile(&pp, &f->pipeline, err);
    if (r != 0)
        return r;
    f->run = pipeline_run_new(f->pipeline);
    static const struct label app = {{"app", 3}, {"x", 1}};
    f->stream = (struct labels){&app, 1};
    pipeline_run_stream(f->run, &f->stream);
    return 0;
}

static inline void stage_close(struct stage_fixture *f)
{
    pipeline_run_free(f->run);
    pipeline_free(f->pipeline);
    logql_release(f->expr);
    arena_deinit(&f->arena);
}

/* "dropped"; or the labels without app="x", then " > " and the line if a stage changed it, or
 * " = " and the value of a sample. */
static inline const char *stage_outcome(struct stage_fixture *f, str line,
                                        const struct labels *meta)
{
    struct pipeline_result r;
    if (!pipeline_run_entry(f->run, 0, line, meta, &r))
        return "dropped";
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    for (size_t i = 0; i < r.labels->all.n; i++) {
        const struct label *l = &r.labels->all.items[i];
        if (!str_eq(l->name, STR("app")) || !str_eq(l->value, STR("x")))
            buf_printf(&b, "%s%.*s=%.*s", b.len > 0 ? " " : "", STR_ARG(l->name),
                       STR_ARG(l->value));
    }
    if (stage_leaf(f->expr, &(struct grouping){0})->kind == EXPR_RANGE_AGG)
        buf_printf(&b, " = %g", r.value);
    else if (!str_eq(r.line, line))
        buf_printf(&b, " > %.*s", STR_ARG(r.line));
    const char *text = arena_c(&f->arena, str_trim(buf_str(&b)));
    buf_deinit(&b);
    return text;
}

static inline void stage_check(const struct stage_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct stage_fixture f;
        struct error err = {0};
        int r = stage_open(&f, cases[i].query, &err);
        cr_assert_eq(r, 0, "%s: %s", cases[i].query, err.text);
        struct labels meta = LABELS_EMPTY;
        if (cases[i].meta != NULL)
            cr_assert_eq(labels_parse(str_c(cases[i].meta), &f.arena, &meta, NULL), 0);
        const char *got = stage_outcome(&f, str_c(cases[i].line), &meta);
        cr_expect_str_eq(got, cases[i].want, "%s\n on   %s\n got  %s\n want %s", cases[i].query,
                         cases[i].line, got, cases[i].want);
        stage_close(&f);
    }
}

#define STAGE_CHECK(...)                                                                           \
    do {                                                                                           \
        const struct stage_case cases_[] = {__VA_ARGS__};                                          \
        stage_check(cases_, sizeof cases_ / sizeof cases_[0]);                                     \
    } while (0)

static inline void stage_check_error(const char *query, const char *want)
{
    struct stage_fixture f;
    struct error err = {0};
    cr_expect_neq(stage_open(&f, query, &err), 0, "%s compiles", query);
    cr_expect_str_eq(err.text, want, "%s\n got  %s\n want %s", query, err.text, want);
    stage_close(&f);
}
