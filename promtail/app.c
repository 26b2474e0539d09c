#include "promtail/app.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "promtail/app_internal.h"
#include "promtail/web/pages.h"
#include "runtime/http_server.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/workers.h"

#define COMPONENT          "promtail"
#define CONFIG_ARENA_BYTES (256u << 20)
#define WORKERS_MAX        2
#define WORKER_QUEUE_MAX   256
#define STOP_GRACE_MS      5000
#define SERVER_GRACE_MS    500
#define KEPT_BYTES         (2u << 20) /* a batch, its compressed form and its request */

static struct metric *reload_metric(const char *name, const char *help)
{
    return metric_single(metric_family(name, METRIC_COUNTER, help, NULL, NULL));
}

/* --- start --- */

static const char *or_null(const char *s)
{
    return s[0] != '\0' ? s : NULL;
}

static int start_server(struct app *app, struct error *err)
{
    const struct server_config *c = &app->config->server;
    if (c->disable)
        return 0;
    struct http_server_config http = {
        .listen_address = c->http_listen_address,
        .listen_port = (uint16_t)c->http_listen_port,
        .metrics_prefix = "promtail_server", /* the plain name is the client's */
        .tls_cert_file = or_null(c->tls_cert_file),
        .tls_key_file = or_null(c->tls_key_file),
        .tls_client_ca_file = or_null(c->tls_client_ca_file),
        .tls_cert_pem = c->tls_cert,
        .tls_key_pem = c->tls_key,
        .tls_client_ca_pem = c->tls_client_ca,
    };
    int rc = http_server_start(app->loop, app->workers, &http, &app->server, err);
    if (rc == 0)
        pages_register(app);
    else
        error_prefix(err, "error creating loki server: ");
    return rc;
}

static void on_core_stopped(void *arg);

static void on_input_end(void *arg)
{
    struct app *app = arg;
    app_stop(app, 0);
}

static int start_core(struct app *app, struct error *err)
{
    struct target_env env = {
        .loop = app->loop, .workers = app->workers, .on_end = on_input_end, .on_end_arg = app};
    return core_start(&env, app->config, &app->core, err);
}

/* --- reload --- */

static void free_config(struct promtail_config *config, struct arena *arena)
{
    promtail_config_free(config);
    arena_deinit(arena);
}

static int load_next(struct app *app, struct error *err)
{
    app->next_arena = mem_zalloc(sizeof *app->next_arena);
    app->next = mem_zalloc(sizeof *app->next);
    arena_init(app->next_arena, CONFIG_ARENA_BYTES);
    int rc = promtail_config_load(app->argc, app->argv, app->next_arena, app->next, err);
    if (rc == 0 && promtail_config_is_same(app->config, app->next))
        rc = error_set(err, E_EXISTS, "config has not changed");
    if (rc == 0)
        rc = promtail_config_check(app->next, err);
    if (rc == 0)
        rc = core_check(app->next, err);
    return rc;
}

static void drop_next(struct app *app)
{
    if (app->next == NULL)
        return;
    free_config(app->next, app->next_arena);
    mem_free(app->next);
    mem_free(app->next_arena);
    app->next = NULL;
    app->next_arena = NULL;
}

int app_reload(struct app *app, struct error *err)
{
    if (app->is_stopping)
        return error_set(err, E_CONFLICT, "promtail is stopping already");
    if (app->is_reloading) { /* what was read may be old by now */
        app->is_reload_wanted = true;
        return 0;
    }
    int rc = load_next(app, err);
    if (rc != 0) {
        drop_next(app);
        metric_inc(app->reload_fail);
        log_error(COMPONENT, "error reloading config", LOG_C("err", err->text));
        return rc;
    }
    app->is_reloading = true;
    core_stop(app->core, STOP_GRACE_MS, on_core_stopped, app);
    return 0;
}

static void on_hangup(void *arg)
{
    struct error err = {0};
    app_reload(arg, &err);
}

/* The old core is quiet: the new configuration takes its place. */
static void swap(struct app *app)
{
    struct error err = {0};
    core_free(app->core);
    app->core = NULL;
    free_config(app->config, app->arena);
    *app->config = *app->next;
    *app->arena = *app->next_arena;
    mem_free(app->next);
    mem_free(app->next_arena);
    app->next = NULL;
    app->next_arena = NULL;
    app->is_reloading = false;
    int rc = start_core(app, &err);
    if (rc != 0) {
        log_error(COMPONENT, "error starting with the new config", LOG_C("err", err.text));
        metric_inc(app->reload_fail);
        app_stop(app, 1);
        return;
    }
    metric_inc(app->reload_success);
    log_info(COMPONENT, "config reloaded", LOG_C("file", app->config->file));
    if (app->is_reload_wanted) {
        app->is_reload_wanted = false;
        app_reload(app, &err);
    }
}

/* --- stop --- */

static void on_server_stopped(void *arg)
{
    struct app *app = arg;
    loop_stop(app->loop);
}

static void end(struct app *app)
{
    if (app->core != NULL)
        core_free(app->core);
    app->core = NULL;
    if (app->server != NULL)
        http_server_stop(app->server, SERVER_GRACE_MS, on_server_stopped, app);
    else
        loop_stop(app->loop);
}

/* Decides as late as it can: a signal may have come since the core stopped. */
static void after_core(void *arg)
{
    struct app *app = arg;
    if (app->is_stopping)
        end(app);
    else
        swap(app);
}

/* Called from within the core: it is freed a turn later. */
static void on_core_stopped(void *arg)
{
    struct app *app = arg;
    loop_post(app->loop, after_core, app);
}

void app_stop(struct app *app, int exit_status)
{
    if (app->is_stopping)
        return;
    app->is_stopping = true;
    app->exit_status = exit_status;
    if (app->is_reloading)
        return; /* the core is stopping already; after_core() sees is_stopping */
    if (app->core != NULL)
        core_stop(app->core, STOP_GRACE_MS, on_core_stopped, app);
    else
        end(app);
}

static void on_signal_stop(void *arg)
{
    app_stop(arg, 0);
}

/* --- life --- */

static void start(struct app *app)
{
    struct error err = {0};
    int rc = start_core(app, &err);
    if (rc == 0) /* who can ask this port finds those of the targets open too */
        rc = start_server(app, &err);
    if (rc != 0) {
        log_error(COMPONENT, "error creating promtail", LOG_C("error", err.text));
        app_stop(app, 1);
        return;
    }
    log_info(COMPONENT, "Starting Promtail", LOG_C("version", LOGE_VERSION));
}

int promtail_run(int argc, char **argv, struct promtail_config *config, struct arena *arena)
{
    struct app app = {.argc = argc, .argv = argv, .config = config, .arena = arena};
    mem_keep(KEPT_BYTES);
    app.reload_success =
        reload_metric("promtail_config_reload_success_total", "Number of reload success times.");
    app.reload_fail =
        reload_metric("promtail_config_reload_fail_total", "Number of reload fail times.");
    app.loop = loop_new();
    app.workers = workers_new(app.loop, WORKERS_MAX, WORKER_QUEUE_MAX);
    loop_signals(app.loop, on_signal_stop, on_hangup, &app);
    start(&app);
    loop_run(app.loop);
    if (app.server != NULL)
        http_server_free(app.server);
    drop_next(&app);
    workers_free(app.workers);
    loop_free(app.loop);
    return app.exit_status;
}
