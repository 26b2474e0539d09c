/* output: the line becomes an extracted value. */
#include "base/mem.h"
#include "promtail/stages/all.h"

struct output_stage {
    struct stage base;
    str source;
};

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    (void)b;
    str source = STR_EMPTY;
    int rc = stage_conf_str(config, "source", &source, NULL, err);
    if (rc != 0)
        return rc;
    if (source.len == 0)
        return error_set(err, E_PARSE, "output source value is required if output is specified");
    struct output_stage *s = mem_zalloc(sizeof *s);
    s->source = source;
    *ret = &s->base;
    return 0;
}

static bool process(struct stage *base, struct record *r)
{
    struct output_stage *s = (struct output_stage *)base;
    const struct value *v = extracted_get(r, s->source);
    str text;
    if (v != NULL && value_text(v, r->arena, &text))
        r->line = text;
    return true;
}

const struct stage_ops stage_ops_output = {
    .name = "output", .compile = compile, .process = process};
