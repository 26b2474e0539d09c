/* bench/promtail/limits.c - what the same bytes cost without a shipper: reading, finding newlines,
 * Snappy.  CPU-seconds each.
 *
 * limits FILE */
#include <fcntl.h>
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES  (256 * 1024)
#define PIECE_BYTES (64 * 1024)

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static char in[READ_BYTES];
static char out[PIECE_BYTES * 2];

static size_t count_lines(ssize_t n)
{
    size_t lines = 0;
    for (const char *p = in, *end = in + n; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
        lines++;
    return lines;
}

static size_t compress(ssize_t n)
{
    size_t total = 0;
    for (ssize_t at = 0; at < n; at += PIECE_BYTES) {
        size_t piece = n - at < PIECE_BYTES ? (size_t)(n - at) : PIECE_BYTES;
        size_t room = sizeof out;
        snappy_compress(in + at, piece, out, &room);
        total += room;
    }
    return total;
}

/* Reads the file and gives each piece to fn (may be NULL); prints what that took. */
static double pass(const char *path, const char *name, size_t (*fn)(ssize_t n), double reading)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    double start = cpu_s();
    size_t total = 0;
    ssize_t n;
    while ((n = read(fd, in, sizeof in)) > 0)
        total += fn != NULL ? fn(n) : (size_t)n;
    double took = cpu_s() - start - reading;
    close(fd);
    printf("%-8s %6.3f CPU-s  (%zu)\n", name, took, total);
    return took;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    double reading = pass(argv[1], "read", NULL, 0);
    pass(argv[1], "memchr", count_lines, reading);
    pass(argv[1], "snappy", compress, reading);
    return 0;
}
