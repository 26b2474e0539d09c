/* logql/stages/unpack.c - | unpack: undoes Promtail's pack stage.
 *
 * The line is an object of strings; _entry is the line it was, the other members are labels.
 * Without an _entry nothing happens. */
#include "base/vec.h"
#include "logql/stages/json_lax.h"
#include "logql/stages/label_key.h"
#include "logql/stages/stage.h"

struct unpacked {
    uint32_t id;
    str value;
};

struct unpack_local {
    struct key_cache *keys;
    VEC(struct unpacked) labels;
};

static int unpack_compile(const struct stage *s, struct arena *a, void **ret, struct error *err)
{
    (void)s, (void)a, (void)err;
    *ret = NULL;
    return 0;
}

static void *unpack_local_new(const void *stage, struct labels_builder *b)
{
    (void)stage, (void)b;
    struct unpack_local *l = mem_zalloc(sizeof *l);
    l->keys = key_cache_new();
    return l;
}

static void unpack_local_free(void *local)
{
    struct unpack_local *l = local;
    key_cache_free(l->keys);
    VEC_FREE(&l->labels);
    mem_free(l);
}

/* Reads all members; false and *ret_error if the text is no such object. */
static bool read_members(struct unpack_local *l, struct stage_line *line, str *ret_entry,
                         json_lax_error *ret_error)
{
    struct json_lax_object o = json_lax_object(line->text, NULL);
    struct json_lax_value v;
    str key;
    l->labels.len = 0;
    key_cache_begin_line(l->keys);
    while (json_lax_next(&o, line->arena, &key, &v)) {
        if (v.kind != LAX_STRING)
            continue;
        if (str_eq(key, STR("_entry"))) {
            *ret_entry = json_lax_unescape(v.text, line->arena);
            if (ret_entry->ptr == NULL) {
                *ret_error = json_lax_bad_escape;
                return false;
            }
            continue;
        }
        uint32_t id = label_key_target(
            line->labels, key_cache_find(l->keys, line->labels, 0, STR_EMPTY, key)->id);
        if (id != NAME_NONE)
            VEC_PUSH(&l->labels, (struct unpacked){id, json_lax_label_value(v.text, line->arena)});
    }
    *ret_error = o.error;
    return o.error == NULL;
}

static bool unpack_run(const void *stage, void *local, struct stage_line *line)
{
    (void)stage;
    struct unpack_local *l = local;
    if (line->text.len == 0 || labels_builder_wants_none(line->labels))
        return true;
    str entry = {NULL, 0};
    json_lax_error error;
    if (line->text.ptr[0] != '{') {
        labels_builder_fail(line->labels, ERROR_JSON,
                            STR("expecting json object(6), but it is not"));
        return true;
    }
    if (!read_members(l, line, &entry, &error)) {
        labels_builder_fail(line->labels, ERROR_JSON, str_c(error));
        return true;
    }
    if (entry.ptr == NULL)
        return true;
    for (size_t i = 0; i < l->labels.len; i++)
        if (!stage_set(line, l->labels.items[i].id, l->labels.items[i].value))
            return false;
    line->text = entry;
    return true;
}

const struct stage_ops stage_unpack = {
    .name = "unpack",
    .runs_early_filters = true,
    .compile = unpack_compile,
    .local_new = unpack_local_new,
    .local_free = unpack_local_free,
    .run = unpack_run,
};
