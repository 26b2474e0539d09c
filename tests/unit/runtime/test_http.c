#include <stdatomic.h>
#include <time.h>

#include "base/mem.h"
#include "http_fixture.h"
#include "runtime/metrics.h"

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void answer_body(void *arg, struct http_request *r)
{
    (void)arg;
    http_reply(r, 200, "text/plain", http_body(r));
}

static void answer_length(void *arg, struct http_request *r)
{
    (void)arg;
    http_reply(r, 200, "text/plain", arena_printf(http_arena(r), "%zu", http_body(r).len));
}

static void answer_params(void *arg, struct http_request *r)
{
    (void)arg;
    struct buf out;
    buf_init(&out, 1 << 20);
    for (size_t i = 0; i < http_param_count(r); i++) {
        str name, value;
        http_param_at(r, i, &name, &value);
        buf_printf(&out, "%.*s=%.*s;", STR_ARG(name), STR_ARG(value));
    }
    str error = http_params_error(r);
    if (error.ptr != NULL)
        buf_printf(&out, "error:%.*s", STR_ARG(error));
    http_reply_take(r, 200, "text/plain", &out);
    buf_deinit(&out);
}

static void answer_name(void *arg, struct http_request *r)
{
    (void)arg;
    http_reply(r, 200, NULL,
               arena_printf(http_arena(r), "name=%.*s", STR_ARG(http_path_param(r, "name"))));
}

static bool has_text(const struct buf *b, const char *text)
{
    return str_contains(buf_str(b), str_c(text));
}

#define HEAD "Host: x\r\nConnection: close\r\n"

Test(runtime_http, answers_with_the_body_it_got)
{
    struct fixture f;
    fixture_init(&f, NULL, 1, 16);
    http_route(f.server, "/echo", HTTP_POST, "echo", 1000, answer_body, NULL);
    fixture_run(&f);
    struct buf in =
        raw_exchange(&f, STR("POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 5\r\n\r\nhello"));
    cr_assert(has_text(&in, "HTTP/1.1 200 OK\r\n"));
    cr_assert(has_text(&in, "Content-Type: text/plain\r\n"));
    cr_assert(str_has_suffix(buf_str(&in), STR("\r\n\r\nhello")));
    buf_deinit(&in);
    fixture_stop(&f);
}

Test(runtime_http, knows_unknown_paths_and_wrong_methods)
{
    struct fixture f;
    fixture_init(&f, NULL, 1, 16);
    http_route(f.server, "/echo", HTTP_POST, "echo", 1000, answer_body, NULL);
    fixture_run(&f);
    struct buf in = raw_exchange(&f, STR("GET /nosuch?a=b HTTP/1.1\r\n" HEAD "\r\n"));
    cr_assert(has_text(&in, "HTTP/1.1 404 "));
    cr_assert(str_has_suffix(buf_str(&in), STR("\r\n\r\n404 page not found\n")));
    buf_deinit(&in);
    in = raw_exchange(&f, STR("GET /echo HTTP/1.1\r\n" HEAD "\r\n"));
    cr_assert(has_text(&in, "HTTP/1.1 405 "));
    buf_deinit(&in);
    in = raw_exchange(&f, STR("POST /nosuch HTTP/1.1\r\n" HEAD "Content-Length: 5\r\n\r\nhello"));
    cr_assert(has_text(&in, "HTTP/1.1 404 "));
    buf_deinit(&in);
    in = raw_exchange(&f, STR("GET /%zz HTTP/1.1\r\n" HEAD "\r\n"));
    cr_assert(has_text(&in, "HTTP/1.1 400 "));
    buf_deinit(&in);
    fixture_stop(&f);
}

