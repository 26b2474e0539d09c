/* The plan of a query as text and as JSON; after a run, what each step read, kept and cost. */
#include <stdio.h>

#include "base/bytesize.h"
#include "base/duration.h"
#include "base/gofmt.h"
#include "base/rfc3339.h"
#include "logql/engine/internal.h"
#include "logql/printer.h"
#include "proto/json_writer.h"

/* ---- what is told in both forms ---- */

/* A pipeline step over all runs of a leaf. */
static struct pipeline_step_stats step_stats(const struct engine_query *q, const struct leaf *leaf,
                                             size_t step)
{
    struct pipeline_step_stats all = {0};
    for (size_t i = 0; i < leaf->n_shards; i++) {
        const struct shard *s = &q->shards[leaf->first_shard + i];
        if (s->run == NULL)
            continue;
        struct pipeline_step_stats one = pipeline_run_step_stats(s->run, step);
        all.lines_in += one.lines_in;
        all.lines_out += one.lines_out;
        all.bytes_in += one.bytes_in;
        all.cpu_ns += one.cpu_ns;
    }
    return all;
}

static int64_t leaf_cpu_ns(const struct engine_query *q, const struct leaf *leaf)
{
    int64_t ns = 0;
    for (size_t i = 0; i < leaf->n_shards; i++)
        ns += q->shards[leaf->first_shard + i].cpu_ns;
    return ns;
}

/* How the entries of a leaf are come by. */
static const char *access_path(const struct engine_query *q, const struct leaf *leaf)
{
    if (leaf->expr->kind == EXPR_LOG)
        return q->params.direction == ENGINE_BACKWARD
                   ? "newest blocks first, until no block left can be among the answer"
                   : "oldest blocks first, until no block left can be among the answer";
    if (leaf->window.kind == CELL_SUM && !leaf->window.is_unwrapped &&
        pipeline_keeps_all(leaf->pipeline))
        return "counts from block footers, from time columns where a block crosses a window's "
               "edge, "
               "unless labels of single entries are asked for";
    if (leaf->window.kind == CELL_SAMPLES)
        return "blocks in time order, every sample kept";
    return "blocks in time order, samples summed up in cells between the windows' edges";
}

static void print_grouping(struct buf *out, const struct grouping *g)
{
    buf_append_c(out, g->is_without ? "without (" : "by (");
    for (size_t i = 0; i < g->n; i++) {
        buf_append_c(out, i == 0 ? "" : ", ");
        buf_append_str(out, g->labels[i]);
    }
    buf_append_c(out, ")");
}

static void print_matching(struct buf *out, const struct expr *e)
{
    const struct vector_matching *m = &e->binary.matching;
    buf_append_c(out, e->binary.is_bool ? " bool" : "");
    if (!m->is_on && !m->has_labels)
        return;
    buf_append_c(out, m->is_on ? " on (" : " ignoring (");
    for (size_t i = 0; i < m->n_labels; i++) {
        buf_append_c(out, i == 0 ? "" : ", ");
        buf_append_str(out, m->labels[i]);
    }
    buf_append_c(out, ")");
    if (m->card != CARD_ONE_TO_ONE)
        buf_append_c(out, m->card == CARD_MANY_TO_ONE ? " group_left" : " group_right");
}

/* A node of the tree in a few words, without what is below it. */
static void print_node(struct buf *out, const struct expr *e)
{
    switch (e->kind) {
    case EXPR_VECTOR_AGG:
        buf_append_c(out, vector_op_text(e->vector_agg.op));
        if (e->vector_agg.param > 0)
            buf_printf(out, " %lld", (long long)e->vector_agg.param);
        if (e->vector_agg.grouping.is_present) {
            buf_append_c(out, " ");
            print_grouping(out, &e->vector_agg.grouping);
        }
        break;
    case EXPR_BINARY:
        buf_append_c(out, bin_op_text(e->binary.op));
        print_matching(out, e);
        break;
    case EXPR_LABEL_REPLACE:
        buf_append_c(out, "label_replace ");
        buf_append_str(out, e->label_replace.dst);
        break;
    case EXPR_RANGE_AGG:
        buf_append_c(out, range_op_text(e->range_agg.op));
        buf_append_c(out, " [");
        duration_append_prom(out, e->range_agg.range.range_ns);
        buf_append_c(out, "]");
        break;
    case EXPR_VECTOR:
    case EXPR_LITERAL:
        gofmt_float(out, e->number, 'f', -1);
        break;
    default:
        buf_append_c(out, "lines");
        break;
    }
}

/* ---- text ---- */

struct text_writer {
    const struct engine_query *q;
    struct buf *out;
    size_t next_leaf;
};

#define EXPLAIN_INDENT_MAX 40 /* deeper trees are not indented further */

static void indent(struct buf *out, unsigned depth)
{
    for (unsigned i = 0; i < MIN(depth, EXPLAIN_INDENT_MAX); i++)
        buf_append_c(out, "  ");
}

static void text_cost(struct buf *out, int64_t ns)
{
    if (ns > 0) {
        buf_append_c(out, ", cost ");
        duration_append_go(out, ns / 1000 * 1000);
    }
}

