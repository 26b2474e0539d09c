/* promtail/targets/kafka_client.h - a member of a consumer group as librdkafka makes it: Promtail's
 * settings, how it proves who it is, where it logs.
 *
 * librdkafka has threads of its own; the two calls below come from rd_kafka_consumer_poll() and
 * rd_kafka_consumer_close(), on the caller's thread. */
#pragma once
#include <librdkafka/rdkafka.h>

#include "base/status.h"
#include "promtail/config/targets.h"

/* Must outlive the member. */
struct kafka_events {
    const struct kafka_config *config;
    /* RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS or __REVOKE_PARTITIONS: it must assign or, at once or
     * later, unassign. */
    void (*on_rebalance)(void *arg, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *partitions);
    /* The broker has answered a commit; each offset has its own error. */
    void (*on_committed)(void *arg, const rd_kafka_topic_partition_list_t *offsets);
    void *arg;
};

/* E_INVALID, E_IO or E_PARSE if the settings or the certificates they name cannot be used; whether
 * a broker answers is not asked.  Freed with rd_kafka_destroy(). */
int kafka_client_new(struct kafka_events *events, rd_kafka_t **ret, struct error *err);
