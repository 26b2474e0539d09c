/* The tables of Promtail's settings: one row per key, with its flag and default. */
#include "promtail/config/tables.h"

#define AT(type, member) offsetof(struct type, member)

static const struct config_key flag_keys[] = {
    {"config.file", CONFIG_STRING, AT(promtail_flags, config_file), "", "config.file",
     "yaml file to load; of a comma list the first that exists", .min = NULL},
    {"config.expand-env", CONFIG_BOOL, AT(promtail_flags, expand_env), "false", "config.expand-env",
     "Expands ${var} in config according to the values of the environment variables."},
    {"dry-run", CONFIG_BOOL, AT(promtail_flags, dry_run), "false", "dry-run",
     "Start Promtail but print entries instead of sending them to Loki."},
    {"inspect", CONFIG_BOOL, AT(promtail_flags, inspect), "false", "inspect",
     "Allows for detailed inspection of pipeline stages"},
    {"check-syntax", CONFIG_BOOL, AT(promtail_flags, check_syntax), "false", "check-syntax",
     "Validate the config file of its syntax"},
    {"print-config-stderr", CONFIG_BOOL, AT(promtail_flags, print_config_stderr), "false",
     "print-config-stderr", "Dump the entire config object to stderr"},
    {"log-config-reverse-order", CONFIG_BOOL, AT(promtail_flags, log_config_reverse_order), "false",
     "log-config-reverse-order", "Dump the config at Info log level, last line first."},
    {"version", CONFIG_BOOL, AT(promtail_flags, version), "false", "version",
     "Print this builds version information"},
    {"help", CONFIG_BOOL, AT(promtail_flags, help), "false", "help", "Print this text"},
    {"h", CONFIG_BOOL, AT(promtail_flags, help), "false", "h", "Print this text"},
    {"external-labels", CONFIG_STRING, AT(promtail_flags, external_labels), "",
     "client.external-labels",
     "list of external labels to add to each log (e.g: --client.external-labels=lb1=v1,lb2=v2)"},
    {0},
};

/* Known to Promtail as settings and as flags, of no meaning here. */
#define IGNORED_FLAG(key, option)                                                                  \
    {                                                                                              \
        key, CONFIG_IGNORED, 0, NULL, option, "Accepted without effect."                           \
    }
#define IGNORED_SWITCH(key, option)                                                                \
    {                                                                                              \
        key, CONFIG_IGNORED, 0, "false", option, "Accepted without effect."                        \
    }

static const struct config_key http_tls_keys[] = {
    {"cert_file", CONFIG_STRING, AT(server_config, tls_cert_file), "", "server.http-tls-cert-path",
     "HTTP server cert path."},
    {"key_file", CONFIG_STRING, AT(server_config, tls_key_file), "", "server.http-tls-key-path",
     "HTTP server key path."},
    {"client_ca_file", CONFIG_STRING, AT(server_config, tls_client_ca_file), "",
     "server.http-tls-ca-path", "HTTP TLS Client CA path."},
    {"client_auth_type", CONFIG_IGNORED},
    {"client_ca", CONFIG_STRING, AT(server_config, tls_client_ca), ""},
    {"cert", CONFIG_STRING, AT(server_config, tls_cert), ""},
    {"key", CONFIG_SECRET, AT(server_config, tls_key), ""},
    {0},
};

