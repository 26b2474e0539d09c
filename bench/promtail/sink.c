/* bench/promtail/sink.c - a server that reads pushes, answers 204 and counts: as cheap as can be.
 *
 * sink PORT.  Each line on standard output: requests and body bytes so far, once a second while
 * something comes.  One thread, poll(2). */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 64
#define BUFFER_BYTES    (256 * 1024)

struct connection {
    int fd;
    char head[16 * 1024];
    size_t head_len;
    size_t body_left;
    int in_body;
};

static struct connection connections[CONNECTIONS_MAX];
static char buffer[BUFFER_BYTES];
static unsigned long long n_requests, n_bytes;

static void answer(struct connection *c)
{
    static const char text[] = "HTTP/1.1 204 No Content\r\n\r\n";
    n_requests++;
    c->in_body = 0;
    c->head_len = 0;
    if (send(c->fd, text, sizeof text - 1, MSG_NOSIGNAL) < 0)
        perror("send");
}

static size_t content_length(const char *head)
{
    for (const char *line = head; (line = strchr(line, '\n')) != NULL;) {
        line++;
        if (strncasecmp(line, "content-length:", 15) == 0)
            return strtoull(line + 15, NULL, 10);
    }
    return 0;
}

/* Takes the head off the front; returns the bytes used. */
static size_t take_head(struct connection *c, const char *p, size_t n)
{
    size_t used = 0;
    while (used < n && c->head_len + 1 < sizeof c->head) {
        c->head[c->head_len++] = p[used++];
        c->head[c->head_len] = '\0';
        if (c->head_len < 4 || memcmp(c->head + c->head_len - 4, "\r\n\r\n", 4) != 0)
            continue;
        c->body_left = content_length(c->head);
        c->in_body = 1;
        if (strcasestr(c->head, "expect: 100-continue") != NULL)
            send(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
        break;
    }
    return used;
}

static int on_readable(struct connection *c)
{
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
    if (n <= 0)
        return -1;
    for (size_t at = 0; at < (size_t)n;) {
        if (!c->in_body) {
            at += take_head(c, buffer + at, (size_t)n - at);
        } else {
            size_t take = (size_t)n - at < c->body_left ? (size_t)n - at : c->body_left;
            c->body_left -= take;
            n_bytes += take;
            at += take;
        }
        if (c->in_body && c->body_left == 0)
            answer(c);
    }
    return 0;
}

static int listen_on(const char *port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((unsigned short)strtoul(port, NULL, 10))};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 64) != 0) {
        perror("listen");
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
            connections[i] = (struct connection){.fd = fd};
            return;
        }
    close(fd);
}

int main(int argc, char **argv)
{
    int listener = listen_on(argc > 1 ? argv[1] : "3199");
    unsigned long long shown = 0;
    time_t last = 0;
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        connections[i].fd = -1;
    for (;;) {
        struct pollfd fds[CONNECTIONS_MAX + 1] = {{.fd = listener, .events = POLLIN}};
        for (int i = 0; i < CONNECTIONS_MAX; i++)
            fds[i + 1] = (struct pollfd){.fd = connections[i].fd, .events = POLLIN};
        poll(fds, CONNECTIONS_MAX + 1, 1000);
        if (fds[0].revents & POLLIN)
            add_connection(accept(listener, NULL, NULL));
        for (int i = 0; i < CONNECTIONS_MAX; i++)
            if (fds[i + 1].revents != 0 && on_readable(&connections[i]) != 0) {
                close(connections[i].fd);
                connections[i].fd = -1;
            }
        if (time(NULL) != last && n_requests != shown) {
            printf("%llu requests %llu bytes\n", n_requests, n_bytes);
            fflush(stdout);
            shown = n_requests;
            last = time(NULL);
        }
    }
}
