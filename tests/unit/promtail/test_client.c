#include <criterion/criterion.h>
#include <stdio.h>

#include "promtail/client/client.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

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

Test(promtail_client, an_external_label_may_name_the_tenant)
{
    char *argv[] = {"promtail",
                    "-config.file=/dev/null",
                    "-client.url=http://127.0.0.1:2/push",
                    "-client.tenant-id=weak",
                    "-client.external-labels=__tenant_id__=strong",
                    NULL};
    struct promtail_config config = {0};
    struct source_registry sources;
    struct error err = {0};
    struct client *c = NULL;
    struct record r = {.line = STR("a line"), .ts_ns = 1};
    struct arena arena;
    struct buf page;
    arena_init(&arena, 16u << 20);
    buf_init(&page, BUF_NO_LIMIT);
    cr_assert_eq(promtail_config_load(5, argv, &arena, &config, &err), 0, "%s", err.text);
    source_registry_init(&sources, 1);
    struct loop *loop = loop_new();
    struct client_env env = {.loop = loop, .config = &config, .sources = &sources};
    cr_assert_eq(client_new(&env, &config.clients[0], 0, &c, &err), 0);
    client_count_long_line(c, &r, 6, false);
    metrics_write(&page);
    cr_expect(strstr(buf_c(&page), "host=\"127.0.0.1:2\",tenant=\"strong\"") != NULL, "%s",
              buf_c(&page));
    client_free(c);
    loop_free(loop);
    source_registry_deinit(&sources);
    promtail_config_free(&config);
    arena_deinit(&arena);
    buf_deinit(&page);
}
