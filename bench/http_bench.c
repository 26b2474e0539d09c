/* bench/http_bench.c - how fast the HTTP server takes pushes: posts over kept connections to a
 * handler that only answers 204.
 *
 * links: runtime
 *
 * Usage: http_bench [requests] [body bytes] [connections] [worker: 0 or 1] */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "runtime/http_server.h"
#include "runtime/loop.h"
#include "runtime/workers.h"

struct bench {
    struct loop *loop;
    struct http_server *server;
    size_t body_bytes;
    _Atomic long left; /* requests not yet begun */
    _Atomic size_t received;
};

static void answer(void *arg, struct http_request *r)
{
    struct bench *b = arg;
    atomic_fetch_add_explicit(&b->received, http_body(r).len, memory_order_relaxed);
    http_reply(r, 204, NULL, STR_EMPTY);
}

static void *loop_main(void *arg)
{
    loop_run(arg);
    return NULL;
}

static void send_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        ASSERT(sent > 0);
        bytes += sent;
        n -= (size_t)sent;
    }
}

static void *client_main(void *arg)
{
    struct bench *b = arg;
    char head[256];
    int head_len = snprintf(head, sizeof head,
                            "POST /push HTTP/1.1\r\nHost: bench\r\nContent-Length: %zu\r\n"
                            "Content-Type: application/x-protobuf\r\nX-Scope-OrgID: bench\r\n\r\n",
                            b->body_bytes);
    char *request = mem_alloc((size_t)head_len + b->body_bytes);
    memcpy(request, head, (size_t)head_len);
    memset(request + head_len, 'x', b->body_bytes);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(http_server_port(b->server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ASSERT(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    while (atomic_fetch_sub(&b->left, 1) > 0) {
        send_all(fd, request, (size_t)head_len + b->body_bytes);
        char answer_text[4096];
        size_t n = 0;
        do {
            ssize_t got = recv(fd, answer_text + n, sizeof answer_text - n, 0);
            ASSERT(got > 0);
            n += (size_t)got;
        } while (str_find((str){answer_text, n}, STR("\r\n\r\n")) == STR_NPOS);
    }
    close(fd);
    mem_free(request);
    return NULL;
}

static void on_stopped(void *arg)
{
    struct bench *b = arg;
    http_server_free(b->server);
    loop_stop(b->loop);
}

static void stop(void *arg)
{
    struct bench *b = arg;
    http_server_stop(b->server, 1000, on_stopped, b);
}

static uint64_t number_arg(int argc, char **argv, int i, uint64_t def)
{
    uint64_t v = def;
    if (i < argc && !str_to_u64(str_c(argv[i]), &v))
        v = def;
    return v;
}

int main(int argc, char **argv)
{
    uint64_t requests = number_arg(argc, argv, 1, 2833); /* 170 MB in all */
    uint64_t connections = number_arg(argc, argv, 3, 8);
    bool on_worker = number_arg(argc, argv, 4, 0) != 0;
    struct bench b = {.loop = loop_new(), .body_bytes = number_arg(argc, argv, 2, 60000)};
    struct workers *workers = workers_new(b.loop, 2, 1000);
    struct http_server_config config = {.listen_address = "127.0.0.1", .metrics_prefix = "bench"};
    struct error err = {0};
    if (http_server_start(b.loop, workers, &config, &b.server, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    http_route(b.server, "/push", HTTP_POST | (on_worker ? HTTP_ON_WORKER : 0), "push",
               b.body_bytes, answer, &b);
    pthread_t loop_thread, *clients = mem_array(connections, sizeof *clients);
    pthread_create(&loop_thread, NULL, loop_main, b.loop);
    clockid_t loop_clock;
    pthread_getcpuclockid(loop_thread, &loop_clock);

    atomic_store(&b.left, (long)requests);
    int64_t start_ns = clock_mono_ns();
    for (uint64_t i = 0; i < connections; i++)
        pthread_create(&clients[i], NULL, client_main, &b);
    for (uint64_t i = 0; i < connections; i++)
        pthread_join(clients[i], NULL);
    double seconds = (double)(clock_mono_ns() - start_ns) / 1e9;
    struct timespec cpu;
    clock_gettime(loop_clock, &cpu);

    printf("%zu bytes in %.3f s: %.0f requests/s, %.0f MB/s; loop CPU %.3f s\n",
           atomic_load(&b.received), seconds, (double)requests / seconds,
           (double)atomic_load(&b.received) / seconds / 1e6,
           (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
    loop_post(b.loop, stop, &b);
    pthread_join(loop_thread, NULL);
    workers_free(workers);
    loop_free(b.loop);
    mem_free(clients);
    return 0;
}
