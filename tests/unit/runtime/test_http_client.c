#include "runtime/http_client.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/un.h>

#include "http_fixture.h"

static void answer_request(void *arg, struct http_request *r)
{
    (void)arg;
    struct buf out;
    buf_init(&out, 1 << 20);
    const char *const names[] = {"Authorization", "User-Agent", "Content-Type", "X-Own"};
    buf_printf(&out, "%.*s %.*s\n", STR_ARG(http_method(r)), STR_ARG(http_path(r)));
    for (size_t i = 0; i < 4; i++) {
        str value = http_header(r, names[i]);
        if (value.ptr != NULL)
            buf_printf(&out, "%s: %.*s\n", names[i], STR_ARG(value));
    }
    buf_append_str(&out, http_body(r));
    http_reply_header(r, "X-Answer", STR("forty two"));
    http_reply_take(r, 200, "text/plain", &out);
    buf_deinit(&out);
}

static void answer_redirect(void *arg, struct http_request *r)
{
    (void)arg;
    http_reply_header(r, "Location", STR("/show"));
    http_reply(r, 302, NULL, STR_EMPTY);
}

static void stream_numbers(void *arg, struct http_request *r)
{
    (void)arg;
    int code = http_stream_begin(r, 200, "text/plain");
    if (code != 0) {
        http_reply(r, 499, NULL, STR_EMPTY);
        return;
    }
    for (int i = 0; code == 0; i++)
        code = http_stream_write(r, arena_printf(http_arena(r), "%d\n", i));
    http_stream_end(r);
}

static void never_answer(void *arg, struct http_request *r)
{
    (void)arg;
    while (!http_is_cancelled(r))
        usleep(1000);
    http_reply(r, 499, NULL, STR_EMPTY);
}

static void client_fixture(struct fixture *f)
{
    fixture_init(f, NULL, 2, 16);
    http_route(f->server, "/show", HTTP_GET | HTTP_POST | HTTP_DELETE, "show", 1 << 20,
               answer_request, NULL);
    http_route(f->server, "/moved", HTTP_GET, "moved", 0, answer_redirect, NULL);
    http_route(f->server, "/stream", HTTP_GET | HTTP_ON_WORKER, "stream", 0, stream_numbers, NULL);
    http_route(f->server, "/never", HTTP_GET | HTTP_ON_WORKER, "never", 0, never_answer, NULL);
    fixture_run(f);
}

static const char *url(const struct fixture *f, const char *path)
{
    static char text[128];
    snprintf(text, sizeof text, "http://127.0.0.1:%u%s", http_server_port(f->server), path);
    return text;
}

Test(runtime_http_client, fetches_with_method_headers_body_and_credentials)
{
    struct fixture f;
    client_fixture(&f);
    struct http_client_config config = {
        .user_agent = "loge/1", .username = "user", .password = "pass"};
    struct http_call call = {.method = "POST",
                             .url = url(&f, "/show"),
                             .headers = (const char *const[]){"X-Own: 1", NULL},
                             .body = STR("body")};
    struct buf body;
    struct error err = {0};
    int status = 0;
    buf_init(&body, 1 << 20);
    cr_assert_eq(http_client_fetch(&config, &call, &status, &body, &err), 0, "%s", err.text);
    cr_assert_eq(status, 200);
    cr_assert_str_eq(buf_c(&body), "POST /show\nAuthorization: Basic dXNlcjpwYXNz\n"
                                   "User-Agent: loge/1\nX-Own: 1\nbody");
    buf_reset(&body);
    config = (struct http_client_config){.bearer_token = "t0ken"};
    call = (struct http_call){.method = "DELETE", .url = url(&f, "/show")};
    cr_assert_eq(http_client_fetch(&config, &call, &status, &body, &err), 0);
    cr_assert_str_eq(buf_c(&body), "DELETE /show\nAuthorization: Bearer t0ken\n");
    buf_deinit(&body);
    fixture_stop(&f);
}

Test(runtime_http_client, follows_redirects_only_when_told_to)
{
    struct fixture f;
    client_fixture(&f);
    struct http_client_config config = {0};
    struct http_call call = {.url = url(&f, "/moved")};
    struct buf body;
    int status = 0;
    buf_init(&body, 1 << 20);
    cr_assert_eq(http_client_fetch(&config, &call, &status, &body, NULL), 0);
    cr_assert_eq(status, 302);
    config.follow_redirects = true;
    cr_assert_eq(http_client_fetch(&config, &call, &status, &body, NULL), 0);
    cr_assert_eq(status, 200);
    buf_deinit(&body);
    fixture_stop(&f);
}

