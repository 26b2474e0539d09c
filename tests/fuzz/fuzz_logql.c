/* links: base proto logql */
/* LogQL: whatever parses can be printed; what was printed parses again, unless Loki's spelling
 * cannot carry it, and then gives the same text and the same tree.  Also the expressions of json,
 * logfmt and pattern. */
#include "base/mem.h"
#include "logql/check.h"
#include "logql/jsonexpr.h"
#include "logql/parser.h"
#include "logql/pattern.h"
#include "logql/visit.h"
#include "proto/labels.h"
#include "tests/support/logql_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_finite(double v)
{
    return v - v == 0;
}

/* Printed with six decimals: a larger vector() would lose digits that the second print has. */
static bool expr_has_spelling(void *arg, const struct expr *e)
{
    (void)arg;
    switch (e->kind) {
    case EXPR_LITERAL:
    case EXPR_VECTOR:
        return is_finite(e->number) && (e->kind == EXPR_LITERAL || e->number >= 0);
    case EXPR_RANGE_AGG:
        return is_finite(e->range_agg.param);
    default:
        return true;
    }
}

/* Sizes are rounded, and above 1000 PB they have a unit that does not parse. */
static bool filter_has_spelling(void *arg, const struct label_filter *f)
{
    (void)arg;
    if (f->kind == LABEL_FILTER_BYTES) {
        return f->cmp.bytes < UINT64_C(999000000000000000);
    }
    if (f->kind == LABEL_FILTER_MATCHER) { /* printed between backquotes */
        str value = f->matcher->value;
        return memchr(value.ptr, '`', value.len) == NULL && str_is_utf8(value);
    }
    return f->kind != LABEL_FILTER_NUMBER || is_finite(f->cmp.number);
}

static bool matcher_has_spelling(void *arg, const struct matcher *m)
{
    (void)arg;
    return label_name_is_valid(m->name);
}

static void check_round_trip(struct expr *e, struct arena *a)
{
    struct buf text, again, tree, tree_again;
    struct expr *second;
    struct error err = {0};
    buf_init(&text, BUF_NO_LIMIT);
    buf_init(&again, BUF_NO_LIMIT);
    buf_init(&tree, BUF_NO_LIMIT);
    buf_init(&tree_again, BUF_NO_LIMIT);
    logql_print(e, &text);
    int rc = logql_parse_unchecked(buf_str(&text), a, &second, &err);
    if (rc != E_LIMIT) { /* the text may have grown beyond it */
        ASSERT(rc == 0);
        tree_dump(e, &tree);
        logql_print(second, &again);
        tree_dump(second, &tree_again);
        ASSERT(str_eq(buf_str(&text), buf_str(&again)));
        ASSERT(str_eq(buf_str(&tree), buf_str(&tree_again)));
        logql_release(second);
    }
    buf_deinit(&text);
    buf_deinit(&again);
    buf_deinit(&tree);
    buf_deinit(&tree_again);
}

static void fuzz_query(str query, struct arena *a)
{
    struct expr *e;
    struct error err = {0};
    struct buf pretty;
    if (logql_parse_unchecked(query, a, &e, &err) != 0) {
        ASSERT(e == NULL && err.text[0] != '\0');
        return;
    }
    buf_init(&pretty, BUF_NO_LIMIT);
    logql_pretty(e, &pretty);
    buf_deinit(&pretty);
    logql_check_enabled(e, NULL);
    if (visit_expr(e, &(struct visitor){.expr = expr_has_spelling,
                                        .filter = filter_has_spelling,
                                        .matcher = matcher_has_spelling})) {
        check_round_trip(e, a);
    }
    logql_release(e);
}

static void fuzz_expressions(str text, struct arena *a)
{
    struct jsonexpr json;
    struct pattern pattern;
    str key;
    jsonexpr_parse(text, a, &json, NULL);
    logfmtexpr_parse(text, a, &key, NULL);
    if (pattern_compile(text, a, &pattern, NULL) == 0) {
        str *values = ARENA_ARRAY(a, str, pattern.n_captures);
        ASSERT(pattern_match(&pattern, text, values) <= pattern.n_captures);
    }
    if (pattern_compile_filter(text, a, &pattern, NULL) == 0) {
        pattern_test(&pattern, text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    str text = str_make((const char *)data, size);
    fuzz_query(text, &arena);
    fuzz_expressions(text, &arena);
    arena_deinit(&arena);
    return 0;
}
