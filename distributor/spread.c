#include "distributor/spread.h"

#include <pthread.h>

#include "base/mem.h"

/* How far one stream has come. */
struct progress {
    unsigned replicas; /* ingesters that were asked */
    unsigned needed;   /* that must have it */
    unsigned stored, failed;
};

struct spread;

/* What one ingester gets. */
struct share {
    struct spread *owner;
    struct push_batch batch;
    size_t *of; /* index of each of its streams in the whole batch */
};

struct spread {
    pthread_mutex_t lock; /* protects all below; shares end on any thread */
    struct progress *streams;
    size_t open;        /* streams that wait for their quorum */
    size_t shares_left; /* ingesters that have not ended, and one for spread_push itself */
    bool is_answered;
    int code; /* of the worst that was said */
    struct error err;
    const struct spread_ops *ops;
    void *arg;
    size_t n_streams;
};

/* Refusals of the client's data (4xx) are final; the others may be made good by another replica. */
static bool is_refusal(int code)
{
    return code != 0 && status_http(code) < 500;
}

/* Marks the streams of a share; true if the whole is decided by it. */
static bool mark(struct spread *s, const struct share *share, int code, const struct error *err)
{
    bool is_stored = code == 0 || is_refusal(code);
    if (is_refusal(code) && s->code == 0) {
        s->code = code;
        if (err != NULL)
            s->err = *err;
    }
    bool lost = false;
    for (size_t i = 0; i < share->batch.n_streams; i++) {
        struct progress *p = &s->streams[share->of[i]];
        if (is_stored && ++p->stored == p->needed)
            s->open--;
        else if (!is_stored && ++p->failed == p->replicas - p->needed + 1)
            lost = true;
    }
    if (lost) {
        s->code = code;
        error_clear(&s->err);
        if (err != NULL)
            s->err = *err;
    }
    return lost || s->open == 0;
}

static void finish_one(struct spread *s, bool answer)
{
    pthread_mutex_lock(&s->lock);
    bool do_answer = answer && !s->is_answered;
    if (do_answer)
        s->is_answered = true;
    int code = s->code;
    pthread_mutex_unlock(&s->lock);
    if (do_answer) /* nobody writes code and err after this */
        s->ops->answer(s->arg, code, &s->err);
    /* The last one out ends it: everybody else has answered, if it was his to do. */
    pthread_mutex_lock(&s->lock);
    bool last = --s->shares_left == 0;
    pthread_mutex_unlock(&s->lock);
    if (last) {
        pthread_mutex_destroy(&s->lock);
        s->ops->release(s->arg);
    }
}

static void share_done(void *arg, int code, const struct error *err)
{
    struct share *share = arg;
    struct spread *s = share->owner;
    pthread_mutex_lock(&s->lock);
    bool decided = !s->is_answered && mark(s, share, code, err);
    pthread_mutex_unlock(&s->lock);
    finish_one(s, decided);
}

/* --- the case of one ingester --- */

struct direct {
    const struct spread_ops *ops;
    void *arg;
};

static void direct_done(void *arg, int code, const struct error *err)
{
    struct direct d = *(struct direct *)arg;
    d.ops->answer(d.arg, code, err);
    d.ops->release(d.arg);
}

static void push_direct(struct push_sink *sink, const struct push_batch *batch, struct arena *a,
                        const struct spread_ops *ops, void *arg)
{
    struct direct *d = ARENA_NEW(a, struct direct);
    *d = (struct direct){ops, arg};
    push_sink_push(sink, batch, direct_done, d);
}

/* --- sharing out --- */

static void refuse(const struct spread_ops *ops, void *arg, size_t have, unsigned wanted)
{
    struct error err = {0};
    error_set(&err, E_UNAVAILABLE, "at least %u live replicas required, could only find %zu",
              wanted / 2 + 1, have);
    ops->answer(arg, err.code, &err);
    ops->release(arg);
}

/* One share per instance, with room for every stream; filled by share_out(). */
static struct share *make_shares(struct spread *s, const struct push_batch *batch, size_t n,
                                 struct arena *a)
{
    struct share *shares = ARENA_ARRAY(a, struct share, n);
    for (size_t i = 0; i < n; i++) {
        shares[i].owner = s;
        shares[i].batch = *batch;
        shares[i].batch.n_streams = 0;
        shares[i].batch.raw = STR_EMPTY;
        shares[i].batch.raw_encoding = PUSH_NOT_KEPT;
        shares[i].batch.streams = ARENA_ARRAY(a, struct push_stream, batch->n_streams);
        shares[i].of = ARENA_ARRAY(a, size_t, batch->n_streams);
    }
    return shares;
}

/* False if a stream has too few ACTIVE ingesters; *ret_have then says how many. */
static bool share_out(struct spread *s, const struct ring *ring, unsigned rf,
                      const struct push_batch *batch, struct share *shares, size_t *ret_have)
{
    unsigned replicas[RING_REPLICAS_MAX];
    for (size_t i = 0; i < batch->n_streams; i++) {
        size_t n =
            ring_replicas(ring, ring_key(batch->tenant, batch->streams[i].hash), rf, replicas);
        *ret_have = n;
        if (n < rf / 2 + 1)
            return false;
        s->streams[i] = (struct progress){.replicas = (unsigned)n, .needed = rf / 2 + 1};
        for (size_t k = 0; k < n; k++) {
            struct share *share = &shares[replicas[k]];
            struct push_stream *streams = (struct push_stream *)share->batch.streams;
            streams[share->batch.n_streams] = batch->streams[i];
            share->of[share->batch.n_streams++] = i;
        }
    }
    return true;
}

void spread_push(const struct ring *ring, unsigned replication_factor,
                 const struct push_batch *batch, struct arena *a, const struct spread_ops *ops,
                 void *arg)
{
    size_t n = ring_count(ring), have = 0;
    if (n == 1 && ring_at(ring, 0).state == RING_ACTIVE) {
        push_direct(ring_at(ring, 0).sink, batch, a, ops, arg);
        return;
    }
    unsigned rf = MAX(1, MIN(replication_factor, RING_REPLICAS_MAX));
    struct spread *s = ARENA_NEW(a, struct spread);
    s->streams = ARENA_ARRAY(a, struct progress, batch->n_streams);
    s->open = s->n_streams = batch->n_streams;
    s->ops = ops;
    s->arg = arg;
    struct share *shares = make_shares(s, batch, n, a);
    if (!share_out(s, ring, rf, batch, shares, &have)) {
        refuse(ops, arg, have, rf);
        return;
    }
    pthread_mutex_init(&s->lock, NULL);
    s->shares_left = 1;
    for (size_t i = 0; i < n; i++)
        s->shares_left += shares[i].batch.n_streams > 0;
    for (size_t i = 0; i < n; i++)
        if (shares[i].batch.n_streams > 0)
            push_sink_push(ring_at(ring, i).sink, &shares[i].batch, share_done, &shares[i]);
    finish_one(s, false);
}
