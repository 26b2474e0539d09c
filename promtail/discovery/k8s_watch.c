#include "promtail/discovery/k8s_watch.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/vec.h"
#include "promtail/discovery/k8s_build.h"
#include "runtime/http_client.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define COMPONENT       "kubernetes"
#define PAGE_OBJECTS    500
#define PAGE_BYTES_MAX  (256u << 20)
#define EVENT_BYTES_MAX (16u << 20)
#define OBJECTS_MAX     500000
#define LIST_TIMEOUT_MS 60000
#define WATCH_S         300 /* then the server ends it; spread up to twice that */
#define WATCH_GRACE_MS  30000
#define BACKOFF_MIN_MS  200
#define BACKOFF_MAX_MS  30000
#define QUIET_MS        1000 /* a watch shorter than that backs off before the next */
#define URL_BYTES_MAX   8192

struct object {
    json_t *json;
    unsigned round; /* of the list that named it last */
};

struct k8s_watch {
    struct k8s_watch_config config;
    struct loop_timer *retry;
    struct http_handle *request; /* under way, or NULL */
    struct strmap objects;       /* key -> struct object */
    struct buf pending;          /* the start of an event */
    struct buf url;
    char version[64];
    char *next_page; /* token, NULL on the first */
    unsigned round;
    uint64_t backoff_ms;
    int64_t started_ns;
    bool is_synced, must_list, has_events;
};

/* --- the copy --- */

static void drop_object(struct k8s_watch *w, str key)
{
    struct object *o = strmap_remove(&w->objects, key);
    if (o == NULL)
        return;
    json_decref(o->json);
    mem_free(o);
    w->config.changed(w->config.arg, w, key, NULL);
}

/* What costs memory and no label needs. */
static void trim(json_t *object)
{
    json_object_del(json_object_get(object, "metadata"), "managedFields");
    json_object_del(json_object_get(object, "spec"), "volumes");
    json_object_del(json_object_get(object, "status"), "images"); /* of a node */
}

static void put_object(struct k8s_watch *w, json_t *json)
{
    char key[K8S_KEY_BYTES];
    if (!k8s_object_key(json, key))
        return;
    struct object *o = strmap_get(&w->objects, str_c(key));
    if (o == NULL) {
        if (w->objects.len >= OBJECTS_MAX) {
            log_error(COMPONENT, "too many objects", LOG_C("resource", w->config.resource));
            return;
        }
        o = mem_zalloc(sizeof *o);
        strmap_put(&w->objects, str_c(key), o);
    }
    trim(json);
    json_decref(o->json);
    o->json = json_incref(json);
    o->round = w->round;
    w->config.changed(w->config.arg, w, str_c(key), json);
}

/* After a list: what it did not name is gone. */
static void drop_unnamed(struct k8s_watch *w)
{
    VEC(char *) gone = {0};
    size_t at = 0;
    str key;
    void *item;
    while (strmap_next(&w->objects, &at, &key, &item))
        if (((struct object *)item)->round != w->round)
            VEC_PUSH(&gone, str_dup_c(key));
    for (size_t i = 0; i < gone.len; i++) {
        drop_object(w, str_c(gone.items[i]));
        mem_free(gone.items[i]);
    }
    VEC_FREE(&gone);
}

/* --- requests --- */

static void add_param(struct buf *url, const char *name, const char *value)
{
    if (value[0] == '\0')
        return;
    buf_printf(url, "&%s=", name);
    for (const char *p = value; *p != '\0'; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || strchr("-._~", *p) != NULL;
        buf_printf(url, plain ? "%c" : "%%%02X", (unsigned char)*p);
    }
}

/* The URL of the objects and the selectors; the caller adds more parameters. */
static void begin_url(struct k8s_watch *w)
{
    const struct k8s_watch_config *c = &w->config;
    buf_reset(&w->url);
    buf_printf(&w->url, "%s%s/", c->server, c->api);
    if (c->namespace_[0] != '\0')
        buf_printf(&w->url, "namespaces/%s/", c->namespace_);
    buf_printf(&w->url, "%s?", c->resource);
    add_param(&w->url, "labelSelector", c->label);
    add_param(&w->url, "fieldSelector", c->field);
}

static void on_list(void *arg, int code, int status, str body);
static void on_watch_end(void *arg, int code, int status, str body);
static bool on_watch_data(void *arg, str piece);

static void start_request(struct k8s_watch *w, const struct http_call *call)
{
    w->started_ns = clock_mono_ns();
    w->request = http_client_start(w->config.http, call);
}

