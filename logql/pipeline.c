#include "logql/pipeline.h"

#include "logql/check.h"
#include "logql/printer.h"
#include "logql/stages/pipeline_impl.h"

static const struct stage_ops *ops_of(const struct stage *s)
{
    switch (s->kind) {
    case STAGE_LINE_FILTER:
        return &stage_line_filter;
    case STAGE_JSON:
        return s->extract.n > 0 ? &stage_json_expr : &stage_json;
    case STAGE_LOGFMT:
        return s->extract.n > 0 ? &stage_logfmt_expr : &stage_logfmt;
    case STAGE_REGEXP:
        return &stage_regexp;
    case STAGE_PATTERN:
        return &stage_pattern;
    case STAGE_UNPACK:
        return &stage_unpack;
    case STAGE_DECOLORIZE:
        return &stage_decolorize;
    case STAGE_LABEL_FILTER:
        return &stage_label_filter;
    case STAGE_LINE_FORMAT:
        return &stage_line_format;
    case STAGE_LABEL_FORMAT:
        return &stage_label_format;
    case STAGE_DROP:
        return &stage_drop;
    case STAGE_KEEP:
        return &stage_keep;
    }
    return NULL;
}

static bool changes_line(const struct stage *s)
{
    return s->kind == STAGE_UNPACK || s->kind == STAGE_LINE_FORMAT || s->kind == STAGE_DECOLORIZE;
}

/* Needs no more than the labels that a line begins with. */
static bool is_labels_only(const struct stage *s)
{
    return s->kind == STAGE_LABEL_FILTER || s->kind == STAGE_DROP || s->kind == STAGE_KEEP;
}

/* Line filters ahead of everything that changes the line only look at the text of the block: they
 * go to the front, the cheap and the strict ones first. */
static int add_filters(struct pipeline *p, const struct stage *s, struct error *err)
{
    for (size_t i = 0; i < s->filters.n; i++) {
        struct pipeline_filter f = {.source = &s->filters.items[i]};
        int r = line_matcher_compile(f.source, &p->arena, &f.matcher, err);
        if (r != 0)
            return r;
        size_t at = p->n_filters++;
        int rank = line_matcher_rank(&f.matcher);
        for (; at > 0 && line_matcher_rank(&p->filters[at - 1].matcher) > rank; at--)
            p->filters[at] = p->filters[at - 1];
        p->filters[at] = f;
    }
    return 0;
}

static int add_step(struct pipeline *p, const struct stage *s, struct error *err)
{
    struct pipeline_step *step = &p->steps[p->n_steps];
    step->ops = ops_of(s);
    step->source = s;
    int r = step->ops->compile(s, &p->arena, &step->stage, err);
    if (r == 0)
        p->n_steps++;
    return r;
}

static int add_stages(struct pipeline *p, const struct pipeline_params *params, struct error *err)
{
    bool is_changed = false;
    for (size_t i = 0; i < params->n_stages; i++) {
        const struct stage *s = params->stages[i];
        bool to_front = s->kind == STAGE_LINE_FILTER && !is_changed;
        int r = to_front ? add_filters(p, s, err) : add_step(p, s, err);
        if (r != 0) {
            logql_stage_error(s, err);
            return r;
        }
        is_changed |= changes_line(s);
    }
    return 0;
}

static int add_unwrap(struct pipeline *p, const struct unwrap *u, struct error *err)
{
    p->n_before_unwrap = p->n_steps;
    p->unwrap = u;
    for (size_t i = 0; u != NULL && i < u->n_filters; i++) {
        struct pipeline_step *step = &p->steps[p->n_steps];
        step->ops = &stage_label_filter;
        step->filter = u->filters[i];
        int r = filter_tree_compile(u->filters[i], &p->arena, &step->stage, err);
        if (r != 0)
            return r;
        p->n_steps++;
    }
    return 0;
}