const struct config_key config_server_keys[] = {
    {"disable", CONFIG_BOOL, AT(server_config, disable), "false", "server.disable",
     "Disable the http and grpc server."},
    {"profiling_enabled", CONFIG_BOOL, AT(server_config, profiling_enabled), "false",
     "server.profiling_enabled",
     "Enable the /debug/fgprof and /debug/pprof endpoints (none here)."},
    {"enable_runtime_reload", CONFIG_BOOL, AT(server_config, enable_runtime_reload), "false",
     "server.enable-runtime-reload", "Enable reload via HTTP request."},
    {"http_listen_address", CONFIG_STRING, AT(server_config, http_listen_address), "",
     "server.http-listen-address", "HTTP server listen address."},
    {"http_listen_port", CONFIG_UINT, AT(server_config, http_listen_port), "80",
     "server.http-listen-port", "HTTP server listen port.", .max = "65535"},
    {"grpc_listen_address", CONFIG_STRING, AT(server_config, grpc_listen_address), "",
     "server.grpc-listen-address", "gRPC server listen address (no gRPC is served)."},
    {"grpc_listen_port", CONFIG_UINT, AT(server_config, grpc_listen_port), "9095",
     "server.grpc-listen-port", "gRPC server listen port (no gRPC is served).", .max = "65535"},
    {"log_level", CONFIG_STRING, AT(server_config, log_level), "info", "log.level",
     "Only log messages with the given severity or above. Valid levels: debug, info, warn, error"},
    {"log_format", CONFIG_STRING, AT(server_config, log_format), "logfmt", "log.format",
     "Output log messages in the given format. Valid formats: logfmt, json"},
    {"http_path_prefix", CONFIG_STRING, AT(server_config, http_path_prefix), "",
     "server.path-prefix", "Base path to serve all API routes from (e.g. /v1/)"},
    {"external_url", CONFIG_STRING, AT(server_config, external_url), "", "server.external-url",
     "Base URL at which Promtail is reachable from outside."},
    {"health_check_target", CONFIG_BOOL, AT(server_config, health_check_target), "true",
     "server.health-check-target", "Whether /ready asks the targets"},
    {"graceful_shutdown_timeout", CONFIG_DURATION_GO,
     AT(server_config, graceful_shutdown_timeout_ns), "30s", "server.graceful-shutdown-timeout",
     "Timeout for graceful shutdowns"},
    {"register_instrumentation", CONFIG_BOOL, AT(server_config, register_instrumentation), "true",
     "server.register-instrumentation", "Register the intrumentation handlers (/metrics etc)."},
    {"http_tls_config", CONFIG_BLOCK, 0, .table = http_tls_keys},
    {"grpc_tls_config", CONFIG_IGNORED},
    IGNORED_FLAG("http_listen_network", "server.http-listen-network"),
    IGNORED_FLAG("http_listen_conn_limit", "server.http-conn-limit"),
    IGNORED_FLAG("grpc_listen_network", "server.grpc-listen-network"),
    IGNORED_FLAG("grpc_listen_conn_limit", "server.grpc-conn-limit"),
    IGNORED_SWITCH("proxy_protocol_enabled", "server.proxy-protocol-enabled"),
    IGNORED_FLAG("tls_cipher_suites", "server.tls-cipher-suites"),
    IGNORED_FLAG("tls_min_version", "server.tls-min-version"),
    IGNORED_SWITCH("report_grpc_codes_in_instrumentation_label_enabled",
                   "server.report-grpc-codes-in-instrumentation-label-enabled"),
    IGNORED_FLAG("http_server_read_timeout", "server.http-read-timeout"),
    IGNORED_FLAG("http_server_read_header_timeout", "server.http-read-header-timeout"),
    IGNORED_FLAG("http_server_write_timeout", "server.http-write-timeout"),
    IGNORED_FLAG("http_server_idle_timeout", "server.http-idle-timeout"),
    IGNORED_SWITCH("http_log_closed_connections_without_response_enabled",
                   "server.http-log-closed-connections-without-response-enabled"),
    IGNORED_FLAG("grpc_server_max_recv_msg_size", "server.grpc-max-recv-msg-size-bytes"),
    IGNORED_FLAG("grpc_server_max_send_msg_size", "server.grpc-max-send-msg-size-bytes"),
    IGNORED_FLAG("grpc_server_max_concurrent_streams", "server.grpc-max-concurrent-streams"),
    IGNORED_FLAG("grpc_server_max_connection_idle", "server.grpc.keepalive.max-connection-idle"),
    IGNORED_FLAG("grpc_server_max_connection_age", "server.grpc.keepalive.max-connection-age"),
    IGNORED_FLAG("grpc_server_max_connection_age_grace",
                 "server.grpc.keepalive.max-connection-age-grace"),
    IGNORED_FLAG("grpc_server_keepalive_time", "server.grpc.keepalive.time"),
    IGNORED_FLAG("grpc_server_keepalive_timeout", "server.grpc.keepalive.timeout"),
    IGNORED_FLAG("grpc_server_min_time_between_pings",
                 "server.grpc.keepalive.min-time-between-pings"),
    IGNORED_SWITCH("grpc_server_ping_without_stream_allowed",
                   "server.grpc.keepalive.ping-without-stream-allowed"),
    IGNORED_FLAG("grpc_server_num_workers", "server.grpc.num-workers"),
    IGNORED_SWITCH("grpc_server_stats_tracking_enabled", "server.grpc.stats-tracking-enabled"),
    IGNORED_SWITCH("grpc_server_recv_buffer_pools_enabled",
                   "server.grpc.recv-buffer-pools-enabled"),
    IGNORED_SWITCH("log_source_ips_enabled", "server.log-source-ips-enabled"),
    IGNORED_SWITCH("log_source_ips_full", "server.log-source-ips-full"),
    IGNORED_FLAG("log_source_ips_header", "server.log-source-ips-header"),
    IGNORED_FLAG("log_source_ips_regex", "server.log-source-ips-regex"),
    IGNORED_SWITCH("log_request_headers", "server.log-request-headers"),
    IGNORED_SWITCH("log_request_at_info_level_enabled", "server.log-request-at-info-level-enabled"),
    IGNORED_FLAG("log_request_exclude_headers_list", "server.log-request-headers-exclude-list"),
    {"cluster_validation", CONFIG_IGNORED},
    {0},
};