Test(runtime_http, any_method_is_taken_where_that_is_wanted)
{
    static const char *const methods[] = {"GET", "POST", "DELETE", "OPTIONS", "FETCH"};
    struct fixture f;
    fixture_init(&f, NULL, 1, 16);
    http_route(f.server, "/ready", HTTP_ANY, "ready", 1000, answer_params, NULL);
    fixture_run(&f);
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        char text[128];
        int n = snprintf(text, sizeof text, "%s /ready?a=b HTTP/1.1\r\n" HEAD "\r\n", methods[i]);
        struct buf in = raw_exchange(&f, str_make(text, (size_t)n));
        cr_assert(str_has_suffix(buf_str(&in), STR("\r\n\r\na=b;")), "%s", methods[i]);
        buf_deinit(&in);
    }
    struct buf in = raw_exchange(&f, STR("HEAD /ready?a=b HTTP/1.1\r\n" HEAD "\r\n"));
    cr_assert(has_text(&in, "HTTP/1.1 200 OK\r\n"));
    cr_assert(str_has_suffix(buf_str(&in), STR("\r\n\r\n")), "no body");
    buf_deinit(&in);
    fixture_stop(&f);
}

Test(runtime_http, reads_path_parameters_after_splitting_at_slashes)
{
    struct fixture f;
    fixture_init(&f, NULL, 1, 16);
    http_route(f.server, "/label/{name}/values", HTTP_GET, "label_name_values", 0, answer_name,
               NULL);
    http_route(f.server, "/files/*", HTTP_GET, "files", 0, answer_name, NULL);
    fixture_run(&f);
    struct buf in = raw_exchange(&f, STR("GET /label/a%2Fb+c/values HTTP/1.1\r\n" HEAD "\r\n"));
    cr_assert(str_has_suffix(buf_str(&in), STR("name=a/b+c")));
    buf_deinit(&in);
    in = raw_exchange(&f, STR("GET /label//./a%20b/../values/?x=1 HTTP/1.1\r\n" HEAD "\r\n"));
    cr_assert(has_text(&in, "HTTP/1.1 301 "));
    cr_assert(has_text(&in, "Location: /label/values/?x=1\r\n"));
    buf_deinit(&in);
    in = raw_exchange(&f, STR("GET /files/a/b/c HTTP/1.1\r\n" HEAD "\r\n"));
    cr_assert(has_text(&in, "HTTP/1.1 200 "));
    buf_deinit(&in);
    fixture_stop(&f);
}

Test(runtime_http, merges_form_and_url_parameters_in_order)
{
    struct fixture f;
    fixture_init(&f, NULL, 2, 16);
    http_route(f.server, "/q", HTTP_GET | HTTP_POST | HTTP_ON_WORKER, "q", 1000, answer_params,
               NULL);
    fixture_run(&f);
    struct buf in = raw_exchange(&f, STR("POST /q?b=url&c=%7B+%7D HTTP/1.1\r\n" HEAD
                                         "Content-Type: application/x-www-form-urlencoded; "
                                         "charset=utf-8\r\nContent-Length: 17\r\n\r\n"
                                         "b=form&a=1&a=2%2B"));
    cr_assert(str_has_suffix(buf_str(&in), STR("b=form;a=1;a=2+;b=url;c={ };")));
    buf_deinit(&in);
    in = raw_exchange(&f, STR("GET /q?x=%zz&y=1&z=a;b HTTP/1.1\r\n" HEAD "\r\n"));
    cr_assert(str_has_suffix(buf_str(&in), STR("y=1;error:invalid URL escape \"%zz\"")));
    buf_deinit(&in);
    fixture_stop(&f);
}

Test(runtime_http, keeps_connections_alive_and_answers_pipelined_requests_in_order)
{
    struct fixture f;
    fixture_init(&f, NULL, 2, 16);
    http_route(f.server, "/echo", HTTP_POST | HTTP_ON_WORKER, "echo", 1000, answer_body, NULL);
    fixture_run(&f);
    int fd = raw_connect(&f);
    struct buf in;
    buf_init(&in, 1 << 20);
    raw_send(fd, STR("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfirst"
                     "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nsecond"));
    raw_recv_until(fd, &in, STR("second"), 1);
    cr_assert_lt(str_find(buf_str(&in), STR("first")), str_find(buf_str(&in), STR("second")));
    raw_send(fd, STR("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nthird"));
    raw_recv_until(fd, &in, STR("third"), 1);
    cr_assert(str_has_suffix(buf_str(&in), STR("third")));
    close(fd);
    buf_deinit(&in);
    fixture_stop(&f);
}

