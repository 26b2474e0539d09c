/* metrics: counters, gauges and histograms of our own, one series per label set of the records. */
#include <math.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/gofmt.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "promtail/stages/all.h"
#include "promtail/stages/metrics_conf.h"
#include "runtime/metrics.h"

#define SETS_MAX 100000 /* label sets of one metric; what is beyond is not measured */

struct series {
    struct metric *cell;
    int64_t last_s;  /* unix, of the last change */
    bool is_expired; /* shown for the last time; goes at the next scrape or change */
};

struct custom_metric {
    struct metric_conf conf;
    struct metric_family *family; /* NULL: the name is taken or no UTF-8; nothing is measured */
    struct u64map series;         /* hash of the label set -> struct series */
};

struct metrics_stage {
    struct stage base;
    struct custom_metric *metrics;
    size_t n;
};

/* --- series --- */

static void remove_series(struct custom_metric *c, uint64_t hash, struct series *s)
{
    u64map_remove(&c->series, hash);
    metric_release(s->cell);
    mem_free(s);
}

/* Names may be any UTF-8, and are shown as Prometheus' text format wants them: what may not stand
 * in a name is '_'. */
static str shown_name(str name, struct arena *a)
{
    char *out = arena_alloc(a, MAX(name.len, 1));
    size_t len = 0;
    for (size_t at = 0; at < name.len;) {
        uint32_t rune;
        size_t width = MAX(utf8_decode(str_from(name, at), &rune), 1u);
        bool is_good = rune == '_' || rune == ':' || (rune >= 'a' && rune <= 'z') ||
                       (rune >= 'A' && rune <= 'Z') || (at > 0 && rune >= '0' && rune <= '9');
        out[len++] = is_good ? (char)rune : '_';
        at += width;
    }
    return str_make(out, len);
}

/* Prometheus has no labels with two underscores in front; the names come sorted. */
static struct metric *cell_of(const struct custom_metric *c, const struct record *r)
{
    struct metric_label *labels = ARENA_ARRAY(r->arena, struct metric_label, MAX(r->labels.n, 1));
    size_t n = 0;
    for (size_t i = 0; i < r->labels.n; i++) {
        const struct label *l = &r->labels.items[i];
        if (l->name.len == 0 || !str_is_utf8(l->name) || str_has_prefix(l->name, STR("__")))
            continue;
        str name = shown_name(l->name, r->arena);
        size_t at = n++;
        for (; at > 0 && str_cmp(labels[at - 1].name, name) > 0; at--)
            labels[at] = labels[at - 1];
        labels[at] = (struct metric_label){name, l->value};
    }
    return metric_with_labels(c->family, labels, n);
}

/* The cell to change for this record; NULL if there are too many. */
static struct metric *touch(struct custom_metric *c, const struct record *r)
{
    uint64_t hash = r->labels.hash;
    struct series *s = u64map_get(&c->series, hash);
    if (s != NULL && s->is_expired) { /* it is gone already: begins anew */
        remove_series(c, hash, s);
        s = NULL;
    }
    if (s == NULL) {
        if (c->series.len >= SETS_MAX)
            return NULL;
        s = mem_zalloc(sizeof *s);
        s->cell = cell_of(c, r);
        u64map_put(&c->series, hash, s);
    }
    s->last_s = clock_now_ns() / NS_PER_S;
    return s->cell;
}

/* What has not changed for too long is shown once more, then gone. */
static void expire(struct custom_metric *c, int64_t now_s)
{
    VEC(uint64_t) gone = {0};
    size_t at = 0;
    uint64_t hash;
    void *item;
    while (u64map_next(&c->series, &at, &hash, &item)) {
        struct series *s = item;
        if (s->is_expired)
            VEC_PUSH(&gone, hash);
        else
            s->is_expired = now_s - s->last_s >= c->conf.max_idle_s;
    }
    for (size_t i = 0; i < gone.len; i++)
        remove_series(c, gone.items[i], u64map_get(&c->series, gone.items[i]));
    VEC_FREE(&gone);
}

static void on_scrape(void *arg)
{
    struct metrics_stage *s = arg;
    int64_t now_s = clock_now_ns() / NS_PER_S;
    for (size_t i = 0; i < s->n; i++)
        expire(&s->metrics[i], now_s);
}

