#include "querier/tail.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "logql/check.h"
#include "logql/parser.h"
#include "logql/pipeline.h"
#include "proto/tenant.h"
#include "querier/internal.h"
#include "querier/tail_frame.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/websocket.h"
#include "runtime/workers.h"

#define FLUSH_MS          100
#define PING_NS           (INT64_C(10) * NS_PER_S)
#define DURATION_MAX_NS   (INT64_C(3600) * NS_PER_S) /* Loki's tail_max_duration */
#define DELAY_MAX_S       5
#define PENDING_BYTES_MAX (8u << 20) /* waiting to be sent, per tail */
#define DROPPED_MAX       100        /* told one by one in a frame */
#define LIMIT_MAX         5000

/* An entry as it came, in the arena of its batch. */
struct tailed {
    const struct labels *stream;
    struct entry entry;
};

struct pending {
    struct arena arena;
    VEC(struct tailed) items;
    struct labels last_stream; /* streams come in runs: copied once */
    const struct labels *last_copy;
};

struct tail {
    struct tail *next, *prev; /* of the querier's list */
    struct querier *q;
    struct websocket *ws; /* NULL once closed */
    str tenant;
    const struct limits *limits;
    struct arena arena; /* as long as the tail */
    struct expr *expr;
    struct pipeline *pipeline;
    struct pipeline_run *run;
    struct tail_sub *subs[SOURCES_MAX];
    struct loop_timer *timer;
    struct tail_format format;
    bool has_history; /* sent: live entries may follow */
    uint32_t limit;
    int64_t delay_ns, start_ns, opened_ns, opened_mono_ns, pinged_mono_ns;
    struct u64map seen; /* hashes of what history sent, so that it is not sent twice */
    unsigned refs;      /* the socket, the history job */
    atomic_bool is_closed;

    pthread_mutex_t lock; /* protects what follows: written by appending threads */
    struct pending pending;
    struct tail_line dropped[DROPPED_MAX]; /* labels and time of each, in dropped_arena */
    size_t n_dropped;
    struct arena dropped_arena;
};

/* --- what appending threads do --- */

static void note_dropped(struct tail *t, const struct labels *stream, int64_t ts_ns)
{
    if (t->n_dropped == DROPPED_MAX)
        return;
    t->dropped[t->n_dropped++] =
        (struct tail_line){.labels = labels_copy(&t->dropped_arena, stream), .ts_ns = ts_ns};
}

static const struct labels *copy_stream(struct pending *p, const struct labels *stream)
{
    if (p->last_copy == NULL || !labels_eq(&p->last_stream, stream)) {
        struct labels *copy = ARENA_NEW(&p->arena, struct labels);
        *copy = labels_copy(&p->arena, stream);
        p->last_stream = *copy;
        p->last_copy = copy;
    }
    return p->last_copy;
}

static void on_entries(void *arg, const struct labels *stream, const struct entry *entries,
                       size_t n)
{
    struct tail *t = arg;
    pthread_mutex_lock(&t->lock);
    struct pending *p = &t->pending;
    for (size_t i = 0; i < n; i++) {
        if (arena_used(&p->arena) > PENDING_BYTES_MAX) {
            note_dropped(t, stream, entries[i].ts_ns);
            continue;
        }
        struct entry e = {entries[i].ts_ns, arena_str(&p->arena, entries[i].line),
                          labels_copy(&p->arena, &entries[i].meta)};
        VEC_PUSH(&p->items, (struct tailed){copy_stream(p, stream), e});
    }
    pthread_mutex_unlock(&t->lock);
}

/* --- sending --- */

static uint64_t line_hash(const struct labels *ls, int64_t ts_ns, str line)
{
    uint64_t seed = labels_hash(ls) ^ (uint64_t)ts_ns * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t h = hash_xxh64(line, seed);
    return h == 0 ? 1 : h;
}

/* Sends lines, oldest first; if the peer does not keep up they are dropped. */
static void send_lines(struct tail *t, struct tail_line *lines, size_t n)
{
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    pthread_mutex_lock(&t->lock);
    bool any = n > 0 || t->n_dropped > 0;
    if (any)
        tail_frame_write(&out, t->format, lines, n, t->dropped, t->n_dropped);
    t->n_dropped = 0;
    arena_reset(&t->dropped_arena);
    pthread_mutex_unlock(&t->lock);
    if (any && websocket_send(t->ws, buf_str(&out)) != 0) {
        pthread_mutex_lock(&t->lock);
        for (size_t i = 0; i < n; i++)
            note_dropped(t, &lines[i].labels, lines[i].ts_ns);
        pthread_mutex_unlock(&t->lock);
    }
    buf_deinit(&out);
}

