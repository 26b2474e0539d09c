/* ingester/flush.c - the flush thread: looks for chunks that should go, and writes them to the
 * store, many in one transaction.  It is the only writer of the store and the only one that takes
 * chunks and streams out of memory, so its pointers to them stay good without a lock. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "chunks/chunk.h"
#include "ingester/internal.h"
#include "runtime/log.h"

/* Written together: enough to make the cost of a commit small, little enough to bound the pages
 * that LMDB holds until it. */
#define BATCH_BYTES     ((size_t)8 << 20)
#define BATCH_CHUNKS    4096
#define WAIT_MS         1000 /* the longest a sealed chunk waits for others */
#define RETRY_MS_MAX    30000
#define MARKS_BYTES_MAX ((size_t)16 << 20)

/* --- the queue --- */

void flusher_add(struct ingester *ing, struct mem_chunk *c)
{
    struct flusher *f = &ing->flusher;
    pthread_mutex_lock(&f->lock);
    VEC_PUSH(&f->queue, c);
    f->queue_bytes += c->bytes;
    if (f->queue_bytes >= BATCH_BYTES)
        pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
}

void flusher_want_memory(struct ingester *ing)
{
    struct flusher *f = &ing->flusher;
    pthread_mutex_lock(&f->lock);
    if (!f->wants_memory)
        pthread_cond_signal(&f->wake);
    f->wants_memory = true;
    pthread_mutex_unlock(&f->lock);
}

/* Takes chunks of one day off the front of the queue. */
static size_t take_batch(struct flusher *f, struct mem_chunk **batch)
{
    size_t n = 0, bytes = 0, kept = 0;
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->queue.len; i++) {
        struct mem_chunk *c = f->queue.items[i];
        bool fits = n == 0 || (n < BATCH_CHUNKS && bytes + c->bytes <= BATCH_BYTES &&
                               c->day == batch[0]->day);
        if (fits) {
            batch[n++] = c;
            bytes += c->bytes;
        } else {
            f->queue.items[kept++] = c;
        }
    }
    f->queue.len = kept;
    f->queue_bytes -= bytes;
    metric_set(ingester_metrics()->flush_queue_length, (double)kept);
    pthread_mutex_unlock(&f->lock);
    return n;
}

static void put_back(struct flusher *f, struct mem_chunk **batch, size_t n)
{
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < n; i++) {
        VEC_PUSH(&f->queue, batch[i]);
        f->queue_bytes += batch[i]->bytes;
    }
    pthread_mutex_unlock(&f->lock);
}

/* --- writing --- */

/* Fills what the store is told of a chunk.  A sealed chunk does not change, so no lock is needed.
 * Pieces: header, blocks, footer; header and footer lie in `ends`. */
static int chunk_to_put(const struct mem_chunk *c, struct arena *a, struct table_put *put)
{
    struct buf footer;
    buf_init(&footer, BUF_NO_LIMIT);
    struct chunk_block *infos = arena_try_alloc(a, c->blocks.len * sizeof *infos);
    str *pieces = arena_try_alloc(a, (c->blocks.len + 2) * sizeof *pieces);
    int code = E_NO_MEMORY;
    if (infos == NULL || pieces == NULL)
        goto out;
    struct buf header;
    buf_init(&header, CHUNK_HEADER_BYTES);
    chunk_put_header(&header);
    pieces[0] = arena_str(a, buf_str(&header));
    buf_deinit(&header);
    for (size_t i = 0; i < c->blocks.len; i++) {
        const struct mem_block *b = c->blocks.items[i];
        infos[i] = b->info;
        pieces[i + 1] = str_make(b->bytes, b->size);
    }
    if (!chunk_put_footer(&footer, infos, c->blocks.len))
        goto out;
    pieces[c->blocks.len + 1] = arena_str(a, buf_str(&footer));
    *put = (struct table_put){
        .tenant = c->stream->tenant->name,
        .fingerprint = c->stream->fingerprint,
        .labels = c->stream->labels,
        .chunk =
            {
                .id = c->id,
                .from_ns = c->min_ns,
                .through_ns = c->max_ns,
                .entries = (uint32_t)c->entries,
                .blocks = (uint32_t)c->blocks.len,
                .bytes = (uint32_t)(CHUNK_HEADER_BYTES + c->bytes + footer.len),
                .line_bytes = c->line_bytes,
                .meta_bytes = c->meta_bytes,
            },
        .pieces = pieces,
        .n_pieces = c->blocks.len + 2,
    };
    code = 0;
out:
    buf_deinit(&footer);
    return code;
}

