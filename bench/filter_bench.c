/* bench/filter_bench.c - what a pipeline costs, without storage: the workload's lines as blocks in
 * memory, beside memmem and memcpy over the same bytes.  links: logql
 *
 *     filter_bench FILE [RUNS]
 *
 * FILE is what `gen` wrote.  For each query: CPU ms of the best run, ns a line, GB/s of text, lines
 * kept, and the ratio to memmem of a needle that does not occur. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "logql/parser.h"
#include "logql/pipeline.h"
#include "proto/push_proto.h"
#include "proto/snappy.h"

struct bench_block {
    struct block_view view;
    struct buf text;
    VEC(uint32_t) line_at;
    VEC(int64_t) ts_ns;
};

struct bench_stream {
    struct labels labels;
    VEC(struct bench_block *) blocks;
};

static struct {
    struct arena arena;
    struct strmap by_text;
    VEC(struct bench_stream *) streams;
    uint64_t lines, bytes;
} data;

static const struct label LEVEL = {{"detected_level", 14}, {"info", 4}};
static const struct labels META = {&LEVEL, 1};

static struct bench_block *block_of(struct bench_stream *s)
{
    struct bench_block *b = s->blocks.len > 0 ? s->blocks.items[s->blocks.len - 1] : NULL;
    if (b != NULL && b->text.len < BLOCK_BYTES_TARGET)
        return b;
    b = mem_zalloc(sizeof *b);
    buf_init(&b->text, BUF_NO_LIMIT);
    VEC_PUSH(&b->line_at, 0);
    VEC_PUSH(&s->blocks, b);
    return b;
}

static struct bench_stream *stream_of(str text)
{
    struct bench_stream *s = strmap_get(&data.by_text, text);
    if (s == NULL) {
        s = mem_zalloc(sizeof *s);
        ASSERT(labels_parse(text, &data.arena, &s->labels, NULL) == 0);
        strmap_put(&data.by_text, text, s);
        VEC_PUSH(&data.streams, s);
    }
    return s;
}

static void add_entry(struct bench_stream *s, const struct entry *e)
{
    struct bench_block *b = block_of(s);
    buf_append_str(&b->text, e->line);
    buf_append_char(&b->text, '\n');
    VEC_PUSH(&b->line_at, (uint32_t)b->text.len);
    VEC_PUSH(&b->ts_ns, e->ts_ns);
    data.lines++;
    data.bytes += e->line.len + 1;
}

static void load(const char *path)
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
        for (size_t i = 0; i < req.n_streams; i++)
            for (size_t j = 0; j < req.streams[i].n_entries; j++)
                add_entry(stream_of(req.streams[i].labels_text), &req.streams[i].entries[j]);
        arena_deinit(&a);
        mem_free(raw);
    }
    fclose(in);
    buf_deinit(&plain);
    for (size_t i = 0; i < data.streams.len; i++) {
        for (size_t j = 0; j < data.streams.items[i]->blocks.len; j++) {
            struct bench_block *b = data.streams.items[i]->blocks.items[j];
            b->view = (struct block_view){.n = (uint32_t)b->ts_ns.len,
                                          .columns = BLOCK_ALL,
                                          .ts_ns = b->ts_ns.items,
                                          .text = b->text.ptr,
                                          .text_len = b->text.len,
                                          .line_at = b->line_at.items,
                                          .meta = &META,
                                          .n_meta = 1};
        }
    }
}

typedef uint64_t text_fn(const char *text, size_t len);

static uint64_t do_memmem(const char *text, size_t len)
{
    return memmem(text, len, "needle-deadbeef", 15) != NULL;
}

static char copy_to[4 << 20];

static uint64_t do_memcpy(const char *text, size_t len)
{
    memcpy(copy_to, text, len);
    return (uint64_t)copy_to[len / 2];
}

/* Best of `runs` over all text, ns. */
static int64_t over_text(text_fn *fn, int runs)
{
    int64_t best = INT64_MAX;
    volatile uint64_t sink = 0; /* so that nothing is optimized away */
    (void)sink;
    for (int r = 0; r < runs; r++) {
        int64_t start = clock_cpu_ns();
        for (size_t i = 0; i < data.streams.len; i++)
            for (size_t j = 0; j < data.streams.items[i]->blocks.len; j++) {
                const struct block_view *v = &data.streams.items[i]->blocks.items[j]->view;
                sink += fn(v->text, v->text_len);
            }
        best = MIN(best, clock_cpu_ns() - start);
    }
    return best;
}

struct outcome {
    int64_t ns;
    uint64_t lines, bytes, kept;
};

static bool is_selected(const struct log_expr *log, const struct labels *ls)
{
    for (size_t i = 0; i < log->n_matchers; i++) {
        str v = labels_get(ls, log->matchers[i]->name);
        if (!matcher_is_match(log->matchers[i], v.ptr == NULL ? STR_EMPTY : v))
            return false;
    }
    return true;
}

