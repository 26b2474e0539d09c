/* cmd/loge_config.h - the configuration of loge: Loki's YAML blocks and flags. */
#pragma once
#include "ingester/config.h"
#include "runtime/config.h"
#include "runtime/limits.h"

struct server_config {
    const char *http_listen_address;
    int64_t http_listen_port;
    int log_level;  /* index into debug, info, warn, error */
    int log_format; /* logfmt, json */
    int64_t graceful_shutdown_timeout_ns;
    int64_t http_idle_timeout_ns;
    const char *tls_cert_file, *tls_key_file, *tls_client_ca_file;
    uint64_t body_bytes_total_max;
};

struct loge_config {
    const char *config_file; /* from the command line only */
    bool expand_env, lenient, verify, print_version, print_help, print_config, print_docs,
        list_targets;

    struct config_strings target;
    bool auth_enabled;
    struct server_config server;
    const char *data_dir;
    struct ingester_config ingester;
    struct limits limits;
    const char *runtime_config_file;
    int64_t runtime_config_period_ns;
    int64_t query_max_concurrent; /* queries at once; the rest wait */
    int64_t query_ingesters_within_ns;
};

extern const struct config_key loge_config_table[];

/* Reads the command line and the file it names.  Flags win over the file.  Errors name file, line
 * and key; warnings (ignored keys) go to `warn`. */
int loge_config_read(struct loge_config *config, int argc, char **argv, struct arena *a,
                     void (*warn)(void *arg, const char *text), struct error *err);
