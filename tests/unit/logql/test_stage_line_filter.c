#include "base/needle.h"
#include "logql/stages/line_filter.h"
#include "logql/stages/skipper.h"
#include "stage_help.h"

Test(logql_stage_line_filter, looks_into_lines)
{
    STAGE_CHECK({"|= \"ab\"", "xaby", ""}, {"|= \"ab\"", "ba", "dropped"}, {"|= \"\"", "x", ""},
                {"!= \"ab\"", "ba", ""}, {"!= \"\"", "x", "dropped"}, {"|~ \"\"", "x", ""},
                {"|~ \"a.c\"", "abc", ""}, {"|~ \"a.c\"", "a\nc", "dropped"},
                {"!~ \"a.c\"", "ac", ""}, {"|~ \"(?i)peer RESET\"", "x PEER reset", ""},
                {"|~ \"a.b\"",
                 "a\xff"
                 "b",
                 ""},
                {"|~ \"[^c]b\"",
                 "\xc3"
                 "b",
                 ""},
                {"|~ \"^x$\"", "x\ny", "dropped"}, {"|= \"a\" or \"b\"", "b", ""},
                {"!= \"a\" or \"b\"", "b", "dropped"}, {"|> \"a<_>c\"", "abc", ""},
                {"|> \"a<_>c\"", "abcd", "dropped"}, {"!> \"a<_>c\"", "abcd", ""},
                {"|~ \"warn|warning\"", "warned", ""}, {"|~ \"foo.*\"", "a foo", ""},
                {"|= \"a\" != \"b\" |~ \"c+\"", "acc", ""},
                {"|= \"a\" != \"b\" |~ \"c+\"", "abcc", "dropped"});
}

Test(logql_stage_line_filter, finds_addresses)
{
    STAGE_CHECK({"|= ip(\"10.0.0.0/8\")", "from 10.1.2.3:80", ""},
                {"|= ip(\"10.0.0.0/8\")", "from 110.1.2.3", "dropped"},
                {"|= ip(\"10.0.0.1-10.0.0.9\")", "a 10.0.0.9.", "dropped"},
                {"|= ip(\"10.0.0.1-10.0.0.9\")", "a 10.0.0.9 ", ""},
                {"!= ip(\"10.0.0.1\")", "10.0.0.2", ""}, {"|= ip(\"::1\")", "x ::1 y", ""},
                {"|= ip(\"2001:db8::/32\")", "[2001:db8::ff]", ""},
                {"|= ip(\"1.2.3.4\")", "1.2.3.4.5", "dropped"});
}

/* ---- over blocks ---- */

struct random_block {
    bool has_high; /* bytes that are not UTF-8 */
    struct buf text;
    uint32_t line_at[400];
    struct block_view view;
};

static uint32_t seed = 12345;

static uint32_t next_random(void)
{
    seed = seed * 1664525 + 1013904223;
    return seed >> 8;
}

/* Short lines over few characters, newlines inside some of them. */
static void fill(struct random_block *b, uint32_t n)
{
    buf_init(&b->text, BUF_NO_LIMIT);
    for (uint32_t i = 0; i < n; i++) {
        b->line_at[i] = (uint32_t)b->text.len;
        uint32_t len = next_random() % 4 == 0 ? next_random() % 200 : next_random() % 12;
        for (uint32_t k = 0; k < len; k++)
            buf_append_char(&b->text, "aabbcd1 \nAB\xff"[next_random() % (b->has_high ? 12 : 11)]);
        buf_append_char(&b->text, '\n');
    }
    b->line_at[n] = (uint32_t)b->text.len;
    b->view = (struct block_view){.n = n,
                                  .columns = BLOCK_LINES,
                                  .text = b->text.ptr,
                                  .text_len = b->text.len,
                                  .line_at = b->line_at};
}

