#include "promtail/targets/listener.h"

#include <netdb.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "base/mem.h"
#include "promtail/targets/peer_names.h"
#include "promtail/targets/tls.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define COMPONENT         "listener"
#define BACKLOG           128
#define CONNECTIONS_MAX   4096
#define READ_BYTES        (64 * 1024)
#define UDP_RECEIVE_BYTES (1 << 20) /* of the kernel, as Promtail asks for */
#define TLS_BYTES_MAX     (1u << 20)
#define RETRY_MS          20
#define ADDRESS_BYTES     160

union stream {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};

struct connection {
    union stream io; /* first: libuv's pointers are ours */
    struct listener *listener;
    struct connection *prev, *next;
    struct loop_timer *idle, *quiet;
    struct tls_conn *tls;
    void *arg; /* what `open` returned */
    char peer[INET6_ADDRSTRLEN];
    bool is_open, is_closing, is_paused;
    uv_getnameinfo_t lookup;
    bool is_looking_up, is_closed; /* freed when the lookup is over and the handle closed */
};

struct listener {
    union {
        union stream io;
        uv_udp_t udp;
    } u; /* first */
    struct loop *loop;
    struct listener_config config;
    const struct listener_ops *ops;
    void *arg;
    struct tls_server *tls;
    struct connection *connections;
    size_t n_connections;
    struct peer_names *names; /* of who sends datagrams; NULL if they are not asked for */
    struct loop_timer *retry; /* looks whether there is room again */
    char *bytes;              /* one read; all callbacks are done with it before the next */
    char text[ADDRESS_BYTES + 8];
    char unix_path[ADDRESS_BYTES];
    bool is_udp_paused, is_stopped, is_handle_closed;
};

/* --- addresses --- */

/* host:port, the host maybe in brackets or absent (all addresses). */
static int split_address(const char *text, char *host, size_t host_size, int *ret_port,
                         struct error *err)
{
    str s = str_c(text);
    uint64_t port;
    size_t colon = str_rfind_char(s, ':');
    if (colon == STR_NPOS)
        return error_set(err, E_INVALID, "listen address %s: missing port in address", text);
    str name = str_sub(s, 0, colon), digits = str_from(s, colon + 1);
    if (name.len >= 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']')
        name = str_sub(name, 1, name.len - 1);
    if (digits.len > 0 && (!str_to_u64(digits, &port) || port > 65535))
        return error_set(err, E_INVALID, "listen address %.*s: invalid port", STR_ARG(digits));
    snprintf(host, host_size, "%.*s", STR_ARG(name));
    *ret_port = digits.len > 0 ? (int)port : 0;
    return 0;
}

static int resolve(struct listener *l, struct sockaddr_storage *ret, struct error *err)
{
    char host[ADDRESS_BYTES];
    int port = 0;
    int rc = split_address(l->config.address, host, sizeof host, &port, err);
    if (rc != 0)
        return rc;
    if (host[0] == '\0') { /* both families, if there are both */
        uv_ip6_addr("::", port, (struct sockaddr_in6 *)ret);
        return 0;
    }
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)ret) == 0 ||
        uv_ip6_addr(host, port, (struct sockaddr_in6 *)ret) == 0)
        return 0;
    uv_getaddrinfo_t req; /* once, at the start */
    int status = uv_getaddrinfo(loop_uv(l->loop), &req, NULL, host, NULL, NULL);
    if (status != 0)
        return error_set(err, E_INVALID, "lookup %s: %s", host, uv_strerror(status));
    memcpy(ret, req.addrinfo->ai_addr, req.addrinfo->ai_addrlen);
    if (ret->ss_family == AF_INET)
        ((struct sockaddr_in *)ret)->sin_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in6 *)ret)->sin6_port = htons((uint16_t)port);
    uv_freeaddrinfo(req.addrinfo);
    return 0;
}

/* As Go prints it: an IPv4 peer of an IPv6 socket as IPv4. */
static void peer_text(const struct sockaddr *addr, char *out, size_t size)
{
    out[0] = '\0';
    if (addr == NULL || (addr->sa_family != AF_INET && addr->sa_family != AF_INET6))
        return;
    uv_ip_name(addr, out, size);
    if (strncmp(out, "::ffff:", 7) == 0 && strchr(out, '.') != NULL)
        memmove(out, out + 7, strlen(out + 7) + 1);
}

