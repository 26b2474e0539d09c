#include "promtail/client/clients.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/gotime.h"
#include "base/mem.h"
#include "promtail/client/folders.h"
#include "promtail/config/tables.h"
#include "promtail/pipeline.h"

#define LAYOUT STR("2006-01-02T15:04:05.999999999-0700")

/* --- limits --- */

static bool passes_rate(struct clients *all)
{
    if (!all->limits->readline_rate_enabled)
        return true;
    int64_t now_ns = clock_mono_ns();
    if (all->limits->readline_rate_drop) {
        if (token_bucket_take(&all->readline, now_ns))
            return true;
        job_pipeline_count_drop(STR("global_rate_limiter_drop"));
        return false;
    }
    int64_t wait_ns = token_bucket_reserve(&all->readline, now_ns);
    if (wait_ns > 0)
        all->paused_until_mono_ns = now_ns + wait_ns;
    return true;
}

/* Counted per client, as Promtail does. */
static void count_long_line(const struct clients *all, const struct record *r, size_t too_much)
{
    for (size_t i = 0; i < all->items.len; i++)
        client_count_long_line(all->items.items[i], r, too_much,
                               all->limits->max_line_size_truncate);
}

static bool passes_size(const struct clients *all, struct record *r)
{
    size_t max = all->limits->max_line_size_bytes;
    if (max == 0 || r->line.len <= max)
        return true;
    bool truncate = all->limits->max_line_size_truncate;
    count_long_line(all, r, truncate ? r->line.len - max : r->line.len);
    r->line.len = max;
    return truncate;
}

/* New streams beyond the limit are refused; Promtail stops sending altogether, which nobody wants
 * (docs/compatibility.md). */
static bool passes_streams(struct clients *all, const struct record *r)
{
    if (all->limits->max_streams <= 0)
        return true;
    char key[sizeof r->labels.hash];
    memcpy(key, &r->labels.hash, sizeof key);
    if (strmap_get(&all->streams, str_make(key, sizeof key)) != NULL)
        return true;
    if ((int64_t)all->streams.len >= all->limits->max_streams) {
        for (size_t i = 0; i < all->items.len; i++)
            client_count_refused_stream(all->items.items[i], r);
        return false;
    }
    strmap_put(&all->streams, str_make(key, sizeof key), all);
    return true;
}

/* --- dry run --- */

static void print(const struct record *r)
{
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    struct gotime t = gotime_from_ns(r->ts_ns, NULL);
    if (r->ts_offset_s != 0)
        t = gotime_in_fixed(t, STR_EMPTY, r->ts_offset_s);
    gotime_format(&out, LAYOUT, &t);
    buf_append_char(&out, '\t');
    struct label_list sorted = r->labels;
    label_list_sort(&sorted);
    labels_print(&(struct labels){sorted.items, sorted.n}, &out);
    buf_append_char(&out, '\t');
    buf_append_str(&out, r->line);
    buf_append_char(&out, '\n');
    fwrite(out.ptr, 1, out.len, stdout);
    fflush(stdout);
    buf_deinit(&out);
}

/* Where the lines would go. */
static void print_clients(const struct promtail_config *config)
{
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    buf_append_c(&out, "Clients configured:\n");
    for (size_t i = 0; i < config->n_clients; i++) {
        buf_append_c(&out, "----------------------\n");
        config_print(config_client_keys, &config->clients[i], &out);
        buf_append_char(&out, '\n');
    }
    fwrite(out.ptr, 1, out.len, stdout);
    fflush(stdout);
    buf_deinit(&out);
}

/* --- the sink --- */

static void put(struct record_sink *sink, struct record *r)
{
    struct clients *all = (struct clients *)sink;
    if (!passes_rate(all))
        return;
    if (all->is_dry_run) {
        print(r);
        return;
    }
    if (!passes_size(all, r) || !passes_streams(all, r))
        return;
    for (size_t i = 0; i < all->items.len; i++)
        client_put(all->items.items[i], r);
}

static bool is_full(struct record_sink *sink)
{
    struct clients *all = (struct clients *)sink;
    if (all->paused_until_mono_ns != 0 && clock_mono_ns() < all->paused_until_mono_ns)
        return true;
    all->paused_until_mono_ns = 0;
    for (size_t i = 0; i < all->items.len; i++)
        if (client_is_full(all->items.items[i]))
            return true;
    return false;
}

/* --- life --- */

/* All journals are read: now is known what every client needs, and what none does. */
static void begin(struct clients *all, const struct client_env *env, const bool *is_new)
{
    source_registry_join(env->sources, is_new);
    source_registry_sweep(env->sources);
    for (size_t i = 0; i < all->items.len; i++)
        client_start(all->items.items[i]);
}

int clients_init(struct clients *all, const struct client_env *env, bool is_dry_run,
                 struct error *err)
{
    *all = (struct clients){.sink = {.put = put, .is_full = is_full},
                            .limits = &env->config->limits,
                            .is_dry_run = is_dry_run};
    strmap_init(&all->streams);
    token_bucket_init(&all->readline, all->limits->readline_rate,
                      (double)all->limits->readline_burst);
    if (is_dry_run) {
        print_clients(env->config);
        return 0;
    }
    if (env->state_dir != NULL)
        folders_settle(env->state_dir, env->config->clients, env->config->n_clients);
    bool *is_new = mem_array(env->config->n_clients, sizeof *is_new);
    for (size_t i = 0; i < env->config->n_clients; i++) {
        struct client *c = NULL;
        is_new[i] =
            env->state_dir != NULL && !folder_exists(env->state_dir, &env->config->clients[i]);
        int rc = client_new(env, &env->config->clients[i], i, &c, err);
        if (rc != 0) {
            mem_free(is_new);
            clients_deinit(all);
            return rc;
        }
        VEC_PUSH(&all->items, c);
    }
    begin(all, env, is_new);
    mem_free(is_new);
    return 0;
}

void clients_deinit(struct clients *all)
{
    for (size_t i = 0; i < all->items.len; i++)
        client_free(all->items.items[i]);
    VEC_FREE(&all->items);
    strmap_deinit(&all->streams);
}

void clients_sync(struct clients *all)
{
    for (size_t i = 0; i < all->items.len; i++)
        client_sync(all->items.items[i]);
}

static void on_client_stopped(void *arg)
{
    struct clients *all = arg;
    if (--all->n_stopping == 0)
        all->stopped(all->stopped_arg);
}

void clients_stop(struct clients *all, uint64_t grace_ms, void (*stopped)(void *arg), void *arg)
{
    all->stopped = stopped;
    all->stopped_arg = arg;
    all->n_stopping = all->items.len + 1; /* one for this loop */
    for (size_t i = 0; i < all->items.len; i++)
        client_stop(all->items.items[i], grace_ms, on_client_stopped, all);
    on_client_stopped(all);
}
