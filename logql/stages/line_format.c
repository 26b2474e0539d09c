/* logql/stages/line_format.c - | line_format "{{.method}} {{.path}}": the line made anew. */
#include "logql/stages/label_source.h"
#include "logql/stages/stage.h"

struct line_format {
    struct template *template;
    str only_label; /* the template is {{.label}} and nothing else; else empty */
};

struct line_format_local {
    struct label_source source;
    struct template_ctx ctx;
    struct buf out;
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
    template_ctx_init(&l->ctx, TEMPLATE_ARENA_BYTES_MAX);
    l->source.labels = b;
    l->ctx.source = &label_template_source;
    l->ctx.user = &l->source;
    l->ctx.missing_is_empty = true;
    l->only_label = labels_builder_id(b, st->only_label);
    buf_init(&l->out, TEMPLATE_OUTPUT_BYTES_MAX);
    return l;
}

static void line_format_local_free(void *local)
{
    struct line_format_local *l = local;
    template_ctx_deinit(&l->ctx);
    label_source_deinit(&l->source);
    buf_deinit(&l->out);
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
    buf_reset(&l->out);
    template_ctx_reset(&l->ctx);
    l->ctx.line = line->text;
    l->ctx.ts_ns = line->ts_ns;
    struct error err;
    error_clear(&err);
    if (template_exec(st->template, &l->ctx, &l->out, &err) != 0) {
        line->labels->error = ERROR_TEMPLATE;
        line->labels->error_details = arena_str(line->arena, str_c(err.text));
        return true;
    }
    line->text = buf_str(&l->out);
    return true;
}

static void line_format_reads(const void *stage, struct str_list *into)
{
    const struct line_format *st = stage;
    const str *names;
    size_t n;
    template_needed_fields(st->template, &names, &n);
    for (size_t i = 0; i < n; i++)
        str_list_add(into, names[i]);
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