/* --- life of a connection --- */

static void free_listener_if_done(struct listener *l)
{
    if (!l->is_stopped || !l->is_handle_closed || l->n_connections > 0)
        return;
    tls_server_free(l->tls);
    mem_free(l->bytes);
    mem_free(l);
}

static void free_connection_if_done(struct connection *c)
{
    if (!c->is_closed || c->is_looking_up)
        return;
    struct listener *l = c->listener;
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        l->connections = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    l->n_connections--;
    loop_timer_free(c->idle);
    loop_timer_free(c->quiet);
    tls_conn_free(c->tls);
    mem_free(c);
    free_listener_if_done(l);
}

static void on_connection_closed(uv_handle_t *h)
{
    struct connection *c = (struct connection *)h;
    c->is_closed = true;
    free_connection_if_done(c);
}

/* The one way a connection ends. */
static void end_connection(struct connection *c, enum listener_end why)
{
    if (c->is_closing)
        return;
    c->is_closing = true;
    loop_timer_stop(c->idle);
    loop_timer_stop(c->quiet);
    if (c->is_open)
        c->listener->ops->close(c->arg, why);
    c->is_open = false;
    if (c->is_looking_up)
        uv_cancel((uv_req_t *)&c->lookup);
    uv_close(&c->io.handle, on_connection_closed);
}

static void on_idle(void *arg)
{
    end_connection(arg, LISTENER_TIMEOUT);
}

static void on_quiet(void *arg)
{
    struct connection *c = arg;
    c->listener->ops->quiet(c->arg);
}

static void touch(struct connection *c)
{
    if (c->listener->ops->quiet != NULL)
        loop_timer_start(c->quiet, LISTENER_QUIET_MS, 0);
    if (c->listener->config.idle_timeout_ms > 0)
        loop_timer_start(c->idle, c->listener->config.idle_timeout_ms, 0);
}

/* --- reading --- */

struct reply {
    uv_write_t req;
    size_t len;
    char bytes[];
};

static void on_written(uv_write_t *req, int status)
{
    (void)status; /* a failed write shows as a failed read */
    mem_free(req);
}

static void send_bytes(struct connection *c, str bytes)
{
    struct reply *r = mem_alloc(sizeof *r + bytes.len);
    memcpy(r->bytes, bytes.ptr, bytes.len);
    uv_buf_t b = uv_buf_init(r->bytes, (unsigned)bytes.len);
    if (uv_write(&r->req, &c->io.stream, &b, 1, on_written) != 0)
        mem_free(r);
}

/* False: the connection is to end. */
static bool take_tls(struct connection *c, str bytes)
{
    struct buf plain, send;
    struct error err = {0};
    buf_init(&plain, TLS_BYTES_MAX);
    buf_init(&send, TLS_BYTES_MAX);
    int rc = tls_conn_feed(c->tls, bytes, &plain, &send, &err);
    if (send.len > 0)
        send_bytes(c, buf_str(&send));
    bool ok = plain.len == 0 || c->listener->ops->data(c->arg, buf_str(&plain));
    if (rc != 0 && rc != E_EOF)
        log_warn(COMPONENT, "error on a TLS connection", LOG_C("peer", c->peer),
                 LOG_C("err", err.text));
    buf_deinit(&plain);
    buf_deinit(&send);
    return ok && rc == 0;
}

static void on_room_timer(void *arg);

static bool is_full(struct listener *l)
{
    return l->ops->is_full != NULL && l->ops->is_full(l->arg);
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *ret)
{
    (void)size;
    struct listener *l = ((struct connection *)h)->listener;
    *ret = uv_buf_init(l->bytes, READ_BYTES);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct connection *c = (struct connection *)s;
    struct listener *l = c->listener;
    if (n < 0) {
        end_connection(c, LISTENER_EOF);
        return;
    }
    if (n == 0)
        return;
    touch(c);
    str bytes = str_make(buf->base, (size_t)n);
    bool ok = c->tls != NULL ? take_tls(c, bytes) : l->ops->data(c->arg, bytes);
    if (!ok)
        end_connection(c, LISTENER_EOF);
    else if (is_full(l)) {
        c->is_paused = true;
        uv_read_stop(s);
        loop_timer_stop(c->idle); /* it is not the peer that is idle */
        loop_timer_stop(c->quiet);
        loop_timer_start(l->retry, RETRY_MS, 0);
    }
}

