/* tests/support/logql_ask.c - answers queries over JSONL files through the engine alone.
 *
 *     logql_ask [--layout plain|overlap|replicas|late] [--block N] [--shards N] [--explain] FILE...
 *
 * Reads one request a line from stdin, tab separated: start_ns end_ns step_ns interval_ns limit
 * direction(b|f) instant(0|1) categorize(0|1) query(JSON string); step 0 with instant 0 is a log
 * query's.  Writes one answer a line: {"status":200,"body":{...}}, as the HTTP API gives it.
 * tests/support/logql_replay drives it with recorded cases. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/gofmt.h"
#include "base/mem.h"
#include "logql/engine/engine.h"
#include "logql/parser.h"
#include "proto/json_scan.h"
#include "proto/json_writer.h"
#include "tests/support/fake_source.h"

struct settings {
    struct fake_source_params source;
    unsigned shards;
    bool is_explained;
};

static void write_labels(struct json_writer *w, const struct labels *ls)
{
    jsonw_begin_object(w);
    for (size_t i = 0; i < ls->n; i++) {
        jsonw_key(w, ls->items[i].name);
        jsonw_string(w, ls->items[i].value);
    }
    jsonw_end_object(w);
}

static void write_number(struct json_writer *w, double v)
{
    struct buf b;
    buf_init(&b, 1024);
    gofmt_float(&b, v, 'f', -1);
    jsonw_string(w, buf_str(&b));
    buf_deinit(&b);
}

static void write_point(struct json_writer *w, int64_t ms, double v)
{
    jsonw_begin_array(w);
    if (ms % 1000 == 0)
        jsonw_i64(w, ms / 1000);
    else
        jsonw_float(w, (double)ms / 1000);
    write_number(w, v);
    jsonw_end_array(w);
}

static void write_entry(struct json_writer *w, const struct engine_entry *e)
{
    char ts[32];
    snprintf(ts, sizeof ts, "%lld", (long long)e->ts_ns);
    jsonw_begin_array(w);
    jsonw_string(w, str_c(ts));
    jsonw_string(w, e->line);
    if (e->labels != NULL) {
        jsonw_begin_object(w);
        if (e->labels->meta.n > 0) {
            jsonw_key(w, STR("structuredMetadata"));
            write_labels(w, &e->labels->meta);
        }
        if (e->labels->parsed.n > 0) {
            jsonw_key(w, STR("parsed"));
            write_labels(w, &e->labels->parsed);
        }
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

static void write_streams(struct json_writer *w, const struct engine_result *r)
{
    jsonw_begin_array(w);
    for (size_t i = 0; i < r->n_streams; i++) {
        jsonw_begin_object(w);
        jsonw_key(w, STR("stream"));
        write_labels(w, &r->streams[i].labels);
        jsonw_key(w, STR("values"));
        jsonw_begin_array(w);
        for (size_t j = 0; j < r->streams[i].n_entries; j++)
            write_entry(w, &r->streams[i].entries[j]);
        jsonw_end_array(w);
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

static void write_series(struct json_writer *w, const struct engine_result *r)
{
    jsonw_begin_array(w);
    for (size_t i = 0; i < r->n_series; i++) {
        const struct engine_series *s = &r->series[i];
        jsonw_begin_object(w);
        jsonw_key(w, STR("metric"));
        write_labels(w, &s->labels);
        if (r->kind == ENGINE_VECTOR) {
            jsonw_key(w, STR("value"));
            write_point(w, s->points[0].ts_ms, s->points[0].value);
        } else {
            jsonw_key(w, STR("values"));
            jsonw_begin_array(w);
            for (size_t j = 0; j < s->n_points; j++)
                write_point(w, s->points[j].ts_ms, s->points[j].value);
            jsonw_end_array(w);
        }
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

static void write_result(struct json_writer *w, const struct engine_result *r, bool is_categorized)
{
    static const char *const KINDS[] = {"streams", "matrix", "vector", "scalar"};
    jsonw_key(w, STR("status"));
    jsonw_string(w, STR("success"));
    jsonw_key(w, STR("data"));
    jsonw_begin_object(w);
    jsonw_key(w, STR("resultType"));
    jsonw_string(w, str_c(KINDS[r->kind]));
    if (is_categorized && r->kind == ENGINE_STREAMS) {
        jsonw_key(w, STR("encodingFlags"));
        jsonw_begin_array(w);
        jsonw_string(w, STR("categorize-labels"));
        jsonw_end_array(w);
    }
    jsonw_key(w, STR("result"));
    if (r->kind == ENGINE_STREAMS)
        write_streams(w, r);
    else if (r->kind == ENGINE_SCALAR)
        write_point(w, r->scalar_ms, r->scalar);
    else
        write_series(w, r);
    jsonw_end_object(w);
}

static void write_answer(struct json_writer *w, int rc, const struct error *err,
                         const struct engine_result *r, bool is_categorized)
{
    jsonw_begin_object(w);
    jsonw_key(w, STR("status"));
    jsonw_i64(w, rc == 0 ? 200 : error_http(err));
    jsonw_key(w, STR("body"));
    jsonw_begin_object(w);
    if (rc != 0) {
        jsonw_key(w, STR("text"));
        jsonw_string(w, str_c(err->text));
    } else {
        write_result(w, r, is_categorized);
    }
    jsonw_end_object(w);
    jsonw_end_object(w);
}

static void explain(struct engine_query *q)
{
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    engine_explain(q, ENGINE_EXPLAIN_TEXT, &text);
    fputs(buf_c(&text), stderr);
    buf_reset(&text);
    engine_explain(q, ENGINE_EXPLAIN_JSON, &text);
    fprintf(stderr, "%s\n", buf_c(&text));
    buf_deinit(&text);
}

static void ask(const struct settings *set, struct engine_params *p, str query, struct buf *out)
{
    struct arena a;
    struct error err = {0};
    struct expr *e = NULL;
    struct engine_query *q = NULL;
    struct engine_result r = {0};
    arena_init(&a, SIZE_MAX);
    int rc = logql_parse(query, &a, &e, &err);
    if (rc == 0)
        rc = engine_prepare(e, p, &a, &q, &err);
    for (size_t i = 0; rc == 0 && i < engine_shard_count(q); i++)
        engine_run_shard(q, i);
    if (rc == 0)
        rc = engine_finish(q, &r, &err);
    struct json_writer w;
    jsonw_writer_init(&w, out);
    write_answer(&w, rc, &err, &r, p->is_categorized);
    if (q != NULL && set->is_explained)
        explain(q);
    engine_free(q);
    logql_release(e);
    arena_deinit(&a);
}

/* Fields of a request line into params; the query is what is left. */
static bool read_request(str line, struct engine_params *p, struct arena *a, str *ret_query)
{
    int64_t n[8] = {0};
    for (int i = 0; i < 8; i++) {
        str field = str_split(&line, '\t');
        if (i == 5)
            n[i] = str_eq(field, STR("f"));
        else if (!str_to_i64(field, &n[i]))
            return false;
    }
    p->start_ns = n[0];
    p->end_ns = n[1];
    p->step_ns = n[2];
    p->interval_ns = n[3];
    p->limit = (uint32_t)n[4];
    p->direction = n[5] ? ENGINE_FORWARD : ENGINE_BACKWARD;
    p->is_instant = n[6] != 0;
    p->is_categorized = n[7] != 0;
    struct json_scan j = json_scan_make(line);
    return json_read_string(&j, a, ret_query);
}

