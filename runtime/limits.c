#include "runtime/limits.h"

#include <stdatomic.h>

#include "base/map.h"
#include "base/mem.h"

#define AT(member)         CONFIG_AT(struct limits, member)
#define LIMITS_ARENA_BYTES (64u << 20)

const struct config_key limits_table[] = {
    {"ingestion_rate_strategy", CONFIG_IGNORED},
    {"ingestion_rate_mb", CONFIG_FLOAT, AT(ingestion_rate_mb), "4",
     "distributor.ingestion-rate-limit-mb", "bytes a tenant may push in a second, in MB", "0"},
    {"ingestion_burst_size_mb", CONFIG_FLOAT, AT(ingestion_burst_size_mb), "6",
     "distributor.ingestion-burst-size-mb", "bytes it may push at once, in MB", "0"},
    {"per_stream_rate_limit", CONFIG_BYTES, AT(per_stream_rate_limit_bytes), "3MB",
     "ingester.per-stream-rate-limit", "bytes a second into one stream"},
    {"per_stream_rate_limit_burst", CONFIG_BYTES, AT(per_stream_rate_limit_burst_bytes), "15MB",
     "ingester.per-stream-rate-limit-burst", "bytes at once into one stream"},
    {"max_line_size", CONFIG_BYTES, AT(max_line_size_bytes), "256KB", "distributor.max-line-size",
     "longest line, 0 for no limit"},
    {"max_line_size_truncate", CONFIG_BOOL, AT(max_line_size_truncate), "false",
     "distributor.max-line-size-truncate", "cut longer lines instead of refusing them"},
    {"max_label_name_length", CONFIG_INT, AT(max_label_name_length), "1024",
     "validation.max-length-label-name", "longest label name, in bytes"},
    {"max_label_value_length", CONFIG_INT, AT(max_label_value_length), "2048",
     "validation.max-length-label-value", "longest label value, in bytes"},
    {"max_label_names_per_series", CONFIG_INT, AT(max_label_names_per_series), "15",
     "validation.max-label-names-per-series", "labels of one stream"},
    {"reject_old_samples", CONFIG_BOOL, AT(reject_old_samples), "true",
     "validation.reject-old-samples", "refuse entries older than reject_old_samples_max_age"},
    {"reject_old_samples_max_age", CONFIG_DURATION, AT(reject_old_samples_max_age_ns), "1w",
     "validation.reject-old-samples.max-age", "age from which entries are refused"},
    {"creation_grace_period", CONFIG_DURATION, AT(creation_grace_period_ns), "10m",
     "validation.create-grace-period", "how far in the future an entry may lie"},
    {"out_of_order_window", CONFIG_DURATION, AT(out_of_order_window_ns), "0s",
     "ingester.out-of-order-window",
     "how far an entry may lie behind the newest of its stream; 0 takes any age"},
    {"increment_duplicate_timestamp", CONFIG_BOOL, AT(increment_duplicate_timestamp), "false",
     "validation.increment-duplicate-timestamps", "add 1 ns to a time that came before"},
    {"discover_log_levels", CONFIG_BOOL, AT(discover_log_levels), "true",
     "validation.discover-log-levels", "add detected_level to each entry"},
    {"log_level_from_json_max_depth", CONFIG_INT, AT(log_level_from_json_max_depth), "2",
     "validation.log-level-from-json-max-depth", "how deep a level is looked for in JSON lines"},
    {"log_level_fields", CONFIG_STRING_LIST, AT(log_level_fields),
     "level,LEVEL,Level,Severity,severity,SEVERITY,lvl,LVL,Lvl,severity_text,Severity_Text,"
     "SEVERITY_TEXT",
     "validation.log-level-fields", "names a level is looked for under"},
    {"discover_service_name", CONFIG_STRING_LIST, AT(discover_service_name),
     "service,app,application,app_name,name,app_kubernetes_io_name,container,container_name,"
     "k8s_container_name,component,workload,job,k8s_job_name",
     "validation.discover-service-name", "labels that service_name is taken from, in this order"},
    {"max_streams_per_user", CONFIG_INT, AT(max_streams_per_user), "0",
     "ingester.max-streams-per-user", "streams in memory per tenant and ingester, 0 for no limit"},
    {"max_global_streams_per_user", CONFIG_INT, AT(max_global_streams_per_user), "5000",
     "ingester.max-global-streams-per-user", "the same over all ingesters"},
    {"allow_structured_metadata", CONFIG_BOOL, AT(allow_structured_metadata), "true",
     "validation.allow-structured-metadata", "take structured metadata"},
    {"max_structured_metadata_size", CONFIG_BYTES, AT(max_structured_metadata_size_bytes), "64KB",
     "limits.max-structured-metadata-size", "of one entry"},
    {"max_structured_metadata_entries_count", CONFIG_INT, AT(max_structured_metadata_entries_count),
     "128", "limits.max-structured-metadata-entries-count", "of one entry"},
    {"required_labels", CONFIG_STRING_LIST, AT(required_labels), "", "validation.required-labels",
     "labels each stream must have"},
    {"minimum_labels_number", CONFIG_INT, AT(minimum_labels_number), "0",
     "validation.minimum-labels-number", "labels each stream must have, at least"},

    {"max_query_length", CONFIG_DURATION, AT(max_query_length_ns), "30d1h",
     "store.max-query-length", "longest time range and [range] of a query, 0 for no limit"},
    {"max_query_lookback", CONFIG_DURATION, AT(max_query_lookback_ns), "0s",
     "querier.max-query-lookback", "how far back a query sees, 0 for no limit"},
    {"max_query_range", CONFIG_DURATION, AT(max_query_range_ns), "0s", "querier.max-query-range",
     "longest [range] of a metric query, 0 for no limit"},
    {"max_query_series", CONFIG_INT, AT(max_query_series), "500", "querier.max-query-series",
     "series a metric query may answer"},
    {"max_entries_limit_per_query", CONFIG_INT, AT(max_entries_limit_per_query), "5000",
     "validation.max-entries-limit", "largest limit= of a log query"},
    {"max_chunks_per_query", CONFIG_INT, AT(max_chunks_per_query), "2000000",
     "store.query-chunk-limit", "chunks a query may touch"},
    {"max_query_parallelism", CONFIG_INT, AT(max_query_parallelism), "32",
     "querier.max-query-parallelism", "subqueries of one query at the same time"},
    {"max_streams_matchers_per_query", CONFIG_INT, AT(max_streams_matchers_per_query), "1000",
     "querier.max-streams-matcher-per-query", "matchers in one selector"},
    {"cardinality_limit", CONFIG_INT, AT(cardinality_limit), "100000", "store.cardinality-limit",
     "streams a query may touch"},
    {"query_timeout", CONFIG_DURATION, AT(query_timeout_ns), "1m", "querier.query-timeout",
     "time after which a query is given up"},
    {"max_query_bytes_read", CONFIG_BYTES, AT(max_query_bytes_read), "0B",
     "frontend.max-query-bytes-read", "bytes a query may read, 0 for no limit"},
    {"max_querier_bytes_read", CONFIG_BYTES, AT(max_querier_bytes_read), "150GB",
     "frontend.max-querier-bytes-read", "bytes one querier may read for a query"},
    {"split_queries_by_interval", CONFIG_DURATION, AT(split_queries_by_interval_ns), "1h",
     "querier.split-queries-by-interval", "time range of one subquery"},
    {"max_concurrent_tail_requests", CONFIG_INT, AT(max_concurrent_tail_requests), "10",
     "querier.max-concurrent-tail-requests", "live tails per tenant"},
    {"volume_enabled", CONFIG_BOOL, AT(volume_enabled), "true", "limits.volume-enabled",
     "answer /loki/api/v1/index/volume"},
    {"volume_max_series", CONFIG_INT, AT(volume_max_series), "1000", "limits.volume-max-series",
     "series of a volume answer"},
    {"shard_aggregations", CONFIG_STRING_LIST, AT(shard_aggregations), "",
     "frontend.shard-aggregations", "aggregations that may be estimated: approx_topk"},
    {"retention_period", CONFIG_DURATION, AT(retention_period_ns), "0s", "store.retention",
     "age at which entries are deleted, 0 for never"},

    /* Loki's own, of no meaning here. */
    {"max_line_size_truncate_identifier", CONFIG_IGNORED},
    {"unordered_writes", CONFIG_IGNORED},
    {"max_cache_freshness_per_query", CONFIG_IGNORED},
    {"max_stats_cache_freshness", CONFIG_IGNORED},
    {"max_metadata_cache_freshness", CONFIG_IGNORED},
    {"max_queriers_per_tenant", CONFIG_IGNORED},
    {"max_query_capacity", CONFIG_IGNORED},
    {"query_ready_index_num_days", CONFIG_IGNORED},
    {"split_metadata_queries_by_interval", CONFIG_IGNORED},
    {"split_recent_metadata_queries_by_interval", CONFIG_IGNORED},
    {"split_instant_metric_queries_by_interval", CONFIG_IGNORED},
    {"split_ingester_queries_by_interval", CONFIG_IGNORED},
    {"recent_metadata_query_window", CONFIG_IGNORED},
    {"min_sharding_lookback", CONFIG_IGNORED},
    {"tsdb_max_query_parallelism", CONFIG_IGNORED},
    {"tsdb_max_bytes_per_shard", CONFIG_IGNORED},
    {"tsdb_sharding_strategy", CONFIG_IGNORED},
    {"tsdb_precompute_chunks", CONFIG_IGNORED},
    {"shard_streams", CONFIG_IGNORED},
    {"otlp_config", CONFIG_IGNORED},
    {"pattern_ingester_tokenizable_json_fields_default", CONFIG_IGNORED},
    {"pattern_ingester_tokenizable_json_fields_append", CONFIG_IGNORED},
    {"pattern_ingester_tokenizable_json_fields_delete", CONFIG_IGNORED},
    {"metric_aggregation_enabled", CONFIG_IGNORED},
    {"ingestion_partitions_tenant_shard_size", CONFIG_IGNORED},
    {"bloom_gateway_enable_filtering", CONFIG_IGNORED},
    {"bloom_creation_enabled", CONFIG_IGNORED},
    {"ruler_max_rules_per_rule_group", CONFIG_IGNORED},
    {"ruler_max_rule_groups_per_tenant", CONFIG_IGNORED},
    {"ruler_evaluation_delay_duration", CONFIG_IGNORED},
    {"ruler_tenant_shard_size", CONFIG_IGNORED},

    {"retention_stream", CONFIG_UNSUPPORTED, .help = "retention by stream is not supported yet"},
    {"deletion_mode", CONFIG_IGNORED},
    {"blocked_queries", CONFIG_UNSUPPORTED, .help = "blocking queries is not supported yet"},
    {"block_ingestion_until", CONFIG_UNSUPPORTED, .help = "blocking pushes is not supported yet"},
    {"enforced_labels", CONFIG_UNSUPPORTED, .help = "use required_labels"},
    {"per_tenant_override_config", CONFIG_UNSUPPORTED, .help = "use runtime_config.file"},
    {0},
};

