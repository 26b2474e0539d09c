/* The Kafka target: a member of a consumer group.
 *
 * Each partition is a source; its offset is stored for the commit once every client's peer has
 * acknowledged the lines before it, so that what was not pushed is read again by whoever gets the
 * partition.  Before a partition is handed over, what was read of it has some time to arrive.
 *
 * librdkafka wakes the loop by a descriptor; it has threads of its own, but all calls of ours are
 * on the loop's, save the question for topics. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "promtail/positions.h"
#include "promtail/targets/all.h"
#include "promtail/targets/enrich.h"
#include "promtail/targets/kafka_client.h"
#include "promtail/targets/kafka_topics.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define COMPONENT      "kafka"
#define ROUND_MESSAGES 512 /* in one turn of the loop */
#define RETRY_MS       20
#define TICK_MS        1000           /* events of the group come even without messages */
#define PATIENCE_NS    NS_PER_S       /* of a full pipeline, until partitions are paused */
#define HANDOVER_NS    (5 * NS_PER_S) /* for what was read to be acknowledged */
#define CLOSE_NS       (12 * NS_PER_S)
#define KEY_BYTES      1024
#define NOWHERE        (-1)

struct partition {
    struct kafka_target *target;
    char *key, *topic;
    int32_t number;
    struct source *source;
    int64_t next;      /* the offset after the last message; NOWHERE since it was assigned */
    int64_t committed; /* as the broker has confirmed; kept in the positions file too */
    bool is_anew;      /* read again from below: what is acknowledged beyond is of the old log */
    bool has_no_labels;
};

struct kafka_target {
    struct target base;
    const struct target_env *env;
    const struct kafka_config *config;
    const char *group;
    struct kafka_events events;
    struct kafka_topics *topics;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    int pipe[2];
    struct loop_watch *watch;
    struct loop_timer *timer;
    struct strmap partitions; /* topic:number -> struct partition */
    char *member;             /* our name in the group; NULL before the first assignment */
    rd_kafka_topic_partition_list_t *leaving; /* revoked, not handed over yet; NULL: none */
    int64_t leaving_until_ns, close_until_ns, full_since_ns; /* monotonic; 0: not full */
    bool is_paused, is_closing;
    void (*settled)(void *arg);
    void *settled_arg;
    struct arena arena; /* of one message */
};

/* --- partitions --- */

static void store_offset(struct partition *p, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, p->topic, p->number)->offset = offset;
    rd_kafka_offsets_store(p->target->rk, list); /* fails if another member has it now: fine */
    rd_kafka_topic_partition_list_destroy(list);
}

/* An offset may be committed when all before it has arrived. */
static void on_acked(void *arg, int64_t pos)
{
    struct partition *p = arg;
    if (!p->is_anew || pos <= p->source->read_to)
        store_offset(p, pos);
}

static str partition_key(const struct kafka_target *t, const char *topic, int32_t number,
                         char *room)
{
    snprintf(room, KEY_BYTES, "kafka:%s:%s:%s:%d", t->base.job->job_name, t->group, topic, number);
    return str_c(room);
}

/* In the positions file; as cursor-... it is left alone there. */
static str position_name(const struct partition *p, char *room)
{
    snprintf(room, KEY_BYTES + 16, "cursor-%s", p->key);
    return str_c(room);
}

static struct partition *find_partition(struct kafka_target *t, const char *topic, int32_t number,
                                        int64_t offset)
{
    char room[KEY_BYTES], name[KEY_BYTES + 16];
    str key = partition_key(t, topic, number, room);
    struct partition *p = strmap_get(&t->partitions, key);
    if (p != NULL)
        return p;
    p = mem_zalloc(sizeof *p);
    p->target = t;
    p->key = str_dup_c(key);
    p->topic = mem_strdup(topic);
    p->number = number;
    p->next = p->committed = NOWHERE;
    positions_get_offset(t->env->positions, position_name(p, name), &p->committed);
    p->source = source_open(t->env->sources, key, key, (str){NULL, 0}, offset);
    p->source->on_acked = on_acked;
    p->source->arg = p;
    strmap_put(&t->partitions, key, p);
    return p;
}

static void set_committed(struct partition *p, int64_t offset)
{
    char name[KEY_BYTES + 16];
    p->committed = offset;
    positions_set_offset(p->target->env->positions, position_name(p, name), offset);
}

/* What the journal remembers holds as long as the log and the group's offset in it are those it was
 * written with.  Neither ever goes back by itself: if one does, the topic was deleted and made
 * again, or somebody has set the offset in order to have messages read once more. */
