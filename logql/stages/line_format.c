/* logql/stages/line_format.c - | line_format "{{.method}} {{.path}}": the line made anew. */
#include "logql/stages/stage.h"
#include "logql/stages/stage_template.h"

struct line_format {
    struct template *template;
    str only_label; /* the template is {{.label}} and nothing else; else empty */
};

struct line_format_local {
    struct stage_template exec;
    uint32_t only_label;
};

/* The name if the text is {{.name}}; such a template, and only such a one, does not see
 * __error__. */
static str only_label(str text)
{
    if (!str_has_prefix(text, STR("{{")) || !str_has_suffix(text, STR("}}")) || text.len < 6)
        return STR_EMPTY;
    str inside = str_trim(str_sub(text, 2, text.len - 2));
    if (!str_has_prefix(inside, STR(".")))
        return STR_EMPTY;
    str name = str_from(inside, 1);
    return label_name_is_valid(name) ? name : STR_EMPTY;
}

static void line_format_release(void *stage)
{
    template_free(((struct line_format *)stage)->template);
}

static int line_format_compile(const struct stage *s, struct arena *a, void **ret,
                               struct error *err)
{
    struct line_format *st = ARENA_NEW(a, struct line_format);
    int r = template_parse(STR("line"), s->text, &template_funcs_loki, &st->template, err);
    if (r != 0) {
        error_prefix(err, "invalid line template: ");
        return r;
    }
    st->only_label = only_label(s->text);
    *ret = st;
    return 0;
}

static void *line_format_local_new(const void *stage, struct labels_builder *b)
{
    const struct line_format *st = stage;
    struct line_format_local *l = mem_zalloc(sizeof *l);
    stage_template_init(&l->exec, b);
    l->only_label = labels_builder_id(b, st->only_label);
    return l;
}

static void line_format_local_free(void *local)
{
    struct line_format_local *l = local;
    stage_template_deinit(&l->exec);
    mem_free(l);
}

static bool line_format_run(const void *stage, void *local, struct stage_line *line)
{
    const struct line_format *st = stage;
    struct line_format_local *l = local;
    if (st->only_label.len > 0) {
        if (!labels_builder_get(line->labels, l->only_label, &line->text))
            line->text = STR_EMPTY;
        return true;
    }
    stage_template_exec(&l->exec, st->template, line, &line->text);
    return true;
}

static void line_format_reads(const void *stage, struct str_list *into)
{
    stage_template_reads(((const struct line_format *)stage)->template, into);
}

const struct stage_ops stage_line_format = {
    .name = "line_format",
    .compile = line_format_compile,
    .release = line_format_release,
    .local_new = line_format_local_new,
    .local_free = line_format_local_free,
    .run = line_format_run,
    .reads = line_format_reads,
};
