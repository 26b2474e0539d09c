#include "promtail/loss.h"

#include "base/mem.h"
#include "runtime/metrics.h"

static struct metric_family *lost_bytes(void)
{
    static const char *const names[] = {"host", "reason", NULL};
    return metric_family("promtail_lost_bytes_total", METRIC_COUNTER,
                         "Bytes of lines that were given up, or of files that went before they "
                         "were read.",
                         names, NULL);
}

static struct metric *gone_files(void)
{
    return metric_single(metric_family("promtail_gone_files_total", METRIC_COUNTER,
                                       "Files that were gone after a restart, with how much of "
                                       "them unread nobody knows.",
                                       NULL, NULL));
}

static struct metric *damaged_bytes(void)
{
    return metric_single(metric_family("promtail_journal_damaged_bytes_total", METRIC_COUNTER,
                                       "Bytes of clients' journals that were damaged or stood "
                                       "behind what was, and were not used.",
                                       NULL, NULL));
}

void loss_count(str host, str reason, size_t bytes)
{
    metric_add(metric_with2(lost_bytes(), host, reason), (double)bytes);
}

void loss_count_file(void)
{
    metric_inc(gone_files());
}

void loss_count_damage(size_t bytes)
{
    metric_add(damaged_bytes(), (double)bytes);
}

void loss_init(void)
{
    static const str reasons[] = {LOSS_TRUNCATED, LOSS_GONE, LOSS_UNREADABLE};
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        loss_count(STR_EMPTY, reasons[i], 0);
    metric_add(gone_files(), 0);
    loss_count_damage(0);
}
