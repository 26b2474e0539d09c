/* sampling: lets a share of the records through, chosen by chance. */
#include "base/clock.h"
#include "base/mem.h"
#include "promtail/pipeline.h"
#include "promtail/stages/all.h"

#define RANDOM_MAX ((UINT64_C(1) << 63) - 1)

struct sampling_stage {
    struct stage base;
    uint64_t boundary; /* random numbers up to this one pass */
    uint64_t state;
    str reason;
};

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    double rate = 0;
    str reason = STR_EMPTY;
    int rc = stage_weak_float(config, "rate", &rate, err);
    if (rc == 0)
        rc = stage_weak_str(config, "drop_counter_reason", b->arena, &reason, NULL, err);
    if (rc != 0)
        return rc;
    if (!(rate >= 0 && rate <= 1))
        return error_set(err, E_PARSE,
                         "sampling stage failed to parse rate,Sampling Rate must be between 0.0 "
                         "and 1.0, received %f",
                         rate);
    struct sampling_stage *s = mem_zalloc(sizeof *s);
    s->boundary = (uint64_t)((double)RANDOM_MAX * rate);
    s->state = (uint64_t)clock_now_ns() ^ (uint64_t)(uintptr_t)s;
    s->reason = reason.len > 0 ? reason : STR("sampling_stage");
    *ret = &s->base;
    return 0;
}

/* splitmix64: chance enough for sampling, one state word. */
static uint64_t next_random(struct sampling_stage *s)
{
    uint64_t z = s->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) & RANDOM_MAX;
}

static bool process(struct stage *base, struct record *r)
{
    (void)r;
    struct sampling_stage *s = (struct sampling_stage *)base;
    /* Never 0, so that rate 0 lets nothing through. */
    uint64_t drawn = next_random(s); /* MAX looks at its arguments twice */
    if (MAX(drawn, 1) <= s->boundary)
        return true;
    job_pipeline_count_drop(s->reason);
    return false;
}

const struct stage_ops stage_ops_sampling = {
    .name = "sampling", .compile = compile, .process = process, .ignores_extracted = true};
