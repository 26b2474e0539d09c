/* promtail/discovery/k8s_watch.h - keeps a copy of one kind of Kubernetes objects up to date.
 *
 * Lists in pages, then watches from the list's resourceVersion; bookmarks move that on.  A watch
 * that ends is taken up where it was; 410 Gone lists again, and what is missing in the new list was
 * deleted.  Failures back off.  Loop thread only. */
#pragma once
#include "base/map.h"
#include "base/status.h"

typedef struct json_t json_t; /* jansson's */

struct http_client;
struct loop;
struct k8s_watch;

struct k8s_watch_config {
    struct http_client *http;
    const char *server;         /* https://host:port */
    const char *api, *resource; /* "/api/v1", "pods" */
    const char *namespace_;     /* "": all */
    const char *label, *field;  /* selectors, "" none */
    /* Object added, changed or (object NULL) deleted; key is namespace/name.  During a list it is
     * called for each too. */
    void (*changed)(void *arg, struct k8s_watch *w, str key, const json_t *object);
    void (*synced)(void *arg, struct k8s_watch *w); /* a list is complete */
    void *arg;
};

struct k8s_watch *k8s_watch_new(struct loop *l, const struct k8s_watch_config *config);
void k8s_watch_free(struct k8s_watch *w); /* before the HTTP client; not from its callbacks */
bool k8s_watch_is_synced(const struct k8s_watch *w); /* the first list came */
const json_t *k8s_watch_get(const struct k8s_watch *w, str key);
bool k8s_watch_next(const struct k8s_watch *w, size_t *at, str *ret_key, const json_t **ret);

/* --- for tests --- */

enum k8s_event_kind { K8S_EVENT_PUT, K8S_EVENT_DELETE, K8S_EVENT_BOOKMARK, K8S_EVENT_ERROR };

struct k8s_event {
    enum k8s_event_kind kind;
    int code; /* of an error: 410 is Gone */
    char version[64];
    json_t *object; /* owned by the event; NULL of an error */
};

#define K8S_KEY_BYTES 512

/* One line of a watch.  E_PARSE if it is none. */
int k8s_event_read(str line, struct k8s_event *ret, struct error *err);
void k8s_event_deinit(struct k8s_event *e);
/* namespace/name, or the name alone; false if the object has none. */
bool k8s_object_key(const json_t *object, char out[K8S_KEY_BYTES]);