static void list(struct k8s_watch *w)
{
    char limit[16];
    snprintf(limit, sizeof limit, "%d", PAGE_OBJECTS);
    if (w->next_page == NULL)
        w->round++;
    begin_url(w);
    /* A few objects of many, a node's pods: the server has them in its cache by that field, while
     * without a version it would read all of them from etcd, for each promtail of the cluster.
     * What that cache lacks yet, the watch brings.  After 410 only the newest will do. */
    if (w->version[0] == '\0' && w->config.field[0] != '\0')
        add_param(&w->url, "resourceVersion", "0");
    add_param(&w->url, "limit", limit);
    add_param(&w->url, "continue", w->next_page != NULL ? w->next_page : "");
    start_request(w, &(struct http_call){.method = "GET",
                                         .url = buf_c(&w->url),
                                         .timeout_ms = LIST_TIMEOUT_MS,
                                         .response_bytes_max = PAGE_BYTES_MAX,
                                         .done = on_list,
                                         .arg = w});
}

static void watch(struct k8s_watch *w)
{
    char seconds[16];
    unsigned s = WATCH_S + (unsigned)(clock_mono_ns() / 1000 % WATCH_S); /* not all at once */
    snprintf(seconds, sizeof seconds, "%u", s);
    buf_reset(&w->pending);
    w->has_events = false;
    begin_url(w);
    add_param(&w->url, "watch", "1");
    add_param(&w->url, "allowWatchBookmarks", "true");
    add_param(&w->url, "resourceVersion", w->version);
    add_param(&w->url, "timeoutSeconds", seconds);
    start_request(w, &(struct http_call){.method = "GET",
                                         .url = buf_c(&w->url),
                                         .timeout_ms = s * 1000 + WATCH_GRACE_MS,
                                         .response_bytes_max = SIZE_MAX,
                                         .on_data = on_watch_data,
                                         .done = on_watch_end,
                                         .arg = w});
}

static void go_on(void *arg)
{
    struct k8s_watch *w = arg;
    if (w->must_list)
        list(w);
    else
        watch(w);
}

static void again_later(struct k8s_watch *w)
{
    w->backoff_ms = MIN(MAX(w->backoff_ms * 2, BACKOFF_MIN_MS), BACKOFF_MAX_MS);
    loop_timer_start(w->retry, w->backoff_ms, 0);
}

static void again_now(struct k8s_watch *w)
{
    w->backoff_ms = 0;
    loop_timer_start(w->retry, 0, 0); /* not from within the client's callback */
}

static void list_anew(struct k8s_watch *w)
{
    mem_free(w->next_page);
    w->next_page = NULL;
    w->must_list = true;
}

static void warn_failure(struct k8s_watch *w, const char *what, int status, const char *why)
{
    log_warn(COMPONENT, what, LOG_C("resource", w->config.resource),
             LOG_C("namespace", w->config.namespace_), LOG_I("status", status), LOG_C("err", why));
}

/* The body is a Status that says in words what was refused; or what the network said. */
static void warn_refusal(struct k8s_watch *w, const char *what, int status, str body)
{
    char text[512];
    json_t *root = json_loadb(body.ptr, body.len, 0, NULL);
    str message = k8s_text(root, "message");
    if (message.len == 0)
        message = body;
    snprintf(text, sizeof text, "%.*s", (int)MIN(message.len, sizeof text - 1), message.ptr);
    json_decref(root);
    warn_failure(w, what, status, text);
}

/* --- list --- */

static int take_page(struct k8s_watch *w, str body, struct error *err)
{
    json_error_t why;
    json_t *root = json_loadb(body.ptr, body.len, 0, &why);
    if (root == NULL)
        return error_set(err, E_PARSE, "list: %s", why.text);
    const json_t *meta = json_object_get(root, "metadata");
    const json_t *items = json_object_get(root, "items");
    const char *next = json_string_value(json_object_get(meta, "continue"));
    const char *version = json_string_value(json_object_get(meta, "resourceVersion"));
    int rc = version == NULL ? error_set(err, E_PARSE, "not a list") : 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(items); i++)
        put_object(w, json_array_get(items, i));
    mem_free(w->next_page);
    w->next_page = next != NULL && next[0] != '\0' ? mem_strdup(next) : NULL;
    if (rc == 0)
        snprintf(w->version, sizeof w->version, "%s", version);
    json_decref(root);
    return rc;
}

