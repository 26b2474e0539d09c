/* An HTTP server on a free port with its loop in a thread, and a client that speaks in bytes. */
#pragma once
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "runtime/http_server.h"
#include "runtime/loop.h"
#include "runtime/workers.h"

struct fixture {
    struct loop *loop;
    struct workers *workers;
    struct http_server *server;
    pthread_t thread;
    unsigned grace_ms;
};

static inline void *fixture_main(void *arg)
{
    struct fixture *f = arg;
    loop_run(f->loop);
    return NULL;
}

/* Makes the server; routes are registered between this and fixture_run. */
static inline void fixture_init(struct fixture *f, const struct http_server_config *config,
                                unsigned n_workers, size_t queue_max)
{
    struct http_server_config c = config ? *config : (struct http_server_config){0};
    c.listen_address = "127.0.0.1";
    c.metrics_prefix = "test";
    struct error err = {0};
    f->loop = loop_new();
    f->workers = workers_new(f->loop, n_workers, queue_max);
    f->grace_ms = 2000;
    cr_assert_eq(http_server_start(f->loop, f->workers, &c, &f->server, &err), 0, "%s", err.text);
}

static inline void fixture_run(struct fixture *f)
{
    cr_assert_eq(pthread_create(&f->thread, NULL, fixture_main, f), 0);
}

static inline void fixture_on_stopped(void *arg)
{
    struct fixture *f = arg;
    http_server_free(f->server);
    loop_stop(f->loop);
}

static inline void fixture_on_stop(void *arg)
{
    struct fixture *f = arg;
    http_server_stop(f->server, f->grace_ms, fixture_on_stopped, f);
}

static inline void fixture_stop(struct fixture *f)
{
    loop_post(f->loop, fixture_on_stop, f);
    pthread_join(f->thread, NULL);
    workers_free(f->workers);
    loop_free(f->loop);
}

/* --- raw client --- */

static inline int raw_connect(const struct fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(http_server_port(f->server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static inline void raw_send(int fd, str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        cr_assert_gt(n, 0);
        bytes = str_from(bytes, (size_t)n);
    }
}

/* Appends one piece; false at the end. */
static inline bool raw_recv(int fd, struct buf *in)
{
    char bytes[16384];
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    if (n <= 0)
        return false;
    buf_append(in, bytes, (size_t)n);
    return true;
}

/* Reads until `mark` was seen `times` times or the connection ends. */
static inline void raw_recv_until(int fd, struct buf *in, str mark, int times)
{
    for (;;) {
        int seen = 0;
        for (size_t at = 0, hit; (hit = str_find(str_from(buf_str(in), at), mark)) != STR_NPOS;
             at += hit + mark.len)
            seen++;
        if (seen >= times || !raw_recv(fd, in))
            return;
    }
}

/* One request whose answer ends the connection ("Connection: close" in it). */
static inline struct buf raw_exchange(const struct fixture *f, str request)
{
    struct buf in;
    buf_init(&in, 64 * 1024 * 1024);
    int fd = raw_connect(f);
    raw_send(fd, request);
    while (raw_recv(fd, &in))
        ;
    close(fd);
    return in;
}
