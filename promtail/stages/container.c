#include "promtail/stages/container.h"

#include "base/rfc3339.h"

static bool text_of(const struct record *r, str key, str *ret)
{
    const struct value *v = extracted_get(r, key);
    return v != NULL && value_text(v, r->arena, ret);
}

void container_apply(struct fudge *f, struct record *r, const struct container_keys *keys)
{
    str text;
    if (text_of(r, keys->stream, &text) && str_is_utf8(text))
        label_list_set(&r->labels, r->arena, STR("stream"), text);
    if (text_of(r, keys->time, &text) && rfc3339_parse(text, &r->ts_ns))
        fudge_remember(f, r);
    else
        fudge_apply(f, r);
    if (text_of(r, keys->line, &text))
        r->line = text;
}
