/* promtail/discovery/k8s_build.h - pieces that k8s_labels.c and k8s_endpoints.c share; for this
 * folder alone. */
#pragma once
#include "promtail/discovery/k8s_labels.h"

const json_t *k8s_get(const json_t *o, const char *path); /* "spec.nodeName" */
str k8s_text(const json_t *o, const char *path);          /* "" if absent */
void k8s_set(struct label_list *l, struct arena *a, const char *name, str value);
void k8s_set_bool(struct label_list *l, struct arena *a, const char *name, const json_t *value);
void k8s_set_int(struct label_list *l, struct arena *a, const char *name, const json_t *value);
/* <prefix>_<kind>_<key> with the value and <prefix>_<present>_<key> of each pair. */
void k8s_set_map(struct label_list *l, struct arena *a, const char *prefix, const char *kind,
                 const char *present, const json_t *map);
void k8s_set_meta(struct label_list *l, struct arena *a, const char *role, const json_t *object);
void k8s_set_address(struct label_list *l, struct arena *a, str host, const json_t *port);
void k8s_set_node(struct label_list *l, struct arena *a, const struct k8s_lookup *look,
                  const json_t *name);
void k8s_set_pod(struct label_list *l, struct arena *a, const json_t *pod);
void k8s_set_container(struct label_list *l, struct arena *a, const json_t *container,
                       const json_t *port, bool is_init);
void k8s_set_service(struct label_list *l, struct arena *a, const json_t *service);
struct label_list *k8s_add_target(struct target_group *g, struct arena *a);

void k8s_endpoints_group(const json_t *o, const struct k8s_lookup *look, struct arena *a,
                         struct target_group *g);
void k8s_endpointslice_group(const json_t *o, const struct k8s_lookup *look, struct arena *a,
                             struct target_group *g);
