/* logectl query, instant-query, explain: paging through a log query, printing a metric one. */
#include <jansson.h>

#include "base/duration.h"
#include "base/mem.h"
#include "base/vec.h"
#include "cmd/logectl.h"

/* Entries of the last page that stand at its last time: the next page brings them again, since it
 * must begin at that time to miss none. */
struct paging {
    int64_t edge_ns;
    VEC(char *) seen;
};

static void see(struct paging *p, const char *line)
{
    VEC_PUSH(&p->seen, mem_strdup(line));
}

static bool was_seen(struct paging *p, const char *line)
{
    for (size_t i = 0; i < p->seen.len; i++) {
        if (p->seen.items[i] != NULL && strcmp(p->seen.items[i], line) == 0) {
            mem_free(p->seen.items[i]);
            p->seen.items[i] = NULL;
            return true;
        }
    }
    return false;
}

static void forget(struct paging *p)
{
    for (size_t i = 0; i < p->seen.len; i++)
        mem_free(p->seen.items[i]);
    p->seen.len = 0;
}

static void step_params(const struct ctl *c, struct buf *url)
{
    struct buf text;
    buf_init(&text, 64);
    if (c->step_ns > 0) {
        duration_append_go(&text, c->step_ns);
        ctl_param(url, "step", buf_str(&text));
    }
    buf_reset(&text);
    if (c->interval_ns > 0) {
        duration_append_go(&text, c->interval_ns);
        ctl_param(url, "interval", buf_str(&text));
    }
    buf_deinit(&text);
}

static json_t *ask_range(struct ctl *c, int64_t limit)
{
    struct buf url;
    ctl_url(c, &url, "/loki/api/v1/query_range");
    ctl_param(&url, "query", str_c(c->words[1]));
    ctl_param_i64(&url, "limit", limit);
    ctl_param(&url, "direction", c->forward ? STR("forward") : STR("backward"));
    step_params(c, &url);
    json_t *root = NULL;
    if (ctl_param_range(c, &url, INT64_C(3600) * 1000000000) == 0)
        root = ctl_fetch_json(c, buf_c(&url));
    buf_deinit(&url);
    return root;
}

/* Takes out what the page before has shown already, keeps what stands at the new edge.  Returns the
 * number of entries the server sent. */
static size_t page_entries(struct paging *p, json_t *result, bool forward)
{
    size_t i, k, n = 0;
    json_t *stream, *value;
    int64_t edge = 0;
    json_array_foreach(result, i, stream)
    {
        json_t *values = json_object_get(stream, "values");
        for (k = 0; k < json_array_size(values);) {
            value = json_array_get(values, k);
            int64_t ts = 0;
            str_to_i64(str_c(json_string_value(json_array_get(value, 0))), &ts);
            const char *line = json_string_value(json_array_get(value, 1));
            if (n++ == 0 || (forward ? ts > edge : ts < edge))
                edge = ts;
            if (ts == p->edge_ns && line != NULL && was_seen(p, line))
                json_array_remove(values, k);
            else
                k++;
        }
    }
    forget(p);
    p->edge_ns = edge;
    json_array_foreach(result, i, stream)
    {
        json_array_foreach(json_object_get(stream, "values"), k, value)
        {
            int64_t ts = 0;
            str_to_i64(str_c(json_string_value(json_array_get(value, 0))), &ts);
            if (ts == edge)
                see(p, json_string_value(json_array_get(value, 1)));
        }
    }
    return n;
}

static size_t count_entries(const json_t *result)
{
    size_t i, n = 0;
    json_t *stream;
    json_array_foreach((json_t *)result, i, stream) n +=
        json_array_size(json_object_get(stream, "values"));
    return n;
}

int ctl_query(struct ctl *c)
{
    if (c->tail)
        return ctl_tail(c);
    struct paging p = {0};
    size_t shown = 0, wanted = c->limit == 0 ? SIZE_MAX : (size_t)c->limit;
    int status = 0;
    for (bool more = true; more && status == 0;) {
        size_t ask = MIN((size_t)c->batch, wanted - shown + p.seen.len);
        ask = MIN(ask, (size_t)5000);
        json_t *root = ask_range(c, (int64_t)ask);
        if (root == NULL) {
            status = 1;
            break;
        }
        json_t *data = json_object_get(root, "data");
        const char *type = json_string_value(json_object_get(data, "resultType"));
        json_t *result = json_object_get(data, "result");
        if (type != NULL && strcmp(type, "streams") == 0) {
            size_t got = page_entries(&p, result, c->forward);
            size_t fresh = count_entries(result);
            ctl_print_streams(c, result, c->forward);
            shown += fresh;
            more = got >= ask && fresh > 0 && shown < wanted;
            if (got >= ask && fresh == 0 && shown < wanted)
                ctl_fail("more than %zu entries at one time: raise --batch", ask);
            str edge = arena_printf(&c->arena, "%lld", (long long)p.edge_ns + (c->forward ? 0 : 1));
            *(c->forward ? &c->from : &c->to) = edge.ptr;
        } else {
            ctl_print_samples(c, type ? type : "", result);
            more = false;
        }
        if (c->stats)
            ctl_print_stats(json_object_get(data, "stats"));
        json_decref(root);
        fflush(stdout);
    }
    forget(&p);
    VEC_FREE(&p.seen);
    return status;
}

int ctl_instant_query(struct ctl *c)
{
    struct buf url;
    ctl_url(c, &url, "/loki/api/v1/query");
    ctl_param(&url, "query", str_c(c->words[1]));
    ctl_param_i64(&url, "limit", c->limit);
    if (c->now[0] != '\0')
        ctl_param(&url, "time", str_c(c->now));
    json_t *root = ctl_fetch_json(c, buf_c(&url));
    buf_deinit(&url);
    if (root == NULL)
        return 1;
    json_t *data = json_object_get(root, "data");
    const char *type = json_string_value(json_object_get(data, "resultType"));
    ctl_print_samples(c, type ? type : "", json_object_get(data, "result"));
    if (c->stats)
        ctl_print_stats(json_object_get(data, "stats"));
    json_decref(root);
    return 0;
}

/* The plan, as text or (jsonl) as an object. */
int ctl_explain(struct ctl *c)
{
    struct buf url;
    ctl_url(c, &url, "/loki/api/v1/query_range");
    ctl_param(&url, "query", str_c(c->words[1]));
    ctl_param_i64(&url, "limit", c->limit);
    ctl_param(&url, "direction", c->forward ? STR("forward") : STR("backward"));
    ctl_param(&url, "explain", STR("1"));
    step_params(c, &url);
    json_t *root = NULL;
    if (ctl_param_range(c, &url, INT64_C(3600) * 1000000000) == 0)
        root = ctl_fetch_json(c, buf_c(&url));
    buf_deinit(&url);
    if (root == NULL)
        return 1;
    const json_t *data = json_object_get(root, "data");
    const json_t *text = json_object_get(data, "explainText");
    const json_t *plan = json_object_get(data, "explain");
    int status = 0;
    if (c->output == CTL_JSONL && plan != NULL)
        json_dumpf(plan, stdout, JSON_COMPACT);
    else if (json_is_string(text))
        fputs(json_string_value(text), stdout);
    else
        status = ctl_fail("the server does not explain queries");
    json_decref(root);
    return status;
}
