#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/config.h"

struct inner {
    int64_t wait_ns;
    uint64_t size_bytes;
};

struct outer {
    bool is_on;
    int64_t port;
    const char *name;
    const char *password;
    int mode;
    struct inner inner;
    struct config_strings hosts;
};

static const char *const modes[] = {"none", "interval", "always", NULL};

static const struct config_key inner_table[] = {
    {"wait", CONFIG_DURATION, CONFIG_AT(struct inner, wait_ns), "1s", "inner.wait", "how long"},
    {"size", CONFIG_BYTES, CONFIG_AT(struct inner, size_bytes), "256KB", "inner.size", "how much"},
    {0},
};

static const struct config_key outer_table[] = {
    {"on", CONFIG_BOOL, CONFIG_AT(struct outer, is_on), "true", "on", "a switch"},
    {"http_port", CONFIG_INT, CONFIG_AT(struct outer, port), "3100", "port", "a port", "0",
     "65535"},
    {"name", CONFIG_STRING, CONFIG_AT(struct outer, name), "x", "name", "a name"},
    {"password", CONFIG_SECRET, CONFIG_AT(struct outer, password), NULL, NULL, "a secret"},
    {"mode", CONFIG_ENUM, CONFIG_AT(struct outer, mode), "interval", "mode", "a choice", NULL, NULL,
     modes},
    {"inner", CONFIG_BLOCK, CONFIG_AT(struct outer, inner), .table = inner_table},
    {"hosts", CONFIG_STRING_LIST, CONFIG_AT(struct outer, hosts), "", "hosts", "a list"},
    {"old", CONFIG_IGNORED},
    {"later", CONFIG_UNSUPPORTED, .help = "comes later"},
    {0},
};

static struct arena arena;
static struct outer config;
static struct error err;

static int load(const char *text, bool lenient, bool expand)
{
    arena_init(&arena, 1 << 20);
    memset(&config, 0, sizeof config);
    error_clear(&err);
    config_defaults(outer_table, &config, &arena);
    struct config_source source = {.file = "t.yaml", .lenient = lenient, .expand_env = expand};
    return config_load(outer_table, &config, str_c(text), &source, &arena, &err);
}

static void done(void)
{
    arena_deinit(&arena);
}

TestSuite(runtime_config, .fini = done);

Test(runtime_config, an_empty_file_gives_the_defaults)
{
    cr_assert_eq(load("", false, false), 0, "%s", err.text);
    cr_assert(config.is_on);
    cr_assert_eq(config.port, 3100);
    cr_assert_eq(config.mode, 1);
    cr_assert_eq(config.inner.wait_ns, 1000000000);
    cr_assert_eq(config.inner.size_bytes, 262144);
    cr_assert_eq(config.hosts.n, 0);
}

Test(runtime_config, reads_every_type)
{
    cr_assert_eq(load("on: no\nhttp_port: 1\nname: a b\nmode: always\n"
                      "inner: {wait: 1m30s, size: 1MB}\nhosts: [a, b]\nold: {any: thing}\n",
                      false, false),
                 0, "%s", err.text);
    cr_assert_not(config.is_on);
    cr_assert_eq(config.port, 1);
    cr_assert_str_eq(config.name, "a b");
    cr_assert_eq(config.mode, 2);
    cr_assert_eq(config.inner.wait_ns, INT64_C(90000000000));
    cr_assert_eq(config.inner.size_bytes, 1048576);
    cr_assert_eq(config.hosts.n, 2);
    cr_assert_str_eq(config.hosts.items[1], "b");
}

Test(runtime_config, every_error_names_file_line_and_key)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"on: true\nhttp_prt: 1\n", "t.yaml:2: http_prt: unknown key, did you mean \"http_port\"?"},
        {"http_port: high\n", "t.yaml:1: http_port: \"high\" is not a valid int"},
        {"http_port: 70000\n", "t.yaml:1: http_port: 70000 is above the maximum of 65535"},
        {"inner:\n  wait: 5 apples\n",
         "t.yaml:2: inner.wait: \"5 apples\" is not a valid duration"},
        {"mode: some\n", "t.yaml:1: mode: \"some\" is none of: none, interval, always"},
        {"inner: [1]\n", "t.yaml:1: inner: expected a map"},
        {"name: {a: b}\n", "t.yaml:1: name: expected a string, found a map"},
        {"on: x\nzzz: 1\n",
         "t.yaml:1: on: \"x\" is not a valid boolean\nt.yaml:2: zzz: unknown key"},
        {"later: 1\n", "t.yaml:1: later: comes later (-config.lenient makes this a warning)"},
        {"x: 1\na: b: c\n", "t.yaml: yaml: line 2: mapping values are not allowed in this context"},
        {"on: true\non: false\n",
         "t.yaml: yaml: unmarshal errors:\n  line 2: key \"on\" already set in map"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_neq(load(cases[i].text, false, false), 0, "%s", cases[i].text);
        cr_assert_str_eq(err.text, cases[i].error);
        arena_deinit(&arena);
    }
}

