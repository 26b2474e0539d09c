#include <criterion/criterion.h>

#include "base/mem.h"
#include "logql/stages/line_filter.h"
#include "logql/stages/skipper_syntax.h"

#define LINES  300
#define ROUNDS 3000

static uint32_t seed = 2463534242;

static uint32_t below(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static const char *one_of(const char *const *what, size_t n)
{
    return what[below((uint32_t)n)];
}

static void write_regex(struct buf *b, unsigned depth);

static void write_atom(struct buf *b, unsigned depth)
{
    static const char *const atoms[] = {
        "a",       "b",           "1",        " ",      "-",    ".",       "\\s",   "\\S",
        "\\d",     "\\D",         "\\w",      "\\W",    "\\b",  "\\B",     "[ab]",  "[^a]",
        "[^\\s1]", "[\\S]",       "[^\\d]",   "[]a]",   "[[a]", "[a-c1-]", "[^\\n", "\\.",
        "\\n",     "\\t",         "{",        "}",      "]",    "a{,2}",   "^",     "$",
        "(?i)",    "(?s)",        "(?m)",     "(?i:K)", "k",    "\\x41",   "\\v",   "[\\v]",
        "\\pL",    "[[:alpha:]]", "\\Qa.\\E", "(?s:.)", "\x0b", "\xc3\xa9"};
    static const char *const opens[] = {"(", "(?:", "(?P<n>", "(?i:", "(?s:"};
    if (depth < 3 && below(5) == 0) {
        buf_append_c(b, one_of(opens, ARRAY_LEN(opens)));
        write_regex(b, depth + 1);
        buf_append_char(b, ')');
        return;
    }
    const char *atom = one_of(atoms, below(3) == 0 ? ARRAY_LEN(atoms) : 16);
    buf_append_c(b, atom);
    if (strcmp(atom, "[^\\n") == 0)
        buf_append_char(b, ']');
}

static void write_regex(struct buf *b, unsigned depth)
{
    static const char *const repeats[] = {"*", "+", "?", "{2}", "{1,3}", "{2,}", "+?", "*?", "{0}"};
    for (uint32_t n = 1 + below(4); n > 0; n--) {
        write_atom(b, depth);
        if (below(3) == 0)
            buf_append_c(b, one_of(repeats, ARRAY_LEN(repeats)));
        if (below(7) == 0)
            buf_append_char(b, '|');
    }
}

struct block {
    struct buf text;
    uint32_t line_at[LINES + 1];
    struct block_view view;
};

/* Short lines; newlines in some, now and then a character beyond ASCII or a broken one. */
static void fill(struct block *b, bool is_ascii)
{
    static const char *const pieces[] = {
        "a", "a", "b", "b",  "c",  "1",  "2",    " ",        " ",           "-",
        ".", "k", "K", "A",  "{",  "}",  "\t",   "\x0b",     "\n",          "a{,2}",
        "]", "[", "_", "\r", "\f", "\\", "\xff", "\xc3\xa9", "\xe2\x84\xaa"};
    buf_init(&b->text, BUF_NO_LIMIT);
    for (uint32_t i = 0; i < LINES; i++) {
        b->line_at[i] = (uint32_t)b->text.len;
        bool is_plain = is_ascii || below(4) != 0;
        for (uint32_t n = below(3) == 0 ? 0 : below(14); n > 0; n--)
            buf_append_c(&b->text, one_of(pieces, ARRAY_LEN(pieces) - (is_plain ? 3 : 0)));
        buf_append_char(&b->text, '\n');
    }
    b->line_at[LINES] = (uint32_t)b->text.len;
    b->view = (struct block_view){.n = LINES,
                                  .columns = BLOCK_LINES,
                                  .text = b->text.ptr,
                                  .text_len = b->text.len,
                                  .line_at = b->line_at};
}

/* On machines for which there is no Hyperscan there is no skipper. */
static bool has_skippers(void)
{
    struct skipper *s = skipper_new(STR("[0-9]x"));
    skipper_free(s);
    return s != NULL;
}

static bool is_ready_for(struct line_matcher *m)
{
    skipper_warm(m->tests[0].skipper, (size_t)64 << 20);
    return skipper_is_ready(m->tests[0].skipper);
}

static void check(const struct line_matcher *m, const struct block *b, str re)
{
    uint64_t words[LINES / 64 + 1], scratch[LINES / 64 + 1];
    uint32_t from = below(LINES), to = from + 1 + below(LINES - from);
    struct line_set set = {words, from, to};
    memset(words, 0, sizeof words);
    for (uint32_t i = from; i < to; i++)
        line_set_add(&set, i);
    line_matcher_filter(m, &b->view, &set, scratch);
    for (uint32_t i = from; i < to; i++)
        cr_assert_eq(line_set_has(&set, i), line_matcher_passes(m, block_line(&b->view, i)),
                     "`%.*s` on `%.*s`", STR_ARG(re), STR_ARG(block_line(&b->view, i)));
}

/* A random expression over random lines keeps with the skipper the lines that it keeps alone. */
Test(logql_skipper, passes_over_no_line_that_matches)
{
    struct block ascii, mixed;
    unsigned n_ready = 0;
    fill(&ascii, true);
    fill(&mixed, false);
    for (int round = 0; round < ROUNDS; round++) {
        struct arena a;
        struct buf re;
        struct line_matcher m;
        arena_init(&a, SIZE_MAX);
        buf_init(&re, BUF_NO_LIMIT);
        write_regex(&re, 0);
        struct line_match match = {.text = buf_str(&re)};
        struct line_filter f = {
            .op = round % 5 == 0 ? LINE_NRE : LINE_RE, .matches = &match, .n_matches = 1};
        if (line_matcher_compile(&f, &a, &m, NULL) == 0) {
            n_ready += is_ready_for(&m);
            check(&m, &ascii, match.text);
            check(&m, &mixed, match.text);
            line_matcher_release(&m);
        }
        buf_deinit(&re);
        arena_deinit(&a);
    }
    cr_assert(n_ready > ROUNDS / 10 || !has_skippers(), "only %u had a skipper", n_ready);
    buf_deinit(&ascii.text);
    buf_deinit(&mixed.text);
}

Test(logql_skipper, writes_out_what_hyperscan_means_otherwise)
{
    static const struct {
        const char *re, *want; /* NULL: not let through */
    } cases[] = {
        {"[0-9]{7}[a-f]x", "[0-9]{7}[a-f]x"},
        {"a\\sb", "a[\\t\\n\\f\\r ]b"},
        {"\\S+", "[^\\t\\n\\f\\r ]+"},
        {"[^\\s]", "[^\\t\\n\\f\\r ]"},
        {"(?P<x>a|b)(c)", "(?:a|b)(?:c)"},
        {"(?i)a(?s:.)", "(?i)a(?s:.)"},
        {"a{,3}", "a\\{,3\\}"},
        {"[]a[]", "[\\]a\\[]"},
        {"[\\S]", NULL},
        {"a+?b*?", "a+b*"},
        {"a*", NULL},
        {"\\b|a", NULL},
        {"(a|b?)(^|$)", NULL},
        {"(a|b)?c{1,3}", "(?:a|b)?c{1,3}"},
        {"\\x41", NULL},
        {"\\pL", NULL},
        {"\\v", NULL},
        {"[[:alpha:]]", NULL},
        {"(?U)a+", NULL},
        {"\xc3\xa9", NULL},
        {"(?:(?:a{50}b){50})", NULL},
        {"[a-f0-9]{8}-([a-f0-9]{4}-){3}[a-f0-9]{12}",
         "[a-f0-9]{8}-(?:[a-f0-9]{4}-){3}[a-f0-9]{12}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out;
        buf_init(&out, BUF_NO_LIMIT);
        bool is_written = skipper_syntax_write(str_c(cases[i].re), &out);
        cr_expect_eq(is_written, cases[i].want != NULL, "%s", cases[i].re);
        if (is_written && cases[i].want != NULL)
            cr_expect_str_eq(buf_c(&out), cases[i].want);
        buf_deinit(&out);
    }
}

/* What matches nearly everywhere is given back to RE2, and the answer stays. */
Test(logql_skipper, gives_up_where_it_does_not_help)
{
    struct block b;
    struct arena a;
    struct line_matcher m;
    struct line_match match = {.text = STR("[abck12]|[^x]")};
    struct line_filter f = {.op = LINE_RE, .matches = &match, .n_matches = 1};
    buf_init(&b.text, BUF_NO_LIMIT);
    for (uint32_t i = 0; i < LINES; i++) {
        b.line_at[i] = (uint32_t)b.text.len;
        buf_append_repeated(&b.text, STR("ab"), 100);
        buf_append_char(&b.text, '\n');
    }
    b.line_at[LINES] = (uint32_t)b.text.len;
    b.view = (struct block_view){.n = LINES,
                                 .columns = BLOCK_LINES,
                                 .text = b.text.ptr,
                                 .text_len = b.text.len,
                                 .line_at = b.line_at};
    arena_init(&a, SIZE_MAX);
    cr_assert_eq(line_matcher_compile(&f, &a, &m, NULL), 0);
    cr_assert_eq(is_ready_for(&m), has_skippers());
    for (int i = 0; i < 10; i++)
        check(&m, &b, match.text);
    cr_assert_not(skipper_is_ready(m.tests[0].skipper));
    line_matcher_release(&m);
    arena_deinit(&a);
    buf_deinit(&b.text);
}
