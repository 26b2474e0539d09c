#include "promtail/stages/inspect.h"

#include <stdio.h>

#include "base/gofmt.h"
#include "base/goquote.h"
#include "base/gotime.h"

#define BLOCK_BYTES_MAX (64u << 20)

/* One change, as Promtail prints what Go's comparison of the two records found:
 *
 *   {stages.Entry}.Extracted["level"].(string):
 *   	-: info
 *   	+: warn
 *
 * `before` or `after` is without ptr if the thing was not there, or is not any more. */
static void print_change(struct buf *out, str path, str before, str after)
{
    if (before.ptr != NULL && after.ptr != NULL && str_eq(before, after))
        return;
    buf_printf(out, "\n{stages.Entry}%.*s:", STR_ARG(path));
    if (before.ptr != NULL)
        buf_printf(out, "\n\t-: %.*s", STR_ARG(before));
    if (after.ptr != NULL)
        buf_printf(out, "\n\t+: %.*s", STR_ARG(after));
}

/* --- extracted values --- */

/* The %v of a value; ptr NULL for one that is not there. */
static str text_of(const struct value *v, struct arena *a)
{
    str text = STR("<nil>");
    if (v == NULL)
        return (str){NULL, 0};
    if (v->kind != VALUE_NUM) {
        value_text(v, a, &text);
        return text;
    }
    struct buf b;
    buf_init(&b, 64);
    gofmt_float_v(&b, v->num);
    text = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return text;
}

/* Values of one type are compared as such, others as what may be anything. */
static const char *type_of(const struct value *before, const struct value *after)
{
    if (before == NULL || after == NULL || before->kind != after->kind)
        return "";
    switch (after->kind) {
    case VALUE_STR:
        return ".(string)";
    case VALUE_NUM:
        return ".(float64)";
    case VALUE_BOOL:
        return ".(bool)";
    case VALUE_NULL:
        break;
    }
    return "";
}

static void print_value(struct buf *out, str key, const struct value *before,
                        const struct value *after, struct arena *a)
{
    str path = arena_printf(a, ".Extracted[\"%.*s\"]%s", STR_ARG(key), type_of(before, after));
    print_change(out, path, text_of(before, a), text_of(after, a));
}

static void print_extracted(struct buf *out, const struct record *before,
                            const struct record *after, struct arena *a)
{
    struct label_list keys = {0}; /* of both, sorted; without values */
    for (size_t i = 0; i < before->extracted.n; i++)
        label_list_set(&keys, a, before->extracted.items[i].key, STR_EMPTY);
    for (size_t i = 0; i < after->extracted.n; i++)
        label_list_set(&keys, a, after->extracted.items[i].key, STR_EMPTY);
    label_list_sort(&keys);
    for (size_t i = 0; i < keys.n; i++)
        print_value(out, keys.items[i].name, extracted_get(before, keys.items[i].name),
                    extracted_get(after, keys.items[i].name), a);
}

/* --- labels and the rest --- */

/* {a="b", c="d"}: as Promtail's label sets print, which are compared as a whole. */
static str labels_of(const struct record *r, struct arena *a)
{
    struct label_list sorted;
    struct buf b;
    buf_init(&b, BLOCK_BYTES_MAX);
    label_list_copy(&sorted, a, &r->labels);
    label_list_sort(&sorted);
    buf_append_char(&b, '{');
    for (size_t i = 0; i < sorted.n; i++) {
        if (i > 0)
            buf_append_c(&b, ", ");
        buf_append_str(&b, sorted.items[i].name);
        buf_append_char(&b, '=');
        goquote(&b, sorted.items[i].value);
    }
    buf_append_char(&b, '}');
    str text = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return text;
}

static str time_of(const struct record *r, struct arena *a)
{
    struct gotime t = gotime_from_ns(r->ts_ns, NULL);
    struct buf b;
    if (r->ts_offset_s != 0)
        t = gotime_in_fixed(t, STR_EMPTY, r->ts_offset_s);
    buf_init(&b, 128);
    gotime_append(&b, &t);
    str text = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return text;
}

static str meta_of(const struct record *r, struct arena *a)
{
    str text = STR("[");
    for (size_t i = 0; i < r->meta.n; i++)
        text = arena_printf(a, "%.*s%s{%.*s %.*s}", STR_ARG(text), i > 0 ? " " : "",
                            STR_ARG(r->meta.items[i].name), STR_ARG(r->meta.items[i].value));
    return arena_printf(a, "%.*s]", STR_ARG(text));
}

void inspect_changes(const struct record *before, const struct record *after, struct buf *out)
{
    struct arena a;
    arena_init(&a, SIZE_MAX);
    print_extracted(out, before, after, &a);
    print_change(out, STR(".Entry.Labels"), labels_of(before, &a), labels_of(after, &a));
    if (before->ts_ns != after->ts_ns)
        print_change(out, STR(".Entry.Entry.Timestamp"), time_of(before, &a), time_of(after, &a));
    print_change(out, STR(".Entry.Entry.Line"), before->line, after->line);
    print_change(out, STR(".Entry.Entry.StructuredMetadata"), meta_of(before, &a),
                 meta_of(after, &a));
    arena_deinit(&a);
}

bool inspect_process(struct stage *s, struct record *r)
{
    struct arena a;
    struct buf out;
    struct record before;
    arena_init(&a, SIZE_MAX);
    buf_init(&out, BLOCK_BYTES_MAX);
    record_copy(&before, &a, r);
    bool goes_on = s->ops->process(s, r);
    if (goes_on)
        inspect_changes(&before, r, &out);
    if (out.len == 0)
        buf_append_c(&out, "none");
    fprintf(stderr, "[inspect: %s stage]: %.*s\n", s->ops->name, STR_ARG(buf_str(&out)));
    buf_deinit(&out);
    arena_deinit(&a);
    return goes_on;
}
