/* logql/stages/pattern_stage.c - | pattern "<ip> - <_> <path>": named captures become labels. */
#include "logql/pattern.h"
#include "logql/stages/label_key.h"
#include "logql/stages/stage.h"

struct pattern_local {
    uint32_t *ids; /* [n_captures] */
    str *values;
};

static int pattern_stage_compile(const struct stage *s, struct arena *a, void **ret,
                                 struct error *err)
{
    struct pattern *p = ARENA_NEW(a, struct pattern);
    int r = pattern_compile(s->text, a, p, err);
    if (r != 0)
        return r;
    for (size_t i = 0; i < p->n_captures; i++)
        if (!label_name_is_valid(pattern_name(p, i)))
            return error_set(err, E_PARSE, "invalid capture label name '%.*s'",
                             STR_ARG(pattern_name(p, i)));
    *ret = p;
    return 0;
}

static void *pattern_local_new(const void *stage, struct labels_builder *b)
{
    const struct pattern *p = stage;
    struct pattern_local *l = mem_zalloc(sizeof *l);
    l->ids = mem_array(p->n_captures, sizeof *l->ids);
    l->values = mem_array(p->n_captures, sizeof *l->values);
    for (size_t i = 0; i < p->n_captures; i++)
        l->ids[i] = labels_builder_id(b, pattern_name(p, i));
    return l;
}

static void pattern_local_free(void *local)
{
    struct pattern_local *l = local;
    mem_free(l->ids);
    mem_free(l->values);
    mem_free(l);
}

static bool pattern_stage_run(const void *stage, void *local, struct stage_line *line)
{
    struct pattern_local *l = local;
    if (labels_builder_wants_none(line->labels))
        return true;
    size_t n = pattern_match(stage, line->text, l->values);
    for (size_t i = 0; i < n; i++) {
        uint32_t id = label_key_target(line->labels, l->ids[i]);
        if (id != NAME_NONE && !stage_set(line, id, l->values[i]))
            return false;
    }
    return true;
}

const struct stage_ops stage_pattern = {
    .name = "pattern",
    .runs_early_filters = true,
    .compile = pattern_stage_compile,
    .local_new = pattern_local_new,
    .local_free = pattern_local_free,
    .run = pattern_stage_run,
};
