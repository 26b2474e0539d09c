/* ingester/push.c - the push sink: what is refused, the log, then the heads. */
#include "base/bytesize.h"
#include "base/clock.h"
#include "base/gotime.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "index/key.h"
#include "ingester/internal.h"
#include "proto/block.h"

#define LIST_BYTES_MAX ((size_t)256 << 20) /* of one record of the log */
/* A line a block can hold with what the head may hold before it. */
#define LINE_BYTES_MAX (BLOCK_TEXT_BYTES_MAX / 4)

/* One push on its way. */
struct push {
    struct ingester *ing;
    const struct push_batch *batch;
    struct tenant *tenant;
    const struct limits *limits;
    struct push_stream *streams; /* what is admitted; n_entries 0: nothing */
    struct arena arena;
    int code; /* of the last refusal; 0: none */
    struct error err;
    push_done *done;
    void *arg;
};

/* --- refusing --- */

static void count_refused(struct push *p, const char *reason, uint64_t entries, uint64_t bytes)
{
    struct ingester_metrics *m = ingester_metrics();
    metric_add(metric_with2(m->discarded_samples, str_c(reason), p->tenant->name), (double)entries);
    metric_add(metric_with2(m->discarded_bytes, str_c(reason), p->tenant->name), (double)bytes);
}

static uint64_t line_bytes(const struct push_stream *ps)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < ps->n_entries; i++)
        bytes += ps->entries[i].line.len;
    return bytes;
}

/* Keeps the newest refusal as the answer, as Loki does: the last stream's error is returned. */
static void refuse(struct push *p, int code, int http, const struct buf *text)
{
    error_clear(&p->err);
    error_set(&p->err, code, "%.*s", STR_ARG(buf_str(text)));
    p->err.http = http;
    p->code = code;
}

/* The list of refused entries that Loki answers with. */
struct refusals {
    struct buf text;
    size_t n;
    size_t max; /* entries named; 0: all */
};

static void refusals_init(struct refusals *r, const struct push *p)
{
    buf_init(&r->text, ERROR_TEXT_MAX);
    r->n = 0;
    r->max = (size_t)p->ing->config->max_returned_stream_errors;
}

static void refusals_add(struct refusals *r, int64_t ts_ns, str reason)
{
    if (r->n++ >= r->max && r->max > 0)
        return;
    buf_append_c(&r->text, "entry with timestamp ");
    struct gotime t = gotime_from_ns(ts_ns, NULL);
    gotime_append(&r->text, &t);
    buf_append_c(&r->text, " ignored, reason: '");
    buf_append_str(&r->text, reason);
    buf_append_c(&r->text, "',\n");
}

static void refusals_end(struct refusals *r, struct push *p, const struct push_stream *ps, int code,
                         int http)
{
    buf_printf(&r->text,
               "user '%.*s', total ignored: %zu out of %zu for stream: ", STR_ARG(p->tenant->name),
               r->n, ps->n_entries);
    labels_print(&ps->labels, &r->text);
    refuse(p, code, http, &r->text);
    buf_deinit(&r->text);
}

/* --- the limits of a stream; the lock of its shard is held --- */

/* Too many streams: 429 in Loki's words. */
static bool admit_new_stream(struct push *p, const struct push_stream *ps)
{
    int64_t max = p->limits->max_streams_per_user;
    if (p->limits->max_global_streams_per_user > 0 &&
        (max == 0 || p->limits->max_global_streams_per_user < max))
        max = p->limits->max_global_streams_per_user;
    if (max <= 0 || atomic_load(&p->tenant->n_streams) < (size_t)max)
        return true;
    struct buf text;
    buf_init(&text, ERROR_TEXT_MAX);
    buf_append_c(&text, "Maximum active stream limit exceeded when trying to create stream ");
    labels_print(&ps->labels, &text);
    buf_printf(&text,
               ", reduce the number of active streams (reduce labels or reduce label values), or "
               "contact your Loki administrator to see if the limit can be increased, user: '%.*s'",
               STR_ARG(p->tenant->name));
    refuse(p, E_RATE_LIMITED, 429, &text);
    buf_deinit(&text);
    count_refused(p, "stream_limit", ps->n_entries, line_bytes(ps));
    return false;
}

/* A token bucket; a push either fits as a whole or is refused as a whole, as in Loki while streams
 * are sharded automatically. */
