/* ingester/metrics.h - counters of streams, chunks, flushes and the log, under Loki's names.
 *
 * Any thread.  Registered once a process; cells are resolved here, so that hot paths only add. */
#pragma once
#include "runtime/metrics.h"

enum flush_reason { FLUSH_FULL, FLUSH_IDLE, FLUSH_MAX_AGE, FLUSH_FORCED, FLUSH_WAL, FLUSH_REASONS };

struct ingester_metrics {
    struct metric *streams, *chunks;       /* in memory */
    struct metric *memory_bytes;           /* heads and chunks */
    struct metric_family *streams_created; /* {tenant} */
    struct metric_family *streams_removed; /* {tenant} */
    struct metric *chunks_created;
    struct metric *flushed[FLUSH_REASONS]; /* {reason} */
    struct metric *flush_failures, *flush_queue_length;
    struct metric *chunk_entries, *chunk_size_bytes, *chunk_utilization, *chunk_age_seconds,
        *chunk_bounds_hours, *chunk_compression_ratio;
    struct metric *blocks_per_chunk;
    struct metric *wal_records, *wal_bytes_logged, *wal_corruptions, *wal_disk_full,
        *wal_bytes_in_use, *wal_replay_active, *wal_replay_duration_seconds, *wal_duplicate_entries;
    struct metric *store_corrupt_blocks;
    struct metric_family *discarded_samples, *discarded_bytes; /* {reason, tenant} */
};

struct ingester_metrics *ingester_metrics(void);
