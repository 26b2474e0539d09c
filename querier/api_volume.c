/* index/volume and index/volume_range: bytes by labels, from the footers of blocks. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "logql/parser.h"
#include "querier/internal.h"

/* A chunk's size is known to Loki in whole KiB. */
#define KIB     1024
#define NOT_MET UINT64_MAX /* no stream of a volume had anything in the interval */

struct volume_params {
    str query;
    int64_t start_ns, end_ns;
    int64_t step_ns; /* 0: one value */
    size_t limit;
    bool by_label; /* aggregateBy=labels */
    str *targets;
    size_t n_targets;
};

struct point {
    int64_t ts_ms;
    uint64_t bytes;
};

/* One line of the answer. */
struct volume {
    struct labels labels;
    uint64_t now; /* of the interval in hand */
    VEC(struct point) points;
};

struct volumes {
    struct arena *arena;
    struct strmap map; /* labels printed -> struct volume */
    VEC(struct volume *) list;
    struct buf text;
};

static int parse_params(struct call *c, bool is_range, struct volume_params *v)
{
    struct range_params in;
    memset(v, 0, sizeof *v);
    int code = is_range ? params_volume_range(&c->params, &in, &c->err)
                        : params_volume(&c->params, &in, &c->err);
    if (code != 0)
        return code;
    str by = params_str(&c->params, "aggregateBy");
    if (by.len > 0 && !str_eq(by, STR("series")) && !str_eq(by, STR("labels")))
        return error_set(&c->err, E_INVALID, "invalid aggregation option");
    *v = (struct volume_params){
        .query = in.query,
        .start_ns = in.start_ns,
        .end_ns = in.end_ns,
        .step_ns = in.step_ns,
        .limit = in.limit,
        .by_label = str_eq(by, STR("labels")),
    };
    str rest = params_str(&c->params, "targetLabels");
    if (rest.len == 0)
        return 0;
    size_t most = 1;
    for (size_t i = 0; i < rest.len; i++)
        most += rest.ptr[i] == ',';
    v->targets = ARENA_ARRAY(&c->arena, str, most);
    while (rest.ptr != NULL)
        v->targets[v->n_targets++] = str_split(&rest, ',');
    return 0;
}

static struct volume *volume_of(struct volumes *v, const struct labels *ls)
{
    buf_reset(&v->text);
    labels_print(ls, &v->text);
    struct volume *one = strmap_get(&v->map, buf_str(&v->text));
    if (one == NULL) {
        one = ARENA_NEW(v->arena, struct volume);
        one->labels = *ls;
        one->now = NOT_MET;
        strmap_put(&v->map, buf_str(&v->text), one);
        VEC_PUSH(&v->list, one);
    }
    return one;
}

static bool is_matched(const struct log_expr *selector, str name)
{
    for (size_t i = 0; i < selector->n_matchers; i++)
        if (str_eq(selector->matchers[i]->name, name))
            return true;
    return false;
}

/* True if the answer names this label of a stream. */
static bool is_named(const struct volume_params *p, const struct log_expr *selector, str name)
{
    for (size_t i = 0; i < p->n_targets; i++)
        if (str_eq(p->targets[i], name))
            return true;
    if (p->n_targets > 0)
        return false;
    return p->by_label || selector->n_matchers == 0 || is_matched(selector, name);
}

/* Only streams that have the targets count; the selector's own labels it has judged itself. */
static bool has_targets(const struct volume_params *p, const struct log_expr *selector,
                        const struct labels *ls)
{
    for (size_t i = 0; i < p->n_targets; i++)
        if (!is_matched(selector, p->targets[i]) && !labels_has(ls, p->targets[i]))
            return false;
    return true;
}

/* A stream and the volumes it adds to. */
struct member {
    const struct found_stream *stream;
    struct volume **of;
    size_t n_of;
};

