/* links: base proto logql */
/* LogQL: whatever parses can be printed; what was printed parses again, unless Loki's spelling
 * cannot carry it, and then gives the same text and the same tree.  Also the expressions of json,
 * logfmt and pattern. */
#include <math.h>

#include "base/mem.h"
#include "logql/check.h"
#include "logql/jsonexpr.h"
#include "logql/parser.h"
#include "logql/pattern.h"
#include "logql/visit.h"
#include "proto/labels.h"
#include "tests/support/logql_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Infinities and NaN have no spelling; nor has minus zero, whose "-0" is lexed as a duration. */
static bool is_finite(double v)
{
    return v - v == 0 && !(v == 0 && signbit(v));
}

/* The lexer lets any character pass as a name, which then means something else beside others. */
static bool is_word(str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool is_ascii = (unsigned char)c < 0x80;
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (is_ascii && !is_letter && !(i > 0 && c >= '0' && c <= '9')) {
            return false;
        }
    }
    return str_is_utf8(name);
}

static bool are_words(const str *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_word(names[i])) {
            return false;
        }
    }
    return true;
}

static bool unwrap_has_spelling(void *arg, const struct unwrap *u)
{
    (void)arg;
    return is_word(u->label);
}

static bool stage_has_spelling(void *arg, const struct stage *s)
{
    (void)arg;
    bool ok = true;
    if (s->kind == STAGE_JSON || s->kind == STAGE_LOGFMT) {
        for (size_t i = 0; i < s->extract.n; i++) {
            ok = ok && is_word(s->extract.items[i].label);
        }
    } else if (s->kind == STAGE_LABEL_FORMAT) {
        for (size_t i = 0; i < s->formats.n; i++) {
            const struct label_format *f = &s->formats.items[i];
            ok = ok && is_word(f->label) && (!f->is_rename || is_word(f->value));
        }
    } else if (s->kind == STAGE_DROP || s->kind == STAGE_KEEP) {
        for (size_t i = 0; i < s->labels.n; i++) {
            ok = ok && is_word(s->labels.items[i].name);
        }
    }
    return ok;
}

static bool expr_has_spelling(void *arg, const struct expr *e)
{
    (void)arg;
    const struct vector_matching *m = &e->binary.matching;
    switch (e->kind) {
    case EXPR_VECTOR_AGG:
        return are_words(e->vector_agg.grouping.labels, e->vector_agg.grouping.n);
    case EXPR_BINARY:
        return are_words(m->labels, m->n_labels) && are_words(m->include, m->n_include);
    case EXPR_LITERAL:
    case EXPR_VECTOR:
        return is_finite(e->number) && (e->kind == EXPR_LITERAL || e->number >= 0);
    case EXPR_RANGE_AGG:
        return is_finite(e->range_agg.param) &&
               are_words(e->range_agg.grouping.labels, e->range_agg.grouping.n);
    default:
        return true;
    }
}

/* Sizes are rounded, and above 1000 PB they have a unit that does not parse. */
static bool filter_has_spelling(void *arg, const struct label_filter *f)
{
    (void)arg;
    if (f->kind == LABEL_FILTER_BYTES) {
        return is_word(f->cmp.name) && f->cmp.bytes < UINT64_C(999000000000000000);
    }
    if (f->kind == LABEL_FILTER_MATCHER) { /* printed between backquotes */
        str value = f->matcher->value;
        return memchr(value.ptr, '`', value.len) == NULL && str_is_utf8(value);
    }
    if (f->kind == LABEL_FILTER_IP) {
        return is_word(f->ip.name);
    }
    if (f->kind == LABEL_FILTER_AND || f->kind == LABEL_FILTER_OR) {
        return true;
    }
    bool is_number = f->kind == LABEL_FILTER_NUMBER;
    return is_word(f->cmp.name) && (!is_number || is_finite(f->cmp.number));
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
                                        .stage = stage_has_spelling,
                                        .filter = filter_has_spelling,
                                        .unwrap = unwrap_has_spelling,
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
