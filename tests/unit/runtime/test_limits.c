#include <criterion/criterion.h>

#include "runtime/limits.h"

Test(runtime_limits, a_tenant_has_its_override_and_the_others_the_defaults)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    struct limits defaults = {0};
    config_defaults(limits_table, &defaults, &a);
    cr_assert_eq(defaults.max_line_size_bytes, 262144);
    cr_assert_eq(defaults.max_query_length_ns, (30 * 24 + 1) * INT64_C(3600000000000));
    cr_assert_eq(defaults.discover_service_name.n, 13);
    struct limits_set *set = limits_set_new(&defaults);
    struct error err = {0};
    cr_assert_eq(
        limits_set_overrides(set, STR("overrides:\n  t1: {max_query_series: 7}\n"), "o.yaml", &err),
        0, "%s", err.text);
    cr_assert_eq(limits_for(set, STR("t1"))->max_query_series, 7);
    cr_assert_eq(limits_for(set, STR("t1"))->max_line_size_bytes, 262144);
    cr_assert_eq(limits_for(set, STR("t2"))->max_query_series, 500);

    cr_assert_neq(
        limits_set_overrides(set, STR("overrides:\n  t1: {max_series: 7}\n"), "o.yaml", &err), 0);
    cr_assert_str_eq(err.text, "o.yaml:2: overrides.max_series: unknown key");
    cr_assert_eq(limits_for(set, STR("t1"))->max_query_series, 7);
    limits_set_free(set);
    arena_deinit(&a);
}
