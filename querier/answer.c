/* Answers as JSON, in Loki's shapes. */
#include "base/clock.h"
#include "base/gofmt.h"
#include "base/mem.h"
#include "querier/internal.h"

#define CONTENT_TYPE "application/json; charset=UTF-8"
/* An answer up to this size is handed over whole: a client that reads slowly then holds memory, but
 * no worker.  A longer one is sent in pieces as it is made. */
#define WHOLE_BYTES_MAX  (16u << 20)
#define PIECE_BYTES      (256u << 10)
#define ANSWER_BYTES_MAX ((size_t)1 << 31)

void answer_begin(struct answer *a, struct call *c)
{
    *a = (struct answer){.call = c};
    buf_init(&a->out, ANSWER_BYTES_MAX);
    jsonw_writer_init(&a->w, &a->out);
}

static void send_piece(struct answer *a)
{
    if (!a->is_streaming && !a->is_gone) {
        a->is_streaming = http_stream_begin(a->call->r, 200, CONTENT_TYPE) == 0;
        a->is_gone = !a->is_streaming;
    }
    if (!a->is_gone)
        a->is_gone = http_stream_write(a->call->r, buf_str(&a->out)) != 0;
    buf_reset(&a->out);
}

void answer_flush(struct answer *a)
{
    if (a->out.len >= (a->is_streaming ? PIECE_BYTES : WHOLE_BYTES_MAX))
        send_piece(a);
}

int answer_end(struct answer *a)
{
    int code = 0;
    buf_append_char(&a->out, '\n');
    if (a->is_streaming) {
        send_piece(a);
        http_stream_end(a->call->r);
    } else if (a->is_gone) { /* before the stream was begun: the request still wants its answer */
        code = E_CANCELED;
    } else {
        http_reply_take(a->call->r, 200, CONTENT_TYPE, &a->out);
    }
    buf_deinit(&a->out);
    return code;
}

int answer_drop(struct answer *a, int code)
{
    buf_deinit(&a->out);
    if (!a->is_streaming)
        return code;
    http_stream_end(a->call->r); /* cut short, so that no JSON parser takes it for whole */
    return 0;
}

void write_labels(struct json_writer *w, const struct labels *ls)
{
    jsonw_begin_object(w);
    for (size_t i = 0; i < ls->n; i++) {
        jsonw_key(w, ls->items[i].name);
        jsonw_string(w, ls->items[i].value);
    }
    jsonw_end_object(w);
}

void write_time_ms(struct json_writer *w, int64_t ts_ms)
{
    if (ts_ms % 1000 == 0) {
        jsonw_i64(w, ts_ms / 1000);
        return;
    }
    char bytes[64];
    struct buf b = {.ptr = bytes, .cap = sizeof bytes, .max = sizeof bytes};
    gofmt_float(&b, (double)ts_ms / 1000, 'f', -1);
    jsonw_raw(w, buf_str(&b));
}

void write_value(struct json_writer *w, double v)
{
    struct buf b;
    buf_init(&b, 1024);
    buf_append_char(&b, '"');
    if (v == (double)(int64_t)v && v > -1e15 && v < 1e15 && (v != 0 || !__builtin_signbit(v)))
        buf_append_i64(&b, (int64_t)v);
    else
        gofmt_float(&b, v, 'f', -1);
    buf_append_char(&b, '"');
    jsonw_raw(w, buf_str(&b));
    buf_deinit(&b);
}

/* --- stats --- */

static void put(struct json_writer *w, const char *name, uint64_t v)
{
    jsonw_key(w, str_c(name));
    jsonw_u64(w, v);
}

static void put_seconds(struct json_writer *w, const char *name, int64_t ns)
{
    jsonw_key(w, str_c(name));
    jsonw_float(w, (double)MAX(ns, 0) / (double)NS_PER_S);
}

static void begin(struct json_writer *w, const char *name)
{
    jsonw_key(w, str_c(name));
    jsonw_begin_object(w);
}

