/* bench/engine_bench.c - the queries of the workload through the engine alone, over sealed blocks
 * in memory.  links: logql chunks pkg_lz4
 *
 *     engine_bench FILE QUERIES [RUNS] [--explain]
 *
 * FILE is what `gen` wrote; QUERIES has one query a line: name, kind (log or metric), limit or step
 * in seconds, query, tab separated.  Shards run on two threads.  Prints for each query the median
 * wall and CPU milliseconds, what was read and how large the answer is. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "chunks/block.h"
#include "chunks/head.h"
#include "logql/engine/engine.h"
#include "logql/parser.h"
#include "proto/push_proto.h"
#include "proto/snappy.h"

#define THREADS 2

struct sealed {
    struct chunk_block desc;
    str bytes;
};

struct bench_stream {
    struct labels labels;
    struct head head;
    struct buf text;
    VEC(struct sealed) blocks;
    struct block_ref *refs;
};

struct bench_source {
    struct query_source source;
    struct arena arena;
    struct strmap by_text;
    VEC(struct bench_stream *) streams;
    int64_t min_ns, max_ns;
    uint64_t lines, bytes, stored;
};

/* ---- loading ---- */

static void seal(struct bench_source *b, struct bench_stream *s)
{
    struct head_snapshot snap;
    struct block_buf buf;
    block_buf_init(&buf);
    ASSERT(head_take(&s->head, &snap) == 0);
    if (snap.n > 0) {
        ASSERT(head_read(&snap, BLOCK_ALL, &buf) == 0);
        struct buf out;
        buf_init(&out, BUF_NO_LIMIT);
        struct sealed sealed;
        ASSERT(chunk_block_encode(&buf.view, 0, buf.view.n, &out, &sealed.desc) == 0);
        sealed.bytes = arena_str(&b->arena, buf_str(&out));
        b->stored += out.len;
        VEC_PUSH(&s->blocks, sealed);
        buf_deinit(&out);
    }
    head_release(&snap);
    head_clear(&s->head);
    block_buf_deinit(&buf);
}

static struct bench_stream *stream_of(struct bench_source *b, str text)
{
    struct bench_stream *s = strmap_get(&b->by_text, text);
    if (s != NULL)
        return s;
    s = mem_zalloc(sizeof *s);
    ASSERT(labels_parse(text, &b->arena, &s->labels, NULL) == 0);
    head_init(&s->head);
    strmap_put(&b->by_text, text, s);
    VEC_PUSH(&b->streams, s);
    return s;
}

static void add(struct bench_source *b, struct bench_stream *s, struct entry *e)
{
    static const struct label INFO = {{"detected_level", 14}, {"info", 4}};
    static const struct label ERROR = {{"detected_level", 14}, {"error", 5}};
    e->meta = (struct labels){str_contains(e->line, STR("error")) ? &ERROR : &INFO, 1};
    if (head_is_full_for(&s->head, e->ts_ns, e->line.len, BLOCK_BYTES_TARGET))
        seal(b, s);
    head_append(&s->head, e);
    b->lines++;
    b->bytes += e->line.len;
    b->min_ns = MIN(b->min_ns, e->ts_ns);
    b->max_ns = MAX(b->max_ns, e->ts_ns);
}

static void load(struct bench_source *b, const char *path)
{
    FILE *in = fopen(path, "rb");
    ASSERT(in != NULL);
    uint32_t n;
    struct buf plain;
    buf_init(&plain, BUF_NO_LIMIT);
    while (fread(&n, sizeof n, 1, in) == 1) {
        char *raw = mem_alloc(n);
        ASSERT(fread(raw, 1, n, in) == n);
        buf_reset(&plain);
        ASSERT(snappy_decode(str_make(raw, n), &plain) == 0);
        struct arena a;
        arena_init(&a, SIZE_MAX);
        struct push_request req;
        ASSERT(push_proto_read(buf_str(&plain), &a, &req, NULL) == 0);
        for (size_t i = 0; i < req.n_streams; i++) {
            struct bench_stream *s = stream_of(b, req.streams[i].labels_text);
            for (size_t j = 0; j < req.streams[i].n_entries; j++)
                add(b, s, &req.streams[i].entries[j]);
        }
        arena_deinit(&a);
        mem_free(raw);
    }
    fclose(in);
    buf_deinit(&plain);
}

