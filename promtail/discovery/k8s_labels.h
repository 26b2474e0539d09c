/* promtail/discovery/k8s_labels.h - target groups with __meta_kubernetes_ labels from objects, as
 * Prometheus makes them.  Pure functions; results live in the arena. */
#pragma once
#include "promtail/config/targets.h"
#include "promtail/discovery/discovery.h"

typedef struct json_t json_t; /* jansson's */

/* How objects of other kinds are found; NULL if there is none. */
struct k8s_lookup {
    const json_t *(*pod)(void *arg, const char *ns, const char *name);
    const json_t *(*service)(void *arg, const char *ns, const char *name);
    const json_t *(*node)(void *arg, const char *name);
    void *arg;
    bool attach_node;
};

/* "pod/ns/name": the source of the group that an object of the role with this key becomes. */
str k8s_group_source(enum kubernetes_role role, str key, struct arena *a);
/* The group of an object; no targets if nothing of it can be one. */
void k8s_group(enum kubernetes_role role, const json_t *object, const struct k8s_lookup *look,
               struct arena *a, struct target_group *ret);
