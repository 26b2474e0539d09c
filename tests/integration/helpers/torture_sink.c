/* torture_sink - a server for torture_promtail.py: counts each line that arrives, and misbehaves.
 *
 *   torture_sink PORT TROUBLE
 *
 * Repeats (X-Loge-Source, X-Loge-Sequence) are dropped as loge drops them.  Of a thousand pushes
 * TROUBLE are answered 503 unread, as many are taken but the connection is cut instead of an
 * answer, and as many are answered 500 after being taken: what a server that is killed looks like.
 * GET / reports: "<file> <distinct> <doubles>" per file, "gaps <n>" and "repeats <n>". */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "proto/push_proto.h"
#include "proto/snappy.h"

#define CONNECTIONS_MAX 16
#define REQUEST_MAX     (64u << 20)
#define PLAIN_MAX       (256u << 20)
#define FILES_MAX       16384

struct counted {
    VEC(uint8_t) seen; /* by line number */
    uint64_t distinct, doubles;
};

struct connection {
    int fd;
    struct buf in;
};

static struct counted counted[FILES_MAX];
static struct connection connections[CONNECTIONS_MAX];
static struct strmap last_seq; /* source id -> uint64_t */
static uint64_t n_gaps, n_repeats, seed = 1234567;
static uint32_t trouble;

static uint32_t random_below(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % n;
}

static void count_line(str line)
{
    size_t space = str_find_char(line, ' ');
    str rest = str_from(line, space == STR_NPOS ? line.len : space + 1);
    size_t end = str_find_char(rest, ' ');
    uint64_t file, number;
    if (line.len < 2 || line.ptr[0] != 'F' || !str_to_u64(str_sub(line, 1, space), &file) ||
        file >= FILES_MAX || end == STR_NPOS || !str_to_u64(str_sub(rest, 1, end), &number) ||
        number > (1u << 30)) {
        fprintf(stderr, "torture_sink: strange line: %.*s\n", (int)MIN(line.len, 200), line.ptr);
        return;
    }
    struct counted *c = &counted[file];
    while (c->seen.len <= number)
        VEC_PUSH(&c->seen, 0);
    if (c->seen.items[number]) {
        if (c->doubles++ < 3)
            fprintf(stderr, "torture_sink: twice: F%llu N%llu\n", (unsigned long long)file,
                    (unsigned long long)number);
        return;
    }
    c->seen.items[number] = 1;
    c->distinct++;
}

static bool count_push(str body)
{
    struct buf plain;
    struct arena a;
    struct push_request request = {0};
    buf_init(&plain, PLAIN_MAX);
    arena_init(&a, PLAIN_MAX);
    bool ok = snappy_decode(body, &plain) == 0 &&
              push_proto_read(buf_str(&plain), &a, &request, NULL) == 0;
    for (size_t i = 0; ok && i < request.n_streams; i++)
        for (size_t j = 0; j < request.streams[i].n_entries; j++)
            count_line(request.streams[i].entries[j].line);
    arena_deinit(&a);
    buf_deinit(&plain);
    return ok;
}

static str header(str head, const char *name)
{
    while (head.ptr != NULL) {
        str line = str_split(&head, '\n');
        size_t colon = str_find_char(line, ':');
        if (colon != STR_NPOS && str_eq_nocase(str_sub(line, 0, colon), str_c(name)))
            return str_trim(str_from(line, colon + 1));
    }
    return STR_EMPTY;
}

/* True if these numbers were taken before. */
static bool is_repeat(str head)
{
    str source = header(head, "X-Loge-Source");
    uint64_t seq;
    if (source.len == 0 || !str_to_u64(header(head, "X-Loge-Sequence"), &seq))
        return false;
    uint64_t *last = strmap_get(&last_seq, source);
    if (last == NULL) {
        last = mem_zalloc(sizeof *last);
        strmap_put(&last_seq, source, last);
    }
    if (seq <= *last)
        return ++n_repeats, true;
    n_gaps += seq != *last + 1;
    *last = seq;
    return false;
}

static void send_text(int fd, const char *status, str body)
{
    char head[128];
    int n =
        snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", status, body.len);
    if (send(fd, head, (size_t)n, MSG_NOSIGNAL) < 0 ||
        (body.len > 0 && send(fd, body.ptr, body.len, MSG_NOSIGNAL) < 0))
        return;
}