static const char *const filters[] = {
    "|= \"ab\"",       "|= \"a\\n\"",        "|= \"\\n\"",      "!= \"ab\"",
    "|~ \"ab\"",       "|~ \"(?i)AB\"",      "|~ \"a[bc]d?1\"", "|~ \"^a\"",
    "|~ \"[0-9] *$\"", "|~ \"b\\\\s+b\"",    "|~ \"a|cd|1\"",   "!~ \"[abd]\"",
    "|~ \"^$\"",       "|~ \"\\\\Aab\"",     "|~ \"ab.*cd\"",   "|= \"ab\" or \"cd\"",
    "|~ \"(?s)a.b\"",  "|~ \"(ab|cd)[1 ]\"", "|> \"<_>ab<_>\"", "|= \"dddddddd\"",
};

/* A block is filtered as its lines are one by one, whatever the way it is done. */
Test(logql_stage_line_filter, says_of_blocks_what_it_says_of_lines)
{
    for (int round = 0; round < 60; round++) {
        struct random_block b = {.has_high = round % 3 == 0};
        uint32_t n = 1 + next_random() % 399, from = next_random() % n;
        uint32_t to = from + next_random() % (n - from) + 1;
        fill(&b, n);
        for (size_t i = 0; i < ARRAY_LEN(filters) * ARRAY_LEN(filters);
             i += 1 + next_random() % 7) {
            struct stage_fixture f;
            char query[128];
            snprintf(query, sizeof query, "%s %s", filters[i % ARRAY_LEN(filters)],
                     i % 3 == 0 ? "" : filters[i / ARRAY_LEN(filters)]);
            cr_assert_eq(stage_open(&f, query, NULL), 0, "%s", query);
            struct pipeline_result r, one;
            bool is_backward = next_random() % 2 == 0;
            pipeline_run_block(f.run, &b.view, from, to, is_backward);
            for (uint32_t k = 0; k < to - from; k++) {
                uint32_t at = is_backward ? to - 1 - k : from + k;
                if (!pipeline_run_entry(f.run, 0, block_line(&b.view, at), NULL, &one))
                    continue;
                cr_assert(pipeline_run_next(f.run, &r), "%s loses line %u", query, at);
                cr_assert_eq(r.at, at, "%s gives %u for %u", query, r.at, at);
            }
            cr_assert_not(pipeline_run_next(f.run, &r), "%s keeps too much", query);
            stage_close(&f);
        }
        buf_deinit(&b.text);
    }
}

Test(logql_stage_line_filter, tells_what_it_looks_for_and_with_what)
{
    static const struct {
        const char *filter, *how;
        const char *skipped; /* the regex that a skipper may stand before */
    } cases[] = {
        {"|= \"ab\"", "substring \"ab\""},
        {"|= \"a\\nb\" or \"c\"", "substring \"a\\nb\" or substring \"c\""},
        {"|~ \"(?i)peer\"", "substring \"peer\" in any case"},
        {"|~ \"foo|bar\"", "substrings \"foo\", \"bar\""},
        {"|~ \"aa|bb|cc|dd|ee|ff|gg|hh|ii|jj\"",
         "substrings \"aa\", \"bb\", \"cc\", \"dd\", \"ee\", \"ff\", \"gg\", \"hh\" and 2 more"},
        {"|~ \"took 2[0-9]{3} ms\"", "regex behind substring \"took 2\"", "took 2[0-9]{3} ms"},
        {"|~ \"[0-9]x\"", "regex", "[0-9]x"},
        {"|~ \".*\"", "no search"},
        {"|> \"a<_>\"", "pattern"},
        {"|= ip(\"::1\")", "addresses"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct stage_fixture f;
        struct buf out, want;
        buf_init(&out, BUF_NO_LIMIT);
        buf_init(&want, BUF_NO_LIMIT);
        cr_assert_eq(stage_open(&f, cases[i].filter, NULL), 0);
        pipeline_step_print(f.pipeline, 0, &out);
        buf_printf(&want, "%s (over blocks: %s", cases[i].filter, cases[i].how);
        if (cases[i].skipped != NULL) {
            struct skipper *s = skipper_new(str_c(cases[i].skipped));
            buf_printf(&want, ", skipper %s", skipper_name(s));
            skipper_free(s);
        }
        buf_append_c(&want, ")");
        cr_expect_str_eq(buf_c(&out), buf_c(&want));
        buf_deinit(&out);
        buf_deinit(&want);
        stage_close(&f);
    }
}
