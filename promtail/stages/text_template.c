#include "promtail/stages/text_template.h"

#include "base/mem.h"
#include "base/tzone.h"

#define SCRATCH_BYTES_MAX (64u << 20)
#define OUTPUT_BYTES_MAX  (16u << 20)

/* The two names that stand for something else than an extracted value. */
static bool get_special(const struct text_template *t, str name, struct tval *ret)
{
    str found = {NULL, 0};
    if (str_eq(name, STR("Entry")))
        found = t->entry;
    else if (str_eq(name, STR("Value")))
        found = t->value;
    *ret = tval_str(found);
    return found.ptr != NULL;
}

static bool get(void *user, str name, struct tval *ret)
{
    const struct text_template *t = user;
    str text;
    if (get_special(t, name, ret))
        return true;
    const struct value *v = extracted_get(t->record, name);
    if (v == NULL || !value_text(v, t->record->arena, &text))
        return false;
    *ret = tval_str(text);
    return true;
}

/* Null values are not there for templates. */
static bool at(void *user, size_t i, str *ret_name, struct tval *ret)
{
    static const str special[] = {STR("Value"), STR("Entry")};
    struct text_template *t = user;
    for (size_t k = 0; k < ARRAY_LEN(special); k++)
        if (get_special(t, special[k], ret) && i-- == 0) {
            *ret_name = special[k];
            return true;
        }
    for (size_t k = 0; k < t->record->extracted.n; k++) {
        const struct extracted_item *e = &t->record->extracted.items[k];
        str text;
        if (get_special(t, e->key, ret) || !value_text(&e->value, t->record->arena, &text) ||
            i-- > 0)
            continue;
        *ret_name = e->key;
        *ret = tval_str(text);
        return true;
    }
    return false;
}

int text_template_init(struct text_template *t, str text, struct error *err)
{
    static const struct template_source source = {.get = get, .at = at};
    *t = (struct text_template){0};
    int rc =
        template_parse(STR("pipeline_template"), text, &template_funcs_promtail, &t->parsed, err);
    if (rc != 0)
        return rc;
    template_ctx_init(&t->ctx, SCRATCH_BYTES_MAX);
    tzone_load(STR("Local"), &t->local, NULL); /* UTC if there is none */
    t->ctx.source = &source;
    t->ctx.user = t;
    t->ctx.local = t->local;
    buf_init(&t->out, OUTPUT_BYTES_MAX);
    return 0;
}

void text_template_deinit(struct text_template *t)
{
    if (t->parsed == NULL)
        return;
    template_free(t->parsed);
    template_ctx_deinit(&t->ctx);
    tzone_free(t->local);
    buf_deinit(&t->out);
    t->parsed = NULL;
}

bool text_template_exec(struct text_template *t, const struct record *r, str value, str entry,
                        str *ret)
{
    t->record = r;
    t->value = value;
    t->entry = entry;
    buf_reset(&t->out);
    int rc = template_exec(t->parsed, &t->ctx, &t->out, NULL);
    template_ctx_reset(&t->ctx);
    *ret = buf_str(&t->out);
    return rc == 0 && !t->out.failed;
}
