#include "logql/stages/labels_builder.h"

void labels_builder_init(struct labels_builder *b, const struct parser_hints *hints)
{
    *b = (struct labels_builder){
        .required = hints->required,
        .n_required = (uint32_t)hints->n_required,
        .is_no_labels = hints->is_no_labels,
        .is_preserve_error = hints->is_preserve_error,
    };
    names_init(&b->names);
    labels_builder_reset(b);
}

void labels_builder_deinit(struct labels_builder *b)
{
    names_deinit(&b->names);
    mem_free(b->slots);
    VEC_FREE(&b->base);
    VEC_FREE(&b->touched);
    VEC_FREE(&b->dropped);
    VEC_FREE(&b->views);
}

static void begin_nothing(struct labels_builder *b)
{
    b->touched.len = b->dropped.len = 0;
    b->error = b->error_details = STR_EMPTY;
    b->is_changed = false;
    b->n_found = 0;
}

void labels_builder_reset(struct labels_builder *b)
{
    names_reset(&b->names);
    if (b->n_slots > 0)
        memset(b->slots, 0, b->n_slots * sizeof *b->slots);
    b->line = b->stream = 1; /* 0: a slot of no line and no stream */
    b->base.len = 0;
    b->is_full = false;
    begin_nothing(b);
    b->id_error = labels_builder_id(b, LABEL_ERROR);
    b->id_error_details = labels_builder_id(b, LABEL_ERROR_DETAILS);
    b->id_preserve_error = labels_builder_id(b, LABEL_PRESERVE_ERROR);
    for (uint32_t i = 0; i < b->n_required; i++)
        b->slots[labels_builder_id(b, b->required[i])].is_required = true;
}

uint32_t labels_builder_id(struct labels_builder *b, str name)
{
    uint32_t id = names_id(&b->names, name);
    if (id == NAME_NONE) {
        b->is_full = true;
        return NAMES_MAX - 1; /* the last one: somebody's, but there is a place for it */
    }
    if (id >= b->n_slots) {
        uint32_t n = MAX(b->n_slots * 2, 64u);
        b->slots = mem_realloc(b->slots, n * sizeof *b->slots);
        memset(b->slots + b->n_slots, 0, (n - b->n_slots) * sizeof *b->slots);
        b->n_slots = n;
    }
    return id;
}

uint32_t labels_builder_suffixed(struct labels_builder *b, uint32_t id)
{
    if (b->slots[id].suffixed == 0) { /* 0 is __error__, which is no suffixed name */
        str name = names_text(&b->names, id);
        char *both = mem_alloc(name.len + EXTRACTED_SUFFIX.len);
        memcpy(both, name.ptr, name.len);
        memcpy(both + name.len, EXTRACTED_SUFFIX.ptr, EXTRACTED_SUFFIX.len);
        uint32_t suffixed = labels_builder_id(b, str_make(both, name.len + EXTRACTED_SUFFIX.len));
        mem_free(both);
        b->slots[id].suffixed = suffixed;
    }
    return b->slots[id].suffixed;
}

/* Serial numbers wrap after four thousand million lines: then all marks are wiped. */
static void wipe_marks(struct labels_builder *b)
{
    for (uint32_t i = 0; i < b->n_slots; i++)
        b->slots[i].line = b->slots[i].extracted = b->slots[i].stream = 0;
    for (size_t i = 0; i < b->base.len; i++)
        b->slots[b->base.items[i]].stream = 1;
    b->line = b->stream = 1;
}

void labels_builder_stream(struct labels_builder *b, const struct labels *stream)
{
    if (b->stream == UINT32_MAX)
        wipe_marks(b);
    b->stream++;
    b->base.len = 0;
    for (size_t i = 0; i < stream->n; i++) {
        uint32_t id = labels_builder_id(b, stream->items[i].name);
        b->slots[id].stream = b->stream;
        b->slots[id].base = stream->items[i].value;
        VEC_PUSH(&b->base, id);
    }
    labels_builder_line(b);
}

void labels_builder_line(struct labels_builder *b)
{
    if (b->line == UINT32_MAX)
        wipe_marks(b);
    b->line++;
    begin_nothing(b);
}

static struct label_slot *touch(struct labels_builder *b, uint32_t id)
{
    struct label_slot *s = &b->slots[id];
    if (s->line != b->line) {
        s->line = b->line;
        s->is_live = false;
        VEC_PUSH(&b->touched, id);
    }
    b->is_changed = true;
    return s;
}

void labels_builder_add_meta(struct labels_builder *b, uint32_t id, str value)
{
    if (labels_builder_is_base(b, id))
        id = labels_builder_suffixed(b, id);
    if (id == b->id_error) {
        b->error = value;
        return;
    }
    if (id == b->id_error_details) {
        b->error_details = value;
        return;
    }
    struct label_slot *s = touch(b, id);
    s->value = value;
    s->origin = FROM_META;
    s->is_live = true;
}

bool labels_builder_get(const struct labels_builder *b, uint32_t id, str *ret_value)
{
    const struct label_slot *s = &b->slots[id];
    if (s->line == b->line) {
        *ret_value = s->value;
        return s->is_live;
    }
    *ret_value = s->base;
    return s->stream == b->stream;
}

void labels_builder_set(struct labels_builder *b, uint32_t id, str value)
{
    struct label_slot *s = touch(b, id);
    s->value = value;
    s->is_live = true;
    s->origin = FROM_PARSED;
    if (s->extracted != b->line) {
        s->extracted = b->line;
        b->n_found += s->is_required;
    }
}

void labels_builder_drop(struct labels_builder *b, uint32_t id)
{
    touch(b, id)->is_live = false;
    VEC_PUSH(&b->dropped, id);
}

void labels_builder_fail(struct labels_builder *b, str error, str details)
{
    b->error = error;
    if (details.ptr != NULL)
        b->error_details = details;
    if (b->is_preserve_error)
        labels_builder_set(b, b->id_preserve_error, STR("true"));
}

const struct label_view *labels_builder_list(struct labels_builder *b, size_t *ret_n)
{
    b->views.len = 0;
    for (size_t i = 0; i < b->base.len; i++) {
        uint32_t id = b->base.items[i];
        if (b->slots[id].line != b->line)
            VEC_PUSH(&b->views, (struct label_view){id, FROM_STREAM, b->slots[id].base});
    }
    for (size_t i = 0; i < b->touched.len; i++) {
        uint32_t id = b->touched.items[i];
        const struct label_slot *s = &b->slots[id];
        bool is_error = (id == b->id_error && b->error.len > 0) ||
                        (id == b->id_error_details && b->error_details.len > 0);
        if (s->is_live && !is_error)
            VEC_PUSH(&b->views, (struct label_view){id, s->origin, s->value});
    }
    if (b->error.len > 0)
        VEC_PUSH(&b->views, (struct label_view){b->id_error, FROM_PARSED, b->error});
    if (b->error_details.len > 0 && (b->is_changed || b->error.len > 0))
        VEC_PUSH(&b->views,
                 (struct label_view){b->id_error_details, FROM_PARSED, b->error_details});
    *ret_n = b->views.len;
    return b->views.items;
}

bool labels_builder_is_prefix_wanted(const struct labels_builder *b, str prefix)
{
    for (uint32_t i = 0; i < b->n_required; i++)
        if (str_has_prefix(b->required[i], prefix))
            return true;
    return b->n_required == 0;
}
