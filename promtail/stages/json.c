/* json: what JMESPath expressions find in a JSON document becomes extracted values.
 *
 * Most expressions are names (a, a.b): those are found in one scan of the text; others search a
 * tree that is made once for all of them. */
#include "base/mem.h"
#include "promtail/pipeline.h"
#include "promtail/stages/all.h"
#include "promtail/stages/input.h"
#include "promtail/stages/jmespath.h"
#include "promtail/stages/json_value.h"

#define STEPS_MAX 16

struct json_field {
    str name; /* in the extracted map */
    const struct jmespath *expression;
    str steps[STEPS_MAX]; /* of a path; else n_steps is 0 */
    size_t n_steps;
};

struct json_stage {
    struct stage base;
    struct json_field *fields;
    size_t n;
    str *found; /* of the last document, by field: the value of its first step; ptr NULL: none */
    struct stage_input input;
    bool drop_malformed, has_trees;
};

static int compile_field(struct json_field *f, const struct stage_pair *pair, struct arena *a,
                         struct error *err)
{
    struct error why = {0};
    f->name = pair->name;
    if (jmespath_parse(pair->value, a, &f->expression, &why) != 0)
        return error_set(err, E_PARSE, "could not compile JMES expression: %s", why.text);
    if (!jmespath_is_path(f->expression, f->steps, STEPS_MAX, &f->n_steps))
        f->n_steps = 0;
    return 0;
}

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    struct json_stage read = {0};
    struct stage_pair *pairs;
    int rc = stage_input_conf(config, &read.input, err);
    if (rc == 0)
        rc = stage_conf_bool(config, "drop_malformed", &read.drop_malformed, err);
    if (rc == 0)
        rc =
            stage_conf_pairs(stage_conf_get(config, "expressions"), b->arena, &pairs, &read.n, err);
    if (rc == 0 && read.n == 0)
        rc = error_set(err, E_PARSE, "JMES expression is required");
    if (rc == 0)
        rc = stage_input_check(&read.input, "empty source", err);
    if (rc != 0)
        return rc;
    read.fields = ARENA_ARRAY(b->arena, struct json_field, read.n);
    read.found = ARENA_ARRAY(b->arena, str, read.n);
    for (size_t i = 0; i < read.n; i++) {
        rc = compile_field(&read.fields[i], &pairs[i], b->arena, err);
        if (rc != 0)
            return rc;
        read.has_trees = read.has_trees || read.fields[i].n_steps == 0;
    }
    struct json_stage *s = mem_alloc(sizeof *s);
    *s = read;
    *ret = &s->base;
    return 0;
}

static bool is_key(str raw_key, str name, struct arena *a)
{
    if (memchr(raw_key.ptr, '\\', raw_key.len) == NULL)
        return str_eq(raw_key, name);
    str key = json_unescape_arena(raw_key, a);
    return key.ptr != NULL && str_eq(key, name);
}

/* Finds the values of all first steps, checking the whole document: an object, or null. */
static bool scan_document(struct json_stage *s, str text, struct arena *a)
{
    struct json_scan j = json_line_scan(text);
    str key, raw;
    memset(s->found, 0, s->n * sizeof *s->found);
    if (json_peek(&j) == JSON_NULL)
        return json_read_null(&j) && json_at_end(&j);
    if (json_peek(&j) != JSON_OBJECT || !json_object_begin(&j))
        return false;
    while (json_object_next(&j, &key)) {
        bool is_wanted = false;
        for (size_t i = 0; i < s->n && !is_wanted; i++)
            is_wanted = s->fields[i].n_steps > 0 && is_key(key, s->fields[i].steps[0], a);
        if (!is_wanted) {
            json_skip(&j);
            continue;
        }
        json_read_raw(&j, &raw);
        for (size_t i = 0; i < s->n; i++)
            if (s->fields[i].n_steps > 0 && is_key(key, s->fields[i].steps[0], a))
                s->found[i] = raw;
    }
    return json_ok(&j) && json_at_end(&j);
}

/* The value of one key in the text of a well-formed value; ptr NULL if there is none. */
static str get(str text, str name, struct arena *a)
{
    struct json_scan j = json_line_scan(text);
    str key, found = {NULL, 0};
    if (json_peek(&j) != JSON_OBJECT || !json_object_begin(&j))
        return found;
    while (json_object_next(&j, &key)) {
        if (is_key(key, name, a))
            json_read_raw(&j, &found);
        else
            json_skip(&j);
    }
    return found;
}

static void extract_path(struct record *r, const struct json_field *f, str value)
{
    for (size_t i = 1; i < f->n_steps && value.ptr != NULL; i++)
        value = get(value, f->steps[i], r->arena);
    extracted_set(r, f->name, value.ptr != NULL ? json_value(value, r->arena) : VALUE_NIL);
}

static bool malformed(const struct json_stage *s)
{
    return !s->drop_malformed;
}

static const struct json_tree no_keys = {.type = JSON_VALUE_OBJECT};

static bool process(struct stage *base, struct record *r)
{
    struct json_stage *s = (struct json_stage *)base;
    str text;
    if (!stage_input_text(&s->input, r, &text))
        return true;
    if (!scan_document(s, text, r->arena))
        return malformed(s);
    const struct json_tree *document = s->has_trees ? json_tree_read(text, r->arena) : NULL;
    if (s->has_trees && document == NULL)
        return malformed(s);
    if (document != NULL && document->type == JSON_VALUE_NULL)
        document = &no_keys; /* a nil map to Promtail */
    for (size_t i = 0; i < s->n; i++) {
        const struct json_field *f = &s->fields[i];
        if (f->n_steps > 0) {
            extract_path(r, f, s->found[i]);
            continue;
        }
        const struct json_tree *found = jmespath_search(f->expression, document, r->arena);
        if (found == &no_keys)
            extracted_set(r, f->name, VALUE_S(STR("null")));
        else if (found != NULL)
            extracted_set(r, f->name, json_tree_value(found, r->arena));
    }
    return true;
}

const struct stage_ops stage_ops_json = {.name = "json", .compile = compile, .process = process};
