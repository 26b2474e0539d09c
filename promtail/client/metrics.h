/* promtail/client/metrics.h - the counters of a client, under Promtail's names. */
#pragma once
#include "base/str.h"
#include "runtime/metrics.h"

#define DROP_GENERIC       STR("ingester_error")
#define DROP_RATE_LIMITED  STR("rate_limited")
#define DROP_STREAM_LIMIT  STR("stream_limited")
#define DROP_LINE_TOO_LONG STR("line_too_long")

struct client_metrics {
    str host;
    struct metric *encoded_bytes, *sent_bytes, *sent_entries;
};

void client_metrics_init(struct client_metrics *m, str host);
/* `bytes` as Promtail counts them, of a batch those of the request; `lost_bytes` those of lines. */
void client_metrics_dropped(const struct client_metrics *m, str tenant, str reason, size_t entries,
                            size_t bytes, size_t lost_bytes);
void client_metrics_mutated(const struct client_metrics *m, str tenant, str reason, size_t bytes);
void client_metrics_retry(const struct client_metrics *m, str tenant);
void client_metrics_request(const struct client_metrics *m, int status, int64_t took_ns);
