/* index/stats and index/shards: what the footers of blocks know. */
#include "base/bytesize.h"
#include "base/mem.h"
#include "logql/parser.h"
#include "logql/visit.h"
#include "querier/internal.h"

struct totals {
    uint64_t streams, chunks, entries, bytes;
};

/* The part of a block that lies in [from, to), 0 to 1: entries are taken to be spread evenly. */
static double overlap(const struct block_ref *b, int64_t from_ns, int64_t to_ns)
{
    int64_t lo = MAX(b->min_ns, from_ns), hi = MIN(b->max_ns, to_ns - 1);
    if (lo == b->min_ns && hi == b->max_ns)
        return 1;
    if (hi < lo)
        return 0;
    return ((double)hi - (double)lo + 1) / ((double)b->max_ns - (double)b->min_ns + 1);
}

uint64_t found_stream_bytes(const struct found_stream *s, int64_t from_ns, int64_t to_ns)
{
    double bytes = 0;
    for (size_t i = 0; i < s->n_blocks; i++)
        bytes += (double)(s->blocks[i]->line_bytes + s->blocks[i]->meta_bytes) *
                 overlap(s->blocks[i], from_ns, to_ns);
    return (uint64_t)bytes;
}

static void add_stream(struct totals *t, const struct found_stream *s, int64_t from_ns,
                       int64_t to_ns)
{
    double entries = 0;
    for (size_t i = 0; i < s->n_blocks; i++)
        entries += s->blocks[i]->entries * overlap(s->blocks[i], from_ns, to_ns);
    t->streams++;
    t->chunks += s->n_chunks;
    t->entries += (uint64_t)entries;
    t->bytes += found_stream_bytes(s, from_ns, to_ns);
}

static int sum(struct call *c, const struct log_expr *selector, const struct range_params *in,
               struct totals *ret)
{
    struct found f;
    *ret = (struct totals){0};
    int code = call_select(c, selector, in->start_ns, in->end_ns, 0, &f);
    if (code != 0)
        return code;
    for (size_t i = 0; i < f.n_streams; i++)
        add_stream(ret, &f.streams[i], in->start_ns, in->end_ns);
    found_free(&f);
    return 0;
}

int answer_index_stats(struct call *c)
{
    struct range_params in;
    struct expr *selector;
    struct totals t;
    struct answer a;
    int code = params_range(&c->params, &in, &c->err);
    if (code != 0 || (code = call_check_length(c, in.start_ns, in.end_ns)) != 0 ||
        (code = call_parse_selector(c, in.query, true, &selector)) != 0)
        return code;
    code = sum(c, &selector->log, &in, &t);
    logql_release(selector);
    if (code != 0)
        return code;
    answer_begin(&a, c);
    jsonw_begin_object(&a.w);
    jsonw_key_c(&a.w, "streams");
    jsonw_u64(&a.w, t.streams);
    jsonw_key_c(&a.w, "chunks");
    jsonw_u64(&a.w, t.chunks);
    jsonw_key_c(&a.w, "bytes");
    jsonw_u64(&a.w, t.bytes);
    jsonw_key_c(&a.w, "entries");
    jsonw_u64(&a.w, t.entries);
    jsonw_end_object(&a.w);
    return answer_end(&a);
}

struct selectors {
    const struct log_expr *first;
    size_t n;
};

static bool add_selector(void *arg, const struct log_expr *log)
{
    struct selectors *s = arg;
    if (s->n++ == 0)
        s->first = log;
    return true;
}

/* Any query will do, a metric query too, as long as it selects streams only once. */
static int sum_query(struct call *c, const struct range_params *in, struct totals *ret)
{
    struct expr *e;
    struct selectors found = {NULL, 0};
    const struct visitor v = {.log = add_selector, .arg = &found};
    int code = logql_parse(in->query, &c->arena, &e, &c->err);
    if (code != 0)
        return code;
    visit_expr(e, &v);
    if (found.n > 1)
        code = error_set(&c->err, E_INTERNAL, "multiple matcher groups are not supported");
    else if (found.n == 1)
        code = sum(c, found.first, in, ret);
    logql_release(e);
    return code;
}

static int shards_params(struct call *c, struct range_params *ret)
{
    uint64_t target_bytes;
    int code = params_range(&c->params, ret, &c->err);
    if (code != 0)
        return code;
    str target = params_str(&c->params, "targetBytesPerShard");
    if (bytesize_parse_setting(target, &target_bytes, NULL) != 0 || target_bytes == 0)
        return error_set(&c->err, E_INVALID, "targetBytesPerShard must be a positive value");
    return call_check_range(c, ret->start_ns, ret->end_ns);
}

/* One shard holds everything: sharding is done inside a query here. */
int answer_index_shards(struct call *c)
{
    struct range_params in;
    struct totals t = {0};
    struct answer a;
    int code = shards_params(c, &in);
    if (code != 0 || (code = sum_query(c, &in, &t)) != 0)
        return code;
    answer_begin(&a, c);
    struct json_writer *w = &a.w;
    jsonw_begin_object(w);
    jsonw_key_c(w, "shards");
    jsonw_begin_array(w);
    jsonw_begin_object(w);
    jsonw_key_c(w, "bounds");
    jsonw_raw(w, STR("{\"min\":0,\"max\":18446744073709551615}"));
    jsonw_key_c(w, "stats");
    jsonw_begin_object(w);
    jsonw_key_c(w, "streams");
    jsonw_u64(w, t.streams);
    jsonw_key_c(w, "chunks");
    jsonw_u64(w, t.chunks);
    jsonw_key_c(w, "bytes");
    jsonw_u64(w, t.bytes);
    jsonw_key_c(w, "entries");
    jsonw_u64(w, t.entries);
    jsonw_end_object(w);
    jsonw_end_object(w);
    jsonw_end_array(w);
    struct engine_stats none = {.streams = t.streams, .chunks = t.chunks};
    jsonw_key_c(w, "statistics");
    jsonw_begin_object(w);
    write_stats(w, c, &none);
    jsonw_end_object(w);
    jsonw_end_object(w);
    return answer_end(&a);
}
