/* The Kafka target: a member of a consumer group.
 *
 * Each partition is a source; its offset is stored for the commit once every client's peer has
 * acknowledged the lines before it, so that what was not pushed is read again by whoever gets the
 * partition.  librdkafka wakes the loop by a descriptor; it has threads of its own, but all calls
 * of ours are on the loop's. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <uv.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "promtail/config/targets.h"
#include "promtail/targets/all.h"
#include "promtail/targets/enrich.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define COMPONENT      "kafka"
#define ROUND_MESSAGES 512 /* in one turn of the loop */
#define RETRY_MS       20
#define TICK_MS        1000 /* events of the group come even without messages */
#define ERROR_BYTES    512

struct partition {
    struct kafka_target *target;
    char *topic;
    int32_t number;
    struct source *source;
    bool is_checked; /* that the source's position can be of this topic */
};

struct kafka_target {
    struct target base;
    const struct target_env *env;
    const struct kafka_config *config;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    int pipe[2];
    uv_poll_t *poll;
    struct loop_timer *timer;
    struct strmap partitions; /* topic:number -> struct partition */
    struct arena arena;       /* of one message */
};

/* --- partitions --- */

/* An offset may be committed when all before it has arrived. */
static void on_acked(void *arg, int64_t pos)
{
    const struct partition *p = arg;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, p->topic, p->number)->offset = pos;
    rd_kafka_offsets_store(p->target->rk, list); /* fails if another member has it now: fine */
    rd_kafka_topic_partition_list_destroy(list);
}

static struct partition *find_partition(struct kafka_target *t, const char *topic, int32_t number,
                                        int64_t offset)
{
    char key[512];
    snprintf(key, sizeof key, "kafka:%s:%s:%s:%d", t->base.job->job_name, t->config->group_id,
             topic, number);
    struct partition *p = strmap_get(&t->partitions, str_c(key));
    if (p != NULL)
        return p;
    p = mem_zalloc(sizeof *p);
    p->target = t;
    p->topic = mem_strdup(topic);
    p->number = number;
    p->source = source_open(t->env->sources, str_c(key), str_c(key), (str){NULL, 0}, offset);
    p->source->on_acked = on_acked;
    p->source->arg = p;
    strmap_put(&t->partitions, str_c(key), p);
    return p;
}

/* A topic that was deleted and made again begins at 0: what we remember is of the old one. */
static void check_position(struct partition *p, const rd_kafka_message_t *m)
{
    int64_t low = 0, high = 0;
    if (p->is_checked)
        return;
    p->is_checked = true;
    const struct source_registry *sources = p->target->env->sources;
    if (rd_kafka_get_watermark_offsets(p->target->rk, p->topic, p->number, &low, &high) == 0 &&
        high >= 0 && source_resume(sources, p->source) > high)
        source_restart(p->target->env->sources, p->source, m->offset);
}

/* --- messages --- */

static void set_labels(struct kafka_target *t, const rd_kafka_message_t *m, const char *topic,
                       struct label_list *labels)
{
    struct arena *a = &t->arena;
    str key = m->key_len > 0 ? str_make(m->key, m->key_len) : STR("none");
    enrich_set(labels, a, STR("__meta_kafka_message_key"), key);
    enrich_set(labels, a, STR("__meta_kafka_topic"), str_c(topic));
    enrich_set(labels, a, STR("__meta_kafka_partition"), arena_printf(a, "%d", m->partition));
    char *member = rd_kafka_memberid(t->rk);
    enrich_set(labels, a, STR("__meta_kafka_member_id"), arena_str(a, str_c(member)));
    rd_kafka_mem_free(t->rk, member);
    enrich_set(labels, a, STR("__meta_kafka_group_id"), str_c(t->config->group_id));
}

static void take_message(struct kafka_target *t, const rd_kafka_message_t *m)
{
    static const struct label_list none = {0};
    const char *topic = rd_kafka_topic_name(m->rkt);
    struct partition *p = find_partition(t, topic, m->partition, m->offset);
    rd_kafka_timestamp_type_t type;
    int64_t ts_ms = rd_kafka_message_timestamp(m, &type);
    struct record r;
    check_position(p, m);
    arena_reset(&t->arena);
    record_init(&r, &t->arena, &none);
    set_labels(t, m, topic, &r.labels);
    bool is_kept = enrich_labels(&t->base.job->relabel, &r.labels, &t->arena);
    for (size_t i = 0; i < t->config->labels.n; i++)
        enrich_set(&r.labels, &t->arena, t->config->labels.items[i].name,
                   t->config->labels.items[i].value);
    label_list_sort(&r.labels);
    bool incoming = t->config->use_incoming_timestamp && type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    r.ts_ns = incoming ? ts_ms * NS_PER_MS : clock_now_ns();
    r.line = str_make(m->len > 0 ? m->payload : "", m->len);
    r.origin = (struct origin){p->source, m->offset, m->offset + 1};
    if (is_kept || t->base.job->relabel.n == 0)
        record_sink_put(&t->base.pipeline->sink, &r);
    source_advance(p->source, m->offset + 1);
}

