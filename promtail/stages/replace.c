/* replace: the groups of each match of a regular expression are replaced by what a Go template
 * makes of them ({{ .Value }}); without groups nothing is. */
#include "base/gotext.h"
#include "base/mem.h"
#include "logql/template/matches.h"
#include "promtail/stages/all.h"
#include "promtail/stages/input.h"
#include "promtail/stages/text_template.h"

#define RESULT_BYTES_MAX   (64u << 20)
#define CAPTURES_BYTES_MAX (64u << 20) /* of the arena, for one record */

struct replace_stage {
    struct stage base;
    struct stage_input input;
    struct regex *re;
    struct text_template text; /* .parsed NULL: malformed, the stage does nothing */
};

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    (void)b;
    str expression = STR_EMPTY, text = STR_EMPTY;
    struct stage_input input;
    struct error why = {0};
    int rc = stage_conf_str(config, "expression", &expression, NULL, err);
    if (rc == 0)
        rc = stage_input_conf(config, &input, err);
    if (rc == 0)
        rc = stage_conf_str(config, "replace", &text, NULL, err);
    if (rc == 0 && expression.len == 0)
        rc = error_set(err, E_PARSE, "expression is required");
    if (rc == 0)
        rc = stage_input_check(&input, "empty source in replace stage", err);
    if (rc != 0)
        return rc;
    struct regex *re = NULL;
    if (regex_compile(expression, 0, &re, &why) != 0)
        return error_set(err, E_PARSE, "could not compile regular expression: %s", why.text);
    struct replace_stage *s = mem_zalloc(sizeof *s);
    s->input = input;
    s->re = re;
    text_template_init(&s->text, text, NULL); /* Promtail finds out at run time, and says nothing */
    *ret = &s->base;
    return 0;
}

/* What a captured text was replaced by, the last time it was met. */
struct capture {
    str from, to;
};

struct replacing {
    struct replace_stage *stage;
    struct record *record;
    struct buf result;
    size_t done; /* bytes of the input that are in the result */
    struct capture *captures;
    size_t n, cap;
};

static void remember(struct replacing *p, str from, str to)
{
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(p->captures[i].from, from)) {
            p->captures[i].to = to;
            return;
        }
    if (p->n == p->cap) {
        size_t cap = p->cap == 0 ? 8 : p->cap * 2;
        struct capture *grown = arena_alloc(p->record->arena, cap * sizeof *grown);
        if (p->n > 0)
            memcpy(grown, p->captures, p->n * sizeof *grown);
        p->captures = grown;
        p->cap = cap;
    }
    p->captures[p->n++] = (struct capture){from, to};
}

/* A group that begins within what was replaced already, or right behind it, is left alone. */
static bool replace_group(struct replacing *p, str input, str group)
{
    str to;
    size_t from = (size_t)(group.ptr - input.ptr);
    if (!text_template_exec(&p->stage->text, p->record, group, (str){NULL, 0}, &to))
        return false;
    to = arena_str(p->record->arena, to);
    if (p->done == 0 || p->done < from) {
        buf_append_str(&p->result, str_sub(input, p->done, from));
        buf_append_str(&p->result, to);
        p->done = from + group.len;
    }
    /* Only named groups are looked up later. */
    remember(p, group, to);
    return arena_used(p->record->arena) <= CAPTURES_BYTES_MAX;
}

static bool replace_all(struct replacing *p, str input, str *first, int *ret_n_first)
{
    struct matches m;
    struct gotext clean = gotext_make(input, p->record->arena);
    bool is_first = true;
    matches_start(&m, p->stage->re, clean.text);
    while (matches_next(&m)) {
        str groups[MATCHES_GROUPS_MAX];
        memcpy(groups, m.groups, (size_t)m.n_groups * sizeof *groups);
        gotext_back(&clean, groups, m.n_groups);
        if (is_first) {
            memcpy(first, groups, (size_t)m.n_groups * sizeof *first);
            *ret_n_first = m.n_groups;
        }
        is_first = false;
        for (int i = 1; i < m.n_groups; i++)
            if (groups[i].ptr != NULL && !replace_group(p, input, groups[i]))
                return false;
    }
    buf_append_str(&p->result, str_from(input, p->done));
    return !is_first && !p->result.failed;
}

/* Named groups are extracted as what their text was replaced by. */
static void extract(struct replacing *p, const str *groups, int n_groups)
{
    for (int i = 1; i < n_groups; i++) {
        str name = regex_group_name(p->stage->re, i);
        str text = groups[i].ptr != NULL ? groups[i] : STR_EMPTY;
        for (size_t k = 0; k < p->n && name.len > 0; k++)
            if (str_eq(p->captures[k].from, text))
                extracted_set(p->record, name, VALUE_S(p->captures[k].to));
    }
}

static bool process(struct stage *base, struct record *r)
{
    struct replace_stage *s = (struct replace_stage *)base;
    struct replacing p = {.stage = s, .record = r};
    str input, first[MATCHES_GROUPS_MAX];
    int n_first = 0;
    if (s->text.parsed == NULL || !stage_input_text(&s->input, r, &input))
        return true;
    buf_init(&p.result, RESULT_BYTES_MAX);
    if (replace_all(&p, input, first, &n_first)) {
        str result = arena_str(r->arena, buf_str(&p.result));
        if (s->input.has_source)
            extracted_set(r, s->input.source, VALUE_S(result));
        else
            r->line = result;
        extract(&p, first, n_first);
    }
    buf_deinit(&p.result);
    return true;
}

static void free_stage(struct stage *base)
{
    struct replace_stage *s = (struct replace_stage *)base;
    regex_free(s->re);
    text_template_deinit(&s->text);
    mem_free(s);
}

const struct stage_ops stage_ops_replace = {
    .name = "replace", .compile = compile, .process = process, .free = free_stage};
