#include "promtail/client/client.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "promtail/client/folders.h"
#include "promtail/client/metrics.h"
#include "promtail/client/queue.h"
#include "promtail/client/sender.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define COMPONENT        "client"
#define QUEUE_BYTES_MAX  (8u << 20) /* without wal: compressed, some 60 MB of lines */
#define TENANT_LABEL     STR("__tenant_id__")
#define SOURCE_ID_MAX    96
#define OPEN_BATCHES_MAX 1024 /* tenants; well below GROUP_BATCHES_MAX */

struct client {
    const struct client_config *config;
    const struct wal_config *wal;
    struct source_registry *sources;
    size_t index;
    char *name, *host;
    str tenant; /* of records that name none */
    struct client_metrics metrics;

    VEC(struct batch *) open;
    struct loop_timer *close_timer;

    struct queue queue;
    struct sender *sender;
    char source_id[SOURCE_ID_MAX]; /* of the push whose turn it is */
    int read_status; /* why the batch whose turn it is cannot be read now; 0: it can */

    bool is_stopping;
    void (*stopped)(void *arg);
    void *stopped_arg;
    struct loop_timer *stop_timer;
};

static void close_batches(struct client *c);

/* --- open batches --- */

static struct batch *find_batch(const struct client *c, str tenant)
{
    for (size_t i = 0; i < c->open.len; i++)
        if (str_eq(tenant, c->open.items[i]->tenant))
            return c->open.items[i];
    return NULL;
}

static void arm_close_timer(struct client *c)
{
    int64_t oldest = INT64_MAX;
    for (size_t i = 0; i < c->open.len; i++)
        oldest = MIN(oldest, c->open.items[i]->created_mono_ns);
    int64_t left = oldest + c->config->batchwait_ns - clock_mono_ns();
    loop_timer_start(c->close_timer, (uint64_t)MAX(left / NS_PER_MS, 0) + 1, 0);
}

static str tenant_of(const struct client *c, const struct record *r)
{
    str tenant = label_list_get(&r->labels, TENANT_LABEL);
    if (tenant.ptr == NULL)
        tenant = label_list_get(&c->config->external_labels, TENANT_LABEL);
    return tenant.ptr != NULL ? tenant : c->tenant;
}

void client_put(struct client *c, struct record *r)
{
    const struct origin *o = &r->origin;
    if (o->source != NULL && !source_wants(o->source, c->index, o->from))
        return; /* it was in a batch before the restart */
    str tenant = tenant_of(c, r);
    struct batch *b = find_batch(c, tenant);
    if (b != NULL && b->n_entries > 0 &&
        b->bytes + batch_record_bytes(r) > c->config->batchsize_bytes) {
        close_batches(c);
        b = NULL;
    }
    if (b == NULL && c->open.len == OPEN_BATCHES_MAX)
        close_batches(c);
    if (b == NULL) {
        b = batch_new(tenant, clock_mono_ns());
        VEC_PUSH(&c->open, b);
        if (c->open.len == 1)
            arm_close_timer(c);
    }
    if (!batch_add(b, r, &c->config->external_labels))
        client_metrics_dropped(&c->metrics, tenant, STR("out_of_memory"), 1, batch_record_bytes(r),
                               r->line.len);
}

/* While something is under way, batches grow rather than queue up. */
static void on_close_timer(void *arg)
{
    struct client *c = arg;
    if (c->queue.first == NULL)
        close_batches(c);
}

/* --- closing --- */

static void take_batch(struct client *c, struct group *g, struct batch *b)
{
    struct group_batch one = {.n_entries = b->n_entries, .raw_bytes = b->bytes};
    buf_init(&one.body, BUF_NO_LIMIT);
    if (batch_encode(b, &one.body) != 0) {
        client_metrics_dropped(&c->metrics, b->tenant, STR("out_of_memory"), b->n_entries, b->bytes,
                               b->bytes);
        buf_deinit(&one.body);
        return;
    }
    one.tenant = str_dup_c(b->tenant);
    one.seq = spool_next_seq(&c->queue.spool, b->tenant);
    one.body_bytes = one.body.len;
    metric_add(c->metrics.encoded_bytes, (double)one.body_bytes);
    VEC_PUSH(&g->batches, one);
}

static void take_marks(struct client *c, struct group *g)
{
    size_t at = 0;
    void *item;
    while (strmap_next(&c->sources->by_key, &at, NULL, &item)) {
        struct source *s = item;
        if (!source_mark_queued(s, c->index))
            continue;
        struct group_mark m = {.source = source_ref(s)};
        source_mark_copy(&m.mark, &s->queued[c->index]);
        VEC_PUSH(&g->marks, m);
    }
}