Test(runtime_config, lenient_turns_unsupported_keys_into_warnings)
{
    cr_assert_eq(load("later: 1\nname: z\n", true, false), 0, "%s", err.text);
    cr_assert_str_eq(config.name, "z");
}

Test(runtime_config, expands_the_environment_when_asked)
{
    setenv("LOGE_T", "value", 1);
    unsetenv("LOGE_U");
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"${LOGE_T}", "value"},
        {"$LOGE_T", "$LOGE_T"},
        {"$$x ${LOGE_U}.", "$x ."},
        {"${LOGE_U:-a: b}", "a: b"},
        {"${LOGE_U:-${LOGE_T}}", "value"},
        {"${LOGE_T^^}", "VALUE"},
        {"${#LOGE_T}", "5"},
        {"${LOGE_T/al/o}", "voue"},
        {"${LOGE_T:0:2}", "va"},
        {"a\\\\b", "a\\b"},
        {"${LOGE_T%ue}", "val"},
        {"${LOGE_T##*a}", "lue"},
        {"100$", "100$"},
        {"a\\/b \\x", "a/b \\x"},
        {"$$${LOGE_T}$${LOGE_T}", "$value${LOGE_T}"},
        {"${LOGE_U:+x}${LOGE_U:?y}${LOGE_U:=z}${LOGE_U=w}", "xyzw"},
        {"${LOGE_T:+x}${LOGE_T:?y}", "valuevalue"},
        {"${LOGE_U:-a${LOGE_T}b$$c\\\\d}", "avalueb$$c\\\\d"},
        {"${LOGE_U:-}", ""},
        {"${LOGE_T^}${LOGE_E^}${LOGE_E,,}${LOGE_T^,}", "Value\303\211t\303\251tvalue"},
        {"${#LOGE_E}", "3"},
        {"${LOGE_T: -2}${LOGE_T:3}${LOGE_T:9}${LOGE_T:1:9}${LOGE_T:x}", "valueuealuevalue"},
        {"${LOGE_P//\\//-}${LOGE_P/b/}${LOGE_P/#a/x}${LOGE_P/%c/x}", "a-b-ca//cx/b/ca/b/x"},
        {"${LOGE_P/#a/}${LOGE_P/%c/}", "a/b/ca/b/c"},
        {"${LOGE_P#*/}${LOGE_P##*/}${LOGE_P%/*}${LOGE_P%%/*}${LOGE_P#*}", "b/cca/ba/b/c"},
    };
    setenv("LOGE_E", "\303\251t", 1);
    setenv("LOGE_P", "a/b/c", 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out;
        buf_init(&out, 1000);
        cr_expect_eq(config_expand_env(str_c(cases[i].in), &out, NULL), 0, "%s", cases[i].in);
        cr_expect_str_eq(buf_c(&out), cases[i].out, "%s: %s", cases[i].in, buf_c(&out));
        buf_deinit(&out);
    }
    cr_assert_neq(config_expand_env(STR("${LOGE_T"), &(struct buf){.max = 100}, &err), 0);
}

