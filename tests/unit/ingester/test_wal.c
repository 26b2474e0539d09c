#include "tests/unit/ingester/fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "ingester/metrics.h"
#include "ingester/wal.h"

static struct fixture f;

static void init(void)
{
    fixture_init(&f);
}

static void fini(void)
{
    fixture_deinit(&f);
}

TestSuite(ingester_wal, .init = init, .fini = fini, .timeout = 300);
TestSuite(ingester_crash, .init = init, .fini = fini, .timeout = 300);

#define A "{app=\"a\"}"

/* The only file of the log that is not empty. */
static void find_segment(char *out, size_t size)
{
    DIR *d = opendir(f.wal_dir);
    cr_assert_not_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[400];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", f.wal_dir, e->d_name);
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
            snprintf(out, size, "%s", path);
    }
    closedir(d);
}

static size_t read_file(const char *path, char *out, size_t max)
{
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file);
    size_t n = fread(out, 1, max, file);
    fclose(file);
    return n;
}

static void write_file(const char *path, const char *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

struct replayed {
    unsigned n;
    char payloads[8][32];
};

static int on_record(void *arg, uint64_t pos, enum wal_record_type type, str payload)
{
    struct replayed *r = arg;
    cr_assert_eq(type, WAL_RECORD_BATCH);
    cr_assert_gt(pos, 0);
    cr_assert_lt(r->n, 8);
    snprintf(r->payloads[r->n++], 32, "%.*s", STR_ARG(payload));
    return 0;
}

static void append(struct wal *w, const char *text)
{
    uint64_t pos;
    cr_assert_eq(wal_append(w, WAL_RECORD_BATCH, (str[]){str_c(text)}, 1, &pos), 0);
    wal_applied(w, pos);
}

/* Writes three records, lets `bytes` be spoiled, and reads what is left. */
static struct wal_replay_stats replay_spoiled(const char *path, const char *bytes, size_t n,
                                              struct replayed *r)
{
    cr_assert(temp_dir_remove(f.wal_dir));
    cr_assert_eq(mkdir(f.wal_dir, 0755), 0);
    write_file(path, bytes, n);
    struct wal *w;
    struct wal_replay_stats stats = {0};
    *r = (struct replayed){0};
    cr_assert_eq(wal_open(&f.config.wal, &w, NULL), 0);
    cr_assert_eq(wal_replay(w, 0, true, on_record, r, &stats), 0);
    wal_close(w);
    return stats;
}

static size_t three_records(char *path, size_t path_size, char *bytes, size_t max)
{
    struct wal *w;
    cr_assert_eq(wal_open(&f.config.wal, &w, NULL), 0);
    append(w, "first record");
    append(w, "second record");
    append(w, "third");
    wal_close(w);
    find_segment(path, path_size);
    return read_file(path, bytes, max);
}

/* The format on disk: magic, length, checksum, type, payload. */
Test(ingester_wal, has_these_bytes)
{
    char path[400], bytes[200];
    size_t n = three_records(path, sizeof path, bytes, sizeof bytes);
    cr_assert_str_eq(strrchr(path, '/') + 1, "0000000000000001.wal");
    cr_assert_eq(n, 3 * 16 + 12 + 13 + 5);
    static const unsigned char golden[16] = {'L', 'G', 'W', '1', 12, 0, 0, 0,
                                             0,   0,   0,   0,   1,  0, 0, 0};
    cr_assert_arr_eq(bytes, golden, 8);
    cr_assert_arr_eq(bytes + 12, golden + 12, 4);
    uint32_t crc, want = crc32c(0, STR("\x0c\0\0\0\x01\0\0\0first record"));
    memcpy(&crc, bytes + 8, sizeof crc);
    cr_assert_eq(crc, want);
    cr_assert_arr_eq(bytes + 16, "first record", 12);
}

Test(ingester_wal, a_tail_torn_at_any_byte_is_cut)
{
    char path[400], bytes[200];
    size_t n = three_records(path, sizeof path, bytes, sizeof bytes);
    size_t end1 = 16 + 12, end2 = end1 + 16 + 13;
    for (size_t cut = 0; cut < n; cut++) {
        struct replayed r;
        struct wal_replay_stats st = replay_spoiled(path, bytes, cut, &r);
        unsigned whole = cut < end1 ? 0 : cut < end2 ? 1 : 2;
        cr_assert_eq(r.n, whole, "cut at %zu", cut);
        cr_assert_eq(st.corruptions, 0);
        struct stat file;
        cr_assert_eq(stat(path, &file), 0);
        size_t ends[] = {0, end1, end2};
        cr_assert_eq((size_t)file.st_size, ends[whole]);
    }
}

Test(ingester_wal, a_damaged_record_in_the_middle_is_skipped_and_counted)
{
    char path[400], bytes[200];
    size_t n = three_records(path, sizeof path, bytes, sizeof bytes);
    size_t end1 = 16 + 12, end2 = end1 + 16 + 13;
    for (size_t i = 0; i < n; i++) {
        struct replayed r;
        bytes[i] ^= 0x20;
        struct wal_replay_stats st = replay_spoiled(path, bytes, n, &r);
        bytes[i] ^= 0x20;
        cr_assert_eq(r.n, 2, "byte %zu: %u", i, r.n);
        cr_assert_eq(st.corruptions, i < end2 ? 1 : 0, "byte %zu", i);
        cr_assert_str_eq(r.payloads[0], i < end1 ? "second record" : "first record");
        cr_assert_str_eq(r.payloads[1], i < end2 ? "third" : "second record");
    }
}

Test(ingester_wal, files_go_when_all_before_them_is_applied_and_not_needed)
{
    f.config.wal.segment_bytes = 64;
    struct wal *w;
    cr_assert_eq(wal_open(&f.config.wal, &w, NULL), 0);
    wal_replayed_to(w, WAL_POS_NONE);
    uint64_t pos[5];
    for (int i = 0; i < 5; i++)
        cr_assert_eq(wal_append(w, WAL_RECORD_BATCH,
                                (str[]){STR("a record of forty-eight bytes...")}, 1, &pos[i]),
                     0);
    cr_assert_eq(wal_applied_to(w), pos[0]);
    wal_applied(w, pos[1]);
    cr_assert_eq(wal_applied_to(w), pos[0]);
    wal_applied(w, pos[0]);
    cr_assert_eq(wal_applied_to(w), pos[2]);
    uint64_t before = wal_bytes(w);
    wal_truncate(w, pos[2]);
    cr_assert_eq(wal_bytes(w), before - 2 * 48);
    cr_assert_eq(wal_oldest_end(w), pos[3]);
    for (int i = 2; i < 5; i++)
        wal_applied(w, pos[i]);
    wal_truncate(w, WAL_POS_NONE - 1);
    cr_assert_eq(wal_bytes(w), 48); /* the one that is written to stays */
    wal_close(w);
}

/* A full disk, as a limit on the size of a file. */
Test(ingester_wal, a_full_disk_refuses_pushes_and_ends_when_there_is_room)
{
    signal(SIGXFSZ, SIG_IGN);
    f.config.wal.sync = WAL_SYNC_NONE;
    fixture_open(&f);
    cr_assert_eq(push_line(&f, A, 1, "before"), 0);
    struct rlimit old, tight = {100, 0};
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight.rlim_max = old.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    struct entry e = {2, STR("a line that does not fit into a hundred bytes"), LABELS_EMPTY};
    for (int i = 0; i < 3; i++) {
        struct answer a = push_stream(&f, A, &e, 1);
        cr_assert_eq(a.code, E_NO_SPACE);
        cr_assert_eq(a.http, 503);
    }
    struct found found;
    found_init(&found);
    find_in_memory(&f, &found); /* questions are answered meanwhile */
    cr_assert_eq(found.total, 1);
    found_deinit(&found);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    cr_assert_eq(push_line(&f, A, 3, "after"), 0);
    fixture_reopen(&f);
    found_init(&found);
    find_in_memory(&f, &found);
    cr_assert_eq(found.total, 2);
    cr_assert_eq(found_count(&found, A, 3, "after"), 1);
    found_deinit(&found);
    fixture_close(&f);
    cr_assert_eq(metric_value(ingester_metrics()->wal_corruptions), 0);
}

/* The same with a real small file system, which needs root. */
Test(ingester_wal, a_full_file_system_keeps_what_was_acknowledged)
{
    char dir[80];
    snprintf(dir, sizeof dir, "%s/small", f.dir);
    mkdir(dir, 0755);
    if (mount("none", dir, "tmpfs", 0, "size=1m") != 0)
        cr_skip("cannot mount a file system here");
    snprintf(f.wal_dir, sizeof f.wal_dir, "%.60s/wal", dir);
    snprintf(f.tables_dir, sizeof f.tables_dir, "%.60s/tables", dir);
    fixture_open(&f);
    char line[4000];
    unsigned seed = 1;
    for (size_t k = 0; k + 1 < sizeof line; k++) /* nothing to compress */
        line[k] = (char)('0' + (seed = seed * 1103515245 + 12345) / 65536 % 64);
    line[sizeof line - 1] = '\0';
    int kept = 0, refused = 0;
    for (int i = 0; i < 400; i++) {
        int code = push_line(&f, A, i, line);
        cr_assert(code == 0 || code == E_NO_SPACE, "%d", code);
        kept += code == 0;
        refused += code != 0;
    }
    cr_assert_gt(kept, 50);
    cr_assert_gt(refused, 50);
    cr_assert_neq(ingester_flush_all(f.ing), 0); /* the store does not fit either */
    for (int round = 0; round < 2; round++) {
        struct found found;
        found_init(&found);
        find_in_memory(&f, &found);
        find_in_store(&f, &found);
        cr_assert_eq(found.map.len, (size_t)kept, "round %d: %zu of %d", round, found.map.len,
                     kept);
        found_deinit(&found);
        if (round == 0)
            fixture_reopen(&f);
    }
    fixture_close(&f);
    cr_assert_eq(umount(dir), 0);
}

Test(ingester_wal, sync_always_answers_after_the_disk_has_it)
{
    f.config.wal.sync = WAL_SYNC_ALWAYS;
    fixture_open(&f);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(push_line(&f, A, i, "x"), 0);
    fixture_reopen(&f);
    struct found found;
    found_init(&found);
    find_in_memory(&f, &found);
    cr_assert_eq(found.total, 20);
    found_deinit(&found);
    fixture_close(&f);
}

Test(ingester_wal, spoiled_files_never_stop_a_start)
{
    fixture_open(&f);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(push_line(&f, A, i, "some line"), 0);
    fixture_close(&f);
    char path[400], bytes[4096];
    find_segment(path, sizeof path);
    size_t n = read_file(path, bytes, sizeof bytes);
    /* Payloads spoiled behind a right checksum are for the fuzzer; here every byte once. */
    for (size_t i = 0; i < n; i += 3) {
        cr_assert(temp_dir_remove(f.wal_dir));
        cr_assert_eq(mkdir(f.wal_dir, 0755), 0);
        bytes[i] ^= 0x41;
        write_file(path, bytes, n);
        bytes[i] ^= 0x41;
        fixture_open(&f);
        struct found found;
        found_init(&found);
        find_in_memory(&f, &found);
        cr_assert_geq(found.total, 9);
        found_deinit(&found);
        fixture_close(&f);
    }
}

/* --- kill -9 --- */

struct ack {
    int stream, line;
};

/* Pushes until it is killed; tells through the pipe what was acknowledged, after it was. */
static void child(int fd, int round)
{
    fixture_open(&f);
    for (int line = 0;; line++)
        for (int stream = 0; stream < 5; stream++) {
            char labels[32], text[64];
            snprintf(labels, sizeof labels, "{app=\"%d\"}", stream);
            snprintf(text, sizeof text, "round %d line %d of stream %d", round, line, stream);
            if (push_line(&f, labels, (int64_t)round * NS_PER_S * 1000 + line, text) != 0)
                _exit(1);
            struct ack ack = {stream, line};
            if (write(fd, &ack, sizeof ack) != sizeof ack)
                _exit(2);
        }
}

Test(ingester_crash, kill_9_loses_nothing_that_was_acknowledged)
{
    f.config.chunk_block_bytes = 2048;
    f.config.chunk_target_bytes = 4096;
    f.config.memory_target_bytes = 16 << 10;
    f.config.flush_check_period_ns = 10 * NS_PER_MS;
    f.config.wal.segment_bytes = 32 << 10;
    int acked[10][5];
    for (int round = 0; round < 10; round++) {
        int fds[2];
        cr_assert_eq(pipe(fds), 0);
        pid_t pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0) {
            close(fds[0]);
            child(fds[1], round);
            _exit(3);
        }
        close(fds[1]);
        for (int i = 0; i < 5; i++)
            acked[round][i] = -1;
        struct ack ack;
        /* A different moment each time. */
        for (int n = 0; n < 100 + 577 * round && read(fds[0], &ack, sizeof ack) == sizeof ack; n++)
            acked[round][ack.stream] = ack.line;
        kill(pid, SIGKILL);
        while (read(fds[0], &ack, sizeof ack) == sizeof ack)
            acked[round][ack.stream] = ack.line;
        close(fds[0]);
        int status;
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(WIFSIGNALED(status), "the writer failed: %d", status);
    }
    fixture_open(&f);
    struct found found;
    found_init(&found);
    find_in_memory(&f, &found);
    find_in_store(&f, &found);
    size_t n = 0;
    for (int round = 0; round < 10; round++)
        for (int stream = 0; stream < 5; stream++)
            for (int line = 0; line <= acked[round][stream]; line++, n++) {
                char labels[32], text[64];
                snprintf(labels, sizeof labels, "{app=\"%d\"}", stream);
                snprintf(text, sizeof text, "round %d line %d of stream %d", round, line, stream);
                cr_assert_geq(
                    found_count(&found, labels, (int64_t)round * NS_PER_S * 1000 + line, text), 1,
                    "lost: %s", text);
            }
    cr_assert_gt(n, 1000);
    /* Doubles come only from flushes whose mark was cut off by the kill. */
    cr_assert_leq(found.total - found.map.len, found.map.len / 4);
    found_deinit(&found);
    fixture_close(&f);
}
