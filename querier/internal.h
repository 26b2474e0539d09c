/* querier/internal.h - what the files of this folder share: a request being answered. */
#pragma once
#include <stdatomic.h>

#include "logql/ast.h"
#include "logql/engine/engine.h"
#include "proto/json_writer.h"
#include "querier/fair_queue.h"
#include "querier/params.h"
#include "querier/querier.h"
#include "runtime/http_server.h"

#define SOURCES_MAX 8

struct tail;

struct querier {
    struct querier_config config;
    struct query_source *sources[SOURCES_MAX];
    struct fair_queue *queue;
    atomic_bool is_stopping;
    struct tail *tails; /* all that are open; loop thread only */
};

/* One request on a worker.  Everything made for it lives in `arena`. */
struct call {
    struct querier *q;
    struct http_request *r;
    str tenant;
    const struct limits *limits;
    struct params params;
    struct arena arena;
    int64_t now_ns;          /* wall clock at its arrival */
    int64_t arrived_mono_ns; /* monotonic, for queue and execution times */
    int64_t started_mono_ns;
    int64_t deadline_mono_ns; /* query_timeout */
    struct error err;
    /* Answers: fills the reply and returns 0, or returns an error whose text is in err. */
    int (*answer)(struct call *c);
};

/* --- querier.c --- */

/* Loop thread: checks tenant and parameters, queues the call. */
void call_begin(struct querier *q, struct http_request *r, int (*answer)(struct call *c));
/* True once nobody waits for the answer any more, or time is over. */
bool call_should_stop(void *call);
int call_stop_code(void *call);

/* Label sets and blocks of the streams that match in [from, to), from all sources, each stream
 * once; blocks of one stream in several sources are listed together, the same block once. */
struct found_stream {
    struct labels labels;
    uint64_t fingerprint;
    const struct block_ref **blocks;
    size_t n_blocks;
    size_t n_chunks;
};

struct found {
    struct selection *selections[SOURCES_MAX];
    size_t n_selections;
    struct found_stream *streams; /* in order of their labels */
    size_t n_streams;
};

int call_select(struct call *c, const struct log_expr *selector, int64_t from_ns, int64_t to_ns,
                unsigned flags, struct found *ret);
void found_free(struct found *f);

/* Parses a selector alone: what the metadata endpoints take.  With `is_strict` it must name at
 * least one stream.  The caller ends it with logql_release(). */
int call_parse_selector(struct call *c, str query, bool is_strict, struct expr **ret);
/* E_LIMIT if [from, to] is longer than max_query_length. */
int call_check_length(struct call *c, int64_t from_ns, int64_t to_ns);
/* The same, or E_INVALID if the range ends before it begins. */
int call_check_range(struct call *c, int64_t from_ns, int64_t to_ns);
/* The selector's matchers in one array. */
struct matcher *call_matchers(struct call *c, const struct log_expr *selector);

/* --- answer.c --- */

/* A JSON answer that is sent in pieces once it is big. */
struct answer {
    struct call *call;
    struct buf out;
    struct json_writer w;
    bool is_streaming;
    bool is_gone; /* the client is */
};

void answer_begin(struct answer *a, struct call *c);
/* Between items: sends what has gathered if it is much. */
void answer_flush(struct answer *a);
/* Ends the reply; E_CANCELED if the client has gone. */
int answer_end(struct answer *a);
/* Leaves after an error.  `code`, if the error can still be told; 0 if part of an answer has been
 * sent, which then ends there. */
int answer_drop(struct answer *a, int code);

/* {"a":"b"} */
void write_labels(struct json_writer *w, const struct labels *ls);
/* Seconds with up to three digits behind the point. */
void write_time_ms(struct json_writer *w, int64_t ts_ms);
/* "1.5": a sample's value in quotes, without exponent. */
void write_value(struct json_writer *w, double v);
/* The stats object. */
void write_stats(struct json_writer *w, const struct call *c, const struct engine_stats *s);

/* --- the answers --- */

int answer_query(struct call *c); /* api_query.c */
int answer_query_range(struct call *c);
int answer_legacy_query(struct call *c);
int answer_labels(struct call *c); /* api_labels.c */
int answer_label_values(struct call *c);
int answer_legacy_labels(struct call *c);
int answer_series(struct call *c);
/* Bytes of lines and metadata in [from, to), from the footers (api_index.c). */
uint64_t found_stream_bytes(const struct found_stream *s, int64_t from_ns, int64_t to_ns);
int answer_index_stats(struct call *c);
int answer_index_shards(struct call *c);
int answer_volume(struct call *c); /* api_volume.c */
int answer_volume_range(struct call *c);
int answer_detected_labels(struct call *c); /* api_detected.c */
int answer_detected_fields(struct call *c); /* detected_fields.c */
int answer_detected_values(struct call *c);
int answer_format_query(struct call *c); /* api_misc.c */
int answer_patterns(struct call *c);
int answer_drilldown_limits(struct call *c);
int answer_tenant_limits(struct call *c);
int answer_no_rules(struct call *c);
int answer_no_alerts(struct call *c);

/* Runs a parsed log or metric query to its end (api_query.c).  The result lives until
 * engine_free(*ret_query), which the caller calls also after a failure. */
int call_run(struct call *c, const struct expr *e, struct engine_params *p,
             struct engine_query **ret_query, struct engine_result *ret);
/* Parameters common to all queries: tenant, limits, sources, stopping. */
struct engine_params call_engine_params(struct call *c);
/* Splits the X-Loki-Response-Encoding-Flags header; *ret_categorize: categorize-labels is in it. */
size_t call_encoding_flags(struct call *c, str flags[], size_t max, bool *ret_categorize);
