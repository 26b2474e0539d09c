/* loge - the server: reads the configuration, wires the services, runs the loop. */
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmd/loge_admin.h"
#include "distributor/distributor.h"
#include "index/store.h"
#include "ingester/ingester.h"
#include "querier/querier.h"
#include "querier/store_source.h"
#include "runtime/http_server.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"
#include "runtime/workers.h"

#define CONFIG_ARENA_BYTES  (64u << 20)
#define OVERRIDES_BYTES_MAX (16u << 20)
#define PUSH_QUEUE_MAX      1024
#define QUERY_QUEUE_MAX     4096
/* What a heavy query used stays with the allocator; so much of it goes back to the system. */
#define TRIM_BYTES_MIN (64u << 20)
#define TRIM_PERIOD_MS 5000

struct server {
    struct loge_config config;
    struct admin admin;
    struct loop *loop;
    /* Pushes and queries have threads of their own, so that a heavy query delays no push. */
    struct workers *push_workers, *query_workers;
    struct http_server *http;
    struct limits_set *limits;
    struct loop_timer *overrides_timer, *trim_timer;
    int64_t overrides_mtime_ns;
    int lock_fd; /* of the data directory; goes with the process */
    struct store *store;
    struct ingester *ingester;
    struct query_source *store_source;
    struct distributor *distributor;
    struct querier *querier;
    bool is_starting; /* a worker replays the log */
    bool is_http_stopped;
    int start_code; /* what it found */
    struct error start_error;
    int exit_status;
};

static void on_stop(void *arg);
static void end_when_quiet(struct server *s);

/* --- overrides --- */

/* Reads the runtime_config file if it changed.  A bad one is reported and the old limits stay. */
static int load_overrides(struct server *s, struct error *err)
{
    struct stat st;
    const char *path = s->config.runtime_config_file;
    if (path[0] == '\0')
        return 0;
    if (stat(path, &st) != 0)
        return error_set(err, E_NOT_FOUND, "runtime_config.file: cannot read %s", path);
    int64_t mtime_ns = st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
    if (mtime_ns == s->overrides_mtime_ns)
        return 0;
    struct buf text;
    buf_init(&text, OVERRIDES_BYTES_MAX);
    int rc = file_read(path, &text, err);
    if (rc == 0)
        rc = limits_set_overrides(s->limits, buf_str(&text), path, err);
    buf_deinit(&text);
    s->overrides_mtime_ns = mtime_ns;
    return rc;
}

static void on_overrides_timer(void *arg)
{
    struct server *s = arg;
    struct error err = {0};
    if (load_overrides(s, &err) != 0)
        log_warn("runtime-config", "the limits stay as they were", LOG_C("err", err.text));
}

/* --- memory --- */

static void trim_memory(void *arg)
{
    (void)arg;
    mem_trim(TRIM_BYTES_MIN);
}

static void on_trim_timer(void *arg)
{
    struct server *s = arg;
    (void)workers_submit(s->query_workers, trim_memory, NULL, NULL); /* if full: next time */
}

/* --- start --- */

static int start_http(struct server *s, struct error *err)
{
    const struct server_config *c = &s->config.server;
    struct http_server_config http = {
        .listen_address = c->http_listen_address,
        .listen_port = (uint16_t)c->http_listen_port,
        .metrics_prefix = "loki",
        .body_bytes_total_max = c->body_bytes_total_max,
        .idle_timeout_s = (unsigned)(c->http_idle_timeout_ns / NS_PER_S),
        .tls_cert_file = c->tls_cert_file[0] ? c->tls_cert_file : NULL,
        .tls_key_file = c->tls_key_file[0] ? c->tls_key_file : NULL,
        .tls_client_ca_file = c->tls_client_ca_file[0] ? c->tls_client_ca_file : NULL,
    };
    return http_server_start(s->loop, s->push_workers, &http, &s->http, err);
}

static void on_damaged(void *arg, const struct error *err)
{
    (void)arg;
    log_error("store", "a table is damaged and was set aside", LOG_C("err", err->text));
}

static int open_store(struct server *s, struct error *err)
{
    char tables[4096], wal[4096], lock[4096];
    if (file_join(tables, sizeof tables, s->config.data_dir, "tables") != 0 ||
        file_join(lock, sizeof lock, s->config.data_dir, "lock") != 0 ||
        file_join(wal, sizeof wal, s->config.data_dir, "wal") != 0)
        return error_set(err, E_TOO_LARGE, "common.path_prefix is too long");
    int rc = file_make_dirs(tables, err);
    if (rc == 0)
        rc = file_lock(lock, &s->lock_fd, err); /* two servers would spoil each other's files */
    if (rc != 0)
        return error_prefix(err, "data directory: "), rc;
    if (s->config.ingester.wal.dir[0] == '\0')
        s->config.ingester.wal.dir = mem_strdup(wal); /* lives as long as the process */
    struct store_config config = {.dir = tables, .on_damaged = on_damaged};
    return store_open(&config, &s->store, err);
}

