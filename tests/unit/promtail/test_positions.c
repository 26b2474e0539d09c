#include <criterion/criterion.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "promtail/positions.h"
#include "tests/support/temp_dir.h"

static char dir[TEMP_DIR_MAX], path[TEMP_DIR_MAX + 16];
static struct positions_config config = {.filename = path};
static struct positions positions;

static void load(void)
{
    struct error err = {0};
    cr_assert_eq(positions_load(&positions, &config, &err), 0, "%s", err.text);
}

static void set_up(void)
{
    cr_assert(temp_dir_make(dir));
    snprintf(path, sizeof path, "%s/p.yaml", dir);
    load();
}

static void tear_down(void)
{
    positions_deinit(&positions);
    cr_assert(temp_dir_remove(dir));
}

TestSuite(promtail_positions, .init = set_up, .fini = tear_down);

static void save_and_load(void)
{
    struct error err = {0};
    cr_assert_eq(positions_save_now(&positions, &err), 0, "%s", err.text);
    positions_deinit(&positions);
    load();
}

static void write_and_load(str text)
{
    struct error err = {0};
    positions_deinit(&positions);
    cr_assert_eq(file_write_atomic(path, text, 0600, &err), 0, "%s", err.text);
    load();
}

Test(promtail_positions, any_name_is_read_as_it_was_written)
{
    static char longest[4000];
    memset(longest, '\n', sizeof longest - 1);
    static const char *const names[] = {"/var/log/a.log",
                                        "cursor-/x",
                                        "/b: #c\n",
                                        "/\"q\\uote\"\x7f",
                                        "# promtail of loge: 0",
                                        "- x",
                                        "/ a  b #c ",
                                        "/caf\xc3\xa9", /* UTF-8 */
                                        "/caf\xe9",     /* Latin 1 */
                                        "/nel\xc2\x85", /* what YAML takes for the end of a line */
                                        "/ls\xe2\x80\xa8 x",     /* the same */
                                        "/control\xc2\x9b",      /* what YAML does not allow */
                                        "/none\xef\xbf\xbf",     /* nor this */
                                        "/mark\xef\xbb\xbf",     /* byte order mark */
                                        "/\xf0\x9f\x94\xa5.log", /* beyond 16 bits */
                                        longest};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        positions_set_offset(&positions, str_c(names[i]), (int64_t)i * 1000);
    save_and_load();
    cr_assert(positions.is_ours);
    cr_assert_eq(positions.values.len, ARRAY_LEN(names));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        int64_t offset = -1;
        cr_expect(positions_get_offset(&positions, str_c(names[i]), &offset), "%s", names[i]);
        cr_expect_eq(offset, (int64_t)i * 1000);
    }
}

Test(promtail_positions, a_file_that_was_changed_is_not_ours)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    positions_set_offset(&positions, STR("/a"), 1);
    save_and_load();
    cr_assert(positions.is_ours);
    cr_assert_eq(file_read(path, &text, NULL), 0);
    buf_append_c(&text, "  /b: \"2\"\n");
    write_and_load(buf_str(&text));
    cr_assert(!positions.is_ours, "a line was added");
    cr_assert_eq(positions.values.len, 2);
    write_and_load(STR("positions:\n  /a: \"7\"\n"));
    cr_assert(!positions.is_ours);
    buf_deinit(&text);
}

Test(promtail_positions, a_name_without_a_value_is_no_fault_of_the_file)
{
    int64_t offset;
    write_and_load(STR("positions:\n  /a:\n  /b: ~\n  /c: \"7\"\n"));
    cr_assert_eq(positions.values.len, 3);
    cr_assert(positions_get(&positions, STR("/a")).ptr != NULL, "it is there: not read");
    cr_assert_not(positions_get_offset(&positions, STR("/a"), &offset));
    cr_assert(positions_get_offset(&positions, STR("/c"), &offset));
}

Test(promtail_positions, a_file_as_a_crash_leaves_it_is_set_aside)
{
    char broken[sizeof path + 8];
    struct stat st;
    write_and_load(str_make("positions:\n  /a: \"7\"\n\0\0\0", 24));
    cr_assert_eq(positions.values.len, 0);
    snprintf(broken, sizeof broken, "%s.broken", path);
    cr_assert_eq(stat(broken, &st), 0);
}
