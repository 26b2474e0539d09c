/* The syslog target: RFC 5424 and 3164 over TCP, TLS, UDP or a unix socket. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "promtail/config/targets.h"
#include "promtail/targets/all.h"
#include "promtail/targets/enrich.h"
#include "promtail/targets/listener_target.h"
#include "promtail/targets/syslog_frame.h"
#include "promtail/targets/syslog_parse.h"
#include "promtail/targets/tls.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

#define COMPONENT         "syslog"
#define PRINTED_BYTES_MAX (64u << 20)
#define PEER_BYTES        46
#define HOST_BYTES        256

struct syslog_target {
    struct listener_target base;
    const struct syslog_config *config;
    struct arena arena; /* of one message */
    struct metric *entries, *errors, *empty;
};

struct syslog_peer {
    struct syslog_target *target;
    struct syslog_frame frame;
    char ip[PEER_BYTES], host[HOST_BYTES];
};

/* --- messages --- */

static void set_params(struct label_list *labels, struct arena *a, const struct syslog_message *m)
{
    for (size_t i = 0; i < m->n_params; i++) {
        const struct syslog_param *p = &m->params[i];
        if (p->name.ptr == NULL)
            continue;
        str name =
            arena_printf(a, "__syslog_message_sd_%.*s_%.*s", STR_ARG(p->id), STR_ARG(p->name));
        char *at = (char *)name.ptr; /* our own copy */
        for (size_t j = 0; j < strlen("__syslog_message_sd_") + p->id.len; j++)
            if (at[j] == '@')
                at[j] = '_';
        enrich_set(labels, a, name, p->value);
    }
}

static void set_labels(const struct syslog_peer *peer, const struct syslog_message *m,
                       struct label_list *labels, struct arena *a)
{
    const struct syslog_config *c = peer->target->config;
    for (size_t i = 0; i < c->labels.n; i++)
        enrich_set(labels, a, c->labels.items[i].name, c->labels.items[i].value);
    enrich_set(labels, a, STR("__syslog_connection_ip_address"), str_c(peer->ip));
    enrich_set(labels, a, STR("__syslog_connection_hostname"), str_c(peer->host));
    enrich_set(labels, a, STR("__syslog_message_severity"), str_c(syslog_severity_name(m)));
    enrich_set(labels, a, STR("__syslog_message_facility"), str_c(syslog_facility_name(m)));
    enrich_set(labels, a, STR("__syslog_message_hostname"), m->hostname);
    enrich_set(labels, a, STR("__syslog_message_app_name"), m->app_name);
    enrich_set(labels, a, STR("__syslog_message_proc_id"), m->proc_id);
    enrich_set(labels, a, STR("__syslog_message_msg_id"), m->msg_id);
    if (c->label_structured_data)
        set_params(labels, a, m);
}

static str printed(const struct syslog_message *m, struct arena *a)
{
    struct buf out;
    buf_init(&out, PRINTED_BYTES_MAX);
    syslog_print_5424(m, &out);
    str line = arena_str(a, buf_str(&out));
    buf_deinit(&out);
    return line;
}

static void put(const struct syslog_peer *peer, const struct syslog_message *m, int64_t now_ns)
{
    struct syslog_target *t = peer->target;
    struct record r;
    static const struct label_list none = {0};
    record_init(&r, &t->arena, &none);
    set_labels(peer, m, &r.labels, &t->arena);
    enrich_labels(&t->base.base.job->relabel, &r.labels, &t->arena);
    r.ts_ns = t->config->use_incoming_timestamp && m->has_time ? m->ts_ns : now_ns;
    bool anew = t->config->use_rfc5424_message && t->config->format == SYSLOG_RFC5424;
    r.line = anew ? printed(m, &t->arena) : m->text;
    record_sink_put(&t->base.base.pipeline->sink, &r);
    metric_inc(t->entries);
}

static void count_error(struct syslog_target *t, const char *text)
{
    log_warn(COMPONENT, "error parsing syslog stream", LOG_C("err", text));
    metric_inc(t->errors);
}

static void on_message(void *arg, str bytes)
{
    const struct syslog_peer *peer = arg;
    struct syslog_target *t = peer->target;
    struct syslog_message m;
    struct error err = {0};
    int64_t now_ns = clock_now_ns();
    arena_reset(&t->arena);
    int rc = t->config->format == SYSLOG_RFC3164
                 ? syslog_parse_3164(bytes, now_ns, &t->arena, &m, &err)
                 : syslog_parse_5424(bytes, &t->arena, &m, &err);
    if (rc != 0)
        count_error(t, err.text);
    else if (m.text.ptr == NULL)
        metric_inc(t->empty);
    else
        put(peer, &m, now_ns);
}

/* --- connections --- */