static int cmp_streams(const void *a, const void *b)
{
    return labels_cmp(&(*(struct bench_stream *const *)a)->labels,
                      &(*(struct bench_stream *const *)b)->labels);
}

static void finish_load(struct bench_source *b)
{
    uint64_t chunk = 0;
    for (size_t i = 0; i < b->streams.len; i++) {
        struct bench_stream *s = b->streams.items[i];
        seal(b, s);
        s->refs = mem_array(s->blocks.len, sizeof *s->refs);
        chunk++;
        for (size_t j = 0; j < s->blocks.len; j++) {
            s->refs[j] = chunk_block_ref(&s->blocks.items[j].desc);
            s->refs[j].chunk_id = chunk;
            s->refs[j].index = (uint32_t)j;
            s->refs[j].handle = &s->blocks.items[j];
        }
    }
    qsort(b->streams.items, b->streams.len, sizeof b->streams.items[0], cmp_streams);
}

/* ---- the source ---- */

static int bench_select(struct query_source *q, const struct select_params *p,
                        struct selection **ret, struct error *err)
{
    (void)err;
    struct bench_source *b = CONTAINER_OF(q, struct bench_source, source);
    struct selection *sel = mem_zalloc(sizeof *sel);
    struct selected_stream *streams = mem_array(b->streams.len, sizeof *streams);
    for (size_t i = 0; i < b->streams.len; i++) {
        struct bench_stream *s = b->streams.items[i];
        if (matchers_match(p->matchers, p->n_matchers, &s->labels))
            streams[sel->n_streams++] =
                (struct selected_stream){0, s->labels, s->refs, s->blocks.len, 1};
    }
    sel->source = q;
    sel->streams = streams;
    *ret = sel;
    return 0;
}

static void bench_selection_free(struct selection *s)
{
    mem_free((void *)(uintptr_t)s->streams);
    mem_free(s);
}

static int bench_read(struct query_source *q, const struct block_ref *ref, unsigned columns,
                      struct block_buf *into)
{
    (void)q;
    const struct sealed *s = ref->handle;
    return chunk_block_decode(&s->desc, s->bytes, columns, into);
}

static const struct query_source_ops OPS = {
    .select = bench_select, .selection_free = bench_selection_free, .read = bench_read};

/* ---- running ---- */

struct crew {
    struct engine_query *query;
    atomic_size_t next;
};

static void *work(void *arg)
{
    struct crew *c = arg;
    for (;;) {
        size_t i = atomic_fetch_add(&c->next, 1);
        if (i >= engine_shard_count(c->query))
            return NULL;
        engine_run_shard(c->query, i);
    }
}

static int64_t process_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

struct outcome {
    double wall_ms, cpu_ms;
    struct engine_stats stats;
    size_t answer;
};

static void run_shards(struct engine_query *q)
{
    struct crew c = {.query = q};
    pthread_t t[THREADS - 1];
    size_t n = MIN(engine_shard_count(q), (size_t)THREADS) - (engine_shard_count(q) > 0);
    for (size_t i = 0; i < n; i++)
        pthread_create(&t[i], NULL, work, &c);
    work(&c);
    for (size_t i = 0; i < n; i++)
        pthread_join(t[i], NULL);
}

