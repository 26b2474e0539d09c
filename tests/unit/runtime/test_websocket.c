#include "runtime/websocket.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "http_fixture.h"

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* --- server: sends back what it gets --- */

struct echo {
    struct websocket *ws;
    _Atomic int *n_closed;
};

static void echo_message(void *arg, str message, bool is_text)
{
    struct echo *e = arg;
    cr_assert(is_text);
    if (str_eq_c(message, "bye"))
        websocket_close(e->ws, 1000, STR("good bye"));
    else
        websocket_send(e->ws, message);
}

static void echo_close(void *arg, int code, str reason)
{
    (void)code;
    (void)reason;
    struct echo *e = arg;
    atomic_fetch_add(e->n_closed, 1);
    free(e);
}

static void accept_echo(void *arg, struct http_request *r)
{
    static const struct websocket_ops ops = {echo_message, echo_close};
    struct echo *e = calloc(1, sizeof *e);
    e->n_closed = arg;
    e->ws = websocket_accept(r, &ops, e);
    if (e->ws == NULL)
        free(e);
    else
        websocket_send(e->ws, STR("welcome"));
}

/* --- client, on the server's loop --- */

struct peer {
    struct fixture f;
    char url[64];
    struct websocket *ws;
    struct buf got;
    _Atomic int n_messages;
    _Atomic int open_code, open_status; /* open_code 1: not yet */
    _Atomic int close_code;
    char close_reason[64];
    _Atomic int n_server_closed;
};

static void peer_message(void *arg, str message, bool is_text)
{
    struct peer *p = arg;
    (void)is_text;
    buf_append_str(&p->got, message);
    buf_append_char(&p->got, '|');
    atomic_fetch_add(&p->n_messages, 1);
}

static void peer_close(void *arg, int code, str reason)
{
    struct peer *p = arg;
    memcpy(p->close_reason, reason.ptr, reason.len);
    atomic_store(&p->close_code, code);
}

static void peer_open(void *arg, struct websocket *ws, int code, int http_status, str text)
{
    struct peer *p = arg;
    p->ws = ws;
    if (code != 0)
        buf_append_str(&p->got, text);
    atomic_store(&p->open_status, http_status);
    atomic_store(&p->open_code, code);
}

static void peer_connect(void *arg)
{
    static const struct websocket_ops ops = {peer_message, peer_close};
    struct peer *p = arg;
    websocket_connect(p->f.loop, str_c(p->url), (const char *const[]){"X-Scope-OrgID: me", NULL},
                      peer_open, &ops, p);
}

static void wait_for(_Atomic int *value, bool (*is_reached)(int value, int want), int want)
{
    for (int i = 0; i < 2000 && !is_reached(atomic_load(value), want); i++)
        sleep_ms(5);
    cr_assert(is_reached(atomic_load(value), want), "have %d, want %d", atomic_load(value), want);
}

static bool at_least(int value, int want)
{
    return value >= want;
}

static bool is_not(int value, int want)
{
    return value != want;
}

static void peer_start(struct peer *p, const char *path)
{
    atomic_store(&p->open_code, 1);
    buf_init(&p->got, 64 << 20);
    fixture_init(&p->f, NULL, 1, 16);
    http_route(p->f.server, "/ws", HTTP_GET | HTTP_WEBSOCKET, "ws", 0, accept_echo,
               &p->n_server_closed);
    snprintf(p->url, sizeof p->url, "ws://127.0.0.1:%u%s", http_server_port(p->f.server), path);
    fixture_run(&p->f);
    loop_post(p->f.loop, peer_connect, p);
    wait_for(&p->open_code, is_not, 1);
}

static void peer_stop(struct peer *p)
{
    fixture_stop(&p->f);
    buf_deinit(&p->got);
}

