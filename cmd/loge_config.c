#include "cmd/loge_config.h"

#include <errno.h>
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"

#define CONFIG_FILE_BYTES_MAX (16u << 20)
#define AT(member)            CONFIG_AT(struct loge_config, member)

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"logfmt", "json", NULL};

static const struct config_key tls_table[] = {
    {"cert_file", CONFIG_STRING, CONFIG_AT(struct server_config, tls_cert_file), NULL,
     "server.http-tls-cert-path", "certificate (PEM); with key_file it turns TLS on"},
    {"key_file", CONFIG_STRING, CONFIG_AT(struct server_config, tls_key_file), NULL,
     "server.http-tls-key-path", "its private key (PEM)"},
    {"client_ca_file", CONFIG_STRING, CONFIG_AT(struct server_config, tls_client_ca_file), NULL,
     "server.http-tls-ca-path", "authorities that client certificates must come from"},
    {"client_auth_type", CONFIG_IGNORED},
    {0},
};

static const struct config_key server_table[] = {
    {"http_listen_address", CONFIG_STRING, CONFIG_AT(struct server_config, http_listen_address), "",
     "server.http-listen-address", "address to listen on; empty: all"},
    {"http_listen_port", CONFIG_INT, CONFIG_AT(struct server_config, http_listen_port), "3100",
     "server.http-listen-port", "port to listen on; 0: any free one", "0", "65535"},
    {"log_level", CONFIG_ENUM, CONFIG_AT(struct server_config, log_level), "info", "log.level",
     "debug, info, warn or error", NULL, NULL, log_levels},
    {"log_format", CONFIG_ENUM, CONFIG_AT(struct server_config, log_format), "logfmt", "log.format",
     "logfmt or json", NULL, NULL, log_formats},
    {"graceful_shutdown_timeout", CONFIG_DURATION,
     CONFIG_AT(struct server_config, graceful_shutdown_timeout_ns), "30s",
     "server.graceful-shutdown-timeout", "how long running requests may take at the stop"},
    {"http_server_idle_timeout", CONFIG_DURATION,
     CONFIG_AT(struct server_config, http_idle_timeout_ns), "2m", "server.http-idle-timeout",
     "after which an idle connection is closed"},
    {"http_body_memory", CONFIG_BYTES, CONFIG_AT(struct server_config, body_bytes_total_max),
     "256MB", "server.http-body-memory",
     "all request bodies in memory at once; beyond it clients are told 503, try again"},
    {"http_tls_config", CONFIG_BLOCK, 0, .table = tls_table},
    {"grpc_listen_address", CONFIG_IGNORED},
    {"grpc_listen_port", CONFIG_IGNORED},
    {"grpc_listen_network", CONFIG_IGNORED},
    {"grpc_server_max_recv_msg_size", CONFIG_IGNORED},
    {"grpc_server_max_send_msg_size", CONFIG_IGNORED},
    {"grpc_server_max_concurrent_streams", CONFIG_IGNORED},
    {"grpc_server_max_connection_age", CONFIG_IGNORED},
    {"grpc_server_max_connection_age_grace", CONFIG_IGNORED},
    {"grpc_server_max_connection_idle", CONFIG_IGNORED},
    {"grpc_server_keepalive_time", CONFIG_IGNORED},
    {"grpc_server_keepalive_timeout", CONFIG_IGNORED},
    {"grpc_server_min_time_between_pings", CONFIG_IGNORED},
    {"grpc_server_ping_without_stream_allowed", CONFIG_IGNORED},
    {"grpc_tls_config", CONFIG_IGNORED},
    {"http_listen_network", CONFIG_IGNORED},
    {"http_listen_conn_limit", CONFIG_IGNORED},
    {"http_server_read_timeout", CONFIG_IGNORED},
    {"http_server_read_header_timeout", CONFIG_IGNORED},
    {"http_server_write_timeout", CONFIG_IGNORED},
    {"http_log_closed_connections_without_response_enabled", CONFIG_IGNORED},
    {"log_source_ips_enabled", CONFIG_IGNORED},
    {"log_request_headers", CONFIG_IGNORED},
    {"log_request_at_info_level_enabled", CONFIG_IGNORED},
    {"register_instrumentation", CONFIG_IGNORED},
    {"http_path_prefix", CONFIG_UNSUPPORTED, .help = "a path prefix is not supported yet"},
    {0},
};