static void serve(const struct settings *set, struct fake_source *f)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    struct query_source *source = fake_source_query_source(f);
    while ((n = getline(&line, &cap, stdin)) > 0) {
        struct arena a;
        arena_init(&a, SIZE_MAX);
        struct engine_params p = {.is_step_aligned = true,
                                  .limits = {.series_max = 500,
                                             .entries_max = 5000,
                                             .length_ns_max = INT64_C(721) * 3600 * 1000000000},
                                  .sources = &source,
                                  .n_sources = 1,
                                  .shards_max = set->shards,
                                  .shard_bytes_min = set->shards > 0 ? 1 : 0,
                                  .cpu_ns = clock_cpu_ns,
                                  .is_explained = set->is_explained};
        str query;
        buf_reset(&out);
        if (read_request(str_trim(str_make(line, (size_t)n)), &p, &a, &query))
            ask(set, &p, query, &out);
        printf("%s\n", buf_c(&out));
        fflush(stdout);
        arena_deinit(&a);
    }
    buf_deinit(&out);
    free(line);
}

int main(int argc, char **argv)
{
    struct settings set = {0};
    int at = 1;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        uint64_t n = 0;
        if (strcmp(argv[at], "--explain") == 0) {
            set.is_explained = true;
            continue;
        }
        if (at + 1 == argc)
            return 2;
        str value = str_c(argv[at + 1]);
        if (strcmp(argv[at], "--layout") == 0)
            set.source.layout = str_eq_c(value, "overlap")    ? FAKE_OVERLAP
                                : str_eq_c(value, "replicas") ? FAKE_REPLICAS
                                : str_eq_c(value, "late")     ? FAKE_LATE
                                                              : FAKE_PLAIN;
        else if (strcmp(argv[at], "--block") == 0 && str_to_u64(value, &n))
            set.source.block_entries = n;
        else if (strcmp(argv[at], "--shards") == 0 && str_to_u64(value, &n))
            set.shards = (unsigned)n;
        else
            return 2;
        at++;
    }
    struct fake_source *f = fake_source_new(&set.source);
    for (; at < argc; at++)
        if (fake_source_load(f, argv[at]) != 0) {
            fprintf(stderr, "cannot load %s\n", argv[at]);
            return 1;
        }
    serve(&set, f);
    fake_source_free(f);
    return 0;
}
