#include "promtail/core.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "promtail/loss.h"
#include "promtail/targets/all.h"
#include "promtail/targets/file/pool.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define DISCOVERY_GRACE_NS (60 * NS_PER_S)
#define COMPONENT          "promtail"
#define FLUSH_MS           100 /* how exactly stages keep their times */
/* While lines are read free memory is kept for the next batch; afterwards it goes back. */
#define TRIM_BYTES_MIN (512u << 10)

static void nothing(struct record_sink *sink, struct record *r)
{
    (void)sink, (void)r;
}

/* Adds to an error whose it is. */
static int name_manager(const struct scrape_config *job, int rc, struct error *err)
{
    const char *manager;
    target_of_job(job, &manager);
    error_prefix(err, "failed to make %s target manager: ", manager);
    return rc;
}

int core_check(const struct promtail_config *config, struct error *err)
{
    struct record_sink none = {.put = nothing};
    for (size_t i = 0; i < config->n_scrapes; i++) {
        struct pipeline *p = NULL;
        const struct scrape_config *job = &config->scrapes[i];
        int rc = job_pipeline_new(job->job_name, job->pipeline_stages, &none, &p, err);
        if (rc != 0)
            return name_manager(job, rc, err);
        job_pipeline_free(p);
    }
    return 0;
}

/* --- timers --- */

static void flush_pipelines(struct core *c, bool is_final)
{
    int64_t now_ns = clock_mono_ns();
    for (size_t i = 0; i < c->pipelines.len; i++)
        job_pipeline_flush(c->pipelines.items[i], now_ns, is_final);
}

static void on_flush_timer(void *arg)
{
    flush_pipelines(arg, false);
}

static bool keeps_positions(const struct core *c)
{
    return !c->env.is_dry_run && !c->config->target.read_stdin;
}

static void save_positions(struct core *c)
{
    struct error err = {0};
    if (!keeps_positions(c))
        return;
    positions_update(&c->positions, &c->sources);
    if (positions_save(&c->positions, &err) != 0)
        log_error(COMPONENT, "error writing positions file", LOG_C("err", err.text));
}

/* Files that were followed before and are not there any more need not be remembered, once
 * discovery has had the time to name them. */
static void finish_gone(struct core *c)
{
    bool is_settled = clock_mono_ns() - c->started_mono_ns > DISCOVERY_GRACE_NS;
    size_t at = 0;
    void *item;
    while (strmap_next(&c->sources.by_key, &at, NULL, &item)) {
        struct source *s = item;
        if (is_settled && s->refs == 0 && s->yaml_key != NULL && access(s->yaml_key, F_OK) != 0)
            s->is_finished = true;
    }
    source_registry_sweep(&c->sources);
}

static void on_sync_timer(void *arg)
{
    struct core *c = arg;
    clients_sync(&c->clients);
    save_positions(c);
    finish_gone(c);
    mem_trim(TRIM_BYTES_MIN);
}

/* --- start --- */

static int start_clients(struct core *c, struct error *err)
{
    bool keeps = keeps_positions(c), reads = !c->config->target.read_stdin;
    /* A dry run begins where the last run ended, too. */
    int rc = reads ? positions_load(&c->positions, &c->config->positions, err) : 0;
    if (rc != 0)
        return rc;
    if (!reads) {
        c->positions.config = &c->config->positions;
        strmap_init(&c->positions.values);
    }
    const char *dir = c->config->wal.enabled ? c->config->wal.dir : "";
    if (keeps) {
        size_t size = strlen(dir) + strlen(c->config->positions.filename) + 16;
        c->state_dir = mem_alloc(size);
        snprintf(c->state_dir, size, "%s", dir);
        if (dir[0] == '\0')
            snprintf(c->state_dir, size, "%s.journal", c->config->positions.filename);
        /* Before anything is journaled: a missing file later means that somebody took it away. */
        struct error why = {0};
        if (!c->positions.is_ours && positions_save_now(&c->positions, &why) != 0)
            log_error(COMPONENT, "error writing positions file", LOG_C("err", why.text));
    }
    struct client_env env = {.loop = c->env.loop,
                             .config = c->config,
                             .sources = &c->sources,
                             .state_dir = c->state_dir,
                             .ignore_marks = !c->positions.is_ours};
    return clients_init(&c->clients, &env, c->env.is_dry_run, err);
}

static int start_target(struct core *c, const struct target_ops *ops,
                        const struct scrape_config *job, struct pipeline *p, struct error *err)
{
    struct target *t = NULL;
    int rc = ops->start(&c->env, job, p, &t, err);
    if (rc == 0)
        VEC_PUSH(&c->targets, t);
    return rc;
}

