/* limit: so many records a second, with a burst; more wait, or are dropped.
 *
 * By label every value of the label has a bucket of its own.  Those are kept in two generations, so
 * that memory stays bounded: when the young one is full it becomes the old one, and the old one,
 * save what was used since, is forgotten. */
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "promtail/pipeline.h"
#include "promtail/stages/all.h"
#include "promtail/token_bucket.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

#define LABELS_MIN 10000 /* the least max_distinct_labels Promtail allows */

struct limit_stage {
    struct stage base;
    double rate;
    int64_t burst;
    bool drop;
    str by_label_name; /* empty: one bucket for all */
    int64_t max_distinct_labels;
    struct token_bucket bucket;
    struct strmap young, old; /* value of the label -> struct token_bucket */
};

static int read_conf(struct limit_stage *s, const struct yaml_node *config, struct arena *a,
                     struct error *err)
{
    s->by_label_name = STR_EMPTY;
    int rc = stage_weak_float(config, "rate", &s->rate, err);
    if (rc == 0)
        rc = stage_weak_int(config, "burst", &s->burst, err);
    if (rc == 0)
        rc = stage_weak_bool(config, "drop", &s->drop, err);
    if (rc == 0)
        rc = stage_weak_str(config, "by_label_name", a, &s->by_label_name, NULL, err);
    if (rc == 0)
        rc = stage_weak_int(config, "max_distinct_labels", &s->max_distinct_labels, err);
    if (rc != 0)
        return rc;
    if (!(s->rate > 0) || s->burst <= 0)
        return error_set(err, E_PARSE, "limit stage failed to parse rate or burst");
    if (s->by_label_name.len > 0 && !s->drop)
        return error_set(err, E_PARSE, "When ratelimiting by label, drop must be true");
    return 0;
}

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    struct limit_stage read = {0};
    int rc = read_conf(&read, config, b->arena, err);
    if (rc != 0)
        return rc;
    if (read.by_label_name.len > 0 && read.max_distinct_labels < LABELS_MIN) {
        log_warn("limit", "max_distinct_labels was adjusted up to the minimal reasonable value",
                 LOG_I("value", LABELS_MIN));
        read.max_distinct_labels = LABELS_MIN;
    }
    struct limit_stage *s = mem_alloc(sizeof *s);
    *s = read;
    token_bucket_init(&s->bucket, s->rate, (double)s->burst);
    strmap_init(&s->young);
    strmap_init(&s->old);
    *ret = &s->base;
    return 0;
}

static struct metric_family *by_label_family(void)
{
    static const char *const names[] = {"label_name", "label_value", NULL};
    return metric_family("logentry_dropped_lines_by_label_total", METRIC_COUNTER,
                         "A count of all log lines dropped as a result of a pipeline stage", names,
                         NULL);
}

static void count_by_label(const struct limit_stage *s, str value)
{
    metric_inc(metric_with2(by_label_family(), s->by_label_name, value));
}

static void forget_counts(const struct limit_stage *s, const struct strmap *values)
{
    size_t at = 0;
    str value;
    void *item;
    while (strmap_next(values, &at, &value, &item)) {
        str pair[] = {s->by_label_name, value};
        metric_remove(by_label_family(), pair, 2);
    }
}

static void free_buckets(struct strmap *m)
{
    size_t at = 0;
    void *item;
    while (strmap_next(m, &at, NULL, &item))
        mem_free(item);
    strmap_deinit(m);
}

static void age(struct limit_stage *s)
{
    forget_counts(s, &s->young);
    forget_counts(s, &s->old);
    free_buckets(&s->old);
    s->old = s->young;
    strmap_init(&s->young);
}

static struct token_bucket *bucket_of(struct limit_stage *s, str value)
{
    struct token_bucket *b = strmap_get(&s->young, value);
    if (b != NULL)
        return b;
    if ((int64_t)s->young.len >= s->max_distinct_labels)
        age(s);
    b = strmap_remove(&s->old, value);
    if (b == NULL) {
        b = mem_alloc(sizeof *b);
        token_bucket_init(b, s->rate, (double)s->burst);
    }
    strmap_put(&s->young, value, b);
    return b;
}

static bool drop_one(void)
{
    job_pipeline_count_drop(STR("ratelimit_drop_stage"));
    return false;
}

static bool process(struct stage *base, struct record *r)
{
    struct limit_stage *s = (struct limit_stage *)base;
    int64_t now_ns = clock_mono_ns();
    if (s->by_label_name.len > 0) {
        str value = label_list_get(&r->labels, s->by_label_name);
        if (value.ptr == NULL || token_bucket_take(bucket_of(s, value), now_ns))
            return true;
        count_by_label(s, value);
        return drop_one();
    }
    if (s->drop)
        return token_bucket_take(&s->bucket, now_ns) || drop_one();
    /* Without drop the reading stops until the bucket owes nothing any more. */
    int64_t wait_ns = token_bucket_reserve(&s->bucket, now_ns);
    if (wait_ns > 0)
        job_pipeline_pause(s->base.chain->pipeline, now_ns + wait_ns);
    return true;
}

static void free_stage(struct stage *base)
{
    struct limit_stage *s = (struct limit_stage *)base;
    free_buckets(&s->young);
    free_buckets(&s->old);
    mem_free(s);
}

const struct stage_ops stage_ops_limit = {.name = "limit",
                                          .compile = compile,
                                          .process = process,
                                          .free = free_stage,
                                          .ignores_extracted = true};
