#include "tests/unit/promtail/pipe.h"

#include "promtail/stages/jmespath.h"

#define SHOW                                                                                       \
    "\n- template: {source: v, template: '{{ .v }}'}\n- output: {source: v}\n- labeldrop: [job]"

Test(promtail_stage_json, extracts_values_by_name_and_path)
{
    static const struct pipe_case cases[] = {
        {"- json: {expressions: {v: }}" SHOW, "{\"v\":\"x\"}", "{} x\n"},
        {"- json: {expressions: {v: a.b}}" SHOW, "{\"a\":{\"b\":true}}", "{} true\n"},
        {"- json: {expressions: {v: a.b}}" SHOW, "{\"a\":1,\"a\":{\"b\":2,\"b\":3}}", "{} 3\n"},
        {"- json: {expressions: {v: '\"a b\"'}}" SHOW, "{\"a\\u0020b\":1}", "{} 1\n"},
        {"- json: {expressions: {v: a}}" SHOW, "{\"a\":12345678901234567890}",
         "{} 12345678901234567000\n"},
        {"- json: {expressions: {v: a}}" SHOW, "{\"a\":[1, \"<\", {\"k\": null}]}",
         "{} [1,\"\\u003c\",{\"k\":null}]\n"},
        {"- json: {expressions: {v: a.b}}" SHOW, "null", "{} <no value>\n"},
        {"- json: {expressions: {v: }}\n- drop: {source: v}", "{}\n[1]\n{\"v\":1}x",
         "{job=\"test\"} [1]\n{job=\"test\"} {\"v\":1}x\n"},
        {"- json: {expressions: {v: }, drop_malformed: true}", "{}\n[]\n{\nnull\n{\"a\":01}",
         "{job=\"test\"} {}\n{job=\"test\"} null\n"},
        {"- json: {expressions: {v: 'length(@)'}}" SHOW, "null", "{} 0\n"}, /* a map without keys */
        {"- json: {expressions: {v: '@'}}" SHOW, "null", "{} null\n"},
        {"- json: {expressions: {v: a}}" SHOW, "{\"a\":[1e-7, 1E22]}", "{} [1e-07,1e+22]\n"},
        {"- json: {expressions: {v: a}, drop_malformed: true}",
         "{\"a\":1, \"b\":[1e400]}\n{\"a\":1e30}", "{job=\"test\"} {\"a\":1e30}\n"},
        /* json-iterator looks for control characters up to the first escape of a string only. */
        {"- json: {expressions: {v: }, drop_malformed: true}\n- output: {source: v}",
         "{\"v\":\"a\\/\tb\"}\n{\"v\":\"a\tb\\/\"}\n{\"w\":[\"\\/\t\"],\"v\":1}",
         "{job=\"test\"} a/\tb\n{job=\"test\"} 1\n"},
        {"- docker: {}", "{\"log\":\"a\\/\tb\"}", "{job=\"test\"} a/\tb\n"},
        {"- json: {expressions: {in: }}\n- json: {source: in, expressions: {v: }}" SHOW,
         "{\"in\":\"{\\\"v\\\":-0}\"}", "{} -0\n"},
    };
    PIPE_CHECK_ALL(cases);
}

static const char document[] =
    "{\"n\":[3,1,2],\"s\":[\"b\",\"a\"],\"o\":{\"x\":1,\"y\":[4,5]},"
    "\"p\":[{\"k\":\"a\",\"v\":1,\"t\":[1,2]},{\"k\":\"b\",\"v\":2,\"t\":[3]},{\"k\":\"c\"}],"
    "\"t\":\"h\xc3\xa9llo\",\"z\":null,\"e\":[],\"f\":false,\"d\":\"1.5\"}";

/* What the expression finds, as JSON; "error" if the search fails, "syntax" if it does not parse.
 */
static void search(const char *expression, struct buf *out)
{
    struct arena a;
    const struct jmespath *e;
    struct error err = {0};
    arena_init(&a, SIZE_MAX);
    buf_reset(out);
    if (jmespath_parse(str_c(expression), &a, &e, &err) != 0) {
        cr_assert(strncmp(err.text, "SyntaxError", 11) == 0);
        buf_append_c(out, "syntax");
    } else {
        const struct json_tree *doc = json_tree_read(str_c(document), &a);
        cr_assert_not_null(doc);
        const struct json_tree *found = jmespath_search(e, doc, &a);
        if (found == NULL)
            buf_append_c(out, "error");
        else
            json_tree_print(found, out);
    }
    arena_deinit(&a);
}

struct row {
    const char *expression, *want;
};