static const struct config_key common_table[] = {
    {"path_prefix", CONFIG_STRING, AT(data_dir), "./data", "data.dir",
     "where everything is kept: tables/ and wal/"},
    {"storage", CONFIG_IGNORED},
    {"persist_tokens", CONFIG_IGNORED},
    {"replication_factor", CONFIG_IGNORED},
    {"ring", CONFIG_IGNORED},
    {"instance_addr", CONFIG_IGNORED},
    {"instance_interface_names", CONFIG_IGNORED},
    {"compactor_address", CONFIG_IGNORED},
    {"compactor_grpc_address", CONFIG_IGNORED},
    {0},
};

static const struct config_key storage_table[] = {
    {"filesystem", CONFIG_IGNORED},
    {"boltdb", CONFIG_IGNORED},
    {"boltdb_shipper", CONFIG_IGNORED},
    {"tsdb_shipper", CONFIG_IGNORED},
    {"index_queries_cache_config", CONFIG_IGNORED},
    {"disable_broad_index_queries", CONFIG_IGNORED},
    {"max_parallel_get_chunk", CONFIG_IGNORED},
    {"max_chunk_batch_size", CONFIG_IGNORED},
    {"hedging", CONFIG_IGNORED},
    {"aws", CONFIG_UNSUPPORTED, .help = "an S3 tier is not supported yet"},
    {"azure", CONFIG_UNSUPPORTED, .help = "only local storage is supported"},
    {"gcs", CONFIG_UNSUPPORTED, .help = "only local storage is supported"},
    {"swift", CONFIG_UNSUPPORTED, .help = "only local storage is supported"},
    {"bos", CONFIG_UNSUPPORTED, .help = "only local storage is supported"},
    {"cos", CONFIG_UNSUPPORTED, .help = "only local storage is supported"},
    {"alibabacloud", CONFIG_UNSUPPORTED, .help = "only local storage is supported"},
    {"named_stores", CONFIG_UNSUPPORTED, .help = "only local storage is supported"},
    {"object_store", CONFIG_UNSUPPORTED, .help = "only local storage is supported"},
    {0},
};

static const struct config_key querier_table[] = {
    {"max_concurrent", CONFIG_INT, AT(query_max_concurrent), "4", "querier.max-concurrent",
     "queries that run at the same time", "1", "1024"},
    {"query_ingesters_within", CONFIG_DURATION, AT(query_ingesters_within_ns), "3h",
     "querier.query-ingesters-within",
     "ranges that end later than so long ago show the labels of all streams in memory; 0: always"},
    {"tail_max_duration", CONFIG_IGNORED},
    {"extra_query_delay", CONFIG_IGNORED},
    {"engine", CONFIG_IGNORED},
    {"query_store_only", CONFIG_IGNORED},
    {"query_ingester_only", CONFIG_IGNORED},
    {"per_request_limits_enabled", CONFIG_IGNORED},
    {"multi_tenant_queries_enabled", CONFIG_UNSUPPORTED,
     .help = "queries over several tenants are not supported yet"},
    {0},
};

static const struct config_key runtime_table[] = {
    {"file", CONFIG_STRING, AT(runtime_config_file), NULL, "runtime-config.file",
     "limits of single tenants, read again when it changes"},
    {"period", CONFIG_DURATION, AT(runtime_config_period_ns), "10s", "runtime-config.reload-period",
     "how often to look for a change"},
    {0},
};