static void check_position(struct partition *p, int64_t offset)
{
    struct source_registry *sources = p->target->env->sources;
    int64_t low = 0, high = 0;
    bool is_first = p->next == NOWHERE;
    bool went_back = offset < (is_first ? p->committed : p->next);
    if (is_first && !went_back &&
        rd_kafka_get_watermark_offsets(p->target->rk, p->topic, p->number, &low, &high) == 0 &&
        high >= 0)
        went_back = source_resume(sources, p->source) > high;
    if (went_back) {
        log_warn(COMPONENT, "offset went back: reading again", LOG_C("topic", p->topic),
                 LOG_I("partition", p->number), LOG_I("offset", offset));
        source_restart(sources, p->source, offset);
        p->is_anew = true;
        set_committed(p, offset);
    } else if (is_first && source_acked(sources, p->source) > offset) {
        store_offset(p, source_acked(sources, p->source)); /* killed before the commit */
    }
    p->next = offset + 1;
}

static void on_committed(void *arg, const rd_kafka_topic_partition_list_t *offsets)
{
    struct kafka_target *t = arg;
    char room[KEY_BYTES];
    for (int i = 0; i < offsets->cnt; i++) {
        const rd_kafka_topic_partition_t *o = &offsets->elems[i];
        struct partition *p =
            strmap_get(&t->partitions, partition_key(t, o->topic, o->partition, room));
        if (o->err == 0 && o->offset >= 0 && p != NULL)
            set_committed(p, o->offset);
        else if (o->err != 0)
            log_warn(COMPONENT, "offset is not committed yet", LOG_C("topic", o->topic),
                     LOG_I("partition", o->partition), LOG_C("err", rd_kafka_err2str(o->err)));
    }
}

/* --- the group --- */

static void log_error_of(const char *what, rd_kafka_error_t *error)
{
    if (error != NULL)
        log_warn(COMPONENT, what, LOG_C("err", rd_kafka_error_string(error)));
    rd_kafka_error_destroy(error);
}

static bool is_cooperative(const struct kafka_target *t)
{
    const char *protocol = rd_kafka_rebalance_protocol(t->rk);
    return protocol != NULL && strcmp(protocol, "COOPERATIVE") == 0;
}

static void assign(struct kafka_target *t, const rd_kafka_topic_partition_list_t *partitions)
{
    char room[KEY_BYTES];
    for (int i = 0; i < partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &partitions->elems[i];
        struct partition *p =
            strmap_get(&t->partitions, partition_key(t, at->topic, at->partition, room));
        if (p != NULL)
            p->next = NOWHERE;
        log_info(COMPONENT, "consuming topic", LOG_C("topic", at->topic),
                 LOG_I("partition", at->partition));
    }
    if (is_cooperative(t))
        log_error_of("cannot assign", rd_kafka_incremental_assign(t->rk, partitions));
    else
        rd_kafka_assign(t->rk, partitions);
    t->is_paused = false;
    rd_kafka_mem_free(t->rk, t->member);
    t->member = rd_kafka_memberid(t->rk);
}

static void unassign(struct kafka_target *t, const rd_kafka_topic_partition_list_t *partitions)
{
    if (is_cooperative(t)) /* commits what was stored */
        log_error_of("cannot unassign", rd_kafka_incremental_unassign(t->rk, partitions));
    else
        rd_kafka_assign(t->rk, NULL);
}

/* True if all that was read of these partitions has arrived. */
static bool is_settled(struct kafka_target *t, const rd_kafka_topic_partition_list_t *partitions)
{
    char room[KEY_BYTES];
    for (int i = 0; i < partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &partitions->elems[i];
        const struct partition *p =
            strmap_get(&t->partitions, partition_key(t, at->topic, at->partition, room));
        if (p != NULL && source_acked(t->env->sources, p->source) < p->source->read_to)
            return false;
    }
    return true;
}

static void hand_over(struct kafka_target *t)
{
    unassign(t, t->leaving);
    rd_kafka_topic_partition_list_destroy(t->leaving);
    t->leaving = NULL;
}

static void on_rebalance(void *arg, bool is_ours, rd_kafka_topic_partition_list_t *partitions)
{
    struct kafka_target *t = arg;
    if (is_ours) {
        assign(t, partitions);
        return;
    }
    bool is_lost = rd_kafka_assignment_lost(t->rk); /* another member may have them already */
    if (is_lost)
        log_warn(COMPONENT, "partitions were taken away: lines may come twice");
    if (is_lost || t->is_closing || is_settled(t, partitions)) {
        unassign(t, partitions);
        return;
    }
    rd_kafka_pause_partitions(t->rk, partitions);
    t->leaving = rd_kafka_topic_partition_list_copy(partitions);
    t->leaving_until_ns = clock_mono_ns() + HANDOVER_NS;
}

