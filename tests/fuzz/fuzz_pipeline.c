/* links: base proto logql */
/* Lines of any bytes through pipelines of every stage: nothing breaks, and a block is filtered as
 * its lines are one by one.  The first byte picks the pipelines, the rest are lines, split at
 * byte 0x1e. */
#include "base/mem.h"
#include "logql/parser.h"
#include "logql/pipeline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const queries[] = {
    "{app=\"x\"} | json",
    "{app=\"x\"} | json a=\"a.b[0]\", c=\"[1].c\", d=`[\"x.y\"]`",
    "{app=\"x\"} | logfmt --strict --keep-empty",
    "{app=\"x\"} | logfmt | a>1 | b=~\"x.*\" or c<5s and d>1KB",
    "{app=\"x\"} | logfmt x=\"a\", app",
    "{app=\"x\"} | unpack | logfmt | drop a=~\"1.*\" | keep b, app",
    "{app=\"x\"} | pattern \"<a> <_>=<b>,<c>\" | label_format z=a, y=\"{{.b}}-{{.c}}\"",
    "{app=\"x\"} | regexp \"(?P<k>\\\\w+)=(?P<v>[^ ]*)\" | line_format \"{{.k}}:{{.v}}\" |= \"a\"",
    "{app=\"x\"} | decolorize |~ \"[a-z]+[0-9]\"",
    "{app=\"x\"} |= \"ab\" != \"cd\" |~ \"(?i)e+r\" !~ \"x|y|zz\"",
    "{app=\"x\"} |~ \"a|bc\" |> \"<_>a<_>\" != \"q\"",
    "{app=\"x\"} |= ip(\"10.0.0.0/8\") or \"::\"",
    "{app=\"x\"} |= ip(\"::/1\") != ip(\"1.2.3.4-1.2.3.9\")",
    "{app=\"x\"} |~ \"[0-9]\\\\s[a-f]\" |~ \"^.*$\"",
    "sum by (a, level) (count_over_time({app=\"x\"} | json | logfmt [1m]))",
    "sum without (a) (rate({app=\"x\"} | logfmt | a!=ip(\"10.0.0.1\") [1m]))",
    "sum_over_time({app=\"x\"} | json | unwrap bytes(a) | __error__=\"\" [1m])",
    "max_over_time({app=\"x\"} | logfmt | unwrap duration(a) [1m]) by (b)",
};

static const struct expr *leaf_of(const struct expr *e, struct grouping *g)
{
    for (; e->kind == EXPR_VECTOR_AGG; e = e->vector_agg.inner)
        *g = e->vector_agg.grouping;
    if (e->kind == EXPR_RANGE_AGG && e->range_agg.grouping.is_present)
        *g = e->range_agg.grouping;
    return e;
}

static struct pipeline *compile(const char *query, struct arena *a, struct expr **ret)
{
    struct pipeline_params pp = {0};
    struct pipeline *p;
    ASSERT(logql_parse(str_c(query), a, ret, NULL) == 0);
    const struct expr *leaf = leaf_of(*ret, &pp.grouping);
    const struct log_expr *log = &leaf->log;
    if (leaf->kind == EXPR_RANGE_AGG) {
        log = &leaf->range_agg.range.log;
        pp.unwrap = leaf->range_agg.range.unwrap;
        pp.sample = pp.unwrap != NULL ? PIPELINE_VALUE : PIPELINE_COUNT;
    }
    pp.stages = log->stages;
    pp.n_stages = log->n_stages;
    ASSERT(pipeline_compile(&pp, &p, NULL) == 0);
    return p;
}

static void check_labels(const struct pipeline_labels *l)
{
    for (size_t i = 1; i < l->all.n; i++)
        ASSERT(str_cmp(l->all.items[i - 1].name, l->all.items[i].name) < 0);
    for (size_t i = 0; i < l->all.n; i++)
        ASSERT(l->all.items[i].name.len == 0 || label_name_is_valid(l->all.items[i].name));
    ASSERT(l->hash == labels_hash(&l->all));
}

/* The block gives exactly the lines that pass alone, with the same labels; so does a run that has
 * seen no line before. */
static void run(const struct pipeline *p, const struct block_view *v)
{
    static const struct label app = {{"app", 3}, {"x", 1}};
    const struct labels stream = {&app, 1};
    struct pipeline_run *blocks = pipeline_run_new(p), *lines = pipeline_run_new(p);
    pipeline_run_stream(blocks, &stream);
    pipeline_run_stream(lines, &stream);
    pipeline_run_block(blocks, v, 0, v->n, false);
    for (uint32_t i = 0; i < v->n; i++) {
        struct pipeline_result one, r;
        pipeline_run_forget(lines);
        if (!pipeline_run_entry(lines, v->ts_ns[i], block_line(v, i), NULL, &one))
            continue;
        check_labels(one.labels);
        bool is_there = pipeline_run_next(blocks, &r);
        ASSERT(is_there && r.at == i && str_eq(r.line, one.line));
        ASSERT(labels_eq(&r.labels->all, &one.labels->all));
        ASSERT(r.value == one.value || one.value != one.value);
    }
    struct pipeline_result r;
    ASSERT(!pipeline_run_next(blocks, &r));
    pipeline_run_forget(blocks);
    pipeline_run_free(blocks);
    pipeline_run_free(lines);
}

#define LINES_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 65536)
        return 0;
    char *text = mem_alloc(size);
    uint32_t line_at[LINES_MAX + 1] = {0}, n = 0;
    int64_t ts_ns[LINES_MAX] = {0};
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0x1e;
    for (uint32_t i = 0; i < size && n < LINES_MAX; i++) {
        if (text[i] == 0x1e) {
            text[i] = '\n';
            line_at[++n] = i + 1;
        }
    }
    struct block_view v = {.n = n,
                           .columns = BLOCK_TIMES | BLOCK_LINES,
                           .ts_ns = ts_ns,
                           .text = text,
                           .text_len = line_at[n],
                           .line_at = line_at};
    struct arena a;
    struct expr *e;
    arena_init(&a, SIZE_MAX);
    struct pipeline *p = compile(queries[data[0] % ARRAY_LEN(queries)], &a, &e);
    run(p, &v);
    pipeline_free(p);
    logql_release(e);
    arena_deinit(&a);
    mem_free(text);
    return 0;
}
