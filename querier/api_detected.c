/* detected_labels: the labels of streams worth browsing by. */
#include "base/gofmt.h"
#include "base/mem.h"
#include "base/vec.h"
#include "logql/parser.h"
#include "proto/str_set.h"
#include "querier/internal.h"

#define VALUES_BYTES_MAX (1u << 20) /* of one label */

struct label_values {
    str name;
    struct str_set values;
    bool is_id_only; /* numbers and UUIDs: names of things that come and go */
};

/* 8-4-4-4-12 hexadecimal digits, or the 32 of them, maybe in braces or as urn:uuid:... */
static bool is_uuid(str s)
{
    if (str_has_prefix(s, STR("urn:uuid:")))
        s = str_from(s, 9);
    else if (s.len == 38 && s.ptr[0] == '{' && s.ptr[37] == '}')
        s = str_sub(s, 1, 37);
    if (s.len != 36 && s.len != 32)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        bool dash = s.len == 36 && (i == 8 || i == 13 || i == 18 || i == 23);
        char c = (char)(s.ptr[i] | 0x20);
        if (dash ? s.ptr[i] != '-'
                 : !((s.ptr[i] >= '0' && s.ptr[i] <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

static bool is_id(str value)
{
    double ignored;
    int code = goparse_float(value, &ignored);
    return code == 0 || is_uuid(value);
}

/* Labels that are shown whatever their values look like. */
static bool is_static(str name)
{
    return str_eq(name, STR("cluster")) || str_eq(name, STR("namespace")) ||
           str_eq(name, STR("instance")) || str_eq(name, STR("pod"));
}

typedef VEC(struct label_values *) label_list;

static void add(label_list *list, struct arena *a, const struct label *l)
{
    struct label_values *v = NULL;
    for (size_t i = 0; i < list->len && v == NULL; i++)
        if (str_eq(list->items[i]->name, l->name))
            v = list->items[i];
    if (v == NULL) {
        v = ARENA_NEW(a, struct label_values);
        v->name = l->name;
        v->is_id_only = true;
        str_set_init(&v->values, VALUES_BYTES_MAX);
        VEC_PUSH_ARENA(a, list, v);
    }
    str_set_add(&v->values, l->value);
    v->is_id_only = v->is_id_only && is_id(l->value);
}

static bool is_relevant(const struct label_values *v)
{
    return is_static(v->name) || !v->is_id_only;
}

static int write_detected(struct call *c, const label_list *list)
{
    struct answer a;
    bool any = false;
    answer_begin(&a, c);
    jsonw_begin_object(&a.w);
    for (size_t i = 0; i < list->len; i++) {
        if (!is_relevant(list->items[i]))
            continue;
        if (!any) {
            jsonw_key_c(&a.w, "detectedLabels");
            jsonw_begin_array(&a.w);
            any = true;
        }
        jsonw_begin_object(&a.w);
        jsonw_key_c(&a.w, "label");
        jsonw_string(&a.w, list->items[i]->name);
        jsonw_key_c(&a.w, "cardinality");
        jsonw_u64(&a.w, list->items[i]->values.map.len);
        jsonw_end_object(&a.w);
    }
    if (any)
        jsonw_end_array(&a.w);
    jsonw_end_object(&a.w);
    return answer_end(&a);
}

int answer_detected_labels(struct call *c)
{
    int64_t from_ns, to_ns;
    struct expr *selector;
    struct found f;
    str query = params_str(&c->params, "query");
    int code = params_bounds(&c->params, PARAM_SINCE_NS, &from_ns, &to_ns, &c->err);
    if (code == 0)
        code = call_check_range(c, from_ns, to_ns);
    if (code == 0)
        code = call_parse_selector(c, query.len == 0 ? STR("{}") : query, query.len > 0, &selector);
    if (code != 0)
        return code;
    code = call_select(c, &selector->log, from_ns, to_ns, SELECT_STREAMS_ONLY, &f);
    if (code == 0) {
        label_list list = {0};
        for (size_t i = 0; i < f.n_streams; i++)
            for (size_t k = 0; k < f.streams[i].labels.n; k++)
                add(&list, &c->arena, &f.streams[i].labels.items[k]);
        code = write_detected(c, &list);
        for (size_t i = 0; i < list.len; i++)
            str_set_deinit(&list.items[i]->values);
        found_free(&f);
    }
    logql_release(selector);
    return code;
}
