/* Stages in a row: compiling a list of them, running records through, freeing. */
#include "base/mem.h"
#include "promtail/pipeline.h"
#include "promtail/stages/inspect.h"
#include "promtail/stages/stage.h"

static const struct stage_ops *find_stage(str name)
{
    for (size_t i = 0; stage_registry[i] != NULL; i++)
        if (str_eq_c(name, stage_registry[i]->name))
            return stage_registry[i];
    return NULL;
}

static int compile_one(struct stage_build *b, const struct yaml_node *node, struct stage **ret,
                       struct error *err)
{
    if (node->kind != YAML_MAP)
        return error_set(err, E_PARSE,
                         "line %d: invalid YAML config, make sure each stage of your pipeline is a "
                         "YAML object (must end with a `:`), check stage `- %.*s`",
                         node->line, STR_ARG(node->text));
    if (node->n != 1)
        return error_set(err, E_PARSE, "line %d: pipeline stage must contain only one key",
                         node->line);
    str name = node->keys[0]->text;
    const struct yaml_node *config = node->items[0];
    if (strcmp(stage_conf_type(node->keys[0]), "string") != 0)
        return error_set(err, E_PARSE, "line %d: pipeline stage key must be a string", node->line);
    const struct stage_ops *ops = find_stage(name);
    if (ops == NULL)
        return error_set(err, E_PARSE,
                         "line %d: invalid %.*s stage config: Unknown stage type: %.*s", node->line,
                         STR_ARG(name), STR_ARG(name));
    struct error why = {0};
    int rc = 0;
    if (!ops->takes_any && config->kind != YAML_MAP && !yaml_is_null(config))
        rc = error_set(&why, E_PARSE, "'' expected a map, got '%s'", stage_conf_type(config));
    else
        rc = ops->compile(b, config, ret, &why);
    if (rc != 0)
        return error_set(err, rc, "line %d: invalid %s stage config: %s", node->line, ops->name,
                         why.text);
    (*ret)->ops = ops;
    if (!ops->ignores_extracted)
        b->pipeline->uses_extracted = true;
    return 0;
}

int stage_chain_compile(struct stage_build *b, const struct yaml_node *list,
                        struct stage_chain *chain, struct error *err)
{
    chain->pipeline = b->pipeline;
    if (list == NULL || list->kind == YAML_NULL)
        return 0;
    if (list->kind != YAML_LIST)
        return error_set(err, E_PARSE, "line %d: '': source data must be an array or slice, got %s",
                         list->line, stage_conf_type(list));
    struct stage **last = &chain->first;
    for (size_t i = 0; i < list->n; i++) {
        struct stage *s = NULL;
        if (list->items[i]->kind == YAML_MAP && list->items[i]->n == 0)
            continue; /* `- {}` is no stage */
        int rc = compile_one(b, list->items[i], &s, err);
        if (rc != 0)
            return rc;
        s->chain = chain;
        *last = s;
        last = &s->next;
    }
    return 0;
}

static void run_from(struct stage_chain *chain, struct stage *s, struct record *r)
{
    if (chain->pipeline->is_inspecting) {
        for (; s != NULL; s = s->next)
            if (!inspect_process(s, r))
                return;
    } else {
        for (; s != NULL; s = s->next)
            if (!s->ops->process(s, r))
                return;
    }
    chain->done(chain->arg, r);
}

void stage_chain_process(struct stage_chain *chain, struct record *r)
{
    run_from(chain, chain->first, r);
}

void stage_emit(struct stage *s, struct record *r)
{
    run_from(s->chain, s->next, r);
}

bool stage_is_first(const struct stage *s)
{
    return s->chain->first == s && s->chain == &s->chain->pipeline->chain;
}

void stage_chain_flush(struct stage_chain *chain, int64_t now_ns, bool is_final)
{
    for (struct stage *s = chain->first; s != NULL; s = s->next)
        if (s->ops->flush != NULL)
            s->ops->flush(s, now_ns, is_final);
}

void stage_chain_free(struct stage_chain *chain)
{
    struct stage *s = chain->first;
    while (s != NULL) {
        struct stage *next = s->next;
        if (s->ops->free != NULL)
            s->ops->free(s);
        else
            mem_free(s);
        s = next;
    }
    chain->first = NULL;
}
