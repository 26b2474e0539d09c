/* The life of a request: MHD's callbacks, all on the loop's thread. */
#include <gnutls/gnutls.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "runtime/http_internal.h"
#include "runtime/loop.h"
#include "runtime/workers.h"

#define REQUEST_ARENA_BYTES_MAX ((size_t)256 * 1024 * 1024)

/* --- birth and death --- */

static void list_add(struct http_server *s, struct http_request *r)
{
    r->next = s->requests;
    if (r->next != NULL)
        r->next->prev = r;
    s->requests = r;
    s->n_requests++;
}

static void list_remove(struct http_server *s, struct http_request *r)
{
    if (r->prev != NULL)
        r->prev->next = r->next;
    else
        s->requests = r->next;
    if (r->next != NULL)
        r->next->prev = r->prev;
    s->n_requests--;
}

/* The first thing MHD tells about a request: its line, before anything is decoded. */
void *http_request_on_uri(void *server, const char *uri, struct MHD_Connection *conn)
{
    struct http_server *s = server;
    struct http_request *r = mem_zalloc(sizeof *r);
    r->server = s;
    r->conn = conn;
    r->refs = 1;
    r->start_ns = clock_mono_ns();
    arena_init(&r->arena, REQUEST_ARENA_BYTES_MAX);
    r->uri = arena_str(&r->arena, str_c(uri));
    list_add(s, r);
    return r;
}

static void body_drop(struct http_request *r)
{
    r->server->body_bytes -= r->body_counted;
    r->body_counted = 0;
    buf_deinit(&r->body);
}

void http_request_unref(struct http_request *r)
{
    if (--r->refs > 0)
        return;
    struct http_server *s = r->server;
    list_remove(s, r);
    body_drop(r);
    if (r->response != NULL)
        MHD_destroy_response(r->response);
    http_stream_free(r->stream);
    arena_deinit(&r->arena);
    mem_free(r);
    http_server_check(s);
}

void http_request_cancel(struct http_request *r)
{
    atomic_store_explicit(&r->is_cancelled, true, memory_order_release);
    if (r->stream != NULL && r->phase == HTTP_PHASE_SENDING)
        http_stream_wake(r->stream);
}

void http_request_on_completed(void *server, struct MHD_Connection *conn, void **con_cls,
                               enum MHD_RequestTerminationCode why)
{
    (void)conn;
    (void)why;
    struct http_server *s = server;
    struct http_request *r = *con_cls;
    if (r == NULL)
        return;
    *con_cls = NULL;
    r->conn = NULL;
    if (r->has_handler)
        http_request_cancel(r);
    if (r->status != 0 && r->route != NULL)
        http_route_end(s, r);
    else if (r->route != NULL && r->route_cells->inflight[r->method_index] != NULL)
        metric_add(r->route_cells->inflight[r->method_index], -1);
    if (r->upgraded != NULL) {
        r->upgraded = NULL;
        s->n_upgraded--;
    } else if (r->upgrade_ops != NULL) {
        r->upgrade_ops->on_fail(r->upgrade_arg);
    }
    http_request_unref(r);
}

void http_request_suspend(struct http_request *r)
{
    r->is_suspended = true;
    http_server_watch(r->server);
    MHD_suspend_connection(r->conn);
}

void http_request_resume(struct http_request *r)
{
    if (!r->is_suspended || r->conn == NULL)
        return;
    r->is_suspended = false;
    MHD_resume_connection(r->conn);
    http_server_wake(r->server);
}

/* --- headers --- */

static enum MHD_Result take_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    (void)kind;
    struct http_request *r = arg;
    struct http_param h = {arena_str(&r->arena, str_c(name)), arena_str(&r->arena, str_c(value))};
    VEC_PUSH_ARENA(&r->arena, &r->headers.list, h);
    return MHD_YES;
}

static void take_remote(struct http_request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info == NULL || info->client_addr == NULL)
        return;
    const struct sockaddr *addr = info->client_addr;
    char name[INET6_ADDRSTRLEN] = "";
    if (addr->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)addr;
        uv_ip4_name(in, name, sizeof name);
        r->remote = arena_printf(&r->arena, "%s:%u", name, ntohs(in->sin_port));
    } else if (addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)addr;
        uv_ip6_name(in, name, sizeof name);
        /* A dual-stack socket shows IPv4 clients as ::ffff:1.2.3.4. */
        const char *plain = strncmp(name, "::ffff:", 7) == 0 && strchr(name, '.') ? name + 7 : NULL;
        if (plain != NULL)
            r->remote = arena_printf(&r->arena, "%s:%u", plain, ntohs(in->sin6_port));
        else
            r->remote = arena_printf(&r->arena, "[%s]:%u", name, ntohs(in->sin6_port));
    }
}

