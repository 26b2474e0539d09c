/* labels, label values and series. */
#include "base/mem.h"
#include "logql/parser.h"
#include "proto/str_set.h"
#include "querier/internal.h"

#define NAMES_BYTES_MAX (64u << 20)

/* Loki's ingesters do not look at times here, so recent streams show in a label browser at once. */
static bool is_memory_asked(const struct call *c, int64_t to_ns)
{
    int64_t within_ns = c->q->config.query_ingesters_within_ns;
    return within_ns == 0 || to_ns >= c->now_ns - within_ns;
}

/* Names (name.ptr NULL) or values of a label, from all sources. */
static int collect(struct call *c, str name, int64_t from_ns, int64_t to_ns, struct str_set *into)
{
    struct expr *selector = NULL;
    str query = params_str(&c->params, "query");
    struct select_params p = {.tenant = c->tenant, .from_ns = from_ns, .to_ns = to_ns};
    int code = 0;
    if (query.len > 0 && (code = call_parse_selector(c, query, true, &selector)) != 0)
        return code;
    if (selector != NULL) {
        p.matchers = call_matchers(c, &selector->log);
        p.n_matchers = selector->log.n_matchers;
    }
    for (size_t i = 0; i < c->q->config.n_sources && code == 0; i++) {
        struct query_source *q = c->q->sources[i];
        bool any_time = is_memory_asked(c, to_ns) && strcmp(q->name, "ingester") == 0;
        p.from_ns = any_time ? INT64_MIN : from_ns;
        p.to_ns = any_time ? INT64_MAX : to_ns;
        code = q->ops->labels(q, &p, name, into, &c->err);
    }
    logql_release(selector);
    return code;
}

static int write_strings(struct call *c, const struct str_set *set, const char *key, bool legacy)
{
    size_t n;
    const str *items = str_set_sorted(set, &c->arena, &n);
    struct answer a;
    answer_begin(&a, c);
    jsonw_begin_object(&a.w);
    if (!legacy) {
        jsonw_key_c(&a.w, "status");
        jsonw_string(&a.w, STR("success"));
    }
    if (n > 0) { /* an empty list is left out, as Go's omitempty does */
        jsonw_key(&a.w, str_c(key));
        jsonw_begin_array(&a.w);
        for (size_t i = 0; i < n; i++) {
            jsonw_string(&a.w, items[i]);
            answer_flush(&a);
        }
        jsonw_end_array(&a.w);
    }
    jsonw_end_object(&a.w);
    return answer_end(&a);
}

/* The exclusive end of a range whose end is inclusive. */
static int64_t past(int64_t end_ns)
{
    return end_ns == INT64_MAX ? end_ns : end_ns + 1;
}

static int answer_strings(struct call *c, str name, const char *key, bool legacy)
{
    int64_t from_ns, to_ns;
    int code = params_bounds(&c->params, PARAM_LABELS_SINCE_NS, &from_ns, &to_ns, &c->err);
    if (code != 0 || (code = call_check_range(c, from_ns, to_ns)) != 0)
        return code;
    struct str_set set;
    str_set_init(&set, NAMES_BYTES_MAX);
    code = collect(c, name, from_ns, past(to_ns), &set);
    if (code == 0)
        code = write_strings(c, &set, key, legacy);
    str_set_deinit(&set);
    return code;
}

int answer_labels(struct call *c)
{
    return answer_strings(c, str_make(NULL, 0), "data", false);
}

int answer_label_values(struct call *c)
{
    return answer_strings(c, http_path_param(c->r, "name"), "data", false);
}

int answer_legacy_labels(struct call *c)
{
    return answer_strings(c, http_path_param(c->r, "name"), "values", true);
}

/* --- series --- */

#define MATCH_MAX 1000

static bool is_among(str s, const str *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(s, items[i]))
            return true;
    return false;
}

static size_t match_params(struct call *c, str groups[MATCH_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < http_param_count(c->r) && n < MATCH_MAX; i++) {
        str name, value;
        http_param_at(c->r, i, &name, &value);
        bool is_match = str_eq(name, STR("match[]")) || str_eq(name, STR("match"));
        if (is_match && !is_among(value, groups, n))
            groups[n++] = value;
    }
    if (n == 0)
        groups[n++] = STR("{}"); /* everything */
    return n;
}

/* {} with blanks anywhere, but blanks only. */
static bool is_empty_selector(str s)
{
    char text[2];
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == ' ')
            continue;
        if (n == sizeof text)
            return false;
        text[n++] = s.ptr[i];
    }
    return n == sizeof text && memcmp(text, "{}", sizeof text) == 0;
}

struct series_set {
    struct strmap seen; /* the hash and the labels printed -> itself */
    struct answer *a;
    struct buf text;
};

static void add_series(struct series_set *s, const struct labels *ls)
{
    buf_reset(&s->text);
    labels_print(ls, &s->text);
    if (strmap_get(&s->seen, buf_str(&s->text)) != NULL)
        return;
    strmap_put(&s->seen, buf_str(&s->text), s);
    write_labels(&s->a->w, ls);
}

static int write_matching(struct call *c, const struct expr *selector, int64_t from_ns,
                          int64_t to_ns, struct series_set *s)
{
    struct found f;
    int code = call_select(c, &selector->log, from_ns, past(to_ns), SELECT_STREAMS_ONLY, &f);
    if (code != 0)
        return code;
    for (size_t i = 0; i < f.n_streams; i++)
        add_series(s, &f.streams[i].labels);
    found_free(&f);
    return 0;
}

int answer_series(struct call *c)
{
    int64_t from_ns, to_ns;
    str groups[MATCH_MAX];
    struct expr *selectors[MATCH_MAX];
    int code = params_bounds(&c->params, PARAM_SINCE_NS, &from_ns, &to_ns, &c->err);
    if (code != 0 || (code = call_check_range(c, from_ns, to_ns)) != 0)
        return code;
    size_t n = match_params(c, groups), parsed = 0;
    bool is_everything = n == 1 && is_empty_selector(groups[0]);
    while (code == 0 && parsed < n) {
        code = call_parse_selector(c, groups[parsed], !is_everything, &selectors[parsed]);
        parsed += code == 0;
    }
    struct answer a;
    struct series_set set = {.a = &a};
    answer_begin(&a, c);
    strmap_init(&set.seen);
    buf_init(&set.text, BUF_NO_LIMIT);
    jsonw_begin_object(&a.w);
    jsonw_key_c(&a.w, "status");
    jsonw_string(&a.w, STR("success"));
    jsonw_key_c(&a.w, "data");
    jsonw_begin_array(&a.w);
    for (size_t i = 0; i < n && code == 0; i++)
        code = write_matching(c, selectors[i], from_ns, to_ns, &set);
    jsonw_end_array(&a.w);
    jsonw_end_object(&a.w);
    strmap_deinit(&set.seen);
    buf_deinit(&set.text);
    for (size_t i = 0; i < parsed; i++)
        logql_release(selectors[i]);
    return code != 0 ? answer_drop(&a, code) : answer_end(&a);
}
