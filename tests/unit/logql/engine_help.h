/* What the tests of the engine share: ask a query of fake sources, look at the answer. */
#pragma once
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "logql/engine/engine.h"
#include "logql/parser.h"
#include "tests/support/fake_source.h"

#define S INT64_C(1000000000)

/* A query from parse to answer; ended by asked_done(). */
struct asked {
    struct arena arena;
    struct expr *expr;
    struct engine_query *query;
    struct engine_result result;
    struct error err;
    int rc;
};

static inline void ask(struct asked *a, const char *query, struct engine_params *p)
{
    *a = (struct asked){0};
    arena_init(&a->arena, SIZE_MAX);
    a->rc = logql_parse(str_c(query), &a->arena, &a->expr, &a->err);
    cr_assert_eq(a->rc, 0, "%s: %s", query, a->err.text);
    a->rc = engine_prepare(a->expr, p, &a->arena, &a->query, &a->err);
    for (size_t i = 0; a->rc == 0 && i < engine_shard_count(a->query); i++)
        engine_run_shard(a->query, i);
    if (a->rc == 0)
        a->rc = engine_finish(a->query, &a->result, &a->err);
}

static inline void asked_done(struct asked *a)
{
    engine_free(a->query);
    logql_release(a->expr);
    arena_deinit(&a->arena);
}

/* The answer as text: {labels} ts:line ts:line | ..., or {labels} ms:value ... | ... */
static inline void print_answer(const struct engine_result *r, struct buf *out)
{
    for (size_t i = 0; i < r->n_streams; i++) {
        buf_append_c(out, i == 0 ? "" : " | ");
        labels_print(&r->streams[i].labels, out);
        for (size_t j = 0; j < r->streams[i].n_entries; j++)
            buf_printf(out, " %lld:%.*s", (long long)(r->streams[i].entries[j].ts_ns / S),
                       STR_ARG(r->streams[i].entries[j].line));
    }
    for (size_t i = 0; i < r->n_series; i++) {
        buf_append_c(out, i == 0 ? "" : " | ");
        labels_print(&r->series[i].labels, out);
        for (size_t j = 0; j < r->series[i].n_points; j++)
            buf_printf(out, " %lld:%g", (long long)(r->series[i].points[j].ts_ms / 1000),
                       r->series[i].points[j].value);
    }
}

static inline void expect_answer(const char *query, struct engine_params *p, const char *want)
{
    struct asked a;
    ask(&a, query, p);
    cr_assert_eq(a.rc, 0, "%s: %s", query, a.err.text);
    struct buf got;
    buf_init(&got, BUF_NO_LIMIT);
    print_answer(&a.result, &got);
    cr_expect_str_eq(buf_c(&got), want, "%s:\n  got  %s\n  want %s", query, buf_c(&got), want);
    buf_deinit(&got);
    asked_done(&a);
}

static inline void expect_error(const char *query, struct engine_params *p, int http,
                                const char *text)
{
    struct asked a;
    ask(&a, query, p);
    cr_assert_neq(a.rc, 0, "%s: no error", query);
    cr_expect_eq(error_http(&a.err), http, "%s: %d", query, error_http(&a.err));
    cr_expect_str_eq(a.err.text, text, "%s: %s", query, a.err.text);
    asked_done(&a);
}
