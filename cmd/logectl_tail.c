/* logectl tail: new entries over a WebSocket, until Ctrl-C. */
#include <jansson.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/logectl.h"
#include "runtime/loop.h"
#include "runtime/websocket.h"

struct tailer {
    struct ctl *c;
    struct loop *loop;
    struct websocket *ws; /* NULL before it is open and once it is closed */
    bool is_stopping;
    int status;
};

static void on_message(void *arg, str message, bool is_text)
{
    (void)is_text;
    struct tailer *t = arg;
    json_error_t why;
    json_t *root = json_loadb(message.ptr, message.len, 0, &why);
    if (root == NULL) {
        ctl_fail("the server sent no JSON: %s", why.text);
        return;
    }
    ctl_print_streams(t->c, json_object_get(root, "streams"), true);
    size_t dropped = json_array_size(json_object_get(root, "dropped_entries"));
    if (dropped > 0 && !t->c->quiet)
        fprintf(stderr, "logectl: the server dropped %zu entries: this tail is too slow\n",
                dropped);
    fflush(stdout);
    json_decref(root);
}

static void on_close(void *arg, int code, str reason)
{
    struct tailer *t = arg;
    t->ws = NULL;
    if (!t->is_stopping)
        t->status = ctl_fail("the server closed the tail (%d %.*s)", code, STR_ARG(reason));
    loop_stop(t->loop);
}

static void on_open(void *arg, struct websocket *ws, int code, int http_status, str text)
{
    struct tailer *t = arg;
    t->ws = ws;
    if (code == 0)
        return;
    if (http_status != 0)
        t->status = ctl_fail("the server answered %d: %.*s", http_status, STR_ARG(str_trim(text)));
    else
        t->status = ctl_fail("%s: %.*s", t->c->addr, STR_ARG(text));
    loop_stop(t->loop);
}

static void on_signal(void *arg)
{
    struct tailer *t = arg;
    t->is_stopping = true;
    if (t->ws != NULL)
        websocket_close(t->ws, 1000, STR_EMPTY);
    else
        loop_stop(t->loop);
}

int ctl_tail(struct ctl *c)
{
    static const struct websocket_ops ops = {on_message, on_close};
    struct tailer t = {.c = c, .loop = loop_new()};
    struct buf url;
    ctl_url(c, &url, "/loki/api/v1/tail");
    ctl_param(&url, "query", str_c(c->words[1]));
    ctl_param_i64(&url, "limit", c->limit);
    if (c->since_ns > 0)
        ctl_param_i64(&url, "start", clock_now_ns() - c->since_ns);
    if (c->delay_for_s > 0)
        ctl_param_i64(&url, "delay_for", c->delay_for_s);
    loop_signals(t.loop, on_signal, NULL, &t);
    websocket_connect(t.loop, buf_str(&url), ctl_headers(c, NULL), on_open, &ops, &t);
    loop_run(t.loop);
    loop_free(t.loop);
    buf_deinit(&url);
    return t.status;
}
