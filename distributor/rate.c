#include "distributor/rate.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"

/* Tenants remembered; when there are more, all start again with a full bucket. */
#define TENANTS_MAX 100000

struct bucket {
    double tokens;
    int64_t at_ns; /* when `tokens` was right */
};

struct rate_table {
    pthread_mutex_t lock; /* protects the rest */
    struct strmap buckets;
};

struct rate_table *rate_table_new(void)
{
    struct rate_table *t = mem_zalloc(sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    strmap_init(&t->buckets);
    return t;
}

void rate_table_free(struct rate_table *t)
{
    if (t == NULL)
        return;
    strmap_free_values(&t->buckets);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

static struct bucket *bucket_of(struct rate_table *t, str tenant, double burst, int64_t now_ns)
{
    struct bucket *b = strmap_get(&t->buckets, tenant);
    if (b != NULL)
        return b;
    if (t->buckets.len >= TENANTS_MAX)
        strmap_free_values(&t->buckets);
    b = mem_alloc(sizeof *b);
    *b = (struct bucket){burst, now_ns};
    strmap_put(&t->buckets, tenant, b);
    return b;
}

bool rate_allow(struct rate_table *t, str tenant, double per_second, double burst, double bytes,
                int64_t now_ns)
{
    pthread_mutex_lock(&t->lock);
    struct bucket *b = bucket_of(t, tenant, burst, now_ns);
    if (now_ns > b->at_ns) {
        b->tokens += (double)(now_ns - b->at_ns) / (double)NS_PER_S * per_second;
        b->at_ns = now_ns;
    }
    b->tokens = MIN(b->tokens, burst);
    bool ok = bytes <= b->tokens;
    if (ok)
        b->tokens -= bytes;
    pthread_mutex_unlock(&t->lock);
    return ok;
}