/* Until the log is replayed a push must not be refused for good: 503 makes clients come again. */
static void answer_starting(void *arg, struct http_request *r)
{
    (void)arg;
    http_reply_header(r, "Retry-After", STR("1"));
    http_reply(r, 503, "text/plain; charset=utf-8", STR("loge is starting: replaying the log\n"));
}

static void wire(struct server *s)
{
    s->store_source = store_source_new(s->store);
    int rc = distributor_add_ingester(s->distributor, "ingester-0", "127.0.0.1",
                                      ingester_sink(s->ingester));
    ASSERT(rc == 0); /* the ring is empty */
    /* Memory before store: what is flushed between the two questions is then in at least one. */
    struct query_source *sources[] = {ingester_source(s->ingester), s->store_source};
    struct querier_config q = {
        .loop = s->loop,
        .workers = s->query_workers,
        .limits = s->limits,
        .auth_enabled = s->config.auth_enabled,
        .sources = sources,
        .n_sources = ARRAY_LEN(sources),
        .concurrent_max = (size_t)s->config.query_max_concurrent,
        .query_ingesters_within_ns = s->config.query_ingesters_within_ns,
    };
    s->querier = querier_new(&q);
    distributor_routes(s->distributor, s->http);
    ingester_routes(s->ingester, s->http);
    querier_routes(s->querier, s->http);
}

static void on_numbered(void *arg, str tenant, str source_id, uint64_t seq)
{
    struct server *s = arg;
    distributor_remember(s->distributor, tenant, source_id, seq);
}

/* Replaying reads the disk for a while: on a worker.  The distributor is there before, to be told
 * what the log knows of numbered pushes. */
static void start_ingester(void *arg)
{
    struct server *s = arg;
    struct distributor_config d = {.limits = s->limits, .auth_enabled = s->config.auth_enabled};
    s->distributor = distributor_new(&d);
    struct ingester_options o = {.config = &s->config.ingester,
                                 .limits = s->limits,
                                 .store = s->store,
                                 .on_numbered = on_numbered,
                                 .arg = s};
    s->start_code = ingester_new(&o, &s->ingester, &s->start_error);
}

static void on_ingester_started(void *arg)
{
    struct server *s = arg;
    s->is_starting = false;
    if (s->start_code != 0) {
        log_error("loge", "cannot start", LOG_C("err", s->start_error.text));
        s->exit_status = 1;
        on_stop(s);
    } else if (atomic_load(&s->admin.is_stopping)) {
        end_when_quiet(s); /* the stop came first and has waited for this */
    } else {
        wire(s);
        http_route_unknown(s->http, NULL, NULL);
        atomic_store(&s->admin.is_ready, true);
        log_info("loge", "ready");
    }
}

/* --- stop: from the door inwards --- */

/* Flushing what the configuration wants flushed may take a while: on a worker. */
static void stop_ingester(void *arg)
{
    struct server *s = arg;
    ingester_stop(s->ingester);
    s->ingester = NULL;
}

static void on_ingester_stopped(void *arg)
{
    struct server *s = arg;
    log_info("loge", "stopped");
    loop_stop(s->loop);
}

/* Once no request is left and no replay runs. */
static void end_when_quiet(struct server *s)
{
    if (s->is_starting || !s->is_http_stopped)
        return;
    int rc = workers_submit(s->push_workers, stop_ingester, on_ingester_stopped, s);
    ASSERT(rc == 0); /* nothing is left that could fill the queue */
}

static void on_http_stopped(void *arg)
{
    struct server *s = arg;
    s->is_http_stopped = true;
    end_when_quiet(s);
}

static void on_stop(void *arg)
{
    struct server *s = arg;
    if (atomic_exchange(&s->admin.is_stopping, true))
        return;
    log_info("loge", "stopping");
    atomic_store(&s->admin.is_ready, false);
    loop_timer_stop(s->overrides_timer);
    loop_timer_stop(s->trim_timer);
    if (s->querier != NULL)
        querier_stop(s->querier); /* closes tails, ends queries that run */
    http_server_stop(s->http, (unsigned)(s->config.server.graceful_shutdown_timeout_ns / NS_PER_MS),
                     on_http_stopped, s);
}