static void read_on(struct connection *c)
{
    c->is_paused = false;
    touch(c);
    if (uv_read_start(&c->io.stream, on_alloc, on_read) != 0)
        end_connection(c, LISTENER_EOF);
}

static void begin(struct connection *c, const char *host)
{
    c->arg = c->listener->ops->open(c->listener->arg, c->peer, host);
    c->is_open = true;
    read_on(c);
}

static void on_name(uv_getnameinfo_t *req, int status, const char *host, const char *service)
{
    (void)service;
    struct connection *c = CONTAINER_OF(req, struct connection, lookup);
    char name[NI_MAXHOST + 1];
    c->is_looking_up = false;
    if (c->is_closing) {
        free_connection_if_done(c);
        return;
    }
    peer_name_print(status == 0 ? host : "", name, sizeof name);
    begin(c, name);
}

/* --- accepting --- */

static void look_up(struct connection *c, const struct sockaddr *addr)
{
    c->is_looking_up =
        c->listener->config.wants_host && addr != NULL &&
        uv_getnameinfo(loop_uv(c->listener->loop), &c->lookup, on_name, addr, NI_NAMEREQD) == 0;
    if (!c->is_looking_up)
        begin(c, "");
}

static void on_connection(uv_stream_t *server, int status)
{
    struct listener *l = (struct listener *)server;
    if (status != 0) {
        log_warn(COMPONENT, "failed to accept connection", LOG_C("err", uv_strerror(status)));
        return;
    }
    struct connection *c = mem_zalloc(sizeof *c);
    c->listener = l;
    c->idle = loop_timer_new(l->loop, on_idle, c);
    c->quiet = loop_timer_new(l->loop, on_quiet, c);
    if (l->config.protocol == SYSLOG_UNIX)
        uv_pipe_init(loop_uv(l->loop), &c->io.pipe, 0);
    else
        uv_tcp_init(loop_uv(l->loop), &c->io.tcp);
    c->next = l->connections;
    if (c->next != NULL)
        c->next->prev = c;
    l->connections = c;
    l->n_connections++;
    if (uv_accept(server, &c->io.stream) != 0 || l->n_connections > CONNECTIONS_MAX) {
        end_connection(c, LISTENER_EOF);
        return;
    }
    struct sockaddr_storage addr = {0};
    int len = sizeof addr;
    bool has_addr = l->config.protocol == SYSLOG_TCP &&
                    uv_tcp_getpeername(&c->io.tcp, (struct sockaddr *)&addr, &len) == 0;
    peer_text(has_addr ? (struct sockaddr *)&addr : NULL, c->peer, sizeof c->peer);
    if (l->tls != NULL)
        c->tls = tls_conn_new(l->tls);
    look_up(c, has_addr ? (struct sockaddr *)&addr : NULL);
}

/* --- datagrams --- */

static void on_udp_alloc(uv_handle_t *h, size_t size, uv_buf_t *ret)
{
    (void)size;
    *ret = uv_buf_init(((struct listener *)h)->bytes, READ_BYTES);
}

static void on_datagram(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf, const struct sockaddr *addr,
                        unsigned flags)
{
    (void)flags;
    struct listener *l = (struct listener *)udp;
    if (n <= 0 || addr == NULL)
        return;
    char peer[INET6_ADDRSTRLEN];
    peer_text(addr, peer, sizeof peer);
    str bytes = str_make(buf->base, MIN((size_t)n, l->config.datagram_bytes_max));
    if (l->names != NULL)
        peer_names_take(l->names, addr, peer, bytes);
    else
        l->ops->datagram(l->arg, peer, "", bytes);
    if (is_full(l)) { /* the kernel keeps some, then drops: there is nobody to hold up */
        l->is_udp_paused = true;
        uv_udp_recv_stop(udp);
        loop_timer_start(l->retry, RETRY_MS, 0);
    }
}

static void on_room_timer(void *arg)
{
    struct listener *l = arg;
    if (is_full(l)) {
        loop_timer_start(l->retry, RETRY_MS, 0);
        return;
    }
    if (l->is_udp_paused) {
        l->is_udp_paused = false;
        uv_udp_recv_start(&l->u.udp, on_udp_alloc, on_datagram);
    }
    struct connection *next;
    for (struct connection *c = l->connections; c != NULL; c = next) {
        next = c->next;
        if (c->is_paused && !c->is_closing)
            read_on(c);
    }
}

