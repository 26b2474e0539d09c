/* logectl labels, series, stats, volume, detected-fields, fmt, ready. */
#include <jansson.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "cmd/logectl.h"
#include "proto/str_set.h"

#define HOURS(n) (INT64_C(3600000000000) * (n))

static json_t *ask(struct ctl *c, struct buf *url, int64_t since_ns)
{
    json_t *root = NULL;
    if (ctl_param_range(c, url, since_ns) == 0)
        root = ctl_fetch_json(c, buf_c(url));
    buf_deinit(url);
    return root;
}

int ctl_labels(struct ctl *c)
{
    struct buf url;
    if (c->n_words > 1)
        ctl_url(c, &url, arena_printf(&c->arena, "/loki/api/v1/label/%s/values", c->words[1]).ptr);
    else
        ctl_url(c, &url, "/loki/api/v1/labels");
    json_t *root = ask(c, &url, HOURS(6));
    if (root == NULL)
        return 1;
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(root, "data"), i, item) puts(json_string_value(item));
    json_decref(root);
    return 0;
}

/* How many values each label has, most first. */
static void analyze(struct ctl *c, const json_t *series)
{
    struct strmap names;
    strmap_init(&names);
    size_t i, at = 0;
    json_t *one, *value;
    const char *key;
    json_array_foreach((json_t *)series, i, one)
    {
        json_object_foreach(one, key, value)
        {
            struct str_set *set = strmap_get(&names, str_c(key));
            if (set == NULL) {
                set = ARENA_NEW(&c->arena, struct str_set);
                str_set_init(set, BUF_NO_LIMIT);
                strmap_put(&names, str_c(key), set);
            }
            str_set_add(set, str_c(json_string_value(value)));
        }
    }
    printf("Total Streams:  %zu\nUnique Labels:  %zu\n\n%-40s %s\n", json_array_size(series),
           names.len, "Label Name", "Unique Values");
    str name;
    void *set;
    while (strmap_next(&names, &at, &name, &set)) {
        printf("%-40.*s %zu\n", STR_ARG(name), ((struct str_set *)set)->map.len);
        str_set_deinit(set);
    }
    strmap_deinit(&names);
}

int ctl_series(struct ctl *c)
{
    struct buf url, out;
    ctl_url(c, &url, "/loki/api/v1/series");
    ctl_param(&url, "match[]", str_c(c->words[1]));
    json_t *root = ask(c, &url, HOURS(1));
    if (root == NULL)
        return 1;
    json_t *series = json_object_get(root, "data");
    buf_init(&out, BUF_NO_LIMIT);
    size_t i;
    json_t *one;
    if (c->analyze_labels)
        analyze(c, series);
    else
        json_array_foreach(series, i, one)
        {
            buf_reset(&out);
            ctl_print_labels(one, &out);
            puts(buf_c(&out));
        }
    buf_deinit(&out);
    json_decref(root);
    return 0;
}

int ctl_stats(struct ctl *c)
{
    struct buf url;
    ctl_url(c, &url, "/loki/api/v1/index/stats");
    ctl_param(&url, "query", str_c(c->words[1]));
    json_t *root = ask(c, &url, HOURS(1));
    if (root == NULL)
        return 1;
    static const char *const keys[] = {"bytes", "chunks", "streams", "entries"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        printf("%s: %lld\n", keys[i],
               (long long)json_integer_value(json_object_get(root, keys[i])));
    json_decref(root);
    return 0;
}

static int volume(struct ctl *c, const char *path)
{
    struct buf url;
    ctl_url(c, &url, path);
    ctl_param(&url, "query", str_c(c->words[1]));
    ctl_param_i64(&url, "limit", c->limit);
    for (size_t i = 0; i < c->target_labels.n; i++)
        ctl_param(&url, "targetLabels", str_c(c->target_labels.items[i]));
    json_t *root = ask(c, &url, HOURS(1));
    if (root == NULL)
        return 1;
    json_t *data = json_object_get(root, "data");
    const char *type = json_string_value(json_object_get(data, "resultType"));
    ctl_print_samples(c, type ? type : "", json_object_get(data, "result"));
    json_decref(root);
    return 0;
}

int ctl_volume(struct ctl *c)
{
    return volume(c, "/loki/api/v1/index/volume");
}

int ctl_volume_range(struct ctl *c)
{
    return volume(c, "/loki/api/v1/index/volume_range");
}

int ctl_detected_fields(struct ctl *c)
{
    struct buf url;
    ctl_url(c, &url, "/loki/api/v1/detected_fields");
    ctl_param(&url, "query", str_c(c->words[1]));
    json_t *root = ask(c, &url, HOURS(1));
    if (root == NULL)
        return 1;
    size_t i;
    json_t *field;
    json_array_foreach(json_object_get(root, "fields"), i, field)
        printf("label: %s\ttype: %s\tcardinality: %lld\n",
               json_string_value(json_object_get(field, "label")),
               json_string_value(json_object_get(field, "type")),
               (long long)json_integer_value(json_object_get(field, "cardinality")));
    json_decref(root);
    return 0;
}

int ctl_fmt(struct ctl *c)
{
    struct buf url, query;
    buf_init(&query, 4u << 20);
    if (c->n_words > 1) {
        buf_append_c(&query, c->words[1]);
    } else {
        char piece[4096];
        for (size_t n; (n = fread(piece, 1, sizeof piece, stdin)) > 0;)
            buf_append(&query, piece, n);
    }
    ctl_url(c, &url, "/loki/api/v1/format_query");
    ctl_param(&url, "query", str_trim(buf_str(&query)));
    json_t *root = ctl_fetch_json(c, buf_c(&url));
    buf_deinit(&url);
    buf_deinit(&query);
    if (root == NULL)
        return 1;
    puts(json_string_value(json_object_get(root, "data")));
    json_decref(root);
    return 0;
}

int ctl_ready(struct ctl *c)
{
    struct buf url, out;
    ctl_url(c, &url, "/ready");
    int status = ctl_fetch(c, buf_c(&url), NULL, NULL, &out);
    if (status == 0)
        fwrite(out.ptr, 1, out.len, stdout);
    buf_deinit(&out);
    buf_deinit(&url);
    return status;
}
