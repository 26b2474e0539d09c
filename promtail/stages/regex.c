/* regex: named groups of a regular expression become extracted values. */
#include "base/gotext.h"
#include "base/mem.h"
#include "promtail/stages/all.h"
#include "promtail/stages/input.h"

#define GROUPS_MAX 128

struct regex_stage {
    struct stage base;
    struct regex *re;
    int n_groups; /* group 0 included */
    struct stage_input input;
};

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    (void)b;
    str expression = STR_EMPTY;
    struct stage_input input;
    int rc = stage_conf_str(config, "expression", &expression, NULL, err);
    if (rc == 0)
        rc = stage_input_conf(config, &input, err);
    if (rc != 0)
        return rc;
    if (expression.len == 0)
        return error_set(err, E_PARSE, "expression is required");
    rc = stage_input_check(&input, "empty source", err);
    if (rc != 0)
        return rc;
    struct regex *re = NULL;
    struct error why = {0};
    if (regex_compile(expression, 0, &re, &why) != 0)
        return error_set(err, E_PARSE, "could not compile regular expression: %s", why.text);
    struct regex_stage *s = mem_zalloc(sizeof *s);
    s->re = re;
    s->n_groups = MIN(regex_group_count(re) + 1, GROUPS_MAX);
    s->input = input;
    *ret = &s->base;
    return 0;
}

static bool process(struct stage *base, struct record *r)
{
    struct regex_stage *s = (struct regex_stage *)base;
    str text, groups[GROUPS_MAX];
    if (!stage_input_text(&s->input, r, &text) ||
        !gotext_match(s->re, text, r->arena, groups, s->n_groups))
        return true;
    for (int i = 1; i < s->n_groups; i++) {
        str name = regex_group_name(s->re, i);
        if (name.len == 0)
            continue;
        str value = groups[i].ptr != NULL ? groups[i] : STR_EMPTY;
        extracted_set(r, name, VALUE_S(value));
    }
    return true;
}

static void free_stage(struct stage *base)
{
    struct regex_stage *s = (struct regex_stage *)base;
    regex_free(s->re);
    mem_free(s);
}

const struct stage_ops stage_ops_regex = {
    .name = "regex", .compile = compile, .process = process, .free = free_stage};
