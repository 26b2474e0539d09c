#include "querier/fair_queue.h"

#include "base/map.h"
#include "base/mem.h"
#include "runtime/workers.h"

struct job {
    struct job *next;
    struct fair_queue *queue;
    void (*run)(void *arg);
    void *arg;
};

/* A tenant with jobs that wait; in the ring of those who take turns. */
struct line {
    struct line *next; /* in turn order */
    struct job *first, *last;
    size_t n;
    char *name;
};

struct fair_queue {
    struct workers *workers;
    size_t running, running_max, per_tenant_max, waiting;
    struct strmap lines;       /* tenant -> struct line, only while something waits */
    struct line *first, *last; /* whose turn is next */
};

struct fair_queue *fair_queue_new(struct workers *w, size_t running_max, size_t per_tenant_max)
{
    struct fair_queue *q = mem_zalloc(sizeof *q);
    q->workers = w;
    q->running_max = MAX(running_max, 1);
    q->per_tenant_max = per_tenant_max;
    strmap_init(&q->lines);
    return q;
}

static void line_free(struct line *l)
{
    while (l->first != NULL) {
        struct job *next = l->first->next;
        mem_free(l->first);
        l->first = next;
    }
    mem_free(l->name);
    mem_free(l);
}

void fair_queue_free(struct fair_queue *q)
{
    if (q == NULL)
        return;
    while (q->first != NULL) {
        struct line *next = q->first->next;
        line_free(q->first);
        q->first = next;
    }
    strmap_deinit(&q->lines);
    mem_free(q);
}

size_t fair_queue_waiting(const struct fair_queue *q)
{
    return q->waiting;
}

static void append_line(struct fair_queue *q, struct line *l)
{
    l->next = NULL;
    if (q->last != NULL)
        q->last->next = l;
    else
        q->first = l;
    q->last = l;
}

/* Takes the first job of the tenant whose turn it is; the tenant goes to the end of the ring. */
static struct job *take(struct fair_queue *q)
{
    struct line *l = q->first;
    if (l == NULL)
        return NULL;
    q->first = l->next;
    if (q->first == NULL)
        q->last = NULL;
    struct job *j = l->first;
    l->first = j->next;
    l->n--;
    q->waiting--;
    if (l->first != NULL) {
        append_line(q, l);
    } else {
        strmap_remove(&q->lines, str_c(l->name));
        line_free(l);
    }
    return j;
}

static void run_job(void *arg)
{
    struct job *j = arg;
    j->run(j->arg);
}

static void dispatch(struct fair_queue *q);

static void job_done(void *arg)
{
    struct job *j = arg;
    struct fair_queue *q = j->queue;
    mem_free(j);
    q->running--;
    dispatch(q);
}

static void dispatch(struct fair_queue *q)
{
    while (q->running < q->running_max) {
        struct job *j = take(q);
        if (j == NULL)
            return;
        q->running++;
        if (workers_submit(q->workers, run_job, job_done, j) != 0) {
            /* The pool is full of other work: here and now is better than never. */
            run_job(j);
            job_done(j);
            return;
        }
    }
}

bool fair_queue_add(struct fair_queue *q, str tenant, void (*run)(void *arg), void *arg)
{
    struct line *l = strmap_get(&q->lines, tenant);
    if (l != NULL && l->n >= q->per_tenant_max)
        return false;
    if (l == NULL) {
        l = mem_zalloc(sizeof *l);
        l->name = str_dup_c(tenant);
        strmap_put(&q->lines, tenant, l);
        append_line(q, l);
    }
    struct job *j = mem_alloc(sizeof *j);
    *j = (struct job){NULL, q, run, arg};
    if (l->first == NULL)
        l->first = j;
    else
        l->last->next = j;
    l->last = j;
    l->n++;
    q->waiting++;
    dispatch(q);
    return true;
}
