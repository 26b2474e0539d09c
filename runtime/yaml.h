/* runtime/yaml.h - a YAML document as a tree that knows its lines (libyaml events).
 *
 * Scalars keep their text and whether they were quoted; what they mean (YAML 1.1 booleans, numbers,
 * null) is decided by the reader, as Go's yaml.v2 does; !!binary is decoded, so a text may hold any
 * bytes.  Anchors, aliases and merge keys (<<) are resolved, with a limit on the expanded size. */
#pragma once
#include "base/arena.h"
#include "base/status.h"

enum yaml_kind { YAML_NULL, YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    int line, col; /* from 1 */
    bool is_quoted;
    str text;                 /* scalar */
    struct yaml_node **items; /* list: items; map: values */
    struct yaml_node **keys;  /* map */
    size_t n;
    /* A key that is written and merged too, or merged twice; NULL: none.  The last one stands in
     * the map, as Go reads it into a struct; into a map of its own it refuses that. */
    const struct yaml_node *both;
};

#define YAML_NODES_MAX 1000000
#define YAML_DEPTH_MAX 100

/* Parses one document (an empty one gives a YAML_NULL node).  Errors like Go's:
 * "yaml: line 3: did not find expected key".  Duplicate keys: "key \"x\" already set in map". */
int yaml_load(str text, struct arena *a, struct yaml_node **ret, struct error *err);
struct yaml_node *yaml_get(const struct yaml_node *map, const char *key); /* NULL if absent */
/* YAML 1.1 meaning of a plain scalar; false if it has none of that type. */
bool yaml_bool(const struct yaml_node *n, bool *ret);
bool yaml_int(const struct yaml_node *n, int64_t *ret);  /* 12, 0x1F, 017, 0b11, 1_000 */
bool yaml_float(const struct yaml_node *n, double *ret); /* these too, .inf, .nan */
bool yaml_is_null(const struct yaml_node *n);
