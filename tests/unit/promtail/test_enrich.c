/* Labels of records that came by a network. */
#include <criterion/criterion.h>

#include "promtail/targets/enrich.h"

static struct label_list labels_of(struct arena *a)
{
    struct label_list l = {0};
    enrich_set(&l, a, STR("b"), STR("2"));
    enrich_set(&l, a, STR("__c"), STR("3"));
    enrich_set(&l, a, STR("a"), STR("1"));
    return l;
}

Test(promtail_enrich, an_empty_value_takes_the_label_away)
{
    struct arena a;
    arena_init(&a, SIZE_MAX);
    struct label_list l = labels_of(&a);
    enrich_set(&l, &a, STR("b"), STR(""));
    enrich_set(&l, &a, STR("d"), (str){NULL, 0});
    cr_assert_eq(l.n, 2);
    cr_assert(label_list_get(&l, STR("b")).ptr == NULL);
    arena_deinit(&a);
}

Test(promtail_enrich, only_what_relabelling_leaves_nothing_of_counts_as_dropped)
{
    struct arena a;
    static const struct relabel_rules none = {0};
    struct label_list internal = {0}, empty = {0};
    arena_init(&a, SIZE_MAX);
    struct label_list l = labels_of(&a);
    cr_assert(enrich_labels(&none, &l, &a));
    cr_assert_eq(l.n, 2);
    enrich_set(&internal, &a, STR("__c"), STR("3"));
    cr_assert(enrich_labels(&none, &internal, &a), "a stream without labels is one");
    cr_assert_eq(internal.n, 0);
    cr_assert_not(enrich_labels(&none, &empty, &a));
    arena_deinit(&a);
}
