/* tenant: whose the record is, kept in the label __tenant_id__ until the client batches it. */
#include "base/mem.h"
#include "promtail/stages/all.h"

struct tenant_stage {
    struct stage base;
    str label, source, value; /* one of them is not empty */
};

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    (void)b;
    struct tenant_stage read = {.label = STR_EMPTY, .source = STR_EMPTY, .value = STR_EMPTY};
    int rc = stage_conf_str(config, "label", &read.label, NULL, err);
    if (rc == 0)
        rc = stage_conf_str(config, "source", &read.source, NULL, err);
    if (rc == 0)
        rc = stage_conf_str(config, "value", &read.value, NULL, err);
    if (rc != 0)
        return rc;
    int n = (read.label.len > 0) + (read.source.len > 0) + (read.value.len > 0);
    if (n == 0)
        return error_set(err, E_PARSE, "label, source or value config are required");
    if (n > 1)
        return error_set(err, E_PARSE,
                         "label, source and value are mutually exclusive: you should set source, "
                         "value or label but not all");
    struct tenant_stage *s = mem_alloc(sizeof *s);
    *s = read;
    *ret = &s->base;
    return 0;
}

static bool process(struct stage *base, struct record *r)
{
    struct tenant_stage *s = (struct tenant_stage *)base;
    str tenant = s->value;
    if (s->source.len > 0) {
        const struct value *v = extracted_get(r, s->source);
        if (v == NULL || !value_text(v, r->arena, &tenant))
            return true;
    } else if (s->label.len > 0) {
        tenant = label_list_get(&r->labels, s->label);
    }
    if (tenant.len > 0)
        label_list_set(&r->labels, r->arena, STR("__tenant_id__"), tenant);
    return true;
}

const struct stage_ops stage_ops_tenant = {
    .name = "tenant", .compile = compile, .process = process};