static bool admit_rate(struct push *p, struct stream *s, const struct push_stream *ps,
                       int64_t now_ns)
{
    double rate = (double)p->limits->per_stream_rate_limit_bytes;
    double burst = (double)p->limits->per_stream_rate_limit_burst_bytes;
    if (rate <= 0)
        return true;
    uint64_t bytes = line_bytes(ps);
    if (s->rate_at_ns == INT64_MIN)
        s->rate_tokens = burst;
    else
        s->rate_tokens += (double)MAX(now_ns - s->rate_at_ns, (int64_t)0) / (double)NS_PER_S * rate;
    s->rate_tokens = MIN(s->rate_tokens, burst);
    s->rate_at_ns = now_ns;
    if ((double)bytes <= s->rate_tokens) {
        s->rate_tokens -= (double)bytes;
        return true;
    }
    struct buf reason;
    buf_init(&reason, ERROR_TEXT_MAX);
    buf_append_c(&reason, "Per stream rate limit exceeded (limit: ");
    bytesize_append_setting(&reason, (uint64_t)rate);
    buf_append_c(&reason, "/sec) while attempting to ingest for stream '");
    labels_print(&ps->labels, &reason);
    buf_append_c(&reason, "' totaling ");
    bytesize_append_setting(&reason, bytes);
    buf_append_c(&reason,
                 ", consider splitting a stream via additional labels or contact your Loki "
                 "administrator to see if the limit can be increased");
    struct refusals r;
    refusals_init(&r, p);
    for (size_t i = 0; i < ps->n_entries; i++)
        refusals_add(&r, ps->entries[i].ts_ns, buf_str(&reason));
    refusals_end(&r, p, ps, E_RATE_LIMITED, 429);
    buf_deinit(&reason);
    count_refused(p, "per_stream_rate_limit", ps->n_entries, bytes);
    return false;
}

/* Takes out entries too far behind the newest one (where a window is configured) and lines no
 * block can hold. */
static void admit_entries(struct push *p, const struct stream *s, struct push_stream *ps)
{
    int64_t window = p->limits->out_of_order_window_ns, newest = s->newest_ns;
    bool is_all = true;
    for (size_t i = 0; i < ps->n_entries && is_all; i++) {
        is_all = ps->entries[i].line.len <= LINE_BYTES_MAX &&
                 (window <= 0 || newest == INT64_MIN || ps->entries[i].ts_ns >= newest - window);
        newest = MAX(newest, ps->entries[i].ts_ns);
    }
    if (is_all)
        return;
    struct entry *kept = ARENA_ARRAY(&p->arena, struct entry, ps->n_entries);
    size_t n = 0;
    struct refusals r;
    refusals_init(&r, p);
    struct buf reason;
    buf_init(&reason, ERROR_TEXT_MAX);
    newest = s->newest_ns;
    for (size_t i = 0; i < ps->n_entries; i++) {
        const struct entry *e = &ps->entries[i];
        bool is_late = window > 0 && newest != INT64_MIN && e->ts_ns < newest - window;
        if (!is_late && e->line.len <= LINE_BYTES_MAX) {
            kept[n++] = *e;
            newest = MAX(newest, e->ts_ns);
            continue;
        }
        buf_reset(&reason);
        if (is_late) {
            buf_append_c(&reason, "entry too far behind, entry timestamp is: ");
            rfc3339_append_seconds(&reason, e->ts_ns);
            buf_append_c(&reason, ", oldest acceptable timestamp is: ");
            rfc3339_append_seconds(&reason, newest - window);
        } else {
            buf_append_c(&reason, "line too long");
        }
        refusals_add(&r, e->ts_ns, buf_str(&reason));
        count_refused(p, is_late ? "too_far_behind" : "line_too_long", 1, e->line.len);
    }
    refusals_end(&r, p, ps, E_TOO_OLD, 400);
    buf_deinit(&reason);
    ps->entries = kept;
    ps->n_entries = n;
}