static void report(int fd)
{
    struct buf out;
    buf_init(&out, 1u << 20);
    for (int i = 0; i < FILES_MAX; i++)
        if (counted[i].distinct > 0)
            buf_printf(&out, "%d %llu %llu\n", i, (unsigned long long)counted[i].distinct,
                       (unsigned long long)counted[i].doubles);
    buf_printf(&out, "gaps %llu\nrepeats %llu\n", (unsigned long long)n_gaps,
               (unsigned long long)n_repeats);
    send_text(fd, "200 OK", buf_str(&out));
    buf_deinit(&out);
}

/* "FILE FIRST LAST" for each run of numbers that did not come, as far as greater ones did. */
static void report_missing(int fd)
{
    struct buf out;
    buf_init(&out, 1u << 20);
    for (int i = 0; i < FILES_MAX; i++) {
        const struct counted *c = &counted[i];
        for (size_t n = 0; n < c->seen.len; n++) {
            size_t first = n;
            while (n < c->seen.len && c->seen.items[n] == 0)
                n++;
            if (n > first)
                buf_printf(&out, "%d %zu %zu\n", i, first, n - 1);
        }
    }
    send_text(fd, "200 OK", buf_str(&out));
    buf_deinit(&out);
}

/* False: the connection is to be cut. */
static bool handle(struct connection *c, str head, str body)
{
    if (str_has_prefix(head, STR("GET /missing"))) {
        report_missing(c->fd);
        return true;
    }
    if (str_has_prefix(head, STR("GET "))) {
        report(c->fd);
        return true;
    }
    uint32_t luck = random_below(1000);
    if (luck < trouble) {
        send_text(c->fd, "503 Service Unavailable", STR("not now"));
        return true;
    }
    if (!is_repeat(head) && !count_push(body)) {
        send_text(c->fd, "400 Bad Request", STR("malformed"));
        fprintf(stderr, "torture_sink: malformed push\n");
        return true;
    }
    if (luck < 2 * trouble)
        return false;
    send_text(c->fd, luck < 3 * trouble ? "500 Internal Server Error" : "204 No Content",
              STR_EMPTY);
    return true;
}

/* Handles the whole requests that are there; false: cut. */
static bool handle_all(struct connection *c)
{
    for (;;) {
        str in = buf_str(&c->in);
        size_t end = str_find(in, STR("\r\n\r\n"));
        uint64_t length = 0;
        if (end == STR_NPOS)
            return true;
        str head = str_sub(in, 0, end);
        str_to_u64(header(head, "Content-Length"), &length);
        if (in.len < end + 4 + length)
            return true;
        bool goes_on = handle(c, head, str_sub(in, end + 4, end + 4 + (size_t)length));
        size_t used = end + 4 + (size_t)length;
        memmove(c->in.ptr, c->in.ptr + used, c->in.len - used);
        c->in.len -= used;
        if (!goes_on)
            return false;
    }
}

static bool on_readable(struct connection *c)
{
    if (!buf_reserve(&c->in, 64 * 1024))
        return false;
    ssize_t n = recv(c->fd, c->in.ptr + c->in.len, 64 * 1024, 0);
    if (n <= 0)
        return false;
    c->in.len += (size_t)n;
    return handle_all(c);
}

static int listen_on(const char *port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 16) != 0) {
        perror("torture_sink: listen");
        exit(1);
    }
    return fd;
}

static void add_connection(int fd)
{
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (connections[i].fd < 0) {
            connections[i].fd = fd;
            buf_init(&connections[i].in, REQUEST_MAX);
            return;
        }
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    int listener = listen_on(argv[1]);
    trouble = (uint32_t)strtoul(argv[2], NULL, 10);
    strmap_init(&last_seq);
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        connections[i].fd = -1;
    for (;;) {
        struct pollfd fds[CONNECTIONS_MAX + 1] = {{.fd = listener, .events = POLLIN}};
        for (int i = 0; i < CONNECTIONS_MAX; i++)
            fds[i + 1] = (struct pollfd){.fd = connections[i].fd, .events = POLLIN};
        if (poll(fds, CONNECTIONS_MAX + 1, -1) < 0)
            continue;
        if (fds[0].revents & POLLIN)
            add_connection(accept(listener, NULL, NULL));
        for (int i = 0; i < CONNECTIONS_MAX; i++)
            if (fds[i + 1].revents != 0 && !on_readable(&connections[i])) {
                close(connections[i].fd);
                buf_deinit(&connections[i].in);
                connections[i].fd = -1;
            }
    }
}
