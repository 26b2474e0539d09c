/* What the tests of stages share: a pipeline from YAML, lines put in, and what came out as text.
 *
 *   {a="b",job="test"} the line
 *
 * The n-th line (from 1) is read at n seconds; `@ns` is put in front of records with another time,
 * and their metadata behind them: `... the line + k=v`. */
#pragma once
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "promtail/pipeline.h"

#define PIPE_S INT64_C(1000000000)

struct pipe {
    struct record_sink sink; /* first member */
    struct arena nodes, lines;
    struct label_list labels;
    struct pipeline *pipeline;
    struct buf out;
    int64_t n_lines;
    struct error err;
    int rc;
};

static inline void pipe_append_labels(struct buf *out, const struct label_list *labels)
{
    struct label_list sorted;
    struct arena a;
    arena_init(&a, SIZE_MAX);
    label_list_copy(&sorted, &a, labels);
    label_list_sort(&sorted);
    buf_append_char(out, '{');
    for (size_t i = 0; i < sorted.n; i++)
        buf_printf(out, "%s%.*s=\"%.*s\"", i > 0 ? "," : "", STR_ARG(sorted.items[i].name),
                   STR_ARG(sorted.items[i].value));
    buf_append_char(out, '}');
    arena_deinit(&a);
}

static inline void pipe_take(struct record_sink *sink, struct record *r)
{
    struct pipe *p = (struct pipe *)sink;
    if (r->ts_ns % PIPE_S != 0 || r->ts_ns > 1000 * PIPE_S)
        buf_printf(&p->out, "@%lld ", (long long)r->ts_ns);
    pipe_append_labels(&p->out, &r->labels);
    buf_printf(&p->out, " %.*s", STR_ARG(r->line));
    label_list_sort(&r->meta);
    for (size_t i = 0; i < r->meta.n; i++)
        buf_printf(&p->out, " + %.*s=%.*s", STR_ARG(r->meta.items[i].name),
                   STR_ARG(r->meta.items[i].value));
    buf_append_char(&p->out, '\n');
}

/* p->rc and p->err tell whether the stages compile. */
static inline void pipe_open(struct pipe *p, const char *stages)
{
    struct yaml_node *root = NULL;
    *p = (struct pipe){.sink = {.put = pipe_take}};
    arena_init(&p->nodes, SIZE_MAX);
    arena_init(&p->lines, SIZE_MAX);
    buf_init(&p->out, BUF_NO_LIMIT);
    label_list_set(&p->labels, &p->nodes, STR("job"), STR("test"));
    cr_assert_eq(yaml_load(str_c(stages), &p->nodes, &root, &p->err), 0, "%s", p->err.text);
    p->rc = job_pipeline_new("test", root, &p->sink, &p->pipeline, &p->err);
}

static inline void pipe_put(struct pipe *p, str line)
{
    struct record r;
    record_init(&r, &p->lines, &p->labels);
    r.line = line;
    r.ts_ns = ++p->n_lines * PIPE_S;
    record_sink_put(&p->pipeline->sink, &r);
    arena_reset(&p->lines);
}

/* Puts each line of `text`. */
static inline void pipe_put_lines(struct pipe *p, const char *text)
{
    str rest = str_c(text);
    while (rest.ptr != NULL)
        pipe_put(p, str_split(&rest, '\n'));
}

static inline void pipe_close(struct pipe *p)
{
    job_pipeline_free(p->pipeline);
    buf_deinit(&p->out);
    arena_deinit(&p->lines);
    arena_deinit(&p->nodes);
}

/* One row of a table: stages, lines put in, what comes out (up to the stop). */
struct pipe_case {
    const char *stages, *lines, *want;
};

static inline void pipe_check(const struct pipe_case *c)
{
    struct pipe p;
    pipe_open(&p, c->stages);
    cr_assert_eq(p.rc, 0, "%s: %s", c->stages, p.err.text);
    pipe_put_lines(&p, c->lines);
    job_pipeline_flush(p.pipeline, INT64_MAX, true);
    cr_assert(strcmp(buf_c(&p.out), c->want) == 0, "%s\n< %s\n> %s! %s", c->stages, c->lines,
              buf_c(&p.out), c->want);
    pipe_close(&p);
}

#define PIPE_CHECK_ALL(cases)                                                                      \
    for (size_t i_ = 0; i_ < ARRAY_LEN(cases); i_++)                                               \
    pipe_check(&(cases)[i_])

/* One row of a table of wrong settings: the error holds `want`. */
static inline void pipe_check_error(const char *stages, const char *want)
{
    struct pipe p;
    pipe_open(&p, stages);
    cr_assert_neq(p.rc, 0, "%s is taken", stages);
    cr_assert(strstr(p.err.text, want) != NULL, "%s: %s\nwants %s", stages, p.err.text, want);
    pipe_close(&p);
}
