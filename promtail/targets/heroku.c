/* The Heroku drain: the logs of an app as Heroku posts them, on a port of its own. */
#include <stdio.h>

#include "base/clock.h"
#include "promtail/targets/all.h"
#include "promtail/targets/enrich.h"
#include "promtail/targets/heroku_message.h"
#include "promtail/targets/http_target.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

#define COMPONENT    "heroku_drain"
#define TENANT_LABEL STR("__tenant_id__")

/* Each parameter of the request's address is a label; of several with a name all values. */
static void set_params(struct label_list *labels, struct arena *a, const struct http_request *r)
{
    str name, value;
    for (size_t i = 0; i < http_param_count(r); i++) {
        http_param_at(r, i, &name, &value);
        str label = arena_printf(a, "__heroku_drain_param_%.*s", STR_ARG(name));
        str before = label_list_get(labels, label);
        if (before.ptr != NULL)
            value = arena_printf(a, "%.*s,%.*s", STR_ARG(before), STR_ARG(value));
        label_list_set(labels, a, label, arena_str(a, value));
    }
}

/* What the configuration says gives way to what relabelling makes of the message. */
static void set_labels(const struct http_target *t, struct label_list *labels, struct arena *a,
                       const struct http_request *r, const struct heroku_message *m)
{
    str tenant = http_header(r, "X-Scope-OrgID");
    enrich_set(labels, a, STR("__heroku_drain_host"), m->host);
    enrich_set(labels, a, STR("__heroku_drain_app"), m->app);
    enrich_set(labels, a, STR("__heroku_drain_proc"), m->proc);
    enrich_set(labels, a, STR("__heroku_drain_log_id"), m->id);
    set_params(labels, a, r);
    enrich_set(labels, a, TENANT_LABEL, tenant);
    enrich_labels(&t->base.job->relabel, labels, a);
    const struct label_list *own = &t->config->labels;
    for (size_t i = 0; i < own->n; i++)
        if (label_list_get(labels, own->items[i].name).ptr == NULL)
            label_list_set(labels, a, own->items[i].name, own->items[i].value);
    if (tenant.len > 0)
        label_list_set(labels, a, TENANT_LABEL, tenant);
    label_list_sort(labels);
}

static void put(struct http_target *t, const struct http_request *r, const struct heroku_message *m)
{
    static const struct label_list none = {0};
    struct record record;
    arena_reset(&t->arena);
    record_init(&record, &t->arena, &none);
    set_labels(t, &record.labels, &t->arena, r, m);
    record.ts_ns = t->config->use_incoming_timestamp ? m->ts_ns : clock_now_ns();
    record.line = m->text;
    record_sink_put(&t->base.pipeline->sink, &record);
    metric_inc(t->entries);
}

/* What comes before a bad frame is taken, though the request is refused. */
static void take_drain(struct http_target *t, struct http_request *r)
{
    struct error err = {0};
    int rc = 0;
    for (str rest = http_body(r); rc == 0 && rest.len > 0;) {
        struct heroku_message m;
        rc = heroku_message_next(&rest, &m, &err);
        if (rc == 0)
            put(t, r, &m);
    }
    if (rc == 0) {
        http_reply(r, 204, HTTP_TARGET_TEXT, STR(""));
        return;
    }
    char line[ERROR_TEXT_MAX + 2];
    snprintf(line, sizeof line, "%s\n", err.text);
    log_warn(COMPONENT, "failed to read incoming heroku request", LOG_C("err", err.text));
    metric_inc(t->errors);
    http_reply(r, 400, HTTP_TARGET_TEXT, str_c(line));
}

static void on_drain(void *arg, struct http_request *r)
{
    http_target_take(arg, r, take_drain);
}

static bool is_wanted(const struct scrape_config *job)
{
    return job->heroku_drain != NULL;
}

/* Promtail makes names of metrics of it. */
static bool is_metric_name(const char *s)
{
    for (; *s != '\0'; s++)
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
              *s == '_' || *s == ':'))
            return false;
    return true;
}

static int start(const struct target_env *env, const struct scrape_config *job,
                 struct pipeline *pipeline, struct target **ret, struct error *err)
{
    struct http_target *t;
    struct target base = {&target_heroku, job, pipeline};
    if (!is_metric_name(job->job_name))
        return error_set(err, E_INVALID, "invalid prometheus-compatible job name: %s",
                         job->job_name);
    int rc = http_target_start(env, &base, job->heroku_drain, COMPONENT, &t, err);
    if (rc != 0)
        return rc;
    t->entries = metric_single(
        metric_family("promtail_heroku_drain_target_entries_total", METRIC_COUNTER,
                      "Number of successful entries received by the Heroku target", NULL, NULL));
    t->errors = metric_single(
        metric_family("promtail_heroku_drain_target_parsing_errors_total", METRIC_COUNTER,
                      "Number of parsing errors while receiving Heroku messages", NULL, NULL));
    http_target_route(t, "/heroku/api/v1/drain", HTTP_POST, "heroku_api_v1_drain", on_drain);
    *ret = &t->base;
    return 0;
}

const struct target_ops target_heroku = {.kind = "HerokuDrain",
                                         .is_wanted = is_wanted,
                                         .start = start,
                                         .stop = http_target_stop,
                                         .free = http_target_free,
                                         .is_ready = http_target_is_ready,
                                         .each_row = http_target_each_row};
