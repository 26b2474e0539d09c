/* The GELF target: JSON messages over UDP (gzip, zlib, chunks) or over TCP, each ended by a NUL. */
#include "base/clock.h"
#include "base/mem.h"
#include "promtail/config/targets.h"
#include "promtail/targets/all.h"
#include "promtail/targets/enrich.h"
#include "promtail/targets/gelf_message.h"
#include "promtail/targets/listener_target.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

#define COMPONENT          "gelf"
#define DATAGRAM_BYTES_MAX 65536
#define ARENA_BYTES_MAX    (128u << 20)
#define EXPIRE_MS          1000
#define TCP_IDLE_MS        (600 * 1000)

struct gelf_target {
    struct listener_target base;
    const struct gelf_config *config;
    struct gelf_chunks chunks;
    struct loop_timer *expire;
    struct arena arena; /* of one message */
    struct metric *entries, *errors;
};

struct gelf_peer {
    struct gelf_target *target;
    struct buf pending;
};

/* --- messages --- */

static str level_name(int32_t level)
{
    static const char *const names[] = {"emergency", "alert",  "critical",      "error",
                                        "warning",   "notice", "informational", "debug"};
    return level >= 0 && level <= 7 ? str_c(names[level]) : STR_EMPTY;
}

static int64_t time_of(const struct gelf_target *t, const struct gelf_message *m)
{
    double ns = m->timestamp_s * 1e9; /* a float, and its rounding, as in Promtail */
    if (!t->config->use_incoming_timestamp || ns == 0 || !(ns > -9.2e18 && ns < 9.2e18))
        return clock_now_ns();
    return (int64_t)ns;
}

static void put(struct gelf_target *t, const struct gelf_message *m)
{
    static const struct label_list none = {0};
    struct arena *a = &t->arena;
    struct record r;
    struct buf line;
    record_init(&r, a, &none);
    for (size_t i = 0; i < t->config->labels.n; i++)
        enrich_set(&r.labels, a, t->config->labels.items[i].name, t->config->labels.items[i].value);
    enrich_set(&r.labels, a, STR("__gelf_message_level"), level_name(m->level));
    enrich_set(&r.labels, a, STR("__gelf_message_host"), m->host);
    enrich_set(&r.labels, a, STR("__gelf_message_version"), m->version);
    enrich_set(&r.labels, a, STR("__gelf_message_facility"), m->facility);
    enrich_labels(&t->base.base.job->relabel, &r.labels, a);
    r.ts_ns = time_of(t, m);
    buf_init(&line, ARENA_BYTES_MAX);
    gelf_message_print(m, &line);
    r.line = buf_str(&line);
    record_sink_put(&t->base.base.pipeline->sink, &r);
    metric_inc(t->entries);
    buf_deinit(&line);
}

static void count_error(struct gelf_target *t, const char *text)
{
    log_error(COMPONENT, "error while reading gelf message", LOG_C("err", text));
    metric_inc(t->errors);
}

static void take_message(struct gelf_target *t, str bytes)
{
    struct gelf_message m;
    struct error err = {0};
    arena_reset(&t->arena);
    if (gelf_message_read(bytes, &t->arena, &m, &err) == 0)
        put(t, &m);
    else
        count_error(t, err.text);
}

static void on_datagram(void *arg, const char *peer, const char *host, str bytes)
{
    (void)peer, (void)host;
    struct gelf_target *t = arg;
    if (!gelf_is_chunk(bytes)) {
        take_message(t, bytes);
        return;
    }
    struct buf whole;
    struct error err = {0};
    buf_init(&whole, GELF_CHUNKS_MAX * DATAGRAM_BYTES_MAX);
    int rc = gelf_chunks_add(&t->chunks, bytes, clock_mono_ns(), &whole, &err);
    if (rc == 0)
        take_message(t, buf_str(&whole));
    else if (rc != E_AGAIN)
        count_error(t, err.text);
    buf_deinit(&whole);
}

