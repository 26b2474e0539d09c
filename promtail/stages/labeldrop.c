/* labeldrop: takes labels off.  labelallow: takes all others off. */
#include "base/mem.h"
#include "promtail/stages/all.h"

struct names_stage {
    struct stage base;
    str *names;
    size_t n;
};

static int compile(struct stage_build *b, const struct yaml_node *config, const char *name,
                   struct stage **ret, struct error *err)
{
    str *names = NULL;
    size_t n = 0;
    int rc = stage_conf_node_strs(config, "", b->arena, &names, &n, err);
    if (rc == 0 && n == 0)
        rc = error_set(err, E_PARSE, "%s stage config cannot be empty", name);
    if (rc != 0)
        return rc;
    struct names_stage *s = mem_zalloc(sizeof *s);
    s->names = names;
    s->n = n;
    *ret = &s->base;
    return 0;
}

static int compile_drop(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                        struct error *err)
{
    return compile(b, config, "labeldrop", ret, err);
}

static int compile_allow(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                         struct error *err)
{
    return compile(b, config, "labelallow", ret, err);
}

static bool process_drop(struct stage *base, struct record *r)
{
    struct names_stage *s = (struct names_stage *)base;
    for (size_t i = 0; i < s->n; i++)
        label_list_remove(&r->labels, s->names[i]);
    return true;
}

static bool is_named(const struct names_stage *s, str name)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_eq(s->names[i], name))
            return true;
    return false;
}

static bool process_allow(struct stage *base, struct record *r)
{
    struct names_stage *s = (struct names_stage *)base;
    size_t n = 0;
    for (size_t i = 0; i < r->labels.n; i++)
        if (is_named(s, r->labels.items[i].name))
            r->labels.items[n++] = r->labels.items[i];
    r->labels.n = n;
    label_list_rehash(&r->labels);
    return true;
}

const struct stage_ops stage_ops_labeldrop = {.name = "labeldrop",
                                              .takes_any = true,
                                              .compile = compile_drop,
                                              .process = process_drop,
                                              .ignores_extracted = true};
const struct stage_ops stage_ops_labelallow = {.name = "labelallow",
                                               .takes_any = true,
                                               .compile = compile_allow,
                                               .process = process_allow,
                                               .ignores_extracted = true};
