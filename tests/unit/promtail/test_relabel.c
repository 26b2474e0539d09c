#include <criterion/criterion.h>
#include <stdio.h>

#include "promtail/relabel.h"

static struct arena arena;

static void set_up(void)
{
    arena_init(&arena, SIZE_MAX);
}

static void tear_down(void)
{
    arena_deinit(&arena);
}

TestSuite(promtail_relabel, .init = set_up, .fini = tear_down);

static struct relabel_rule rule(enum relabel_action action, const char *source, const char *regex)
{
    struct relabel_rule r;
    relabel_rule_init(&r);
    r.action = action;
    if (source != NULL) {
        r.has_source_labels = true;
        r.source_labels = ARENA_ARRAY(&arena, str, 2);
        for (str rest = str_c(source); rest.ptr != NULL;)
            r.source_labels[r.n_source_labels++] = str_split(&rest, ',');
    }
    if (regex != NULL) {
        r.regex_is_default = false;
        cr_assert_eq(regex_compile(str_c(regex), REGEX_ANCHORED | REGEX_DOT_NEWLINE, &r.re, NULL),
                     0);
    }
    return r;
}

/* Applies one rule to {a="x-y", b="2"}; NULL if the set was dropped. */
static const char *apply(struct relabel_rule r)
{
    struct label_list l = {0};
    struct relabel_rules rules = {&r, 1};
    label_list_set(&l, &arena, STR("a"), STR("x-y"));
    label_list_set(&l, &arena, STR("b"), STR("2"));
    bool kept = relabel_apply(&rules, &l, &arena);
    relabel_rules_free(&rules);
    if (!kept)
        return NULL;
    label_list_sort(&l);
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    labels_print(&(struct labels){l.items, l.n}, &out);
    const char *text = arena_c(&arena, buf_str(&out));
    buf_deinit(&out);
    return text;
}

static struct relabel_rule to(struct relabel_rule r, const char *target, const char *replacement)
{
    r.target_label = str_c(target);
    if (replacement != NULL)
        r.replacement = str_c(replacement);
    return r;
}

Test(promtail_relabel, replaces)
{
    cr_expect_str_eq(apply(to(rule(RELABEL_REPLACE, "a", "(.)-(.)"), "c", "$2${1}z$$")),
                     "{a=\"x-y\", b=\"2\", c=\"yxz$\"}");
    cr_expect_str_eq(apply(to(rule(RELABEL_REPLACE, "a,b", NULL), "c", NULL)),
                     "{a=\"x-y\", b=\"2\", c=\"x-y;2\"}");
    cr_expect_str_eq(apply(to(rule(RELABEL_REPLACE, "a", "x"), "c", NULL)), "{a=\"x-y\", b=\"2\"}",
                     "the regex is anchored");
    cr_expect_str_eq(apply(to(rule(RELABEL_REPLACE, "a", "(.).*"), "b", "")), "{a=\"x-y\"}",
                     "an empty value takes the label away");
    cr_expect_str_eq(apply(to(rule(RELABEL_REPLACE, "a", "(.).*"), "${1}2", "v")),
                     "{a=\"x-y\", b=\"2\", x2=\"v\"}");
    cr_expect_str_eq(apply(to(rule(RELABEL_REPLACE, "a", "(.).*"), "c", "$1x")),
                     "{a=\"x-y\", b=\"2\"}", "the group 1x does not exist");
}

Test(promtail_relabel, keeps_and_drops)
{
    cr_expect_null(apply(rule(RELABEL_KEEP, "b", "1")));
    cr_expect_not_null(apply(rule(RELABEL_KEEP, "b", "[0-9]")));
    cr_expect_null(apply(rule(RELABEL_DROP, "b", "2")));
    cr_expect_not_null(apply(rule(RELABEL_DROP, "missing", "x")));
    cr_expect_null(apply(to(rule(RELABEL_KEEPEQUAL, "a", NULL), "b", NULL)));
    cr_expect_null(apply(to(rule(RELABEL_DROPEQUAL, "a", NULL), "a", NULL)));
}

Test(promtail_relabel, changes_names)
{
    cr_expect_str_eq(apply(rule(RELABEL_LABELDROP, NULL, "a")), "{b=\"2\"}");
    cr_expect_str_eq(apply(rule(RELABEL_LABELKEEP, NULL, "a")), "{a=\"x-y\"}");
    struct relabel_rule map = rule(RELABEL_LABELMAP, NULL, "(b)");
    map.replacement = STR("m_$1");
    cr_expect_str_eq(apply(map), "{a=\"x-y\", b=\"2\", m_b=\"2\"}");
    cr_expect_str_eq(apply(to(rule(RELABEL_UPPERCASE, "a", NULL), "c", NULL)),
                     "{a=\"x-y\", b=\"2\", c=\"X-Y\"}");
}

Test(promtail_relabel, hashes)
{
    struct relabel_rule r = to(rule(RELABEL_HASHMOD, "b", NULL), "shard", NULL);
    r.modulus = 1000;
    const char *text = apply(r);
    /* md5("2") = c81e728d9d4c2f636f067f89cc14862c: the last eight bytes modulo 1000 */
    char want[64];
    snprintf(want, sizeof want, "{a=\"x-y\", b=\"2\", shard=\"%llu\"}",
             (unsigned long long)(UINT64_C(0x6f067f89cc14862c) % 1000));
    cr_expect_str_eq(text, want);
}

Test(promtail_relabel, checks_rules)
{
    struct error err = {0};
    struct relabel_rule r = rule(RELABEL_HASHMOD, "a", NULL);
    cr_expect_neq(relabel_rule_check(&r, &err), 0);
    cr_expect_str_eq(err.text, "relabel configuration for hashmod requires non-zero modulus");
    error_clear(&err);
    r = rule(RELABEL_REPLACE, "a", NULL);
    cr_expect_neq(relabel_rule_check(&r, &err), 0);
    cr_expect_str_eq(err.text,
                     "relabel configuration for replace action requires 'target_label' value");
    error_clear(&err);
    r = to(rule(RELABEL_REPLACE, "a", NULL), "b-c", NULL);
    cr_expect_eq(relabel_rule_check(&r, &err), 0);
}
