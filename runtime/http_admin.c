/* Pages every program has: /metrics and /log_level. */
#include "base/goquote.h"
#include "runtime/http_server.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

#define METRICS_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define LEVEL_BYTES_MAX   ((size_t)4096)

static void answer_metrics(void *arg, struct http_request *r)
{
    (void)arg;
    struct buf out;
    buf_init(&out, METRICS_BYTES_MAX);
    metrics_write(&out);
    http_reply_take(r, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
    buf_deinit(&out);
}

static void answer_level(struct http_request *r, int status, str text)
{
    http_reply(r, status, "application/json; charset=utf-8", text);
}

static void show_log_level(void *arg, struct http_request *r)
{
    (void)arg;
    answer_level(r, 200,
                 arena_printf(http_arena(r), "{\"message\":\"Current log level is %s\"}",
                              log_level_name(log_level())));
}

/* The message quotes the name as Go does, and that again is inside a JSON string. */
static void refuse_level(struct http_request *r, str name)
{
    struct buf quoted, out;
    buf_init(&quoted, LEVEL_BYTES_MAX);
    buf_init(&out, LEVEL_BYTES_MAX);
    goquote(&quoted, str_sub(name, 0, 100));
    buf_append_c(&out, "{\"status\":\"failed\",\"message\":\"unrecognized log level ");
    for (size_t i = 0; i < quoted.len; i++) {
        if (quoted.ptr[i] == '"' || quoted.ptr[i] == '\\')
            buf_append_char(&out, '\\');
        buf_append_char(&out, quoted.ptr[i]);
    }
    buf_append_c(&out, "\"}");
    answer_level(r, 400, buf_str(&out));
    buf_deinit(&out);
    buf_deinit(&quoted);
}

static void set_log_level(void *arg, struct http_request *r)
{
    (void)arg;
    enum log_level level;
    str name = http_param(r, "log_level");
    if (!log_level_parse(name, &level)) {
        refuse_level(r, name);
        return;
    }
    log_set_level(level);
    answer_level(r, 200,
                 arena_printf(http_arena(r),
                              "{\"status\":\"success\",\"message\":\"Log level set to '%s'\"}",
                              log_level_name(level)));
}

void http_routes_common(struct http_server *s)
{
    http_route(s, "/metrics", HTTP_GET | HTTP_NO_ACCESS_LOG, "metrics", 0, answer_metrics, NULL);
    http_route(s, "/log_level", HTTP_GET, "log_level", 0, show_log_level, NULL);
    http_route(s, "/log_level", HTTP_POST, "log_level", 64 * 1024, set_log_level, NULL);
}
