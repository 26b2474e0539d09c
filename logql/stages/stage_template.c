#include "logql/stages/stage_template.h"

/* Bytes a template may use for one line besides its output, and its output. */
#define ARENA_BYTES_MAX  (16u << 20)
#define OUTPUT_BYTES_MAX (8u << 20)

/* --- the labels as data of a template --- */

/* The errors are not among the labels as such. */
static bool current_value(const struct labels_builder *b, uint32_t id, str *ret)
{
    if (id == b->id_error && b->error.len > 0)
        *ret = b->error;
    else if (id == b->id_error_details && b->error_details.len > 0 &&
             (b->is_changed || b->error.len > 0))
        *ret = b->error_details;
    else
        return labels_builder_get(b, id, ret);
    return true;
}

static bool frozen_value(const struct stage_template *s, uint32_t id, str *ret)
{
    for (size_t i = 0; i < s->views.len; i++) {
        if (s->views.items[i].id == id) {
            *ret = s->views.items[i].value;
            return true;
        }
    }
    return false;
}

static bool source_get(void *user, str name, struct tval *ret)
{
    struct stage_template *s = user;
    uint32_t id = names_find(&s->labels->names, name);
    str value;
    if (id == NAME_NONE ||
        !(s->is_frozen ? frozen_value(s, id, &value) : current_value(s->labels, id, &value)))
        return false;
    *ret = tval_str(value);
    return true;
}

static bool source_at(void *user, size_t i, str *ret_name, struct tval *ret)
{
    struct stage_template *s = user;
    size_t n = s->views.len;
    const struct label_view *views = s->views.items;
    if (!s->is_frozen)
        views = labels_builder_list(s->labels, &n);
    if (i >= n)
        return false;
    *ret_name = names_text(&s->labels->names, views[i].id);
    *ret = tval_str(views[i].value);
    return true;
}

static const struct template_source label_source = {.get = source_get, .at = source_at};

/* --- executing --- */

void stage_template_init(struct stage_template *s, struct labels_builder *labels)
{
    *s = (struct stage_template){.labels = labels};
    template_ctx_init(&s->ctx, ARENA_BYTES_MAX);
    s->ctx.source = &label_source;
    s->ctx.user = s;
    s->ctx.missing_is_empty = true;
    buf_init(&s->out, OUTPUT_BYTES_MAX);
}

void stage_template_deinit(struct stage_template *s)
{
    template_ctx_deinit(&s->ctx);
    VEC_FREE(&s->views);
    buf_deinit(&s->out);
}

void stage_template_freeze(struct stage_template *s)
{
    size_t n;
    const struct label_view *views = labels_builder_list(s->labels, &n);
    s->views.len = 0;
    for (size_t i = 0; i < n; i++)
        VEC_PUSH(&s->views, views[i]);
    s->is_frozen = true;
}

void stage_template_thaw(struct stage_template *s)
{
    s->is_frozen = false;
}

bool stage_template_exec(struct stage_template *s, const struct template *t,
                         struct stage_line *line, str *ret)
{
    struct error err;
    error_clear(&err);
    buf_reset(&s->out);
    template_ctx_reset(&s->ctx);
    s->ctx.line = line->text;
    s->ctx.ts_ns = line->ts_ns;
    if (template_exec(t, &s->ctx, &s->out, &err) != 0) {
        line->labels->error = ERROR_TEMPLATE;
        line->labels->error_details = arena_str(line->arena, str_c(err.text));
        return false;
    }
    *ret = buf_str(&s->out);
    return true;
}

void stage_template_reads(const struct template *t, struct str_list *into)
{
    const str *names;
    size_t n;
    template_needed_fields(t, &names, &n);
    for (size_t i = 0; i < n; i++)
        str_list_add(into, names[i]);
}
