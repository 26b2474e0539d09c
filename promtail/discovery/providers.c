#include "promtail/discovery/providers.h"

#include "promtail/config/targets.h"

static size_t count_static(const struct scrape_config *job)
{
    return job->n_static_configs;
}

static const void *config_static(const struct scrape_config *job, size_t i)
{
    return &job->static_configs[i];
}

static size_t count_file(const struct scrape_config *job)
{
    return job->n_file_sd_configs;
}

static const void *config_file(const struct scrape_config *job, size_t i)
{
    return &job->file_sd_configs[i];
}

/* A list of blocks `<key>` with its count in `n_<key>`. */
#define PROVIDER_KIND(name, key)                                                                   \
    static size_t count_##name(const struct scrape_config *job)                                    \
    {                                                                                              \
        return job->n_##key;                                                                       \
    }                                                                                              \
    static const void *config_##name(const struct scrape_config *job, size_t i)                    \
    {                                                                                              \
        return &job->key[i];                                                                       \
    }                                                                                              \
    static const struct provider_kind kind_##name = {&provider_##name, count_##name, config_##name};

PROVIDER_KIND(kubernetes, kubernetes_sd_configs)
PROVIDER_KIND(consul, consul_sd_configs)
PROVIDER_KIND(consulagent, consulagent_sd_configs)
PROVIDER_KIND(dns, dns_sd_configs)

static const struct provider_kind kind_static = {&provider_static, count_static, config_static};
static const struct provider_kind kind_file = {&provider_file, count_file, config_file};

const struct provider_kind *const provider_kinds[] = {
    &kind_static, &kind_file, &kind_kubernetes, &kind_consul, &kind_consulagent, &kind_dns, NULL,
};
