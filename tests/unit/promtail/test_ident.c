#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "promtail/targets/file/ident.h"
#include "tests/support/temp_dir.h"

static char dir[TEMP_DIR_MAX];

static const char *in_dir(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void set_up(void)
{
    cr_assert(temp_dir_make(dir));
}

static void tear_down(void)
{
    cr_assert(temp_dir_remove(dir));
}

TestSuite(promtail_ident, .init = set_up, .fini = tear_down);

static int write_file(const char *name, const char *text)
{
    int fd = open(in_dir(name), O_RDWR | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return fd;
}

#define HEAD "2026-11-21 a head that is long enough to be told from others\n"

Test(promtail_ident, knows_rotated_names)
{
    static const struct {
        const char *base, *name;
        bool is_rotated;
    } cases[] = {
        {"app.log", "app.log.1", true},        {"app.log", "app.log.12.gz", true},
        {"app.log", "app.log-20261121", true}, {"app.log", "app-2026-11-21.log", true},
        {"app.log", "app.1.log", true},        {"app.log", "app.log.old", true},
        {"app.log", "app-error.log", false},   {"app.log", "apple.log", false},
        {"app.log", "app.log", false},         {"app.log", "app.log.bak", false},
        {"syslog", "syslog.1", true},          {"syslog", "syslog-ng.1", false},
        {"app.log", "app2.log", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(ident_is_rotated_name(str_c(cases[i].base), str_c(cases[i].name)),
                     cases[i].is_rotated, "%s of %s", cases[i].name, cases[i].base);
}

Test(promtail_ident, tells_generations_apart)
{
    struct source_ident id;
    int fd = write_file("app.log", HEAD "one\n");
    cr_assert(ident_take(fd, &id));
    cr_expect(ident_is_same_file(fd, &id));
    cr_assert_eq(write(fd, "two\n", 4), 4);
    cr_expect(ident_is_same_file(fd, &id), "it may grow");
    cr_assert_eq(ftruncate(fd, 0), 0);
    cr_expect(!ident_is_same_file(fd, &id), "truncated");
    cr_assert_eq(pwrite(fd, "another text, and a longer one than that was\n", 45, 0), 45);
    cr_expect(!ident_is_same_file(fd, &id), "the same inode, another text");
    close(fd);
}

Test(promtail_ident, confirms_what_was_read)
{
    struct source_ident id;
    int fd = write_file("app.log", "");
    cr_assert(ident_take(fd, &id));
    cr_expect_eq(id.head_bytes, 0);
    cr_expect(ident_confirm(fd, &id, 0, STR(HEAD)), "an empty head takes the first bytes");
    cr_expect_eq(id.head_bytes, sizeof HEAD - 1);
    cr_expect(!ident_confirm(fd, &id, 0, STR("other bytes than before")));
    cr_expect(!ident_confirm(fd, &id, 100, STR("anything")), "the file has not that head");
    cr_assert_eq(pwrite(fd, HEAD HEAD, sizeof HEAD * 2 - 2, 0), (ssize_t)(sizeof HEAD * 2 - 2));
    cr_expect(ident_confirm(fd, &id, 100, STR("anything")));
    cr_expect_eq(id.head_bytes, sizeof HEAD * 2 - 2, "and more of it is known now");
    close(fd);
}

static int find_moved(const char *path, const struct source_ident *id, int64_t size,
                      bool *ret_is_gzip)
{
    struct folder_set folders;
    folder_set_init(&folders);
    int fd = ident_find_moved(&folders, path, id, size, ret_is_gzip);
    cr_assert_not(folders.is_stale);
    folder_set_deinit(&folders);
    return fd;
}

Test(promtail_ident, a_short_text_is_a_copy_if_it_is_the_whole_text)
{
    struct source_ident id;
    int fd = write_file("app.log", "one\ntwo\n");
    cr_assert(ident_take(fd, &id));
    int same = write_file("app.log.1", "one\ntwo\n");
    int longer = write_file("app.log.2", "one\ntwo\nthree\n");
    cr_expect(ident_is_copy(same, &id));
    cr_expect_not(ident_is_copy(longer, &id), "another text may begin so");
    unlink(in_dir("app.log.2"));
    cr_assert_eq(ftruncate(fd, 0), 0);
    struct folder_set folders;
    bool is_gzip;
    folder_set_init(&folders);
    int found = ident_find_moved(&folders, in_dir("app.log"), &id, 8, &is_gzip);
    cr_assert_geq(found, 0);
    folder_set_deinit(&folders);
    close(found);
    close(fd);
    close(same);
    close(longer);
}

Test(promtail_ident, a_short_head_alone_does_not_make_the_same_text)
{
    static char full[IDENT_HEAD_BYTES + 10];
    struct source_ident id;
    close(write_file("app.log", HEAD));
    int fd = open(in_dir("app.log"), O_RDWR);
    cr_assert(ident_take(fd, &id));
    cr_expect(ident_is_same_text(fd, &id));
    close(fd);
    fd = write_file("app.log.1", HEAD "and more\n");
    cr_expect_not(ident_is_same_text(fd, &id), "the banner of both");
    close(fd);
    memset(full, 'x', sizeof full - 1);
    fd = write_file("app.log", full);
    cr_assert(ident_take(fd, &id));
    int longer = write_file("app.log.2", full);
    cr_assert_eq(pwrite(longer, "y", 1, IDENT_HEAD_BYTES + 9), 1);
    cr_expect(ident_is_same_text(longer, &id));
    close(fd);
    close(longer);
    gzFile gz = gzopen(in_dir("app.log.3.gz"), "wb");
    cr_assert_eq(gzwrite(gz, full, sizeof full - 1), (int)sizeof full - 1);
    gzclose(gz);
    fd = open(in_dir("app.log.3.gz"), O_RDONLY);
    cr_expect(ident_is_same_text(fd, &id));
    close(fd);
}

Test(promtail_ident, a_text_is_known_by_its_head_and_its_size)
{
    char text[3000];
    struct source_ident id;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    int fd = write_file("app.log", text);
    cr_assert(ident_take(fd, &id));
    cr_expect(ident_is_whole(fd, &id, sizeof text - 1));
    cr_expect(!ident_is_whole(fd, &id, sizeof text));
    close(fd);
    gzFile gz = gzopen(in_dir("app.log.1.gz"), "wb");
    cr_assert_eq(gzwrite(gz, text, sizeof text - 1), (int)sizeof text - 1);
    gzclose(gz);
    fd = open(in_dir("app.log.1.gz"), O_RDONLY);
    cr_expect(ident_is_whole(fd, &id, sizeof text - 1));
    cr_expect(!ident_is_whole(fd, &id, sizeof text));
    id.head_hash++;
    cr_expect(!ident_is_whole(fd, &id, sizeof text - 1));
    close(fd);
}

Test(promtail_ident, what_is_rotated_stands_where_a_link_leads)
{
    char want[256], *place;
    cr_assert_eq(symlink("b.log", in_dir("a.log")), 0);
    cr_assert_eq(symlink("sub/c.log", in_dir("b.log")), 0);
    snprintf(want, sizeof want, "%s/sub/c.log", dir);
    cr_expect_str_eq(place = folder_follow(in_dir("a.log")), want);
    mem_free(place);
    cr_expect_str_eq(place = folder_follow(want), want);
    mem_free(place);
    cr_assert_eq(symlink(want, in_dir("d.log")), 0);
    cr_expect_str_eq(place = folder_follow(in_dir("d.log")), want);
    mem_free(place);
    cr_assert_eq(symlink("e.log", in_dir("e.log")), 0);
    place = folder_follow(in_dir("e.log")); /* ends */
    mem_free(place);
}

Test(promtail_ident, finds_renamed_and_copied_files)
{
    struct source_ident id;
    bool is_gzip;
    char path[256];
    int fd = write_file("app.log", HEAD "one\n");
    cr_assert(ident_take(fd, &id));
    close(fd);
    snprintf(path, sizeof path, "%s/app.log", dir);
    cr_expect_lt(find_moved(path, &id, 10, &is_gzip), 0, "nothing beside it");
    close(write_file("app.log.2", HEAD "one\nand more\n"));
    close(write_file("app.log.3", "something else that is long enough to be told\n"));
    fd = find_moved(path, &id, 10, &is_gzip);
    cr_assert_geq(fd, 0, "a copy");
    close(fd);
    cr_expect_lt(find_moved(path, &id, 100000, &is_gzip), 0, "the copy is too short");
    char from[256];
    snprintf(from, sizeof from, "%s", path);
    cr_assert_eq(rename(from, in_dir("app.log.1")), 0);
    fd = find_moved(path, &id, 100000, &is_gzip);
    cr_assert_geq(fd, 0, "the renamed file itself, whatever its size");
    cr_expect(ident_is_same_file(fd, &id));
    close(fd);
}

Test(promtail_ident, many_generations_are_found_by_one_look_at_the_folder)
{
    char name[64], to[256], text[2000];
    struct source_ident ids[20];
    for (int i = 0; i < 20; i++) { /* even ones are renamed, odd ones copied: another inode */
        int n = snprintf(text, sizeof text, "%d: a file whose beginning tells it apart\n", i);
        memset(text + n, 'x', sizeof text - 1 - (size_t)n);
        text[sizeof text - 1] = '\0';
        int fd = write_file("many.log", text);
        cr_assert(ident_take(fd, &ids[i]));
        close(fd);
        snprintf(name, sizeof name, "many.log.%d", i);
        snprintf(to, sizeof to, "%s/%s", dir, name);
        if (i % 2 == 0) {
            cr_assert_eq(rename(in_dir("many.log"), to), 0);
        } else {
            close(write_file(name, text));
            cr_assert_eq(unlink(in_dir("many.log")), 0);
        }
    }
    struct folder_set folders;
    folder_set_init(&folders);
    snprintf(to, sizeof to, "%s/many.log", dir);
    for (int i = 0; i < 20; i++) {
        bool is_gzip = true;
        int fd = ident_find_moved(&folders, to, &ids[i], 100, &is_gzip);
        cr_assert_geq(fd, 0, "generation %d", i);
        cr_assert(ident_head_matches(fd, &ids[i]));
        cr_assert_not(is_gzip);
        close(fd);
    }
    struct source_ident other = ids[0];
    bool is_gzip;
    other.ino = 1;
    other.head_hash++;
    cr_assert_lt(ident_find_moved(&folders, to, &other, 0, &is_gzip), 0);
    cr_assert_not(folders.is_stale);
    cr_assert_eq(unlink(in_dir("many.log.0")), 0);
    cr_assert_lt(ident_find_moved(&folders, to, &ids[0], 100, &is_gzip), 0);
    cr_assert(folders.is_stale, "it is known that the listing is not true any more");
    folder_set_deinit(&folders);
}

/* Two names have changed places since the folder was read: neither holds what its listing says. */
Test(promtail_ident, a_head_that_is_another_files_makes_the_listing_stale)
{
    char a[256], b[256], aside[256], path[256], text[2000];
    struct source_ident id;
    bool is_gzip;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    close(write_file("app.log.1", text));
    memset(text, 'y', sizeof text - 1);
    close(write_file("app.log.2", text));
    memset(text, 'z', sizeof text - 1);
    int fd = write_file("app.log", text);
    cr_assert(ident_take(fd, &id));
    close(fd);
    snprintf(a, sizeof a, "%s/app.log.1", dir);
    snprintf(b, sizeof b, "%s/app.log.2", dir);
    snprintf(aside, sizeof aside, "%s/aside", dir);
    snprintf(path, sizeof path, "%s/app.log", dir);
    struct folder_set folders;
    folder_set_init(&folders);
    folder_set_of(&folders, path);
    cr_assert(rename(a, aside) == 0 && rename(b, a) == 0 && rename(aside, b) == 0);
    cr_expect_lt(ident_find_moved(&folders, path, &id, 0, &is_gzip), 0);
    cr_expect(folders.is_stale);
    folder_set_deinit(&folders);
}

Test(promtail_ident, lists_what_rotation_left_behind)
{
    static const char *const names[] = {"app.log",    "app.log.3",   "app.log.2", "app.log.1",
                                        "app2.log.1", "app.log.bak", "other.log"};
    char path[256];
    struct rotated_file *files;
    struct folder_set folders;
    folder_set_init(&folders);
    for (int i = 0; i < 7; i++) {
        int fd = write_file(names[i], HEAD);
        struct timespec times[2] = {{1000 + i, 0}, {1000 + i, 0}};
        cr_assert_eq(futimens(fd, times), 0);
        close(fd);
    }
    snprintf(path, sizeof path, "%s/app.log", dir);
    size_t n = ident_list_rotated(&folders, path, 1001 * NS_PER_S, &files);
    cr_assert_eq(n, 2, "%zu", n);
    cr_expect(str_has_suffix(str_c(files[0].path), STR("/app.log.2")), "oldest first");
    cr_expect(str_has_suffix(str_c(files[1].path), STR("/app.log.1")));
    mem_free(files);
    folder_set_deinit(&folders);
}
