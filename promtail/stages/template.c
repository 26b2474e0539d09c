/* template: an extracted value becomes what a Go template makes of all of them. */
#include "base/mem.h"
#include "promtail/stages/all.h"
#include "promtail/stages/text_template.h"

struct template_stage {
    struct stage base;
    str source;
    struct text_template text;
};

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    (void)b;
    str source = STR_EMPTY, text = STR_EMPTY;
    int rc = stage_conf_str(config, "source", &source, NULL, err);
    if (rc == 0)
        rc = stage_conf_str(config, "template", &text, NULL, err);
    if (rc != 0)
        return rc;
    if (source.len == 0)
        return error_set(err, E_PARSE, "template source value is required");
    struct template_stage *s = mem_zalloc(sizeof *s);
    s->source = source;
    rc = text_template_init(&s->text, text, err);
    if (rc != 0)
        mem_free(s);
    else
        *ret = &s->base;
    return rc;
}

static bool process(struct stage *base, struct record *r)
{
    struct template_stage *s = (struct template_stage *)base;
    const struct value *v = extracted_get(r, s->source);
    str value = {NULL, 0}, result;
    if (v != NULL && !value_text(v, r->arena, &value))
        value.ptr = NULL;
    if (!text_template_exec(&s->text, r, value, r->line, &result))
        return true; /* the value stays as it was */
    if (result.len == 0)
        extracted_remove(r, s->source);
    else
        extracted_set(r, s->source, VALUE_S(arena_str(r->arena, result)));
    return true;
}

static void free_stage(struct stage *base)
{
    text_template_deinit(&((struct template_stage *)base)->text);
    mem_free(base);
}

const struct stage_ops stage_ops_template = {
    .name = "template", .compile = compile, .process = process, .free = free_stage};