static int write_batch(struct ingester *ing, struct mem_chunk **batch, size_t n)
{
    struct arena a;
    arena_init(&a, (size_t)64 << 20);
    struct table_put *puts = ARENA_ARRAY(&a, struct table_put, n);
    int code = 0;
    for (size_t i = 0; i < n && code == 0; i++)
        code = chunk_to_put(batch[i], &a, &puts[i]);
    struct table *table = NULL;
    struct error err = {0};
    if (code == 0)
        code = store_table(ing->o.store, batch[0]->day, true, &table, &err);
    if (code == 0) {
        code = table_write(table, puts, n);
        store_release(ing->o.store, table);
    }
    if (code != 0)
        log_error("ingester", "cannot write chunks to the store, will try again",
                  LOG_U("chunks", n), LOG_C("err", err.code ? err.text : status_text(code)));
    arena_deinit(&a);
    return code;
}

static void observe_flush(const struct ingester *ing, const struct mem_chunk *c, int64_t now_ns)
{
    struct ingester_metrics *m = ingester_metrics();
    metric_inc(m->flushed[c->reason]);
    metric_observe(m->chunk_entries, (double)c->entries);
    metric_observe(m->chunk_size_bytes, (double)c->bytes);
    metric_observe(m->chunk_utilization,
                   (double)c->bytes / (double)ing->config->chunk_target_bytes);
    metric_observe(m->chunk_age_seconds, (double)(now_ns - c->begun_ns) / (double)NS_PER_S);
    metric_observe(m->chunk_bounds_hours,
                   (double)(c->max_ns - c->min_ns) / (3600.0 * (double)NS_PER_S));
    metric_observe(m->chunk_compression_ratio, (double)c->line_bytes / (double)MAX(c->bytes, 1u));
    metric_observe(m->blocks_per_chunk, (double)c->blocks.len);
}

/* The batch is in the store: takes it out of memory and tells the log how far its streams are. */
static void finish_batch(struct ingester *ing, struct mem_chunk **batch, size_t n)
{
    struct stream_params params = ingester_stream_params(ing);
    struct flush_mark *marks = mem_array(n, sizeof *marks);
    /* Before any look into a stream: what is applied after this is not counted as flushed. */
    uint64_t safe = ing->wal ? wal_applied_to(ing->wal) : 0;
    for (size_t i = 0; i < n; i++) {
        struct stream *s = batch[i]->stream;
        struct shard *sh = shard_of(ing, stream_slot(s->tenant, s->fingerprint));
        observe_flush(ing, batch[i], params.now_ns);
        pthread_mutex_lock(&sh->lock);
        stream_drop_chunk(s, &params, batch[i]);
        struct log_place to = log_place_min((struct log_place){safe, 0}, stream_wal_from(s));
        marks[i] = (struct flush_mark){s->fingerprint, s->check, to};
        pthread_mutex_unlock(&sh->lock);
    }
    if (ing->wal != NULL) {
        struct buf record;
        buf_init(&record, MARKS_BYTES_MAX);
        uint64_t pos;
        /* If this fails a replay doubles entries, which questions take out again. */
        if (record_put_marks(&record, marks, n) &&
            wal_append(ing->wal, WAL_RECORD_MARKS, (str[]){buf_str(&record)}, 1, &pos) == 0)
            wal_applied(ing->wal, pos);
        buf_deinit(&record);
    }
    mem_free(marks);
}

