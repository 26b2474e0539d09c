#include "promtail/targets/file/found.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "promtail/relabel.h"
#include "runtime/metrics.h"

static const struct drop_reason dropped = {"dropped target", "dropped"};
static const struct drop_reason wrong_host = {"ignoring target, wrong host", "wrong_host"};
static const struct drop_reason no_path = {"no path for target", "no_path"};

void found_count_failed(const char *reason)
{
    static const char *const names[] = {"reason", NULL};
    struct metric_family *f = metric_family("promtail_targets_failed_total", METRIC_COUNTER,
                                            "Number of failed targets.", names, NULL);
    metric_inc(metric_with1(f, str_c(reason)));
}

static const struct drop_reason *why_dropped(const struct found_set *s,
                                             const struct label_list *labels, bool is_kept)
{
    if (!is_kept)
        return &dropped;
    str host = label_list_get(labels, STR("__host__"));
    if (host.ptr != NULL && !str_eq_c(host, s->host))
        return &wrong_host;
    if (label_list_get(labels, STR("__path__")).ptr == NULL)
        return &no_path;
    return NULL;
}

static void resolve(const struct found_set *s, const struct target_group *group, size_t i,
                    struct arena *a, struct found_target *ret)
{
    struct label_list all = {0};
    label_list_copy(&all, a, &group->labels);
    for (size_t j = 0; j < group->targets[i].n; j++)
        label_list_set(&all, a, arena_str(a, group->targets[i].items[j].name),
                       arena_str(a, group->targets[i].items[j].value));
    label_list_sort(&all);
    label_list_copy(&ret->discovered, a, &all);
    bool is_kept = relabel_apply(&s->job->relabel, &all, a);
    label_list_sort(&all);
    ret->labels = all;
    ret->dropped = why_dropped(s, &all, is_kept);
}

static void free_group(struct found_group *g)
{
    if (g == NULL)
        return;
    arena_deinit(&g->arena);
    mem_free(g);
}

void found_put(struct found_set *s, const struct provider *p, const struct target_group *group)
{
    struct arena a;
    arena_init(&a, SIZE_MAX);
    str key = arena_printf(&a, "%p\x1f%.*s", (const void *)p, STR_ARG(group->source));
    free_group(strmap_remove(&s->groups, key));
    if (group->n_targets > 0) {
        struct found_group *g = mem_zalloc(sizeof *g);
        arena_init(&g->arena, SIZE_MAX);
        g->n = group->n_targets;
        g->targets = ARENA_ARRAY(&g->arena, struct found_target, g->n);
        for (size_t i = 0; i < g->n; i++)
            resolve(s, group, i, &g->arena, &g->targets[i]);
        strmap_put(&s->groups, key, g);
    }
    arena_deinit(&a);
}

const struct found_group *found_next(const struct found_set *s, size_t *at)
{
    void *item;
    return strmap_next(&s->groups, at, NULL, &item) ? item : NULL;
}

static void take_host_name(struct found_set *s)
{
    const char *env = getenv("HOSTNAME");
    if (env != NULL && env[0] != '\0')
        snprintf(s->host, sizeof s->host, "%s", env);
    else if (gethostname(s->host, sizeof s->host) != 0)
        s->host[0] = '\0';
    s->host[sizeof s->host - 1] = '\0';
}

void found_init(struct found_set *s, const struct scrape_config *job)
{
    *s = (struct found_set){.job = job};
    strmap_init(&s->groups);
    take_host_name(s);
}

void found_deinit(struct found_set *s)
{
    size_t at = 0;
    void *item;
    while (strmap_next(&s->groups, &at, NULL, &item))
        free_group(item);
    strmap_deinit(&s->groups);
}
