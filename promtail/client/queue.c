#include "promtail/client/queue.h"

#include <stdio.h>

#include "base/mem.h"

#define SEGMENT_BYTES_MAX    (8u << 20)
#define BODIES_IN_MEMORY_MAX (512u << 10) /* the pages of later ones are in the cache anyway */

/* --- bodies --- */

static void forget_body(struct queue *q, struct group_batch *b)
{
    q->memory_bytes -= b->body.len;
    buf_deinit(&b->body);
}

int queue_load_next(struct queue *q)
{
    struct group_batch *b = &q->first->batches.items[q->at];
    if (b->body.len > 0 || b->body_bytes == 0)
        return 0;
    buf_init(&b->body, BUF_NO_LIMIT);
    int rc = q->first->is_durable ? spool_read_body(&q->spool, b, &b->body) : E_INTERNAL;
    q->memory_bytes += b->body.len;
    if (rc != 0)
        forget_body(q, b); /* a part of it is none */
    return rc;
}

static void spare_memory(struct queue *q, struct group *g)
{
    for (size_t i = 0; i < g->batches.len && g->is_durable; i++)
        if (q->memory_bytes > BODIES_IN_MEMORY_MAX)
            forget_body(q, &g->batches.items[i]);
}

/* --- in --- */

struct group *queue_new_group(struct queue *q)
{
    queue_write_waiting(q, NULL);
    if (q->waiting == NULL)
        spool_prepare(&q->spool);
    struct group *g = group_new(q->spool.next_group++);
    snprintf(g->source_id, sizeof g->source_id, "%s", q->spool.id);
    return g;
}

static void append(struct queue *q, struct group *g)
{
    if (q->first == NULL)
        q->first = g;
    else
        q->last->next = g;
    q->last = g;
    for (size_t i = 0; i < g->batches.len; i++) {
        struct group_batch *b = &g->batches.items[i];
        q->queued_bytes += b->is_done ? 0 : b->body_bytes;
        q->memory_bytes += b->body.len;
    }
}

/* Batches that are done have no body any more, and need none in the journal. */
static void drop_done(struct queue *q, struct group *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->batches.len; i++) {
        if (g->batches.items[i].is_done)
            group_batch_deinit(&g->batches.items[i]);
        else
            g->batches.items[n++] = g->batches.items[i];
    }
    g->batches.len = n;
    if (g == q->first)
        q->at = 0;
}

int queue_write_waiting(struct queue *q, struct error *err)
{
    while (q->waiting != NULL) {
        struct group *g = q->waiting;
        drop_done(q, g);
        int rc = spool_append(&q->spool, g, err);
        if (rc != 0)
            return rc;
        q->waiting = g->next;
        if (g != q->first)
            spare_memory(q, g);
    }
    return 0;
}

int queue_put(struct queue *q, struct group *g, struct error *err)
{
    append(q, g);
    if (q->waiting == NULL)
        q->waiting = g;
    return queue_write_waiting(q, err);
}

/* --- out --- */

/* All of the first group is done: its marks count. */
static void finish_first(struct queue *q)
{
    struct group *g = q->first;
    for (size_t i = 0; i < g->marks.len; i++)
        source_mark_acked(q->spool.sources, g->marks.items[i].source, q->spool.client,
                          &g->marks.items[i].mark);
    spool_group_done(&q->spool, g);
    q->first = g->next;
    if (q->first == NULL)
        q->last = NULL;
    if (q->waiting == g)
        q->waiting = g->next;
    group_free(g);
    q->at = 0;
}

struct group_batch *queue_next(struct queue *q, struct group **ret_group)
{
    while (q->first != NULL) {
        struct group *g = q->first;
        for (; q->at < g->batches.len; q->at++)
            if (!g->batches.items[q->at].is_done) {
                *ret_group = g;
                return &g->batches.items[q->at];
            }
        finish_first(q);
    }
    return NULL;
}

void queue_next_done(struct queue *q)
{
    struct group_batch *b = &q->first->batches.items[q->at];
    ASSERT(!b->is_done);
    b->is_done = true;
    q->queued_bytes -= b->body_bytes;
    forget_body(q, b);
    spool_ack(&q->spool, q->first, q->at);
}

bool queue_has_more(const struct queue *q)
{
    return q->first != NULL && q->first->next != NULL;
}

/* --- life --- */

int queue_open(struct queue *q, const char *dir, size_t client, struct source_registry *sources,
               bool ignore_marks, struct error *err)
{
    struct group *g = NULL;
    *q = (struct queue){.at = 0};
    int rc = spool_open(&q->spool, dir, SEGMENT_BYTES_MAX, client, sources, ignore_marks, &g, err);
    while (g != NULL) {
        struct group *next = g->next;
        g->next = NULL;
        append(q, g);
        g = next;
    }
    return rc;
}

int queue_begin(struct queue *q, struct error *err)
{
    return spool_begin(&q->spool, err);
}

void queue_close(struct queue *q)
{
    spool_close(&q->spool, true);
    while (q->first != NULL) {
        struct group *next = q->first->next;
        group_free(q->first);
        q->first = next;
    }
}
