#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "promtail/targets/file/glob.h"
#include "tests/support/temp_dir.h"

Test(promtail_glob, matches_as_doublestar_does)
{
    static const struct {
        const char *pattern, *path;
        bool hit;
    } cases[] = {
        {"/a/*.log", "/a/b.log", true},
        {"/a/*.log", "/a/.log", true},
        {"/a/*.log", "/a/b/c.log", false},
        {"/a/?.log", "/a/\xc3\xa9.log", true},
        {"/a/[!b]*.log", "/a/bcd.log", false},
        {"/a/[!b]*.log", "/a/cd.log", true},
        {"/a/[^b]x", "/a/bx", false},
        {"/a/[a-c]x", "/a/bx", true},
        {"/a/[]]x", "/a/]x", true},
        {"/a/{b,c}.log", "/a/c.log", true},
        {"/a/{b,c{d,e}}.log", "/a/ce.log", true},
        {"/a/{b,c}.log", "/a/d.log", false},
        {"/a/{*.gz,old*}", "/a/older", true},
        {"/a/**/c", "/a/c", true},
        {"/a/**/c", "/a/b/d/c", true},
        {"/a/**", "/a/b/c", true},
        {"/**/x/*.log", "/p/q/x/y.log", true},
        {"/**/x/*.log", "/p/q/y.log", false},
        {"/a/**/b/**/c", "/a/x/b/y/z/c", true},
        {"/a/\\*.log", "/a/*.log", true},
        {"/a/\\*.log", "/a/b.log", false},
        {"/a/*b*b*b*b*b*c", "/a/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", false},
        {"", "", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(glob_match(str_c(cases[i].pattern), str_c(cases[i].path)), cases[i].hit,
                     "%s against %s", cases[i].pattern, cases[i].path);
}

static char dir[TEMP_DIR_MAX];

static void touch(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    cr_assert_geq(fd, 0);
    close(fd);
}

static void make_dir(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    cr_assert_eq(mkdir(path, 0700), 0);
}

static size_t count(const char *pattern)
{
    struct arena a;
    char whole[256];
    arena_init(&a, SIZE_MAX);
    struct glob_result found = {.arena = &a};
    snprintf(whole, sizeof whole, "%s/%s", dir, pattern);
    glob_expand(str_c(whole), &found);
    size_t n = found.paths.len;
    arena_deinit(&a);
    return n;
}

Test(promtail_glob, finds_what_is_there)
{
    cr_assert(temp_dir_make(dir));
    make_dir("d");
    make_dir("d/e");
    touch("a.log");
    touch(".b.log");
    touch("d/c.log");
    touch("d/e/f.log");
    touch("odd[1].log");
    cr_expect_eq(count("*.log"), 3);
    cr_expect_eq(count("**/*.log"), 5);
    cr_expect_eq(count("d/**/*.log"), 2);
    cr_expect_eq(count("{a,.b}.log"), 2);
    cr_expect_eq(count("odd[1].log"), 1, "the name of a file is that file");
    cr_expect_eq(count("nothing"), 0);
    cr_expect_eq(count("*/e/*"), 1);
    cr_assert(temp_dir_remove(dir));
}

Test(promtail_glob, a_malformed_exclusion_leaves_out_everything)
{
    static const char *const bad[] = {"/a/[", "/a/[b", "/a/{b", "/a/b\\", "/a/[]", "/a/{b,{c}"};
    static const char *const good[] = {"/a/[b]", "/a/{b,{c}}", "/a/b\\[", "/a/b}", "/a/[]]", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_not(glob_is_valid(str_c(bad[i])), "%s", bad[i]);
        cr_expect(glob_excludes(str_c(bad[i]), STR("/x")), "%s", bad[i]);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_expect(glob_is_valid(str_c(good[i])), "%s", good[i]);
        cr_expect_not(glob_excludes(str_c(good[i]), STR("/x")), "%s", good[i]);
    }
    cr_expect(glob_excludes(STR("/x*"), STR("/x1")));
}

static void make_link(const char *name, const char *target)
{
    char path[256], to[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(to, sizeof to, "%s/%s", dir, target);
    cr_assert_eq(symlink(to, path), 0);
}

Test(promtail_glob, two_stars_follow_links_but_not_round)
{
    cr_assert(temp_dir_make(dir));
    make_dir("real");
    make_dir("d");
    make_dir("d/e");
    touch("real/a.log");
    touch("d/e/b.log");
    make_link("d/link", "real");
    make_link("d/e/up", "d");
    make_link("d/e/here", "d/e");
    cr_expect_eq(count("d/**/*.log"), 2);
    cr_expect_eq(count("d/**/link/*.log"), 1);
    cr_assert(temp_dir_remove(dir));
}