const struct config_key config_basic_auth_keys[] = {
    {"username", CONFIG_STRING, AT(basic_auth_config, username), ""},
    {"username_file", CONFIG_STRING, AT(basic_auth_config, username_file), ""},
    {"password", CONFIG_SECRET, AT(basic_auth_config, password), ""},
    {"password_file", CONFIG_STRING, AT(basic_auth_config, password_file), ""},
    {0},
};

const struct config_key config_authorization_keys[] = {
    {"type", CONFIG_STRING, AT(authorization_config, type), ""},
    {"credentials", CONFIG_SECRET, AT(authorization_config, credentials), ""},
    {"credentials_file", CONFIG_STRING, AT(authorization_config, credentials_file), ""},
    {0},
};

const struct config_key config_tls_keys[] = {
    {"ca", CONFIG_STRING, AT(tls_config, ca), ""},
    {"cert", CONFIG_STRING, AT(tls_config, cert), ""},
    {"key", CONFIG_SECRET, AT(tls_config, key), ""},
    {"ca_file", CONFIG_STRING, AT(tls_config, ca_file), ""},
    {"cert_file", CONFIG_STRING, AT(tls_config, cert_file), ""},
    {"key_file", CONFIG_STRING, AT(tls_config, key_file), ""},
    {"server_name", CONFIG_STRING, AT(tls_config, server_name), ""},
    {"min_version", CONFIG_STRING, AT(tls_config, min_version), ""},
    {"max_version", CONFIG_IGNORED},
    {"insecure_skip_verify", CONFIG_BOOL, AT(tls_config, insecure_skip_verify), "false"},
    {0},
};

const struct config_key config_oauth2_keys[] = {
    {"client_id", CONFIG_STRING, AT(oauth2_config, client_id), ""},
    {"client_secret", CONFIG_SECRET, AT(oauth2_config, client_secret), ""},
    {"client_secret_file", CONFIG_STRING, AT(oauth2_config, client_secret_file), ""},
    {"scopes", CONFIG_STRING_LIST, AT(oauth2_config, scopes), ""},
    {"token_url", CONFIG_STRING, AT(oauth2_config, token_url), ""},
    {"proxy_url", CONFIG_STRING, AT(oauth2_config, proxy_url), ""},
    {"endpoint_params", CONFIG_CUSTOM, AT(oauth2_config, endpoint_params),
     .custom = config_read_string_map},
    {"tls_config", CONFIG_BLOCK, AT(oauth2_config, tls), .table = config_tls_keys},
    {0},
};

