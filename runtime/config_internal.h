/* runtime/config_internal.h - what the config files share; for runtime/config*.c alone. */
#pragma once
#include "runtime/config.h"

#define CONFIG_FILE_BYTES_MAX (16u << 20)

struct config_reader {
    const struct config_source *source;
    struct arena *arena;
    struct buf errors; /* lines "file:line: key: text" */
    struct buf path;   /* dotted key being read */
    size_t n_errors;
    int first_line;
};

/* One scalar from text into its field, bounds checked.  Text of errors has no position. */
int config_value_parse(const struct config_key *k, str text, struct arena *a, void *field,
                       struct error *err);
/* Sets a scalar or list of strings to the zero of its type. */
void config_value_clear(const struct config_key *k, void *field);
/* The scalar as YAML (secrets hidden unless empty). */
void config_value_print(const struct config_key *k, const void *field, struct buf *out);
const char *config_type_name(enum config_type type); /* "duration" */
/* Reads a map over what `into` holds already. */
int config_read_over(struct config_reader *r, const struct config_key *table,
                     const struct yaml_node *node, void *into);
size_t config_edit_distance(str a, str b);
