/* promtail/config/config.h - Promtail's configuration as structs.
 *
 * Read from YAML and flags by the tables in config/tables.c.  Everything lives in the arena given
 * to promtail_config_load(), the YAML nodes too: stages are compiled from them later. */
#pragma once
#include "promtail/record.h"
#include "promtail/relabel.h"
#include "runtime/config.h"

struct server_config {
    bool disable;
    bool enable_runtime_reload;
    bool register_instrumentation;
    bool profiling_enabled;
    const char *http_listen_address;
    uint64_t http_listen_port;
    const char *grpc_listen_address;
    uint64_t grpc_listen_port;
    const char *log_level, *log_format;
    const char *http_path_prefix, *external_url;
    bool health_check_target;
    int64_t graceful_shutdown_timeout_ns;
    const char *tls_cert_file, *tls_key_file, *tls_client_ca_file;
    const char *tls_cert, *tls_key, *tls_client_ca; /* in the file itself (PEM) */
};

struct basic_auth_config {
    const char *username, *username_file, *password, *password_file;
};

struct tls_config {
    const char *ca, *cert, *key; /* in the file itself (PEM) */
    const char *ca_file, *cert_file, *key_file, *server_name, *min_version;
    bool insecure_skip_verify;
};

struct authorization_config {
    const char *type, *credentials, *credentials_file;
};

struct oauth2_config {
    bool is_set;
    const char *client_id, *client_secret, *client_secret_file, *token_url, *proxy_url;
    struct config_strings scopes;
    struct label_list endpoint_params;
    struct tls_config tls;
};

/* Prometheus' HTTPClientConfig. */
struct http_config {
    struct basic_auth_config basic_auth;
    struct authorization_config authorization;
    struct oauth2_config oauth2;
    const char *bearer_token, *bearer_token_file;
    const char *proxy_url;
    struct tls_config tls;
    bool follow_redirects;
    bool enable_http2;
    struct label_list headers; /* http_headers: a name as often as it has values */
};

struct client_config {
    const char *name;
    const char *url;
    int64_t batchwait_ns;
    uint64_t batchsize_bytes;
    struct http_config http;
    struct label_list headers;
    struct label_list external_labels; /* sorted */
    const char *tenant_id;
    int64_t timeout_ns;
    int64_t backoff_min_ns, backoff_max_ns;
    int64_t max_retries;
    bool drop_rate_limited_batches;
};

struct wal_config {
    bool enabled;
    const char *dir;
    int64_t max_segment_age_ns;
    uint64_t max_bytes; /* ours: bound of the disk buffer of each client */
    bool drop_oldest;   /* ours: when it is full drop instead of pausing */
};

struct positions_config {
    const char *filename;
    int64_t sync_period_ns;
    bool ignore_invalid_yaml;
};

struct limits_config {
    double readline_rate;
    int64_t readline_burst;
    bool readline_rate_enabled, readline_rate_drop;
    int64_t max_streams;
    uint64_t max_line_size_bytes;
    bool max_line_size_truncate;
};

struct static_config {
    struct label_list *targets; /* one list per entry of `targets`, holding __address__ */
    size_t n_targets;
    struct label_list labels;
};

struct file_sd_config {
    struct config_strings files;
    int64_t refresh_interval_ns;
};

struct decompression_config {
    bool enabled;
    const char *format; /* gz, z, bz2 */
    int64_t initial_delay_ns;
};

/* One job.  The blocks of kinds of discovery and of targets are in config/targets.h; those that are
 * only nodes are not supported. */
struct scrape_config {
    const char *job_name;
    const struct yaml_node *pipeline_stages; /* NULL if absent */
    struct relabel_rules relabel;
    struct static_config *static_configs;
    size_t n_static_configs;
    struct file_sd_config *file_sd_configs;
    size_t n_file_sd_configs;
    struct decompression_config decompression;
    const char *encoding;
    struct kubernetes_sd_config *kubernetes_sd_configs;
    size_t n_kubernetes_sd_configs;
    struct docker_sd_config *docker_sd_configs;
    size_t n_docker_sd_configs;
    struct consul_sd_config *consul_sd_configs;
    size_t n_consul_sd_configs;
    struct consul_sd_config *consulagent_sd_configs;
    size_t n_consulagent_sd_configs;
    struct dns_sd_config *dns_sd_configs;
    size_t n_dns_sd_configs;
    struct journal_config *journal; /* NULL if absent, as the next */
    struct syslog_config *syslog;
    struct push_config *loki_push_api, *heroku_drain;
    struct kafka_config *kafka;
    struct gelf_config *gelf;
    const struct yaml_node *windows_events;
    int line; /* in the file */
};

struct target_config {
    int64_t sync_period_ns;
    bool read_stdin;
};

struct file_watch_config {
    int64_t min_poll_ns, max_poll_ns;
};

/* What only the command line says. */
struct promtail_flags {
    const char *config_file;     /* a comma list: the first that exists */
    const char *external_labels; /* a=b,c=d: for all clients */
    bool expand_env, dry_run, inspect, check_syntax, print_config_stderr, log_config_reverse_order,
        version, help;
};

struct promtail_config {
    struct promtail_flags flags;
    struct server_config server;
    struct client_config flag_client; /* the `client` block and the -client. flags */
    struct client_config *clients;
    size_t n_clients;
    struct positions_config positions;
    struct scrape_config *scrapes;
    size_t n_scrapes;
    struct target_config target;
    struct limits_config limits;
    struct file_watch_config watch;
    const char *stream_lag_labels; /* a comma list */
    bool tracing;
    struct wal_config wal;
    const char *file;                                    /* that was read */
    str text;                                            /* of the file, before expansion */
    const struct yaml_node *clients_node, *scrapes_node; /* for /config */
};

/* The whole configuration: defaults, then the file, then the flags.  E_INVALID: a bad flag (exit
 * status 2); any other code: a bad file, ret->flags and ret->text are there as far as they were
 * read.  With -help or -version the file is not read. */
int promtail_config_load(int argc, char **argv, struct arena *a, struct promtail_config *ret,
                         struct error *err);
/* What Promtail checks when it starts: clients, job names, targets; not the stages. */
int promtail_config_check(const struct promtail_config *c, struct error *err);
/* True if both files say the same, whatever their comments and the order of their keys. */
bool promtail_config_is_same(const struct promtail_config *a, const struct promtail_config *b);
/* The URL and how to authenticate. */
int client_config_check(const struct client_config *c, struct error *err);
/* YAML with secrets hidden, for /config and -print-config-stderr. */
void promtail_config_print(const struct promtail_config *c, struct buf *out);
void promtail_config_help(struct buf *out);
void promtail_config_free(struct promtail_config *c); /* regexes; the arena is the caller's */