/* wal.drop_oldest: makes room by giving up batches from the front, never the one under way. */
static void drop_oldest(struct client *c)
{
    if (!c->wal->enabled || !c->wal->drop_oldest)
        return;
    while (c->queue.queued_bytes > c->wal->max_bytes && queue_has_more(&c->queue) &&
           !sender_is_under_way(c->sender)) {
        struct group *g;
        const struct group_batch *b = queue_next(&c->queue, &g);
        if (b == NULL)
            return;
        client_metrics_dropped(&c->metrics, str_c(b->tenant), STR("wal_full"), b->n_entries,
                               b->raw_bytes, b->raw_bytes);
        queue_next_done(&c->queue);
        sender_forget_tries(c->sender);
    }
}

static void close_batches(struct client *c)
{
    struct group *g = queue_new_group(&c->queue);
    for (size_t i = 0; i < c->open.len; i++) {
        if (c->open.items[i]->n_entries > 0)
            take_batch(c, g, c->open.items[i]);
        batch_free(c->open.items[i]);
    }
    c->open.len = 0;
    loop_timer_stop(c->close_timer);
    take_marks(c, g);
    struct error err = {0};
    if (queue_put(&c->queue, g, &err) != 0)
        log_warn(COMPONENT, "batch is kept in memory only", LOG_C("client", c->name),
                 LOG_C("err", err.text));
    drop_oldest(c);
    sender_wake(c->sender);
}

void client_sync(struct client *c)
{
    if (c->queue.waiting != NULL && queue_write_waiting(&c->queue, NULL) == 0)
        log_info(COMPONENT, "batches are in the journal again", LOG_C("client", c->name));
    if (c->queue.first != NULL || c->open.len > 0)
        return; /* the next group will carry it */
    size_t at = 0;
    void *item;
    while (strmap_next(&c->sources->by_key, &at, NULL, &item)) {
        if (source_has_news(item, c->index)) {
            close_batches(c);
            return;
        }
    }
}

bool client_is_full(const struct client *c)
{
    if (!c->wal->enabled)
        return c->queue.queued_bytes > QUEUE_BYTES_MAX;
    return c->queue.queued_bytes > c->wal->max_bytes && !c->wal->drop_oldest;
}

size_t client_queued_bytes(const struct client *c)
{
    return c->queue.queued_bytes;
}

void client_count_long_line(const struct client *c, const struct record *r, size_t bytes,
                            bool is_cut)
{
    if (is_cut)
        client_metrics_mutated(&c->metrics, tenant_of(c, r), DROP_LINE_TOO_LONG, bytes);
    else
        client_metrics_dropped(&c->metrics, tenant_of(c, r), DROP_LINE_TOO_LONG, 1, bytes, bytes);
}

void client_count_refused_stream(const struct client *c, const struct record *r)
{
    client_metrics_dropped(&c->metrics, tenant_of(c, r), DROP_STREAM_LIMIT, 1, r->line.len,
                           r->line.len);
}

/* --- sending --- */

static void all_sent(struct client *c)
{
    if (!c->is_stopping)
        return;
    void (*stopped)(void *arg) = c->stopped;
    c->stopped = NULL;
    loop_timer_stop(c->stop_timer);
    if (stopped != NULL)
        stopped(c->stopped_arg);
}

static void give_up(struct client *c, const struct group_batch *b, int status)
{
    str reason = status == 429 ? DROP_RATE_LIMITED : DROP_GENERIC;
    client_metrics_dropped(&c->metrics, str_c(b->tenant), reason, b->n_entries, b->body_bytes,
                           b->raw_bytes);
}

/* Not there, or not what was written: reading it again will not help. */
static bool is_gone(int rc)
{
    return rc == E_NOT_FOUND || rc == E_CORRUPT || rc == E_INTERNAL;
}

/* The batch whose turn it is, with its body; what is gone is given up.  NULL: there is none, or it
 * cannot be read now (*ret_status is not 0). */
static struct group_batch *next_batch(struct client *c, struct group **ret_group, int *ret_status)
{
    struct group_batch *b;
    while ((b = queue_next(&c->queue, ret_group)) != NULL) {
        int rc = queue_load_next(&c->queue);
        bool is_same = rc == *ret_status;
        *ret_status = rc;
        if (rc == 0)
            return b;
        if (!is_same) /* said once */
            log_error(COMPONENT, "cannot read a batch back", LOG_C("client", c->name), LOG_ERR(rc));
        if (!is_gone(rc))
            return NULL;
        *ret_status = 0;
        give_up(c, b, 0);
        queue_next_done(&c->queue);
    }
    return NULL;
}

/* Numbers run per tenant, so the id of the series of numbers names the tenant too.  What is neither
 * in the spool nor sure to be sent in order has none. */
static str number_series(struct client *c, const struct group *g, str tenant)
{
    if (!g->is_durable && c->queue.spool.dir != NULL)
        return STR_EMPTY;
    int n = snprintf(c->source_id, sizeof c->source_id, "%s-%08x", g->source_id,
                     (unsigned)hash_xxh64(tenant, 0));
    return str_make(c->source_id, (size_t)n);
}