Test(runtime_http, takes_chunked_bodies)
{
    struct fixture f;
    fixture_init(&f, NULL, 1, 16);
    http_route(f.server, "/echo", HTTP_POST, "echo", 1000, answer_body, NULL);
    fixture_run(&f);
    struct buf in =
        raw_exchange(&f, STR("POST /echo HTTP/1.1\r\n" HEAD "Transfer-Encoding: chunked\r\n\r\n"
                             "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"));
    cr_assert(str_has_suffix(buf_str(&in), STR("\r\n\r\nhello world")));
    buf_deinit(&in);
    fixture_stop(&f);
}

Test(runtime_http, refuses_bodies_over_the_routes_limit)
{
    struct fixture f;
    fixture_init(&f, NULL, 1, 16);
    http_route(f.server, "/echo", HTTP_POST, "echo", 10, answer_body, NULL);
    fixture_run(&f);
    struct buf in = raw_exchange(
        &f, STR("POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 11\r\n\r\nhello world"));
    cr_assert(has_text(&in, "HTTP/1.1 413 "));
    buf_deinit(&in);
    in = raw_exchange(&f, STR("POST /echo HTTP/1.1\r\n" HEAD "Transfer-Encoding: chunked\r\n\r\n"
                              "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"));
    cr_assert(has_text(&in, "HTTP/1.1 413 "));
    buf_deinit(&in);
    /* Nothing is read of what is declared far too large, or is waiting for a permission. */
    in =
        raw_exchange(&f, STR("POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 99999999999\r\n\r\n"));
    cr_assert(has_text(&in, "HTTP/1.1 413 "));
    buf_deinit(&in);
    in = raw_exchange(&f, STR("POST /echo HTTP/1.1\r\n" HEAD
                              "Content-Length: 11\r\nExpect: 100-continue\r\n\r\n"));
    cr_assert(has_text(&in, "HTTP/1.1 413 "));
    cr_assert_not(has_text(&in, "100 Continue"));
    buf_deinit(&in);
    fixture_stop(&f);
}

Test(runtime_http, bounds_the_bytes_of_all_bodies)
{
    struct fixture f;
    struct http_server_config config = {.body_bytes_total_max = 100};
    fixture_init(&f, &config, 1, 16);
    http_route(f.server, "/echo", HTTP_POST, "echo", 1000, answer_length, NULL);
    fixture_run(&f);
    struct buf request;
    buf_init(&request, 1 << 20);
    buf_printf(&request, "POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 101\r\n\r\n%0101d", 0);
    struct buf in = raw_exchange(&f, buf_str(&request));
    cr_assert(has_text(&in, "HTTP/1.1 503 "));
    cr_assert(has_text(&in, "Retry-After: 1\r\n"));
    buf_deinit(&in);
    for (int i = 0; i < 3; i++) { /* what was taken is given back */
        buf_reset(&request);
        buf_printf(&request, "POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 100\r\n\r\n%0100d", 0);
        in = raw_exchange(&f, buf_str(&request));
        cr_assert(str_has_suffix(buf_str(&in), STR("\r\n\r\n100")));
        buf_deinit(&in);
    }
    buf_deinit(&request);
    fixture_stop(&f);
}

