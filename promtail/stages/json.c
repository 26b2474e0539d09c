/* json: values of a JSON document become extracted values.
 *
 * Expressions are paths of names (a.b, "a b".c); the document is scanned once for all of them. */
#include "base/gofmt.h"
#include "base/mem.h"
#include "promtail/pipeline.h"
#include "promtail/stages/all.h"
#include "proto/json_scan.h"

#define STEPS_MAX 16

struct json_path {
    str name; /* in the extracted map */
    str steps[STEPS_MAX];
    size_t n_steps;
};

struct json_stage {
    struct stage base;
    struct json_path *paths;
    size_t n_paths;
    str source;
    bool has_source, drop_malformed;
};

static bool is_word(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* One step off the front: a bare or a quoted name. */
static bool take_step(str *rest, str *ret)
{
    size_t n = 0;
    if (rest->len > 0 && rest->ptr[0] == '"') {
        size_t end = str_find_char(str_from(*rest, 1), '"');
        if (end == STR_NPOS)
            return false;
        *ret = str_sub(*rest, 1, end + 1);
        n = end + 2;
    } else {
        while (n < rest->len && is_word(rest->ptr[n]))
            n++;
        *ret = str_sub(*rest, 0, n);
        if (n == 0 || (rest->ptr[0] >= '0' && rest->ptr[0] <= '9'))
            return false;
    }
    *rest = str_from(*rest, n);
    return true;
}

static int compile_path(str expression, struct json_path *ret, struct error *err)
{
    str rest = str_trim(expression);
    for (;;) {
        if (ret->n_steps == STEPS_MAX || !take_step(&rest, &ret->steps[ret->n_steps++]))
            break;
        if (rest.len == 0)
            return 0;
        if (rest.ptr[0] != '.')
            break;
        rest = str_from(rest, 1);
    }
    return error_set(err, E_PARSE, "could not compile JMES expression: SyntaxError: %.*s",
                     STR_ARG(expression));
}

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    str source = STR_EMPTY;
    bool has_source = false, drop_malformed = false;
    struct stage_pair *pairs;
    size_t n;
    int rc = stage_conf_str(config, "source", &source, &has_source, err);
    if (rc == 0)
        rc = stage_conf_bool(config, "drop_malformed", &drop_malformed, err);
    if (rc == 0)
        rc = stage_conf_pairs(stage_conf_get(config, "expressions"), b->arena, &pairs, &n, err);
    if (rc != 0)
        return rc;
    if (n == 0)
        return error_set(err, E_PARSE, "JMES expression is required");
    if (has_source && source.len == 0)
        return error_set(err, E_PARSE, "empty source");
    struct json_path *paths = ARENA_ARRAY(b->arena, struct json_path, n);
    for (size_t i = 0; i < n; i++) {
        paths[i].name = pairs[i].name;
        rc = compile_path(pairs[i].value, &paths[i], err);
        if (rc != 0)
            return rc;
    }
    struct json_stage *s = mem_zalloc(sizeof *s);
    s->paths = paths;
    s->n_paths = n;
    s->source = source;
    s->has_source = has_source;
    s->drop_malformed = drop_malformed;
    *ret = &s->base;
    return 0;
}

static struct value value_of(str raw, struct arena *a)
{
    struct json_scan j = json_scan_make(raw);
    str s;
    double num;
    switch (json_peek(&j)) {
    case JSON_STRING:
        return json_read_string(&j, a, &s) ? VALUE_S(s) : VALUE_NIL;
    case JSON_NUMBER:
        return goparse_float(raw, &num) == 0 ? VALUE_N(num) : VALUE_NIL;
    case JSON_TRUE:
    case JSON_FALSE:
        return VALUE_B(json_peek(&j) == JSON_TRUE);
    case JSON_NULL:
    case JSON_NOTHING:
        return VALUE_NIL;
    default:
        return VALUE_S(raw);
    }
}

/* The raw text of the value a path leads to; ptr NULL if there is none. */
static str walk(str doc, const struct json_path *p, struct arena *a)
{
    for (size_t i = 0; i < p->n_steps; i++) {
        struct json_scan j = json_scan_make(doc);
        str key, found = {NULL, 0};
        if (json_peek(&j) != JSON_OBJECT || !json_object_begin(&j))
            return found;
        while (json_object_next(&j, &key)) {
            if (str_eq(json_unescape_arena(key, a), p->steps[i]))
                json_read_raw(&j, &found);
            else
                json_skip(&j);
        }
        if (found.ptr == NULL)
            return found;
        doc = found;
    }
    return doc;
}

static bool process(struct stage *base, struct record *r)
{
    struct json_stage *s = (struct json_stage *)base;
    str text = r->line;
    if (s->has_source) {
        const struct value *v = extracted_get(r, s->source);
        if (v == NULL || !value_text(v, r->arena, &text))
            return true;
    }
    struct json_scan j = json_scan_make(text);
    enum json_kind kind = json_peek(&j);
    if ((kind != JSON_OBJECT && kind != JSON_NULL) || !json_skip(&j) || !json_at_end(&j)) {
        if (!s->drop_malformed)
            return true;
        pipeline_count_drop(STR("malformed_json"));
        return false;
    }
    for (size_t i = 0; i < s->n_paths; i++) {
        str raw = walk(text, &s->paths[i], r->arena);
        extracted_set(r, s->paths[i].name, raw.ptr == NULL ? VALUE_NIL : value_of(raw, r->arena));
    }
    return true;
}

const struct stage_ops stage_json = {.name = "json", .compile = compile, .process = process};
