#include "runtime/http_server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/http_internal.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define LISTEN_BACKLOG       1024
#define PUMP_ROUNDS_MAX      32 /* of the daemon in one turn of the loop */
#define WATCH_MS             250
#define HEADER_BYTES_DEFAULT ((size_t)128 * 1024)
#define CONNECTIONS_DEFAULT  4096
#define BODY_BYTES_DEFAULT   ((size_t)1 << 30)
#define IDLE_TIMEOUT_DEFAULT 120
#define TLS_FILE_BYTES_MAX   ((size_t)1024 * 1024)

/* --- the daemon in the loop --- */

static void on_timer(uv_timer_t *t);

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* its being there keeps the loop from sleeping; on_prepare does the work */
}

/* What comes after a run.  A daemon that still has work is run again in the next turn of the loop,
 * after everyone else had theirs: by an idle handle, for libuv would call a timer of 0 ms again and
 * again without leaving its timers.  With TLS MHD says "work" all through a handshake, even while
 * the peer is silent; a pause keeps that from burning a core. */
static void schedule(struct http_server *s, bool has_timeout, uint64_t timeout_ms)
{
    bool is_busy = has_timeout && timeout_ms == 0;
    if (is_busy && s->tls_cert == NULL) {
        s->needs_pump = true;
        uv_idle_start(&s->idle, on_idle);
    } else {
        uv_idle_stop(&s->idle);
    }
    if (has_timeout)
        uv_timer_start(&s->timer, on_timer, MAX(timeout_ms, 1), 0);
    else
        uv_timer_stop(&s->timer);
}

/* Lets the daemon work until it says that it waits for the network or for time.  Its epoll
 * descriptor does not tell of what it has read already, hence the question after each round. */
static void pump(struct http_server *s)
{
    if (s->daemon == NULL || s->is_pumping)
        return;
    s->is_pumping = true;
    s->needs_pump = false;
    MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
    bool has_timeout = true;
    for (int i = 0; i < PUMP_ROUNDS_MAX && has_timeout && timeout_ms == 0; i++) {
        MHD_run(s->daemon);
        has_timeout = MHD_get_timeout(s->daemon, &timeout_ms) == MHD_YES;
    }
    s->is_pumping = false;
    schedule(s, has_timeout, timeout_ms);
}

static void on_timer(uv_timer_t *t)
{
    pump(t->data);
}

static void on_poll(uv_poll_t *p, int status, int events)
{
    (void)status;
    (void)events;
    pump(p->data);
}

static void on_prepare(uv_prepare_t *p)
{
    struct http_server *s = p->data;
    if (s->needs_pump)
        pump(s);
}

void http_server_wake(struct http_server *s)
{
    s->needs_pump = true; /* many answers of one turn share one run */
}

/* MHD does not look at suspended connections, so a client that goes away while its request is being
 * handled is found here. */
static void on_watch(uv_timer_t *t)
{
    struct http_server *s = t->data;
    if (s->n_handlers == 0) {
        uv_timer_stop(t);
        return;
    }
    struct pollfd *fds = mem_array(s->n_handlers, sizeof *fds);
    struct http_request **requests = mem_array(s->n_handlers, sizeof(void *));
    nfds_t n = 0;
    for (struct http_request *r = s->requests; r != NULL; r = r->next) {
        if (!r->has_handler || !r->is_suspended || r->fd < 0 || http_is_cancelled(r))
            continue;
        fds[n].fd = r->fd;
        fds[n].events = POLLRDHUP;
        requests[n++] = r;
    }
    if (n > 0 && poll(fds, n, 0) > 0) {
        for (nfds_t i = 0; i < n; i++) {
            if (fds[i].revents != 0)
                http_request_cancel(requests[i]);
        }
    }
    mem_free(requests);
    mem_free(fds);
}

void http_server_watch(struct http_server *s)
{
    if (!uv_is_active((uv_handle_t *)&s->watch))
        uv_timer_start(&s->watch, on_watch, WATCH_MS, WATCH_MS);
}

static void on_connection(void *server, struct MHD_Connection *conn, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    (void)conn;
    (void)socket_context;
    struct http_server *s = server;
    metric_add(s->connections, what == MHD_CONNECTION_NOTIFY_STARTED ? 1 : -1);
}

static void on_daemon_log(void *server, const char *fmt, va_list ap)
{
    (void)server;
    if (!log_is_on(LOG_DEBUG))
        return;
    char text[512];
    vsnprintf(text, sizeof text, fmt, ap);
    log_debug("http", "daemon", LOG_S("text", str_trim(str_c(text))));
}

/* Values are decoded by us, from the URL as it came. */
static size_t keep_escapes(void *cls, struct MHD_Connection *conn, char *text)
{
    (void)cls;
    (void)conn;
    return strlen(text);
}

/* --- start --- */

static int fail_listen(const struct http_server_config *c, const char *what, int errnum,
                       struct error *err)
{
    return error_set(err, E_UNAVAILABLE, "listen tcp %s:%u: %s: %s",
                     c->listen_address ? c->listen_address : "", c->listen_port, what,
                     status_errno_text(errnum));
}

