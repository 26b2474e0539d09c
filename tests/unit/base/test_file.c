#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"

static char dir[] = "/tmp/loge-test-XXXXXX";

static void make_dir(void)
{
    cr_assert_not_null(mkdtemp(dir));
}

TestSuite(base_file, .init = make_dir);

Test(base_file, writes_whole_files_and_reads_them_back)
{
    char sub[200], path[300];
    snprintf(sub, sizeof sub, "%s/a/b", dir);
    struct error err = {0};
    cr_assert_eq(file_make_dirs(sub, &err), 0, "%s", err.text);
    cr_assert_eq(file_make_dirs(sub, &err), 0, "it may be there");
    cr_assert_eq(file_join(path, sizeof path, sub, "x"), 0);
    cr_assert_eq(file_write_atomic(path, STR("first"), 0600, &err), 0, "%s", err.text);
    cr_assert_eq(file_write_atomic(path, STR("second"), 0600, &err), 0, "%s", err.text);
    struct buf b;
    buf_init(&b, 1 << 20);
    cr_assert_eq(file_read(path, &b, &err), 0, "%s", err.text);
    cr_assert(str_eq(buf_str(&b), STR("second")));
    buf_deinit(&b);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(rmdir(sub), 0, "no .tmp is left behind");
}

Test(base_file, reads_a_file_that_just_fits)
{
    char path[300];
    struct error err = {0};
    struct buf b;
    cr_assert_eq(file_join(path, sizeof path, dir, "fits"), 0);
    cr_assert_eq(file_write_atomic(path, STR("12345"), 0600, &err), 0, "%s", err.text);
    for (size_t max = 5; max <= 6; max++) {
        buf_init(&b, max);
        cr_assert_eq(file_read(path, &b, &err), 0, "%s", err.text);
        cr_assert(str_eq(buf_str(&b), STR("12345")));
        buf_deinit(&b);
    }
    buf_init(&b, 4);
    cr_assert_eq(file_read(path, &b, &err), E_TOO_LARGE);
    buf_deinit(&b);
    cr_assert_eq(unlink(path), 0);
}

Test(base_file, errors_name_the_file)
{
    struct buf b;
    struct error err = {0};
    buf_init(&b, 100);
    cr_assert_eq(file_read("/no/such/file", &b, &err), E_NOT_FOUND);
    cr_assert_str_eq(err.text, "open /no/such/file: no such file or directory");
    error_clear(&err);
    cr_assert_eq(file_make_dirs("/proc/version/x", &err), E_IO);
    error_clear(&err);
    error_set(&err, E_IO, "%s", "first");
    error_set(&err, E_PARSE, "%s", "second");
    cr_assert_str_eq(err.text, "first", "the first error wins");
    error_prefix(&err, "%s: ", "where");
    cr_assert_str_eq(err.text, "where: first");
    cr_assert_eq(error_http(&err), 500);
}

Test(base_file, a_lock_is_held_once)
{
    char path[] = "/tmp/loge-lock-XXXXXX";
    int made = mkstemp(path), first = -1, second = -1;
    struct error err = {0};
    cr_assert_geq(made, 0);
    close(made);
    cr_assert_eq(file_lock(path, &first, &err), 0, "%s", err.text);
    cr_assert_eq(file_lock(path, &second, &err), E_EXISTS);
    cr_assert_not_null(strstr(err.text, "is held by another process"), "%s", err.text);
    close(first);
    cr_assert_eq(file_lock(path, &second, &err), 0, "free again");
    close(second);
    unlink(path);
    error_clear(&err);
    cr_assert_neq(file_lock("/no/such/folder/lock", &first, &err), 0);
    cr_assert_not_null(strstr(err.text, "/no/such/folder/lock"), "%s", err.text);
}
