/* bench/store_bench.c - what the store costs
 * links: querier logql ingester index chunks runtime
 *
 * Pushes of the load generator's file go straight into the push sink: CPU seconds beside LZ4 and
 * memcpy over the same lines in the same run.
 *
 *   store_bench FILE [DIR] [sync]
 *
 * FILE is made by the workload's `gen`; DIR (made, and left there) holds the data.  Decoding of the
 * requests is not counted. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/vec.h"
#include "chunks/lz4.h"
#include "index/store.h"
#include "ingester/ingester.h"
#include "proto/push_proto.h"
#include "proto/snappy.h"
#include "querier/store_source.h"

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec * 1e-6 +
           (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec * 1e-6;
}

static long peak_kb(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

static void must(int code, const struct error *err, const char *what)
{
    if (code == 0)
        return;
    fprintf(stderr, "%s: %s %s\n", what, status_text(code), err ? err->text : "");
    exit(1);
}

static void on_done(void *arg, int code, const struct error *err)
{
    must(code, err, "push");
    *(int *)arg += 1;
}

struct totals {
    double prep_s, limit_lz4_s, limit_copy_s;
    uint64_t lines, bytes;
    uint64_t requests;
};

static const struct label levels[] = {
    {STR("detected_level"), STR("info")},
    {STR("detected_level"), STR("debug")},
    {STR("detected_level"), STR("warn")},
    {STR("detected_level"), STR("error")},
};

/* What a distributor does: the labels parsed, a level on each entry. */
static size_t prepare(const struct push_request *req, struct arena *a, struct push_stream *out,
                      struct totals *t)
{
    for (size_t i = 0; i < req->n_streams; i++) {
        must(labels_parse(req->streams[i].labels_text, a, &out[i].labels, NULL), NULL, "labels");
        out[i].hash = labels_hash(&out[i].labels);
        out[i].entries = req->streams[i].entries;
        out[i].n_entries = req->streams[i].n_entries;
        for (size_t k = 0; k < out[i].n_entries; k++) {
            req->streams[i].entries[k].meta = (struct labels){&levels[(t->lines + k * k) % 4], 1};
            t->bytes += out[i].entries[k].line.len;
        }
        t->lines += out[i].n_entries;
    }
    return req->n_streams;
}

/* The limits: the same lines copied, and copied and compressed. */
static void limits(const struct push_stream *streams, size_t n, struct buf *joined,
                   struct buf *packed, struct totals *t)
{
    int64_t t0 = clock_cpu_ns();
    buf_reset(joined);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < streams[i].n_entries; k++)
            buf_append_str(joined, streams[i].entries[k].line);
    int64_t t1 = clock_cpu_ns();
    bool is_plain;
    buf_reset(packed);
    must(lz4_put(packed, buf_str(joined), &is_plain), NULL, "lz4");
    int64_t t2 = clock_cpu_ns();
    t->limit_copy_s += (double)(t1 - t0) * 1e-9;
    t->limit_lz4_s += (double)(t2 - t1) * 1e-9;
}

static void push_all(struct ingester *ing, FILE *file, struct totals *t)
{
    struct arena a;
    struct buf request, plain, joined, packed;
    arena_init(&a, (size_t)64 << 20);
    buf_init(&request, (size_t)256 << 20);
    buf_init(&plain, (size_t)256 << 20);
    buf_init(&joined, (size_t)256 << 20);
    buf_init(&packed, (size_t)256 << 20);
    int answered = 0;
    uint32_t len;
    double c0 = (double)clock_cpu_ns() * 1e-9;
    while (fread(&len, sizeof len, 1, file) == 1) {
        buf_reset(&request);
        must(buf_reserve(&request, len) && fread(request.ptr, len, 1, file) == 1 ? 0 : E_EOF, NULL,
             "file");
        str body = str_make(request.ptr, len);
        struct push_request req;
        arena_reset(&a);
        buf_reset(&plain);
        must(snappy_decode(body, &plain), NULL, "snappy");
        must(push_proto_read(buf_str(&plain), &a, &req, NULL), NULL, "proto");
        struct push_stream *streams = ARENA_ARRAY(&a, struct push_stream, req.n_streams);
        size_t n = prepare(&req, &a, streams, t);
        limits(streams, n, &joined, &packed, t);
        t->requests++;
        t->prep_s += (double)clock_cpu_ns() * 1e-9 - c0;
        struct push_batch batch = {
            .tenant = STR("fake"),
            .streams = streams,
            .n_streams = n,
            .raw = body,
            .raw_encoding = PUSH_SNAPPY_PROTO,
            .plain = buf_str(&plain),
        };
        push_sink_push(ingester_sink(ing), &batch, on_done, &answered);
        c0 = (double)clock_cpu_ns() * 1e-9;
    }
    buf_deinit(&request);
    buf_deinit(&plain);
    buf_deinit(&joined);
    buf_deinit(&packed);
    arena_deinit(&a);
}

