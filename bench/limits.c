/* bench/limits - what this machine can do at best with the lines of a workload, as the yardstick.
 *
 *   limits FILE     FILE: requests as ../shared/bench/gen.c writes them (u32 length, snappy
 * protobuf)
 *
 * Prints CPU milliseconds, best of five, as one JSON object: snappy decoding of the bodies,
 * copying, searching and compressing the lines (LZ4 in blocks of 256 KiB, as chunks do). */
#include <lz4.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/cursor.h"
#include "base/file.h"
#include "base/mem.h"
#include "proto/push_proto.h"
#include "proto/snappy.h"

#define FILE_BYTES_MAX  ((size_t)8 << 30)
#define BODY_BYTES_MAX  ((size_t)64 << 20)
#define ROUNDS          5
#define LZ4_BLOCK_BYTES (256 * 1024)

static int64_t best(int64_t old, int64_t start)
{
    int64_t took = clock_cpu_ns() - start;
    return old == 0 || took < old ? took : old;
}

/* Walks the file: decodes every body; appends the lines to `lines` if it is not NULL. */
static int walk(str file, struct buf *lines, struct buf *body, uint64_t *ret_lines)
{
    struct arena a;
    arena_init(&a, BODY_BYTES_MAX);
    struct cursor c = cursor_make(file);
    int rc = 0;
    while (rc == 0 && !cursor_at_end(&c)) {
        str packed = cursor_bytes(&c, cursor_u32(&c));
        buf_reset(body);
        rc = cursor_ok(&c) ? snappy_decode(packed, body) : E_CORRUPT;
        if (rc != 0 || lines == NULL)
            continue;
        struct push_request r;
        arena_reset(&a);
        rc = push_proto_read(buf_str(body), &a, &r, NULL);
        for (size_t i = 0; rc == 0 && i < r.n_streams; i++)
            for (size_t k = 0; k < r.streams[i].n_entries; k++) {
                buf_append_str(lines, r.streams[i].entries[k].line);
                buf_append_char(lines, '\n');
                ++*ret_lines;
            }
    }
    arena_deinit(&a);
    return rc;
}

struct figures {
    int64_t snappy, copy, find, compress, decompress;
    size_t compressed_bytes;
};

static void measure(str file, str lines, struct figures *f)
{
    struct buf body;
    buf_init(&body, BODY_BYTES_MAX);
    char *copy = mem_alloc(lines.len);
    int bound = LZ4_compressBound(LZ4_BLOCK_BYTES);
    size_t n_blocks = lines.len / LZ4_BLOCK_BYTES + 1;
    char *packed = mem_alloc(n_blocks * (size_t)bound);
    int *sizes = mem_array(n_blocks, sizeof *sizes);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t t = clock_cpu_ns();
        walk(file, NULL, &body, NULL);
        f->snappy = best(f->snappy, t);
        t = clock_cpu_ns();
        memcpy(copy, lines.ptr, lines.len);
        f->copy = best(f->copy, t);
        t = clock_cpu_ns();
        size_t hits = 0;
        for (str rest = lines;
             (rest = str_from(rest, MIN(str_find(rest, STR("needle-")), rest.len))).len;
             rest = str_from(rest, 1))
            hits++;
        f->find = best(f->find, t);
        t = clock_cpu_ns();
        f->compressed_bytes = 0;
        for (size_t i = 0; i < n_blocks; i++) {
            str block = str_sub(lines, i * LZ4_BLOCK_BYTES, (i + 1) * LZ4_BLOCK_BYTES);
            sizes[i] =
                LZ4_compress_default(block.ptr, packed + i * (size_t)bound, (int)block.len, bound);
            f->compressed_bytes += (size_t)sizes[i];
        }
        f->compress = best(f->compress, t);
        t = clock_cpu_ns();
        for (size_t i = 0; i < n_blocks; i++)
            LZ4_decompress_safe(packed + i * (size_t)bound, copy, sizes[i], LZ4_BLOCK_BYTES);
        f->decompress = best(f->decompress, t);
    }
    mem_free(sizes);
    mem_free(packed);
    mem_free(copy);
    buf_deinit(&body);
}

int main(int argc, char **argv)
{
    struct buf file, lines, body;
    struct error err = {0};
    buf_init(&file, FILE_BYTES_MAX);
    buf_init(&lines, FILE_BYTES_MAX);
    buf_init(&body, BODY_BYTES_MAX);
    if (argc != 2 || file_read(argv[1], &file, &err) != 0) {
        fprintf(stderr, "limits: %s\n", argc != 2 ? "usage: limits FILE" : err.text);
        return 2;
    }
    uint64_t n = 0;
    if (walk(buf_str(&file), &lines, &body, &n) != 0) {
        fprintf(stderr, "limits: %s is no file of requests\n", argv[1]);
        return 1;
    }
    struct figures f = {0};
    measure(buf_str(&file), buf_str(&lines), &f);
    printf(
        "{\"lines\": %llu, \"line_bytes\": %zu, \"snappy_decode_ms\": %.1f, \"memcpy_ms\": %.1f, "
        "\"memmem_ms\": %.1f, \"lz4_ms\": %.1f, \"lz4_decode_ms\": %.1f, \"lz4_bytes\": %zu}\n",
        (unsigned long long)n, lines.len, (double)f.snappy / 1e6, (double)f.copy / 1e6,
        (double)f.find / 1e6, (double)f.compress / 1e6, (double)f.decompress / 1e6,
        f.compressed_bytes);
    buf_deinit(&body);
    buf_deinit(&lines);
    buf_deinit(&file);
    return 0;
}