static int start_job(struct core *c, const struct scrape_config *job, struct error *err)
{
    struct pipeline *p = NULL;
    const char *manager;
    const struct target_ops *ops = target_of_job(job, &manager);
    int rc = job_pipeline_new(job->job_name, job->pipeline_stages, &c->clients.sink, &p, err);
    if (rc != 0)
        return name_manager(job, rc, err);
    p->is_inspecting = c->config->flags.inspect;
    VEC_PUSH(&c->pipelines, p);
    if (c->config->target.read_stdin)
        return start_target(c, &target_stdin, job, p, err);
    if (ops != NULL)
        rc = start_target(c, ops, job, p, err);
    return rc != 0 ? name_manager(job, rc, err) : 0;
}

static int start_jobs(struct core *c, struct error *err)
{
    static const struct scrape_config stdin_job = {.job_name = "stdin", .encoding = ""};
    bool from_stdin = c->config->target.read_stdin;
    if (from_stdin && c->config->n_scrapes == 0)
        return start_job(c, &stdin_job, err);
    size_t n = from_stdin ? 1 : c->config->n_scrapes;
    for (size_t i = 0; i < n; i++) {
        int rc = start_job(c, &c->config->scrapes[i], err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static void start_timers(struct core *c)
{
    int64_t sync_ms = c->config->positions.sync_period_ns / NS_PER_MS;
    c->flush_timer = loop_timer_new(c->env.loop, on_flush_timer, c);
    c->sync_timer = loop_timer_new(c->env.loop, on_sync_timer, c);
    loop_timer_start(c->flush_timer, FLUSH_MS, FLUSH_MS);
    loop_timer_start(c->sync_timer, (uint64_t)MAX(sync_ms, 10), (uint64_t)MAX(sync_ms, 10));
}

int core_start(const struct target_env *env, const struct promtail_config *config,
               struct core **ret, struct error *err)
{
    struct core *c = mem_zalloc(sizeof *c);
    c->started_mono_ns = clock_mono_ns();
    *ret = c;
    c->env = *env;
    c->config = config;
    c->env.config = config;
    c->env.sources = &c->sources;
    c->env.positions = &c->positions;
    c->env.is_dry_run = config->flags.dry_run;
    c->env.tail_pool = tail_pool_new(env->loop);
    loss_init();
    source_registry_init(&c->sources, c->env.is_dry_run ? 0 : config->n_clients);
    int rc = start_clients(c, err);
    if (rc == 0)
        rc = start_jobs(c, err);
    start_timers(c);
    return rc;
}

/* --- stop --- */

static void on_target_settled(void *arg)
{
    struct core *c = arg;
    if (--c->n_stopping > 0)
        return;
    save_positions(c);
    c->stopped(c->stopped_arg);
}

static void on_clients_stopped(void *arg)
{
    struct core *c = arg;
    clients_sync(&c->clients);
    save_positions(c);
    c->n_stopping = c->targets.len + 1; /* one for this loop */
    for (size_t i = 0; i < c->targets.len; i++) {
        struct target *t = c->targets.items[i];
        if (t->ops->settle != NULL)
            t->ops->settle(t, on_target_settled, c);
        else
            on_target_settled(c);
    }
    on_target_settled(c);
}

static void on_target_stopped(void *arg)
{
    struct core *c = arg;
    if (--c->n_stopping > 0)
        return;
    flush_pipelines(c, true);
    loop_timer_stop(c->flush_timer);
    loop_timer_stop(c->sync_timer);
    clients_stop(&c->clients, c->grace_ms, on_clients_stopped, c);
}

void core_stop(struct core *c, uint64_t grace_ms, void (*stopped)(void *arg), void *arg)
{
    c->stopped = stopped;
    c->stopped_arg = arg;
    c->grace_ms = grace_ms;
    c->n_stopping = c->targets.len + 1; /* one for this loop */
    for (size_t i = 0; i < c->targets.len; i++)
        c->targets.items[i]->ops->stop(c->targets.items[i], on_target_stopped, c);
    on_target_stopped(c);
}

void core_free(struct core *c)
{
    for (size_t i = 0; i < c->targets.len; i++)
        c->targets.items[i]->ops->free(c->targets.items[i]);
    VEC_FREE(&c->targets);
    for (size_t i = 0; i < c->pipelines.len; i++)
        job_pipeline_free(c->pipelines.items[i]);
    VEC_FREE(&c->pipelines);
    clients_deinit(&c->clients);
    positions_deinit(&c->positions);
    source_registry_deinit(&c->sources);
    tail_pool_free(c->env.tail_pool);
    loop_timer_free(c->flush_timer);
    loop_timer_free(c->sync_timer);
    mem_free(c->state_dir);
    mem_free(c);
}

bool core_is_ready(const struct core *c)
{
    for (size_t i = 0; i < c->targets.len; i++)
        if (c->targets.items[i]->ops->is_ready(c->targets.items[i]))
            return true;
    return false;
}
