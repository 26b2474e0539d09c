/* logql/stages/label_format.c - | label_format new=old, a="{{.b}}": labels renamed and made.
 *
 * The templates of one stage all see the labels as they were before the first of them ran. */
#include "logql/stages/stage.h"
#include "logql/stages/stage_template.h"

struct one_format {
    str label, from;           /* from: of a rename */
    struct template *template; /* NULL: a rename */
};

struct label_formats {
    struct one_format *items;
    size_t n;
};

struct label_format_local {
    struct stage_template exec;
    uint32_t *ids, *from_ids; /* [n] */
};

static int check_names(const struct stage *s, struct error *err)
{
    for (size_t i = 0; i < s->formats.n; i++) {
        str label = s->formats.items[i].label;
        if (str_eq(label, LABEL_ERROR))
            return error_set(err, E_PARSE, "%.*s cannot be formatted", STR_ARG(label));
        for (size_t j = 0; j < i; j++)
            if (str_eq(label, s->formats.items[j].label))
                return error_set(
                    err, E_PARSE,
                    "multiple label name '%.*s' not allowed in a single format operation",
                    STR_ARG(label));
    }
    return 0;
}

static void label_format_release(void *stage)
{
    struct label_formats *st = stage;
    for (size_t i = 0; i < st->n; i++)
        template_free(st->items[i].template);
}

static int label_format_compile(const struct stage *s, struct arena *a, void **ret,
                                struct error *err)
{
    struct label_formats *st = ARENA_NEW(a, struct label_formats);
    int r = check_names(s, err);
    if (r != 0)
        return r;
    st->items = ARENA_ARRAY(a, struct one_format, s->formats.n);
    for (; st->n < s->formats.n; st->n++) {
        const struct label_format *f = &s->formats.items[st->n];
        struct one_format *one = &st->items[st->n];
        one->label = f->label;
        if (f->is_rename) {
            one->from = f->value;
            continue;
        }
        r = template_parse(STR("label"), f->value, &template_funcs_loki, &one->template, err);
        if (r != 0) {
            error_prefix(err, "invalid template for label '%.*s': ", STR_ARG(f->label));
            label_format_release(st);
            return r;
        }
    }
    *ret = st;
    return 0;
}

static void *label_format_local_new(const void *stage, struct labels_builder *b)
{
    const struct label_formats *st = stage;
    struct label_format_local *l = mem_zalloc(sizeof *l);
    stage_template_init(&l->exec, b);
    l->ids = mem_array(st->n, sizeof *l->ids);
    l->from_ids = mem_array(st->n, sizeof *l->from_ids);
    for (size_t i = 0; i < st->n; i++) {
        l->ids[i] = labels_builder_id(b, st->items[i].label);
        if (st->items[i].template == NULL)
            l->from_ids[i] = labels_builder_id(b, st->items[i].from);
    }
    return l;
}

static void label_format_local_free(void *local)
{
    struct label_format_local *l = local;
    stage_template_deinit(&l->exec);
    mem_free(l->ids);
    mem_free(l->from_ids);
    mem_free(l);
}

static void make_label(const struct one_format *one, uint32_t id, struct label_format_local *l,
                       struct stage_line *line)
{
    str value;
    if (!l->exec.is_frozen)
        stage_template_freeze(&l->exec);
    if (stage_template_exec(&l->exec, one->template, line, &value))
        labels_builder_set(line->labels, id, arena_str(line->arena, value));
}

static bool label_format_run(const void *stage, void *local, struct stage_line *line)
{
    const struct label_formats *st = stage;
    struct label_format_local *l = local;
    stage_template_thaw(&l->exec);
    for (size_t i = 0; i < st->n; i++) {
        str value;
        if (st->items[i].template != NULL) {
            make_label(&st->items[i], l->ids[i], l, line);
        } else if (labels_builder_get(line->labels, l->from_ids[i], &value)) {
            labels_builder_set(line->labels, l->ids[i], value);
            labels_builder_drop(line->labels, l->from_ids[i]);
        }
    }
    return true;
}

static void label_format_reads(const void *stage, struct str_list *into)
{
    const struct label_formats *st = stage;
    for (size_t i = 0; i < st->n; i++) {
        if (st->items[i].template == NULL)
            str_list_add(into, st->items[i].from);
        else
            stage_template_reads(st->items[i].template, into);
    }
}

const struct stage_ops stage_label_format = {
    .name = "label_format",
    .compile = label_format_compile,
    .release = label_format_release,
    .local_new = label_format_local_new,
    .local_free = label_format_local_free,
    .run = label_format_run,
    .reads = label_format_reads,
};
