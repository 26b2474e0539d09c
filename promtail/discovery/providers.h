/* promtail/discovery/providers.h - every kind of discovery a job may list. */
#pragma once
#include "promtail/discovery/discovery.h"

struct provider_kind {
    const struct provider_ops *ops;
    size_t (*count)(const struct scrape_config *job);
    const void *(*config)(const struct scrape_config *job, size_t i);
};

extern const struct provider_kind *const provider_kinds[]; /* NULL-terminated */