static int listen_on(const struct sockaddr *addr, socklen_t len, const char **ret_what)
{
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *ret_what = "socket";
    if (fd < 0)
        return -1;
    int on = 1, off = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (addr->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    *ret_what = "bind";
    if (bind(fd, addr, len) == 0) {
        *ret_what = "listen";
        if (listen(fd, LISTEN_BACKLOG) == 0)
            return fd;
    }
    int errnum = errno;
    close(fd);
    errno = errnum;
    return -1;
}

/* All addresses: one socket for IPv6 and IPv4, or IPv4 alone where there is no IPv6. */
static int listen_any(uint16_t port, const char **ret_what)
{
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int fd = listen_on((struct sockaddr *)&any6, sizeof any6, ret_what);
    if (fd >= 0 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
        return fd;
    struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    return listen_on((struct sockaddr *)&any4, sizeof any4, ret_what);
}

static int open_listener(const struct http_server_config *c, int *ret_fd, struct error *err)
{
    const char *what = "";
    if (c->listen_address == NULL || c->listen_address[0] == '\0') {
        *ret_fd = listen_any(c->listen_port, &what);
        return *ret_fd >= 0 ? 0 : fail_listen(c, what, errno, err);
    }
    char port[8];
    snprintf(port, sizeof port, "%u", c->listen_port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    int gai = getaddrinfo(c->listen_address, port, &hints, &found);
    if (gai != 0)
        return error_set(err, E_INVALID, "listen tcp: lookup %s: %s", c->listen_address,
                         gai == EAI_NONAME ? "no such host" : gai_strerror(gai));
    *ret_fd = listen_on(found->ai_addr, found->ai_addrlen, &what);
    int errnum = errno;
    freeaddrinfo(found);
    return *ret_fd >= 0 ? 0 : fail_listen(c, what, errnum, err);
}

static int read_pem(const char *pem, const char *path, char **ret, struct error *err)
{
    if (pem != NULL && pem[0] != '\0') {
        *ret = mem_strdup(pem);
        return 0;
    }
    if (path == NULL || path[0] == '\0')
        return 0;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return error_set(err, status_from_errno(errno), "open %s: %s", path,
                         status_errno_text(errno));
    char *text = mem_alloc(TLS_FILE_BYTES_MAX + 1);
    size_t n = fread(text, 1, TLS_FILE_BYTES_MAX, f);
    text[n] = '\0';
    fclose(f);
    *ret = text;
    return 0;
}

static int start_daemon(struct http_server *s, const struct http_server_config *c, int fd,
                        struct error *err)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE |
                     MHD_USE_ERROR_LOG | (s->tls_cert != NULL ? MHD_USE_TLS : 0);
    size_t header_bytes = c->header_bytes_max ? c->header_bytes_max : HEADER_BYTES_DEFAULT;
    unsigned connections =
        c->connections_max ? (unsigned)MIN(c->connections_max, UINT32_MAX) : CONNECTIONS_DEFAULT;
    unsigned idle_s = c->idle_timeout_s ? c->idle_timeout_s : IDLE_TIMEOUT_DEFAULT;
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_LISTEN_SOCKET, fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)connections, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)idle_s, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)header_bytes, NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)http_request_on_completed, s},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, s},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)http_request_on_uri, s},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)keep_escapes, s},
        {s->tls_cert ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, s->tls_cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, s->tls_key},
        {s->tls_ca ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0, s->tls_ca},
        {MHD_OPTION_END, 0, NULL},
    };
    s->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, http_request_on_data, s, MHD_OPTION_EXTERNAL_LOGGER,
                         on_daemon_log, s, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (s->daemon == NULL) {
        close(fd);
        return error_set(err, E_UNAVAILABLE, "cannot start the HTTP server%s",
                         s->tls_cert ? ": check the TLS certificate and key" : "");
    }
    return 0;
}

static void join_loop(struct http_server *s)
{
    uv_loop_t *uv = loop_uv(s->loop);
    int epoll_fd = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    ASSERT(uv_poll_init(uv, &s->poll, epoll_fd) == 0);
    uv_timer_init(uv, &s->timer);
    uv_timer_init(uv, &s->watch);
    uv_timer_init(uv, &s->grace);
    uv_prepare_init(uv, &s->prepare);
    uv_idle_init(uv, &s->idle);
    s->idle.data = s->poll.data = s->timer.data = s->watch.data = s->grace.data = s->prepare.data =
        s;
    uv_poll_start(&s->poll, UV_READABLE, on_poll);
    uv_prepare_start(&s->prepare, on_prepare);
    s->needs_pump = true;
}

