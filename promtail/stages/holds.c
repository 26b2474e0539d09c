#include "promtail/stages/holds.h"

#include "base/vec.h"

void holds_add(struct holds *h, const struct origin *o)
{
    if (o->source == NULL)
        return;
    job_pipeline_hold(o, h);
    for (size_t i = 0; i < h->len; i++)
        if (h->items[i] == o->source)
            return;
    VEC_PUSH(h, source_ref(o->source));
}

void holds_release(struct holds *h)
{
    for (size_t i = 0; i < h->len; i++) {
        job_pipeline_release(&(struct origin){.source = h->items[i]}, h);
        source_unref(h->items[i]);
    }
    h->len = 0;
}

void holds_deinit(struct holds *h)
{
    for (size_t i = 0; i < h->len; i++)
        source_unref(h->items[i]);
    VEC_FREE(h);
}