static void serve_handover(struct kafka_target *t)
{
    if (t->leaving == NULL)
        return;
    bool is_late = clock_mono_ns() > t->leaving_until_ns;
    if (is_late)
        log_warn(COMPONENT, "partitions are handed over though not all has arrived: lines may come "
                            "twice");
    if (is_late || rd_kafka_assignment_lost(t->rk) || is_settled(t, t->leaving))
        hand_over(t);
}

static void pause_all(struct kafka_target *t, bool is_paused)
{
    rd_kafka_topic_partition_list_t *all = NULL;
    if (t->is_paused == is_paused || rd_kafka_assignment(t->rk, &all) != 0)
        return;
    if (is_paused)
        rd_kafka_pause_partitions(t->rk, all);
    else
        rd_kafka_resume_partitions(t->rk, all);
    t->is_paused = is_paused;
    rd_kafka_topic_partition_list_destroy(all);
}

/* True if a message may be asked for.  While the pipeline is full for long, partitions are paused
 * and librdkafka is asked nonetheless: the group must not wait for us. */
static bool may_poll(struct kafka_target *t)
{
    int64_t now_ns = clock_mono_ns();
    if (!record_sink_is_full(&t->base.pipeline->sink)) {
        t->full_since_ns = 0;
        if (t->leaving == NULL)
            pause_all(t, false);
        return true;
    }
    if (t->full_since_ns == 0)
        t->full_since_ns = now_ns;
    if (now_ns - t->full_since_ns > PATIENCE_NS)
        pause_all(t, true);
    return t->is_paused;
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
    enrich_set(labels, a, STR("__meta_kafka_member_id"), str_c(t->member != NULL ? t->member : ""));
    enrich_set(labels, a, STR("__meta_kafka_group_id"), str_c(t->group));
    for (size_t i = 0; i < t->config->labels.n; i++)
        enrich_set(labels, a, t->config->labels.items[i].name, t->config->labels.items[i].value);
}

static void take_message(struct kafka_target *t, const rd_kafka_message_t *m)
{
    static const struct label_list none = {0};
    const char *topic = rd_kafka_topic_name(m->rkt);
    struct partition *p = find_partition(t, topic, m->partition, m->offset);
    rd_kafka_timestamp_type_t type;
    int64_t ts_ms = rd_kafka_message_timestamp(m, &type);
    struct record r;
    check_position(p, m->offset);
    arena_reset(&t->arena);
    record_init(&r, &t->arena, &none);
    set_labels(t, m, topic, &r.labels);
    enrich_labels(&t->base.job->relabel, &r.labels, &t->arena);
    bool incoming = t->config->use_incoming_timestamp && type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    r.ts_ns = incoming ? ts_ms * NS_PER_MS : clock_now_ns();
    r.line = str_make(m->len > 0 ? m->payload : "", m->len);
    r.origin = (struct origin){p->source, m->offset, m->offset + 1};
    if (r.labels.n > 0)
        record_sink_put(&t->base.pipeline->sink, &r);
    else if (!p->has_no_labels) {
        p->has_no_labels = true; /* said once */
        log_warn(COMPONENT, "dropping messages without labels", LOG_C("topic", topic),
                 LOG_I("partition", m->partition));
    }
    source_advance(p->source, m->offset + 1);
}

static void serve_close(struct kafka_target *t)
{
    rd_kafka_message_t *m;
    while ((m = rd_kafka_consumer_poll(t->rk, 0)) != NULL)
        rd_kafka_message_destroy(m); /* not taken: not acknowledged either */
    bool is_closed = rd_kafka_consumer_closed(t->rk);
    if (!is_closed && clock_mono_ns() < t->close_until_ns) {
        loop_timer_start(t->timer, RETRY_MS, 0);
        return;
    }
    if (!is_closed)
        log_warn(COMPONENT, "the cluster does not answer: stopped without leaving the group",
                 LOG_C("group", t->group));
    t->settled(t->settled_arg);
}

static void on_round(void *arg)
{
    struct kafka_target *t = arg;
    if (t->is_closing) {
        serve_close(t);
        return;
    }
    loop_timer_start(t->timer, TICK_MS, 0);
    serve_handover(t);
    for (int i = 0; i < ROUND_MESSAGES; i++) {
        rd_kafka_message_t *m = may_poll(t) ? rd_kafka_consumer_poll(t->rk, 0) : NULL;
        if (m == NULL) {
            if (t->full_since_ns != 0 || t->leaving != NULL)
                loop_timer_start(t->timer, RETRY_MS, 0);
            return;
        }
        if (m->err == 0)
            take_message(t, m);
        else
            log_warn(COMPONENT, "error from the cluster", LOG_C("err", rd_kafka_message_errstr(m)));
        rd_kafka_message_destroy(m);
    }
    loop_timer_start(t->timer, 0, 0); /* more is there: after the others' turn */
}