static void run_once(const struct pipeline *p, const struct log_expr *log, struct outcome *o)
{
    struct pipeline_run *run = pipeline_run_new(p);
    o->kept = o->lines = o->bytes = 0;
    int64_t start = clock_cpu_ns();
    for (size_t i = 0; i < data.streams.len; i++) {
        struct bench_stream *s = data.streams.items[i];
        if (!is_selected(log, &s->labels))
            continue;
        pipeline_run_stream(run, &s->labels);
        for (size_t j = 0; j < s->blocks.len; j++) {
            const struct block_view *v = &s->blocks.items[j]->view;
            struct pipeline_result r;
            pipeline_run_block(run, v, 0, v->n, false);
            while (pipeline_run_next(run, &r))
                o->kept++;
            o->lines += v->n;
            o->bytes += v->text_len;
        }
        if (pipeline_run_label_bytes(run) > (16u << 20))
            pipeline_run_forget(run);
    }
    o->ns = MIN(o->ns, clock_cpu_ns() - start);
    pipeline_run_free(run);
}

static const struct expr *leaf_of(const struct expr *e, struct grouping *g)
{
    while (e->kind == EXPR_VECTOR_AGG) {
        *g = e->vector_agg.grouping;
        g->is_present = true;
        e = e->vector_agg.inner;
    }
    if (e->kind == EXPR_RANGE_AGG && e->range_agg.grouping.is_present)
        *g = e->range_agg.grouping;
    return e;
}

static void bench(const char *query, int runs, int64_t memmem_ns)
{
    struct arena a;
    arena_init(&a, SIZE_MAX);
    struct expr *e;
    struct pipeline_params pp = {0};
    struct pipeline *p;
    ASSERT(logql_parse(str_c(query), &a, &e, NULL) == 0);
    const struct expr *leaf = leaf_of(e, &pp.grouping);
    const struct log_expr *log = &leaf->log;
    if (leaf->kind == EXPR_RANGE_AGG) {
        log = &leaf->range_agg.range.log;
        pp.unwrap = leaf->range_agg.range.unwrap;
        pp.sample = pp.unwrap != NULL ? PIPELINE_VALUE : PIPELINE_COUNT;
    }
    pp.stages = log->stages;
    pp.n_stages = log->n_stages;
    ASSERT(pipeline_compile(&pp, &p, NULL) == 0);
    struct outcome o = {.ns = INT64_MAX};
    for (int i = 0; i < runs; i++)
        run_once(p, log, &o);
    double scaled = (double)memmem_ns * (double)o.bytes / (double)data.bytes;
    printf("%8.2f ms %7.1f ns/line %6.2f GB/s %9llu kept %7.2f x memmem  %s\n", (double)o.ns / 1e6,
           (double)o.ns / (double)o.lines, (double)o.bytes / (double)o.ns,
           (unsigned long long)o.kept, (double)o.ns / scaled, query);
    pipeline_free(p);
    logql_release(e);
    arena_deinit(&a);
}

int main(int argc, char **argv)
{
    static const char *const queries[] = {
        "{cluster=~\"c.*\"} |= \"needle-\"",
        "sum by (app) (rate({cluster=~\"c.*\"} |= \"error\" [1m]))",
        "sum(count_over_time({cluster=~\"c.*\"} |~ \"took 2[0-9]{3} ms\" [5m]))",
        "sum(count_over_time({cluster=~\"c.*\"} |~ \"(?i)peer RESET\" [5m]))",
        "sum(count_over_time({cluster=~\"c.*\"} |~ \"(timeout|refused) \" [5m]))",
        "sum(count_over_time({cluster=~\"c.*\"} |~ \"[0-9]{7}[a-f]x\" [5m]))",
        "sum(count_over_time({cluster=~\"c.*\"} |~ \"\\\\b[a-z]+-[0-9]+ms\" [5m]))",
        "sum(count_over_time({cluster=~\"c.*\"} |~ \"(GET|POST) /api/v[0-9]+/x\" [5m]))",
        "sum(count_over_time({cluster=~\"c.*\"} |~ \"(?i)(error|fail|panic|fatal)\" [5m]))",
        "sum(count_over_time({cluster=~\"c.*\"} != \"error\" [5m]))",
        "sum by (http_status) (count_over_time({app=\"checkout\"} | json | http_status >= 500 "
        "[1m]))",
        "{app=\"checkout\"} | json | http_status >= 500",
        "{app=\"checkout\"} | json",
        "quantile_over_time(0.99, {app=\"cart\"} | logfmt | unwrap duration(latency) [5m]) by "
        "(app)",
        "sum by (level) (count_over_time({app=\"cart\"} | logfmt [5m]))",
        "{app=\"cart\"} | logfmt",
        "sum by (path) (count_over_time({app=\"nginx\"} | pattern \"<_> - - [<_>] \\\"<_> <path> "
        "<_>\\\" <status> <_>\" | status=~\"5..\" [5m]))",
        "{app=\"payments\"} | regexp \"took (?P<ms>[0-9]+) ms\" | ms > 2990",
        "{app=\"cart\"} | logfmt | line_format \"{{.method}} {{.path}} {{.status}}\"",
    };
    if (argc < 2)
        return 2;
    int runs = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 5;
    arena_init(&data.arena, SIZE_MAX);
    strmap_init(&data.by_text);
    load(argv[1]);
    int64_t mm = over_text(do_memmem, runs), mc = over_text(do_memcpy, runs);
    printf("%.1f MB, %llu lines\n%8.2f ms memmem  %6.2f GB/s\n%8.2f ms memcpy  %6.2f GB/s\n",
           (double)data.bytes / 1e6, (unsigned long long)data.lines, (double)mm / 1e6,
           (double)data.bytes / (double)mm, (double)mc / 1e6, (double)data.bytes / (double)mc);
    for (size_t i = 0; i < ARRAY_LEN(queries); i++)
        bench(queries[i], runs, mm);
    return 0;
}
