/* promtail/config/tables.h - the tables behind promtail/config/config.h; for this folder alone. */
#pragma once
#include "promtail/config/config.h"

extern const struct config_key config_all_keys[];  /* what the command line may say */
extern const struct config_key config_file_keys[]; /* what the file may say */
extern const struct config_key config_client_keys[];
extern const struct config_key config_server_keys[];

/* {name: text} into a struct label_list, scalars as written, sorted by name. */
int config_read_string_map(struct config_reader *r, const struct yaml_node *node, void *field);
/* `field` points to the array member of struct promtail_config; the count is beside it. */
int config_read_clients(struct config_reader *r, const struct yaml_node *node, void *field);
int config_read_scrapes(struct config_reader *r, const struct yaml_node *node, void *field);
int config_read_relabel(struct config_reader *r, const struct yaml_node *node, void *field);