Test(runtime_http_client, tells_why_it_failed)
{
    struct fixture f;
    client_fixture(&f);
    struct http_client_config config = {0};
    struct buf body;
    struct error err = {0};
    int status = 0;
    buf_init(&body, 1 << 20);
    struct http_call call = {.url = url(&f, "/never"), .timeout_ms = 50};
    cr_assert_eq(http_client_fetch(&config, &call, &status, &body, &err), E_TIMEOUT);
    cr_assert(str_contains(str_c(err.text), STR("timed out")), "%s", err.text);
    error_clear(&err);
    call = (struct http_call){.method = "POST",
                              .url = url(&f, "/show"),
                              .body = STR("0123456789"),
                              .response_bytes_max = 5};
    cr_assert_eq(http_client_fetch(&config, &call, &status, &body, &err), E_TOO_LARGE);
    error_clear(&err);
    call = (struct http_call){.url = "http://127.0.0.1:1/"};
    cr_assert_eq(http_client_fetch(&config, &call, &status, &body, &err), E_UNAVAILABLE);
    error_clear(&err);
    call = (struct http_call){.url = "gopher://127.0.0.1/"};
    cr_assert_eq(http_client_fetch(&config, &call, &status, &body, &err), E_INVALID);
    buf_deinit(&body);
    fixture_stop(&f);
}

/* --- on the loop --- */

#define CALLS 50

struct many {
    struct fixture f;
    struct http_client *client;
    char show[128], stream[128], never[128];
    _Atomic int done, bad;
    _Atomic bool is_over;
    size_t stream_bytes;
    struct http_handle *handle;
};

static void finish_many(struct many *m)
{
    http_client_free(m->client);
    atomic_store(&m->is_over, true);
}

static void on_shown(void *arg, int code, int status, str body)
{
    struct many *m = arg;
    if (code != 0 || status != 200 || !str_has_suffix(body, STR("payload")))
        atomic_fetch_add(&m->bad, 1);
    if (atomic_fetch_add(&m->done, 1) + 1 == CALLS)
        finish_many(m); /* from inside the last callback */
}

static void start_many(void *arg)
{
    struct many *m = arg;
    m->client = http_client_new(m->f.loop, &(struct http_client_config){0});
    struct http_call call = {
        .method = "POST", .url = m->show, .body = STR("payload"), .done = on_shown, .arg = m};
    for (int i = 0; i < CALLS; i++)
        http_client_start(m->client, &call);
}

static void many_run(struct many *m, void (*start)(void *arg))
{
    client_fixture(&m->f);
    snprintf(m->show, sizeof m->show, "%s", url(&m->f, "/show"));
    snprintf(m->stream, sizeof m->stream, "%s", url(&m->f, "/stream"));
    snprintf(m->never, sizeof m->never, "%s", url(&m->f, "/never"));
    loop_post(m->f.loop, start, m);
    for (int i = 0; i < 2000 && !atomic_load(&m->is_over); i++)
        usleep(5000);
    cr_assert(atomic_load(&m->is_over));
    fixture_stop(&m->f);
}

Test(runtime_http_client, runs_many_requests_at_once)
{
    static struct many m;
    many_run(&m, start_many);
    cr_assert_eq(atomic_load(&m.done), CALLS);
    cr_assert_eq(atomic_load(&m.bad), 0);
}

static bool on_piece(void *arg, str piece)
{
    struct many *m = arg;
    m->stream_bytes += piece.len;
    return m->stream_bytes < 100000;
}

static void on_stream_done(void *arg, int code, int status, str body)
{
    (void)body;
    struct many *m = arg;
    if (code != 0 || status != 200)
        atomic_fetch_add(&m->bad, 1);
    finish_many(m);
}

static void start_stream(void *arg)
{
    struct many *m = arg;
    m->client = http_client_new(m->f.loop, &(struct http_client_config){0});
    struct http_call call = {
        .url = m->stream, .on_data = on_piece, .done = on_stream_done, .arg = m};
    http_client_start(m->client, &call);
}

Test(runtime_http_client, hands_out_a_stream_in_pieces_until_told_to_stop)
{
    static struct many m;
    many_run(&m, start_stream);
    cr_assert_geq(m.stream_bytes, 100000);
    cr_assert_eq(atomic_load(&m.bad), 0);
}

static void on_wrong_call(void *arg, int code, int status, str body)
{
    (void)code;
    (void)status;
    (void)body;
    struct many *m = arg;
    atomic_fetch_add(&m->bad, 1);
}

static void on_header_done(void *arg, int code, int status, str body)
{
    (void)status;
    (void)body;
    struct many *m = arg;
    if (code != 0 || !str_eq_c(http_handle_header(m->handle), "forty two"))
        atomic_fetch_add(&m->bad, 1);
    finish_many(m); /* one request is still waiting: it ends in silence */
}

static void start_and_cancel(void *arg)
{
    struct many *m = arg;
    m->client = http_client_new(m->f.loop, &(struct http_client_config){0});
    struct http_call call = {.url = m->never, .done = on_wrong_call, .arg = m};
    struct http_handle *cancelled = http_client_start(m->client, &call);
    http_client_start(m->client, &call);
    http_handle_cancel(cancelled);
    call = (struct http_call){
        .url = m->show, .want_header = "x-answer", .done = on_header_done, .arg = m};
    m->handle = http_client_start(m->client, &call);
}

Test(runtime_http_client, cancels_without_a_callback_and_reports_a_wanted_header)
{
    static struct many m;
    many_run(&m, start_and_cancel);
    cr_assert_eq(atomic_load(&m.bad), 0);
}
