#include <criterion/criterion.h>

#include "logql/parser.h"
#include "tests/support/golden_lines.h"
#include "tests/support/logql_tree.h"

static struct arena arena;
static struct buf out, again, tree, tree_again;

static void setup(void)
{
    arena_init(&arena, BUF_NO_LIMIT);
    buf_init(&out, BUF_NO_LIMIT);
    buf_init(&again, BUF_NO_LIMIT);
    buf_init(&tree, BUF_NO_LIMIT);
    buf_init(&tree_again, BUF_NO_LIMIT);
}

static void teardown(void)
{
    arena_deinit(&arena);
    buf_deinit(&out);
    buf_deinit(&again);
    buf_deinit(&tree);
    buf_deinit(&tree_again);
}

TestSuite(logql_printer, .init = setup, .fini = teardown);

static struct expr *parse(str query)
{
    struct expr *e;
    struct error err = {0};
    int rc = logql_parse(query, &arena, &e, &err);
    cr_assert_eq(rc, 0, "%s: %.*s", err.text, STR_ARG(query));
    return e;
}

/* Prints and parses what was printed: the same text and the same tree must come out. */
static void expect_round_trip(str query)
{
    buf_reset(&out);
    buf_reset(&again);
    buf_reset(&tree);
    buf_reset(&tree_again);
    struct expr *e = parse(query);
    logql_print(e, &out);
    tree_dump(e, &tree);
    logql_release(e);
    e = parse(buf_str(&out));
    logql_print(e, &again);
    tree_dump(e, &tree_again);
    logql_release(e);
    cr_expect(str_eq(buf_str(&out), buf_str(&again)), "%.*s\n%s", STR_ARG(query), buf_c(&again));
    cr_expect(str_eq(buf_str(&tree), buf_str(&tree_again)), "%.*s\n%s\n%s", STR_ARG(query),
              buf_c(&tree), buf_c(&tree_again));
}

/* Infinite numbers, NaN and label names that are printed as strings have no spelling in LogQL. */
static bool has_spelling(str printed)
{
    return memmem(printed.ptr, printed.len, "Inf", 3) == NULL &&
           memmem(printed.ptr, printed.len, "{\"", 2) == NULL &&
           memmem(printed.ptr, printed.len, "NaN ", 4) == NULL && !str_eq(printed, STR("NaN"));
}

Test(logql_printer, prints_as_loki_does_and_reads_it_back)
{
    struct golden_file g;
    cr_assert(golden_open(&g, "tests/golden/logql/queries.txt"));
    int n = 0;
    for (const struct golden_line *l; (l = golden_next(&g)) != NULL; n++) {
        buf_reset(&out);
        struct expr *e = parse(buf_str(&l->left));
        logql_print(e, &out);
        logql_release(e);
        cr_expect(str_eq(buf_str(&out), buf_str(&l->right)), "line %d\n got %s", l->number,
                  buf_c(&out));
        if (has_spelling(buf_str(&l->right))) {
            expect_round_trip(buf_str(&l->left));
        }
    }
    cr_expect_geq(n, 900);
    golden_close(&g);
}

Test(logql_printer, breaks_lines_as_loki_does)
{
    struct golden_file g;
    cr_assert(golden_open(&g, "tests/golden/logql/formats.txt"));
    int n = 0;
    for (const struct golden_line *l; (l = golden_next(&g)) != NULL; n++) {
        buf_reset(&out);
        struct expr *e = parse(buf_str(&l->left));
        logql_pretty(e, &out);
        logql_release(e);
        cr_expect(str_eq(buf_str(&out), buf_str(&l->right)), "line %d\n got %s\nwant %s", l->number,
                  buf_c(&out), buf_c((struct buf *)&l->right));
    }
    cr_expect_geq(n, 100);
    golden_close(&g);
}

Test(logql_printer, loses_nothing_when_it_breaks_lines)
{
    str query =
        STR("avg without () (rate({aaaaaaaaaaaaaaaaaaaa=\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"} |= "
            "\"cccccccccccccccccccccccccc\" |= \"dddddddddddd\" or \"eeeeeeeeeeeeeeeee\" "
            "!= \"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\" "
            "|= \"g\" or \"h\"[5m] offset -1h) * on () group_left () vector(1))");
    struct expr *e = parse(query);
    logql_pretty(e, &out);
    tree_dump(e, &tree);
    logql_release(e);
    e = parse(buf_str(&out));
    tree_dump(e, &tree_again);
    logql_release(e);
    cr_expect_str_eq(buf_c(&tree), buf_c(&tree_again), "%s", buf_c(&out));
}

Test(logql_printer, stops_at_the_limit_of_its_buffer)
{
    struct buf small;
    buf_init(&small, 10);
    struct expr *e = parse(STR("sum(rate({a=\"b\"} |= \"c\" [5m]))"));
    logql_print(e, &small);
    cr_expect(small.failed);
    buf_reset(&small);
    logql_pretty(e, &small);
    cr_expect(small.failed);
    logql_release(e);
    buf_deinit(&small);
}

