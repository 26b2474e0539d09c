#include "ingester/metrics.h"

#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"

static struct ingester_metrics metrics;

/* Registers loge_<name> and shows it as loki_<name> too. */
#define FAMILY(name, type, help, labels, buckets)                                                  \
    family("loge_" name, "loki_" name, type, help, labels, buckets)

static struct metric_family *family(const char *ours, const char *lokis, enum metric_type type,
                                    const char *help, const char *const *labels,
                                    const double *buckets)
{
    struct metric_family *f = metric_family(ours, type, help, labels, buckets);
    metric_alias(f, lokis);
    return f;
}

#define COUNTER(name, help) metric_single(FAMILY(name, METRIC_COUNTER, help, NULL, NULL))
#define GAUGE(name, help)   metric_single(FAMILY(name, METRIC_GAUGE, help, NULL, NULL))
#define HISTOGRAM(name, help, buckets)                                                             \
    metric_single(FAMILY(name, METRIC_HISTOGRAM, help, NULL, buckets))

static const char *const reason_texts[FLUSH_REASONS] = {
    [FLUSH_FULL] = "full",     [FLUSH_IDLE] = "idle", [FLUSH_MAX_AGE] = "max_age",
    [FLUSH_FORCED] = "forced", [FLUSH_WAL] = "wal",
};

static void register_chunks(struct ingester_metrics *m)
{
    static const double entries[] = {200, 700, 1200, 1700, 2700, 4700, 9700, 20000, 40000, 0};
    static const double sizes[] = {10000,  30000,   100000,  200000, 400000,
                                   800000, 1600000, 3200000, 0};
    static const double tenths[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 0};
    static const double ages[] = {60, 300, 600, 1800, 3600, 7200, 14400, 36000, 57600, 0};
    static const double hours[] = {1, 2, 4, 6, 8, 12, 24, 0};
    static const double ratios[] = {0.75, 2, 4, 6, 8, 10, 12, 14, 16, 18, 0};
    static const double blocks[] = {2, 4, 6, 8, 12, 16, 32, 64, 128, 0};
    m->chunks = GAUGE("ingester_memory_chunks", "Chunks in memory.");
    m->chunks_created = COUNTER("ingester_chunks_created_total", "Chunks begun.");
    m->chunk_entries = HISTOGRAM("ingester_chunk_entries", "Entries of flushed chunks.", entries);
    m->chunk_size_bytes = HISTOGRAM("ingester_chunk_size_bytes", "Size of flushed chunks.", sizes);
    m->chunk_utilization = HISTOGRAM("ingester_chunk_utilization",
                                     "Size of flushed chunks over the target size.", tenths);
    m->chunk_age_seconds = HISTOGRAM("ingester_chunk_age_seconds", "Age of flushed chunks.", ages);
    m->chunk_bounds_hours =
        HISTOGRAM("ingester_chunk_bounds_hours",
                  "Time between first and last entry of flushed chunks.", hours);
    m->chunk_compression_ratio =
        HISTOGRAM("ingester_chunk_compression_ratio", "Bytes of lines over bytes stored.", ratios);
    m->blocks_per_chunk =
        HISTOGRAM("ingester_blocks_per_chunk", "Blocks of flushed chunks.", blocks);
    static const char *const reason[] = {"reason", NULL};
    struct metric_family *flushed = FAMILY("ingester_chunks_flushed_total", METRIC_COUNTER,
                                           "Chunks flushed, by reason.", reason, NULL);
    for (int i = 0; i < FLUSH_REASONS; i++)
        m->flushed[i] = metric_with1(flushed, str_c(reason_texts[i]));
    m->flush_failures = COUNTER("ingester_chunks_flush_failures_total",
                                "Writes to the store that failed and are tried again.");
    m->flush_queue_length = GAUGE("ingester_flush_queue_length", "Chunks waiting to be flushed.");
}

static void register_streams(struct ingester_metrics *m)
{
    static const char *const tenant[] = {"tenant", NULL};
    static const char *const why[] = {"reason", "tenant", NULL};
    m->streams = GAUGE("ingester_memory_streams", "Streams in memory.");
    m->memory_bytes = GAUGE("ingester_memory_bytes", "Memory of heads and chunks.");
    m->streams_created = FAMILY("ingester_streams_created_total", METRIC_COUNTER,
                                "Streams that came to memory.", tenant, NULL);
    m->streams_removed = FAMILY("ingester_streams_removed_total", METRIC_COUNTER,
                                "Streams that left memory.", tenant, NULL);
    m->discarded_samples =
        FAMILY("discarded_samples_total", METRIC_COUNTER, "Entries refused, by reason.", why, NULL);
    m->discarded_bytes = FAMILY("discarded_bytes_total", METRIC_COUNTER,
                                "Bytes of entries refused, by reason.", why, NULL);
    m->store_corrupt_blocks =
        COUNTER("ingester_corrupt_blocks_total", "Blocks in memory that could not be decoded.");
}

static void register_wal(struct ingester_metrics *m)
{
    m->wal_records = COUNTER("ingester_wal_records_logged_total", "Records written to the log.");
    m->wal_bytes_logged = COUNTER("ingester_wal_logged_bytes_total", "Bytes written to the log.");
    m->wal_corruptions =
        COUNTER("ingester_wal_corruptions_total", "Damaged records skipped in a replay.");
    m->wal_disk_full = COUNTER("ingester_wal_disk_full_failures_total",
                               "Pushes refused because the log could not be written.");
    m->wal_bytes_in_use = GAUGE("ingester_wal_bytes_in_use", "Size of the log's files.");
    m->wal_replay_active = GAUGE("ingester_wal_replay_active", "1 while the log is replayed.");
    m->wal_replay_duration_seconds =
        GAUGE("ingester_wal_replay_duration_seconds", "Time the last replay took.");
    m->wal_duplicate_entries = COUNTER("ingester_wal_duplicate_entries_total",
                                       "Entries of a replay that were in the store already.");
}

static void register_all(void)
{
    register_streams(&metrics);
    register_chunks(&metrics);
    register_wal(&metrics);
}

struct ingester_metrics *ingester_metrics(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_all);
    return &metrics;
}
