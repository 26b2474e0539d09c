#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "runtime/http_internal.h"
#include "runtime/log.h"

static const char *const method_names[HTTP_M_COUNT] = {"GET",  "POST",    "PUT",   "DELETE",
                                                       "HEAD", "OPTIONS", "PATCH", "other"};

enum http_method_index http_method_index(str method)
{
    for (int i = 0; i < HTTP_M_OTHER; i++) {
        if (str_eq_c(method, method_names[i]))
            return (enum http_method_index)i;
    }
    return HTTP_M_OTHER;
}

static void answer_not_found(void *arg, struct http_request *r)
{
    (void)arg;
    http_reply_header(r, "X-Content-Type-Options", STR("nosniff"));
    http_reply(r, 404, "text/plain; charset=utf-8", STR("404 page not found\n"));
}

static void answer_wrong_method(void *arg, struct http_request *r)
{
    (void)arg;
    http_reply(r, 405, NULL, STR_EMPTY);
}

/* path.Clean: no empty, "." and ".." segments; a slash at the end stays. */
static str clean_path(struct arena *a, str path)
{
    char *out = arena_alloc(a, path.len + 2);
    size_t n = 0;
    str rest = path, segment = STR_EMPTY;
    while (rest.ptr != NULL) {
        segment = str_split(&rest, '/');
        if (segment.len == 0 || str_eq_c(segment, "."))
            continue;
        if (str_eq_c(segment, "..")) {
            while (n > 0 && out[--n] != '/')
                ;
            continue;
        }
        out[n++] = '/';
        memcpy(out + n, segment.ptr, segment.len);
        n += segment.len;
    }
    if (n == 0 || segment.len == 0)
        out[n++] = '/';
    return (str){out, n};
}

/* "//loki/./api" is sent to "/loki/api", as the router of Go programs does. */
static void answer_redirect(void *arg, struct http_request *r)
{
    (void)arg;
    struct buf to;
    buf_init(&to, r->uri.len * 3 + 16);
    str path = clean_path(&r->arena, r->path);
    for (size_t at = 0; at < path.len; at++) { /* escaped but for its slashes */
        if (path.ptr[at] == '/')
            buf_append_char(&to, '/');
        else
            http_path_escape(&to, (str){path.ptr + at, 1});
    }
    if (r->query.len > 0) {
        buf_append_char(&to, '?');
        buf_append_str(&to, r->query);
    }
    http_reply_header(r, "Location", buf_str(&to));
    http_reply(r, 301, NULL, STR_EMPTY);
    buf_deinit(&to);
}

static struct http_route *route_new(const char *path, unsigned flags, const char *name,
                                    size_t body_bytes_max, http_handler *fn, void *arg)
{
    struct http_route *route = mem_zalloc(sizeof *route);
    route->path = mem_strdup(path);
    route->name = mem_strdup(name);
    route->flags = flags;
    route->body_bytes_max = body_bytes_max;
    route->fn = fn;
    route->arg = arg;
    return route;
}

static void route_free(struct http_route *route)
{
    VEC_FREE(&route->cells);
    mem_free(route->path);
    mem_free(route->name);
    mem_free(route);
}

/* Seconds, the steps Loki's dashboards know. */
static const double duration_buckets[] = {.005, .01, .025, .05, .1, .25, .5, 1,
                                          2.5,  5,   10,   25,  50, 100, 0};

static struct metric_family *prefixed_family(const char *prefix, const char *name,
                                             enum metric_type type, const char *help,
                                             const str *labels, size_t n_labels,
                                             const double *buckets)
{
    char full[128];
    int n = snprintf(full, sizeof full, "%s_%s", prefix, name);
    ASSERT(n > 0 && (size_t)n < sizeof full);
    return metric_family_dynamic(str_c(full), type, str_c(help), labels, n_labels, buckets);
}

void http_routes_init(struct http_routes *t, const char *prefix)
{
    const str labels[] = {STR("method"), STR("route"), STR("status_code"), STR("ws")};
    t->duration = prefixed_family(prefix, "request_duration_seconds", METRIC_HISTOGRAM,
                                  "Time (in seconds) spent serving HTTP requests.", labels, 4,
                                  duration_buckets);
    t->inflight = prefixed_family(prefix, "inflight_requests", METRIC_GAUGE,
                                  "Current number of inflight requests.", labels, 2, NULL);
    t->unknown = route_new("", HTTP_NO_ACCESS_LOG, "other", 0, answer_not_found, NULL);
    t->wrong_method = route_new("", HTTP_NO_ACCESS_LOG, "other", 0, answer_wrong_method, NULL);
    t->unclean = route_new("", HTTP_NO_ACCESS_LOG, "other", 0, answer_redirect, NULL);
}

void http_routes_deinit(struct http_routes *t)
{
    for (size_t i = 0; i < t->all.len; i++)
        route_free(t->all.items[i]);
    VEC_FREE(&t->all);
    route_free(t->unknown);
    route_free(t->wrong_method);
    route_free(t->unclean);
}

