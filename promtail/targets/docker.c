/* The docker target: logs of the containers that docker_sd_configs finds, through the daemon.
 *
 *   provider -> group -> relabel -> container -> inspect (has it a terminal?) -> follow its logs
 *
 * Where each container was is kept for stdout and stderr apart, in ns of the daemon's time: the
 * daemon takes the times of the two before it puts their lines in order, so only within one they
 * rise.  As Promtail does, the positions file has whole seconds under cursor-<id>.
 *
 * A container that discovery does not name any more is followed until the daemon has no more of it.
 */
#include <stdio.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "promtail/config/targets.h"
#include "promtail/discovery/discovery.h"
#include "promtail/discovery/docker_api.h"
#include "promtail/discovery/http.h"
#include "promtail/positions.h"
#include "promtail/targets/all.h"
#include "promtail/targets/docker_stream.h"
#include "promtail/targets/enrich.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

#define COMPONENT "docker"
#define ID_LABEL  "__meta_docker_container_id"
#define RETRY_MS  2000
#define ROOM_MS   20 /* between looks whether there is room again */
/* By how much a line may come after one of the other stream that has a later time. */
#define CROSSING_NS    (NS_PER_S / 2)
#define PARSE_ERROR    "malformed log stream"
#define CONTAINERS_MAX 10000
#define TIME_BYTES     40

/* A daemon: one for each element of docker_sd_configs. */
struct docker_daemon {
    struct docker_target *target;
    struct docker_host host;
    struct sd_http http;
    struct provider *provider;
};

/* stdout or stderr of a container. */
struct container_log {
    struct container *container;
    struct source *source;
    int64_t next_ns;  /* position: all before was read */
    int64_t known_ns; /* lines before it come again */
};

struct container {
    struct docker_target *target;
    struct docker_daemon *daemon;
    char *id;
    struct arena arena;
    struct label_list discovered;
    struct container_log logs[2];
    struct docker_stream stream;
    bool is_following;
    bool is_paused; /* there is no room for lines */
    bool is_gone;   /* discovery does not name it any more */
    bool is_read;   /* to the end, since the start of which... */
    char started[TIME_BYTES];
    struct http_handle *request;
    struct loop_timer *timer;
    unsigned round;
};

struct docker_target {
    struct target base;
    const struct target_env *env;
    struct docker_daemon *daemons;
    size_t n_daemons;
    struct strmap containers; /* id -> struct container */
    struct arena arena;       /* of one line */
    struct metric *entries, *errors;
    unsigned round;
};

/* --- lines --- */

static void advance(struct container_log *log, int64_t next_ns)
{
    log->next_ns = next_ns;
    source_advance(log->source, next_ns);
}

static void put(struct container_log *log, bool is_stdout, int64_t ts_ns, str line)
{
    struct container *c = log->container;
    struct docker_target *t = c->target;
    struct record r;
    int64_t at = MAX(ts_ns, log->next_ns); /* rises though the daemon's clock was set back */
    arena_reset(&t->arena);
    record_init(&r, &t->arena, &c->discovered);
    enrich_set(&r.labels, &t->arena, STR("__meta_docker_container_log_stream"),
               is_stdout ? STR("stdout") : STR("stderr"));
    enrich_labels(&t->base.job->relabel, &r.labels, &t->arena);
    r.ts_ns = ts_ns;
    r.line = line;
    r.origin = (struct origin){log->source, at, at + 1};
    record_sink_put(&t->base.pipeline->sink, &r);
    advance(log, at + 1);
    metric_inc(t->entries);
}

static void on_line(void *arg, int stream, int64_t ts_ns, str line)
{
    struct container *c = arg;
    struct container_log *log = &c->logs[stream], *other = &c->logs[!stream];
    /* A stream that says nothing comes along, else all would be read again for its sake. */
    if (other->next_ns < ts_ns - 2 * CROSSING_NS)
        advance(other, ts_ns - CROSSING_NS);
    if (ts_ns < log->known_ns)
        return;
    log->known_ns = 0;
    put(log, stream == 0, ts_ns, line);
}

