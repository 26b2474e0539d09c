#include "runtime/log.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

/* What `write` prints to stderr, without its time stamp. */
static str capture(char *text, size_t cap, void (*print)(void))
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    print();
    dup2(saved, STDERR_FILENO);
    close(ends[1]);
    ssize_t n = read(ends[0], text, cap);
    close(ends[0]);
    close(saved);
    return (str){text, n > 0 ? (size_t)n : 0};
}

static void print_fields(void)
{
    log_info("ingester", "flushed chunks", LOG_U("chunks", 3), LOG_I("delta", -1),
             LOG_NS("took", 1500 * NS_PER_MS), LOG_C("plain", "a/b-c"), LOG_C("empty", ""),
             LOG_C("quoted", "a=\"b\"\n\x01"),
             LOG_S("bad", STR("\xff"
                              "x")),
             LOG_C("runes", "gr\xc3\xbc\xc3\x9f"));
}

Test(runtime_log, writes_logfmt_with_quotes_where_needed)
{
    char text[4096];
    str line = capture(text, sizeof text, print_fields);
    cr_assert(str_has_prefix(line, STR("ts=20")));
    cr_assert_eq(line.ptr[3 + 30], ' '); /* nine digits of fraction, always */
    str want = STR(" level=info component=ingester msg=\"flushed chunks\" chunks=3 delta=-1 "
                   "took=1.5s plain=a/b-c empty= quoted=\"a=\\\"b\\\"\\n\\u0001\" "
                   "bad=\"\\ufffdx\" runes=gr\xc3\xbc\xc3\x9f\n");
    cr_assert(str_has_suffix(line, want), "%.*s", STR_ARG(line));
}

static void print_json(void)
{
    log_set_json(true);
    print_fields();
    log_set_json(false);
}

Test(runtime_log, writes_json_when_asked_to)
{
    char text[4096];
    str line = capture(text, sizeof text, print_json);
    cr_assert(str_has_prefix(line, STR("{\"ts\":\"20")));
    str want = STR("\"level\":\"info\",\"component\":\"ingester\",\"msg\":\"flushed chunks\","
                   "\"chunks\":3,\"delta\":-1,\"took\":\"1.5s\",\"plain\":\"a/b-c\",\"empty\":\"\","
                   "\"quoted\":\"a=\\\"b\\\"\\n\\u0001\",\"bad\":\"\\ufffdx\","
                   "\"runes\":\"gr\xc3\xbc\xc3\x9f\"}\n");
    cr_assert(str_has_suffix(line, want), "%.*s", STR_ARG(line));
}

static void print_below_level(void)
{
    log_set_level(LOG_WARN);
    log_info("x", "hidden");
    log_warn("x", "shown");
    log_set_level(LOG_INFO);
}

Test(runtime_log, hides_what_is_below_the_level)
{
    char text[4096];
    str line = capture(text, sizeof text, print_below_level);
    cr_assert_not(str_contains(line, STR("hidden")));
    cr_assert(str_has_suffix(line, STR(" level=warn component=x msg=shown\n")));
}

Test(runtime_log, parses_level_names)
{
    enum log_level level;
    cr_assert(log_level_parse(STR("debug"), &level) && level == LOG_DEBUG);
    cr_assert(log_level_parse(STR("error"), &level) && level == LOG_ERROR);
    cr_assert_not(log_level_parse(STR("INFO"), &level));
    cr_assert_not(log_level_parse(STR(""), &level));
    cr_assert_str_eq(log_level_name(LOG_WARN), "warn");
}

static void print_huge(void)
{
    char *huge = malloc(1 << 20);
    memset(huge, 'x', 1 << 20);
    log_error("x", "too much", LOG_S("huge", ((str){huge, 1 << 20})), LOG_I("after", 1));
    free(huge);
}

Test(runtime_log, leaves_out_a_field_that_does_not_fit)
{
    char text[4096];
    str line = capture(text, sizeof text, print_huge);
    cr_assert(str_has_suffix(line, STR(" msg=\"too much\" huge= after=1\n")) ||
                  str_has_suffix(line, STR(" msg=\"too much\" after=1\n")),
              "%.*s", STR_ARG(line));
}
