#include "promtail/client/group.h"

#include "base/mem.h"

struct group *group_new(uint64_t id)
{
    struct group *g = mem_zalloc(sizeof *g);
    g->id = id;
    return g;
}

void group_batch_deinit(struct group_batch *b)
{
    mem_free(b->tenant);
    buf_deinit(&b->body);
}

void group_free(struct group *g)
{
    for (size_t i = 0; i < g->batches.len; i++)
        group_batch_deinit(&g->batches.items[i]);
    for (size_t i = 0; i < g->marks.len; i++) {
        source_unref(g->marks.items[i].source);
        source_mark_deinit(&g->marks.items[i].mark);
    }
    VEC_FREE(&g->batches);
    VEC_FREE(&g->marks);
    mem_free(g);
}

size_t group_bytes(const struct group *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->batches.len; i++)
        if (!g->batches.items[i].is_done)
            n += g->batches.items[i].body_bytes;
    return n;
}

bool group_is_done(const struct group *g)
{
    for (size_t i = 0; i < g->batches.len; i++)
        if (!g->batches.items[i].is_done)
            return false;
    return true;
}