static const struct config_key backoff_keys[] = {
    {"min_period", CONFIG_DURATION_GO, AT(client_config, backoff_min_ns), "500ms",
     "client.min-backoff", "Initial backoff time between retries."},
    {"max_period", CONFIG_DURATION_GO, AT(client_config, backoff_max_ns), "5m",
     "client.max-backoff", "Maximum backoff time between retries."},
    {"max_retries", CONFIG_INT, AT(client_config, max_retries), "10", "client.max-retries",
     "Maximum number of retires when sending batches."},
    {0},
};

const struct config_key config_client_keys[] = {
    {"name", CONFIG_STRING, AT(client_config, name), ""},
    {"url", CONFIG_STRING, AT(client_config, url), "", "client.url", "URL of log server"},
    {"batchwait", CONFIG_DURATION_GO, AT(client_config, batchwait_ns), "1s", "client.batch-wait",
     "Maximum wait period before sending batch."},
    {"batchsize", CONFIG_UINT, AT(client_config, batchsize_bytes), "1048576",
     "client.batch-size-bytes", "Maximum batch size to accrue before sending."},
    CONFIG_HTTP_KEYS(client_config, http),
    {"headers", CONFIG_CUSTOM, AT(client_config, headers), .custom = config_read_string_map},
    {"backoff_config", CONFIG_BLOCK, 0, .table = backoff_keys},
    {"external_labels", CONFIG_CUSTOM, AT(client_config, external_labels),
     .custom = config_read_labels},
    {"timeout", CONFIG_DURATION_GO, AT(client_config, timeout_ns), "10s", "client.timeout",
     "Maximum time to wait for server to respond to a request"},
    {"tenant_id", CONFIG_STRING, AT(client_config, tenant_id), "", "client.tenant-id",
     "Tenant ID to use when pushing logs to Loki."},
    {"drop_rate_limited_batches", CONFIG_BOOL, AT(client_config, drop_rate_limited_batches),
     "false", "client.drop-rate-limited-batches",
     "Do not retry batches that have been rate limited by Loki"},
    {"stream_lag_labels", CONFIG_IGNORED},
    {0},
};

static const struct config_key positions_keys[] = {
    {"filename", CONFIG_STRING, AT(positions_config, filename), "/var/log/positions.yaml",
     "positions.file", "Location to read/write positions from."},
    {"sync_period", CONFIG_DURATION_GO, AT(positions_config, sync_period_ns), "10s",
     "positions.sync-period", "Period with this to sync the position file."},
    {"ignore_invalid_yaml", CONFIG_BOOL, AT(positions_config, ignore_invalid_yaml), "false",
     "positions.ignore-invalid-yaml",
     "whether to ignore & later overwrite positions files that are corrupted"},
    {0},
};

static const struct config_key target_keys[] = {
    {"sync_period", CONFIG_DURATION_GO, AT(target_config, sync_period_ns), "10s",
     "target.sync-period", "Period to resync directories being watched and files being tailed."},
    {"stdin", CONFIG_BOOL, AT(target_config, read_stdin), "false", "stdin",
     "Set to true to pipe logs to promtail."},
    {0},
};

static const struct config_key limits_keys[] = {
    {"readline_rate", CONFIG_FLOAT, AT(limits_config, readline_rate), "10000",
     "limit.readline-rate", "promtail readline Rate."},
    {"readline_burst", CONFIG_INT, AT(limits_config, readline_burst), "10000",
     "limit.readline-burst", "promtail readline Burst."},
    {"readline_rate_enabled", CONFIG_BOOL, AT(limits_config, readline_rate_enabled), "false",
     "limit.readline-rate-enabled", "Set to false to disable readline rate limit."},
    {"readline_rate_drop", CONFIG_BOOL, AT(limits_config, readline_rate_drop), "true",
     "limit.readline-rate-drop", "Set to true to drop log when rate limit."},
    {"max_streams", CONFIG_INT, AT(limits_config, max_streams), "0", "max-streams",
     "Maximum number of active streams. 0 to disable."},
    {"max_line_size", CONFIG_BYTES, AT(limits_config, max_line_size_bytes), "0", "max-line-size",
     "Maximum log line byte size to allow. Example: 256kb. 0 to disable."},
    {"max_line_size_truncate", CONFIG_BOOL, AT(limits_config, max_line_size_truncate), "false",
     "max-line-size-truncate", "Truncate lines over the maximum size instead of dropping them"},
    {0},
};

