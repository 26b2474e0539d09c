/* Requests of a client as a server sees them. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "promtail/client/metrics.h"
#include "promtail/client/sender.h"
#include "runtime/loop.h"

/* Takes one request and answers it; `head` holds what came. */
struct server {
    int fd;
    uint16_t port;
    pthread_t thread;
    char head[4096];
};

static void *serve(void *arg)
{
    static const char answer[] = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    struct server *s = arg;
    int fd = accept(s->fd, NULL, NULL);
    size_t n = 0;
    while (fd >= 0 && strstr(s->head, "\r\n\r\nbody") == NULL) {
        ssize_t got = read(fd, s->head + n, sizeof s->head - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    cr_expect_eq(write(fd, answer, sizeof answer - 1), (ssize_t)sizeof answer - 1);
    close(fd);
    return NULL;
}

static void server_start(struct server *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    *s = (struct server){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    cr_assert_eq(bind(s->fd, (struct sockaddr *)&at, sizeof at), 0);
    cr_assert_eq(listen(s->fd, 1), 0);
    cr_assert_eq(getsockname(s->fd, (struct sockaddr *)&at, &len), 0);
    s->port = ntohs(at.sin_port);
    cr_assert_eq(pthread_create(&s->thread, NULL, serve, s), 0);
}

struct owner {
    struct loop *loop;
    int status;
};

static enum push_turn next(void *arg, struct push *ret)
{
    struct owner *o = arg;
    *ret = (struct push){.body = STR("body")};
    return o->status == 0 ? PUSH_READY : PUSH_NONE;
}

static void done(void *arg, int status)
{
    struct owner *o = arg;
    o->status = status;
    loop_stop(o->loop);
}

/* What one push of a client with these settings sends; `url` has a %u for the port. */
static void push(struct server *s, const char *url, const char *settings)
{
    char path[] = "/tmp/loge-sender-XXXXXX", flag[64], at[128];
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    server_start(s);
    snprintf(at, sizeof at, url, s->port);
    fprintf(f, "clients: [{url: '%s', %s}]\n", at, settings);
    fclose(f);
    snprintf(flag, sizeof flag, "-config.file=%s", path);
    char *argv[] = {"promtail", flag, NULL};
    struct promtail_config config = {0};
    struct arena arena;
    struct error err = {0};
    arena_init(&arena, 16u << 20);
    cr_assert_eq(promtail_config_load(2, argv, &arena, &config, &err), 0, "%s", err.text);
    unlink(path);
    struct client_metrics metrics;
    struct owner owner = {.loop = loop_new()};
    client_metrics_init(&metrics, STR("h"));
    struct sender *sender = sender_new(
        owner.loop,
        &(struct sender_config){.client = &config.clients[0], .name = "test", .metrics = &metrics},
        &(struct sender_owner){.next = next, .done = done, .arg = &owner});
    sender_wake(sender);
    loop_run(owner.loop);
    cr_expect_eq(owner.status, 204);
    sender_free(sender);
    loop_free(owner.loop);
    pthread_join(s->thread, NULL);
    close(s->fd);
    promtail_config_free(&config);
    arena_deinit(&arena);
}

static void sends(const char *url, const char *settings, const char *header)
{
    struct server s;
    push(&s, url, settings);
    cr_expect(strstr(s.head, header) != NULL, "%s: no %s in\n%s", settings, header, s.head);
}

Test(promtail_sender, a_user_in_the_url_stands_for_other_ways_to_authenticate)
{
    const char *user = "\r\nAuthorization: Basic dTpw\r\n"; /* u:p */
    sends("http://u:p@127.0.0.1:%u/x", "bearer_token: t", user);
    sends("http://u:p@127.0.0.1:%u/x", "authorization: {credentials: t}", user);
    sends("http://u:p@127.0.0.1:%u/x", "basic_auth: {username: a, password: b}", user);
    sends("http://u:p@127.0.0.1:%u/x", "headers: {Authorization: own}",
          "\r\nAuthorization: own\r\n");
}

Test(promtail_sender, a_header_may_be_empty)
{
    sends("http://127.0.0.1:%u/x", "headers: {X-A: ''}", "\r\nX-A:\r\n");
}

Test(promtail_sender, a_user_may_come_from_a_file)
{
    char path[] = "/tmp/loge-user-XXXXXX", settings[128];
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, " u \n", 4), 4);
    close(fd);
    snprintf(settings, sizeof settings, "basic_auth: {username_file: %s, password: p}", path);
    sends("http://127.0.0.1:%u/x", settings, "\r\nAuthorization: Basic dTpw\r\n");
    unlink(path);
}

Test(promtail_sender, headers_may_have_several_values)
{
    struct server s;
    char path[] = "/tmp/loge-header-XXXXXX", settings[160];
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, " f \n", 4), 4);
    close(fd);
    snprintf(settings, sizeof settings,
             "http_headers: {X-A: {secrets: [s], values: [v, w], files: [%s]}}", path);
    push(&s, "http://127.0.0.1:%u/x", settings);
    cr_expect(strstr(s.head, "\r\nX-A: v\r\nX-A: w\r\nX-A: s\r\nX-A: f\r\n") != NULL, "%s", s.head);
    unlink(path);
}