static void check(const struct row *rows, size_t n)
{
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    for (size_t i = 0; i < n; i++) {
        search(rows[i].expression, &out);
        cr_assert(strcmp(buf_c(&out), rows[i].want) == 0, "%s: %s, not %s", rows[i].expression,
                  buf_c(&out), rows[i].want);
    }
    buf_deinit(&out);
}

Test(promtail_jmespath, finds_fields_indexes_and_slices)
{
    static const struct row rows[] = {
        {"o.x", "1"},        {"o.nope.more", "null"}, {"\"o\".\"x\"", "1"},   {"n[0]", "3"},
        {"n[-1]", "2"},      {"n[9]", "null"},        {"o[0]", "null"},       {"o.y[1]", "5"},
        {"n[1:]", "[1,2]"},  {"n[:2]", "[3,1]"},      {"n[::-1]", "[2,1,3]"}, {"n[::2]", "[3,2]"},
        {"n[-2:]", "[1,2]"}, {"n[5:]", "[]"},         {"n[::0]", "error"},    {"t[0:1]", "null"},
        {"@.n[0]", "3"},     {"n[2:0:-1]", "[2,1]"},
    };
    check(rows, ARRAY_LEN(rows));
}

Test(promtail_jmespath, is_as_lenient_as_the_go_library)
{
    static const struct row rows[] = {
        {"max_by(p[:1], &nosuch).k", "\"a\""}, /* one item is not compared */
        {"max_by(e, &v)", "null"},
        {"sort_by(p[:1], &nosuch)[0].k", "\"a\""},
        {"'C:\\\\'", "syntax"}, /* a backslash guards a quote only, whatever is before it */
        {"'C:\\\\x'", "\"C:\\\\\\\\x\""},
        {"'it\\'s'", "\"it's\""},
        {"contains(t 'h')", "true"},
        {"join(',', s,)", "\"b,a\""},
        {"{a: f b: d,}", "syntax"},
        {"{a: f b: d}", "{\"a\":false,\"b\":\"1.5\"}"},
        {"abs(t)[]", "null"}, /* failures left of a filter, [] and .* are forgiven */
        {"abs(t)[?k]", "null"},
        {"abs(t).*", "null"},
        {"[n, abs(t)][?@]", "null"}, /* nor is what was found before the failure */
        {"abs(t)[*]", "error"},
        {"{x: `1`}.*.to_string(@)", "[\"null\",\"1\"]"}, /* .* begins with nulls */
        {"o.*.length(@)", "error"},
        {"&f", "{}"},
        {"`[1e-7, 1e21, 0.000001]`", "[1e-07,1e+21,0.000001]"}, /* json-iterator spells it so */
        {"to_string(`{\"b\": 1e-7, \"a\": \"<\\b\"}`)",         /* and encoding/json so */
         "\"{\\\"a\\\":\\\"\\\\u003c\\\\b\\\",\\\"b\\\":1e-7}\""},
        {"to_number(&f)", "error"},
        {"n[:::]", "[3,1,2]"},
        {"n[:1 2]", "[3,1]"},
        {"[0", "error"}, /* found out when it is searched only */
        {"n && [1:-]", "syntax"},
        {"e || f || [1", "error"},
        {"n || [1", "[3,1,2]"},
    };
    check(rows, ARRAY_LEN(rows));
}

Test(promtail_jmespath, projects_and_filters)
{
    static const struct row rows[] = {
        {"p[*].k", "[\"a\",\"b\",\"c\"]"},
        {"p[*].v", "[1,2]"},
        {"p[].t", "[[1,2],[3]]"},
        {"p[].t[]", "[1,2,3]"},
        {"p[*].t[0]", "[1,3]"},
        {"p[*].t | [0]", "[1,2]"},
        {"o.*", "[1,[4,5]]"},
        {"*.x", "[1]"},
        {"p[?v > `1`].k", "[\"b\"]"},
        {"p[?k == 'a'].v | [0]", "1"},
        {"p[?v].k", "[\"a\",\"b\"]"},
        {"p[?!v].k", "[\"c\"]"},
        {"p[?v >= `1` && k != 'b'].k", "[\"a\"]"},
        {"p[?k == 'a' || k == 'c'].k", "[\"a\",\"c\"]"},
        {"p[?k < 'b']", "[]"},
        {"n[?@ > `1`]", "[3,2]"},
        {"p[?contains(k, 'a')].v", "[1]"},
        {"n[*].x", "[]"},
        {"o[*]", "null"},
        {"p[0:2].k", "[\"a\",\"b\"]"},
        {"[n, s][]", "[3,1,2,\"b\",\"a\"]"},
    };
    check(rows, ARRAY_LEN(rows));
}