static void on_acked(void *arg, int64_t pos)
{
    (void)pos;
    const struct container *c = ((struct container_log *)arg)->container;
    const struct target_env *env = c->target->env;
    int64_t first = source_acked(env->sources, c->logs[0].source);
    char name[160];
    snprintf(name, sizeof name, "cursor-%s", c->id);
    positions_set_offset(env->positions, str_c(name),
                         MIN(first, source_acked(env->sources, c->logs[1].source)) / NS_PER_S);
}

/* --- requests --- */

static void again_later(struct container *c)
{
    c->request = NULL;
    if (c->is_following)
        docker_stream_deinit(&c->stream);
    c->is_following = false;
    c->is_paused = false;
    loop_timer_start(c->timer, RETRY_MS, 0);
}

static void on_end(void *arg, int code, int status, str body)
{
    struct container *c = arg;
    c->is_read = code == 0 && status == 200;
    if (!c->is_read)
        log_warn(COMPONENT, "could not transfer logs", LOG_C("container", c->id),
                 LOG_I("status", status), LOG_S("err", str_sub(body, 0, 200)));
    again_later(c); /* it may be started anew */
}

static bool on_data(void *arg, str piece)
{
    struct container *c = arg;
    if (docker_stream_feed(&c->stream, piece) != 0) {
        metric_inc(c->target->errors);
        log_error(COMPONENT, PARSE_ERROR, LOG_C("container", c->id));
        return false;
    }
    if (record_sink_is_full(&c->target->base.pipeline->sink)) {
        c->is_paused = true;
        http_handle_pause(c->request);
        loop_timer_start(c->timer, ROOM_MS, 0);
    }
    return true;
}

static void follow(struct container *c, bool is_tty)
{
    char url[1024];
    int64_t since = MIN(c->logs[0].next_ns, c->logs[1].next_ns);
    for (size_t i = 0; i < ARRAY_LEN(c->logs); i++)
        c->logs[i].known_ns = c->logs[i].next_ns;
    snprintf(url, sizeof url,
             "%s/containers/%s/logs?stdout=1&stderr=1&follow=1&timestamps=1&since=%lld.%09lld",
             c->daemon->host.url, c->id, (long long)(since / NS_PER_S),
             (long long)(since % NS_PER_S));
    docker_stream_init(&c->stream, is_tty, on_line, c);
    c->is_following = true;
    c->is_read = false;
    c->request = http_client_start(c->daemon->http.client,
                                   &(struct http_call){.method = "GET",
                                                       .url = url,
                                                       .response_bytes_max = SIZE_MAX,
                                                       .on_data = on_data,
                                                       .done = on_end,
                                                       .arg = c});
}

static void remove_container(struct container *c);

static void on_inspected(struct container *c, const json_t *info)
{
    const json_t *state = json_object_get(info, "State");
    const char *started = json_string_value(json_object_get(state, "StartedAt"));
    bool is_tty = json_is_true(json_object_get(json_object_get(info, "Config"), "Tty"));
    bool is_new = started == NULL || strcmp(started, c->started) != 0;
    snprintf(c->started, sizeof c->started, "%s", started != NULL ? started : "");
    if (is_new || !c->is_read || json_is_true(json_object_get(state, "Running")))
        follow(c, is_tty);
    else if (c->is_gone)
        remove_container(c);
    else
        again_later(c);
}

static void on_inspect(void *arg, int code, int status, str body)
{
    struct container *c = arg;
    json_t *info = code == 0 && status == 200 ? json_loadb(body.ptr, body.len, 0, NULL) : NULL;
    c->request = NULL;
    if (info != NULL)
        on_inspected(c, info);
    else if (c->is_gone && status == 404)
        remove_container(c);
    else
        again_later(c);
    json_decref(info);
}

static void inspect(struct container *c)
{
    char url[1024];
    snprintf(url, sizeof url, "%s/containers/%s/json", c->daemon->host.url, c->id);
    c->request = http_client_start(
        c->daemon->http.client,
        &(struct http_call){.method = "GET", .url = url, .done = on_inspect, .arg = c});
}