/* Entries, line bytes as the descriptors tell and as decoding finds. */
static void read_all(struct query_source *q, unsigned columns, const char *what)
{
    struct select_params p = {.tenant = STR("fake"), .from_ns = 0, .to_ns = INT64_MAX};
    struct selection *sel;
    double c0 = cpu_s();
    int64_t w0 = clock_mono_ns();
    must(q->ops->select(q, &p, &sel, NULL), NULL, "select");
    double c1 = cpu_s();
    uint64_t entries = 0, bytes = 0, blocks = 0, stored = 0, compressed = 0;
    struct block_buf b;
    block_buf_init(&b);
    for (size_t i = 0; i < sel->n_streams; i++)
        for (size_t k = 0; k < sel->streams[i].n_blocks; k++) {
            const struct block_ref *ref = &sel->streams[i].blocks[k];
            must(q->ops->read(q, ref, columns, &b), NULL, "read");
            entries += ref->entries;
            stored += ref->line_bytes;
            compressed += ref->compressed_bytes;
            bytes += b.view.text_len;
            blocks++;
        }
    block_buf_deinit(&b);
    printf("%-18s %zu streams %llu blocks %llu entries %llu MB text, %llu MB compressed; select "
           "%.4f s, "
           "read %.3f s CPU, %.3f s wall (%.2f GB/s)\n",
           what, sel->n_streams, (unsigned long long)blocks, (unsigned long long)entries,
           (unsigned long long)(stored >> 20), (unsigned long long)(compressed >> 20), c1 - c0,
           cpu_s() - c1, (double)(clock_mono_ns() - w0) * 1e-9,
           (double)(columns & BLOCK_LINES ? bytes : entries * 8) / 1e9 / (cpu_s() - c1));
    q->ops->selection_free(sel);
}

static struct ingester *start(const struct ingester_config *config, struct store *store)
{
    static struct limits defaults;
    struct limits_set *set = limits_set_new(&defaults);
    struct ingester *ing;
    struct error err = {0};
    must(ingester_new(&(struct ingester_options){.config = config, .limits = set, .store = store},
                      &ing, &err),
         &err, "ingester");
    return ing;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    const char *dir = argc > 2 ? argv[2] : "/tmp/store_bench.data";
    mkdir(dir, 0755);
    struct buf path;
    buf_init(&path, 4096);
    buf_printf(&path, "%s/wal", dir);
    char *wal_dir = mem_strdup(buf_c(&path));
    buf_reset(&path);
    buf_printf(&path, "%s/tables", dir);
    FILE *file = fopen(argv[1], "rb");
    must(file == NULL ? E_NOT_FOUND : 0, NULL, argv[1]);

    struct arena a;
    arena_init(&a, 1 << 20);
    struct ingester_config config = {0};
    config_defaults(ingester_config_table, &config, &a);
    config.wal.dir = wal_dir;
    if (argc > 3)
        config.wal.sync = strcmp(argv[3], "always") == 0 ? WAL_SYNC_ALWAYS : WAL_SYNC_NONE;
    struct store *store;
    struct error err = {0};
    must(store_open(&(struct store_config){.dir = buf_c(&path)}, &store, &err), &err, "store");
    struct query_source *stored = store_source_new(store);

    int64_t w0 = clock_mono_ns();
    double c0 = cpu_s();
    struct ingester *ing = start(&config, store);
    printf("start              %.3f s CPU, %.3f s wall\n", cpu_s() - c0,
           (double)(clock_mono_ns() - w0) * 1e-9);
    struct totals t = {0};
    w0 = clock_mono_ns();
    c0 = cpu_s();
    push_all(ing, file, &t);
    fclose(file);
    double cpu = cpu_s() - c0 - t.prep_s;
    printf(
        "push               %llu lines %llu MB %llu requests: %.3f s CPU, %.3f s wall; lz4 -1 %.3f "
        "s (%.2fx), memcpy %.3f s; peak %ld MB\n",
        (unsigned long long)t.lines, (unsigned long long)(t.bytes >> 20),
        (unsigned long long)t.requests, cpu, (double)(clock_mono_ns() - w0) * 1e-9, t.limit_lz4_s,
        cpu / t.limit_lz4_s, t.limit_copy_s, peak_kb() >> 10);
    struct ingester_stats is = ingester_stats(ing);
    printf("in memory          %zu streams, heads %lld MB, chunks %lld MB, wal %llu MB\n",
           is.streams, (long long)is.head_bytes >> 20, (long long)is.chunk_bytes >> 20,
           (unsigned long long)is.wal_bytes >> 20);
    read_all(ingester_source(ing), BLOCK_ALL, "memory, all");
    read_all(stored, BLOCK_ALL, "store, all");

    w0 = clock_mono_ns();
    c0 = cpu_s();
    ingester_stop(ing);
    ing = start(&config, store);
    printf("stop and replay    %.3f s CPU, %.3f s wall; peak %ld MB\n", cpu_s() - c0,
           (double)(clock_mono_ns() - w0) * 1e-9, peak_kb() >> 10);
    read_all(ingester_source(ing), BLOCK_ALL, "memory, all");
    w0 = clock_mono_ns();
    c0 = cpu_s();
    must(ingester_flush_all(ing), NULL, "flush");
    printf("flush              %.3f s CPU, %.3f s wall; peak %ld MB\n", cpu_s() - c0,
           (double)(clock_mono_ns() - w0) * 1e-9, peak_kb() >> 10);
    read_all(stored, BLOCK_ALL, "store, all");
    read_all(stored, BLOCK_LINES, "store, lines");
    read_all(stored, BLOCK_TIMES, "store, times");
    read_all(stored, BLOCK_META, "store, meta");
    ingester_stop(ing);
    store_source_free(stored);
    store_close(store);
    arena_deinit(&a);
    return 0;
}