static void count_connections(struct http_server *s, const char *prefix)
{
    char name[128];
    const str labels[] = {STR("protocol")};
    int n = snprintf(name, sizeof name, "%s_tcp_connections", prefix);
    ASSERT(n > 0 && (size_t)n < sizeof name);
    s->connections = metric_with1(metric_family_dynamic(str_c(name), METRIC_GAUGE,
                                                        STR("Current number of accepted TCP "
                                                            "connections."),
                                                        labels, 1, NULL),
                                  STR("http"));
}

static void server_destroy(struct http_server *s)
{
    http_routes_deinit(&s->routes);
    mem_free(s->tls_cert);
    mem_free(s->tls_key);
    mem_free(s->tls_ca);
    mem_free(s);
}

int http_server_start(struct loop *l, struct workers *w, const struct http_server_config *c,
                      struct http_server **ret, struct error *err)
{
    signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error of its write, no more */
    struct http_server *s = mem_zalloc(sizeof *s);
    s->loop = l;
    s->workers = w;
    s->body_bytes_max = c->body_bytes_total_max ? c->body_bytes_total_max : BODY_BYTES_DEFAULT;
    s->compress_replies = c->compress_replies;
    const char *prefix = c->metrics_prefix ? c->metrics_prefix : "loge";
    http_routes_init(&s->routes, prefix);
    count_connections(s, prefix);
    int fd = -1;
    int code = read_pem(c->tls_cert_pem, c->tls_cert_file, &s->tls_cert, err);
    if (code == 0)
        code = read_pem(c->tls_key_pem, c->tls_key_file, &s->tls_key, err);
    if (code == 0)
        code = read_pem(c->tls_client_ca_pem, c->tls_client_ca_file, &s->tls_ca, err);
    if (code == 0)
        code = open_listener(c, &fd, err);
    if (code == 0)
        code = start_daemon(s, c, fd, err);
    if (code != 0) {
        server_destroy(s);
        return code;
    }
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    ASSERT(getsockname(fd, (struct sockaddr *)&bound, &len) == 0);
    s->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                : ((struct sockaddr_in *)&bound)->sin_port);
    join_loop(s);
    *ret = s;
    return 0;
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}

/* --- stop --- */

static void on_handle_closed(uv_handle_t *h)
{
    struct http_server *s = h->data;
    if (--s->handles_open > 0)
        return;
    s->is_stopped = true;
    s->stopped(s->stopped_arg);
}

static void close_handle(struct http_server *s, uv_handle_t *h)
{
    s->handles_open++;
    uv_close(h, on_handle_closed);
}

/* The end of all: nothing is suspended, so the daemon may close what is open. */
static void on_finish(uv_timer_t *t)
{
    struct http_server *s = t->data;
    s->is_finishing = false;
    if (s->n_handlers > 0 || s->n_upgraded > 0)
        return; /* one came in between; its end checks again */
    pump(s);
    if (s->n_handlers > 0 || s->n_upgraded > 0)
        return;
    uv_poll_stop(&s->poll);
    s->is_finishing = true; /* no more checks */
    MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
    close_handle(s, (uv_handle_t *)&s->poll);
    close_handle(s, (uv_handle_t *)&s->timer);
    close_handle(s, (uv_handle_t *)&s->watch);
    close_handle(s, (uv_handle_t *)&s->grace);
    close_handle(s, (uv_handle_t *)&s->prepare);
    close_handle(s, (uv_handle_t *)&s->idle);
}

void http_server_check(struct http_server *s)
{
    if (!s->is_stopping || s->is_finishing || s->n_handlers > 0 || s->n_upgraded > 0)
        return;
    if (s->n_requests > 0 && !s->is_grace_over)
        return;
    s->is_finishing = true;
    uv_timer_start(&s->grace, on_finish, 1, 0); /* not from inside a callback of the daemon */
}

static void on_grace_over(uv_timer_t *t)
{
    struct http_server *s = t->data;
    s->is_grace_over = true;
    for (struct http_request *r = s->requests; r != NULL; r = r->next) {
        if (r->has_handler)
            http_request_cancel(r);
        if (r->upgraded != NULL && r->fd >= 0)
            shutdown(r->fd, SHUT_RDWR); /* a peer that does not read must not hold us */
    }
    http_server_check(s);
}

void http_server_stop(struct http_server *s, unsigned grace_ms, void (*done)(void *arg), void *arg)
{
    ASSERT(!s->is_stopping);
    s->is_stopping = true;
    s->stopped = done;
    s->stopped_arg = arg;
    int fd = MHD_quiesce_daemon(s->daemon);
    if (fd >= 0)
        close(fd);
    for (struct http_request *r = s->requests, *next; r != NULL; r = next) {
        next = r->next;
        if (r->upgraded != NULL && !r->is_upgrade_closed)
            r->upgrade_ops->on_shutdown(r->upgrade_arg);
    }
    uv_timer_start(&s->grace, on_grace_over, grace_ms, 0);
    http_server_wake(s);
    http_server_check(s);
}

void http_server_free(struct http_server *s)
{
    if (s == NULL)
        return;
    ASSERT(s->is_stopped);
    ASSERT(s->n_requests == 0);
    server_destroy(s);
}