static const struct config_key watch_keys[] = {
    {"min_poll_frequency", CONFIG_DURATION_GO, AT(file_watch_config, min_poll_ns), "250ms",
     "file-watch.min_poll_frequency", "Minimum period to poll for file changes"},
    {"max_poll_frequency", CONFIG_DURATION_GO, AT(file_watch_config, max_poll_ns), "250ms",
     "file-watch.max_poll_frequency", "Maximum period to poll for file changes"},
    {0},
};

static const struct config_key global_keys[] = {
    {"file_watch_config", CONFIG_BLOCK, 0, .table = watch_keys},
    {0},
};

static const struct config_key options_keys[] = {
    {"stream_lag_labels", CONFIG_STRING, 0, ""}, /* a comma list */
    {0},
};

static const struct config_key wal_keys[] = {
    {"enabled", CONFIG_BOOL, AT(wal_config, enabled), "false", NULL,
     "Keep batches on disk until they are sent."},
    {"dir", CONFIG_STRING, AT(wal_config, dir), "", NULL,
     "Folder of the disk buffer; by default beside the positions file."},
    {"max_segment_age", CONFIG_DURATION_GO, AT(wal_config, max_segment_age_ns), "1h"},
    {"max_bytes", CONFIG_BYTES, AT(wal_config, max_bytes), "1GB", NULL,
     "Bound of the disk buffer of each client."},
    {"drop_oldest", CONFIG_BOOL, AT(wal_config, drop_oldest), "false", NULL,
     "When the buffer is full drop the oldest batches instead of pausing to read."},
    {"cleanup", CONFIG_IGNORED},
    {"cleaner", CONFIG_IGNORED},
    {"watch_config", CONFIG_IGNORED},
    {"watcher_config", CONFIG_IGNORED},
    {0},
};

static const struct config_key tracing_keys[] = {
    {"enabled", CONFIG_BOOL, 0, "false", "tracing.enabled", "Accepted; no traces are made."},
    {0},
};

const struct config_key config_file_keys[] = {
    {"global", CONFIG_BLOCK, AT(promtail_config, watch), .table = global_keys},
    {"server", CONFIG_BLOCK, AT(promtail_config, server), .table = config_server_keys},
    {"client", CONFIG_BLOCK, AT(promtail_config, flag_client), .table = config_client_keys},
    {"clients", CONFIG_CUSTOM, AT(promtail_config, clients), .custom = config_read_clients},
    {"positions", CONFIG_BLOCK, AT(promtail_config, positions), .table = positions_keys},
    {"scrape_configs", CONFIG_CUSTOM, AT(promtail_config, scrapes), .custom = config_read_scrapes},
    {"target_config", CONFIG_BLOCK, AT(promtail_config, target), .table = target_keys},
    {"limits_config", CONFIG_BLOCK, AT(promtail_config, limits), .table = limits_keys},
    {"options", CONFIG_BLOCK, AT(promtail_config, stream_lag_labels), .table = options_keys},
    {"tracing", CONFIG_BLOCK, AT(promtail_config, tracing), .table = tracing_keys},
    {"wal", CONFIG_BLOCK, AT(promtail_config, wal), .table = wal_keys},
    {0},
};

const struct config_key config_all_keys[] = {
    {"", CONFIG_BLOCK, AT(promtail_config, flags), .table = flag_keys},
    {"", CONFIG_BLOCK, 0, .table = config_file_keys},
    {0},
};