static void text_estimate(struct text_writer *t, const struct leaf *leaf, unsigned depth)
{
    const struct scan *s = &leaf->scan;
    indent(t->out, depth);
    buf_append_c(t->out, "time ");
    rfc3339_append(t->out, s->from_ns);
    buf_append_c(t->out, " to ");
    rfc3339_append(t->out, s->to_ns);
    buf_append_c(t->out, "\n");
    indent(t->out, depth);
    buf_printf(t->out, "%zu streams, %llu chunks, %llu blocks, %llu lines, ", s->n_streams,
               (unsigned long long)s->totals.chunks, (unsigned long long)s->totals.blocks,
               (unsigned long long)s->totals.entries);
    bytesize_append(t->out, s->totals.line_bytes);
    buf_append_c(t->out, " of lines (");
    bytesize_append(t->out, s->totals.compressed_bytes);
    buf_printf(t->out, " stored); %zu shards", leaf->n_shards);
    if (s->n_units != s->totals.blocks)
        buf_printf(t->out, "; overlapping blocks are merged, %zu units", s->n_units);
    buf_append_c(t->out, "\n");
    indent(t->out, depth);
    buf_append_c(t->out, access_path(t->q, leaf));
    buf_append_c(t->out, "\n");
}

static void text_pipeline(struct text_writer *t, const struct leaf *leaf, unsigned depth)
{
    for (size_t i = 0; i < pipeline_step_count(leaf->pipeline); i++) {
        indent(t->out, depth);
        buf_printf(t->out, "%zu. ", i + 1);
        pipeline_step_print(leaf->pipeline, i, t->out);
        if (t->q->is_finished) {
            struct pipeline_step_stats st = step_stats(t->q, leaf, i);
            buf_printf(t->out, ": read %llu lines, kept %llu", (unsigned long long)st.lines_in,
                       (unsigned long long)st.lines_out);
            if (st.bytes_in > 0) {
                buf_append_c(t->out, ", looked at ");
                bytesize_append(t->out, st.bytes_in);
            }
            text_cost(t->out, (int64_t)st.cpu_ns);
        }
        buf_append_c(t->out, "\n");
    }
}

static void text_run(struct text_writer *t, const struct leaf *leaf, unsigned depth)
{
    struct engine_stats st;
    engine_leaf_stats(leaf, &st);
    indent(t->out, depth);
    buf_printf(t->out,
               "did: read %llu blocks, answered %llu from footers, skipped %llu; read %llu lines, ",
               (unsigned long long)st.blocks_read, (unsigned long long)st.blocks_from_footer,
               (unsigned long long)st.blocks_skipped, (unsigned long long)st.lines_processed);
    bytesize_append(t->out, st.bytes_processed);
    buf_printf(t->out, ", kept %llu", (unsigned long long)st.lines_after_filters);
    if (st.duplicates > 0)
        buf_printf(t->out, ", %llu duplicates", (unsigned long long)st.duplicates);
    text_cost(t->out, leaf_cpu_ns(t->q, leaf));
    buf_append_c(t->out, "\n");
}

static void text_leaf(struct text_writer *t, unsigned depth)
{
    const struct leaf *leaf = &t->q->leaves[t->next_leaf++];
    indent(t->out, depth);
    buf_append_c(t->out, "scan ");
    logql_print_selector(leaf->log, t->out);
    buf_append_c(t->out, leaf->is_pushed_down ? ", grouped as above while scanning\n" : "\n");
    text_estimate(t, leaf, depth + 1);
    text_pipeline(t, leaf, depth + 1);
    if (t->q->is_finished)
        text_run(t, leaf, depth + 1);
}

static void text_tree(struct text_writer *t, const struct expr *e, unsigned depth)
{
    indent(t->out, depth);
    print_node(t->out, e);
    buf_append_c(t->out, "\n");
    switch (e->kind) {
    case EXPR_VECTOR_AGG:
        text_tree(t, e->vector_agg.inner, depth + 1);
        break;
    case EXPR_LABEL_REPLACE:
        text_tree(t, e->label_replace.inner, depth + 1);
        break;
    case EXPR_BINARY:
        text_tree(t, e->binary.left, depth + 1);
        text_tree(t, e->binary.right, depth + 1);
        break;
    case EXPR_LOG:
    case EXPR_RANGE_AGG:
        text_leaf(t, depth + 1);
        break;
    default:
        break;
    }
}

static void explain_text(const struct engine_query *q, struct buf *out)
{
    struct text_writer t = {.q = q, .out = out};
    logql_print(q->expr, out);
    buf_append_c(out, "\n");
    if (!expr_is_log(q->expr) && !q->params.is_instant) {
        buf_printf(out, "%zu steps of ", q->n_steps);
        duration_append_go(out, q->params.step_ns);
        buf_append_c(out, "\n");
    }
    text_tree(&t, q->plan, 0);
    if (!q->is_finished)
        return;
    buf_printf(out, "merge: %zu %s, %zu %s", q->result_series,
               expr_is_log(q->expr) ? "streams" : "series", q->result_points,
               expr_is_log(q->expr) ? "entries" : "points");
    text_cost(out, q->finish_cpu_ns);
    buf_append_c(out, "\n");
}

