/* logql/stages/json.c - | json: every member of the object becomes a label; nested names are joined
 * with '_', arrays and null are passed over.
 *
 * The first of equal names stays; a fault in the text sets __error__ and leaves the labels found
 * before it.  When the query names the labels it wants, the walk ends as soon as it has them all,
 * and what stands behind is never looked at. */
#include "logql/stages/json_lax.h"
#include "logql/stages/label_key.h"
#include "logql/stages/stage.h"

/* Objects nested deeper than this are passed over: the walk reads each level's text anew. */
#define JSON_STAGE_DEPTH_MAX 128

struct json_local {
    struct key_cache *keys;
    struct buf prefix; /* the names of the objects around, joined */
    struct byte_index quotes;
};

struct json_walk {
    struct json_local *local;
    struct stage_line *line;
    struct labels_builder *labels;
    struct byte_index *quotes; /* NULL: the line has none */
    json_lax_error error;
    bool is_dropped; /* by a filter on a label just set */
};

static int json_compile(const struct stage *s, struct arena *a, void **ret, struct error *err)
{
    (void)s, (void)a, (void)err;
    *ret = NULL;
    return 0;
}

static void *json_local_new(const void *stage, struct labels_builder *b)
{
    (void)stage, (void)b;
    struct json_local *l = mem_zalloc(sizeof *l);
    l->keys = key_cache_new();
    buf_init(&l->prefix, BUF_NO_LIMIT);
    return l;
}

static void json_local_free(void *local)
{
    struct json_local *l = local;
    key_cache_free(l->keys);
    buf_deinit(&l->prefix);
    mem_free(l);
}

/* False: the line is dropped. */
static bool set_member(struct json_walk *w, uint32_t name, const struct json_lax_value *v)
{
    uint32_t id = label_key_target(w->labels, name);
    if (id == NAME_NONE)
        return true;
    str value = v->kind == LAX_STRING ? json_lax_label_value(v->text, w->line->arena) : v->text;
    return stage_set(w->line, id, value);
}

static bool walk_object(struct json_walk *w, str text, uint32_t parent, unsigned depth);

/* The members of an object in the object; false: stop. */
static bool walk_inner(struct json_walk *w, str key, const struct key_slot *slot, str text,
                       unsigned depth)
{
    if (!slot->is_prefix_wanted || depth >= JSON_STAGE_DEPTH_MAX)
        return true;
    size_t before = w->local->prefix.len;
    label_key_join(&w->local->prefix, key);
    bool goes_on = walk_object(w, text, slot->serial, depth + 1);
    w->local->prefix.len = before;
    return goes_on;
}

/* Walks one object; false: stop. */
static bool walk_object(struct json_walk *w, str text, uint32_t parent, unsigned depth)
{
    struct json_lax_object o = json_lax_object(text, w->quotes);
    struct json_lax_value v;
    str key;
    while (json_lax_next(&o, w->line->arena, &key, &v)) {
        if (v.kind == LAX_ARRAY || v.kind == LAX_NULL) {
            if (labels_builder_has_all(w->labels))
                return false;
            continue;
        }
        const struct key_slot *slot =
            key_cache_find(w->local->keys, w->labels, parent, buf_str(&w->local->prefix), key);
        if (v.kind == LAX_OBJECT) {
            if (!walk_inner(w, key, slot, v.text, depth))
                return false;
            continue;
        }
        w->is_dropped = !set_member(w, slot->id, &v);
        if (w->is_dropped || labels_builder_has_all(w->labels))
            return false;
    }
    w->error = o.error;
    return o.error == NULL;
}

static bool json_run(const void *stage, void *local, struct stage_line *line)
{
    (void)stage;
    struct labels_builder *labels = line->labels;
    if (labels_builder_wants_none(labels))
        return true;
    struct json_walk w = {.local = local, .line = line, .labels = labels};
    if (byte_index_begin(&w.local->quotes, BYTE_INDEX_QUOTES, line->text))
        w.quotes = &w.local->quotes;
    w.local->prefix.len = 0;
    key_cache_begin_line(w.local->keys);
    walk_object(&w, line->text, 0, 0);
    if (w.error != NULL)
        labels_builder_fail(labels, ERROR_JSON, str_c(w.error));
    return !w.is_dropped;
}

const struct stage_ops stage_json = {
    .name = "json",
    .runs_early_filters = true,
    .compile = json_compile,
    .local_new = json_local_new,
    .local_free = json_local_free,
    .run = json_run,
};
