/* How logectl shows entries and samples. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/gotime.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/tzone.h"
#include "base/vec.h"
#include "cmd/logectl.h"

#define CTL_LINE_BYTES_MAX (64u << 20)

static void put(const struct buf *b)
{
    fwrite(b->ptr, 1, b->len, stdout);
}

void ctl_print_time(struct ctl *c, int64_t ts_ns, struct buf *out)
{
    struct gotime t = gotime_from_ns(ts_ns, c->zone);
    gotime_format(out, GOTIME_RFC3339, &t);
}

static bool is_shown(const struct ctl *c, const char *name)
{
    for (size_t i = 0; i < c->exclude_labels.n; i++)
        if (strcmp(c->exclude_labels.items[i], name) == 0)
            return false;
    for (size_t i = 0; i < c->include_labels.n; i++)
        if (strcmp(c->include_labels.items[i], name) == 0)
            return true;
    return c->include_labels.n == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void print_shown(const struct ctl *c, const json_t *labels, struct buf *out)
{
    VEC(const char *) names = {0};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)labels, key, value) if (c == NULL || is_shown(c, key))
        VEC_PUSH(&names, key);
    if (names.len > 0)
        qsort(names.items, names.len, sizeof *names.items, compare_names);
    buf_append_char(out, '{');
    for (size_t i = 0; i < names.len; i++)
        buf_printf(out, "%s%s=\"%s\"", i > 0 ? ", " : "", names.items[i],
                   json_string_value(json_object_get(labels, names.items[i])));
    buf_append_char(out, '}');
    VEC_FREE(&names);
}

void ctl_print_labels(const json_t *labels, struct buf *out)
{
    print_shown(NULL, labels, out);
}

static void entry_default(struct ctl *c, const json_t *stream, int64_t ts_ns, const char *line)
{
    static const int palette[] = {31, 32, 33, 34, 35, 36, 91, 92, 93, 94, 95, 96};
    struct buf out, labels;
    buf_init(&out, CTL_LINE_BYTES_MAX);
    buf_init(&labels, CTL_LINE_BYTES_MAX);
    if (!c->no_labels)
        print_shown(c, stream, &labels);
    while (labels.len < (size_t)c->labels_length && buf_append_char(&labels, ' '))
        ;
    if (c->is_color)
        buf_append_c(&out, "\033[34m");
    ctl_print_time(c, ts_ns, &out);
    if (c->is_color) { /* a stream keeps its colour */
        uint64_t hash = hash_xxh64(buf_str(&labels), 0);
        buf_printf(&out, "\033[0m \033[%dm", palette[hash % ARRAY_LEN(palette)]);
    } else {
        buf_append_char(&out, ' ');
    }
    buf_append_str(&out, buf_str(&labels));
    buf_append_c(&out, c->is_color ? "\033[0m" : "");
    buf_append_c(&out, c->no_labels ? "" : " ");
    buf_append_c(&out, line);
    if (out.len == 0 || out.ptr[out.len - 1] != '\n')
        buf_append_char(&out, '\n');
    put(&out);
    buf_deinit(&labels);
    buf_deinit(&out);
}

static void entry_jsonl(struct ctl *c, const json_t *stream, int64_t ts_ns, const char *line)
{
    struct buf time;
    buf_init(&time, 128);
    ctl_print_time(c, ts_ns, &time);
    json_t *o = json_pack("{s:o,s:s,s:s}", "labels", json_deep_copy(stream), "line", line,
                          "timestamp", buf_c(&time));
    if (o != NULL)
        json_dumpf(o, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(o);
    buf_deinit(&time);
}

void ctl_print_entry(struct ctl *c, const json_t *stream, const char *ts_ns, const char *line)
{
    int64_t ts = 0;
    str_to_i64(str_c(ts_ns), &ts);
    switch (c->output) {
    case CTL_RAW:
        fputs(line, stdout);
        if (line[0] == '\0' || line[strlen(line) - 1] != '\n')
            putchar('\n');
        break;
    case CTL_JSONL:
        entry_jsonl(c, stream, ts, line);
        break;
    default:
        entry_default(c, stream, ts, line);
        break;
    }
}

struct row {
    int64_t ts_ns;
    size_t order; /* as it came: keeps equal times stable */
    const json_t *stream;
    const char *ts_text, *line;
};

static int by_time(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->ts_ns != y->ts_ns)
        return x->ts_ns < y->ts_ns ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static int by_time_backward(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->ts_ns != y->ts_ns)
        return x->ts_ns > y->ts_ns ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

void ctl_print_streams(struct ctl *c, const json_t *result, bool forward)
{
    VEC(struct row) rows = {0};
    size_t i, k;
    json_t *stream, *value;
    json_array_foreach((json_t *)result, i, stream)
    {
        json_array_foreach(json_object_get(stream, "values"), k, value)
        {
            struct row row = {
                .order = rows.len,
                .stream = json_object_get(stream, "stream"),
                .ts_text = json_string_value(json_array_get(value, 0)),
                .line = json_string_value(json_array_get(value, 1)),
            };
            if (row.ts_text == NULL || row.line == NULL)
                continue;
            str_to_i64(str_c(row.ts_text), &row.ts_ns);
            VEC_PUSH(&rows, row);
        }
    }
    if (rows.len > 0)
        qsort(rows.items, rows.len, sizeof *rows.items, forward ? by_time : by_time_backward);
    for (i = 0; i < rows.len; i++)
        ctl_print_entry(c, rows.items[i].stream, rows.items[i].ts_text, rows.items[i].line);
    VEC_FREE(&rows);
}

/* One sample: [time, "value"]. */
static void print_sample(struct ctl *c, const json_t *metric, const json_t *sample, struct buf *out)
{
    const char *value = json_string_value(json_array_get(sample, 1));
    if (c->output == CTL_RAW) {
        buf_printf(out, "%s\n", value ? value : "");
        return;
    }
    double seconds = json_number_value(json_array_get(sample, 0));
    ctl_print_time(c, (int64_t)(seconds * 1000) * INT64_C(1000000), out);
    buf_append_char(out, ' ');
    if (metric != NULL)
        ctl_print_labels(metric, out);
    buf_printf(out, " %s\n", value ? value : "");
}

void ctl_print_samples(struct ctl *c, const char *type, const json_t *result)
{
    if (c->output == CTL_JSONL) {
        json_dumpf(result, stdout, JSON_COMPACT);
        putchar('\n');
        return;
    }
    struct buf out;
    buf_init(&out, CTL_LINE_BYTES_MAX);
    size_t i, k;
    json_t *series, *sample;
    if (strcmp(type, "scalar") == 0)
        print_sample(c, NULL, result, &out);
    else
        json_array_foreach((json_t *)result, i, series)
        {
            const json_t *metric = json_object_get(series, "metric");
            if ((sample = json_object_get(series, "value")) != NULL)
                print_sample(c, metric, sample, &out);
            json_array_foreach(json_object_get(series, "values"), k, sample)
            {
                print_sample(c, metric, sample, &out);
            }
        }
    put(&out);
    buf_deinit(&out);
}

void ctl_print_stats(const json_t *stats)
{
    const json_t *summary = json_object_get(stats, "summary");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)summary, key, value)
    {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        fprintf(stderr, "%-40s %s\n", key, text ? text : "");
        free(text);
    }
}
