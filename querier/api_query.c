/* query, query_range and the query of the old API. */
#include <stdio.h>

#include "base/clock.h"
#include "base/goquote.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "base/vec.h"
#include "logql/check.h"
#include "logql/parser.h"
#include "logql/printer.h"
#include "querier/internal.h"
#include "runtime/workers.h"

/* Lines and labels of the answer to a log query: what a few of them hold at once has to fit into
 * memory, and no reader wants more. */
#define ANSWER_LINE_BYTES_MAX (100u << 20)

struct engine_params call_engine_params(struct call *c)
{
    const struct limits *l = c->limits;
    return (struct engine_params){
        .tenant = c->tenant,
        .limit = 100,
        .limits =
            {
                .series_max = (size_t)MAX(l->max_query_series, 0),
                .entries_max = (size_t)MAX(l->max_entries_limit_per_query, 0),
                .streams_max = (size_t)MAX(l->cardinality_limit, 0),
                .read_bytes_max = l->max_query_bytes_read,
                .length_ns_max = l->max_query_length_ns,
                .range_ns_max = l->max_query_range_ns,
                .answer_bytes_max = ANSWER_LINE_BYTES_MAX,
            },
        .sources = c->q->sources,
        .n_sources = c->q->config.n_sources,
        .should_stop = call_should_stop,
        .stop_code = call_stop_code,
        .stop_arg = c,
    };
}

static void run_shard(void *arg, size_t i)
{
    engine_run_shard(arg, i);
}

int call_run(struct call *c, const struct expr *e, struct engine_params *p,
             struct engine_query **ret_query, struct engine_result *ret)
{
    *ret_query = NULL;
    /* The lookback limit hides what is older from every query. */
    if (c->limits->max_query_lookback_ns > 0)
        p->start_ns = MAX(p->start_ns, c->now_ns - c->limits->max_query_lookback_ns);
    int code = engine_prepare(e, p, &c->arena, ret_query, &c->err);
    if (code != 0)
        return code;
    workers_parallel(c->q->config.workers, run_shard, *ret_query, engine_shard_count(*ret_query));
    return engine_finish(*ret_query, ret, &c->err);
}

/* --- limits on matchers --- */

/* required_labels and minimum_labels_number: each selector must name so many labels. */
static int check_matchers(struct call *c, const struct expr *e)
{
    const struct log_expr *log = expr_first_log(e);
    const struct config_strings *required = &c->limits->required_labels;
    if (log == NULL)
        return 0;
    for (size_t i = 0; i < required->n; i++) {
        size_t k = 0;
        while (k < log->n_matchers && !str_eq_c(log->matchers[k]->name, required->items[i]))
            k++;
        if (k == log->n_matchers)
            return error_set(&c->err, E_INVALID,
                             "stream selector is missing required matchers [%s], labels present in "
                             "the query were [%.*s]",
                             required->items[i],
                             log->n_matchers > 0 ? (int)log->matchers[0]->name.len : 0,
                             log->n_matchers > 0 ? log->matchers[0]->name.ptr : "");
    }
    if ((int64_t)log->n_matchers < c->limits->minimum_labels_number)
        return error_set(&c->err, E_INVALID,
                         "stream selector has less label matchers than required: "
                         "(present: %zu, required_number_label_matchers: %lld)",
                         log->n_matchers, (long long)c->limits->minimum_labels_number);
    if ((int64_t)log->n_matchers > c->limits->max_streams_matchers_per_query &&
        c->limits->max_streams_matchers_per_query > 0)
        return error_set(&c->err, E_INVALID,
                         "max streams matchers per query exceeded, matchers-count > limit "
                         "(%zu > %lld)",
                         log->n_matchers, (long long)c->limits->max_streams_matchers_per_query);
    return 0;
}

static bool is_approx_allowed(const struct limits *l)
{
    for (size_t i = 0; i < l->shard_aggregations.n; i++)
        if (strcmp(l->shard_aggregations.items[i], "approx_topk") == 0)
            return true;
    return false;
}

static int parse(struct call *c, str query, struct expr **ret)
{
    int code = logql_parse(query, &c->arena, ret, &c->err);
    if (code != 0)
        return code;
    if (!is_approx_allowed(c->limits))
        code = logql_check_enabled(*ret, &c->err);
    if (code == 0)
        code = check_matchers(c, *ret);
    if (code != 0) {
        logql_release(*ret);
        *ret = NULL;
    }
    return code;
}

/* --- results --- */

size_t call_encoding_flags(struct call *c, str flags[], size_t max, bool *ret_categorize)
{
    str header = http_header(c->r, "X-Loki-Response-Encoding-Flags");
    size_t n = 0;
    *ret_categorize = false;
    if (header.ptr == NULL || header.len == 0)
        return 0;
    while (header.ptr != NULL && n < max) {
        flags[n] = str_trim(str_split(&header, ','));
        *ret_categorize |= str_eq(flags[n], STR("categorize-labels"));
        n++;
    }
    return n;
}

