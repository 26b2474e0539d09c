/* promtail/targets/file/found.h - what discovery found for a job, and what relabelling made of it.
 *
 * Groups come and go by the name that a provider gives them; each replaces the one before.  Loop
 * thread only. */
#pragma once
#include "base/map.h"
#include "promtail/config/config.h"
#include "promtail/discovery/discovery.h"

/* Why what was discovered is no target. */
struct drop_reason {
    const char *text;   /* at /service-discovery */
    const char *metric; /* label of promtail_targets_failed_total */
};

struct found_target {
    struct label_list discovered, labels;
    const struct drop_reason *dropped; /* NULL: it is one */
};

struct found_group {
    struct arena arena;
    struct found_target *targets;
    size_t n;
};

struct found_set {
    const struct scrape_config *job;
    struct strmap groups; /* provider and source -> struct found_group */
    char host[256];       /* for __host__ */
};

void found_init(struct found_set *s, const struct scrape_config *job);
void found_deinit(struct found_set *s);
/* Relabels the targets of a group; one without targets is forgotten. */
void found_put(struct found_set *s, const struct provider *p, const struct target_group *group);
/* The next group from `*at` on, 0 at first; NULL at the end. */
const struct found_group *found_next(const struct found_set *s, size_t *at);
/* Counts in promtail_targets_failed_total. */
void found_count_failed(const char *reason);
