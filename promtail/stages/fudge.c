#include "promtail/stages/fudge.h"

#include "base/mem.h"

struct fudge_time {
    int64_t ts_ns;
};

void fudge_init(struct fudge *f)
{
    u64map_init(&f->last);
}

static void forget_all(struct fudge *f)
{
    size_t at = 0;
    void *t;
    while (u64map_next(&f->last, &at, NULL, &t))
        mem_free(t);
    u64map_deinit(&f->last);
}

void fudge_deinit(struct fudge *f)
{
    forget_all(f);
}

void fudge_remember(struct fudge *f, const struct record *r)
{
    struct fudge_time *t = u64map_get(&f->last, r->labels.hash);
    if (t == NULL) {
        if (f->last.len >= FUDGE_SETS_MAX) {
            forget_all(f);
            u64map_init(&f->last);
        }
        t = mem_alloc(sizeof *t);
        u64map_put(&f->last, r->labels.hash, t);
    }
    t->ts_ns = r->ts_ns;
}

void fudge_apply(struct fudge *f, struct record *r)
{
    struct fudge_time *t = u64map_get(&f->last, r->labels.hash);
    if (t != NULL)
        r->ts_ns = ++t->ts_ns;
}
