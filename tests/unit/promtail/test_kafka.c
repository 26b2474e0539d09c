/* The Kafka target against librdkafka's mock cluster: labels, times, and that an offset is
 * committed only once its line was acknowledged. */
#include <criterion/criterion.h>
#include <stdio.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/mem.h"
#include "promtail/config/targets.h"
#include "promtail/positions.h"
#include "promtail/targets/all.h"
#include "runtime/loop.h"
#include "runtime/workers.h"

#define MESSAGES 5

struct world {
    struct pipeline pipeline; /* first: the sink is its first member */
    struct loop *loop;
    struct workers *workers;
    struct source_registry sources;
    struct positions positions;
    struct target_env env;
    struct kafka_config config;
    struct scrape_config job;
    struct target *target;
    struct loop_timer *limit;
    size_t n;
    bool acks; /* what is put counts as acknowledged */
    struct buf seen;
};

static void on_settled(void *arg)
{
    struct world *w = arg;
    target_kafka.free(w->target);
    w->target = NULL;
    loop_timer_free(w->limit);
    loop_stop(w->loop);
}

static void on_stopped(void *arg)
{
    struct world *w = arg;
    target_kafka.settle(w->target, on_settled, w);
}

/* As the core does it: within the loop, so that the handles can close. */
static void finish(void *arg)
{
    struct world *w = arg;
    if (w->target != NULL)
        target_kafka.stop(w->target, on_stopped, w);
}

static void put(struct record_sink *sink, struct record *r)
{
    struct world *w = (struct world *)sink;
    buf_printf(&w->seen, "%.*s@%lld ", STR_ARG(r->line), (long long)r->ts_ns);
    cr_assert(str_eq_c(label_list_get(&r->labels, STR("job")), "k"));
    cr_assert_eq(r->origin.from, (int64_t)w->n);
    if (w->acks) {
        struct source_mark mark = {.pos = r->origin.to};
        source_mark_acked(&w->sources, r->origin.source, 0, &mark);
    }
    if (++w->n == MESSAGES)
        loop_post(w->loop, finish, w);
}

static rd_kafka_t *make_producer(void)
{
    char why[256];
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof why);
    cr_assert_not_null(rk, "%s", why);
    return rk;
}

static void produce(const char *servers)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", servers, why, sizeof why);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    for (int i = 0; i < MESSAGES; i++) {
        char line[8] = {'l', (char)('0' + i), 0};
        rd_kafka_producev(rk, RD_KAFKA_V_TOPIC("logs"), RD_KAFKA_V_PARTITION(0),
                          RD_KAFKA_V_VALUE(line, 2), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_TIMESTAMP(1700000000000 + i), RD_KAFKA_V_END);
    }
    cr_assert_eq(rd_kafka_flush(rk, 10000), 0);
    rd_kafka_destroy(rk);
}

/* The offset the group has committed for partition 0. */
static int64_t committed(const char *servers, const char *group)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", servers, why, sizeof why);
    rd_kafka_conf_set(conf, "group.id", group, why, sizeof why);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "logs", 0);
    cr_assert_eq(rd_kafka_committed(rk, list, 10000), 0);
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
    return offset;
}

/* Consumes all messages; what was seen is in w->seen. */
static void run(struct world *w, const char *servers, const char *group, bool acks)
{
    static const char *topics[] = {"^log.*"};
    static const char *brokers[1];
    struct error err = {0};
    brokers[0] = servers;
    struct arena a;
    arena_init(&a, SIZE_MAX);
    *w = (struct world){.acks = acks};
    w->pipeline.sink.put = put;
    w->loop = loop_new();
    w->workers = workers_new(w->loop, 1, 4);
    strmap_init(&w->positions.values);
    source_registry_init(&w->sources, 1);
    buf_init(&w->seen, 65536);
    w->config = (struct kafka_config){.use_incoming_timestamp = true,
                                      .brokers = {brokers, 1},
                                      .topics = {topics, 1},
                                      .group_id = group,
                                      .version = "",
                                      .assignor = "range",
                                      .auth_type = "none"};
    label_list_set(&w->config.labels, &a, STR("job"), STR("k"));
    w->job = (struct scrape_config){.job_name = "j", .kafka = &w->config};
    w->env = (struct target_env){
        .loop = w->loop, .workers = w->workers, .sources = &w->sources, .positions = &w->positions};
    w->limit = loop_timer_new(w->loop, finish, w);
    loop_timer_start(w->limit, 30000, 0);
    cr_assert_eq(target_kafka.start(&w->env, &w->job, &w->pipeline, &w->target, &err), 0, "%s",
                 err.text);
    loop_run(w->loop);
    arena_deinit(&a);
}

static void end(struct world *w)
{
    workers_free(w->workers);
    loop_free(w->loop);
    source_registry_deinit(&w->sources);
    positions_deinit(&w->positions);
    buf_deinit(&w->seen);
}

Test(promtail_kafka, commits_only_what_was_acknowledged, .timeout = 90)
{
#ifdef __SANITIZE_THREAD__
    fputs("skipped: librdkafka starts threads by thrd_create, which gcc's TSan cannot follow\n",
          stderr);
    return;
#endif
    struct world w;
    rd_kafka_t *owner = make_producer();
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(owner, 1);
    const char *servers = rd_kafka_mock_cluster_bootstraps(cluster);
    rd_kafka_mock_topic_create(cluster, "logs", 1, 1);
    produce(servers);

    run(&w, servers, "g", false);
    cr_assert_eq(w.n, MESSAGES);
    cr_assert_eq(committed(servers, "g"), RD_KAFKA_OFFSET_INVALID, "nothing was acknowledged");
    end(&w);

    run(&w, servers, "h", true);
    cr_assert_eq(w.n, MESSAGES);
    cr_assert_eq(committed(servers, "h"), MESSAGES);
    cr_assert(str_has_prefix(buf_str(&w.seen), STR("l0@1700000000000000000 l1@")));
    end(&w);

    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(owner);
}

Test(promtail_kafka, refuses_settings_that_cannot_work)
{
    struct world w = {0};
    struct error err = {0};
    w.loop = loop_new();
    w.config = (struct kafka_config){.group_id = "g", .assignor = "range", .auth_type = "none"};
    w.job = (struct scrape_config){.job_name = "j", .kafka = &w.config};
    w.env = (struct target_env){.loop = w.loop};
    cr_assert_neq(target_kafka.start(&w.env, &w.job, &w.pipeline, &w.target, &err), 0);
    cr_assert_str_eq(err.text, "error starting kafka target: no Kafka bootstrap brokers defined");
    loop_free(w.loop);
}