/* --- the timer --- */

/* Moves what is old enough out of the buffer into `ret`. */
static void take_ripe(struct tail *t, struct pending *ret)
{
    int64_t ripe_ns = t->q->config.now_ns() - t->delay_ns;
    memset(ret, 0, sizeof *ret);
    arena_init(&ret->arena, BUF_NO_LIMIT);
    pthread_mutex_lock(&t->lock);
    struct pending *p = &t->pending;
    size_t kept = 0;
    bool all = t->delay_ns == 0;
    if (all && p->items.len > 0) {
        struct pending swap = *ret;
        *ret = *p;
        *p = swap;
    } else if (!all) {
        for (size_t i = 0; i < p->items.len; i++) {
            struct tailed *one = &p->items.items[i];
            if (one->entry.ts_ns > ripe_ns) {
                p->items.items[kept++] = *one;
                continue;
            }
            struct entry e = {one->entry.ts_ns, arena_str(&ret->arena, one->entry.line),
                              labels_copy(&ret->arena, &one->entry.meta)};
            VEC_PUSH(&ret->items, (struct tailed){copy_stream(ret, one->stream), e});
        }
        p->items.len = kept;
        if (kept == 0) {
            arena_reset(&p->arena);
            p->last_copy = NULL;
        }
    }
    pthread_mutex_unlock(&t->lock);
}

static void pending_deinit(struct pending *p)
{
    VEC_FREE(&p->items);
    arena_deinit(&p->arena);
}

static bool run_entry(struct tail *t, const struct tailed *in, struct arena *a,
                      struct tail_line *ret)
{
    struct pipeline_result r;
    pipeline_run_stream(t->run, in->stream);
    if (!pipeline_run_entry(t->run, in->entry.ts_ns, in->entry.line, &in->entry.meta, &r))
        return false;
    if (t->seen.len > 0 &&
        u64map_get(&t->seen, line_hash(&r.labels->all, in->entry.ts_ns, r.line)) != NULL)
        return false;
    *ret = (struct tail_line){.ts_ns = in->entry.ts_ns, .line = arena_str(a, r.line)};
    if (t->format.is_categorized) {
        ret->labels = labels_copy(a, &r.labels->stream);
        ret->meta = labels_copy(a, &r.labels->meta);
        ret->parsed = labels_copy(a, &r.labels->parsed);
    } else {
        ret->labels = labels_copy(a, &r.labels->all);
    }
    return true;
}

static void send_live(struct tail *t)
{
    struct pending batch;
    VEC(struct tail_line) lines = {0};
    struct tail_line line;
    take_ripe(t, &batch);
    for (size_t i = 0; i < batch.items.len; i++)
        if (run_entry(t, &batch.items.items[i], &batch.arena, &line))
            VEC_PUSH(&lines, line);
    send_lines(t, lines.items, lines.len);
    if (batch.items.len > 0) /* it looks at the last stream, which is still in the batch */
        pipeline_run_forget(t->run);
    VEC_FREE(&lines);
    pending_deinit(&batch);
}

static void on_timer(void *arg)
{
    struct tail *t = arg;
    int64_t now = clock_mono_ns();
    if (t->ws == NULL || !t->has_history)
        return;
    if (now - t->opened_mono_ns > DURATION_MAX_NS) {
        websocket_close(t->ws, 1000, STR("reached tail max duration limit"));
        return;
    }
    send_live(t);
    if (now - t->pinged_mono_ns > PING_NS) {
        t->pinged_mono_ns = now;
        websocket_ping(t->ws);
    }
}

/* --- the life of a tail --- */