/* Writes what is queued.  What fails is queued again; chunks of other days go on meanwhile. */
static int flush_queue(struct ingester *ing)
{
    struct mem_chunk **batch = mem_array(BATCH_CHUNKS, sizeof *batch);
    VEC(struct mem_chunk *) failed = {0};
    int code = 0;
    for (size_t n; (n = take_batch(&ing->flusher, batch)) > 0;) {
        int one = write_batch(ing, batch, n);
        if (one == 0) {
            finish_batch(ing, batch, n);
            continue;
        }
        code = one;
        metric_inc(ingester_metrics()->flush_failures);
        for (size_t i = 0; i < n; i++)
            VEC_PUSH(&failed, batch[i]);
    }
    put_back(&ing->flusher, failed.items, failed.len);
    VEC_FREE(&failed);
    mem_free(batch);
    return code;
}

/* --- looking for work --- */

/* An open chunk and its size when it was looked at; it may grow since. */
struct open_chunk {
    struct mem_chunk *chunk;
    size_t bytes;
};

struct sweep {
    struct ingester *ing;
    struct stream_params params;
    bool all;                    /* everything goes */
    uint64_t wal_end;            /* what needs the log before this goes */
    uint64_t wal_first;          /* out: the first position that is still needed */
    VEC(struct open_chunk) open; /* out: chunks not sealed */
};

static void seal_all(struct stream *s, const struct stream_params *p, enum flush_reason reason)
{
    if (stream_cut(s, p) != 0)
        return; /* no memory: what is cut goes, the head stays */
    stream_trim(s, p);
    for (size_t i = 0; i < s->chunks.len; i++)
        stream_seal(s->chunks.items[i], p, reason);
}

static void sweep_stream(struct sweep *w, struct stream *s)
{
    const struct ingester_config *config = w->ing->config;
    int64_t now_ns = w->params.now_ns, begun_ns = INT64_MAX;
    if (!head_is_empty(&s->head))
        begun_ns = s->head_begun_ns;
    for (size_t i = 0; i < s->chunks.len; i++)
        if (!s->chunks.items[i]->is_sealed)
            begun_ns = MIN(begun_ns, s->chunks.items[i]->begun_ns);
    if (w->all)
        seal_all(s, &w->params, FLUSH_FORCED);
    else if (stream_wal_from(s).pos < w->wal_end)
        seal_all(s, &w->params, FLUSH_WAL);
    else if (now_ns - s->touched_ns >= config->chunk_idle_period_ns)
        seal_all(s, &w->params, FLUSH_IDLE);
    else if (begun_ns != INT64_MAX && now_ns - begun_ns >= config->max_chunk_age_ns)
        seal_all(s, &w->params, FLUSH_MAX_AGE);
    for (size_t i = 0; i < s->chunks.len; i++)
        if (!s->chunks.items[i]->is_sealed)
            VEC_PUSH(&w->open, (struct open_chunk){s->chunks.items[i], s->chunks.items[i]->bytes});
    w->wal_first = MIN(w->wal_first, stream_wal_from(s).pos);
}

/* A stream that has nothing in memory and got nothing for the idle time is forgotten. */
static bool is_forgotten(const struct sweep *w, const struct stream *s)
{
    return stream_is_empty(s) &&
           w->params.now_ns - s->touched_ns >= w->ing->config->chunk_idle_period_ns;
}

static void sweep_shard(struct sweep *w, struct shard *sh)
{
    VEC(struct stream *) gone = {0};
    pthread_mutex_lock(&sh->lock);
    size_t at = 0;
    void *value;
    while (u64map_next(&sh->streams, &at, NULL, &value))
        for (struct stream *s = value; s != NULL; s = s->next) {
            sweep_stream(w, s);
            if (is_forgotten(w, s))
                VEC_PUSH(&gone, s);
        }
    for (size_t i = 0; i < gone.len; i++)
        shard_remove(w->ing, sh, stream_slot(gone.items[i]->tenant, gone.items[i]->fingerprint),
                     gone.items[i]);
    pthread_mutex_unlock(&sh->lock);
    VEC_FREE(&gone);
}

