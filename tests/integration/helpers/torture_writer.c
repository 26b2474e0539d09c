/* torture_writer - writes log files that are rotated all the time, for torture_promtail.py.
 *
 *   torture_writer DIR FILES BYTES_PER_SECOND SECONDS ROTATE_MS KEEP
 *
 * File i is DIR/fNNN.log; even ones are rotated by rename, odd ones by copy and truncate; KEEP old
 * generations stay.  Lines are "F<file> N<number> <padding>".  How many each has by now stands in
 * DIR/../written; at the end the number of lines of each file is printed: "<file> <lines>". */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX         1000
#define PATH_BYTES        1024
#define CHUNK             (64 * 1024)
#define TICK_NS           10000000 /* 10 ms */
#define FIRST_ROTATION_NS INT64_C(2000000000)

struct file {
    int fd;
    uint64_t n_lines;
    int64_t rotate_at_ns;
    bool by_copy;
};

static struct file files[FILES_MAX];
static const char *dir;
static int keep;
static uint64_t seed = 88172645463325252u;

static uint32_t random_below(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % n;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void name_of(int i, int generation, char out[PATH_BYTES])
{
    if (generation == 0)
        snprintf(out, PATH_BYTES, "%s/f%03d.log", dir, i);
    else
        snprintf(out, PATH_BYTES, "%s/f%03d.log.%d", dir, i, generation);
}

static void open_file(int i)
{
    char path[PATH_BYTES];
    name_of(i, 0, path);
    files[i].fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (files[i].fd < 0)
        die(path);
}

static void shift_generations(int i)
{
    char from[PATH_BYTES], to[PATH_BYTES];
    for (int g = keep; g > 1; g--) {
        name_of(i, g - 1, from);
        name_of(i, g, to);
        if (rename(from, to) != 0 && errno != ENOENT)
            die(from);
    }
}

static void write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done <= 0)
            die("write");
        p += done;
        n -= (size_t)done;
    }
}

static void copy_to(int from, const char *path)
{
    static char chunk[CHUNK];
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (to < 0)
        die(path);
    ssize_t n;
    for (off_t at = 0; (n = pread(from, chunk, sizeof chunk, at)) > 0; at += n)
        write_all(to, chunk, (size_t)n);
    close(to);
}

static void rotate(int i)
{
    char path[PATH_BYTES], first[PATH_BYTES];
    name_of(i, 0, path);
    name_of(i, 1, first);
    shift_generations(i);
    if (files[i].by_copy) {
        copy_to(files[i].fd, first);
        if (ftruncate(files[i].fd, 0) != 0)
            die(path);
        return;
    }
    if (rename(path, first) != 0)
        die(path);
    close(files[i].fd);
    open_file(i);
}

/* About `bytes` of whole lines, in one write; sometimes the last line comes in two. */
static void write_lines(int i, size_t bytes)
{
    static char chunk[CHUNK + 1024];
    static const char padding[] =
        "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789"
        "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789"
        "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789";
    size_t n = 0;
    while (n < bytes && n < CHUNK)
        n += (size_t)snprintf(chunk + n, sizeof chunk - n, "F%d N%" PRIu64 " %.*s\n", i,
                              files[i].n_lines++, (int)random_below(200), padding);
    size_t first = random_below(4) == 0 && n > 0 ? random_below((uint32_t)n) : n;
    write_all(files[i].fd, chunk, first);
    write_all(files[i].fd, chunk + first, n - first);
}

static void tell_progress(int fd, int n_files)
{
    static char text[FILES_MAX * 24];
    size_t len = 0;
    for (int i = 0; i < n_files; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%20" PRIu64 "\n", files[i].n_lines);
    if (pwrite(fd, text, len, 0) != (ssize_t)len)
        die("written");
}

int main(int argc, char **argv)
{
    if (argc != 7)
        return 2;
    dir = argv[1];
    int n_files = (int)strtol(argv[2], NULL, 10);
    double rate = strtod(argv[3], NULL);
    int64_t seconds = strtol(argv[4], NULL, 10), rotate_ms = strtol(argv[5], NULL, 10);
    keep = (int)strtol(argv[6], NULL, 10);
    if (n_files < 1 || n_files > FILES_MAX)
        return 2;
    int64_t start = now_ns(), end = start + seconds * 1000000000;
    for (int i = 0; i < n_files; i++) {
        files[i].by_copy = i % 2 == 1;
        /* What is rotated before promtail looks for the first time is not its business. */
        files[i].rotate_at_ns =
            start + FIRST_ROTATION_NS + (int64_t)random_below((uint32_t)rotate_ms) * 1000000;
        open_file(i);
    }
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/../written", dir);
    int progress = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (progress < 0)
        die(path);
    double written = 0;
    for (int64_t now; (now = now_ns()) < end;) {
        double due = (double)(now - start) / 1e9 * rate;
        size_t each = due > written ? (size_t)((due - written) / n_files) : 0;
        for (int i = 0; i < n_files && each > 0; i++) {
            if (now >= files[i].rotate_at_ns) {
                rotate(i);
                files[i].rotate_at_ns += rotate_ms * 1000000;
                if (files[i].rotate_at_ns < now) /* it was held up */
                    files[i].rotate_at_ns =
                        now + (int64_t)random_below((uint32_t)rotate_ms) * 1000000;
            }
            write_lines(i, each);
        }
        written = each > 0 ? due : written;
        tell_progress(progress, n_files);
        nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
    }
    for (int i = 0; i < n_files; i++)
        printf("%d %" PRIu64 "\n", i, files[i].n_lines);
    return 0;
}