static void on_round(void *arg)
{
    struct kafka_target *t = arg;
    loop_timer_start(t->timer, TICK_MS, 0);
    for (int i = 0; i < ROUND_MESSAGES; i++) {
        if (record_sink_is_full(&t->base.pipeline->sink)) {
            loop_timer_start(t->timer, RETRY_MS, 0);
            return;
        }
        rd_kafka_message_t *m = rd_kafka_consumer_poll(t->rk, 0);
        if (m == NULL)
            return;
        if (m->err == 0)
            take_message(t, m);
        else
            log_warn(COMPONENT, "error from the cluster", LOG_C("err", rd_kafka_message_errstr(m)));
        rd_kafka_message_destroy(m);
    }
    loop_timer_start(t->timer, 0, 0); /* more is there: after the others' turn */
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
    char bytes[64];
    struct kafka_target *t = poll->data;
    (void)status, (void)events;
    if (t == NULL)
        return;
    while (read(t->pipe[0], bytes, sizeof bytes) > 0)
        ;
    on_round(t);
}

/* --- start --- */

struct setting {
    const char *name, *value;
};

static int apply(rd_kafka_conf_t *conf, const struct setting *settings, struct error *err)
{
    char why[ERROR_BYTES];
    for (; settings->name != NULL; settings++)
        if (settings->value != NULL && settings->value[0] != '\0' &&
            rd_kafka_conf_set(conf, settings->name, settings->value, why, sizeof why) !=
                RD_KAFKA_CONF_OK)
            return error_set(err, E_INVALID, "kafka: %s", why);
    return 0;
}

static int set_tls(rd_kafka_conf_t *conf, const struct tls_config *c, struct error *err)
{
    const struct setting settings[] = {
        {"ssl.ca.location", c->ca_file},
        {"ssl.certificate.location", c->cert_file},
        {"ssl.key.location", c->key_file},
        {"ssl.ca.pem", c->ca},
        {"ssl.certificate.pem", c->cert},
        {"ssl.key.pem", c->key},
        {"enable.ssl.certificate.verification", c->insecure_skip_verify ? "false" : "true"},
        {0}};
    return apply(conf, settings, err);
}

static int set_auth(rd_kafka_conf_t *conf, const struct kafka_config *c, struct error *err)
{
    bool is_sasl = strcmp(c->auth_type, "sasl") == 0, is_ssl = strcmp(c->auth_type, "ssl") == 0;
    if (!is_sasl && !is_ssl) {
        if (c->auth_type[0] != '\0' && strcmp(c->auth_type, "none") != 0)
            return error_set(err, E_INVALID, "unsupported authentication type %s", c->auth_type);
        return 0;
    }
    bool tls = is_ssl || c->sasl.use_tls;
    const char *protocol = !is_sasl ? "ssl" : tls ? "sasl_ssl" : "sasl_plaintext";
    const struct setting settings[] = {{"security.protocol", protocol},
                                       {"sasl.mechanisms", is_sasl ? c->sasl.mechanism : NULL},
                                       {"sasl.username", is_sasl ? c->sasl.user : NULL},
                                       {"sasl.password", is_sasl ? c->sasl.password : NULL},
                                       {0}};
    int rc = apply(conf, settings, err);
    return rc == 0 && tls ? set_tls(conf, is_sasl ? &c->sasl.tls : &c->tls, err) : rc;
}

static str join(const struct config_strings *s, struct arena *a)
{
    str all = STR_EMPTY;
    for (size_t i = 0; i < s->n; i++)
        all = arena_printf(a, "%.*s%s%s", STR_ARG(all), i > 0 ? "," : "", s->items[i]);
    return all;
}