static void join_volumes(struct volumes *v, const struct volume_params *p,
                         const struct log_expr *selector, struct member *m)
{
    const struct labels *ls = &m->stream->labels;
    struct label *named = ARENA_ARRAY(v->arena, struct label, ls->n);
    size_t n = 0;
    m->of = ARENA_ARRAY(v->arena, struct volume *, ls->n + 1);
    for (size_t i = 0; i < ls->n; i++) {
        if (!is_named(p, selector, ls->items[i].name))
            continue;
        named[n++] = ls->items[i];
        if (p->by_label) {
            named[n - 1].value = STR_EMPTY;
            m->of[m->n_of++] = volume_of(v, &(struct labels){&named[n - 1], 1});
        }
    }
    if (!p->by_label)
        m->of[m->n_of++] = volume_of(v, &(struct labels){named, n});
}

static int by_volume(const void *a, const void *b)
{
    const struct volume *x = *(struct volume *const *)a, *y = *(struct volume *const *)b;
    uint64_t m = x->now == NOT_MET ? 0 : x->now + 1, n = y->now == NOT_MET ? 0 : y->now + 1;
    if (m != n)
        return m > n ? -1 : 1;
    return labels_cmp(&x->labels, &y->labels);
}

/* One interval: the largest `limit` get a point. */
static void end_interval(struct volumes *v, size_t limit, int64_t ts_ms)
{
    if (v->list.len > 0)
        qsort(v->list.items, v->list.len, sizeof *v->list.items, by_volume);
    for (size_t i = 0; i < v->list.len; i++) {
        struct volume *one = v->list.items[i];
        if (i < limit && one->now != NOT_MET)
            VEC_PUSH_ARENA(v->arena, &one->points, (struct point){ts_ms, one->now});
        one->now = NOT_MET;
    }
}

static bool is_inside(const struct found_stream *s, int64_t from_ns, int64_t to_ns)
{
    for (size_t i = 0; i < s->n_blocks; i++)
        if (s->blocks[i]->min_ns < to_ns && s->blocks[i]->max_ns >= from_ns)
            return true;
    return false;
}

static void measure(struct volumes *v, size_t limit, const struct member *members, size_t n,
                    int64_t from_ns, int64_t to_ns)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_inside(members[i].stream, from_ns, to_ns))
            continue;
        uint64_t bytes = found_stream_bytes(members[i].stream, from_ns, to_ns) / KIB * KIB;
        for (size_t k = 0; k < members[i].n_of; k++) {
            struct volume *one = members[i].of[k];
            one->now = one->now == NOT_MET ? bytes : one->now + bytes;
        }
    }
    end_interval(v, limit, to_ns / NS_PER_MS);
}

/* The intervals of a range are cut at multiples of the step; all but the last end 1 ms early. */
static int measure_range(struct call *c, struct volumes *v, const struct volume_params *p,
                         const struct member *members, size_t n, size_t *ret_intervals)
{
    *ret_intervals = 1;
    if (p->step_ns == 0) {
        measure(v, p->limit, members, n, p->start_ns, p->end_ns);
        return 0;
    }
    size_t count = 0;
    int64_t at = p->start_ns - p->start_ns % p->step_ns;
    for (int64_t from = p->start_ns; from < p->end_ns; count++) {
        if (call_should_stop(c))
            return call_stop_code(c);
        at += p->step_ns;
        bool is_last = at >= p->end_ns;
        measure(v, p->limit, members, n, from, is_last ? p->end_ns : at - NS_PER_MS);
        from = is_last ? p->end_ns : at;
    }
    *ret_intervals = count;
    return 0;
}

static int by_labels(const void *a, const void *b)
{
    return labels_cmp(&(*(struct volume *const *)a)->labels, &(*(struct volume *const *)b)->labels);
}

static int by_value(const void *a, const void *b)
{
    const struct volume *x = *(struct volume *const *)a, *y = *(struct volume *const *)b;
    uint64_t m = x->points.len > 0 ? x->points.items[0].bytes : 0;
    uint64_t n = y->points.len > 0 ? y->points.items[0].bytes : 0;
    return m != n ? (m > n ? -1 : 1) : by_labels(a, b);
}