static void on_timer(void *arg)
{
    struct container *c = arg;
    if (!c->is_paused) {
        inspect(c);
        return;
    }
    if (record_sink_is_full(&c->target->base.pipeline->sink)) {
        loop_timer_start(c->timer, ROOM_MS, 0);
        return;
    }
    c->is_paused = false;
    http_handle_resume(c->request);
}

/* --- containers --- */

static bool is_plain_id(str id)
{
    for (size_t i = 0; i < id.len; i++)
        if (!((id.ptr[i] >= '0' && id.ptr[i] <= '9') || (id.ptr[i] >= 'a' && id.ptr[i] <= 'z')))
            return false;
    return id.len > 0 && id.len <= 128;
}

static void open_source(struct container *c, struct container_log *log, const char *stream)
{
    struct target_env env = *c->target->env;
    char key[192], name[160];
    int64_t seconds = 0;
    snprintf(key, sizeof key, "docker:%s:%s:%s", c->target->base.job->job_name, c->id, stream);
    snprintf(name, sizeof name, "cursor-%s", c->id);
    positions_get_offset(env.positions, str_c(name), &seconds);
    log->container = c;
    log->source =
        source_open(env.sources, str_c(key), str_c(key), (str){NULL, 0},
                    seconds > 0 && seconds < INT64_MAX / NS_PER_S ? seconds * NS_PER_S : 0);
    log->source->on_acked = on_acked;
    log->source->arg = log;
    log->next_ns = source_resume(env.sources, log->source);
}

static void add_container(struct docker_daemon *d, str id, const struct label_list *labels)
{
    struct docker_target *t = d->target;
    struct container *c = strmap_get(&t->containers, id);
    if (c == NULL && t->containers.len < CONTAINERS_MAX) {
        c = mem_zalloc(sizeof *c);
        c->target = t;
        c->daemon = d;
        c->id = str_dup_c(id);
        arena_init(&c->arena, SIZE_MAX);
        label_list_copy(&c->discovered, &c->arena, labels);
        c->timer = loop_timer_new(t->env->loop, on_timer, c);
        open_source(c, &c->logs[0], "stdout");
        open_source(c, &c->logs[1], "stderr");
        strmap_put(&t->containers, id, c);
        log_info(COMPONENT, "added Docker target", LOG_S("containerID", id));
        inspect(c);
    }
    if (c == NULL)
        return;
    c->round = t->round;
    c->is_gone = false;
}

static void free_container(struct container *c)
{
    if (c->request != NULL)
        http_handle_cancel(c->request);
    if (c->is_following)
        docker_stream_deinit(&c->stream);
    loop_timer_free(c->timer);
    for (size_t i = 0; i < ARRAY_LEN(c->logs); i++) {
        c->logs[i].source->on_acked = NULL;
        source_unref(c->logs[i].source);
    }
    arena_deinit(&c->arena);
    mem_free(c->id);
    mem_free(c);
}

static void remove_container(struct container *c)
{
    strmap_remove(&c->target->containers, str_c(c->id));
    free_container(c);
}

static void mark_gone(struct docker_daemon *d)
{
    struct docker_target *t = d->target;
    size_t at = 0;
    void *item;
    while (strmap_next(&t->containers, &at, NULL, &item)) {
        struct container *c = item;
        c->is_gone |= c->daemon == d && c->round != t->round;
    }
}

/* The labels of group and target that pass the rules with the log's stream unknown. */
static bool is_wanted_target(const struct docker_target *t, const struct label_list *labels,
                             struct arena *a)
{
    struct label_list copy = {0};
    label_list_copy(&copy, a, labels);
    label_list_sort(&copy);
    return relabel_apply(&t->base.job->relabel, &copy, a) && copy.n > 0;
}

static void on_group(void *arg, struct provider *p, const struct target_group *group)
{
    (void)p;
    struct docker_daemon *d = arg;
    struct arena a;
    arena_init(&a, SIZE_MAX);
    d->target->round++;
    for (size_t i = 0; i < group->n_targets; i++) {
        str id = label_list_get(&group->targets[i], STR(ID_LABEL));
        if (is_plain_id(id) && is_wanted_target(d->target, &group->targets[i], &a))
            add_container(d, id, &group->targets[i]);
    }
    mark_gone(d);
    arena_deinit(&a);
}

