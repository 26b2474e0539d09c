#include <criterion/criterion.h>
#include <stdio.h>

#include "promtail/client/client.h"
#include "runtime/loop.h"

#define TENANTS 3000

static void put(struct client *c, int tenant)
{
    char text[16];
    struct arena arena;
    struct record r = {.line = STR("a line"), .ts_ns = 1};
    snprintf(text, sizeof text, "t%d", tenant);
    arena_init(&arena, 1u << 20);
    label_list_set(&r.labels, &arena, STR("__tenant_id__"), str_c(text));
    client_put(c, &r);
    arena_deinit(&arena);
}

Test(promtail_client, closes_a_group_before_it_has_too_many_tenants)
{
    char *argv[] = {"promtail", "-config.file=/dev/null", "-client.url=http://127.0.0.1:1/push",
                    "-client.batch-wait=1h", NULL};
    struct promtail_config config = {0};
    struct source_registry sources;
    struct error err = {0};
    struct client *c = NULL;
    struct arena arena;
    arena_init(&arena, 16u << 20);
    cr_assert_eq(promtail_config_load(4, argv, &arena, &config, &err), 0, "%s", err.text);
    cr_assert_eq(config.n_clients, 1);
    source_registry_init(&sources, 1);
    struct loop *loop = loop_new();
    struct client_env env = {.loop = loop, .config = &config, .sources = &sources};
    cr_assert_eq(client_new(&env, &config.clients[0], 0, &c, &err), 0);
    for (int i = 0; i < TENANTS; i++)
        put(c, i);
    cr_expect_gt(client_queued_bytes(c), 0);
    client_free(c);
    loop_free(loop);
    source_registry_deinit(&sources);
    promtail_config_free(&config);
    arena_deinit(&arena);
}
