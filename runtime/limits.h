/* runtime/limits.h - what a tenant may do: limits_config of the configuration, and overrides.
 *
 * Names and defaults are Loki's (per-tenant limits of 3.5).  A `struct limits` never changes once
 * it is published; limits_for() is for any thread and its result lives as long as the process. */
#pragma once
#include "runtime/config.h"

struct limits {
    /* push */
    double ingestion_rate_mb, ingestion_burst_size_mb; /* MB = 2^20 bytes a second */
    uint64_t per_stream_rate_limit_bytes, per_stream_rate_limit_burst_bytes;
    uint64_t max_line_size_bytes; /* 0: none */
    bool max_line_size_truncate;
    int64_t max_label_name_length, max_label_value_length, max_label_names_per_series;
    bool reject_old_samples;
    int64_t reject_old_samples_max_age_ns;
    int64_t creation_grace_period_ns;
    int64_t out_of_order_window_ns; /* ours; 0: any age is taken.  Loki: max_chunk_age / 2 */
    bool increment_duplicate_timestamp;
    bool discover_log_levels;
    int64_t log_level_from_json_max_depth;
    struct config_strings log_level_fields;
    struct config_strings discover_service_name;
    int64_t max_streams_per_user, max_global_streams_per_user;
    bool allow_structured_metadata;
    uint64_t max_structured_metadata_size_bytes;
    int64_t max_structured_metadata_entries_count;
    struct config_strings required_labels;
    int64_t minimum_labels_number;

    /* query */
    int64_t max_query_length_ns, max_query_lookback_ns, max_query_range_ns;
    int64_t max_query_series;
    int64_t max_entries_limit_per_query;
    int64_t max_chunks_per_query;
    int64_t max_query_parallelism;
    int64_t max_streams_matchers_per_query;
    int64_t cardinality_limit;
    int64_t query_timeout_ns;
    uint64_t max_query_bytes_read, max_querier_bytes_read;
    int64_t split_queries_by_interval_ns;
    int64_t max_concurrent_tail_requests;
    bool volume_enabled;
    int64_t volume_max_series;
    struct config_strings shard_aggregations; /* "approx_topk" allows that one */

    /* store */
    int64_t retention_period_ns;
};

extern const struct config_key limits_table[];

struct limits_set;
/* `defaults` is kept, not copied. */
struct limits_set *limits_set_new(const struct limits *defaults);
void limits_set_free(struct limits_set *s);
/* Limits of one tenant: its override, else the defaults. */
const struct limits *limits_for(const struct limits_set *s, str tenant);
/* Reads the YAML text of a runtime_config file (overrides: {tenant: {key: value}}) and publishes
 * it. On an error nothing changes.  One thread at a time. */
int limits_set_overrides(struct limits_set *s, str text, const char *file, struct error *err);
/* All limits as YAML, as /config/tenant/v1/limits shows them. */
void limits_print(const struct limits *l, struct buf *out);