static enum push_turn on_next(void *arg, struct push *ret)
{
    struct client *c = arg;
    struct group *g;
    const struct group_batch *b = next_batch(c, &g, &c->read_status);
    if (b != NULL) {
        str tenant = str_c(b->tenant);
        *ret = (struct push){.tenant = tenant,
                             .source_id = number_series(c, g, tenant),
                             .seq = b->seq,
                             .body = buf_str(&b->body)};
        return PUSH_READY;
    }
    if (c->read_status != 0)
        return PUSH_LATER;
    if (c->open.len > 0)
        arm_close_timer(c);
    else
        all_sent(c);
    return PUSH_NONE;
}

static void on_done(void *arg, int status)
{
    struct client *c = arg;
    struct group *g;
    const struct group_batch *b = queue_next(&c->queue, &g);
    if (status / 100 == 2) {
        metric_add(c->metrics.sent_bytes, (double)b->body_bytes);
        metric_add(c->metrics.sent_entries, (double)b->n_entries);
    } else {
        give_up(c, b, status);
    }
    queue_next_done(&c->queue);
}

/* --- stopping --- */

static void on_stop_timer(void *arg)
{
    struct client *c = arg;
    if (c->queue.first != NULL)
        log_warn(COMPONENT, "stopped with batches not sent", LOG_C("client", c->name),
                 LOG_U("bytes", c->queue.queued_bytes),
                 LOG_C("kept", c->queue.spool.dir != NULL ? "on disk" : "no"));
    all_sent(c);
}

void client_stop(struct client *c, uint64_t grace_ms, void (*done)(void *arg), void *arg)
{
    c->is_stopping = true;
    c->stopped = done;
    c->stopped_arg = arg;
    loop_timer_start(c->stop_timer, grace_ms, 0);
    close_batches(c);
}

/* --- life --- */

static char *host_of(const char *url)
{
    str s = str_c(url);
    size_t at = str_find(s, STR("://"));
    s = at == STR_NPOS ? s : str_from(s, at + 3);
    size_t end = 0;
    while (end < s.len && s.ptr[end] != '/' && s.ptr[end] != '?')
        end++;
    s = str_sub(s, 0, end);
    size_t user = str_rfind_char(s, '@');
    return str_dup_c(user == STR_NPOS ? s : str_from(s, user + 1));
}

static int open_queue(struct client *c, const struct client_env *env, struct error *err)
{
    char dir[FOLDER_PATH_BYTES];
    int rc = env->state_dir != NULL ? folder_path(env->state_dir, c->config, dir, err) : 0;
    if (rc != 0)
        return rc;
    return queue_open(&c->queue, env->state_dir != NULL ? dir : NULL, c->index, env->sources,
                      env->ignore_marks, err);
}

int client_new(const struct client_env *env, const struct client_config *config, size_t index,
               struct client **ret, struct error *err)
{
    (void)err;
    struct client *c = mem_zalloc(sizeof *c);
    c->config = config;
    c->wal = &env->config->wal;
    c->sources = env->sources;
    c->index = index;
    c->host = host_of(config->url);
    c->name = mem_strdup(config->name[0] != '\0' ? config->name : c->host);
    c->tenant = str_c(config->tenant_id);
    client_metrics_init(&c->metrics, str_c(c->host));
    c->close_timer = loop_timer_new(env->loop, on_close_timer, c);
    c->stop_timer = loop_timer_new(env->loop, on_stop_timer, c);
    c->sender = sender_new(env->loop,
                           &(struct sender_config){.client = config,
                                                   .name = c->name,
                                                   .metrics = &c->metrics,
                                                   .is_patient = c->wal->enabled},
                           &(struct sender_owner){.next = on_next, .done = on_done, .arg = c});
    struct error why = {0};
    if (open_queue(c, env, &why) != 0)
        log_warn(COMPONENT, "no journal on disk: lines may be sent twice after a crash",
                 LOG_C("client", c->name), LOG_C("err", why.text));
    *ret = c;
    return 0;
}

void client_start(struct client *c)
{
    struct error err = {0};
    if (queue_begin(&c->queue, &err) != 0)
        log_warn(COMPONENT, "batches are kept in memory until the disk takes them",
                 LOG_C("client", c->name), LOG_C("err", err.text));
    sender_wake(c->sender);
}

void client_free(struct client *c)
{
    if (c == NULL)
        return;
    sender_free(c->sender);
    queue_close(&c->queue);
    for (size_t i = 0; i < c->open.len; i++)
        batch_free(c->open.items[i]);
    VEC_FREE(&c->open);
    loop_timer_free(c->close_timer);
    loop_timer_free(c->stop_timer);
    mem_free(c->name);
    mem_free(c->host);
    mem_free(c);
}

const struct client_config *client_config_of(const struct client *c)
{
    return c->config;
}

const char *client_host(const struct client *c)
{
    return c->host;
}
