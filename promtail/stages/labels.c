/* labels: extracted values become labels.  static_labels: fixed ones. */
#include "base/mem.h"
#include "promtail/stages/all.h"

struct labels_stage {
    struct stage base;
    struct stage_pair *pairs;
    size_t n;
};

/* Names of static_labels may be any UTF-8, as those of targets and relabelling. */
static bool is_utf8_name(str name)
{
    return name.len > 0 && str_is_utf8(name);
}

static int check_names(const struct stage_pair *pairs, size_t n, bool (*is_valid)(str name),
                       struct error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!is_valid(pairs[i].name))
            return error_set(err, E_PARSE, "invalid label name: %.*s", STR_ARG(pairs[i].name));
    return 0;
}

static int compile(struct stage_build *b, const struct yaml_node *config,
                   bool (*is_valid)(str name), struct stage **ret, struct error *err)
{
    struct stage_pair *pairs;
    size_t n;
    int rc = stage_conf_pairs(config, b->arena, &pairs, &n, err);
    if (rc == 0)
        rc = check_names(pairs, n, is_valid, err);
    if (rc != 0)
        return rc;
    struct labels_stage *s = mem_zalloc(sizeof *s);
    s->pairs = pairs;
    s->n = n;
    *ret = &s->base;
    return 0;
}

static int compile_labels(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                          struct error *err)
{
    return compile(b, config, label_name_is_valid, ret, err);
}

static int compile_static(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                          struct error *err)
{
    return compile(b, config, is_utf8_name, ret, err);
}

static bool process_labels(struct stage *base, struct record *r)
{
    struct labels_stage *s = (struct labels_stage *)base;
    for (size_t i = 0; i < s->n; i++) {
        const struct value *v = extracted_get(r, s->pairs[i].value);
        str text;
        if (v != NULL && value_text(v, r->arena, &text) && str_is_utf8(text))
            label_list_set(&r->labels, r->arena, s->pairs[i].name, text);
    }
    return true;
}

static bool process_static(struct stage *base, struct record *r)
{
    struct labels_stage *s = (struct labels_stage *)base;
    for (size_t i = 0; i < s->n; i++)
        if (!s->pairs[i].is_empty && str_is_utf8(s->pairs[i].value))
            label_list_set(&r->labels, r->arena, s->pairs[i].name, s->pairs[i].value);
    return true;
}

const struct stage_ops stage_ops_labels = {
    .name = "labels", .compile = compile_labels, .process = process_labels};
const struct stage_ops stage_ops_static_labels = {.name = "static_labels",
                                                  .compile = compile_static,
                                                  .process = process_static,
                                                  .ignores_extracted = true};
