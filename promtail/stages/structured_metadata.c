/* structured_metadata (in older files non_indexed_labels): extracted values become metadata.
 *
 * A label that is a source is taken off the labels and written as metadata once more, since every
 * label is an extracted value too: Loki gets the name twice, as from Promtail. */
#include "base/mem.h"
#include "promtail/stages/all.h"

struct metadata_stage {
    struct stage base;
    struct stage_pair *pairs;
    size_t n;
};

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    struct stage_pair *pairs;
    size_t n;
    int rc = stage_conf_pairs(config, b->arena, &pairs, &n, err);
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (!label_name_is_valid(pairs[i].name))
            rc = error_set(err, E_PARSE, "invalid label name: %.*s", STR_ARG(pairs[i].name));
    if (rc != 0)
        return rc;
    struct metadata_stage *s = mem_zalloc(sizeof *s);
    s->pairs = pairs;
    s->n = n;
    *ret = &s->base;
    return 0;
}

static bool process(struct stage *base, struct record *r)
{
    struct metadata_stage *s = (struct metadata_stage *)base;
    for (size_t i = 0; i < s->n; i++) {
        const struct value *v = extracted_get(r, s->pairs[i].value);
        str text;
        if (v != NULL && value_text(v, r->arena, &text) && str_is_utf8(text))
            label_list_add(&r->meta, r->arena, s->pairs[i].name, text);
    }
    for (size_t i = 0; i < s->n; i++) {
        str label = label_list_get(&r->labels, s->pairs[i].value);
        if (label.ptr != NULL)
            label_list_add(&r->meta, r->arena, s->pairs[i].name, label);
    }
    for (size_t i = 0; i < s->n; i++) /* afterwards: two names may have one source */
        label_list_remove(&r->labels, s->pairs[i].value);
    return true;
}

const struct stage_ops stage_ops_structured_metadata = {
    .name = "structured_metadata", .compile = compile, .process = process};
const struct stage_ops stage_ops_non_indexed_labels = {
    .name = "non_indexed_labels", .compile = compile, .process = process};
