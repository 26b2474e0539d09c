/* Lines of known forms against the parsers' own walk: a run that has seen all lines before must
 * say of each what a run that has seen none says. */
#include "stage_help.h"

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static unsigned pick(uint64_t *state, unsigned n)
{
    return (unsigned)(next_random(state) >> 33) % n;
}

#define PICK(state, array) ((array)[pick(state, ARRAY_LEN(array))])

/* ---- lines ---- */

/* Mostly the first, so that lines are alike. */
#define PICK_FIRST(state, array) ((array)[pick(state, 3) > 0 ? 0 : pick(state, ARRAY_LEN(array))])

static void put_json_value(struct buf *b, uint64_t *r, unsigned kind)
{
    static const char *const texts[] = {
        "",
        "x",
        "GET",
        "a \\\"quoted\\\" word",
        "\\u00e9\\n",
        "\\ud83d",
        "caf\xc3\xa9",
        "\xff{",
        "}],{[",
        "a value that is longer than the thirty-two bytes of one step of a scan",
        "\\\\"};
    static const char *const numbers[] = {
        "0",  "200", "-1.5", "1e-05",  "12345678901234567890123456789", "01", "1/2", "1abc",
        "1{", "4\"", "-",    "3.14E+2"};
    static const char *const arrays[] = {"[]",  "[1,2]",       "[{\"a\":1}]", "[\"]\"]",
                                         "[}]", "[[1],\"x\"]", "[\"{\"]"};
    static const char *const objects[] = {
        "{}",          "{\"k\":1}",        "{\"k\":{\"a\":\"}\"}}", "{ \"a\" : 2 }",
        "{\"a\":[}]}", "{\"a\":\"\\\"}\"}"};
    static const char *const words[] = {"true", "false", "null", "tru", "nullx", "truefalse"};
    switch (kind) {
    case 0:
        buf_printf(b, "\"%s\"", PICK_FIRST(r, texts));
        break;
    case 1:
        buf_append_c(b, PICK_FIRST(r, numbers));
        break;
    case 2:
        buf_append_c(b, PICK_FIRST(r, arrays));
        break;
    case 3:
        buf_append_c(b, PICK_FIRST(r, objects));
        break;
    default:
        buf_append_c(b, PICK_FIRST(r, words));
    }
}

/* `shape` says which keys there are and how they are written, `r` the values. */
static void put_json_object(struct buf *b, uint64_t *shape, uint64_t *r, unsigned depth)
{
    static const char *const keys[] = {
        "a",   "b",       "c",
        "app", "x.y",     "a_b",
        "",    "\\u0061", "a key that is longer than thirty-two bytes, and then some"};
    static const char *const commas[] = {",", ",", ",", ", ", " ,"};
    static const char *const colons[] = {":", ":", ":", ": ", " :\t"};
    unsigned n = 1 + pick(shape, 5);
    buf_append_c(b, pick(shape, 8) == 0 ? " { " : "{");
    for (unsigned i = 0; i < n; i++) {
        const char *comma = PICK(shape, commas), *key = PICK(shape, keys);
        bool is_left_out = i > 0 && pick(r, 40) == 0;
        unsigned kind = pick(shape, 8);
        struct buf value;
        buf_init(&value, BUF_NO_LIMIT);
        if (kind < 3 && depth < 4)
            put_json_object(&value, shape, r, depth + 1);
        else
            put_json_value(&value, r,
                           pick(r, 40) == 0 ? pick(r, 5)
                           : kind < 6       ? kind % 2
                                            : kind - 4);
        if (!is_left_out)
            buf_printf(b, "%s\"%s\"%s%.*s", i == 0 ? "" : comma, key, PICK(shape, colons),
                       STR_ARG(buf_str(&value)));
        buf_deinit(&value);
    }
    buf_append_c(b, pick(shape, 8) == 0 ? " }" : "}");
}

static void put_json(struct buf *b, uint64_t shape, uint64_t *r)
{
    put_json_object(b, &shape, r, 0);
    if (pick(r, 16) == 0)
        buf_append_c(b, " and more");
}

static void put_logfmt(struct buf *b, uint64_t shape, uint64_t *r)
{
    static const char *const keys[] = {
        "a",           "b",    "c",
        "app",         "x.y",  "a_b",
        "caf\xc3\xa9", "\xff", "a_key_that_is_longer_than_thirty_two_bytes_and_then_some"};
    static const char *const values[] = {
        "",
        "x",
        "1.5s",
        "a=b",
        "c\"d",
        "\"quoted\"",
        "\"\"",
        "\"a \\\"word\\\"\"",
        "\"\\x\"",
        "\"open",
        "10KB",
        "caf\xc3\xa9",
        "\xff",
        "\"no\"space=1",
        "\"\\u00e9 \xff\"",
        "a_value_that_is_longer_than_the_thirty_two_bytes_of_one_step_of_a_scan"};
    static const char *const blanks[] = {" ", " ", " ", "  ", "\t", ""};
    unsigned n = 1 + pick(&shape, 6);
    buf_append_c(b, pick(&shape, 8) == 0 ? " " : "");
    for (unsigned i = 0; i < n; i++) {
        const char *key = PICK(&shape, keys), *blank = PICK(&shape, blanks);
        bool is_quoted = pick(&shape, 3) == 0, is_bare = pick(&shape, 8) == 0;
        if (i > 0 && pick(r, 40) == 0)
            continue;
        buf_append_c(b, i == 0 ? "" : blank);
        const char *value = pick(r, 8) == 0 ? PICK(r, values) : pick(r, 2) == 0 ? "info" : "12";
        bool has_quotes = is_quoted && strchr(value, '"') == NULL;
        buf_printf(b, is_bare ? "%s" : has_quotes ? "%s=\"%s\"" : "%s=%s", key, value);
    }
    buf_append_c(b, pick(&shape, 8) == 0 ? " " : "");
}