/* One published set of overrides: tenant -> struct limits.  Old ones are kept until the set is
 * freed, since a reader may still hold a pointer into them; files change rarely. */
struct overrides {
    struct overrides *older;
    struct strmap tenants;
    struct arena arena;
};

struct limits_set {
    const struct limits *defaults;
    _Atomic(struct overrides *) current; /* published whole, release; read with acquire */
};

struct limits_set *limits_set_new(const struct limits *defaults)
{
    struct limits_set *s = mem_zalloc(sizeof *s);
    s->defaults = defaults;
    return s;
}

static void free_overrides(struct overrides *o)
{
    while (o != NULL) {
        struct overrides *older = o->older;
        strmap_deinit(&o->tenants);
        arena_deinit(&o->arena);
        mem_free(o);
        o = older;
    }
}

void limits_set_free(struct limits_set *s)
{
    if (s == NULL)
        return;
    free_overrides(atomic_load(&s->current));
    mem_free(s);
}

const struct limits *limits_for(const struct limits_set *s, str tenant)
{
    const struct overrides *o = atomic_load_explicit(&s->current, memory_order_acquire);
    const struct limits *own = o == NULL ? NULL : strmap_get(&o->tenants, tenant);
    return own != NULL ? own : s->defaults;
}

struct overrides_file {
    struct limits_set *set;
    struct overrides *into;
};