static bool split_uri(struct http_request *r)
{
    size_t question = str_find_char(r->uri, '?');
    str raw_path = str_sub(r->uri, 0, question);
    r->query = question == STR_NPOS ? STR_EMPTY : str_from(r->uri, question + 1);
    str error;
    return http_unescape(raw_path, false, &r->arena, &r->path, &error) == 0;
}

/* Queues an answer of ours before any handler was called. */
static enum MHD_Result send_refusal(struct http_request *r)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = {{400, "400 Bad Request"},
                 {413, "http: request body too large"},
                 {503, "too many requests in flight"}};
    const char *text = "";
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (texts[i].status == r->refuse_status)
            text = texts[i].text;
    }
    r->in_handler = true; /* reply directly */
    if (r->refuse_status == 503)
        http_reply_header(r, "Retry-After", STR("1"));
    http_reply(r, r->refuse_status, "text/plain; charset=utf-8", str_c(text));
    r->in_handler = false;
    r->phase = HTTP_PHASE_SENDING;
    return MHD_queue_response(r->conn, (unsigned)r->status, r->response);
}

/* Refuses a request whose body has not been read.  A sender that is not waiting for "100 Continue"
 * would see a reset instead of the answer if the connection were closed on its unread body, so a
 * body of bearable size is read and thrown away first. */
static enum MHD_Result refuse(struct http_request *r, int status, uint64_t body_bytes)
{
    r->refuse_status = status;
    if (http_header(r, "Expect").ptr == NULL && body_bytes <= HTTP_SWALLOW_MAX) {
        r->phase = HTTP_PHASE_REFUSED;
        return MHD_YES;
    }
    return send_refusal(r);
}

/* Memory for a body whose length is declared, exactly: the bytes are copied once. */
static int reserve_body(struct http_request *r, uint64_t n)
{
    struct http_server *s = r->server;
    if (n > r->route->body_bytes_max)
        return 413;
    if (n > s->body_bytes_max - MIN(s->body_bytes, s->body_bytes_max))
        return 503;
    if (n == 0)
        return 0;
    r->body.ptr = mem_try_alloc(n);
    if (r->body.ptr == NULL)
        return 503;
    r->body.cap = n;
    return 0;
}

/* MHD asks for a client certificate when it has a CA, but leaves the verdict to its user. */
static bool has_trusted_certificate(const struct http_request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    unsigned problems = 1;
    return info != NULL && info->tls_session != NULL &&
           gnutls_certificate_verify_peers2(info->tls_session, &problems) == 0 && problems == 0;
}

static enum MHD_Result begin(struct http_request *r, const char *method)
{
    struct http_server *s = r->server;
    if (s->tls_ca != NULL && !has_trusted_certificate(r))
        return MHD_NO;
    r->phase = HTTP_PHASE_BODY;
    r->method = arena_str(&r->arena, str_c(method));
    r->method_index = http_method_index(r->method);
    MHD_get_connection_values(r->conn, MHD_HEADER_KIND, take_header, r);
    take_remote(r);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    r->fd = info != NULL ? info->connect_fd : -1;
    bool is_good_uri = split_uri(r);
    r->route_cells = is_good_uri ? http_routes_find(&s->routes, r) : s->routes.unknown;
    r->route = r->route_cells;
    http_route_begin(s, r);

    uint64_t declared = 0;
    str length = http_header(r, "Content-Length");
    bool is_good_length = length.ptr == NULL || str_to_u64(length, &declared);
    bool is_known = !http_routes_is_own(&s->routes, r->route);
    buf_init(&r->body, is_known ? r->route->body_bytes_max : 0);
    if (!is_good_uri || !is_good_length)
        return refuse(r, 400, declared);
    if (!is_known) { /* 404 and 405 matter more than the size of the body */
        r->refuse_status = 0;
        if (declared > 0 || http_header(r, "Transfer-Encoding").ptr != NULL)
            r->phase = HTTP_PHASE_REFUSED;
        return MHD_YES;
    }
    int status = reserve_body(r, declared);
    return status == 0 ? MHD_YES : refuse(r, status, declared);
}

/* --- body --- */

static enum MHD_Result take_body(struct http_request *r, const char *data, size_t n)
{
    struct http_server *s = r->server;
    if (r->phase == HTTP_PHASE_BODY) {
        int status = 0;
        if (n > r->route->body_bytes_max - r->body.len)
            status = 413;
        else if (n > s->body_bytes_max - MIN(s->body_bytes, s->body_bytes_max) ||
                 !buf_append(&r->body, data, n))
            status = 503;
        if (status == 0) {
            r->body_counted += n;
            s->body_bytes += n;
            return MHD_YES;
        }
        body_drop(r);
        r->phase = HTTP_PHASE_REFUSED;
        r->refuse_status = status;
    }
    r->swallowed += n;
    return r->swallowed <= HTTP_SWALLOW_MAX ? MHD_YES : MHD_NO; /* NO closes the connection */
}

/* --- handling --- */