/* Cuts, changes or doubles a byte. */
static void spoil(struct buf *b, uint64_t *r)
{
    static const char bytes[] = "\"\\{}[],:= \n\t\x7f\xc3"
                                "0te";
    if (b->len == 0)
        return;
    size_t at = pick(r, (unsigned)b->len);
    switch (pick(r, 4)) {
    case 0:
        b->len = at;
        break;
    case 1:
        memmove(b->ptr + at, b->ptr + at + 1, b->len - at - 1);
        b->len--;
        break;
    default:
        b->ptr[at] = bytes[pick(r, sizeof bytes - 1)];
    }
}

/* ---- the comparison ---- */

static void expect_same(struct stage_fixture *seen, struct stage_fixture *fresh, str line)
{
    /* A copy of its own size, so that a sanitizer sees who reads beyond it. */
    char *copy = mem_alloc(line.len + 1);
    memcpy(copy, line.ptr, line.len);
    copy = mem_realloc(copy, MAX(line.len, (size_t)1));
    str own = str_make(copy, line.len);
    pipeline_run_forget(fresh->run);
    const char *want = stage_outcome(fresh, own, NULL), *got = stage_outcome(seen, own, NULL);
    cr_assert_str_eq(got, want, "on   %.*s\n got  %s\n want %s", STR_ARG(line), got, want);
    mem_free(copy);
}

typedef void put_line(struct buf *b, uint64_t shape, uint64_t *r);

static void compare(const char *query, put_line *put, uint64_t seed)
{
    enum { SHAPES = 2, LINES = 200, ALIKE = 20 };
    struct stage_fixture seen, fresh;
    cr_assert_eq(stage_open(&seen, query, NULL), 0, "%s", query);
    cr_assert_eq(stage_open(&fresh, query, NULL), 0);
    uint64_t r = seed * 0x9e3779b97f4a7c15u | 1;
    struct buf line;
    buf_init(&line, BUF_NO_LIMIT);
    for (int i = 0; i < LINES; i++) {
        buf_reset(&line);
        put(&line, (seed * SHAPES + pick(&r, SHAPES)) * 0xd1342543de82ef95u | 1, &r);
        if (i >= ALIKE && pick(&r, 6) == 0)
            spoil(&line, &r);
        expect_same(&seen, &fresh, buf_str(&line));
    }
    buf_deinit(&line);
    stage_close(&seen);
    stage_close(&fresh);
}

Test(logql_line_forms, json_is_read_as_by_the_parser)
{
    static const char *const queries[] = {
        "| json",
        "| json | a=\"x\"",
        "| json | a_b>1 | c!=\"\"",
        "sum by (a) (count_over_time({app=\"x\"} | json [1m]))",
        "sum by (b_a, a_a_a) (count_over_time({app=\"x\"} | json [1m]))",
        "sum by (c, app_extracted) (count_over_time({app=\"x\"} | json | b>=2 [1m]))",
        "sum by (a_b_c, b, __error__) (count_over_time({app=\"x\"} | json [1m]))",
        "max_over_time({app=\"x\"} | json | unwrap a [1m]) by (b)",
    };
    for (size_t i = 0; i < ARRAY_LEN(queries); i++)
        for (uint64_t seed = 1; seed <= 40; seed++)
            compare(queries[i], put_json, seed);
}

Test(logql_line_forms, logfmt_is_read_as_by_the_parser)
{
    static const char *const queries[] = {
        "| logfmt",
        "| logfmt --strict",
        "| logfmt --keep-empty",
        "| logfmt --strict --keep-empty",
        "| logfmt | a=\"x\"",
        "sum by (a) (count_over_time({app=\"x\"} | logfmt [1m]))",
        "sum by (a, c) (count_over_time({app=\"x\"} | logfmt --strict [1m]))",
        ("sum by (b, app_extracted) (count_over_time({app=\"x\"} | logfmt --keep-empty | b>=2 "
         "[1m]))"),
        "max_over_time({app=\"x\"} | logfmt | unwrap duration(a) [1m]) by (b)",
    };
    for (size_t i = 0; i < ARRAY_LEN(queries); i++)
        for (uint64_t seed = 1; seed <= 40; seed++)
            compare(queries[i], put_logfmt, seed);
}

