#include <criterion/criterion.h>

#include "promtail/record.h"

static struct arena arena;
static struct label_list base;
static struct label_stem *stem;

/* The labels of a file, as its tail keeps them. */
static void set_up(void)
{
    arena_init(&arena, SIZE_MAX);
    label_list_set(&base, &arena, STR("job"), STR("cri"));
    label_list_set(&base, &arena, STR("pod"), STR("web"));
    stem = label_list_make_stem(&base);
}

static void tear_down(void)
{
    label_stem_release(stem);
    arena_deinit(&arena);
    base = (struct label_list){0};
}

TestSuite(promtail_record, .init = set_up, .fini = tear_down);

static struct label_list start(void)
{
    struct record r;
    record_init(&r, &arena, &base);
    return r.labels;
}

Test(promtail_record, lists_of_one_stem_are_compared_behind_it)
{
    struct label_list a = start(), b = start();
    label_list_set(&a, &arena, STR("stream"), STR("stdout"));
    label_list_set(&b, &arena, STR("stream"), STR("stdout"));
    cr_assert_eq(a.stem, stem);
    cr_assert(label_list_eq(&a, &b));
    label_list_set(&b, &arena, STR("stream"), STR("stderr"));
    cr_assert_eq(b.stem, stem, "stream is behind it");
    cr_assert(!label_list_eq(&a, &b));
}

Test(promtail_record, a_list_that_changes_its_beginning_leaves_the_stem)
{
    struct label_list a = start(), b = start(), c = start(), d = start();
    label_list_set(&a, &arena, STR("pod"), STR("db"));
    cr_assert_null(a.stem);
    cr_assert(!label_list_eq(&a, &b));
    cr_assert(label_list_remove(&b, STR("job")));
    cr_assert_null(b.stem);
    label_list_sort(&c);
    cr_assert_null(c.stem);
    cr_assert(label_list_eq(&c, &base), "the same labels without the stem");
    d.items[0].value = STR("other");
    label_list_rehash(&d);
    cr_assert_null(d.stem);
    cr_assert(!label_list_eq(&d, &base));
}

Test(promtail_record, a_copy_that_may_outlive_the_stem_has_none)
{
    struct label_list copy;
    struct record r, kept;
    label_list_copy(&copy, &arena, &base);
    cr_assert_null(copy.stem);
    cr_assert(label_list_eq(&copy, &base));
    record_init(&r, &arena, &base);
    record_copy(&kept, &arena, &r);
    cr_assert_null(kept.labels.stem);
    cr_assert(label_list_eq(&kept.labels, &r.labels));
}