/* --- the target --- */

static bool is_wanted(const struct scrape_config *job)
{
    return job->n_docker_sd_configs > 0;
}

static int start_daemon(struct docker_target *t, size_t i, struct error *err)
{
    struct docker_daemon *d = &t->daemons[i];
    const struct docker_sd_config *c = &t->base.job->docker_sd_configs[i];
    struct discovery_sink sink = {.update = on_group, .arg = d};
    d->target = t;
    int rc = docker_host_parse(c->host, &d->host, err);
    if (rc == 0)
        rc = sd_http_start(&d->http, t->env->loop, &c->http,
                           d->host.socket_path[0] != '\0' ? d->host.socket_path : NULL, 0, err);
    if (rc == 0)
        rc = provider_docker.start(t->env->loop, c, &sink, &d->provider, err);
    return rc;
}

static void stop_all(struct docker_target *t)
{
    size_t at = 0;
    void *item;
    for (size_t i = 0; i < t->n_daemons; i++) {
        if (t->daemons[i].provider != NULL)
            provider_docker.stop(t->daemons[i].provider);
        t->daemons[i].provider = NULL;
    }
    while (strmap_next(&t->containers, &at, NULL, &item))
        free_container(item);
    strmap_deinit(&t->containers);
    strmap_init(&t->containers);
    for (size_t i = 0; i < t->n_daemons; i++)
        sd_http_stop(&t->daemons[i].http);
}

static void stop(struct target *base, void (*stopped)(void *arg), void *arg)
{
    stop_all((struct docker_target *)base);
    stopped(arg);
}

static void free_target(struct target *base)
{
    struct docker_target *t = (struct docker_target *)base;
    strmap_deinit(&t->containers);
    arena_deinit(&t->arena);
    mem_free(t->daemons);
    mem_free(t);
}

static int start(const struct target_env *env, const struct scrape_config *job,
                 struct pipeline *pipeline, struct target **ret, struct error *err)
{
    struct docker_target *t = mem_zalloc(sizeof *t);
    t->base = (struct target){&target_docker, job, pipeline};
    t->env = env;
    t->n_daemons = job->n_docker_sd_configs;
    t->daemons = mem_array(t->n_daemons, sizeof *t->daemons);
    arena_init(&t->arena, SIZE_MAX);
    strmap_init(&t->containers);
    t->entries = metric_single(
        metric_family("promtail_docker_target_entries_total", METRIC_COUNTER,
                      "Total number of successful entries sent to the Docker target", NULL, NULL));
    t->errors = metric_single(metric_family(
        "promtail_docker_target_parsing_errors_total", METRIC_COUNTER,
        "Total number of parsing errors while receiving Docker messages", NULL, NULL));
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < t->n_daemons; i++)
        rc = start_daemon(t, i, err);
    if (rc != 0) {
        stop_all(t);
        free_target(&t->base);
        return rc;
    }
    *ret = &t->base;
    return 0;
}

static bool is_ready(const struct target *base)
{
    const struct docker_target *t = (const struct docker_target *)base;
    size_t at = 0;
    void *item;
    while (strmap_next(&t->containers, &at, NULL, &item))
        if (((struct container *)item)->is_following)
            return true;
    return false;
}

static void each_row(const struct target *base,
                     void (*row)(void *arg, const struct target_row *row), void *arg)
{
    const struct docker_target *t = (const struct docker_target *)base;
    size_t at = 0;
    void *item;
    while (strmap_next(&t->containers, &at, NULL, &item)) {
        const struct container *c = item;
        row(arg, &(struct target_row){&c->discovered, NULL, str_c(c->id), c->is_following});
    }
}

const struct target_ops target_docker = {.kind = "Docker",
                                         .is_wanted = is_wanted,
                                         .start = start,
                                         .stop = stop,
                                         .free = free_target,
                                         .is_ready = is_ready,
                                         .each_row = each_row};