static int make_consumer(struct kafka_target *t, struct error *err)
{
    const struct kafka_config *c = t->config;
    char why[ERROR_BYTES];
    bool is_sticky = strcmp(c->assignor, "sticky") == 0;
    const struct setting settings[] = {
        {"bootstrap.servers", arena_c(&t->arena, join(&c->brokers, &t->arena))},
        {"group.id", c->group_id},
        {"client.id", "promtail"},
        {"auto.offset.reset", "earliest"},
        {"enable.auto.offset.store", "false"}, /* only what was acknowledged: on_acked */
        {"partition.assignment.strategy", is_sticky ? "cooperative-sticky" : c->assignor},
        {0}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int rc = apply(conf, settings, err);
    if (rc == 0)
        rc = set_auth(conf, c, err);
    if (rc == 0) {
        t->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
        if (t->rk == NULL)
            rc = error_set(err, E_INVALID, "kafka: %s", why);
    }
    if (rc != 0)
        rd_kafka_conf_destroy(conf);
    return rc;
}

static int subscribe(struct kafka_target *t, struct error *err)
{
    rd_kafka_topic_partition_list_t *topics =
        rd_kafka_topic_partition_list_new((int)t->config->topics.n);
    for (size_t i = 0; i < t->config->topics.n; i++)
        rd_kafka_topic_partition_list_add(topics, t->config->topics.items[i],
                                          RD_KAFKA_PARTITION_UA);
    rd_kafka_poll_set_consumer(t->rk);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(t->rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return code != 0 ? error_set(err, E_INVALID, "kafka: %s", rd_kafka_err2str(code)) : 0;
}

static int join_loop(struct kafka_target *t, struct error *err)
{
    if (pipe2(t->pipe, O_NONBLOCK | O_CLOEXEC) != 0)
        return error_set(err, E_IO, "kafka: no pipe");
    t->queue = rd_kafka_queue_get_consumer(t->rk);
    rd_kafka_queue_io_event_enable(t->queue, t->pipe[1], "1", 1);
    t->poll = mem_zalloc(sizeof *t->poll);
    uv_poll_init(loop_uv(t->env->loop), t->poll, t->pipe[0]);
    t->poll->data = t;
    uv_poll_start(t->poll, UV_READABLE, on_wake);
    loop_timer_start(t->timer, TICK_MS, 0);
    return 0;
}

static bool is_wanted(const struct scrape_config *job)
{
    return job->kafka != NULL;
}

static void on_closed(uv_handle_t *h)
{
    mem_free(h);
}

/* Reads no more; offsets are still stored until the target is freed. */
static void stop_reading(struct kafka_target *t)
{
    loop_timer_stop(t->timer);
    if (t->poll != NULL) {
        t->poll->data = NULL;
        uv_poll_stop(t->poll);
        uv_close((uv_handle_t *)t->poll, on_closed);
    }
    t->poll = NULL;
}

static void free_target(struct target *base)
{
    struct kafka_target *t = (struct kafka_target *)base;
    size_t at = 0;
    void *item;
    stop_reading(t);
    if (t->queue != NULL) {
        rd_kafka_queue_io_event_enable(t->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(t->queue);
    }
    if (t->rk != NULL) {
        rd_kafka_consumer_close(t->rk); /* commits what was stored */
        rd_kafka_destroy(t->rk);
    }
    while (strmap_next(&t->partitions, &at, NULL, &item)) {
        struct partition *p = item;
        p->source->on_acked = NULL;
        source_unref(p->source);
        mem_free(p->topic);
        mem_free(p);
    }
    strmap_deinit(&t->partitions);
    for (int i = 0; i < 2; i++)
        if (t->pipe[i] >= 0)
            close(t->pipe[i]);
    loop_timer_free(t->timer);
    arena_deinit(&t->arena);
    mem_free(t);
}

static int check(const struct kafka_config *c, struct error *err)
{
    if (c->brokers.n == 0)
        return error_set(err, E_INVALID, "no Kafka bootstrap brokers defined");
    if (c->topics.n == 0)
        return error_set(err, E_INVALID, "no topics given to be consumed");
    return 0;
}

static int start(const struct target_env *env, const struct scrape_config *job,
                 struct pipeline *pipeline, struct target **ret, struct error *err)
{
    struct kafka_target *t = mem_zalloc(sizeof *t);
    t->base = (struct target){&target_kafka, job, pipeline};
    t->env = env;
    t->config = job->kafka;
    t->pipe[0] = t->pipe[1] = -1;
    arena_init(&t->arena, SIZE_MAX);
    strmap_init(&t->partitions);
    t->timer = loop_timer_new(env->loop, on_round, t);
    int rc = check(t->config, err);
    if (rc == 0)
        rc = make_consumer(t, err);
    if (rc == 0)
        rc = subscribe(t, err);
    if (rc == 0)
        rc = join_loop(t, err);
    if (rc != 0) {
        error_prefix(err, "error starting kafka target: ");
        free_target(&t->base);
        return rc;
    }
    *ret = &t->base;
    return 0;
}

static void stop(struct target *base, void (*stopped)(void *arg), void *arg)
{
    stop_reading((struct kafka_target *)base);
    stopped(arg);
}

static bool is_ready(const struct target *base)
{
    return ((const struct kafka_target *)base)->poll != NULL;
}

static void each_row(const struct target *base,
                     void (*row)(void *arg, const struct target_row *row), void *arg)
{
    const struct kafka_target *t = (const struct kafka_target *)base;
    size_t at = 0;
    str key;
    void *item;
    while (strmap_next(&t->partitions, &at, &key, &item))
        row(arg, &(struct target_row){NULL, &t->config->labels, key, true});
}

const struct target_ops target_kafka = {.kind = "Kafka",
                                        .is_wanted = is_wanted,
                                        .start = start,
                                        .stop = stop,
                                        .free = free_target,
                                        .is_ready = is_ready,
                                        .each_row = each_row};