const struct config_key loge_config_table[] = {
    {"config.file", CONFIG_STRING, AT(config_file), NULL, "config.file", "the YAML file to load"},
    {"config.expand-env", CONFIG_BOOL, AT(expand_env), NULL, "config.expand-env",
     "expand ${VAR} and ${VAR:-default} in the file"},
    {"config.lenient", CONFIG_BOOL, AT(lenient), NULL, "config.lenient",
     "warn about settings of Loki that are not supported instead of refusing them"},
    {"verify-config", CONFIG_BOOL, AT(verify), NULL, "verify-config",
     "check the configuration and exit"},
    {"version", CONFIG_BOOL, AT(print_version), NULL, "version", "print the version and exit"},
    {"help", CONFIG_BOOL, AT(print_help), NULL, "help", "print this and exit"},
    {"print-config-stderr", CONFIG_BOOL, AT(print_config), NULL, "print-config-stderr",
     "print the whole configuration at the start"},
    {"print-config-docs", CONFIG_BOOL, AT(print_docs), NULL, "print-config-docs",
     "print docs/configuration.md and exit"},
    {"list-targets", CONFIG_BOOL, AT(list_targets), NULL, "list-targets",
     "print the targets and exit"},
    {"target", CONFIG_STRING_LIST, AT(target), "all", "target",
     "roles of this process: all, or a comma list of distributor, ingester, querier"},
    {"auth_enabled", CONFIG_BOOL, AT(auth_enabled), "true", "auth.enabled",
     "take the tenant from X-Scope-OrgID; false: everything is the tenant \"fake\""},
    {"server", CONFIG_BLOCK, AT(server), .table = server_table},
    {"common", CONFIG_BLOCK, 0, .table = common_table},
    {"ingester", CONFIG_BLOCK, AT(ingester), .table = ingester_config_table},
    {"limits_config", CONFIG_BLOCK, AT(limits), .table = limits_table},
    {"storage_config", CONFIG_BLOCK, 0, .table = storage_table},
    {"querier", CONFIG_BLOCK, 0, .table = querier_table},
    {"runtime_config", CONFIG_BLOCK, 0, .table = runtime_table},
    {"schema_config", CONFIG_IGNORED},
    {"chunk_store_config", CONFIG_IGNORED},
    {"distributor", CONFIG_IGNORED},
    {"query_range", CONFIG_IGNORED},
    {"query_scheduler", CONFIG_IGNORED},
    {"frontend", CONFIG_IGNORED},
    {"frontend_worker", CONFIG_IGNORED},
    {"ingester_client", CONFIG_IGNORED},
    {"ingester_rf1", CONFIG_IGNORED},
    {"pattern_ingester", CONFIG_IGNORED},
    {"index_gateway", CONFIG_IGNORED},
    {"bloom_build", CONFIG_IGNORED},
    {"bloom_gateway", CONFIG_IGNORED},
    {"memberlist", CONFIG_IGNORED},
    {"operational_config", CONFIG_IGNORED},
    {"tracing", CONFIG_IGNORED},
    {"analytics", CONFIG_IGNORED},
    {"profiling", CONFIG_IGNORED},
    {"ui", CONFIG_IGNORED},
    {"ballast_bytes", CONFIG_IGNORED},
    {"shutdown_delay", CONFIG_IGNORED},
    {"metrics_namespace", CONFIG_IGNORED},
    {"table_manager", CONFIG_IGNORED},
    {"compactor", CONFIG_UNSUPPORTED, .help = "compaction and retention are not supported yet"},
    {"compactor_grpc_client", CONFIG_IGNORED},
    {"ruler", CONFIG_UNSUPPORTED, .help = "the ruler is not supported yet"},
    {"ruler_storage", CONFIG_UNSUPPORTED, .help = "the ruler is not supported yet"},
    {"kafka_config", CONFIG_UNSUPPORTED, .help = "Kafka is not supported yet"},
    {0},
};

/* Reads one file over what `config` holds. */
static int read_file(struct loge_config *config, struct arena *a,
                     void (*warn)(void *arg, const char *text), struct error *err)
{
    struct buf text;
    buf_init(&text, CONFIG_FILE_BYTES_MAX);
    int rc = file_read(config->config_file, &text, err);
    if (rc == 0) {
        struct config_source source = {
            .file = config->config_file,
            .lenient = config->lenient,
            .expand_env = config->expand_env,
            .warn = warn,
        };
        rc = config_load(loge_config_table, config, buf_str(&text), &source, a, err);
    }
    buf_deinit(&text);
    return rc;
}

static int check_targets(const struct loge_config *config, struct error *err)
{
    static const char *const known[] = {"all", "distributor", "ingester", "querier", NULL};
    for (size_t i = 0; i < config->target.n; i++) {
        size_t k = 0;
        while (known[k] != NULL && !str_eq_c(str_c(config->target.items[i]), known[k]))
            k++;
        if (known[k] == NULL)
            return error_set(err, E_INVALID, "unrecognised module name: %s",
                             config->target.items[i]);
        if (k > 0)
            return error_set(err, E_UNSUPPORTED,
                             "-target=%s: roles in processes of their own are not supported yet",
                             config->target.items[i]);
    }
    return 0;
}

int loge_config_read(struct loge_config *config, int argc, char **argv, struct arena *a,
                     void (*warn)(void *arg, const char *text), struct error *err)
{
    config_defaults(loge_config_table, config, a);
    int rest = 0;
    int rc = config_flags(loge_config_table, config, argc, argv, a, &rest, err);
    if (rc == 0 && rest < argc)
        rc = error_set(err, E_INVALID, "unexpected argument: %s", argv[rest]);
    if (rc == 0 && config->config_file[0] != '\0') {
        rc = read_file(config, a, warn, err);
        if (rc == 0) /* once more, so that flags win over the file */
            rc = config_flags(loge_config_table, config, argc, argv, a, &rest, err);
    }
    return rc == 0 ? check_targets(config, err) : rc;
}