/* ---- random queries ---- */

static uint64_t seed = 0x9e3779b97f4a7c15u;

static unsigned pick(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 33) % n;
}

#define ANY(...)                                                                                   \
    (((const char *const[]){                                                                       \
        __VA_ARGS__})[pick(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))])

static void random_matcher(struct buf *b)
{
    buf_append_c(b, ANY("a", "level", "job_1", "rate", "_"));
    buf_append_c(b, ANY("=\"x\"", "!=\"\"", "=~\"a.*|b\"", "!~`\\d`", "=\"q\\\"\\n\xc3\xa9\""));
}

static void random_filter(struct buf *b, int depth)
{
    if (depth < 4 && pick(2) == 0) {
        buf_append_c(b, ANY("(", "("));
        random_filter(b, depth + 1);
        buf_append_c(b, ANY(" and ", " or ", " , ", " "));
        random_filter(b, depth + 1);
        buf_append_c(b, ")");
    } else if (pick(3) == 0) {
        random_matcher(b);
    } else {
        buf_append_c(b, ANY("size", "took", "ip"));
        buf_append_c(b, ANY(" > 5", "<=-1.5e3", "==10ms", " != 1h30m", ">1.2MiB", "<3KB",
                            "=ip(\"10.0.0.0/8\")", "!=ip(\"::1\")"));
    }
}

static void random_log(struct buf *b)
{
    buf_append_c(b, "{app=\"x\",");
    random_matcher(b);
    buf_append_c(b, "}");
    for (unsigned n = pick(4); n > 0; n--) {
        if (pick(4) == 0) {
            buf_append_c(b, " | ");
            random_filter(b, 0);
            continue;
        }
        buf_append_c(b,
                     ANY(" |= \"a\" or `b` or \"c\"", " != \"a\" or ip(\"1.1.1.1\")", " |~ \"x\"",
                         " !> \"<_>\"", " | json", " | json a,b=\"c[0].d\"", " | logfmt --strict",
                         " | logfmt --keep-empty x=\"y\"", " | regexp \"(?P<a>.)\"",
                         " | pattern `<a> \"<b>\"`", " | unpack", " | decolorize",
                         " | line_format \"{{.a}}\"", " | label_format a=b,c=`{{.d}}`",
                         " | drop a,b=\"c\"", " | keep x!~\"y\""));
    }
}

static void random_range(struct buf *b, bool has_unwrap)
{
    random_log(b);
    if (has_unwrap) {
        buf_append_c(b, ANY(" | unwrap x", " | unwrap bytes(x)", " | unwrap duration_seconds(x)"));
        if (pick(2) == 0) {
            buf_append_c(b, " | ");
            random_filter(b, 2);
        }
    }
    buf_append_c(b, ANY("[5m]", "[1h30m]", "[1w]", "[1500ms]"));
    buf_append_c(b, ANY("", " offset 5m", " offset -1h30m", " offset 10ms"));
}

static void random_metric(struct buf *b, int depth)
{
    unsigned kind = depth > 5 ? pick(2) : pick(7);
    if (kind == 0) {
        buf_append_c(b, ANY("rate(", "count_over_time(", "bytes_rate(", "absent_over_time("));
        random_range(b, false);
        buf_append_c(b, ")");
    } else if (kind == 1) {
        buf_append_c(b, ANY("avg_over_time(", "quantile_over_time(0.99,", "first_over_time("));
        random_range(b, true);
        buf_append_c(b, ANY(")", ") by (a,b)", ") without (c)"));
    } else if (kind == 2) {
        buf_append_c(b, ANY("sum(", "avg by (a) (", "topk(3, ", "count without (a,b) (", "sort("));
        random_metric(b, depth + 1);
        buf_append_c(b, ")");
    } else if (kind == 3) {
        buf_append_c(b, "label_replace(");
        random_metric(b, depth + 1);
        buf_append_c(b, ",\"a\",\"$1\",\"b\",\"(.*)\")");
    } else if (kind == 4) {
        buf_append_c(b, ANY("vector(1.5)", "vector(0)"));
    } else {
        buf_append_c(b, "(");
        random_metric(b, depth + 1);
        buf_append_c(b, ANY(" + ", " > bool ", " and on(a) ", " * on(a,b) group_left(c) ",
                            " unless ignoring(z) ", " ^ ", " == ", " % on() group_right() "));
        random_metric(b, depth + 1);
        buf_append_c(b, ")");
    }
}

Test(logql_printer, reads_back_random_queries)
{
    struct buf query;
    buf_init(&query, BUF_NO_LIMIT);
    for (int i = 0; i < 3000; i++) {
        buf_reset(&query);
        if (pick(4) == 0) {
            random_log(&query);
        } else {
            random_metric(&query, 0);
        }
        expect_round_trip(buf_str(&query));
        arena_reset(&arena);
    }
    buf_deinit(&query);
}
