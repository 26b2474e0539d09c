/* match: a pipeline of its own for the records a selector picks, or their end. */
#include "base/mem.h"
#include "promtail/pipeline.h"
#include "promtail/stages/all.h"
#include "promtail/stages/selector.h"

struct match_stage {
    struct stage base;
    struct selector selector;
    bool is_drop;
    str reason;
    struct stage_chain inner; /* empty if is_drop */
};

struct match_conf {
    str pipeline_name, selector, action, reason;
    bool has_pipeline_name;
    const struct yaml_node *stages; /* NULL: none */
};

static int read_conf(struct match_conf *c, const struct yaml_node *config, struct error *err)
{
    *c = (struct match_conf){.selector = STR_EMPTY, .action = STR_EMPTY, .reason = STR_EMPTY};
    int rc = stage_conf_str(config, "pipeline_name", &c->pipeline_name, &c->has_pipeline_name, err);
    if (rc == 0)
        rc = stage_conf_str(config, "selector", &c->selector, NULL, err);
    if (rc == 0)
        rc = stage_conf_str(config, "action", &c->action, NULL, err);
    if (rc == 0)
        rc = stage_conf_str(config, "drop_counter_reason", &c->reason, NULL, err);
    c->stages = stage_conf_get(config, "stages");
    if (c->stages != NULL && c->stages->kind == YAML_LIST && c->stages->n == 0)
        c->stages = NULL;
    if (c->stages != NULL && yaml_is_null(c->stages))
        c->stages = NULL;
    return rc;
}

static int check_conf(const struct match_conf *c, struct error *err)
{
    bool is_drop = str_eq(c->action, STR("drop"));
    if (c->has_pipeline_name && c->pipeline_name.len == 0)
        return error_set(err, E_PARSE,
                         "match stage pipeline name can be omitted but cannot be an empty string");
    if (c->selector.len == 0)
        return error_set(err, E_PARSE, "selector statement required for match stage");
    if (!is_drop && c->action.len > 0 && !str_eq(c->action, STR("keep")))
        return error_set(err, E_PARSE, "match stage action should be 'keep' or 'drop'");
    if (!is_drop && c->stages == NULL)
        return error_set(err, E_PARSE,
                         "match stage requires at least one additional stage to be defined in '- "
                         "stages'");
    if (is_drop && c->stages != NULL)
        return error_set(err, E_PARSE,
                         "match stage configured to drop entries cannot contains stages");
    return 0;
}

static void free_stage(struct stage *base)
{
    struct match_stage *s = (struct match_stage *)base;
    stage_chain_free(&s->inner);
    selector_deinit(&s->selector);
    mem_free(s);
}

/* Out of the inner stages, on with those behind the match. */
static void go_on(void *arg, struct record *r)
{
    stage_emit(arg, r);
}

static int compile_inner(struct stage_build *b, struct match_stage *s,
                         const struct yaml_node *stages, struct error *err)
{
    struct error why = {0};
    if (b->depth >= STAGES_NESTED_MAX)
        return error_set(err, E_LIMIT, "match stages are nested too deeply");
    s->inner.done = go_on;
    s->inner.arg = &s->base;
    b->depth++;
    int rc = stage_chain_compile(b, stages, &s->inner, &why);
    b->depth--;
    if (rc != 0)
        return error_set(err, rc, "match stage failed to create pipeline from config: %s",
                         why.text);
    return 0;
}

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    struct match_conf c;
    struct error why = {0};
    int rc = read_conf(&c, config, err);
    if (rc == 0)
        rc = check_conf(&c, err);
    if (rc != 0)
        return rc;
    struct match_stage *s = mem_zalloc(sizeof *s);
    s->is_drop = str_eq(c.action, STR("drop"));
    s->reason = c.reason.len > 0 ? c.reason : STR("match_stage");
    rc = selector_parse(c.selector, b->arena, &s->selector, &why);
    if (rc != 0) /* a filter's regex has a text of its own */
        error_set(err, rc, "%s%s",
                  str_has_prefix(str_c(why.text), STR("error parsing pipeline: "))
                      ? ""
                      : "invalid selector syntax for match stage: ",
                  why.text);
    else if (!s->is_drop)
        rc = compile_inner(b, s, c.stages, err);
    if (rc != 0)
        free_stage(&s->base);
    else
        *ret = &s->base;
    return rc;
}

static bool process(struct stage *base, struct record *r)
{
    struct match_stage *s = (struct match_stage *)base;
    if (!selector_is_match(&s->selector, r))
        return true;
    if (s->is_drop) {
        job_pipeline_count_drop(s->reason);
        return false;
    }
    if (job_pipeline_keeps_extracted(base->chain->pipeline))
        extracted_add_labels(r);
    stage_chain_process(&s->inner, r);
    return false;
}

static void flush(struct stage *base, int64_t now_ns, bool is_final)
{
    stage_chain_flush(&((struct match_stage *)base)->inner, now_ns, is_final);
}

const struct stage_ops stage_ops_match = {.name = "match",
                                          .compile = compile,
                                          .process = process,
                                          .flush = flush,
                                          .free = free_stage,
                                          .ignores_extracted = true};
