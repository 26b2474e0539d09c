#include <criterion/criterion.h>
#include <stdio.h>

#include "base/map.h"
#include "base/mem.h"

Test(base_map, keeps_what_is_put_through_growth_and_removal)
{
    struct strmap m;
    strmap_init(&m);
    static int values[2000];
    char key[32];
    for (int i = 0; i < 2000; i++) {
        int n = snprintf(key, sizeof key, "key-%d", i);
        cr_assert_null(strmap_put(&m, str_make(key, (size_t)n), &values[i]));
    }
    for (int i = 0; i < 2000; i += 2) {
        int n = snprintf(key, sizeof key, "key-%d", i);
        cr_assert_eq(strmap_remove(&m, str_make(key, (size_t)n)), &values[i]);
    }
    cr_assert_eq(m.len, 1000);
    for (int i = 0; i < 2000; i++) {
        int n = snprintf(key, sizeof key, "key-%d", i);
        cr_assert_eq(strmap_get(&m, str_make(key, (size_t)n)), i % 2 ? &values[i] : NULL);
    }
    size_t at = 0, seen = 0;
    while (strmap_next(&m, &at, NULL, NULL))
        seen++;
    cr_assert_eq(seen, 1000);
    strmap_deinit(&m);
}

Test(base_map, many_puts_and_removes_do_not_fill_it_with_dead_slots)
{
    struct u64map m;
    u64map_init(&m);
    int value = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        u64map_put(&m, i, &value);
        cr_assert_eq(u64map_remove(&m, i), &value);
    }
    cr_assert_eq(m.len, 0);
    cr_assert_leq(m.cap, 64);
    u64map_deinit(&m);
}

Test(base_map, replacing_returns_the_old_value)
{
    struct u64map m;
    u64map_init(&m);
    int a = 0, b = 0;
    cr_assert_null(u64map_put(&m, 0, &a));
    cr_assert_eq(u64map_put(&m, 0, &b), &a);
    cr_assert_eq(u64map_get(&m, 0), &b);
    cr_assert_null(u64map_get(&m, 1));
    u64map_deinit(&m);
}

Test(base_map, frees_the_values_it_is_told_to_and_can_be_used_again)
{
    struct strmap m;
    strmap_init(&m);
    for (int round = 0; round < 2; round++) {
        strmap_put(&m, STR("a"), mem_alloc(10));
        strmap_put(&m, STR("b"), mem_alloc(10));
        mem_free(strmap_remove(&m, STR("a")));
        strmap_free_values(&m);
        cr_assert_eq(m.len, 0);
        cr_assert_null(strmap_get(&m, STR("b")));
    }
}
