/* The sender against a server on the same loop. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "promtail/client/metrics.h"
#include "promtail/client/sender.h"
#include "runtime/http_server.h"
#include "runtime/loop.h"

#define TRIES             "2"
#define BEFORE_SECOND_TRY 3 /* asked before a try, and when it has failed */

struct fixture {
    struct loop *loop;
    struct http_server *server;
    struct sender *sender;
    struct promtail_config config;
    struct client_metrics metrics;
    struct arena arena;
    char url[64];
    /* of the server */
    int answer; /* its status */
    unsigned n_requests;
    /* of the owner */
    bool is_another_next;    /* after the first try: the oldest was dropped */
    unsigned n_asked, later; /* so many times the push cannot be had */
    int status;              /* what done() was told */
    bool is_done;
};

static void on_push(void *arg, struct http_request *r)
{
    struct fixture *f = arg;
    f->n_requests++;
    http_reply(r, f->answer, NULL, STR_EMPTY);
}

static enum push_turn next(void *arg, struct push *ret)
{
    struct fixture *f = arg;
    if (f->is_done)
        return PUSH_NONE;
    if (++f->n_asked == BEFORE_SECOND_TRY && f->is_another_next)
        sender_forget_tries(f->sender);
    if (f->n_asked <= f->later)
        return PUSH_LATER;
    *ret = (struct push){.body = STR("a push")};
    return PUSH_READY;
}

static void on_stopped(void *arg)
{
    struct fixture *f = arg;
    sender_free(f->sender);
    http_server_free(f->server);
    loop_stop(f->loop);
}

static void on_done(void *arg, int status)
{
    struct fixture *f = arg;
    f->is_done = true;
    f->status = status;
    http_server_stop(f->server, 1000, on_stopped, f);
}

static void init(struct fixture *f)
{
    struct http_server_config server = {.listen_address = "127.0.0.1", .metrics_prefix = "test"};
    struct error err = {0};
    f->loop = loop_new();
    cr_assert_eq(http_server_start(f->loop, NULL, &server, &f->server, &err), 0, "%s", err.text);
    http_route(f->server, "/push", HTTP_POST, "push", 1000, on_push, f);
    snprintf(f->url, sizeof f->url, "-client.url=http://127.0.0.1:%d/push",
             http_server_port(f->server));
    char *argv[] = {"promtail",
                    "-config.file=/dev/null",
                    f->url,
                    "-client.min-backoff=10ms",
                    "-client.max-backoff=20ms",
                    "-client.max-retries=" TRIES,
                    NULL};
    arena_init(&f->arena, 16u << 20);
    cr_assert_eq(promtail_config_load(6, argv, &f->arena, &f->config, &err), 0, "%s", err.text);
    client_metrics_init(&f->metrics, STR("test"));
    struct sender_config config = {
        .client = &f->config.clients[0], .name = "test", .metrics = &f->metrics};
    struct sender_owner owner = {.next = next, .done = on_done, .arg = f};
    f->sender = sender_new(f->loop, &config, &owner);
}

static void run(struct fixture *f)
{
    sender_wake(f->sender);
    loop_run(f->loop);
    loop_free(f->loop);
    promtail_config_free(&f->config);
    arena_deinit(&f->arena);
}

Test(promtail_sender, asks_again_for_a_push_that_cannot_be_had_now, .timeout = 60)
{
    struct fixture f = {.answer = 204, .later = 3};
    init(&f);
    run(&f);
    cr_expect_eq(f.status, 204);
    cr_expect_eq(f.n_asked, 4);
    cr_expect_eq(f.n_requests, 1);
}

Test(promtail_sender, gives_up_after_max_retries, .timeout = 60)
{
    struct fixture f = {.answer = 500};
    init(&f);
    run(&f);
    cr_expect_eq(f.status, 500);
    cr_expect_eq(f.n_requests, 2);
}

Test(promtail_sender, does_not_count_the_tries_of_another_push, .timeout = 60)
{
    struct fixture f = {.answer = 500, .is_another_next = true};
    init(&f);
    run(&f);
    cr_expect_eq(f.status, 500);
    cr_expect_eq(f.n_requests, 3);
}