Test(runtime_config, refuses_what_the_environment_library_refuses)
{
    static const struct {
        const char *in, *why;
    } cases[] = {
        {"${LOGE_T", "missing closing brace"},
        {"${LOGE_T\"}", "missing closing brace"},
        {"${LOGE_T-x}", "missing closing brace"},
        {"${}", "unable to parse variable name"},
        {"${ x}", "unable to parse variable name"},
        {"${LOGE_T:-x", "unable to parse substitution within function"},
        {"${LOGE_T:}", "unable to parse substitution within function"},
        {"${LOGE_T#}", "unable to parse substitution within function"},
        {"${LOGE_T/a}", "bad substitution"},
        {"${LOGE_T^^x}", "bad substitution"},
        {"${#LOGE_T:1}", "bad substitution"},
        {"${#}", "bad substitution"},
        {"${a:-${a:-${a:-${a:-${a:-${a:-${a:-${a:-${a:-${a:-${a:-${a:-${a:-${a:-${a:-${a:-${a:-${a:"
         "-",
         "nested too deep"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out;
        buf_init(&out, 1000);
        err = (struct error){0};
        cr_expect_neq(config_expand_env(str_c(cases[i].in), &out, &err), 0, "%s", cases[i].in);
        cr_expect(strstr(err.text, cases[i].why) != NULL, "%s: %s", cases[i].in, err.text);
        buf_deinit(&out);
    }
}

Test(runtime_config, flags_override_and_bad_ones_are_named)
{
    load("", false, false);
    char *argv[] = {"p", "-port=9", "--inner.wait", "2s", "-on=false", "-hosts=a,b", "rest", NULL};
    int rest = 0;
    cr_assert_eq(config_flags(outer_table, &config, 7, argv, &arena, &rest, &err), 0, "%s",
                 err.text);
    cr_assert_eq(rest, 6);
    cr_assert_eq(config.port, 9);
    cr_assert_eq(config.inner.wait_ns, INT64_C(2000000000));
    cr_assert_not(config.is_on);
    cr_assert_eq(config.hosts.n, 2);
    char *bad[] = {"p", "-prt=9", NULL};
    cr_assert_neq(config_flags(outer_table, &config, 2, bad, &arena, &rest, &err), 0);
    cr_assert_str_eq(err.text, "flag provided but not defined: -prt");
    cr_assert_str_eq(config_flag_early(7, argv, "inner.wait"), "2s");
}

Test(runtime_config, printing_hides_secrets_and_reads_back)
{
    load("password: hunter2\nname: 'yes'\ninner: {size: 1536KB}\n", false, false);
    struct buf out;
    buf_init(&out, 10000);
    config_print(outer_table, &config, &out);
    cr_assert_null(strstr(buf_c(&out), "hunter2"));
    cr_assert_not_null(strstr(buf_c(&out), "<secret>"));
    struct arena again;
    arena_init(&again, 1 << 20);
    struct outer copy = {0};
    config_defaults(outer_table, &copy, &again);
    struct config_source source = {.file = "again"};
    cr_assert_eq(config_load(outer_table, &copy, buf_str(&out), &source, &again, &err), 0, "%s\n%s",
                 err.text, buf_c(&out));
    cr_assert_str_eq(copy.name, "yes");
    cr_assert_eq(copy.inner.size_bytes, 1536 * 1024);
    buf_deinit(&out);
    arena_deinit(&again);
}

Test(runtime_config, yaml_aliases_cannot_explode)
{
    struct buf bomb;
    buf_init(&bomb, 100000);
    buf_append_c(&bomb, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        buf_printf(&bomb, "a%d: &a%d [", i, i);
        for (int k = 0; k < 9; k++)
            buf_printf(&bomb, "%s*a%d", k ? ", " : "", i - 1);
        buf_append_c(&bomb, "]\n");
    }
    arena_init(&arena, 1 << 20);
    struct yaml_node *root;
    cr_assert_eq(yaml_load(buf_str(&bomb), &arena, &root, &err), E_LIMIT);
    buf_deinit(&bomb);
}

Test(runtime_config, yaml_merge_keys_do_not_override)
{
    arena_init(&arena, 1 << 20);
    struct yaml_node *root;
    cr_assert_eq(
        yaml_load(STR("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n"), &arena, &root, &err), 0);
    const struct yaml_node *use = yaml_get(root, "use");
    cr_assert(str_eq(yaml_get(use, "x")->text, STR("1")));
    cr_assert(str_eq(yaml_get(use, "y")->text, STR("3")));
    cr_assert_eq(yaml_get(use, "y")->line, 4);
}

Test(runtime_config, numbers_are_those_of_yaml_1_1)
{
    static const struct {
        const char *text;
        int64_t want;
    } good[] = {{"12", 12},   {"0x1F", 31}, {"017", 15},  {"0b11", 3}, {"1_0", 10},    {"+5", 5},
                {"1e2", 100}, {"5.7", 5},   {"0o17", 15}, {"08", 8},   {"3_00.0", 300}};
    static const char *const bad[] = {"'5'", "\"5\"", "many", "''", ".inf", "1h"};
    char text[64];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(text, sizeof text, "http_port: %s\n", good[i].text);
        cr_expect_eq(load(text, false, false), 0, "%s: %s", text, err.text);
        cr_expect_eq(config.port, good[i].want, "%s: %lld", text, (long long)config.port);
        done();
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "http_port: %s\n", bad[i]);
        cr_expect_eq(load(text, false, false), E_PARSE, "%s", text);
        done();
    }
    load("", false, false); /* for the suite's end */
}

Test(runtime_config, a_quoted_word_is_no_boolean)
{
    cr_expect_eq(load("on: yes\n", false, false), 0);
    done();
    cr_expect_eq(load("on: 'true'\n", false, false), E_PARSE);
    done();
    cr_expect_eq(load("on: t\n", false, false), E_PARSE);
}