/* overrides: {tenant: {limits}}: each starts from the defaults. */
static int read_tenants(struct config_reader *r, const struct yaml_node *node, void *field)
{
    struct overrides_file *f = *(struct overrides_file **)field;
    static const struct config_key key = {"", CONFIG_BLOCK, 0, .table = limits_table};
    if (node->kind == YAML_NULL)
        return 0;
    if (node->kind != YAML_MAP)
        return config_fail(r, node, "expected a map of tenants");
    int rc = 0;
    for (size_t i = 0; i < node->n; i++) {
        struct limits *own = ARENA_NEW(&f->into->arena, struct limits);
        *own = *f->set->defaults;
        if (config_read_into(r, &key, node->items[i], own) != 0)
            rc = E_PARSE;
        strmap_put(&f->into->tenants, node->keys[i]->text, own);
    }
    return rc;
}

int limits_set_overrides(struct limits_set *s, str text, const char *file, struct error *err)
{
    static const struct config_key table[] = {
        {"overrides", CONFIG_CUSTOM, 0, .custom = read_tenants},
        {"configs", CONFIG_IGNORED},
        {"multi_kv_config", CONFIG_IGNORED},
        {0},
    };
    struct overrides *o = mem_zalloc(sizeof *o);
    strmap_init(&o->tenants);
    arena_init(&o->arena, LIMITS_ARENA_BYTES);
    struct overrides_file f = {s, o}, *into = &f;
    struct config_source source = {.file = file, .lenient = true};
    int rc = config_load(table, &into, text, &source, &o->arena, err);
    if (rc != 0) {
        free_overrides(o);
        return rc;
    }
    o->older = atomic_load(&s->current);
    atomic_store_explicit(&s->current, o, memory_order_release);
    return 0;
}

void limits_print(const struct limits *l, struct buf *out)
{
    config_print(limits_table, l, out);
}
