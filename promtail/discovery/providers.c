#include "promtail/discovery/providers.h"

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

static const struct provider_kind kind_static = {&provider_static, count_static, config_static};
static const struct provider_kind kind_file = {&provider_file, count_file, config_file};

const struct provider_kind *const provider_kinds[] = {&kind_static, &kind_file, NULL};
