/* bench/push_parse_bench.c - what a push costs before it is stored: snappy, protobuf, labels,
 * limits, level detection, beside snappy and memcpy alone.  links: distributor runtime
 *
 *     push_parse_bench FILE [RUNS]
 *
 * FILE is what `gen` wrote (u32 length and body, repeated).  Prints CPU seconds of the best run for
 * the whole file, ns a line, and the ratio to decoding snappy alone. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "distributor/distributor.h"
#include "distributor/level.h"
#include "proto/snappy.h"

struct bodies {
    char *bytes;
    size_t size;
    uint64_t lines, raw;
};

static bool load(const char *path, struct bodies *b)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) != 0)
        return false;
    b->size = (size_t)ftell(f);
    rewind(f);
    b->bytes = mem_alloc(b->size);
    bool ok = fread(b->bytes, 1, b->size, f) == b->size;
    fclose(f);
    return ok;
}

/* Calls fn for each body. */
static void each(const struct bodies *b, void (*fn)(void *arg, str body), void *arg)
{
    for (size_t at = 0; at + 4 <= b->size;) {
        uint32_t n;
        memcpy(&n, b->bytes + at, 4);
        fn(arg, str_make(b->bytes + at + 4, n));
        at += 4 + n;
    }
}

/* --- the steps --- */

static void run_copy(void *arg, str body)
{
    struct buf *plain = arg, copy;
    buf_reset(plain);
    snappy_decode(body, plain);
    buf_init(&copy, BUF_NO_LIMIT);
    buf_append_str(&copy, buf_str(plain));
    __asm__ volatile("" : : "r"(copy.ptr) : "memory");
    buf_deinit(&copy);
}

static void run_snappy(void *arg, str body)
{
    struct buf *plain = arg;
    buf_reset(plain);
    ASSERT(snappy_decode(body, plain) == 0);
}

struct reader {
    struct buf plain;
    struct arena arena;
    struct bodies *b;
    struct level_fields *fields;
};

static void run_proto(void *arg, str body)
{
    struct reader *r = arg;
    struct push_request req;
    run_snappy(&r->plain, body);
    arena_reset(&r->arena);
    ASSERT(push_proto_read(buf_str(&r->plain), &r->arena, &req, NULL) == 0);
    for (size_t i = 0; i < req.n_streams; i++)
        for (size_t k = 0; k < req.streams[i].n_entries; k++) {
            const struct entry *e = &req.streams[i].entries[k];
            if (r->b != NULL) {
                r->b->lines++;
                r->b->raw += e->line.len;
            }
            if (r->fields != NULL) {
                str level = level_from_line(r->fields, e->line);
                __asm__ volatile("" : : "r"(level.ptr));
            }
        }
}

static void null_push(struct push_sink *sink, const struct push_batch *batch, push_done *done,
                      void *arg)
{
    (void)sink, (void)batch;
    done(arg, 0, NULL);
}

static void on_answer(void *arg, int http, const struct error *err)
{
    (void)arg;
    if (http != 204) {
        fprintf(stderr, "push refused: %d %s\n", http, err->text);
        exit(1);
    }
}

static void run_push(void *arg, str body)
{
    struct push_input in = {.body = body, .content_type = STR("application/x-protobuf")};
    distributor_push(arg, STR("fake"), &in, on_answer, NULL);
}

/* --- measuring --- */

static double best(const struct bodies *b, int runs, void (*fn)(void *arg, str body), void *arg)
{
    int64_t ns = INT64_MAX;
    for (int i = 0; i < runs; i++) {
        int64_t start = clock_cpu_ns();
        each(b, fn, arg);
        ns = MIN(ns, clock_cpu_ns() - start);
    }
    return (double)ns / 1e9;
}

static void report(const struct bodies *b, const char *what, double s, double unit)
{
    printf("%-28s %8.3f s  %7.1f ns/line  %6.2f GB/s  %5.2f x snappy\n", what, s,
           s * 1e9 / (double)b->lines, (double)b->raw / s / 1e9, s / unit);
}

int main(int argc, char **argv)
{
    struct bodies b = {0};
    if (argc < 2 || !load(argv[1], &b)) {
        fprintf(stderr, "usage: push_parse_bench FILE [RUNS]\n");
        return 2;
    }
    int runs = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 3;
    struct arena arena;
    struct limits limits = {0};
    arena_init(&arena, BUF_NO_LIMIT);
    config_defaults(limits_table, &limits, &arena);
    limits.reject_old_samples = false;
    limits.ingestion_rate_mb = limits.ingestion_burst_size_mb = 1e9;
    limits.creation_grace_period_ns = INT64_C(1) << 60;
    struct limits_set *set = limits_set_new(&limits);
    struct distributor *d = distributor_new(&(struct distributor_config){.limits = set});
    static const struct push_sink_ops ops = {null_push};
    struct push_sink sink = {&ops};
    distributor_add_ingester(d, "bench", "", &sink);

    struct reader r = {.b = &b};
    struct level_fields fields;
    level_fields_init(&fields, &limits.log_level_fields, 2);
    buf_init(&r.plain, BUF_NO_LIMIT);
    arena_init(&r.arena, BUF_NO_LIMIT);
    each(&b, run_proto, &r);
    r.b = NULL;
    double snappy = best(&b, runs, run_snappy, &r.plain);
    printf("%llu lines, %.1f MB raw\n", (unsigned long long)b.lines, (double)b.raw / 1e6);
    report(&b, "snappy", snappy, snappy);
    report(&b, "snappy, copy", best(&b, runs, run_copy, &r.plain), snappy);
    report(&b, "snappy, protobuf", best(&b, runs, run_proto, &r), snappy);
    r.fields = &fields;
    report(&b, "snappy, protobuf, level", best(&b, runs, run_proto, &r), snappy);
    report(&b, "whole push", best(&b, runs, run_push, d), snappy);
    distributor_free(d);
    limits_set_free(set);
    arena_deinit(&arena);
    arena_deinit(&r.arena);
    buf_deinit(&r.plain);
    mem_free(b.bytes);
    return 0;
}
