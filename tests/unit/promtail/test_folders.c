#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "promtail/client/folders.h"
#include "tests/support/temp_dir.h"

static char dir[TEMP_DIR_MAX];

static const struct client_config a = {.name = "", .url = "http://a", .tenant_id = ""};
static const struct client_config b = {.name = "", .url = "http://b", .tenant_id = ""};
static const struct client_config c = {.name = "", .url = "http://c", .tenant_id = ""};

static void set_up(void)
{
    cr_assert(temp_dir_make(dir));
}

static void tear_down(void)
{
    cr_assert(temp_dir_remove(dir));
}

TestSuite(promtail_folders, .init = set_up, .fini = tear_down);

/* A start with these clients. */
static void start(const struct client_config *first, const struct client_config *second)
{
    struct client_config all[2];
    char path[FOLDER_PATH_BYTES];
    size_t n = 0;
    all[n++] = *first;
    if (second != NULL)
        all[n++] = *second;
    folders_settle(dir, all, n);
    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(folder_path(dir, &all[i], path, NULL), 0);
        mkdir(path, 0700);
    }
}

static ino_t folder_of(const struct client_config *client)
{
    char path[FOLDER_PATH_BYTES];
    struct stat st;
    cr_assert_eq(folder_path(dir, client, path, NULL), 0);
    return stat(path, &st) == 0 ? st.st_ino : 0;
}

Test(promtail_folders, a_client_that_came_for_one_that_went_has_its_folder)
{
    start(&a, &b);
    ino_t old = folder_of(&b);
    start(&a, &c);
    cr_expect_eq(folder_of(&c), old);
    cr_expect_eq(folder_of(&b), 0);
    start(&a, &b);
    cr_expect_eq(folder_of(&b), old);
}

Test(promtail_folders, a_client_that_comes_later_has_a_folder_of_its_own)
{
    start(&a, &b);
    ino_t old = folder_of(&b);
    start(&a, NULL);
    start(&a, &c);
    cr_expect_eq(folder_of(&b), old);
    cr_expect_neq(folder_of(&c), old);
}

Test(promtail_folders, a_client_that_is_back_has_its_own_again)
{
    start(&a, &b);
    ino_t old = folder_of(&b);
    start(&a, NULL);
    start(&a, &b);
    cr_expect_eq(folder_of(&b), old);
    start(&a, &c);
    cr_expect_eq(folder_of(&c), old, "it is in use again");
}

Test(promtail_folders, two_for_two_are_not_guessed)
{
    start(&a, &b);
    ino_t old = folder_of(&b);
    static const struct client_config d = {.name = "", .url = "http://d", .tenant_id = ""};
    start(&c, &d);
    cr_expect_eq(folder_of(&b), old);
    cr_expect_neq(folder_of(&c), 0);
}