static void tail_unref(struct tail *t)
{
    if (--t->refs > 0)
        return;
    pipeline_run_free(t->run);
    pipeline_free(t->pipeline);
    logql_release(t->expr);
    u64map_deinit(&t->seen);
    pending_deinit(&t->pending);
    arena_deinit(&t->dropped_arena);
    arena_deinit(&t->arena);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

static void on_close(void *arg, int code, str reason)
{
    struct tail *t = arg;
    (void)code, (void)reason;
    atomic_store(&t->is_closed, true);
    t->ws = NULL;
    for (size_t i = 0; i < t->q->config.n_sources; i++)
        if (t->subs[i] != NULL)
            t->q->sources[i]->ops->untail(t->q->sources[i], t->subs[i]);
    loop_timer_free(t->timer);
    t->timer = NULL;
    if (t->prev != NULL)
        t->prev->next = t->next;
    else
        t->q->tails = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
    tail_unref(t);
}

void tails_close(struct querier *q)
{
    for (struct tail *t = q->tails, *next; t != NULL; t = next) {
        next = t->next;
        if (t->ws != NULL)
            websocket_close(t->ws, 1001, STR("server is stopping"));
    }
}

/* --- history: runs on a worker, is sent from the loop --- */

struct history {
    struct tail *t;
    struct arena arena;
    struct engine_query *query;
    struct engine_result result;
    struct error err;
    int code;
};

static bool history_should_stop(void *arg)
{
    const struct history *h = arg;
    return atomic_load(&h->t->is_closed) || atomic_load(&h->t->q->is_stopping);
}

static void run_shard(void *arg, size_t i)
{
    engine_run_shard(arg, i);
}

static void history_run(void *arg)
{
    struct history *h = arg;
    struct tail *t = h->t;
    struct engine_params p = {
        .tenant = t->tenant,
        .start_ns = t->start_ns,
        .end_ns = t->q->config.now_ns() + 1,
        .step_ns = NS_PER_S,
        .limit = t->limit,
        .direction = ENGINE_BACKWARD,
        .is_categorized = t->format.is_categorized,
        .sources = t->q->sources,
        .n_sources = t->q->config.n_sources,
        .should_stop = history_should_stop,
        .stop_arg = h,
    };
    h->code = engine_prepare(t->expr, &p, &h->arena, &h->query, &h->err);
    if (h->code != 0)
        return;
    workers_parallel(t->q->config.workers, run_shard, h->query, engine_shard_count(h->query));
    h->code = engine_finish(h->query, &h->result, &h->err);
}

static void send_history(struct tail *t, const struct engine_result *r)
{
    VEC(struct tail_line) lines = {0};
    for (size_t i = 0; i < r->n_streams; i++)
        for (size_t k = r->streams[i].n_entries; k-- > 0;) {
            const struct engine_entry *e = &r->streams[i].entries[k];
            struct tail_line l = {
                .labels = r->streams[i].labels, .ts_ns = e->ts_ns, .line = e->line};
            if (e->labels != NULL) {
                l.meta = e->labels->meta;
                l.parsed = e->labels->parsed;
            }
            VEC_PUSH(&lines, l);
            /* What came around the time of opening may be in the live buffer, too. */
            if (!t->format.is_categorized && e->ts_ns >= t->opened_ns - 60 * NS_PER_S)
                u64map_put(&t->seen, line_hash(&l.labels, l.ts_ns, l.line), t);
        }
    send_lines(t, lines.items, lines.len);
    VEC_FREE(&lines);
}

static void history_done(void *arg)
{
    struct history *h = arg;
    struct tail *t = h->t;
    if (t->ws != NULL && h->code == 0)
        send_history(t, &h->result);
    else if (t->ws != NULL)
        websocket_close(t->ws, 1011, str_c(h->err.text));
    t->has_history = true;
    engine_free(h->query);
    arena_deinit(&h->arena);
    mem_free(h);
    tail_unref(t);
}

static void start_history(struct tail *t)
{
    struct history *h = mem_zalloc(sizeof *h);
    h->t = t;
    arena_init(&h->arena, BUF_NO_LIMIT);
    t->refs++;
    if (workers_submit(t->q->config.workers, history_run, history_done, h) == 0)
        return;
    h->code = error_set(&h->err, E_UNAVAILABLE, "too many outstanding requests");
    history_done(h);
}

/* --- opening --- */

static int parse_tail(struct tail *t, struct http_request *r, struct error *err)
{
    struct params p = params_of_request(r, t->opened_ns);
    int64_t end_ns;
    uint32_t delay = 0;
    int code = params_bounds(&p, PARAM_SINCE_NS, &t->start_ns, &end_ns, err);
    if (code == 0)
        code = params_limit(&p, "limit", 100, &t->limit, err);
    if (code == 0 && params_str(&p, "delay_for").len > 0 &&
        !str_eq(params_str(&p, "delay_for"), STR("0")))
        code = params_limit(&p, "delay_for", 1, &delay, err);
    if (code != 0)
        return code;
    if (delay > DELAY_MAX_S)
        return error_set(err, E_INVALID, "delay_for can't be greater than %d", DELAY_MAX_S);
    t->delay_ns = delay * NS_PER_S;
    t->limit = MIN(t->limit, LIMIT_MAX);
    str flags = http_header(r, "X-Loki-Response-Encoding-Flags");
    t->format.is_categorized = flags.ptr != NULL && str_contains(flags, STR("categorize-labels"));
    code = logql_parse(params_str(&p, "query"), &t->arena, &t->expr, err);
    if (code != 0)
        return code;
    if (!expr_is_log(t->expr))
        return error_set(err, E_INVALID, "only log queries can be tailed");
    struct pipeline_params pp = {
        .stages = t->expr->log.stages, .n_stages = t->expr->log.n_stages, .sample = PIPELINE_LINES};
    code = pipeline_compile(&pp, &t->pipeline, err);
    if (code == 0)
        t->run = pipeline_run_new(t->pipeline);
    return code;
}

static int check_count(const struct tail *t, struct error *err)
{
    int64_t n = 1;
    for (const struct tail *other = t->q->tails; other != NULL; other = other->next)
        n += str_eq(other->tenant, t->tenant);
    if (t->limits->max_concurrent_tail_requests > 0 && n > t->limits->max_concurrent_tail_requests)
        return error_set(err, E_INVALID,
                         "max concurrent tail requests limit exceeded, count > limit (%lld > %lld)",
                         (long long)n, (long long)t->limits->max_concurrent_tail_requests);
    return 0;
}

static void subscribe(struct tail *t)
{
    struct matcher *ms = ARENA_ARRAY(&t->arena, struct matcher, t->expr->log.n_matchers);
    for (size_t i = 0; i < t->expr->log.n_matchers; i++)
        ms[i] = *t->expr->log.matchers[i];
    struct select_params p = {.tenant = t->tenant,
                              .matchers = ms,
                              .n_matchers = t->expr->log.n_matchers,
                              .from_ns = t->start_ns,
                              .to_ns = INT64_MAX};
    for (size_t i = 0; i < t->q->config.n_sources; i++) {
        struct query_source *s = t->q->sources[i];
        if (s->ops->tail != NULL && s->ops->tail(s, &p, on_entries, t, &t->subs[i]) != 0)
            log_warn("querier", "a source refused a tail", LOG_C("source", s->name));
    }
}

static int open_tail(struct querier *q, struct http_request *r, bool is_legacy, struct tail **ret,
                     struct error *err)
{
    struct tail *t = mem_zalloc(sizeof *t);
    str tenant;
    *ret = t;
    t->q = q;
    t->refs = 1;
    t->format.is_legacy = is_legacy;
    t->opened_ns = q->config.now_ns();
    t->opened_mono_ns = t->pinged_mono_ns = clock_mono_ns();
    pthread_mutex_init(&t->lock, NULL);
    arena_init(&t->arena, BUF_NO_LIMIT);
    arena_init(&t->dropped_arena, BUF_NO_LIMIT);
    arena_init(&t->pending.arena, BUF_NO_LIMIT);
    u64map_init(&t->seen);
    int code =
        tenant_from_header(http_header(r, TENANT_HEADER), q->config.auth_enabled, &tenant, err);
    if (code != 0)
        return code;
    t->tenant = arena_str(&t->arena, tenant);
    t->limits = limits_for(q->config.limits, tenant);
    code = parse_tail(t, r, err);
    return code == 0 ? check_count(t, err) : code;
}

static void accept_tail(struct querier *q, struct http_request *r, bool is_legacy)
{
    static const struct websocket_ops ops = {.on_close = on_close};
    struct tail *t;
    struct error err = {0};
    if (atomic_load(&q->is_stopping))
        error_set(&err, E_UNAVAILABLE, "server is stopping");
    if (open_tail(q, r, is_legacy, &t, &err) != 0 || err.code != 0) {
        http_reply_error(r, &err);
        tail_unref(t);
        return;
    }
    t->ws = websocket_accept(r, &ops, t);
    if (t->ws == NULL) {
        tail_unref(t);
        return;
    }
    t->next = q->tails;
    if (q->tails != NULL)
        q->tails->prev = t;
    q->tails = t;
    subscribe(t); /* before history is asked for, so that nothing falls between */
    t->timer = loop_timer_new(q->config.loop, on_timer, t);
    loop_timer_start(t->timer, FLUSH_MS, FLUSH_MS);
    start_history(t);
}

void tail_accept(void *querier, struct http_request *r)
{
    accept_tail(querier, r, false);
}

void tail_accept_legacy(void *querier, struct http_request *r)
{
    accept_tail(querier, r, true);
}