static void admit_stream(struct push *p, struct push_stream *ps, int64_t now_ns)
{
    struct ingester *ing = p->ing;
    uint64_t slot = stream_slot(p->tenant, ps->hash);
    struct shard *sh = shard_of(ing, slot);
    pthread_mutex_lock(&sh->lock);
    struct stream *s = shard_find(sh, slot, p->tenant, &ps->labels);
    if (s == NULL && admit_new_stream(p, ps))
        s = shard_add(ing, sh, slot, p->tenant, ps);
    if (s == NULL || !admit_rate(p, s, ps, now_ns))
        ps->n_entries = 0;
    else
        admit_entries(p, s, ps);
    pthread_mutex_unlock(&sh->lock);
}

/* --- the way of a push --- */

static void push_finish(void *arg, int code)
{
    struct push *p = arg;
    if (code == 0)
        code = p->code;
    else
        error_set(&p->err, code, "%s", status_text(code));
    p->done(p->arg, code, code == 0 ? NULL : &p->err);
    arena_deinit(&p->arena);
    mem_free(p);
}

/* Nothing of the push has been stored; the client should try again. */
static void push_fail(struct push *p, int code, const char *text)
{
    error_clear(&p->err);
    error_set(&p->err, code, "%s", text);
    p->err.http = 503;
    push_finish(p, code);
}

/* A push that was refused in part and is to be tried again is not known by its number. */
static bool is_final(const struct push *p)
{
    int http = p->code == 0 ? 204 : error_http(&p->err);
    return http < 500 && http != 429;
}

static int push_log(struct push *p, size_t n, uint64_t *ret_pos)
{
    struct buf list;
    buf_init(&list, LIST_BYTES_MAX);
    str body;
    int code = record_put_batch(&list, p->batch, p->streams, n, is_final(p), &body);
    if (code == 0)
        code = wal_append(p->ing->wal, WAL_RECORD_BATCH, (str[]){buf_str(&list), body}, 2, ret_pos);
    buf_deinit(&list);
    return code;
}

/* Admits what the limits allow; returns how many streams are left, moved to the front. */
static size_t push_admit(struct push *p)
{
    size_t n = p->batch->n_streams, kept = 0;
    int64_t now_ns = clock_mono_ns();
    for (size_t i = 0; i < n; i++) {
        struct push_stream ps = p->batch->streams[i];
        if (ps.n_entries == 0)
            continue;
        admit_stream(p, &ps, now_ns);
        if (ps.n_entries > 0)
            p->streams[kept++] = ps;
    }
    return kept;
}

void ingester_push(struct push_sink *sink, const struct push_batch *batch, push_done *done,
                   void *arg)
{
    struct push *p = mem_zalloc(sizeof *p);
    struct ingester *ing = ingester_of_sink(sink);
    p->ing = ing;
    p->batch = batch;
    p->done = done;
    p->arg = arg;
    arena_init(&p->arena, LIST_BYTES_MAX);
    if (atomic_load(&ing->is_stopping)) {
        push_fail(p, E_UNAVAILABLE, "Ingester is shutting down");
        return;
    }
    if (!key_tenant_is_valid(batch->tenant)) {
        error_set(&p->err, E_INVALID, "tenant id is empty, too long or has a NUL byte");
        push_finish(p, E_INVALID);
        return;
    }
    if ((uint64_t)ingester_memory(ing) > ing->config->memory_limit_bytes) {
        flusher_want_memory(ing);
        push_fail(p, E_FULL, "too much unflushed data in memory, try again later");
        return;
    }
    p->tenant = tenant_get(ing, batch->tenant);
    p->limits = limits_for(ing->o.limits, batch->tenant);
    p->streams = ARENA_ARRAY(&p->arena, struct push_stream, batch->n_streams);
    size_t n = push_admit(p);
    uint64_t pos = WAL_POS_NONE;
    int code = 0;
    if (n > 0 && ing->wal != NULL && (code = push_log(p, n, &pos)) != 0) {
        push_fail(p, code == E_TOO_LARGE ? code : E_NO_SPACE, status_text(E_NO_SPACE));
        return;
    }
    if (n > 0)
        code = ingester_apply(ing, p->tenant, p->streams, n, pos, NULL);
    if (n > 0 && ing->wal != NULL)
        wal_applied(ing->wal, pos);
    if (code != 0) {
        push_fail(p, code, status_text(code));
        return;
    }
    if (n > 0)
        tail_publish(&ing->tails, p->tenant->name, p->streams, n);
    if (ing->wal != NULL && n > 0)
        wal_when_safe(ing->wal, pos, push_finish, p);
    else
        push_finish(p, 0);
}
