/* promtail/discovery/discovery.h - service discovery: where target groups come from.
 *
 * A provider (static, file, kubernetes, docker, consul, dns) is started with one of the job's
 * settings and from then on calls `update` with whole groups: a group replaces the one of the same
 * source; one with no targets removes it.  One file per provider.  Loop thread only. */
#pragma once
#include "base/status.h"
#include "promtail/config/config.h"
#include "promtail/record.h"

struct loop;
struct provider;

struct target_group {
    str source;                 /* unique in the provider: "0", a file name, "pod/ns/name" */
    struct label_list *targets; /* labels of each target (__address__ and __meta_...) */
    size_t n_targets;
    struct label_list labels; /* of all targets; the target's own win */
};

/* Called by the provider; the receiver copies what it keeps. */
struct discovery_sink {
    void (*update)(void *arg, struct provider *p, const struct target_group *group);
    void *arg;
};

struct provider_ops {
    const char *name; /* "static", "file", "kubernetes" */
    /* `config` is the element of the job's list: struct static_config, struct sd_config ... */
    int (*start)(struct loop *l, const void *config, const struct discovery_sink *sink,
                 struct provider **ret, struct error *err);
    void (*stop)(struct provider *p); /* no update after it; frees p (libuv's handles later) */
};

struct provider {
    const struct provider_ops *ops;
    struct discovery_sink sink;
    size_t index; /* in the job; set by the receiver */
};

extern const struct provider_ops provider_static, provider_file, provider_kubernetes,
    provider_docker, provider_consul, provider_consulagent, provider_dns;