/* The run sees all lines but the last, then the last one. */
static void expect_after(const char *query, const char *const *lines, size_t n, const char *want)
{
    struct stage_fixture f;
    cr_assert_eq(stage_open(&f, query, NULL), 0);
    const char *got = NULL;
    for (size_t i = 0; i < n; i++)
        got = stage_outcome(&f, str_c(lines[i]), NULL);
    cr_expect_str_eq(got, want, "%s: %s\n got  %s\n want %s", query, lines[n - 1], got, want);
    stage_close(&f);
}

#define EXPECT_AFTER(query, want, ...)                                                             \
    do {                                                                                           \
        const char *const lines_[] = {__VA_ARGS__};                                                \
        expect_after(query, lines_, ARRAY_LEN(lines_), want);                                      \
    } while (0)

Test(logql_line_forms, an_inner_object_must_end_before_its_labels_count)
{
    static const char query[] = "sum by (o_a) (count_over_time({app=\"x\"} | json [1m]))";
    static const char error[] =
        "__error__=JSONParserErr __error_details__=Value looks like object, "
        "but can't find closing '}' symbol = 1";
    EXPECT_AFTER(query, "o_a=2 = 1", "{\"o\":{\"a\":1,\"b\":0},\"z\":0}",
                 "{\"o\":{\"a\":2,\"b\":0},\"z\":0}");
    EXPECT_AFTER(query, error, "{\"o\":{\"a\":1,\"b\":0},\"z\":0}", "{\"o\":{\"a\":2,\"b\":0");
    /* A brace in an array ends the object, as the parser sees it. */
    EXPECT_AFTER(query, "= 1", "{\"o\":{\"b\":[1],\"a\":1}}", "{\"o\":{\"b\":[],\"c\":3}}");
    EXPECT_AFTER(query,
                 "__error__=JSONParserErr __error_details__=Value is array, but can't find closing "
                 "']' symbol = 1",
                 "{\"o\":{\"b\":[1],\"a\":1}}", "{\"o\":{\"b\":[}],\"a\":2}}");
}

Test(logql_line_forms, an_object_where_an_array_was_is_looked_into)
{
    EXPECT_AFTER("| json", "o_a=1", "{\"o\":[1]}", "{\"o\":[2]}", "{\"o\":{\"a\":1}}");
}

Test(logql_line_forms, the_middle_of_a_text_is_no_object_without_a_name)
{
    /* The text behind 1 is cut after 32 bytes, where a member begins. */
    EXPECT_AFTER(
        "| json",
        "__error__=JSONParserErr __error_details__=Value looks like object, but can't find "
        "closing '}' symbol z=1",
        "{\"z\":1,\"aaaaaaaaaaaaa\":null,\"ccc\":null,\"b\":1}", "{\"z\":1,\"\":{\"a\":0,\"c\":1}}",
        "{\"z\":1,\"\":{\"a\":0,\"b\":2");
}

Test(logql_line_forms, a_fault_behind_what_is_asked_for_is_not_seen)
{
    static const char query[] = "sum by (a) (count_over_time({app=\"x\"} | json [1m]))";
    EXPECT_AFTER(query, "a=2 = 1", "{\"a\":1,\"b\":true}", "{\"a\":2,\"b\":tru}");
    EXPECT_AFTER(query, "__error__=JSONParserErr __error_details__=Unknown value type = 1",
                 "{\"b\":true,\"a\":1}", "{\"b\":tru,\"a\":2}");
}

Test(logql_line_forms, labels_of_the_stream_are_asked_for_anew)
{
    static const struct label other = {{"b", 1}, {"s", 1}};
    struct stage_fixture f;
    cr_assert_eq(stage_open(&f, "| json", NULL), 0);
    for (int i = 0; i < 3; i++)
        cr_expect_str_eq(stage_outcome(&f, STR("{\"b\":1,\"app\":2}"), NULL),
                         "app_extracted=2 b=1");
    struct labels stream = {&other, 1};
    pipeline_run_stream(f.run, &stream);
    cr_expect_str_eq(stage_outcome(&f, STR("{\"b\":1,\"app\":2}"), NULL),
                     "app=2 b=s b_extracted=1");
    stage_close(&f);
}

Test(logql_line_forms, lines_that_are_never_alike_are_left_alone)
{
    struct stage_fixture f;
    struct buf line;
    cr_assert_eq(stage_open(&f, "sum by (a) (count_over_time({app=\"x\"} | json [1m]))", NULL), 0);
    buf_init(&line, BUF_NO_LIMIT);
    for (int i = 0; i < 5000; i++) {
        buf_reset(&line);
        buf_printf(&line, "{\"k%d\":{\"l%d\":%d},\"a\":%d}", i, i, i, i % 3);
        const char *want = i % 3 == 0 ? "a=0 = 1" : i % 3 == 1 ? "a=1 = 1" : "a=2 = 1";
        cr_assert_str_eq(stage_outcome(&f, buf_str(&line), NULL), want);
    }
    for (int i = 0; i < 5000; i++) /* and known again once they are */
        cr_assert_str_eq(stage_outcome(&f, STR("{\"q\":\"x\",\"a\":7}"), NULL), "a=7 = 1");
    buf_deinit(&line);
    stage_close(&f);
}