/* One store: memory or disk. */
static void write_store(struct json_writer *w, const struct engine_stats *s, bool memory)
{
    begin(w, "store");
    put(w, "totalChunksRef", memory ? 0 : s->chunks);
    put(w, "totalChunksDownloaded", memory ? 0 : s->chunks_read);
    put_seconds(w, "chunksDownloadTime", 0);
    jsonw_key_c(w, "queryReferencedStructuredMetadata");
    jsonw_bool(w, s->has_meta);
    begin(w, "chunk");
    put(w, "headChunkBytes", memory ? s->head_bytes : 0);
    put(w, "headChunkLines", memory ? s->head_lines : 0);
    put(w, "decompressedBytes", memory ? 0 : s->decompressed_bytes);
    put(w, "decompressedLines", memory ? 0 : s->decompressed_lines);
    put(w, "compressedBytes", memory ? 0 : s->compressed_bytes);
    put(w, "totalDuplicates", memory ? 0 : s->duplicates);
    put(w, "postFilterLines", memory ? 0 : s->lines_after_filters);
    put(w, "headChunkStructuredMetadataBytes", 0);
    put(w, "decompressedStructuredMetadataBytes", memory ? 0 : s->meta_bytes_processed);
    jsonw_end_object(w);
    put_seconds(w, "chunkRefsFetchTime", 0);
    put_seconds(w, "congestionControlLatency", 0);
    put(w, "pipelineWrapperFilteredLines", 0);
    jsonw_end_object(w);
}

static void write_cache(struct json_writer *w)
{
    static const char *const kinds[] = {
        "chunk",        "index",        "result",      "statsResult",
        "volumeResult", "seriesResult", "labelResult", "instantMetricResult"};
    static const char *const counts[] = {"entriesFound",  "entriesRequested", "entriesStored",
                                         "bytesReceived", "bytesSent",        "requests",
                                         "downloadTime",  "queryLengthServed"};
    begin(w, "cache"); /* there are none: nothing is asked of them */
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        begin(w, kinds[i]);
        for (size_t k = 0; k < ARRAY_LEN(counts); k++)
            put(w, counts[k], 0);
        jsonw_end_object(w);
    }
    jsonw_end_object(w);
}

static void write_summary(struct json_writer *w, const struct call *c, const struct engine_stats *s)
{
    int64_t exec_ns = clock_mono_ns() - c->started_mono_ns;
    double seconds = (double)MAX(exec_ns, 1) / (double)NS_PER_S;
    begin(w, "summary");
    put(w, "bytesProcessedPerSecond", (uint64_t)((double)s->bytes_processed / seconds));
    put(w, "linesProcessedPerSecond", (uint64_t)((double)s->lines_processed / seconds));
    put(w, "totalBytesProcessed", s->bytes_processed);
    put(w, "totalLinesProcessed", s->lines_processed);
    put_seconds(w, "execTime", exec_ns);
    put_seconds(w, "queueTime", c->started_mono_ns - c->arrived_mono_ns);
    put(w, "subqueries", s->subqueries);
    put(w, "totalEntriesReturned", s->entries_returned);
    put(w, "splits", 0);
    put(w, "shards", s->shards);
    put(w, "totalPostFilterLines", s->lines_after_filters);
    put(w, "totalStructuredMetadataBytesProcessed", s->meta_bytes_processed);
    jsonw_end_object(w);
}

void write_stats(struct json_writer *w, const struct call *c, const struct engine_stats *s)
{
    jsonw_key_c(w, "stats");
    jsonw_begin_object(w);
    write_summary(w, c, s);
    begin(w, "querier");
    write_store(w, s, false);
    jsonw_end_object(w);
    begin(w, "ingester");
    put(w, "totalReached", 1);
    put(w, "totalChunksMatched", 0);
    put(w, "totalBatches", 0);
    put(w, "totalLinesSent", s->head_lines);
    write_store(w, s, true);
    jsonw_end_object(w);
    write_cache(w);
    begin(w, "index");
    put(w, "totalChunks", s->chunks);
    put(w, "postFilterChunks", s->chunks);
    put_seconds(w, "shardsDuration", 0);
    jsonw_key_c(w, "usedBloomFilters");
    jsonw_bool(w, false);
    jsonw_end_object(w);
    jsonw_end_object(w);
}
