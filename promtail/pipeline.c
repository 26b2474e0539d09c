#include "promtail/pipeline.h"

#include "base/clock.h"
#include "base/mem.h"
#include "runtime/metrics.h"

#define PIPELINE_ARENA_BYTES_MAX (64u << 20)

static void put(struct record_sink *sink, struct record *r)
{
    struct pipeline *p = CONTAINER_OF(sink, struct pipeline, sink);
    if (job_pipeline_keeps_extracted(p))
        extracted_add_labels(r);
    stage_chain_process(&p->chain, r);
}

static bool is_full(struct record_sink *sink)
{
    struct pipeline *p = CONTAINER_OF(sink, struct pipeline, sink);
    if (p->paused_until_ns != 0 && clock_mono_ns() < p->paused_until_ns)
        return true;
    p->paused_until_ns = 0;
    return record_sink_is_full(p->next);
}

static void hand_on(void *arg, struct record *r)
{
    struct pipeline *p = arg;
    record_sink_put(p->next, r);
}

int job_pipeline_new(const char *job, const struct yaml_node *stages, struct record_sink *next,
                     struct pipeline **ret, struct error *err)
{
    struct pipeline *p = mem_zalloc(sizeof *p);
    p->sink = (struct record_sink){.put = put, .is_full = is_full};
    p->next = next;
    p->job = mem_strdup(job);
    arena_init(&p->arena, PIPELINE_ARENA_BYTES_MAX);
    p->chain.done = hand_on;
    p->chain.arg = p;
    struct stage_build build = {.pipeline = p, .job = p->job, .arena = &p->arena};
    int rc = stage_chain_compile(&build, stages, &p->chain, err);
    if (rc != 0) {
        job_pipeline_free(p);
        return rc;
    }
    *ret = p;
    return 0;
}

void job_pipeline_free(struct pipeline *p)
{
    if (p == NULL)
        return;
    stage_chain_free(&p->chain);
    arena_deinit(&p->arena);
    mem_free(p->job);
    mem_free(p);
}

void job_pipeline_flush(struct pipeline *p, int64_t now_ns, bool is_final)
{
    stage_chain_flush(&p->chain, now_ns, is_final);
}

void job_pipeline_pause(struct pipeline *p, int64_t until_mono_ns)
{
    p->paused_until_ns = MAX(p->paused_until_ns, until_mono_ns);
}

void job_pipeline_hold(const struct origin *o, const void *owner)
{
    if (o->source != NULL)
        source_hold(o->source, o->from, o->to, owner);
}

void job_pipeline_release(const struct origin *o, const void *owner)
{
    if (o->source != NULL)
        source_release(o->source, owner);
}

void job_pipeline_count_drop(str reason)
{
    static const char *const names[] = {"reason", NULL};
    struct metric_family *f = metric_family(
        "logentry_dropped_lines_total", METRIC_COUNTER,
        "A count of all log lines dropped as a result of a pipeline stage", names, NULL);
    metric_inc(metric_with1(f, reason));
}
