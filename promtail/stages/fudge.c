#include "promtail/stages/fudge.h"

#include "base/mem.h"

struct fudge_time {
    int64_t ts_ns;
};

void fudge_init(struct fudge *f)
{
    *f = (struct fudge){0};
    u64map_init(&f->last);
}

void fudge_deinit(struct fudge *f)
{
    size_t at = 0;
    void *t;
    while (u64map_next(&f->last, &at, NULL, &t))
        mem_free(t);
    u64map_deinit(&f->last);
    f->recent = NULL;
}

static struct fudge_time *find(struct fudge *f, uint64_t hash)
{
    if (f->recent != NULL && f->recent_hash == hash)
        return f->recent;
    struct fudge_time *t = u64map_get(&f->last, hash);
    if (t != NULL) {
        f->recent = t;
        f->recent_hash = hash;
    }
    return t;
}

void fudge_remember(struct fudge *f, const struct record *r)
{
    struct fudge_time *t = find(f, r->labels.hash);
    if (t == NULL) {
        if (f->last.len >= FUDGE_SETS_MAX) {
            fudge_deinit(f);
            fudge_init(f);
        }
        t = mem_alloc(sizeof *t);
        u64map_put(&f->last, r->labels.hash, t);
    }
    t->ts_ns = r->ts_ns;
}

void fudge_apply(struct fudge *f, struct record *r)
{
    struct fudge_time *t = find(f, r->labels.hash);
    if (t != NULL)
        r->ts_ns = ++t->ts_ns;
}