static void free_all(struct server *s)
{
    loop_timer_free(s->overrides_timer);
    loop_timer_free(s->trim_timer);
    http_server_free(s->http);
    workers_free(s->push_workers);
    workers_free(s->query_workers);
    loop_run_posted(s->loop); /* what the last jobs had to say */
    querier_free(s->querier);
    distributor_free(s->distributor);
    if (s->store_source != NULL)
        store_source_free(s->store_source);
    store_close(s->store);
    limits_set_free(s->limits);
    loop_free(s->loop);
}

/* What can fail fast, before the loop runs: the port, the data directory. */
static int start(struct server *s, struct error *err)
{
    int rc = load_overrides(s, err);
    if (rc == 0)
        rc = open_store(s, err);
    if (rc == 0)
        rc = start_http(s, err);
    if (rc != 0)
        return rc;
    admin_routes(&s->admin, s->http);
    http_route_unknown(s->http, answer_starting, NULL);
    uint64_t period_ms = (uint64_t)(s->config.runtime_config_period_ns / NS_PER_MS);
    if (s->config.runtime_config_file[0] != '\0')
        loop_timer_start(s->overrides_timer, period_ms, period_ms);
    loop_timer_start(s->trim_timer, TRIM_PERIOD_MS, TRIM_PERIOD_MS);
    s->is_starting = true;
    return workers_submit(s->push_workers, start_ingester, on_ingester_started, s);
}

static int serve(struct server *s)
{
    struct error err = {0};
    s->limits = limits_set_new(&s->config.limits);
    s->loop = loop_new();
    s->push_workers = workers_new(s->loop, 0, PUSH_QUEUE_MAX);
    s->query_workers = workers_new(s->loop, 0, QUERY_QUEUE_MAX);
    s->overrides_timer = loop_timer_new(s->loop, on_overrides_timer, s);
    s->trim_timer = loop_timer_new(s->loop, on_trim_timer, s);
    if (start(s, &err) == 0) {
        log_info("loge", "listening", LOG_U("port", http_server_port(s->http)),
                 LOG_C("data", s->config.data_dir), LOG_C("version", LOGE_VERSION));
        loop_signals(s->loop, on_stop, NULL, s);
    } else {
        log_error("loge", "cannot start", LOG_C("err", err.text));
        s->exit_status = 1;
        loop_stop(s->loop);
    }
    loop_run(s->loop);
    free_all(s);
    return s->exit_status;
}

/* --- command line --- */

static void print_block(void (*write)(const struct config_key *table, struct buf *out), FILE *to)
{
    struct buf out;
    buf_init(&out, 4u << 20);
    write(loge_config_table, &out);
    fwrite(out.ptr, 1, out.len, to);
    buf_deinit(&out);
}

static void warn(void *arg, const char *text)
{
    (void)arg;
    log_warn("config", text);
}

/* True if the command line asked for something that is printed and done with. */
static bool print_and_exit(const struct loge_config *c)
{
    if (c->print_version)
        printf("loge, version %s\n", LOGE_VERSION);
    else if (c->print_help) {
        printf("Usage: loge [flags]\n\n");
        print_block(config_help, stdout);
    } else if (c->print_docs)
        print_block(config_markdown, stdout);
    else if (c->list_targets)
        printf("all\ndistributor\ningester\nquerier\n");
    else
        return false;
    return true;
}

static void export_build_info(void)
{
    static const char *const names[] = {"version", "revision", "branch", "goversion", NULL};
    struct metric_family *f =
        metric_family("loge_build_info", METRIC_GAUGE, "The running version.", names, NULL);
    metric_alias(f, "loki_build_info");
    metric_set(metric_with(f, (const str[]){STR(LOGE_VERSION), STR(""), STR("main"), STR("")}, 4),
               1);
}

int main(int argc, char **argv)
{
    static struct server s; /* large; main's own */
    struct arena arena;
    struct error err = {0};
    arena_init(&arena, CONFIG_ARENA_BYTES);
    int status = 1;
    if (loge_config_read(&s.config, argc, argv, &arena, warn, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
    } else if (print_and_exit(&s.config)) {
        status = 0;
    } else if (s.config.verify) {
        fprintf(stderr, "config is valid\n");
        status = 0;
    } else {
        if (s.config.print_config) {
            struct buf out;
            buf_init(&out, 4u << 20);
            config_print(loge_config_table, &s.config, &out);
            fwrite(out.ptr, 1, out.len, stderr);
            buf_deinit(&out);
        }
        s.admin.config = &s.config;
        log_set_level((enum log_level)s.config.server.log_level);
        log_set_json(s.config.server.log_format == 1);
        export_build_info();
        status = serve(&s);
    }
    arena_deinit(&arena);
    return status;
}