void http_route_unknown(struct http_server *s, http_handler *fn, void *arg)
{
    s->routes.unknown->fn = fn != NULL ? fn : answer_not_found;
    s->routes.unknown->arg = arg;
}

void http_route(struct http_server *s, const char *path, unsigned flags, const char *route,
                size_t body_bytes_max, http_handler *fn, void *arg)
{
    VEC_PUSH(&s->routes.all, route_new(path, flags, route, body_bytes_max, fn, arg));
}

/* --- matching --- */

static bool is_allowed(const struct http_route *route, enum http_method_index method)
{
    static const unsigned flags[HTTP_M_COUNT] = {HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_DELETE};
    return (route->flags & (flags[method] | HTTP_ANY)) != 0;
}

static bool is_name(str segment)
{
    return segment.len >= 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}';
}

/* Segments are compared before decoding, so that %2F in a name is no separator. */
static bool match(const struct http_route *route, struct http_request *r, str raw_path)
{
    r->n_path_params = 0;
    str pattern = str_c(route->path), path = raw_path;
    while (pattern.ptr != NULL && path.ptr != NULL) {
        if (str_eq_c(pattern, "*"))
            return true;
        str want = str_split(&pattern, '/'), is = str_split(&path, '/');
        if (is_name(want)) {
            if (is.len == 0 || r->n_path_params == HTTP_PATH_PARAMS_MAX)
                return false;
            struct http_param *p = &r->path_params[r->n_path_params++];
            *p = (struct http_param){str_sub(want, 1, want.len - 1), is};
        } else if (!str_eq(want, is)) {
            return false;
        }
    }
    return pattern.ptr == NULL && path.ptr == NULL;
}

static void decode_path_params(struct http_request *r)
{
    str error;
    for (size_t i = 0; i < r->n_path_params; i++)
        http_unescape(r->path_params[i].value, false, &r->arena, &r->path_params[i].value, &error);
}

static bool is_clean(str path)
{
    str rest = path;
    str_split(&rest, '/'); /* nothing is before the first slash */
    while (rest.ptr != NULL) {
        str segment = str_split(&rest, '/');
        if ((segment.len == 0 && rest.ptr != NULL) || str_eq_c(segment, ".") ||
            str_eq_c(segment, ".."))
            return false;
    }
    return path.len > 0 && path.ptr[0] == '/';
}

bool http_routes_is_own(const struct http_routes *t, const struct http_route *route)
{
    return route == t->unknown || route == t->wrong_method || route == t->unclean;
}

struct http_route *http_routes_find(struct http_routes *t, struct http_request *r)
{
    str raw_path = str_sub(r->uri, 0, str_find_char(r->uri, '?'));
    if (!is_clean(r->path))
        return t->unclean;
    bool is_wrong_method = false;
    for (size_t i = 0; i < t->all.len; i++) {
        if (!match(t->all.items[i], r, raw_path))
            continue;
        if (is_allowed(t->all.items[i], r->method_index)) {
            decode_path_params(r);
            return t->all.items[i];
        }
        is_wrong_method = true;
    }
    r->n_path_params = 0;
    return is_wrong_method ? t->wrong_method : t->unknown;
}

/* --- metrics and access log --- */

static struct metric *duration_cell(struct http_server *s, const struct http_request *r)
{
    struct http_route *route = r->route_cells;
    bool is_websocket = r->upgrade_ops != NULL;
    for (size_t i = 0; i < route->cells.len; i++) {
        const struct http_route_cell *c = &route->cells.items[i];
        if (c->method == r->method_index && c->status == r->status &&
            c->is_websocket == is_websocket)
            return c->duration;
    }
    char status[16];
    snprintf(status, sizeof status, "%d", r->status);
    const str values[] = {str_c(method_names[r->method_index]), str_c(route->name), str_c(status),
                          is_websocket ? STR("true") : STR("false")};
    struct metric *m = metric_with(s->routes.duration, values, 4);
    VEC_PUSH(&route->cells, (struct http_route_cell){r->method_index, r->status, is_websocket, m});
    return m;
}

void http_route_begin(struct http_server *s, struct http_request *r)
{
    struct metric **cell = &r->route_cells->inflight[r->method_index];
    if (*cell == NULL)
        *cell = metric_with2(s->routes.inflight, str_c(method_names[r->method_index]),
                             str_c(r->route_cells->name));
    metric_inc(*cell);
}

void http_route_end(struct http_server *s, struct http_request *r)
{
    int64_t took_ns = clock_mono_ns() - r->start_ns;
    metric_add(r->route_cells->inflight[r->method_index], -1);
    metric_observe(duration_cell(s, r), (double)took_ns / (double)NS_PER_S);
    if (!(r->route->flags & HTTP_NO_ACCESS_LOG))
        log_debug("http", "request", LOG_S("method", r->method), LOG_S("path", r->path),
                  LOG_I("status", r->status), LOG_NS("duration", took_ns),
                  LOG_S("remote", r->remote));
}