Test(runtime_http, grants_100_continue)
{
    struct fixture f;
    fixture_init(&f, NULL, 1, 16);
    http_route(f.server, "/echo", HTTP_POST, "echo", 1000, answer_body, NULL);
    fixture_run(&f);
    int fd = raw_connect(&f);
    struct buf in;
    buf_init(&in, 1 << 20);
    raw_send(fd, STR("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                     "Content-Length: 5\r\n\r\n"));
    raw_recv_until(fd, &in, STR("\r\n\r\n"), 1);
    cr_assert(has_text(&in, "HTTP/1.1 100 Continue\r\n"));
    raw_send(fd, STR("hello"));
    raw_recv_until(fd, &in, STR("hello"), 1);
    cr_assert(has_text(&in, "HTTP/1.1 200 OK\r\n"));
    close(fd);
    buf_deinit(&in);
    fixture_stop(&f);
}

Test(runtime_http, waits_for_slow_clients_and_drops_those_that_leave)
{
    struct fixture f;
    fixture_init(&f, NULL, 1, 16);
    http_route(f.server, "/echo", HTTP_POST, "echo", 1000, answer_body, NULL);
    fixture_run(&f);
    int leaving = raw_connect(&f);
    raw_send(leaving, STR("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhal"));
    int slow = raw_connect(&f);
    str request = STR("POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 2\r\n\r\nok");
    for (size_t i = 0; i < request.len; i += 7) {
        raw_send(slow, str_sub(request, i, i + 7));
        sleep_ms(1);
    }
    close(leaving);
    struct buf in;
    buf_init(&in, 1 << 20);
    while (raw_recv(slow, &in))
        ;
    cr_assert(str_has_suffix(buf_str(&in), STR("\r\n\r\nok")));
    close(slow);
    buf_deinit(&in);
    fixture_stop(&f);
}

struct waiting {
    _Atomic int state; /* 1: the handler runs, 2: it saw the cancellation */
    int pieces;        /* of 10000 bytes, to be streamed */
};

static void wait_for_cancel(void *arg, struct http_request *r)
{
    struct waiting *w = arg;
    atomic_store(&w->state, 1);
    for (int i = 0; i < 1000 && !http_is_cancelled(r); i++)
        sleep_ms(5);
    if (http_is_cancelled(r))
        atomic_store(&w->state, 2);
    http_reply(r, 499, NULL, STR_EMPTY);
}

static void wait_for_state(struct waiting *w, int state)
{
    for (int i = 0; i < 2000 && atomic_load(&w->state) < state; i++)
        sleep_ms(5);
    cr_assert_eq(atomic_load(&w->state), state);
}

Test(runtime_http, tells_a_worker_that_its_client_has_gone)
{
    struct waiting w = {0};
    struct fixture f;
    fixture_init(&f, NULL, 1, 16);
    http_route(f.server, "/wait", HTTP_GET | HTTP_ON_WORKER, "wait", 0, wait_for_cancel, &w);
    fixture_run(&f);
    int fd = raw_connect(&f);
    raw_send(fd, STR("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"));
    wait_for_state(&w, 1);
    close(fd);
    wait_for_state(&w, 2);
    fixture_stop(&f);
}

Test(runtime_http, cancels_what_still_runs_when_the_grace_is_over)
{
    struct waiting w = {0};
    struct fixture f;
    fixture_init(&f, NULL, 1, 16);
    http_route(f.server, "/wait", HTTP_GET | HTTP_ON_WORKER, "wait", 0, wait_for_cancel, &w);
    fixture_run(&f);
    int fd = raw_connect(&f);
    raw_send(fd, STR("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"));
    wait_for_state(&w, 1);
    f.grace_ms = 50;
    fixture_stop(&f);
    cr_assert_eq(atomic_load(&w.state), 2);
    close(fd);
}

static void answer_slowly(void *arg, struct http_request *r)
{
    struct waiting *w = arg;
    atomic_store(&w->state, 1);
    sleep_ms(100);
    http_reply(r, 200, NULL, STR("done"));
}

Test(runtime_http, finishes_running_requests_before_it_stops)
{
    struct waiting w = {0};
    struct fixture f;
    fixture_init(&f, NULL, 1, 16);
    http_route(f.server, "/slow", HTTP_GET | HTTP_ON_WORKER, "slow", 0, answer_slowly, &w);
    fixture_run(&f);
    int fd = raw_connect(&f), idle = raw_connect(&f);
    raw_send(fd, STR("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"));
    wait_for_state(&w, 1);
    fixture_stop(&f);
    struct buf in;
    buf_init(&in, 1 << 20);
    while (raw_recv(fd, &in))
        ;
    cr_assert(str_has_suffix(buf_str(&in), STR("\r\n\r\ndone")));
    cr_assert(has_text(&in, "Connection: close\r\n"));
    buf_deinit(&in);
    close(fd);
    close(idle);
}

Test(runtime_http, answers_503_when_the_pools_queue_is_full)
{
    struct waiting w = {0};
    struct fixture f;
    fixture_init(&f, NULL, 1, 1);
    http_route(f.server, "/wait", HTTP_GET | HTTP_ON_WORKER, "wait", 0, wait_for_cancel, &w);
    fixture_run(&f);
    int running = raw_connect(&f), queued = raw_connect(&f);
    raw_send(running, STR("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"));
    wait_for_state(&w, 1);
    raw_send(queued, STR("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"));
    sleep_ms(50);
    struct buf in = raw_exchange(&f, STR("GET /wait HTTP/1.1\r\n" HEAD "\r\n"));
    cr_assert(has_text(&in, "HTTP/1.1 503 "));
    cr_assert(has_text(&in, "Retry-After: 1\r\n"));
    buf_deinit(&in);
    close(running);
    close(queued);
    fixture_stop(&f);
}

/* --- streams --- */

static void stream_pieces(void *arg, struct http_request *r)
{
    struct waiting *w = arg;
    char piece[10000];
    memset(piece, 'x', sizeof piece);
    piece[sizeof piece - 1] = '\n';
    int code = http_stream_begin(r, 200, "text/plain");
    if (code != 0) {
        http_reply(r, 499, NULL, STR_EMPTY);
        return;
    }
    for (int i = 0; i < w->pieces && code == 0; i++)
        code = http_stream_write(r, (str){piece, sizeof piece});
    atomic_store(&w->state, code == E_CANCELED ? 2 : 1);
    http_stream_end(r);
}

Test(runtime_http, streams_an_answer_in_chunks)
{
    struct waiting w = {.pieces = 400};
    struct fixture f;
    fixture_init(&f, NULL, 1, 16);
    http_route(f.server, "/stream", HTTP_GET | HTTP_ON_WORKER, "stream", 0, stream_pieces, &w);
    fixture_run(&f);
    struct buf in = raw_exchange(&f, STR("GET /stream HTTP/1.1\r\n" HEAD "\r\n"));
    cr_assert(has_text(&in, "Transfer-Encoding: chunked\r\n"));
    cr_assert(str_has_suffix(buf_str(&in), STR("\r\n0\r\n\r\n")));
    cr_assert_gt(in.len, (size_t)w.pieces * 10000);
    buf_deinit(&in);
    fixture_stop(&f);
}

Test(runtime_http, stops_a_stream_whose_reader_leaves)
{
    struct waiting w = {.pieces = 10000}; /* more than all buffers on the way hold */
    struct fixture f;
    fixture_init(&f, NULL, 1, 16);
    http_route(f.server, "/stream", HTTP_GET | HTTP_ON_WORKER, "stream", 0, stream_pieces, &w);
    fixture_run(&f);
    int fd = raw_connect(&f);
    int small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    raw_send(fd, STR("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"));
    struct buf in;
    buf_init(&in, 1 << 20);
    raw_recv(fd, &in); /* then it blocks: socket buffers and 1 MiB of ours are full */
    sleep_ms(50);
    close(fd);
    wait_for_state(&w, 2);
    buf_deinit(&in);
    fixture_stop(&f);
}

/* --- the rest --- */

Test(runtime_http, compresses_large_answers_when_asked_to)
{
    struct fixture f;
    struct http_server_config config = {.compress_replies = true};
    fixture_init(&f, &config, 1, 16);
    http_route(f.server, "/echo", HTTP_POST, "echo", 100000, answer_body, NULL);
    fixture_run(&f);
    struct buf request;
    buf_init(&request, 1 << 20);
    buf_printf(&request,
               "POST /echo HTTP/1.1\r\n" HEAD
               "Accept-Encoding: br, gzip;q=0.5\r\nContent-Length: 5000\r\n\r\n%05000d",
               7);
    struct buf in = raw_exchange(&f, buf_str(&request)), out;
    cr_assert(has_text(&in, "Content-Encoding: gzip\r\n"));
    str body = str_from(buf_str(&in), str_find(buf_str(&in), STR("\r\n\r\n")) + 4);
    buf_init(&out, 5000);
    cr_assert_eq(http_decode_body(body, STR("gzip"), &out), 0);
    cr_assert_eq(out.len, 5000);
    cr_assert_eq(out.ptr[4999], '7');
    buf_deinit(&out);
    buf_deinit(&in);
    buf_deinit(&request);
    fixture_stop(&f);
}

Test(runtime_http, counts_requests_by_route_and_status)
{
    struct fixture f;
    fixture_init(&f, NULL, 1, 16);
    http_route(f.server, "/echo", HTTP_POST, "echo", 1000, answer_body, NULL);
    http_routes_common(f.server);
    fixture_run(&f);
    struct buf in =
        raw_exchange(&f, STR("POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 2\r\n\r\nok"));
    buf_deinit(&in);
    in = raw_exchange(&f, STR("GET /metrics HTTP/1.1\r\n" HEAD "\r\n"));
    cr_assert(has_text(&in, "test_request_duration_seconds_count{method=\"POST\",route=\"echo\","
                            "status_code=\"200\",ws=\"false\"} 1\n"));
    cr_assert(has_text(&in, "test_inflight_requests{method=\"GET\",route=\"metrics\"} 1\n"));
    cr_assert(has_text(&in, "test_inflight_requests{method=\"POST\",route=\"echo\"} 0\n"));
    cr_assert(has_text(&in, "test_tcp_connections{protocol=\"http\"} "));
    buf_deinit(&in);
    in = raw_exchange(
        &f, STR("POST /log_level?log_level=warn HTTP/1.1\r\n" HEAD "Content-Length: 0\r\n\r\n"));
    cr_assert(has_text(&in, "HTTP/1.1 200 "));
    buf_deinit(&in);
    in = raw_exchange(
        &f, STR("POST /log_level?log_level=%22x HTTP/1.1\r\n" HEAD "Content-Length: 0\r\n\r\n"));
    cr_assert(str_has_suffix(buf_str(&in),
                             STR("\"message\":\"unrecognized log level \\\"\\\\\\\"x\\\"\"}")));
    buf_deinit(&in);
    in = raw_exchange(&f, STR("GET /log_level HTTP/1.1\r\n" HEAD "\r\n"));
    cr_assert(has_text(&in, "Current log level is warn"));
    buf_deinit(&in);
    fixture_stop(&f);
}

Test(runtime_http, says_when_an_address_is_in_use)
{
    struct fixture f;
    fixture_init(&f, NULL, 1, 16);
    fixture_run(&f);
    struct loop *l = loop_new();
    struct http_server *second;
    struct error err = {0};
    struct http_server_config config = {.listen_address = "127.0.0.1",
                                        .listen_port = http_server_port(f.server)};
    cr_assert_eq(http_server_start(l, NULL, &config, &second, &err), E_UNAVAILABLE);
    cr_assert(str_contains(str_c(err.text), STR("bind: address already in use")), "%s", err.text);
    loop_free(l);
    fixture_stop(&f);
}

Test(runtime_http, refuses_headers_over_the_limit)
{
    struct fixture f;
    struct http_server_config config = {.header_bytes_max = 8192};
    fixture_init(&f, &config, 1, 16);
    http_route(f.server, "/echo", HTTP_GET, "echo", 1000, answer_body, NULL);
    fixture_run(&f);
    struct buf request;
    buf_init(&request, 1 << 20);
    buf_printf(&request, "GET /echo?%020000d HTTP/1.1\r\n" HEAD "\r\n", 0);
    struct buf in = raw_exchange(&f, buf_str(&request));
    cr_assert(in.len == 0 || has_text(&in, "HTTP/1.1 4"));
    buf_deinit(&in);
    buf_deinit(&request);
    fixture_stop(&f);
}
