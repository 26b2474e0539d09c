/* promtail/config/tables.h - the tables behind promtail/config/config.h; for this folder alone. */
#pragma once
#include "promtail/config/config.h"

extern const struct config_key config_all_keys[];  /* what the command line may say */
extern const struct config_key config_file_keys[]; /* what the file may say */
extern const struct config_key config_client_keys[];
extern const struct config_key config_server_keys[];
extern const struct config_key config_basic_auth_keys[], config_authorization_keys[],
    config_tls_keys[], config_oauth2_keys[];

/* Prometheus' HTTPClientConfig, inline in a block of clients and of service discovery. */
#define CONFIG_HTTP_KEYS(type, member)                                                             \
    {"basic_auth", CONFIG_BLOCK, offsetof(struct type, member.basic_auth),                         \
     .table = config_basic_auth_keys},                                                             \
        {"authorization", CONFIG_BLOCK, offsetof(struct type, member.authorization),               \
         .table = config_authorization_keys},                                                      \
        {"oauth2", CONFIG_BLOCK, offsetof(struct type, member.oauth2),                             \
         .table = config_oauth2_keys},                                                             \
        {"bearer_token", CONFIG_SECRET, offsetof(struct type, member.bearer_token), ""},           \
        {"bearer_token_file", CONFIG_STRING, offsetof(struct type, member.bearer_token_file), ""}, \
        {"proxy_url", CONFIG_STRING, offsetof(struct type, member.proxy_url), ""},                 \
        {"tls_config", CONFIG_BLOCK, offsetof(struct type, member.tls), .table = config_tls_keys}, \
        {"follow_redirects", CONFIG_BOOL, offsetof(struct type, member.follow_redirects), "true"}, \
        {"enable_http2", CONFIG_BOOL, offsetof(struct type, member.enable_http2), "true"},         \
        {"no_proxy", CONFIG_IGNORED}, {"proxy_from_environment", CONFIG_IGNORED},                  \
        {"proxy_connect_header", CONFIG_IGNORED},                                                  \
    {                                                                                              \
        "http_headers", CONFIG_CUSTOM, offsetof(struct type, member.headers),                      \
            .custom = config_read_http_headers                                                     \
    }

/* {name: {values: [], secrets: [], files: []}} into a struct label_list. */
int config_read_http_headers(struct config_reader *r, const struct yaml_node *node, void *field);

/* {name: text} into a struct label_list, scalars as written, sorted by name. */
int config_read_string_map(struct config_reader *r, const struct yaml_node *node, void *field);
/* The same for labels, whose names must not be empty. */
int config_read_labels(struct config_reader *r, const struct yaml_node *node, void *field);
/* A list of strings; a scalar is refused. */
int config_read_strings(struct config_reader *r, const struct yaml_node *node, void *field);
/* `field` points to the array member of struct promtail_config; the count is beside it. */
int config_read_clients(struct config_reader *r, const struct yaml_node *node, void *field);
int config_read_scrapes(struct config_reader *r, const struct yaml_node *node, void *field);
/* A list of `item_size`-byte structs, each read by read_item; zeroed before. */
int config_read_list(struct config_reader *r, const struct yaml_node *node, size_t item_size,
                     int (*read_item)(struct config_reader *r, const struct yaml_node *node,
                                      void *item),
                     void *ret_items, size_t *ret_n);
int config_read_relabel(struct config_reader *r, const struct yaml_node *node, void *field);

/* The blocks of targets and discovery (config/targets.c); `field` is the pointer in struct
 * scrape_config, for a list the count stands behind it. */
int config_read_syslog(struct config_reader *r, const struct yaml_node *node, void *field);
int config_read_gelf(struct config_reader *r, const struct yaml_node *node, void *field);
int config_read_push(struct config_reader *r, const struct yaml_node *node, void *field);
int config_read_journal(struct config_reader *r, const struct yaml_node *node, void *field);
int config_read_kafka(struct config_reader *r, const struct yaml_node *node, void *field);
int config_read_kubernetes_sd(struct config_reader *r, const struct yaml_node *node, void *field);
int config_read_docker_sd(struct config_reader *r, const struct yaml_node *node, void *field);
int config_read_consul_sd(struct config_reader *r, const struct yaml_node *node, void *field);
int config_read_consulagent_sd(struct config_reader *r, const struct yaml_node *node, void *field);
int config_read_dns_sd(struct config_reader *r, const struct yaml_node *node, void *field);