static void init_peer(struct syslog_peer *peer, struct syslog_target *t, const char *ip,
                      const char *host)
{
    peer->target = t;
    snprintf(peer->ip, sizeof peer->ip, "%s", ip);
    snprintf(peer->host, sizeof peer->host, "%s", host);
    syslog_frame_init(&peer->frame, t->config->max_message_length, on_message, peer);
}

static void *on_open(void *arg, const char *ip, const char *host)
{
    struct syslog_peer *peer = mem_zalloc(sizeof *peer);
    init_peer(peer, arg, ip, host);
    return peer;
}

static bool on_data(void *conn, str bytes)
{
    struct syslog_peer *peer = conn;
    struct error err = {0};
    char kind = peer->frame.kind;
    if (syslog_frame_feed(&peer->frame, bytes, &err) == 0)
        return true;
    if (kind == 0 && peer->frame.kind != '0' && peer->frame.kind != '<')
        log_warn(COMPONENT, "error initializing syslog stream", LOG_C("err", err.text));
    else
        count_error(peer->target, err.text);
    buf_reset(&peer->frame.pending);
    return false;
}

static void on_quiet(void *conn)
{
    syslog_frame_quiet(&((struct syslog_peer *)conn)->frame);
}

static void on_close(void *conn, enum listener_end why)
{
    struct syslog_peer *peer = conn;
    struct error err = {0};
    if (syslog_frame_end(&peer->frame, why == LISTENER_TIMEOUT, &err) != 0)
        count_error(peer->target, err.text);
    syslog_frame_deinit(&peer->frame);
    mem_free(peer);
}

/* Each datagram is a stream of its own. */
static void on_datagram(void *arg, const char *ip, const char *host, str bytes)
{
    struct syslog_peer peer = {0};
    struct error err = {0};
    init_peer(&peer, arg, ip, host);
    if (on_data(&peer, bytes) && syslog_frame_end(&peer.frame, false, &err) != 0)
        count_error(arg, err.text);
    syslog_frame_deinit(&peer.frame);
}

static const struct listener_ops ops = {
    on_open, on_data, on_close, on_datagram, listener_target_is_full, on_quiet};

/* --- the target --- */

static bool is_wanted(const struct scrape_config *job)
{
    return job->syslog != NULL;
}

/* Names of peers cost a question to the DNS for each connection: asked only if a rule can see
 * them. */
static bool wants_host(const struct relabel_rules *rules)
{
    for (size_t i = 0; i < rules->n; i++) {
        const struct relabel_rule *rule = &rules->items[i];
        if (rule->action == RELABEL_LABELMAP)
            return true;
        for (size_t j = 0; j < rule->n_source_labels; j++)
            if (str_eq(rule->source_labels[j], STR("__syslog_connection_hostname")))
                return true;
    }
    return false;
}

static void free_target(struct target *base)
{
    struct syslog_target *t = (struct syslog_target *)base;
    arena_deinit(&t->arena);
    mem_free(t);
}

static int start(const struct target_env *env, const struct scrape_config *job,
                 struct pipeline *pipeline, struct target **ret, struct error *err)
{
    struct syslog_target *t = mem_zalloc(sizeof *t);
    t->base.base = (struct target){&target_syslog, job, pipeline};
    t->config = job->syslog;
    t->base.labels = &t->config->labels;
    arena_init(&t->arena, SIZE_MAX);
    t->entries = metric_single(
        metric_family("promtail_syslog_target_entries_total", METRIC_COUNTER,
                      "Total number of successful entries sent to the syslog target", NULL, NULL));
    t->errors = metric_single(metric_family(
        "promtail_syslog_target_parsing_errors_total", METRIC_COUNTER,
        "Total number of parsing errors while receiving syslog messages", NULL, NULL));
    t->empty = metric_single(metric_family("promtail_syslog_empty_messages_total", METRIC_COUNTER,
                                           "Total number of empty messages receiving from syslog",
                                           NULL, NULL));
    const struct syslog_config *c = t->config;
    struct listener_config listen = {
        .address = c->listen_address,
        .protocol = c->protocol,
        .tls = c->protocol != SYSLOG_UDP && tls_is_wanted(&c->tls) ? &c->tls : NULL,
        .idle_timeout_ms = (uint64_t)MAX(c->idle_timeout_ns / NS_PER_MS, 0),
        .datagram_bytes_max = c->max_message_length,
        .wants_host = wants_host(&job->relabel)};
    int rc = listener_target_start(&t->base, env, &listen, &ops, COMPONENT, err);
    if (rc != 0)
        free_target(&t->base.base);
    else
        *ret = &t->base.base;
    return rc;
}

const struct target_ops target_syslog = {.kind = "Syslog",
                                         .is_wanted = is_wanted,
                                         .start = start,
                                         .stop = listener_target_stop,
                                         .free = free_target,
                                         .is_ready = listener_target_is_ready,
                                         .each_row = listener_target_each_row};
