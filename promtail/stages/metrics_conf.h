/* promtail/stages/metrics_conf.h - the settings of one metric of a metrics stage. */
#pragma once
#include "promtail/stages/stage.h"
#include "runtime/metrics.h"

enum metric_action {
    METRIC_ACTION_INC,
    METRIC_ACTION_ADD,
    METRIC_ACTION_DEC,
    METRIC_ACTION_SUB,
    METRIC_ACTION_SET,
    METRIC_ACTION_OBSERVE, /* histograms */
};

struct metric_conf {
    str name; /* with its prefix */
    enum metric_type type;
    str description;
    str source; /* an extracted value */
    enum metric_action action;
    bool has_value; /* only records whose source is `value` count */
    str value;
    bool match_all;         /* counters: every record, whatever was extracted */
    bool count_entry_bytes; /* counters: by the length of the line */
    double *buckets;
    size_t n_buckets;
    int64_t max_idle_s;
};

/* Reads and checks `name: {type: ..., config: {...}}`; strings and buckets lie in the arena or the
 * nodes.  E_PARSE with Promtail's texts. */
int metric_conf_read(const struct yaml_node *name, const struct yaml_node *node, struct arena *a,
                     struct metric_conf *ret, struct error *err);