static void on_list(void *arg, int code, int status, str body)
{
    struct k8s_watch *w = arg;
    struct error err = {0};
    w->request = NULL;
    int rc = code == 0 && status == 200 ? take_page(w, body, &err) : E_UNAVAILABLE;
    if (rc != 0) {
        warn_refusal(w, "failed to list", status, err.code != 0 ? str_c(err.text) : body);
        list_anew(w); /* a token may have run out: 410 */
        again_later(w);
        return;
    }
    if (w->next_page != NULL) {
        again_now(w);
        return;
    }
    drop_unnamed(w);
    w->must_list = false;
    w->is_synced = true;
    w->config.synced(w->config.arg, w);
    again_now(w);
}

/* --- watch --- */

/* False: the watch is of no use any more. */
static bool take_event(struct k8s_watch *w, str line)
{
    struct k8s_event e;
    struct error err = {0};
    char key[K8S_KEY_BYTES];
    if (k8s_event_read(line, &e, &err) != 0) {
        warn_failure(w, "malformed watch event", 0, err.text);
        list_anew(w);
        return false;
    }
    bool ok = e.kind != K8S_EVENT_ERROR;
    if (!ok) {
        if (e.code != 410)
            warn_failure(w, "watch ended with an error", e.code, "");
        list_anew(w);
    } else if (e.version[0] != '\0')
        snprintf(w->version, sizeof w->version, "%s", e.version);
    if (e.kind == K8S_EVENT_PUT)
        put_object(w, e.object);
    else if (e.kind == K8S_EVENT_DELETE && k8s_object_key(e.object, key))
        drop_object(w, str_c(key));
    w->has_events |= ok;
    k8s_event_deinit(&e);
    return ok;
}

static bool on_watch_data(void *arg, str piece)
{
    struct k8s_watch *w = arg;
    if (!buf_append_str(&w->pending, piece)) {
        warn_failure(w, "watch event too large", 0, "");
        list_anew(w);
        return false;
    }
    size_t at = 0;
    bool ok = true;
    while (ok) {
        str rest = str_from(buf_str(&w->pending), at);
        size_t nl = str_find_char(rest, '\n');
        if (nl == STR_NPOS)
            break;
        if (nl > 0)
            ok = take_event(w, str_sub(rest, 0, nl));
        at += nl + 1;
    }
    memmove(w->pending.ptr, w->pending.ptr + at, w->pending.len - at);
    w->pending.len -= at;
    return ok;
}

static void on_watch_end(void *arg, int code, int status, str body)
{
    struct k8s_watch *w = arg;
    w->request = NULL;
    int64_t lasted_ms = (clock_mono_ns() - w->started_ns) / NS_PER_MS;
    bool failed = code != 0 && code != E_CANCELED && code != E_TIMEOUT;
    if (status == 410)
        list_anew(w);
    else if (failed || (code == 0 && status >= 300)) {
        warn_refusal(w, "failed to watch", status, body);
        again_later(w);
        return;
    }
    if (lasted_ms < QUIET_MS && !w->has_events)
        again_later(w);
    else
        again_now(w);
}

/* --- life --- */

struct k8s_watch *k8s_watch_new(struct loop *l, const struct k8s_watch_config *config)
{
    struct k8s_watch *w = mem_zalloc(sizeof *w);
    w->config = *config;
    w->retry = loop_timer_new(l, go_on, w);
    strmap_init(&w->objects);
    buf_init(&w->pending, EVENT_BYTES_MAX);
    buf_init(&w->url, URL_BYTES_MAX);
    w->must_list = true;
    list(w);
    return w;
}

void k8s_watch_free(struct k8s_watch *w)
{
    size_t at = 0;
    void *item;
    if (w->request != NULL)
        http_handle_cancel(w->request);
    while (strmap_next(&w->objects, &at, NULL, &item)) {
        json_decref(((struct object *)item)->json);
        mem_free(item);
    }
    strmap_deinit(&w->objects);
    loop_timer_free(w->retry);
    buf_deinit(&w->pending);
    buf_deinit(&w->url);
    mem_free(w->next_page);
    mem_free(w);
}

bool k8s_watch_is_synced(const struct k8s_watch *w)
{
    return w->is_synced;
}

const json_t *k8s_watch_get(const struct k8s_watch *w, str key)
{
    const struct object *o = strmap_get(&w->objects, key);
    return o != NULL ? o->json : NULL;
}

bool k8s_watch_next(const struct k8s_watch *w, size_t *at, str *ret_key, const json_t **ret)
{
    void *item;
    if (!strmap_next(&w->objects, at, ret_key, &item))
        return false;
    *ret = ((struct object *)item)->json;
    return true;
}