Test(runtime_websocket, echoes_and_closes_with_the_peers_code_and_reason)
{
    static struct peer p;
    peer_start(&p, "/ws?a=b");
    cr_assert_eq(atomic_load(&p.open_code), 0);
    cr_assert_eq(websocket_send(p.ws, STR("one")), 0);
    cr_assert_eq(websocket_send(p.ws, STR("")), 0);
    websocket_ping(p.ws);
    cr_assert_eq(websocket_send(p.ws, STR("two")), 0);
    wait_for(&p.n_messages, at_least, 4);
    cr_assert_eq(websocket_send(p.ws, STR("bye")), 0);
    wait_for(&p.close_code, is_not, 0);
    cr_assert_eq(atomic_load(&p.close_code), 1000);
    cr_assert_str_eq(p.close_reason, "good bye");
    wait_for(&p.n_server_closed, at_least, 1);
    cr_assert(str_eq_c(buf_str(&p.got), "welcome|one||two|"));
    peer_stop(&p);
}

Test(runtime_websocket, carries_messages_up_to_the_limit_and_refuses_larger_ones)
{
    static struct peer p;
    peer_start(&p, "/ws");
    size_t n = 1024 * 1024;
    char *big = malloc(n + 1);
    memset(big, 'x', n + 1);
    cr_assert_eq(websocket_send(p.ws, (str){big, n}), 0);
    wait_for(&p.n_messages, at_least, 2);
    cr_assert_eq(p.got.len, strlen("welcome|") + n + 1);
    cr_assert_eq(websocket_send(p.ws, (str){big, n + 1}), 0);
    wait_for(&p.close_code, is_not, 0);
    cr_assert_eq(atomic_load(&p.close_code), 1009);
    free(big);
    peer_stop(&p);
}

Test(runtime_websocket, closes_with_going_away_when_the_server_stops)
{
    static struct peer p;
    peer_start(&p, "/ws");
    wait_for(&p.n_messages, at_least, 1);
    peer_stop(&p);
    cr_assert_eq(atomic_load(&p.close_code), 1001);
    cr_assert_eq(atomic_load(&p.n_server_closed), 1);
}

Test(runtime_websocket, reports_status_and_text_of_a_refusal)
{
    static struct peer p;
    peer_start(&p, "/nosuch");
    cr_assert_neq(atomic_load(&p.open_code), 0);
    cr_assert_eq(atomic_load(&p.open_status), 404);
    cr_assert(str_eq_c(buf_str(&p.got), "404 page not found\n"));
    peer_stop(&p);
}

Test(runtime_websocket, answers_400_to_a_plain_request)
{
    static struct peer p;
    peer_start(&p, "/nosuch");
    struct buf in =
        raw_exchange(&p.f, STR("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    cr_assert(str_contains(buf_str(&in), STR("HTTP/1.1 400 ")));
    cr_assert(str_has_suffix(buf_str(&in), STR("\r\n\r\nBad Request\n")));
    buf_deinit(&in);
    peer_stop(&p);
}

Test(runtime_websocket, takes_frames_sent_right_behind_the_handshake_and_notices_a_lost_client)
{
    static struct peer p;
    peer_start(&p, "/nosuch");
    int fd = raw_connect(&p.f);
    struct buf in;
    buf_init(&in, 1 << 20);
    raw_send(fd, STR("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n"
                     "Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                     "\x81\x82\x00\x00\x00\x00hi"));
    raw_recv_until(fd, &in, STR("\x81\x02hi"), 1);
    cr_assert(str_contains(buf_str(&in), STR("HTTP/1.1 101 Switching Protocols\r\n")));
    cr_assert(
        str_contains(buf_str(&in), STR("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")));
    cr_assert(str_contains(buf_str(&in), STR("\x81\x07welcome")));
    cr_assert(str_contains(buf_str(&in), STR("\x81\x02hi")));
    close(fd);
    wait_for(&p.n_server_closed, at_least, 1);
    buf_deinit(&in);
    peer_stop(&p);
}