static void write_point(struct json_writer *w, const struct point *p)
{
    jsonw_begin_array(w);
    write_time_ms(w, p->ts_ms);
    jsonw_quoted_i64(w, (int64_t)p->bytes);
    jsonw_end_array(w);
}

static void write_volumes(struct answer *a, struct volumes *v, bool is_matrix)
{
    struct json_writer *w = &a->w;
    if (v->list.len > 0)
        qsort(v->list.items, v->list.len, sizeof *v->list.items, is_matrix ? by_labels : by_value);
    for (size_t i = 0; i < v->list.len; i++) {
        const struct volume *one = v->list.items[i];
        if (one->points.len == 0)
            continue;
        jsonw_begin_object(w);
        jsonw_key_c(w, "metric");
        write_labels(w, &one->labels);
        if (is_matrix) {
            jsonw_key_c(w, "values");
            jsonw_begin_array(w);
            for (size_t k = 0; k < one->points.len; k++)
                write_point(w, &one->points.items[k]);
            jsonw_end_array(w);
        } else {
            jsonw_key_c(w, "value");
            write_point(w, &one->points.items[0]);
        }
        jsonw_end_object(w);
        answer_flush(a);
    }
}

static int write_answer(struct call *c, struct volumes *v, size_t n_intervals,
                        const struct found *f)
{
    struct answer a;
    bool is_matrix = n_intervals > 1 && v->list.len > 0;
    answer_begin(&a, c);
    jsonw_begin_object(&a.w);
    jsonw_key_c(&a.w, "status");
    jsonw_string(&a.w, STR("success"));
    jsonw_key_c(&a.w, "data");
    jsonw_begin_object(&a.w);
    jsonw_key_c(&a.w, "resultType");
    jsonw_string(&a.w, is_matrix ? STR("matrix") : STR("vector"));
    jsonw_key_c(&a.w, "result");
    jsonw_begin_array(&a.w);
    write_volumes(&a, v, is_matrix);
    jsonw_end_array(&a.w);
    struct engine_stats stats = {.streams = f->n_streams};
    write_stats(&a.w, c, &stats);
    jsonw_end_object(&a.w);
    jsonw_end_object(&a.w);
    return answer_end(&a);
}

static int answer(struct call *c, bool is_range)
{
    struct volume_params p;
    struct expr *selector;
    struct found f;
    if (!c->limits->volume_enabled)
        return error_set(&c->err, E_NOT_FOUND, "not found");
    int code = parse_params(c, is_range, &p);
    if (code == 0)
        code = call_check_length(c, p.start_ns, p.end_ns);
    if (code == 0) /* {} is everything; every other selector must name some stream */
        code = call_parse_selector(c, p.query, !str_eq(p.query, STR("{}")), &selector);
    if (code != 0)
        return code;
    code = call_select(c, &selector->log, p.start_ns, p.end_ns, 0, &f);
    if (code == 0) {
        struct volumes v = {.arena = &c->arena};
        strmap_init(&v.map);
        buf_init(&v.text, BUF_NO_LIMIT);
        struct member *members = ARENA_ARRAY(&c->arena, struct member, f.n_streams);
        size_t n = 0, intervals;
        for (size_t i = 0; i < f.n_streams; i++) {
            if (!has_targets(&p, &selector->log, &f.streams[i].labels))
                continue;
            members[n].stream = &f.streams[i];
            join_volumes(&v, &p, &selector->log, &members[n++]);
        }
        code = measure_range(c, &v, &p, members, n, &intervals);
        if (code == 0)
            code = write_answer(c, &v, intervals, &f);
        strmap_deinit(&v.map);
        VEC_FREE(&v.list);
        buf_deinit(&v.text);
        found_free(&f);
    }
    logql_release(selector);
    return code;
}

int answer_volume(struct call *c)
{
    return answer(c, false);
}

int answer_volume_range(struct call *c)
{
    return answer(c, true);
}