/* --- start and stop --- */

static int listen_udp(struct listener *l, struct error *err)
{
    struct sockaddr_storage addr = {0};
    int rc = resolve(l, &addr, err);
    uv_udp_init(loop_uv(l->loop), &l->u.udp);
    if (rc != 0)
        return rc;
    int status = uv_udp_bind(&l->u.udp, (struct sockaddr *)&addr, 0);
    if (status == 0) {
        int size = UDP_RECEIVE_BYTES;
        uv_recv_buffer_size(&l->u.io.handle, &size); /* what the kernel grants will do */
        status = uv_udp_recv_start(&l->u.udp, on_udp_alloc, on_datagram);
    }
    if (status != 0)
        return error_set(err, E_IO, "listen udp %s: %s", l->config.address, uv_strerror(status));
    return 0;
}

static int listen_tcp(struct listener *l, struct error *err)
{
    struct sockaddr_storage addr = {0};
    int rc = resolve(l, &addr, err);
    uv_tcp_init(loop_uv(l->loop), &l->u.io.tcp);
    if (rc != 0)
        return rc;
    int status = uv_tcp_bind(&l->u.io.tcp, (struct sockaddr *)&addr, 0);
    if (status == 0)
        status = uv_listen(&l->u.io.stream, BACKLOG, on_connection);
    if (status != 0)
        return error_set(err, E_IO, "listen tcp %s: bind: %s", l->config.address,
                         uv_strerror(status));
    return 0;
}

static int listen_unix(struct listener *l, struct error *err)
{
    struct stat st;
    const char *path = l->config.address;
    uv_pipe_init(loop_uv(l->loop), &l->u.io.pipe, 0);
    if (strlen(path) >= sizeof l->unix_path)
        return error_set(err, E_INVALID, "listen unix %s: path too long", path);
    if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path); /* left by the run before */
    int status = uv_pipe_bind(&l->u.io.pipe, path);
    if (status == 0) {
        snprintf(l->unix_path, sizeof l->unix_path, "%s", path);
        status = uv_listen(&l->u.io.stream, BACKLOG, on_connection);
    }
    if (status != 0)
        return error_set(err, E_IO, "listen unix %s: %s", path, uv_strerror(status));
    return 0;
}

static void on_listener_closed(uv_handle_t *h)
{
    struct listener *l = (struct listener *)h;
    l->is_handle_closed = true;
    free_listener_if_done(l);
}

void listener_stop(struct listener *l)
{
    if (l == NULL || l->is_stopped)
        return;
    l->is_stopped = true;
    peer_names_free(l->names);
    l->names = NULL;
    loop_timer_free(l->retry);
    l->retry = NULL;
    if (l->unix_path[0] != '\0')
        unlink(l->unix_path);
    for (struct connection *c = l->connections; c != NULL; c = c->next)
        end_connection(c, LISTENER_STOPPED); /* freed in a later turn of the loop */
    uv_close(&l->u.io.handle, on_listener_closed);
}

int listener_start(struct loop *loop, const struct listener_config *config,
                   const struct listener_ops *ops, void *arg, struct listener **ret,
                   struct error *err)
{
    static const char *const names[] = {"tcp", "udp", "unix"};
    struct listener *l = mem_zalloc(sizeof *l);
    l->loop = loop;
    l->config = *config;
    l->ops = ops;
    l->arg = arg;
    l->bytes = mem_alloc(READ_BYTES);
    l->retry = loop_timer_new(loop, on_room_timer, l);
    snprintf(l->text, sizeof l->text, "%s %s", names[config->protocol], config->address);
    int rc = config->protocol == SYSLOG_UDP   ? listen_udp(l, err)
             : config->protocol == SYSLOG_TCP ? listen_tcp(l, err)
                                              : listen_unix(l, err);
    if (rc == 0 && config->tls != NULL)
        rc = tls_server_new(config->tls, &l->tls, err);
    if (rc != 0) {
        listener_stop(l);
        return rc;
    }
    if (config->protocol == SYSLOG_UDP && config->wants_host)
        l->names = peer_names_new(loop, ops->datagram, arg);
    *ret = l;
    return 0;
}

const char *listener_text(const struct listener *l)
{
    return l->text;
}
