#include "ingester/tail.h"

#include "base/mem.h"

#define SUB_BYTES_MAX ((size_t)4 << 20) /* matchers of one subscriber */

struct tail_sub {
    struct arena arena; /* tenant and matchers */
    str tenant;
    struct matcher *matchers;
    size_t n_matchers;
    tail_entries *fn;
    void *arg;
};

void tail_set_init(struct tail_set *t)
{
    *t = (struct tail_set){0};
    pthread_rwlock_init(&t->lock, NULL);
}

void tail_set_deinit(struct tail_set *t)
{
    ASSERT(t->subs.len == 0);
    VEC_FREE(&t->subs);
    pthread_rwlock_destroy(&t->lock);
}

static void sub_free(struct tail_sub *sub)
{
    for (size_t i = 0; i < sub->n_matchers; i++)
        matcher_deinit(&sub->matchers[i]);
    arena_deinit(&sub->arena);
    mem_free(sub);
}

int tail_add(struct tail_set *t, const struct select_params *p, tail_entries *fn, void *arg,
             struct tail_sub **ret)
{
    struct tail_sub *sub = mem_zalloc(sizeof *sub);
    arena_init(&sub->arena, SUB_BYTES_MAX);
    sub->tenant = arena_str(&sub->arena, p->tenant);
    sub->matchers = ARENA_ARRAY(&sub->arena, struct matcher, p->n_matchers);
    sub->fn = fn;
    sub->arg = arg;
    for (size_t i = 0; i < p->n_matchers; i++) {
        const struct matcher *m = &p->matchers[i];
        int code = matcher_init(&sub->matchers[i], &sub->arena, m->name, m->op, m->value, NULL);
        if (code != 0) {
            sub_free(sub);
            return code;
        }
        sub->n_matchers++;
    }
    pthread_rwlock_wrlock(&t->lock);
    VEC_PUSH(&t->subs, sub);
    atomic_store(&t->n, t->subs.len);
    pthread_rwlock_unlock(&t->lock);
    *ret = sub;
    return 0;
}

void tail_remove(struct tail_set *t, struct tail_sub *sub)
{
    pthread_rwlock_wrlock(&t->lock);
    for (size_t i = 0; i < t->subs.len; i++)
        if (t->subs.items[i] == sub) {
            t->subs.items[i] = t->subs.items[--t->subs.len];
            break;
        }
    atomic_store(&t->n, t->subs.len);
    pthread_rwlock_unlock(&t->lock);
    sub_free(sub);
}

void tail_publish(struct tail_set *t, str tenant, const struct push_stream *streams, size_t n)
{
    if (atomic_load_explicit(&t->n, memory_order_relaxed) == 0)
        return;
    pthread_rwlock_rdlock(&t->lock);
    for (size_t i = 0; i < t->subs.len; i++) {
        const struct tail_sub *sub = t->subs.items[i];
        if (!str_eq(sub->tenant, tenant))
            continue;
        for (size_t k = 0; k < n; k++)
            if (streams[k].n_entries > 0 &&
                matchers_match(sub->matchers, sub->n_matchers, &streams[k].labels))
                sub->fn(sub->arg, &streams[k].labels, streams[k].entries, streams[k].n_entries);
    }
    pthread_rwlock_unlock(&t->lock);
}
