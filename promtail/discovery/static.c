/* static_configs: groups that stand in the configuration. */
#include "base/mem.h"
#include "promtail/discovery/discovery.h"

static int start(struct loop *l, const void *config, const struct discovery_sink *sink,
                 struct provider **ret, struct error *err)
{
    (void)l, (void)err;
    const struct static_config *c = config;
    struct provider *p = mem_zalloc(sizeof *p);
    p->ops = &provider_static;
    p->sink = *sink;
    *ret = p;
    /* Promtail adds a target when none is named, so that labels alone are enough. */
    struct label address = {STR("__address__"), STR("localhost")};
    struct label_list localhost = {.items = &address, .n = 1};
    label_list_rehash(&localhost);
    struct target_group group = {
        .source = STR("static"),
        .targets = c->n_targets > 0 ? c->targets : &localhost,
        .n_targets = c->n_targets > 0 ? c->n_targets : 1,
        .labels = c->labels,
    };
    p->sink.update(p->sink.arg, p, &group);
    return 0;
}

static void stop(struct provider *p)
{
    mem_free(p);
}

const struct provider_ops provider_static = {.name = "static", .start = start, .stop = stop};