/* ---- JSON ---- */

static void json_number(struct json_writer *w, const char *key, uint64_t v)
{
    jsonw_key(w, str_c(key));
    jsonw_u64(w, v);
}

static void json_pipeline(struct json_writer *w, const struct engine_query *q,
                          const struct leaf *leaf, struct buf *text)
{
    jsonw_key(w, STR("pipeline"));
    jsonw_begin_array(w);
    for (size_t i = 0; i < pipeline_step_count(leaf->pipeline); i++) {
        struct pipeline_step_stats st = step_stats(q, leaf, i);
        buf_reset(text);
        pipeline_step_print(leaf->pipeline, i, text);
        jsonw_begin_object(w);
        jsonw_key(w, STR("step"));
        jsonw_string(w, buf_str(text));
        if (q->is_finished) {
            json_number(w, "linesIn", st.lines_in);
            json_number(w, "linesOut", st.lines_out);
            json_number(w, "bytesIn", st.bytes_in);
            json_number(w, "cpuNs", st.cpu_ns);
        }
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

static void json_run(struct json_writer *w, const struct engine_query *q, const struct leaf *leaf)
{
    struct engine_stats st;
    engine_leaf_stats(leaf, &st);
    jsonw_key(w, STR("run"));
    jsonw_begin_object(w);
    json_number(w, "blocksRead", st.blocks_read);
    json_number(w, "blocksFromFooter", st.blocks_from_footer);
    json_number(w, "blocksSkipped", st.blocks_skipped);
    json_number(w, "blocksCorrupt", st.blocks_corrupt);
    json_number(w, "linesRead", st.lines_processed);
    json_number(w, "bytesRead", st.bytes_processed);
    json_number(w, "compressedBytesRead", st.compressed_bytes);
    json_number(w, "linesKept", st.lines_after_filters);
    json_number(w, "duplicates", st.duplicates);
    json_number(w, "cpuNs", (uint64_t)leaf_cpu_ns(q, leaf));
    jsonw_end_object(w);
}

static void json_leaf(struct json_writer *w, const struct engine_query *q, const struct leaf *leaf,
                      struct buf *text)
{
    const struct scan *s = &leaf->scan;
    jsonw_begin_object(w);
    buf_reset(text);
    logql_print_selector(leaf->log, text);
    jsonw_key(w, STR("selector"));
    jsonw_string(w, buf_str(text));
    jsonw_key(w, STR("fromNs"));
    jsonw_i64(w, s->from_ns);
    jsonw_key(w, STR("toNs"));
    jsonw_i64(w, s->to_ns);
    jsonw_key(w, STR("access"));
    jsonw_string(w, str_c(access_path(q, leaf)));
    jsonw_key(w, STR("groupedWhileScanning"));
    jsonw_bool(w, leaf->is_pushed_down);
    json_number(w, "streams", s->n_streams);
    json_number(w, "chunks", s->totals.chunks);
    json_number(w, "blocks", s->totals.blocks);
    json_number(w, "lines", s->totals.entries);
    json_number(w, "lineBytes", s->totals.line_bytes);
    json_number(w, "compressedBytes", s->totals.compressed_bytes);
    json_number(w, "shards", leaf->n_shards);
    json_pipeline(w, q, leaf, text);
    if (q->is_finished)
        json_run(w, q, leaf);
    jsonw_end_object(w);
}

static void explain_json(const struct engine_query *q, struct buf *out)
{
    struct json_writer w;
    struct buf text;
    jsonw_writer_init(&w, out);
    buf_init(&text, BUF_NO_LIMIT);
    logql_print(q->expr, &text);
    jsonw_begin_object(&w);
    jsonw_key(&w, STR("query"));
    jsonw_string(&w, buf_str(&text));
    jsonw_key(&w, STR("kind"));
    jsonw_string(&w, expr_is_log(q->expr) ? STR("log") : STR("metric"));
    if (!expr_is_log(q->expr)) {
        json_number(&w, "steps", q->n_steps);
        json_number(&w, "stepNs", q->params.is_instant ? 0 : (uint64_t)q->params.step_ns);
    }
    jsonw_key(&w, STR("scans"));
    jsonw_begin_array(&w);
    for (size_t i = 0; i < q->n_leaves; i++)
        json_leaf(&w, q, &q->leaves[i], &text);
    jsonw_end_array(&w);
    if (q->is_finished) {
        jsonw_key(&w, STR("merge"));
        jsonw_begin_object(&w);
        json_number(&w, "series", q->result_series);
        json_number(&w, "points", q->result_points);
        json_number(&w, "cpuNs", (uint64_t)q->finish_cpu_ns);
        jsonw_end_object(&w);
    }
    jsonw_end_object(&w);
    buf_deinit(&text);
}

bool engine_explain(const struct engine_query *q, enum engine_explain_format format,
                    struct buf *out)
{
    if (format == ENGINE_EXPLAIN_JSON)
        explain_json(q, out);
    else
        explain_text(q, out);
    return !out->failed;
}