static bool changes_labels(const struct pipeline_step *s)
{
    return s->ops == &stage_label_format || s->ops == &stage_drop || s->ops == &stage_keep ||
           s->ops == &stage_json_expr || s->ops == &stage_logfmt_expr;
}

/* Tells a parser which filters behind it see the labels just as it sets them.  Of several filters
 * on one label the first is enough. */
static void find_early_filters(struct pipeline *p, size_t parser)
{
    struct pipeline_step *step = &p->steps[parser];
    struct str_list labels = {.arena = &p->arena};
    step->early = ARENA_ARRAY(&p->arena, size_t, p->n_steps);
    for (size_t i = parser + 1; i < p->n_before_unwrap && !changes_labels(&p->steps[i]); i++) {
        if (p->steps[i].ops != &stage_label_filter)
            continue;
        size_t known = labels.len;
        str_list_add(&labels, filter_tree_label(p->steps[i].stage));
        if (labels.len > known)
            step->early[step->n_early++] = i;
    }
}

static void set_grouping(struct pipeline *p, const struct pipeline_params *params)
{
    const struct grouping *g = &params->grouping;
    str *groups = ARENA_ARRAY(&p->arena, str, g->n + 1);
    bool is_unwrapped = params->sample == PIPELINE_VALUE;
    for (size_t i = 0; g->is_present && i < g->n; i++)
        groups[p->n_groups++] = g->labels[i];
    p->groups = groups;
    p->grouping = GROUPING_NONE;
    if (g->is_present && !g->is_without)
        p->grouping = g->n == 0 ? GROUPING_EMPTY : GROUPING_BY;
    else if (p->n_groups > 0)
        p->grouping = GROUPING_WITHOUT;
    if (params->is_labels_ignored)
        p->grouping = GROUPING_EMPTY;
    /* The unwrapped label would make a series of each value. */
    if (is_unwrapped && p->grouping != GROUPING_BY) {
        groups[p->n_groups++] = params->unwrap->label;
        if (p->grouping == GROUPING_NONE)
            p->grouping = GROUPING_WITHOUT;
    }
}

static bool has_name(const struct str_list *l, str name)
{
    for (size_t i = 0; i < l->len; i++)
        if (str_eq(l->items[i], name))
            return true;
    return false;
}

/* A label that the query calls x_extracted may come out of a line as x. */
static void add_wanted(struct str_list *l, str name)
{
    str_list_add(l, name);
    if (str_has_suffix(name, EXTRACTED_SUFFIX))
        str_list_add(l, str_sub(name, 0, name.len - EXTRACTED_SUFFIX.len));
}

/* Which labels the parsers have to find, where the query lets that be known: with it, what they
 * report as errors depends on it, so the rule is Loki's to the letter. */
static void set_hints(struct pipeline *p)
{
    struct str_list reads = {.arena = &p->arena}, wanted = {.arena = &p->arena};
    for (size_t i = 0; i < p->n_steps; i++)
        if (p->steps[i].ops->reads != NULL)
            p->steps[i].ops->reads(p->steps[i].stage, &reads);
    for (size_t i = 0; i < p->n_groups; i++)
        str_list_add(&reads, p->groups[i]);
    if (p->unwrap != NULL)
        str_list_add(&reads, p->unwrap->label);
    p->reads = reads.items;
    p->n_reads = reads.len;
    if (p->sample == PIPELINE_LINES ||
        (p->grouping != GROUPING_EMPTY && p->grouping != GROUPING_BY))
        return;
    for (size_t i = 0; i < reads.len; i++)
        add_wanted(&wanted, reads.items[i]);
    p->hints = (struct parser_hints){
        .required = wanted.items,
        .n_required = wanted.len,
        .is_no_labels = wanted.len == 0,
        .is_preserve_error = has_name(&wanted, LABEL_ERROR),
    };
}

