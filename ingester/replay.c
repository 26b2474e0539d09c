/* ingester/replay.c - at the start: brings back what the log holds and the store does not.
 *
 * The flush marks are read first, then every batch in order; entries before their stream's mark
 * are in the store and are left out.  The flush thread runs meanwhile, so memory stays within its
 * target however long the log is. */
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "index/key.h"
#include "ingester/internal.h"
#include "runtime/log.h"

#define ARENA_BYTES_MAX ((size_t)1 << 30) /* of one record */

struct replay {
    struct ingester *ing;
    struct strmap marks; /* fingerprint and check -> struct log_place */
    struct arena places;
    struct arena arena;
    struct buf plain;
    uint64_t entries, in_store;
    unsigned bad_records; /* whole, but not what we write */
};

static void mark_key(uint64_t out[2], uint64_t fingerprint, uint64_t check)
{
    out[0] = fingerprint;
    out[1] = check;
}

static int on_marks(void *arg, uint64_t pos, enum wal_record_type type, str payload)
{
    struct replay *r = arg;
    (void)pos;
    (void)type;
    const struct flush_mark *marks;
    size_t n;
    arena_reset(&r->arena);
    if (record_get_marks(payload, &r->arena, &marks, &n) != 0) {
        r->bad_records++;
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t key[2];
        mark_key(key, marks[i].fingerprint, marks[i].check);
        str k = str_make((const char *)key, sizeof key);
        struct log_place *had = strmap_get(&r->marks, k);
        if (had == NULL) {
            had = ARENA_NEW(&r->places, struct log_place);
            strmap_put(&r->marks, k, had);
        }
        if (marks[i].to.pos > had->pos ||
            (marks[i].to.pos == had->pos && marks[i].to.entry > had->entry))
            *had = marks[i].to;
    }
    return 0;
}

/* How many of the stream's entries in the record at `pos` are in the store. */
static size_t count_in_store(const struct replay *r, str tenant, const struct push_stream *s,
                             uint64_t pos)
{
    if (r->marks.len == 0)
        return 0;
    uint64_t key[2];
    mark_key(key, s->hash, stream_check_hash(tenant, &s->labels));
    const struct log_place *to = strmap_get(&r->marks, str_make((const char *)key, sizeof key));
    if (to == NULL || pos > to->pos)
        return 0;
    return pos < to->pos ? s->n_entries : MIN(s->n_entries, (size_t)to->entry);
}

/* The log is read faster than the store is written: waits rather than filling memory.  If the store
 * cannot be written at all, memory is filled to its limit first. */
static void wait_for_room(struct ingester *ing)
{
    const struct ingester_config *config = ing->config;
    uint64_t enough = 2 * (config->memory_target_bytes + config->head_memory_target_bytes);
    int64_t since_ns = clock_mono_ns();
    bool is_told = false;
    while ((uint64_t)ingester_memory(ing) > (atomic_load(&ing->flusher.is_failing)
                                                 ? config->memory_limit_bytes
                                                 : MIN(enough, config->memory_limit_bytes))) {
        if (!is_told && clock_mono_ns() - since_ns > NS_PER_S) {
            log_warn("ingester", "the replay waits for the store");
            is_told = true;
        }
        flusher_want_memory(ing);
        struct timespec ts = {0, 2 * NS_PER_MS};
        nanosleep(&ts, NULL);
    }
}

static int on_batch(void *arg, uint64_t pos, enum wal_record_type type, str payload)
{
    struct replay *r = arg;
    struct ingester *ing = r->ing;
    (void)type;
    struct push_batch batch;
    arena_reset(&r->arena);
    int code = record_get_batch(payload, &r->arena, &r->plain, &batch);
    if (code == E_NO_MEMORY)
        return code;
    if (code != 0 || !key_tenant_is_valid(batch.tenant)) {
        r->bad_records++;
        return 0;
    }
    if (batch.source_id.len > 0 && ing->o.on_numbered != NULL)
        ing->o.on_numbered(ing->o.arg, batch.tenant, batch.source_id, batch.source_seq);
    struct push_stream *left = ARENA_ARRAY(&r->arena, struct push_stream, batch.n_streams);
    uint32_t *skipped = ARENA_ARRAY(&r->arena, uint32_t, batch.n_streams);
    size_t n = 0;
    for (size_t i = 0; i < batch.n_streams; i++) {
        struct push_stream s = batch.streams[i];
        size_t in_store = count_in_store(r, batch.tenant, &s, pos);
        r->in_store += in_store;
        r->entries += s.n_entries - in_store;
        s.entries += in_store;
        s.n_entries -= in_store;
        skipped[n] = (uint32_t)in_store;
        if (s.n_entries > 0)
            left[n++] = s;
    }
    wal_replayed_to(ing->wal, pos);
    if (n > 0)
        code = ingester_apply(ing, tenant_get(ing, batch.tenant), left, n, pos, skipped);
    wait_for_room(ing);
    return code;
}

int ingester_replay(struct ingester *ing, struct error *err)
{
    struct ingester_metrics *m = ingester_metrics();
    struct replay r = {.ing = ing};
    struct wal_replay_stats marks = {0}, stats = {0};
    strmap_init(&r.marks);
    arena_init(&r.arena, ARENA_BYTES_MAX);
    arena_init(&r.places, ARENA_BYTES_MAX);
    buf_init(&r.plain, RECORD_PLAIN_BYTES_MAX);
    metric_set(m->wal_replay_active, 1);
    int64_t start_ns = clock_mono_ns();
    int code = wal_replay(ing->wal, WAL_RECORD_MARKS, false, on_marks, &r, &marks);
    if (code == 0)
        code = wal_replay(ing->wal, WAL_RECORD_BATCH, true, on_batch, &r, &stats);
    if (code == 0)
        wal_replayed_to(ing->wal, WAL_POS_NONE);
    else
        error_set(err, code, "replay of the log: %s", status_text(code));
    int64_t took_ns = clock_mono_ns() - start_ns;
    stats.corruptions += r.bad_records;
    metric_add(m->wal_corruptions, (double)stats.corruptions);
    metric_add(m->wal_duplicate_entries, (double)r.in_store);
    metric_set(m->wal_replay_active, 0);
    metric_set(m->wal_replay_duration_seconds, (double)took_ns / (double)NS_PER_S);
    if (stats.segments > 0)
        log_info("ingester", "replayed the log", LOG_U("segments", stats.segments),
                 LOG_U("records", stats.records), LOG_U("bytes", stats.bytes),
                 LOG_U("entries", r.entries), LOG_U("in_store", r.in_store),
                 LOG_U("corrupt", stats.corruptions), LOG_U("torn_bytes", stats.torn_bytes),
                 LOG_NS("took", took_ns));
    buf_deinit(&r.plain);
    arena_deinit(&r.arena);
    arena_deinit(&r.places);
    strmap_deinit(&r.marks);
    return code;
}