static void on_expire(void *arg)
{
    struct gelf_target *t = arg;
    size_t n = gelf_chunks_expire(&t->chunks, clock_mono_ns());
    if (n > 0)
        log_warn(COMPONENT, "messages dropped: chunks are missing", LOG_U("messages", n));
}

/* --- connections --- */

static void *on_open(void *arg, const char *ip, const char *host)
{
    (void)ip, (void)host;
    struct gelf_peer *peer = mem_zalloc(sizeof *peer);
    peer->target = arg;
    buf_init(&peer->pending, GELF_MESSAGE_BYTES_MAX);
    return peer;
}

static bool on_data(void *conn, str bytes)
{
    struct gelf_peer *peer = conn;
    size_t at = 0;
    if (!buf_append_str(&peer->pending, bytes)) {
        count_error(peer->target, "message too long");
        buf_reset(&peer->pending);
        return false;
    }
    for (;;) {
        str rest = str_from(buf_str(&peer->pending), at);
        size_t nul = str_find_char(rest, '\0');
        if (nul == STR_NPOS)
            break;
        if (nul > 0)
            take_message(peer->target, str_sub(rest, 0, nul));
        at += nul + 1;
    }
    memmove(peer->pending.ptr, peer->pending.ptr + at, peer->pending.len - at);
    peer->pending.len -= at;
    return true;
}

static void on_close(void *conn, enum listener_end why)
{
    struct gelf_peer *peer = conn;
    str rest = str_trim(buf_str(&peer->pending));
    if (rest.len > 0 && why == LISTENER_EOF)
        take_message(peer->target, rest); /* the last one may lack its NUL */
    buf_deinit(&peer->pending);
    mem_free(peer);
}

static const struct listener_ops ops = {
    on_open, on_data, on_close, on_datagram, listener_target_is_full, NULL};

/* --- the target --- */

static bool is_wanted(const struct scrape_config *job)
{
    return job->gelf != NULL;
}

static void free_target(struct target *base)
{
    struct gelf_target *t = (struct gelf_target *)base;
    loop_timer_free(t->expire);
    gelf_chunks_deinit(&t->chunks);
    arena_deinit(&t->arena);
    mem_free(t);
}

static int start(const struct target_env *env, const struct scrape_config *job,
                 struct pipeline *pipeline, struct target **ret, struct error *err)
{
    struct gelf_target *t = mem_zalloc(sizeof *t);
    t->base.base = (struct target){&target_gelf, job, pipeline};
    t->config = job->gelf;
    t->base.labels = &t->config->labels;
    arena_init(&t->arena, ARENA_BYTES_MAX);
    gelf_chunks_init(&t->chunks);
    t->expire = loop_timer_new(env->loop, on_expire, t);
    t->entries = metric_single(
        metric_family("promtail_gelf_target_entries_total", METRIC_COUNTER,
                      "Total number of successful entries sent to the gelf target", NULL, NULL));
    t->errors = metric_single(
        metric_family("promtail_gelf_target_parsing_errors_total", METRIC_COUNTER,
                      "Total number of parsing errors while receiving gelf messages", NULL, NULL));
    struct listener_config listen = {.address = t->config->listen_address,
                                     .protocol = t->config->protocol,
                                     .idle_timeout_ms = TCP_IDLE_MS,
                                     .datagram_bytes_max = DATAGRAM_BYTES_MAX};
    int rc = listener_target_start(&t->base, env, &listen, &ops, COMPONENT, err);
    if (rc != 0) {
        free_target(&t->base.base);
        return rc;
    }
    loop_timer_start(t->expire, EXPIRE_MS, EXPIRE_MS);
    *ret = &t->base.base;
    return 0;
}

static void stop(struct target *base, void (*stopped)(void *arg), void *arg)
{
    loop_timer_stop(((struct gelf_target *)base)->expire);
    listener_target_stop(base, stopped, arg);
}

const struct target_ops target_gelf = {.kind = "Gelf",
                                       .is_wanted = is_wanted,
                                       .start = start,
                                       .stop = stop,
                                       .free = free_target,
                                       .is_ready = listener_target_is_ready,
                                       .each_row = listener_target_each_row};
