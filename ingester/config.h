/* ingester/config.h - the `ingester` block of the configuration. */
#pragma once
#include "runtime/config.h"

enum wal_sync { WAL_SYNC_NONE, WAL_SYNC_INTERVAL, WAL_SYNC_ALWAYS };

struct wal_config {
    bool enabled;
    const char *dir;
    int sync; /* enum wal_sync */
    int64_t sync_interval_ns;
    uint64_t segment_bytes; /* a new file is begun past this */
    uint64_t bytes_max;     /* past this the oldest streams are flushed, so that files can go */
    bool flush_on_shutdown;
};

struct ingester_config {
    int64_t chunk_idle_period_ns;
    int64_t max_chunk_age_ns;
    uint64_t chunk_target_bytes; /* compressed */
    uint64_t chunk_block_bytes;  /* lines in a block */
    int64_t flush_check_period_ns;
    uint64_t memory_target_bytes; /* compressed data held; past it the largest chunks are flushed */
    uint64_t head_memory_target_bytes; /* of heads; past it the largest are cut early */
    uint64_t memory_limit_bytes;       /* heads and chunks; past it pushes are refused with 503 */
    int64_t max_returned_stream_errors;
    struct wal_config wal;
};

extern const struct config_key ingester_config_table[];
