/* logql/stages/json_expr.c - | json city="user.address.city", role="roles[0]": one label for each
 * expression, empty if the path leads nowhere.
 *
 * Unlike plain json the labels replace what earlier stages have set, and the text is only looked
 * at as far as it takes to find all paths. */
#include "logql/jsonexpr.h"
#include "logql/stages/json_path.h"
#include "logql/stages/stage.h"

struct json_expr {
    size_t n;
    const str *labels;
    struct json_path *paths;
};

static void copy_path(const struct jsonexpr *e, struct arena *a, struct json_path *ret)
{
    struct json_path_part *parts = ARENA_ARRAY(a, struct json_path_part, e->n);
    for (size_t i = 0; i < e->n; i++) {
        parts[i].is_index = e->steps[i].is_index;
        parts[i].index = e->steps[i].index;
        parts[i].text = e->steps[i].is_index
                            ? arena_printf(a, "[%lld]", (long long)e->steps[i].index)
                            : e->steps[i].key;
    }
    *ret = (struct json_path){parts, e->n};
}

static int json_expr_compile(const struct stage *s, struct arena *a, void **ret, struct error *err)
{
    struct json_expr *st = ARENA_NEW(a, struct json_expr);
    str *labels = ARENA_ARRAY(a, str, s->extract.n);
    st->n = s->extract.n;
    st->labels = labels;
    st->paths = ARENA_ARRAY(a, struct json_path, st->n);
    for (size_t i = 0; i < st->n; i++) {
        const struct extraction *x = &s->extract.items[i];
        struct jsonexpr e;
        if (jsonexpr_parse(x->expression, a, &e, err) != 0) {
            error_prefix(err, "cannot parse expression [%.*s]: ", STR_ARG(x->expression));
            return E_PARSE;
        }
        if (!label_name_is_valid(x->label))
            return error_set(err, E_PARSE, "invalid extracted label name '%.*s'",
                             STR_ARG(x->label));
        labels[i] = x->label;
        copy_path(&e, a, &st->paths[i]);
    }
    *ret = st;
    return 0;
}

/* The local is the numbers of the labels. */
static void *json_expr_local_new(const void *stage, struct labels_builder *b)
{
    const struct json_expr *st = stage;
    uint32_t *ids = mem_array(st->n, sizeof *ids);
    for (size_t i = 0; i < st->n; i++)
        ids[i] = labels_builder_id(b, st->labels[i]);
    return ids;
}

struct find {
    const uint32_t *ids;
    struct stage_line *line;
    size_t n_found;
};

static void found(void *arg, size_t path, const struct json_lax_value *v, json_lax_error error)
{
    struct find *f = arg;
    struct labels_builder *labels = f->line->labels;
    if (error != NULL) {
        labels_builder_fail(labels, ERROR_JSON, str_c(error));
        return;
    }
    uint32_t id = f->ids[path];
    if (labels_builder_is_base(labels, id))
        id = labels_builder_suffixed(labels, id);
    str value = v->kind == LAX_NULL     ? STR_EMPTY
                : v->kind == LAX_OBJECT ? v->text
                                        : json_lax_label_value(v->text, f->line->arena);
    labels_builder_set(labels, id, value);
    f->n_found++;
}

static bool json_expr_run(const void *stage, void *local, struct stage_line *line)
{
    const struct json_expr *st = stage;
    const uint32_t *ids = local;
    struct labels_builder *labels = line->labels;
    if (line->text.len == 0 || labels_builder_wants_none(labels))
        return true;
    if (memchr("\"{[", line->text.ptr[0], 3) == NULL) {
        labels_builder_fail(labels, ERROR_JSON, str_make(NULL, 0));
        return true;
    }
    struct find f = {ids, line, 0};
    json_path_find(line->text, st->paths, st->n, line->arena, found, &f);
    str ignored;
    for (size_t i = 0; i < st->n && f.n_found < st->n; i++)
        if (!labels_builder_get(labels, ids[i], &ignored))
            labels_builder_set(labels, ids[i], STR_EMPTY);
    return true;
}

const struct stage_ops stage_json_expr = {
    .name = "json",
    .compile = json_expr_compile,
    .local_new = json_expr_local_new,
    .local_free = mem_free,
    .run = json_expr_run,
};
