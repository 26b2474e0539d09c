/* links: promtail */
/* A line of a Kubernetes watch, and the groups of every role made of its object. */
#include <jansson.h>

#include "base/mem.h"
#include "promtail/discovery/k8s_access.h"
#include "promtail/discovery/k8s_labels.h"
#include "promtail/discovery/k8s_watch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Everything refers to the object itself. */
static const json_t *find(void *arg, const char *ns, const char *name)
{
    (void)ns, (void)name;
    return arg;
}

static const json_t *find_node(void *arg, const char *name)
{
    (void)name;
    return arg;
}

static void build_all(json_t *object)
{
    char key[K8S_KEY_BYTES];
    if (!k8s_object_key(object, key))
        return;
    struct k8s_lookup look = {find, find, find_node, object, true};
    for (int role = 0; role < K8S_ROLES; role++) {
        struct arena a;
        struct target_group group;
        arena_init(&a, SIZE_MAX);
        k8s_group((enum kubernetes_role)role, object, &look, &a, &group);
        for (size_t i = 0; i < group.n_targets; i++)
            ASSERT(label_list_get(&group.targets[i], STR("__address__")).ptr != NULL);
        arena_deinit(&a);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct k8s_event e;
    str text = str_make((const char *)data, size);
    if (k8s_event_read(text, &e, NULL) == 0 && e.object != NULL)
        build_all(e.object);
    k8s_event_deinit(&e);
    struct arena a;
    struct k8s_access access = {0};
    arena_init(&a, 1u << 24);
    k8s_access_read_kubeconfig(text, "/", &a, &access, NULL);
    arena_deinit(&a);
    return 0;
}