static void write_entry(struct json_writer *w, const struct engine_entry *e, bool categorize)
{
    jsonw_begin_array(w);
    jsonw_quoted_i64(w, e->ts_ns);
    jsonw_string(w, e->line);
    if (categorize) {
        jsonw_begin_object(w);
        if (e->labels != NULL && e->labels->meta.n > 0) {
            jsonw_key_c(w, "structuredMetadata");
            write_labels(w, &e->labels->meta);
        }
        if (e->labels != NULL && e->labels->parsed.n > 0) {
            jsonw_key_c(w, "parsed");
            write_labels(w, &e->labels->parsed);
        }
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

static void write_streams(struct answer *a, const struct engine_result *r, bool categorize)
{
    struct json_writer *w = &a->w;
    jsonw_begin_array(w);
    for (size_t i = 0; i < r->n_streams; i++) {
        jsonw_begin_object(w);
        jsonw_key_c(w, "stream");
        write_labels(w, &r->streams[i].labels);
        jsonw_key_c(w, "values");
        jsonw_begin_array(w);
        for (size_t k = 0; k < r->streams[i].n_entries; k++) {
            write_entry(w, &r->streams[i].entries[k], categorize);
            answer_flush(a);
        }
        jsonw_end_array(w);
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

static void write_point(struct json_writer *w, const struct engine_point *p)
{
    jsonw_begin_array(w);
    write_time_ms(w, p->ts_ms);
    write_value(w, p->value);
    jsonw_end_array(w);
}

static void write_series(struct answer *a, const struct engine_result *r)
{
    struct json_writer *w = &a->w;
    jsonw_begin_array(w);
    for (size_t i = 0; i < r->n_series; i++) {
        const struct engine_series *s = &r->series[i];
        jsonw_begin_object(w);
        jsonw_key_c(w, "metric");
        write_labels(w, &s->labels);
        if (r->kind == ENGINE_VECTOR) {
            jsonw_key_c(w, "value");
            write_point(w, &s->points[0]);
        } else {
            jsonw_key_c(w, "values");
            jsonw_begin_array(w);
            for (size_t k = 0; k < s->n_points; k++) {
                write_point(w, &s->points[k]);
                answer_flush(a);
            }
            jsonw_end_array(w);
        }
        jsonw_end_object(w);
        answer_flush(a);
    }
    jsonw_end_array(w);
}

#define FLAGS_MAX 16

/* resultType and encodingFlags come before the result: readers that stream need them first. */
static void write_data(struct answer *a, const struct engine_result *r, const str *flags,
                       size_t n_flags, bool categorize)
{
    static const char *const kinds[] = {"streams", "matrix", "vector", "scalar"};
    struct json_writer *w = &a->w;
    jsonw_key_c(w, "resultType");
    jsonw_string(w, str_c(kinds[r->kind]));
    if (r->kind == ENGINE_STREAMS && n_flags > 0) {
        jsonw_key_c(w, "encodingFlags");
        jsonw_begin_array(w);
        for (size_t i = 0; i < n_flags; i++)
            jsonw_string(w, flags[i]);
        jsonw_end_array(w);
    }
    jsonw_key_c(w, "result");
    if (r->kind == ENGINE_STREAMS)
        write_streams(a, r, categorize);
    else if (r->kind == ENGINE_SCALAR)
        write_point(w, &(struct engine_point){r->scalar_ms, r->scalar});
    else
        write_series(a, r);
}

/* ?explain=1: the plan and what its steps cost, as an object and as text. */
static void write_explain(struct call *c, struct json_writer *w, const struct engine_query *q)
{
    if (!str_eq(params_str(&c->params, "explain"), STR("1")))
        return;
    struct buf text;
    buf_init(&text, 16 << 20);
    if (engine_explain(q, ENGINE_EXPLAIN_JSON, &text) && text.len > 0) {
        jsonw_key_c(w, "explain");
        jsonw_raw(w, buf_str(&text));
    }
    buf_reset(&text);
    if (engine_explain(q, ENGINE_EXPLAIN_TEXT, &text)) {
        jsonw_key_c(w, "explainText");
        jsonw_string(w, buf_str(&text));
    }
    buf_deinit(&text);
}

static int write_answer(struct call *c, struct engine_query *q, const struct engine_result *r)
{
    struct answer a;
    str flags[FLAGS_MAX];
    bool categorize;
    size_t n_flags = call_encoding_flags(c, flags, FLAGS_MAX, &categorize);
    answer_begin(&a, c);
    jsonw_begin_object(&a.w);
    jsonw_key_c(&a.w, "status");
    jsonw_string(&a.w, STR("success"));
    if (r->n_warnings > 0) {
        jsonw_key_c(&a.w, "warnings");
        jsonw_begin_array(&a.w);
        for (size_t i = 0; i < r->n_warnings; i++)
            jsonw_string(&a.w, r->warnings[i]);
        jsonw_end_array(&a.w);
    }
    jsonw_key_c(&a.w, "data");
    jsonw_begin_object(&a.w);
    write_data(&a, r, flags, n_flags, categorize);
    write_stats(&a.w, c, &r->stats);
    write_explain(c, &a.w, q);
    jsonw_end_object(&a.w);
    jsonw_end_object(&a.w);
    return answer_end(&a);
}

static int run_and_answer(struct call *c, const struct expr *e, struct engine_params *p)
{
    struct engine_query *q;
    struct engine_result r;
    str flags[FLAGS_MAX];
    call_encoding_flags(c, flags, FLAGS_MAX, &p->is_categorized);
    p->is_categorized = p->is_categorized && expr_is_log(e);
    if (str_eq(params_str(&c->params, "explain"), STR("1")))
        p->cpu_ns = clock_cpu_ns;
    int code = call_run(c, e, p, &q, &r);
    if (code == 0)
        code = write_answer(c, q, &r);
    engine_free(q);
    return code;
}

static struct engine_params range_engine_params(struct call *c, const struct range_params *in)
{
    struct engine_params p = call_engine_params(c);
    p.start_ns = in->start_ns;
    p.end_ns = in->end_ns;
    p.step_ns = in->step_ns;
    p.interval_ns = in->interval_ns;
    p.limit = in->limit;
    p.direction = in->is_forward ? ENGINE_FORWARD : ENGINE_BACKWARD;
    p.is_step_aligned = true;
    return p;
}

int answer_query_range(struct call *c)
{
    struct range_params in;
    struct expr *e;
    int code = params_range(&c->params, &in, &c->err);
    if (code != 0 || (code = parse(c, in.query, &e)) != 0)
        return code;
    struct engine_params p = range_engine_params(c, &in);
    code = run_and_answer(c, e, &p);
    logql_release(e);
    return code;
}

int answer_query(struct call *c)
{
    struct instant_params in;
    struct expr *e;
    int code = params_instant(&c->params, &in, &c->err);
    if (code != 0 || (code = parse(c, in.query, &e)) != 0)
        return code;
    struct engine_params p = call_engine_params(c);
    p.start_ns = p.end_ns = in.time_ns;
    p.limit = in.limit;
    p.direction = in.is_forward ? ENGINE_FORWARD : ENGINE_BACKWARD;
    p.is_instant = true;
    if (expr_is_log(e))
        code = error_set(&c->err, E_INVALID,
                         "log queries are not supported as an instant query type, please change "
                         "your query to a range query type");
    else
        code = run_and_answer(c, e, &p);
    logql_release(e);
    return code;
}

/* --- the old API: {"streams":[{"labels":"{..}","entries":[{"ts":..,"line":..}]}]} --- */

static int write_legacy(struct call *c, const struct engine_result *r)
{
    struct answer a;
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    answer_begin(&a, c);
    jsonw_begin_object(&a.w);
    jsonw_key_c(&a.w, "streams");
    jsonw_begin_array(&a.w);
    for (size_t i = 0; i < r->n_streams; i++) {
        jsonw_begin_object(&a.w);
        jsonw_key_c(&a.w, "labels");
        buf_reset(&text);
        labels_print(&r->streams[i].labels, &text);
        jsonw_string(&a.w, buf_str(&text));
        jsonw_key_c(&a.w, "entries");
        jsonw_begin_array(&a.w);
        for (size_t k = 0; k < r->streams[i].n_entries; k++) {
            const struct engine_entry *e = &r->streams[i].entries[k];
            jsonw_begin_object(&a.w);
            jsonw_key_c(&a.w, "ts");
            buf_reset(&text);
            rfc3339_append(&text, e->ts_ns);
            jsonw_string(&a.w, buf_str(&text));
            jsonw_key_c(&a.w, "line");
            jsonw_string(&a.w, e->line);
            jsonw_end_object(&a.w);
            answer_flush(&a);
        }
        jsonw_end_array(&a.w);
        jsonw_end_object(&a.w);
    }
    jsonw_end_array(&a.w);
    write_stats(&a.w, c, &r->stats);
    jsonw_end_object(&a.w);
    buf_deinit(&text);
    return answer_end(&a);
}

/* ?regexp= adds a line filter, as it did before LogQL. */
static str with_regexp(struct call *c, str query)
{
    str regexp = params_str(&c->params, "regexp");
    if (regexp.len == 0)
        return query;
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    buf_printf(&text, "%.*s |~ ", STR_ARG(query));
    goquote(&text, regexp);
    query = arena_str(&c->arena, buf_str(&text));
    buf_deinit(&text);
    return query;
}

int answer_legacy_query(struct call *c)
{
    struct range_params in;
    struct expr *e;
    struct engine_query *q = NULL;
    struct engine_result r;
    int code = params_range(&c->params, &in, &c->err);
    if (code != 0 || (code = parse(c, with_regexp(c, in.query), &e)) != 0)
        return code;
    struct engine_params p = range_engine_params(c, &in);
    if (!expr_is_log(e))
        code = error_set(&c->err, E_INVALID,
                         "rpc error: code = Code(400) desc = legacy endpoints only support streams "
                         "result type");
    else if ((code = call_run(c, e, &p, &q, &r)) == 0)
        code = write_legacy(c, &r);
    engine_free(q);
    logql_release(e);
    return code;
}
