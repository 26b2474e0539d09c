/* promtail/targets/kafka_client.h - a member of a consumer group as librdkafka makes it: Promtail's
 * settings, how it proves who it is, where it logs.
 *
 * librdkafka has threads of its own; the two calls below come from rd_kafka_consumer_poll() and
 * rd_kafka_consumer_close(), on the caller's thread. */
#pragma once
#include "base/status.h"
#include "promtail/config/targets.h"

/* As in <librdkafka/rdkafka.h>. */
typedef struct rd_kafka_s rd_kafka_t;
typedef struct rd_kafka_topic_partition_list_s rd_kafka_topic_partition_list_t;

/* Must outlive the member. */
struct kafka_events {
    const struct kafka_config *config;
    /* Partitions are ours from now on and are to be assigned, or are to be handed over: then they
     * must be unassigned, at once or later. */
    void (*on_rebalance)(void *arg, bool is_ours, rd_kafka_topic_partition_list_t *partitions);
    /* The broker has answered a commit; each offset has its own error. */
    void (*on_committed)(void *arg, const rd_kafka_topic_partition_list_t *offsets);
    void *arg;
};

/* E_INVALID, E_IO or E_PARSE if the settings or the certificates they name cannot be used; whether
 * a broker answers is not asked.  Freed with rd_kafka_destroy(). */
int kafka_client_new(struct kafka_events *events, rd_kafka_t **ret, struct error *err);
