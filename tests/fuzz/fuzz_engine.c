/* links: logql proto base */
/* Whole queries over a small store: whatever parses is answered or refused and can be explained,
 * with the same answer from plain blocks by one shard and from blocks that overlap by many.  The
 * first two bytes choose step, direction and limits, the rest is the query. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "logql/engine/engine.h"
#include "logql/parser.h"
#include "tests/support/fake_source.c" /* the fuzz build has no support library */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define S INT64_C(1000000000)

static struct query_source *source_of(enum fake_layout layout)
{
    static struct fake_source *made[FAKE_LATE + 1];
    if (made[layout] != NULL)
        return fake_source_query_source(made[layout]);
    struct fake_source_params p = {.layout = layout, .block_entries = 7};
    struct fake_source *f = made[layout] = fake_source_new(&p);
    static const char *const LINES[] = {
        "level=info dur=%dms size=1KB msg=\"it is fine\"",
        "{\"level\":\"error\",\"n\":%d,\"deep\":{\"er\":[1,2]},\"s\":\"10.0.0.1\"}",
        "10.0.0.1 - - [x] \"GET /a HTTP/1.1\" 200 %d",
        "{\"_entry\":\"packed %d\",\"a\":\"b\"}",
        "broken { %d",
    };
    for (int i = 0; i < 100; i++) {
        char line[128];
        snprintf(line, sizeof line, LINES[i % 5], i);
        fake_source_add(f, i % 2 ? "{a=\"x\",pod=\"1\"}" : "{a=\"y\",pod=\"2\"}", i * S, line,
                        i % 3 ? "{\"detected_level\":\"info\",\"trace\":\"t\"}" : NULL);
    }
    return fake_source_query_source(f);
}

static int answer(const struct expr *e, struct engine_params *p, struct buf *out)
{
    struct arena a;
    struct error err = {0};
    struct engine_query *q = NULL;
    struct engine_result r = {0};
    arena_init(&a, SIZE_MAX);
    int rc = engine_prepare(e, p, &a, &q, &err);
    for (size_t i = 0; rc == 0 && i < engine_shard_count(q); i++)
        engine_run_shard(q, i);
    if (rc == 0)
        rc = engine_finish(q, &r, &err);
    ASSERT(rc == 0 || err.text[0] != '\0');
    for (size_t i = 0; rc == 0 && i < r.n_streams; i++) {
        labels_print(&r.streams[i].labels, out);
        for (size_t j = 0; j < r.streams[i].n_entries; j++)
            buf_printf(out, " %lld %.*s", (long long)r.streams[i].entries[j].ts_ns,
                       STR_ARG(r.streams[i].entries[j].line));
    }
    for (size_t i = 0; rc == 0 && i < r.n_series; i++) {
        labels_print(&r.series[i].labels, out);
        for (size_t j = 0; j < r.series[i].n_points; j++)
            buf_printf(out, " %lld %.6g", (long long)r.series[i].points[j].ts_ms,
                       r.series[i].points[j].value + 0.0);
    }
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    if (q != NULL) {
        engine_explain(q, ENGINE_EXPLAIN_TEXT, &text);
        engine_explain(q, ENGINE_EXPLAIN_JSON, &text);
    }
    buf_deinit(&text);
    engine_free(q);
    arena_deinit(&a);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > 4096)
        return 0;
    struct query_source *s = source_of(FAKE_PLAIN);
    struct engine_params p = {.start_ns = 10 * S,
                              .end_ns = 90 * S,
                              .step_ns = (data[0] % 40 + 1) * S,
                              .interval_ns = data[1] & 1 ? (data[0] % 16) * S : 0,
                              .limit = data[1] & 2 ? 5 : 1000,
                              .direction = data[1] & 4 ? ENGINE_FORWARD : ENGINE_BACKWARD,
                              .is_instant = (data[1] & 8) != 0,
                              .is_categorized = (data[1] & 16) != 0,
                              .is_step_aligned = (data[1] & 32) != 0,
                              .limits = {.series_max = 500, .memory_bytes_max = 64u << 20},
                              .sources = &s,
                              .n_sources = 1,
                              .shards_max = 1,
                              .shard_bytes_min = 1,
                              .is_explained = (data[1] & 64) != 0};
    struct arena a;
    struct expr *e = NULL;
    arena_init(&a, SIZE_MAX);
    if (logql_parse(str_make((const char *)data + 2, size - 2), &a, &e, NULL) == 0) {
        struct buf one, many;
        buf_init(&one, BUF_NO_LIMIT);
        buf_init(&many, BUF_NO_LIMIT);
        int rc = answer(e, &p, &one);
        p.shards_max = 3;
        s = source_of(data[1] & 128 ? FAKE_LATE : FAKE_OVERLAP);
        ASSERT(answer(e, &p, &many) == rc);
        ASSERT(rc != 0 || str_eq(buf_str(&one), buf_str(&many)));
        buf_deinit(&one);
        buf_deinit(&many);
        logql_release(e);
    }
    arena_deinit(&a);
    return 0;
}
