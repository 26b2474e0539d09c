/* index/stats and index/shards: what the footers of blocks know. */
#include "base/mem.h"
#include "logql/parser.h"
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

static int sum(struct call *c, struct totals *ret)
{
    struct range_params in;
    struct expr *selector;
    struct found f;
    int code = params_range(&c->params, &in, &c->err);
    if (code != 0 || (code = call_parse_selector(c, in.query, true, &selector)) != 0)
        return code;
    *ret = (struct totals){0};
    code = call_select(c, &selector->log, in.start_ns, in.end_ns, 0, &f);
    if (code == 0) {
        for (size_t i = 0; i < f.n_streams; i++)
            add_stream(ret, &f.streams[i], in.start_ns, in.end_ns);
        found_free(&f);
    }
    logql_release(selector);
    return code;
}

int answer_index_stats(struct call *c)
{
    struct totals t;
    struct answer a;
    int code = sum(c, &t);
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

/* One shard holds everything: sharding is done inside a query here. */
int answer_index_shards(struct call *c)
{
    struct totals t;
    struct answer a;
    if (params_str(&c->params, "targetBytesPerShard").len == 0)
        return error_set(&c->err, E_INVALID, "targetBytesPerShard must be a positive value");
    int code = sum(c, &t);
    if (code != 0)
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
