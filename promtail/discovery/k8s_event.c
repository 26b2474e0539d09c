/* What a Kubernetes API server sends: objects and the lines of a watch. */
#include <stdio.h>

#include <jansson.h>

#include "promtail/discovery/k8s_watch.h"

bool k8s_object_key(const json_t *object, char out[K8S_KEY_BYTES])
{
    const json_t *meta = json_object_get(object, "metadata");
    const char *name = json_string_value(json_object_get(meta, "name"));
    const char *ns = json_string_value(json_object_get(meta, "namespace"));
    if (name == NULL || name[0] == '\0')
        return false;
    bool has_ns = ns != NULL && ns[0] != '\0';
    int n = snprintf(out, K8S_KEY_BYTES, "%s%s%s", has_ns ? ns : "", has_ns ? "/" : "", name);
    return n > 0 && n < K8S_KEY_BYTES;
}

static bool read_kind(const char *type, enum k8s_event_kind *ret)
{
    static const struct {
        const char *type;
        enum k8s_event_kind kind;
    } kinds[] = {{"ADDED", K8S_EVENT_PUT},
                 {"MODIFIED", K8S_EVENT_PUT},
                 {"DELETED", K8S_EVENT_DELETE},
                 {"BOOKMARK", K8S_EVENT_BOOKMARK},
                 {"ERROR", K8S_EVENT_ERROR}};
    for (size_t i = 0; type != NULL && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(type, kinds[i].type) == 0) {
            *ret = kinds[i].kind;
            return true;
        }
    return false;
}

int k8s_event_read(str line, struct k8s_event *ret, struct error *err)
{
    json_error_t why;
    *ret = (struct k8s_event){0};
    json_t *root = json_loadb(line.ptr, line.len, 0, &why);
    if (root == NULL)
        return error_set(err, E_PARSE, "watch event: %s", why.text);
    json_t *object = json_object_get(root, "object");
    int rc = 0;
    if (!json_is_object(object) ||
        !read_kind(json_string_value(json_object_get(root, "type")), &ret->kind))
        rc = error_set(err, E_PARSE, "not a watch event");
    else if (ret->kind == K8S_EVENT_ERROR)
        ret->code = (int)json_integer_value(json_object_get(object, "code"));
    else {
        const json_t *meta = json_object_get(object, "metadata");
        const char *version = json_string_value(json_object_get(meta, "resourceVersion"));
        snprintf(ret->version, sizeof ret->version, "%s", version != NULL ? version : "");
        ret->object = json_incref(object);
    }
    json_decref(root);
    return rc;
}

void k8s_event_deinit(struct k8s_event *e)
{
    json_decref(e->object);
    e->object = NULL;
}