static int cmp_larger_first(const void *a, const void *b)
{
    const struct open_chunk *x = a, *y = b;
    return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

static int cmp_larger_head(const void *a, const void *b)
{
    const struct stream *const *x = a, *const *y = b;
    size_t m = head_memory(&(*x)->head), n = head_memory(&(*y)->head);
    return (m < n) - (m > n);
}

/* Many streams make much memory of heads, each holding up to a block: the largest are cut early,
 * into smaller blocks than one would wish, until the sum is a quarter below its target. */
static void shrink_heads(struct sweep *w)
{
    struct ingester *ing = w->ing;
    int64_t target = (int64_t)ing->config->head_memory_target_bytes;
    if (atomic_load(&ing->head_bytes) <= target)
        return;
    VEC(struct stream *) streams = {0};
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        struct shard *sh = &ing->shards[i];
        pthread_mutex_lock(&sh->lock);
        streams.len = 0;
        size_t at = 0;
        void *value;
        while (u64map_next(&sh->streams, &at, NULL, &value))
            for (struct stream *s = value; s != NULL; s = s->next)
                VEC_PUSH(&streams, s);
        if (streams.len > 0)
            qsort(streams.items, streams.len, sizeof *streams.items, cmp_larger_head);
        /* A shard has its share of all streams, so it gives its share of what is too much. */
        int64_t has = 0, gives;
        for (size_t k = 0; k < streams.len; k++)
            has += (int64_t)head_memory(&streams.items[k]->head);
        gives = has - target / SHARD_COUNT / 4 * 3;
        for (size_t k = 0; k < streams.len && gives > 0; k++) {
            gives -= (int64_t)head_memory(&streams.items[k]->head);
            if (stream_cut(streams.items[k], &w->params) == 0)
                stream_trim(streams.items[k], &w->params);
        }
        pthread_mutex_unlock(&sh->lock);
    }
    VEC_FREE(&streams);
}

/* Seals the largest open chunks until what stays is a quarter below the target. */
static void make_room(struct sweep *w)
{
    struct ingester *ing = w->ing;
    struct flusher *f = &ing->flusher;
    shrink_heads(w);
    pthread_mutex_lock(&f->lock);
    int64_t queued = (int64_t)f->queue_bytes;
    f->wants_memory = false;
    pthread_mutex_unlock(&f->lock);
    int64_t target = (int64_t)ing->config->memory_target_bytes;
    int64_t stays = atomic_load(&ing->chunk_bytes) - queued;
    if (stays + queued <= target || w->open.len == 0)
        return;
    qsort(w->open.items, w->open.len, sizeof *w->open.items, cmp_larger_first);
    for (size_t i = 0; i < w->open.len && stays > target / 4 * 3; i++) {
        struct mem_chunk *c = w->open.items[i].chunk;
        struct shard *sh = shard_of(ing, stream_slot(c->stream->tenant, c->stream->fingerprint));
        pthread_mutex_lock(&sh->lock);
        stays -= (int64_t)c->bytes;
        stream_seal(c, &w->params, FLUSH_FULL);
        pthread_mutex_unlock(&sh->lock);
    }
}

/* Looks over all streams; gives back files of the log that nothing needs. */
static void sweep(struct ingester *ing, bool all)
{
    struct sweep w = {
        .ing = ing,
        .params = ingester_stream_params(ing),
        .all = all,
        .wal_first = ing->wal ? wal_applied_to(ing->wal) : 0,
    };
    if (ing->wal != NULL && wal_bytes(ing->wal) > ing->config->wal.bytes_max)
        w.wal_end = wal_oldest_end(ing->wal);
    for (size_t i = 0; i < SHARD_COUNT; i++)
        sweep_shard(&w, &ing->shards[i]);
    make_room(&w);
    VEC_FREE(&w.open);
    if (ing->wal != NULL) {
        wal_truncate(ing->wal, w.wal_first);
        metric_set(ingester_metrics()->wal_bytes_in_use, (double)wal_bytes(ing->wal));
    }
    metric_set(ingester_metrics()->memory_bytes, (double)ingester_memory(ing));
}