Test(promtail_jmespath, builds_lists_hashes_and_literals)
{
    static const struct row rows[] = {
        {"[o.x, n[0]]", "[1,3]"},
        {"{a: o.x, \"b c\": z}", "{\"a\":1,\"b c\":null}"},
        {"p[*].[k, v]", "[[\"a\",1],[\"b\",2],[\"c\",null]]"},
        {"p[*].{name: k}", "[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"c\"}]"},
        {"z.[a]", "null"},
        {"`[1, \"a\", {\"k\": 2}]`", "[1,\"a\",{\"k\":2}]"},
        {"'it\\'s'", "\"it's\""},
        {"`\"a\\`b\"`", "\"a`b\""},
        {"z || o.x", "1"},
        {"e || f || 'last'", "\"last\""},
        {"n && s", "[\"b\",\"a\"]"},
        {"f && s", "false"},
        {"!f", "true"},
        {"!(n && e)", "true"},
        {"n == `[3,1,2]`", "true"},
        {"o == `{\"y\":[4,5],\"x\":1}`", "true"},
        {"t < `1`", "null"},
        {"o.x <= `1`", "true"},
    };
    check(rows, ARRAY_LEN(rows));
}

Test(promtail_jmespath, calls_functions)
{
    static const struct row rows[] = {
        {"abs(`-2`)", "2"},
        {"avg(n)", "2"},
        {"ceil(`1.2`)", "2"},
        {"floor(`-1.2`)", "-2"},
        {"contains(s, 'a')", "true"},
        {"contains(t, 'llo')", "true"},
        {"starts_with(t, 'h')", "true"},
        {"ends_with(t, 'x')", "false"},
        {"join('-', s)", "\"b-a\""},
        {"keys(o)", "[\"x\",\"y\"]"},
        {"values(o)", "[1,[4,5]]"},
        {"length(t)", "5"},
        {"length(o)", "2"},
        {"length(n)", "3"},
        {"length(`1`)", "error"},
        {"map(&v, p)", "[1,2,null]"},
        {"max(n)", "3"},
        {"min(s)", "\"a\""},
        {"max(e)", "null"},
        {"max_by(p[:2], &v).k", "\"b\""},
        {"min_by(p[:2], &v).k", "\"a\""},
        {"max_by(p, &v)", "error"},
        {"merge(o, `{\"x\":2,\"w\":3}`)", "{\"x\":2,\"y\":[4,5],\"w\":3}"},
        {"not_null(z, f, o.x)", "false"},
        {"reverse(n)", "[2,1,3]"},
        {"reverse(t)", "\"oll\xc3\xa9h\""},
        {"sort(n)", "[1,2,3]"},
        {"sort(s)", "[\"a\",\"b\"]"},
        {"sort_by(p[:2], &(`0` == `1` || k))[0].k", "\"a\""},
        {"sort_by(p[?v], &to_string(v))[-1].k", "\"b\""},
        {"sum(n)", "6"},
        {"sum(s)", "error"},
        {"to_array(o.x)", "[1]"},
        {"to_array(n)", "[3,1,2]"},
        {"to_number(d)", "1.5"},
        {"to_number(t)", "null"},
        {"to_string(o)", "\"{\\\"x\\\":1,\\\"y\\\":[4,5]}\""},
        {"type(z)", "\"null\""},
        {"p[*].type(k)", "[\"string\",\"string\",\"string\"]"},
        {"nosuch(n)", "error"},
        {"abs()", "error"},
        {"abs(`1`, `2`)", "error"},
    };
    check(rows, ARRAY_LEN(rows));
}

Test(promtail_jmespath, refuses_what_is_not_an_expression)
{
    static const struct row rows[] = {
        {"x[", "syntax"},   {"", "syntax"},         {"a.", "syntax"},         {"a b", "syntax"},
        {"a..b", "syntax"}, {"[a", "syntax"},       {"{a}", "syntax"},        {"'open", "syntax"},
        {"`{`", "syntax"},  {"a[b]", "syntax"},     {"a[1:2:3:4]", "syntax"}, {"a[?b", "syntax"},
        {"#", "syntax"},    {"\"q\"(a)", "syntax"}, {"a.0", "syntax"},        {"f(a", "syntax"},
        {"a)", "syntax"},   {"@(a)", "syntax"},     {"a[1", "syntax"},        {"!", "syntax"},
        {"a[-]", "syntax"},
    };
    check(rows, ARRAY_LEN(rows));
}

Test(promtail_jmespath, survives_deep_nesting)
{
    char deep[4096];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    struct row rows[] = {{deep, "syntax"}, {deep, "syntax"}};
    memset(deep, '!', sizeof deep - 1);
    check(rows, 1);
    for (size_t i = 0; i + 1 < sizeof deep; i++)
        deep[i] = i % 2 ? '.' : 'a';
    check(rows + 1, 1);
}