static void set_needs(struct pipeline *p)
{
    p->is_set_by_meta = true;
    p->is_text_needed = p->n_filters > 0 || p->sample == PIPELINE_LINES;
    p->is_length_needed = p->sample == PIPELINE_BYTES;
    p->may_fail = p->sample == PIPELINE_VALUE;
    for (size_t i = 0; i < p->n_steps; i++) {
        const struct pipeline_step *step = &p->steps[i];
        bool is_simple = step->source == NULL || is_labels_only(step->source);
        p->is_set_by_meta &= is_simple;
        p->is_text_needed |= !is_simple;
        p->may_fail |= step->ops != &stage_drop && step->ops != &stage_keep;
        p->reads_any_label |= step->ops == &stage_line_format || step->ops == &stage_label_format;
    }
    if (p->sample == PIPELINE_VALUE)
        p->is_set_by_meta = false;
}

int pipeline_compile(const struct pipeline_params *params, struct pipeline **ret, struct error *err)
{
    struct pipeline *p = mem_zalloc(sizeof *p);
    size_t n_filters = 0, n_steps = params->n_stages;
    for (size_t i = 0; i < params->n_stages; i++)
        if (params->stages[i]->kind == STAGE_LINE_FILTER)
            n_filters += params->stages[i]->filters.n;
    if (params->unwrap != NULL)
        n_steps += params->unwrap->n_filters;
    arena_init(&p->arena, SIZE_MAX);
    p->sample = params->sample;
    p->filters = ARENA_ARRAY(&p->arena, struct pipeline_filter, n_filters);
    p->steps = ARENA_ARRAY(&p->arena, struct pipeline_step, n_steps);
    int r = add_stages(p, params, err);
    if (r == 0)
        r = add_unwrap(p, params->unwrap, err);
    if (r != 0) {
        pipeline_free(p);
        return r;
    }
    for (size_t i = 0; i < p->n_steps; i++)
        if (p->steps[i].ops->runs_early_filters)
            find_early_filters(p, i);
    set_grouping(p, params);
    set_hints(p);
    set_needs(p);
    *ret = p;
    return 0;
}

void pipeline_free(struct pipeline *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->n_filters; i++)
        line_matcher_release(&p->filters[i].matcher);
    for (size_t i = 0; i < p->n_steps; i++)
        if (p->steps[i].ops->release != NULL)
            p->steps[i].ops->release(p->steps[i].stage);
    arena_deinit(&p->arena);
    mem_free(p);
}

bool pipeline_keeps_all(const struct pipeline *p)
{
    if (p->n_filters > 0 || p->unwrap != NULL)
        return false;
    for (size_t i = 0; i < p->n_steps; i++)
        if (p->steps[i].ops == &stage_label_filter || p->steps[i].ops == &stage_line_filter)
            return false;
    return true;
}

int pipeline_labels_check(const struct labels *all, struct error *err)
{
    if (all->n == 0 || all->items[0].name.len > 0)
        return 0;
    struct buf b;
    buf_init(&b, ERROR_TEXT_MAX);
    labels_print(all, &b);
    error_set(err, E_INTERNAL,
              "err while creating labelset for %s: 1:2: parse error: unexpected \"=\" in label "
              "set, expected identifier or \"}\"",
              buf_c(&b));
    buf_deinit(&b);
    return E_INTERNAL;
}

size_t pipeline_step_count(const struct pipeline *p)
{
    return p->n_filters + p->n_steps;
}

bool pipeline_step_print(const struct pipeline *p, size_t step, struct buf *out)
{
    if (step < p->n_filters) {
        const struct pipeline_filter *f = &p->filters[step];
        struct stage s = {.kind = STAGE_LINE_FILTER};
        s.filters.items = f->source;
        s.filters.n = 1;
        logql_print_stage(&s, out);
        buf_append_c(out, " (over blocks: ");
        line_matcher_print_how(&f->matcher, out);
        return buf_append_char(out, ')');
    }
    const struct pipeline_step *st = &p->steps[step - p->n_filters];
    if (st->source != NULL) {
        logql_print_stage(st->source, out);
    } else {
        buf_append_c(out, "| ");
        logql_print_label_filter(st->filter, out);
    }
    return !out->failed;
}
