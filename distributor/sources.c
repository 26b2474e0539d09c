#include "distributor/sources.h"

#include <pthread.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"

#define WINDOW 64

/* Bit i of the masks stands for the number `highest - i`. */
struct source {
    uint64_t highest;
    uint64_t stored;
    uint64_t busy;
};

struct source_table {
    pthread_mutex_t lock; /* protects the rest */
    struct strmap map;    /* tenant NUL id -> struct source */
    size_t max;
};

struct source_table *source_table_new(size_t sources_max)
{
    struct source_table *t = mem_zalloc(sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    strmap_init(&t->map);
    t->max = sources_max;
    return t;
}

void source_table_free(struct source_table *t)
{
    if (t == NULL)
        return;
    strmap_free_values(&t->map);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

#define KEY_BYTES_MAX 512

static str key_of(char key[KEY_BYTES_MAX], str tenant, str id)
{
    size_t a = MIN(tenant.len, KEY_BYTES_MAX / 2 - 1), b = MIN(id.len, KEY_BYTES_MAX / 2);
    memcpy(key, tenant.ptr, a);
    key[a] = '\0';
    memcpy(key + a + 1, id.ptr, b);
    return str_make(key, a + 1 + b);
}

static struct source *source_of(struct source_table *t, str tenant, str id)
{
    char bytes[KEY_BYTES_MAX];
    str key = key_of(bytes, tenant, id);
    struct source *s = strmap_get(&t->map, key);
    if (s != NULL)
        return s;
    if (t->map.len >= t->max)
        strmap_free_values(&t->map);
    s = mem_zalloc(sizeof *s);
    strmap_put(&t->map, key, s);
    return s;
}

/* Moves the window up to `seq`; returns how many numbers are skipped by that.  The first number of
 * a source is where counting starts. */
static uint64_t advance(struct source *s, uint64_t seq)
{
    uint64_t by = seq - s->highest, gap = s->highest == 0 ? 0 : by - 1;
    s->stored = by < WINDOW ? s->stored << by : 0;
    s->busy = by < WINDOW ? s->busy << by : 0;
    s->highest = seq;
    return gap;
}

static enum source_verdict judge(struct source *s, uint64_t seq, uint64_t *ret_gap)
{
    *ret_gap = 0;
    if (seq > s->highest)
        *ret_gap = advance(s, seq);
    uint64_t back = s->highest - seq;
    if (back >= WINDOW)
        return SOURCE_DUPLICATE;
    uint64_t bit = UINT64_C(1) << back;
    if (s->stored & bit)
        return SOURCE_DUPLICATE;
    if (s->busy & bit)
        return SOURCE_BUSY;
    s->busy |= bit;
    return SOURCE_NEW;
}

enum source_verdict source_begin(struct source_table *t, str tenant, str id, uint64_t seq,
                                 uint64_t *ret_gap)
{
    pthread_mutex_lock(&t->lock);
    enum source_verdict verdict = judge(source_of(t, tenant, id), seq, ret_gap);
    pthread_mutex_unlock(&t->lock);
    return verdict;
}

void source_done(struct source_table *t, str tenant, str id, uint64_t seq, bool is_stored)
{
    pthread_mutex_lock(&t->lock);
    struct source *s = source_of(t, tenant, id);
    uint64_t back = s->highest - seq;
    if (seq <= s->highest && back < WINDOW) {
        s->busy &= ~(UINT64_C(1) << back);
        if (is_stored)
            s->stored |= UINT64_C(1) << back;
    }
    pthread_mutex_unlock(&t->lock);
}

void source_remember(struct source_table *t, str tenant, str id, uint64_t seq)
{
    uint64_t gap;
    if (source_begin(t, tenant, id, seq, &gap) == SOURCE_NEW)
        source_done(t, tenant, id, seq, true);
}
