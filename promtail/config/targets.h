/* promtail/config/targets.h - the blocks of a job that name its targets and its discovery.
 *
 * Read by the tables in config/targets.c; everything lives in the configuration's arena. */
#pragma once
#include "promtail/config/config.h"

/* --- targets --- */

enum syslog_protocol { SYSLOG_TCP, SYSLOG_UDP, SYSLOG_UNIX };
enum syslog_format { SYSLOG_RFC5424, SYSLOG_RFC3164 };

struct syslog_config {
    const char *listen_address; /* host:port; of a unix socket its path */
    int protocol;               /* enum syslog_protocol */
    int format;                 /* enum syslog_format */
    int64_t idle_timeout_ns;
    bool label_structured_data;
    struct label_list labels;
    bool use_incoming_timestamp;
    bool use_rfc5424_message;
    uint64_t max_message_length; /* bytes; of a counted message or of a datagram */
    struct tls_config tls;
};

struct gelf_config {
    const char *listen_address;
    int protocol; /* SYSLOG_UDP as Promtail's; SYSLOG_TCP is ours */
    struct label_list labels;
    bool use_incoming_timestamp;
};

struct push_config {
    struct server_config server;
    struct label_list labels;
    bool use_incoming_timestamp;
};

struct journal_config {
    const char *max_age; /* a duration; "" is 7h */
    int64_t max_age_ns;
    bool json;
    struct label_list labels;
    const char *path;
    const char *matches; /* FIELD=value, separated by blanks: all must fit */
};

struct kafka_sasl_config {
    const char *mechanism, *user, *password;
    bool use_tls;
    struct tls_config tls;
};

struct kafka_config {
    struct label_list labels;
    bool use_incoming_timestamp;
    struct config_strings brokers, topics; /* a topic that begins with ^ is a pattern */
    const char *group_id;
    const char *version;  /* accepted; the client library finds out by itself */
    const char *assignor; /* range, roundrobin, sticky */
    const char *auth_type;
    struct tls_config tls;
    struct kafka_sasl_config sasl;
};

/* --- discovery --- */

enum kubernetes_role {
    K8S_POD,
    K8S_NODE,
    K8S_SERVICE,
    K8S_ENDPOINTS,
    K8S_ENDPOINTSLICE,
    K8S_INGRESS,
    K8S_ROLES
};

struct kubernetes_selector {
    int role; /* enum kubernetes_role */
    const char *label, *field;
};

struct kubernetes_sd_config {
    const char *api_server; /* "": in a cluster, or as kubeconfig_file says */
    int role;
    const char *kubeconfig_file;
    struct http_config http;
    struct config_strings namespaces;
    bool own_namespace;
    struct kubernetes_selector *selectors;
    size_t n_selectors;
    bool attach_node;
};

struct docker_filter {
    const char *name;
    struct config_strings values;
};

struct docker_sd_config {
    const char *host; /* unix:///var/run/docker.sock, tcp://..., http://... */
    int64_t port;     /* of containers without one */
    struct docker_filter *filters;
    size_t n_filters;
    const char *host_networking_host;
    int64_t refresh_interval_ns;
    bool match_first_network;
    struct http_config http;
};

struct consul_sd_config {
    const char *server, *path_prefix, *token, *datacenter, *namespace_, *partition, *tag_separator,
        *scheme, *username, *password, *filter;
    bool allow_stale;
    int64_t refresh_interval_ns;
    struct config_strings services, tags;
    struct label_list node_meta;
    struct http_config http;
};

enum dns_type { DNS_SRV, DNS_A, DNS_AAAA, DNS_MX, DNS_NS };

struct dns_sd_config {
    struct config_strings names;
    int64_t refresh_interval_ns;
    int type; /* enum dns_type */
    int64_t port;
};