static struct outcome run(const char *text, struct engine_params *p)
{
    struct outcome o = {0};
    int64_t wall = clock_mono_ns(), cpu = process_cpu_ns();
    struct arena a;
    struct expr *e;
    struct error err = {0};
    struct engine_query *q = NULL;
    struct engine_result r = {0};
    arena_init(&a, SIZE_MAX);
    int rc = logql_parse(str_c(text), &a, &e, &err);
    if (rc == 0)
        rc = engine_prepare(e, p, &a, &q, &err);
    if (rc == 0) {
        run_shards(q);
        rc = engine_finish(q, &r, &err);
    }
    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", text, err.text);
        exit(1);
    }
    o.stats = r.stats;
    o.answer = r.kind == ENGINE_STREAMS ? r.n_streams : r.n_series;
    if (p->is_explained) {
        struct buf out;
        buf_init(&out, BUF_NO_LIMIT);
        engine_explain(q, ENGINE_EXPLAIN_TEXT, &out);
        fputs(buf_c(&out), stdout);
        buf_deinit(&out);
    }
    engine_free(q);
    logql_release(e);
    arena_deinit(&a);
    o.wall_ms = (double)(clock_mono_ns() - wall) / 1e6;
    o.cpu_ms = (double)(process_cpu_ns() - cpu) / 1e6;
    return o;
}

static int cmp_outcomes(const void *a, const void *b)
{
    double x = ((const struct outcome *)a)->cpu_ms, y = ((const struct outcome *)b)->cpu_ms;
    return x < y ? -1 : x > y;
}

static void bench_query(struct bench_source *b, char *line, int runs, bool is_explained)
{
    struct query_source *source = &b->source;
    char *at = line;
    const char *name = strsep(&at, "\t"), *kind = strsep(&at, "\t"), *n = strsep(&at, "\t");
    if (at == NULL)
        return;
    int64_t number = strtoll(n, NULL, 10);
    struct engine_params p = {.start_ns = b->min_ns,
                              .end_ns = b->max_ns + 1,
                              .step_ns = number * INT64_C(1000000000),
                              .limit = (uint32_t)number,
                              .is_step_aligned = true,
                              .sources = &source,
                              .n_sources = 1,
                              .cpu_ns = is_explained ? clock_cpu_ns : NULL,
                              .is_explained = is_explained};
    struct outcome o[64];
    (void)kind;
    for (int i = 0; i < runs; i++)
        o[i] = run(at, &p);
    qsort(o, (size_t)runs, sizeof *o, cmp_outcomes);
    const struct outcome *m = &o[runs / 2];
    printf(
        "%-16s wall %8.2f ms  cpu %8.2f ms  read %6llu blocks (%llu footers) %8llu lines %7.1f MB"
        "  kept %8llu  answer %zu\n",
        name, m->wall_ms, m->cpu_ms, (unsigned long long)m->stats.blocks_read,
        (unsigned long long)m->stats.blocks_from_footer,
        (unsigned long long)m->stats.lines_processed, (double)m->stats.bytes_processed / 1e6,
        (unsigned long long)m->stats.lines_after_filters, m->answer);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    struct bench_source *b = mem_zalloc(sizeof *b);
    b->source = (struct query_source){&OPS, "bench"};
    b->min_ns = INT64_MAX;
    b->max_ns = INT64_MIN;
    arena_init(&b->arena, SIZE_MAX);
    strmap_init(&b->by_text);
    load(b, argv[1]);
    finish_load(b);
    printf("%zu streams, %llu lines, %.1f MB, %.1f MB stored\n", b->streams.len,
           (unsigned long long)b->lines, (double)b->bytes / 1e6, (double)b->stored / 1e6);
    FILE *in = fopen(argv[2], "r");
    ASSERT(in != NULL);
    char *line = NULL;
    size_t cap = 0;
    int runs = argc > 3 ? MIN(MAX((int)strtol(argv[3], NULL, 10), 1), 64) : 5;
    while (getline(&line, &cap, in) > 0) {
        line[strcspn(line, "\n")] = 0;
        bench_query(b, line, runs, argc > 4);
    }
    free(line);
    fclose(in);
    return 0; /* the memory goes with the process */
}
