#include "promtail/stages/input.h"

int stage_input_conf(const struct yaml_node *config, struct stage_input *ret, struct error *err)
{
    *ret = (struct stage_input){.source = STR_EMPTY};
    return stage_conf_str(config, "source", &ret->source, &ret->has_source, err);
}

int stage_input_check(const struct stage_input *in, const char *text, struct error *err)
{
    return in->has_source && in->source.len == 0 ? error_set(err, E_PARSE, "%s", text) : 0;
}

bool stage_input_text(const struct stage_input *in, const struct record *r, str *ret)
{
    if (!in->has_source) {
        *ret = r->line;
        return true;
    }
    const struct value *v = extracted_get(r, in->source);
    return v != NULL && value_text(v, r->arena, ret);
}
