/* promtail/targets/kafka_topics.h - which topics there are of those a job wants, asked for every 30
 * seconds as Promtail does.
 *
 * A topic that begins with ^ is a pattern in RE2's syntax.  (librdkafka knows patterns too, but of
 * POSIX, and looks for new topics every five minutes.)  Loop thread only; the question itself is
 * put by a worker, since it waits for the answer. */
#pragma once
#include "base/status.h"
#include "promtail/config/config.h"

struct kafka_topics;
struct loop;
struct workers;
typedef struct rd_kafka_s rd_kafka_t; /* as in <librdkafka/rdkafka.h> */

/* E_INVALID if a topic is empty or a malformed pattern.  `wanted` must outlive it. */
int kafka_topics_new(const struct config_strings *wanted, struct kafka_topics **ret,
                     struct error *err);
/* Asks now and then again.  found() is called whenever the topics have changed, with their names in
 * order, maybe none. */
void kafka_topics_start(struct kafka_topics *t, struct loop *l, struct workers *w, rd_kafka_t *rk,
                        void (*found)(void *arg, char *const *names, size_t n), void *arg);
/* Asks no more; `stopped` is called when no worker uses `rk` any longer, maybe at once. */
void kafka_topics_stop(struct kafka_topics *t, void (*stopped)(void *arg), void *arg);
void kafka_topics_free(struct kafka_topics *t); /* after stopped, or never started; NULL allowed */
