/* promtail/targets/target.h - what a target is: a thing lines come from.
 *
 * The manager makes the targets of each scrape job from its settings (syslog, push API, journal,
 * ...), and one file manager per job that has discovery.  A kind of target is one file with one
 * `const struct target_ops target_<kind>`, listed in targets/registry.c.  Loop thread only: a
 * target that needs threads posts to the loop. */
#pragma once
#include "base/status.h"
#include "promtail/config/config.h"
#include "promtail/pipeline.h"

struct loop;
struct positions;
struct tail_pool;
struct target;
struct workers;

/* What every target may use; lives until the manager is freed. */
struct target_env {
    struct loop *loop;
    struct workers *workers;
    struct source_registry *sources;
    struct positions *positions;
    const struct promtail_config *config;
    struct tail_pool *tail_pool; /* of the file targets */
    void (*on_end)(void *arg);   /* a target that ends by itself (stdin) calls it once */
    void *on_end_arg;
    bool is_dry_run;
};

/* One row of the /targets page. */
struct target_row {
    const struct label_list *discovered, *labels;
    str details; /* key=value text: the path and position of a file, the address of a listener */
    bool is_ready;
};

struct target_ops {
    const char *kind; /* as on the /targets page: "File", "Syslog", "Push", ... */
    /* True if the job has settings for this kind. */
    bool (*is_wanted)(const struct scrape_config *job);
    int (*start)(const struct target_env *env, const struct scrape_config *job,
                 struct pipeline *pipeline, struct target **ret, struct error *err);
    /* Stops reading and calls `stopped` when nothing will be put any more (maybe at once). */
    void (*stop)(struct target *t, void (*stopped)(void *arg), void *arg);
    /* The clients have stopped, nothing more will be acknowledged: says so where the lines came
     * from and calls `settled` when that is done, maybe at once; may be NULL. */
    void (*settle)(struct target *t, void (*settled)(void *arg), void *arg);
    void (*free)(struct target *t); /* after stopped and settled */
    bool (*is_ready)(const struct target *t);
    void (*each_row)(const struct target *t, void (*row)(void *arg, const struct target_row *row),
                     void *arg);
    /* Labels from service discovery that became no target, for /service-discovery; may be NULL. */
    void (*each_dropped)(const struct target *t,
                         void (*row)(void *arg, const struct target_row *row), void *arg);
};

/* First member of each implementation. */
struct target {
    const struct target_ops *ops;
    const struct scrape_config *job;
    struct pipeline *pipeline;
};

/* The one target a job has: of several kinds in one job the first counts, as in Promtail.  NULL if
 * there is none.  *ret_manager: what errors about the job name. */
const struct target_ops *target_of_job(const struct scrape_config *job, const char **ret_manager);
