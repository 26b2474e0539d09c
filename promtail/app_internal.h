/* promtail/app_internal.h - the program's state; for app.c and web/. */
#pragma once
#include "promtail/core.h"
#include "runtime/metrics.h"

struct app {
    int argc;
    char **argv;
    struct promtail_config *config;
    struct arena *arena;
    struct promtail_config *next; /* while reloading */
    struct arena *next_arena;
    struct loop *loop;
    struct workers *workers;
    struct http_server *server; /* NULL if disabled */
    struct core *core;          /* NULL between two configurations */
    bool is_reloading, is_stopping;
    bool is_reload_wanted; /* another one, after this */
    int exit_status;
    struct metric *reload_success, *reload_fail;
};

/* Reads the configuration again; the change itself happens a little later.  During a reload it is
 * done once more after it. */
int app_reload(struct app *app, struct error *err);
void app_stop(struct app *app, int exit_status);