static void on_wake(void *arg)
{
    struct kafka_target *t = arg;
    char bytes[64];
    while (read(t->pipe[0], bytes, sizeof bytes) > 0)
        ;
    on_round(t);
}

/* --- life --- */

static void on_topics(void *arg, char *const *names, size_t n)
{
    struct kafka_target *t = arg;
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new((int)n);
    for (size_t i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(topics, names[i], RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code =
        n > 0 ? rd_kafka_subscribe(t->rk, topics) : rd_kafka_unsubscribe(t->rk);
    if (code != 0)
        log_error(COMPONENT, "cannot subscribe", LOG_C("err", rd_kafka_err2str(code)));
    rd_kafka_topic_partition_list_destroy(topics);
}

static int join_loop(struct kafka_target *t, struct error *err)
{
    rd_kafka_poll_set_consumer(t->rk);
    t->queue = rd_kafka_queue_get_consumer(t->rk);
    if (pipe2(t->pipe, O_NONBLOCK | O_CLOEXEC) != 0)
        return error_set(err, E_IO, "kafka: no pipe");
    rd_kafka_queue_io_event_enable(t->queue, t->pipe[1], "1", 1);
    t->watch = loop_watch_new(t->env->loop, t->pipe[0], on_wake, t);
    loop_timer_start(t->timer, TICK_MS, 0);
    return 0;
}

static bool is_wanted(const struct scrape_config *job)
{
    return job->kafka != NULL;
}

/* Reads no more; offsets are still stored until the target is freed. */
static void stop_reading(struct kafka_target *t)
{
    loop_timer_stop(t->timer);
    loop_watch_free(t->watch);
    t->watch = NULL;
}

/* Commits what was stored and leaves the group.  A cluster that does not answer is waited for as
 * long as librdkafka keeps a commit for it: a session's time. */
static void settle(struct target *base, void (*settled)(void *arg), void *arg)
{
    struct kafka_target *t = (struct kafka_target *)base;
    t->is_closing = true;
    t->settled = settled;
    t->settled_arg = arg;
    t->close_until_ns = clock_mono_ns() + CLOSE_NS;
    if (t->leaving != NULL)
        hand_over(t);
    log_error_of("cannot leave the group", rd_kafka_consumer_close_queue(t->rk, t->queue));
    loop_timer_start(t->timer, 0, 0);
}

static void free_partition(struct partition *p)
{
    p->source->on_acked = NULL;
    source_unref(p->source);
    mem_free(p->key);
    mem_free(p->topic);
    mem_free(p);
}

static void free_target(struct target *base)
{
    struct kafka_target *t = (struct kafka_target *)base;
    size_t at = 0;
    void *item;
    stop_reading(t);
    if (t->queue != NULL)
        rd_kafka_queue_io_event_enable(t->queue, -1, NULL, 0);
    if (t->rk != NULL) {
        rd_kafka_mem_free(t->rk, t->member);
        rd_kafka_queue_destroy(t->queue);
        rd_kafka_destroy_flags(t->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
    while (strmap_next(&t->partitions, &at, NULL, &item))
        free_partition(item);
    strmap_deinit(&t->partitions);
    for (int i = 0; i < 2; i++)
        if (t->pipe[i] >= 0)
            close(t->pipe[i]);
    kafka_topics_free(t->topics);
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
    t->group = t->config->group_id[0] != '\0' ? t->config->group_id : "promtail";
    t->events = (struct kafka_events){t->config, on_rebalance, on_committed, t};
    t->pipe[0] = t->pipe[1] = -1;
    arena_init(&t->arena, SIZE_MAX);
    strmap_init(&t->partitions);
    t->timer = loop_timer_new(env->loop, on_round, t);
    int rc = check(t->config, err);
    if (rc == 0)
        rc = kafka_topics_new(&t->config->topics, &t->topics, err);
    if (rc == 0)
        rc = kafka_client_new(&t->events, &t->rk, err);
    if (rc == 0)
        rc = join_loop(t, err);
    if (rc != 0) {
        error_prefix(err, "error starting kafka target: ");
        free_target(&t->base);
        return rc;
    }
    kafka_topics_start(t->topics, env->loop, env->workers, t->rk, on_topics, t);
    *ret = &t->base;
    return 0;
}

static void stop(struct target *base, void (*stopped)(void *arg), void *arg)
{
    struct kafka_target *t = (struct kafka_target *)base;
    stop_reading(t);
    kafka_topics_stop(t->topics, stopped, arg);
}

static bool is_ready(const struct target *base)
{
    return ((const struct kafka_target *)base)->watch != NULL;
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
                                        .settle = settle,
                                        .free = free_target,
                                        .is_ready = is_ready,
                                        .each_row = each_row};