/* --- measuring --- */

/* Numbers, booleans, texts of numbers, and durations, which count in seconds. */
static bool number_of(const struct value *v, double *ret)
{
    int64_t ns;
    switch (v->kind) {
    case VALUE_NUM:
        *ret = v->num;
        return true;
    case VALUE_BOOL:
        *ret = v->is_true;
        return true;
    case VALUE_STR:
        if (goparse_float(v->s, ret) == 0)
            return true;
        if (duration_parse_go(v->s, &ns, NULL) != 0)
            return false;
        *ret = (double)ns / 1e9;
        return true;
    case VALUE_NULL:
        break;
    }
    return false;
}

static bool has_wanted_value(const struct metric_conf *conf, const struct value *v,
                             struct record *r)
{
    str text;
    return !conf->has_value || (value_text(v, r->arena, &text) && str_eq(text, conf->value));
}

static void apply(struct metric *cell, const struct metric_conf *conf, double n)
{
    switch (conf->action) {
    case METRIC_ACTION_INC:
    case METRIC_ACTION_ADD:
        metric_add(cell, n);
        break;
    case METRIC_ACTION_DEC:
    case METRIC_ACTION_SUB:
        metric_add(cell, -n);
        break;
    case METRIC_ACTION_SET:
        metric_set(cell, n);
        break;
    case METRIC_ACTION_OBSERVE:
        metric_observe(cell, n);
        break;
    }
}

static void measure(struct custom_metric *c, struct record *r)
{
    const struct metric_conf *conf = &c->conf;
    struct value bytes = conf->count_entry_bytes ? VALUE_N((double)r->line.len) : VALUE_NIL;
    const struct value *v = conf->match_all ? &bytes : extracted_get(r, conf->source);
    double n = 1;
    if (v == NULL || !has_wanted_value(conf, v, r))
        return;
    bool is_step = conf->action == METRIC_ACTION_INC || conf->action == METRIC_ACTION_DEC;
    if (!is_step && !number_of(v, &n))
        return;
    /* A counter that falls would end Promtail. */
    if (conf->type == METRIC_COUNTER && n < 0)
        return;
    struct metric *cell = touch(c, r);
    if (cell != NULL)
        apply(cell, conf, n);
}

static bool process(struct stage *base, struct record *r)
{
    struct metrics_stage *s = (struct metrics_stage *)base;
    for (size_t i = 0; i < s->n; i++)
        if (s->metrics[i].family != NULL)
            measure(&s->metrics[i], r);
    return true;
}

/* --- life --- */

static void free_stage(struct stage *base)
{
    struct metrics_stage *s = (struct metrics_stage *)base;
    metrics_off_scrape(on_scrape, s);
    for (size_t i = 0; i < s->n; i++) {
        size_t at = 0;
        void *item;
        while (u64map_next(&s->metrics[i].series, &at, NULL, &item)) {
            metric_release(((struct series *)item)->cell);
            mem_free(item);
        }
        u64map_deinit(&s->metrics[i].series);
    }
    mem_free(s);
}

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    size_t n = config->kind == YAML_MAP ? config->n : 0;
    struct metrics_stage *s = mem_zalloc(sizeof *s);
    s->metrics = ARENA_ARRAY(b->arena, struct custom_metric, MAX(n, 1));
    metrics_on_scrape(on_scrape, s);
    for (; s->n < n; s->n++) {
        struct custom_metric *c = &s->metrics[s->n];
        const struct metric_conf *conf = &c->conf;
        int rc = metric_conf_read(config->keys[s->n], config->items[s->n], b->arena, &c->conf, err);
        if (rc != 0) {
            free_stage(&s->base);
            return rc;
        }
        if (str_is_utf8(conf->name))
            c->family = metric_family_open(shown_name(conf->name, b->arena), conf->type,
                                           conf->description, conf->buckets, conf->n_buckets);
        u64map_init(&c->series);
    }
    *ret = &s->base;
    return 0;
}

const struct stage_ops stage_ops_metrics = {
    .name = "metrics", .compile = compile, .process = process, .free = free_stage};
