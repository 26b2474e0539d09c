#include "promtail/web/pages.h"

#include <stdio.h>

#include "base/gourl.h"
#include "logql/template/escape.h"
#include "promtail/app_internal.h"
#include "runtime/http_server.h"

#define TEXT           "text/plain; charset=utf-8"
#define HTML           "text/html; charset=utf-8"
#define BODY_BYTES_MAX (1u << 20)
#define PAGE_BYTES_MAX (64u << 20)
#define PATH_BYTES     1024

static void ready(void *arg, struct http_request *r)
{
    struct app *app = arg;
    bool asks = app->config->server.health_check_target;
    if (app->core != NULL && (!asks || core_is_ready(app->core)))
        http_reply(r, 200, TEXT, STR("Ready"));
    else
        http_reply(r, 500, TEXT,
                   STR("Not ready: Unable to find any logs to tail. Please verify permissions, "
                       "volumes, scrape_config, etc.\n"));
}

static void config(void *arg, struct http_request *r)
{
    struct app *app = arg;
    struct buf out;
    buf_init(&out, PAGE_BYTES_MAX);
    promtail_config_print(app->config, &out);
    http_reply_take(r, 200, TEXT, &out);
    buf_deinit(&out);
}

static void reload(void *arg, struct http_request *r)
{
    struct error err = {0};
    if (app_reload(arg, &err) == 0)
        http_reply(r, 200, TEXT, STR(""));
    else {
        char text[ERROR_TEXT_MAX + 32];
        snprintf(text, sizeof text, "failed to reload config: %s\n", err.text);
        http_reply(r, 500, TEXT, str_c(text));
    }
}

/* --- tables --- */

static void put_labels(struct buf *out, const struct label_list *labels)
{
    for (size_t i = 0; labels != NULL && i < labels->n; i++) {
        buf_append_c(out, "<span class=label>");
        escape_html(out, labels->items[i].name);
        buf_append_c(out, "=&#34;");
        escape_html(out, labels->items[i].value);
        buf_append_c(out, "&#34;</span> ");
    }
}

static void put_row(void *arg, const struct target_row *row)
{
    struct buf *out = arg;
    buf_printf(out, "<tr class=%s><td>%s<td>", row->is_ready ? "yes" : "no",
               row->is_ready ? "yes" : "no");
    put_labels(out, row->discovered);
    buf_append_c(out, "<td>");
    put_labels(out, row->labels);
    buf_append_c(out, "<td><pre>");
    escape_html(out, row->details);
    buf_append_c(out, "</pre>\n");
}

static void put_head(struct buf *out, const char *title)
{
    buf_printf(out,
               "<!doctype html><meta charset=utf-8><title>%s - promtail</title>\n<style>"
               "body{font:14px/1.5 system-ui,sans-serif;margin:2em;color:#222;background:#fff}"
               "table{border-collapse:collapse;width:100%%}td,th{border-bottom:1px solid #ddd;"
               "padding:.4em;text-align:left;vertical-align:top}pre{margin:0}"
               ".label{background:#eef;border-radius:3px;padding:0 .3em;white-space:nowrap}"
               ".no td:first-child{color:#b00}nav a{margin-right:1em}"
               "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}"
               ".label{background:#334}td,th{border-color:#444}a{color:#8af}}</style>\n"
               "<nav><a href=targets>targets</a><a href=service-discovery>service discovery</a>"
               "<a href=config>config</a><a href=metrics>metrics</a></nav><h1>%s</h1>\n",
               title, title);
}

/* One table per job; `dropped` asks for what became no target too. */
static void put_tables(struct app *app, struct buf *out, bool dropped)
{
    const struct scrape_config *job = NULL;
    for (size_t i = 0; app->core != NULL && i < app->core->targets.len; i++) {
        const struct target *t = app->core->targets.items[i];
        if (t->job != job) {
            buf_append_c(out, "<h2>");
            escape_html(out, str_c(t->job->job_name));
            buf_append_c(out, "</h2>\n");
        }
        job = t->job;
        buf_printf(out,
                   "<table><caption>%s</caption><tr><th>ready<th>discovered labels<th>labels"
                   "<th>details\n",
                   t->ops->kind);
        if (t->ops->each_row != NULL)
            t->ops->each_row(t, put_row, out);
        if (dropped && t->ops->each_dropped != NULL)
            t->ops->each_dropped(t, put_row, out);
        buf_append_c(out, "</table>\n");
    }
}

static void table_page(struct app *app, struct http_request *r, const char *title, bool dropped)
{
    struct buf out;
    buf_init(&out, PAGE_BYTES_MAX);
    put_head(&out, title);
    put_tables(app, &out, dropped);
    http_reply_take(r, 200, HTML, &out);
    buf_deinit(&out);
}

static void targets(void *arg, struct http_request *r)
{
    table_page(arg, r, "Targets", false);
}

/* The prefix without slashes at its end. */
static str path_prefix(const struct app *app)
{
    str prefix = str_c(app->config->server.http_path_prefix);
    while (prefix.len > 0 && prefix.ptr[prefix.len - 1] == '/')
        prefix.len--;
    return prefix;
}

/* The way to the pages is that of external_url, behind a proxy, and then the prefix. */
static void root(void *arg, struct http_request *r)
{
    const struct app *app = arg;
    struct arena a;
    struct gourl url;
    arena_init(&a, SIZE_MAX);
    str path = STR_EMPTY, prefix = path_prefix(app);
    if (gourl_parse(str_c(app->config->server.external_url), &a, &url, NULL) == 0)
        path = url.path;
    while (path.len > 0 && path.ptr[path.len - 1] == '/')
        path.len--;
    str to = arena_printf(&a, "%.*s%s%.*s/targets", STR_ARG(path),
                          prefix.len > 0 && prefix.ptr[0] != '/' ? "/" : "", STR_ARG(prefix));
    http_reply_header(r, "Location", to);
    http_reply(r, 303, HTML, STR_EMPTY);
    arena_deinit(&a);
}

static void service_discovery(void *arg, struct http_request *r)
{
    table_page(arg, r, "Service discovery", true);
}

static void metrics(void *arg, struct http_request *r)
{
    (void)arg;
    struct buf out;
    buf_init(&out, PAGE_BYTES_MAX);
    metrics_write(&out);
    http_reply_take(r, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
    buf_deinit(&out);
}

/* --- routes --- */

static void route(struct app *app, const char *path, unsigned flags, const char *name,
                  http_handler *fn)
{
    char full[PATH_BYTES];
    str prefix = path_prefix(app);
    const char *slash = prefix.len > 0 && prefix.ptr[0] != '/' ? "/" : "";
    int n = snprintf(full, sizeof full, "%s%.*s%s", slash, STR_ARG(prefix), path);
    if (n > 0 && (size_t)n < sizeof full)
        http_route(app->server, arena_c(app->arena, str_c(full)), flags, name, BODY_BYTES_MAX, fn,
                   app);
}

/* Promtail's pages take any method. */
void pages_register(struct app *app)
{
    const struct server_config *c = &app->config->server;
    const unsigned any = HTTP_ANY;
    route(app, "/ready", any | HTTP_NO_ACCESS_LOG, "ready", ready);
    if (c->register_instrumentation || c->profiling_enabled)
        route(app, "/metrics", any | HTTP_NO_ACCESS_LOG, "metrics", metrics);
    route(app, "/config", any, "config", config);
    route(app, "/", any, "root", root);
    route(app, "/targets", any, "targets", targets);
    route(app, "/service-discovery", any, "service_discovery", service_discovery);
    if (c->enable_runtime_reload)
        route(app, "/reload", any, "reload", reload);
}