/* --- the thread --- */

static void wait_ms(struct flusher *f, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    int64_t ns = until.tv_nsec + ms * NS_PER_MS;
    until.tv_sec += ns / NS_PER_S;
    until.tv_nsec = ns % NS_PER_S;
    pthread_cond_timedwait(&f->wake, &f->lock, &until);
}

static bool has_work(const struct flusher *f)
{
    return f->is_stopping || f->wants_memory || f->all_asked > f->all_done ||
           f->queue_bytes >= BATCH_BYTES;
}

static void *flusher_main(void *arg)
{
    struct ingester *ing = arg;
    struct flusher *f = &ing->flusher;
    int64_t sweep_at_ns = 0, period_ns = ing->config->flush_check_period_ns;
    int64_t wait = MIN((int64_t)WAIT_MS, MAX(period_ns / NS_PER_MS, INT64_C(1)));
    int64_t retry_ms = 0, retry_at_ns = 0;
    pthread_mutex_lock(&f->lock);
    for (;;) {
        if (!has_work(f))
            wait_ms(f, wait);
        while (clock_mono_ns() < retry_at_ns && !f->is_stopping && f->all_asked == f->all_done)
            wait_ms(f, (retry_at_ns - clock_mono_ns()) / NS_PER_MS + 1);
        bool stop = f->is_stopping, wants = f->wants_memory;
        uint64_t asked = f->all_asked;
        bool all = asked > f->all_done;
        if (stop && !all)
            break;
        pthread_mutex_unlock(&f->lock);
        if (all || wants || clock_mono_ns() >= sweep_at_ns) {
            sweep(ing, all);
            sweep_at_ns = clock_mono_ns() + period_ns;
        }
        int code = flush_queue(ing);
        atomic_store(&f->is_failing, code != 0);
        retry_ms = code == 0       ? 0
                   : retry_ms == 0 ? WAIT_MS
                                   : MIN(retry_ms * 2, (int64_t)RETRY_MS_MAX);
        if (all && code == 0 && ing->wal != NULL) /* files that this flush has freed */
            sweep(ing, false);
        pthread_mutex_lock(&f->lock);
        if (all) {
            f->all_done = asked;
            f->all_code = code;
            pthread_cond_broadcast(&f->finished);
        }
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

int flusher_flush_all(struct ingester *ing)
{
    struct flusher *f = &ing->flusher;
    pthread_mutex_lock(&f->lock);
    uint64_t mine = ++f->all_asked;
    pthread_cond_signal(&f->wake);
    while (f->all_done < mine)
        pthread_cond_wait(&f->finished, &f->lock);
    int code = f->all_code;
    pthread_mutex_unlock(&f->lock);
    return code;
}

int flusher_start(struct ingester *ing)
{
    struct flusher *f = &ing->flusher;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->wake, NULL);
    pthread_cond_init(&f->finished, NULL);
    f->has_thread = pthread_create(&f->thread, NULL, flusher_main, ing) == 0;
    if (f->has_thread)
        pthread_setname_np(f->thread, "loge-flush");
    return f->has_thread ? 0 : E_NO_MEMORY;
}

void flusher_stop(struct ingester *ing, bool flush_all)
{
    struct flusher *f = &ing->flusher;
    if (!f->has_thread)
        return;
    if (flush_all)
        flusher_flush_all(ing);
    pthread_mutex_lock(&f->lock);
    f->is_stopping = true;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    VEC_FREE(&f->queue);
    pthread_cond_destroy(&f->finished);
    pthread_cond_destroy(&f->wake);
    pthread_mutex_destroy(&f->lock);
    f->has_thread = false;
}
