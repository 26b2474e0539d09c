#include "logql/stages/label_source.h"

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

static bool frozen_value(const struct label_source *s, uint32_t id, str *ret)
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
    struct label_source *s = user;
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
    struct label_source *s = user;
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

const struct template_source label_template_source = {.get = source_get, .at = source_at};

void label_source_freeze(struct label_source *s)
{
    size_t n;
    const struct label_view *views = labels_builder_list(s->labels, &n);
    s->views.len = 0;
    for (size_t i = 0; i < n; i++)
        VEC_PUSH(&s->views, views[i]);
    s->is_frozen = true;
}

void label_source_deinit(struct label_source *s)
{
    VEC_FREE(&s->views);
}