static void handle_on_worker(void *arg)
{
    struct http_request *r = arg;
    r->route->fn(r->route->arg, r);
}

static enum MHD_Result handle(struct http_request *r)
{
    struct http_server *s = r->server;
    r->phase = HTTP_PHASE_HANDLED;
    r->has_handler = true;
    r->refs++;
    s->n_handlers++;
    if ((r->route->flags & HTTP_ON_WORKER) && s->workers != NULL) {
        http_request_suspend(r); /* first: the worker may answer at once */
        if (workers_submit(s->workers, handle_on_worker, NULL, r) == 0)
            return MHD_YES;
        http_reply_header(r, "Retry-After", STR("1"));
        http_reply(r, 503, "text/plain; charset=utf-8", STR("too many outstanding requests"));
        return MHD_YES; /* delivered by a post */
    }
    r->in_handler = true;
    r->route->fn(r->route->arg, r);
    r->in_handler = false;
    if (!r->is_answered) { /* a worker may have answered meanwhile: that waits in the loop's queue
                            */
        http_request_suspend(r);
        return MHD_YES;
    }
    http_reply_deliver(r);
    return MHD_queue_response(r->conn, (unsigned)r->status, r->response);
}

enum MHD_Result http_request_on_data(void *server, struct MHD_Connection *conn, const char *url,
                                     const char *method, const char *version, const char *data,
                                     size_t *data_size, void **con_cls)
{
    (void)server;
    (void)conn;
    (void)url;
    (void)version;
    struct http_request *r = *con_cls;
    if (r->phase == HTTP_PHASE_NEW)
        return begin(r, method);
    if (*data_size > 0) {
        enum MHD_Result result = take_body(r, data, *data_size);
        *data_size = 0;
        return result;
    }
    if (r->phase == HTTP_PHASE_REFUSED && r->refuse_status != 0)
        return send_refusal(r);
    if (r->phase == HTTP_PHASE_BODY || r->phase == HTTP_PHASE_REFUSED)
        return handle(r);
    if (r->response != NULL && r->phase == HTTP_PHASE_SENDING)
        return MHD_queue_response(conn, (unsigned)r->status, r->response);
    return MHD_YES;
}

/* --- what handlers ask --- */

str http_method(const struct http_request *r)
{
    return r->method;
}

str http_path(const struct http_request *r)
{
    return r->path;
}

str http_raw_query(const struct http_request *r)
{
    return r->query;
}

str http_remote_addr(const struct http_request *r)
{
    return r->remote;
}

str http_header(const struct http_request *r, const char *name)
{
    str want = str_c(name);
    for (size_t i = 0; i < r->headers.list.len; i++) {
        if (str_eq_nocase(r->headers.list.items[i].name, want))
            return r->headers.list.items[i].value;
    }
    return (str){0};
}

str http_body(const struct http_request *r)
{
    return buf_str(&r->body);
}

static bool is_form(const struct http_request *r)
{
    if (r->method_index != HTTP_M_POST && r->method_index != HTTP_M_PUT &&
        r->method_index != HTTP_M_PATCH)
        return false;
    str type = http_header(r, "Content-Type");
    if (type.ptr == NULL)
        return false;
    type = str_trim(str_sub(type, 0, str_find_char(type, ';')));
    return str_eq_nocase(type, STR("application/x-www-form-urlencoded"));
}

/* The body's parameters come before the URL's, as in Go's Request.Form. */
static const struct http_params *params(const struct http_request *cr)
{
    struct http_request *r = (struct http_request *)(uintptr_t)cr; /* decoded at first use */
    if (!r->has_params) {
        r->has_params = true;
        if (is_form(r))
            http_params_parse(&r->params, buf_str(&r->body), &r->arena);
        http_params_parse(&r->params, r->query, &r->arena);
    }
    return &r->params;
}

str http_param(const struct http_request *r, const char *name)
{
    return http_params_get(params(r), str_c(name));
}

size_t http_param_count(const struct http_request *r)
{
    return params(r)->list.len;
}

void http_param_at(const struct http_request *r, size_t i, str *ret_name, str *ret_value)
{
    const struct http_params *p = params(r);
    ASSERT(i < p->list.len);
    *ret_name = p->list.items[i].name;
    *ret_value = p->list.items[i].value;
}

str http_params_error(const struct http_request *r)
{
    return params(r)->error;
}

str http_path_param(const struct http_request *r, const char *name)
{
    for (size_t i = 0; i < r->n_path_params; i++) {
        if (str_eq_c(r->path_params[i].name, name))
            return r->path_params[i].value;
    }
    return (str){0};
}

struct arena *http_arena(struct http_request *r)
{
    return &r->arena;
}

struct workers *http_workers(struct http_request *r)
{
    return r->server->workers;
}

bool http_is_cancelled(const struct http_request *r)
{
    return atomic_load_explicit(&r->is_cancelled, memory_order_acquire);
}
