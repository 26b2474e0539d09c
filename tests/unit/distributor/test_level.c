#include <criterion/criterion.h>

#include "base/mem.h"
#include "distributor/level.h"

static const char *names[] = {"level", "LEVEL", "Level", "Severity", "severity", "lvl", "LVL"};

static struct level_fields fields(int depth)
{
    struct level_fields f;
    level_fields_init(&f, &(struct config_strings){names, ARRAY_LEN(names)}, depth);
    return f;
}

static void expect(const char *line, const char *want)
{
    struct level_fields f = fields(2);
    str level = level_from_line(&f, str_c(line));
    cr_expect(str_eq(level, str_c(want)), "%s: %.*s, not %s", line, STR_ARG(level), want);
}

Test(distributor_level, reads_json_fields)
{
    expect("{\"msg\":\"x\",\"level\":\"ERROR\"}", "error");
    expect("  {\"level\":\"dbg\"} ", "debug");
    expect("{\"LEVEL\":\"info\",\"level\":\"debug\"}", "info");
    expect("{\"log\":{\"level\":\"fatal\"}}", "fatal");
    expect("{\"a\":{\"b\":{\"level\":\"trace\"}}}", "unknown");
    expect("{\"level\":30}", "unknown");
    expect("{\"a\":\"tab\there \\x \\\" quote\",\"level\":\"trace\"}", "trace");
    expect("{\"level\":null}", "unknown");
    expect("{\"level\":\"custom\"}", "unknown");
    expect("{\"msg\":\"an error happened\"}", "error");
    expect("{\"broken\":\"error\"", "error");
    expect("{\"a\":[{\"level\":\"warn\"}],\"lvl\":\"trc\"}", "trace");
}

Test(distributor_level, reads_logfmt_fields)
{
    expect("level=critical x=1", "critical");
    expect("x=1 LEVEL=Warning", "warn");
    expect("lvl=info severity=fatal", "fatal"); /* the order of the settings, not of the line */
    expect("lvl=info level=fatal", "fatal");
    expect("level= x=1", "unknown");
    expect("level=\"err\" x", "error");
    expect("msg=\"level=debug\" level=info", "info");
    expect("msg=\"a \\\" level=debug\" level=info", "info");
    expect("\"x level=debug", "unknown"); /* malformed: nothing behind it counts */
    expect("level=panic x=1", "unknown");
    expect("=x level=debug", "unknown");
}

Test(distributor_level, finds_words)
{
    expect("WARN first then ERROR", "error");
    expect("INFO first then ERROR", "info");
    expect("ERROR first and then something informative", "info");
    expect("terror inside", "error");
    expect("err: q", "error");
    expect("an err without a colon", "unknown");
    expect("Error Title", "unknown");
    expect("DEBUG x", "unknown");
    expect("debug: x", "debug");
    expect("warning: y", "warn");
    expect("a line of more than sixteen bytes, then WARN: y", "warn");
    expect("CRITICAL: z", "critical");
    expect("critical z", "unknown");
    expect("", "unknown");
    expect("E", "unknown");
}

/* The vector path and the plain one agree wherever a word stands. */
Test(distributor_level, finds_words_at_every_offset)
{
    char line[80];
    for (size_t at = 0; at + 5 <= sizeof line; at++) {
        memset(line, 'x', sizeof line);
        memcpy(line + at, "ERROR", 5);
        struct level_fields f = fields(2);
        str level = level_from_line(&f, str_make(line, sizeof line));
        cr_expect(str_eq(level, STR("error")), "at %zu", at);
        level = level_from_line(&f, str_make(line, at + 4)); /* cut off */
        cr_expect(str_eq(level, STR("unknown")), "cut at %zu", at);
    }
}

Test(distributor_level, takes_labels_and_metadata_as_spelled)
{
    struct level_fields f = fields(2);
    struct label items[] = {{STR("a"), STR("b")}, {STR("level"), STR("WARN")}};
    struct labels ls = {items, 2};
    cr_expect(str_eq(level_from_labels(&f, &ls), STR("WARN")));
    struct label severity[] = {{STR("severity_number"), STR("17")}};
    ls = (struct labels){severity, 1};
    cr_expect(str_eq(level_from_meta(&f, &ls), STR("error")));
    severity[0].value = STR("x");
    cr_expect(str_eq(level_from_meta(&f, &ls), STR("info")));
    severity[0].value = STR("25");
    cr_expect(str_eq(level_from_meta(&f, &ls), STR("unknown")));
    cr_expect_eq(level_from_labels(&f, &ls).ptr, NULL);
}

Test(distributor_level, shares_label_sets_of_known_levels)
{
    struct level_fields f = fields(2);
    struct labels ls = level_labels(level_from_line(&f, STR("level=info a=1")));
    cr_assert_eq(ls.n, 1);
    cr_expect(str_eq(ls.items[0].name, LEVEL_LABEL));
    cr_expect(str_eq(ls.items[0].value, STR("info")));
    cr_expect_eq(level_labels(STR("custom")).n, 0);
}
