#include "promtail/client/metrics.h"

#include <stdio.h>

#include "base/mem.h"
#include "promtail/loss.h"

static const char *const host_names[] = {"host", NULL};
static const char *const drop_names[] = {"host", "tenant", "reason", NULL};
static const char *const retry_names[] = {"host", "tenant", NULL};
static const char *const request_names[] = {"status_code", "host", NULL};

static struct metric *by_host(const char *name, const char *help, str host)
{
    return metric_with1(metric_family(name, METRIC_COUNTER, help, host_names, NULL), host);
}

void client_metrics_init(struct client_metrics *m, str host)
{
    m->host = host;
    m->encoded_bytes =
        by_host("promtail_encoded_bytes_total", "Number of bytes encoded and ready to send.", host);
    m->sent_bytes = by_host("promtail_sent_bytes_total", "Number of bytes sent.", host);
    m->sent_entries =
        by_host("promtail_sent_entries_total", "Number of log entries sent to the ingester.", host);
    /* They are there from the start: an alert sees the first loss as a rise. */
    const str reasons[] = {DROP_GENERIC, DROP_RATE_LIMITED, DROP_STREAM_LIMIT, DROP_LINE_TOO_LONG};
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        loss_count(host, reasons[i], 0);
}

void client_metrics_dropped(const struct client_metrics *m, str tenant, str reason, size_t entries,
                            size_t bytes, size_t lost_bytes)
{
    struct metric_family *f = metric_family("promtail_dropped_entries_total", METRIC_COUNTER,
                                            "Number of log entries dropped because failed to be "
                                            "sent to the ingester after all retries.",
                                            drop_names, NULL);
    metric_add(metric_with3(f, m->host, tenant, reason), (double)entries);
    f = metric_family(
        "promtail_dropped_bytes_total", METRIC_COUNTER,
        "Number of bytes dropped because failed to be sent to the ingester after all retries.",
        drop_names, NULL);
    metric_add(metric_with3(f, m->host, tenant, reason), (double)bytes);
    loss_count(m->host, reason, lost_bytes);
}

void client_metrics_mutated(const struct client_metrics *m, str tenant, str reason, size_t bytes)
{
    struct metric_family *f =
        metric_family("promtail_mutated_entries_total", METRIC_COUNTER,
                      "The total number of log entries that have been mutated.", drop_names, NULL);
    metric_inc(metric_with3(f, m->host, tenant, reason));
    f = metric_family("promtail_mutated_bytes_total", METRIC_COUNTER,
                      "The total number of bytes that have been mutated.", drop_names, NULL);
    metric_add(metric_with3(f, m->host, tenant, reason), (double)bytes);
}

void client_metrics_retry(const struct client_metrics *m, str tenant)
{
    struct metric_family *f =
        metric_family("promtail_batch_retries_total", METRIC_COUNTER,
                      "Number of times batches has had to be retried.", retry_names, NULL);
    metric_inc(metric_with2(f, m->host, tenant));
}

void client_metrics_request(const struct client_metrics *m, int status, int64_t took_ns)
{
    char code[16];
    snprintf(code, sizeof code, "%d", status);
    struct metric_family *f = metric_family("promtail_request_duration_seconds", METRIC_HISTOGRAM,
                                            "Duration of send requests.", request_names, NULL);
    metric_observe(metric_with2(f, str_c(code), m->host), (double)took_ns / 1e9);
}
