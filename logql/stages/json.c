/* logql/stages/json.c - | json: every member of the object becomes a label; nested names are joined
 * with '_', arrays and null are passed over.
 *
 * The first of equal names stays; a fault in the text sets __error__ and leaves the labels found
 * before it.  When the query names the labels it wants, the walk ends as soon as it has them all,
 * and what stands behind is never looked at. */
#include "logql/stages/json_lax.h"
#include "logql/stages/label_key.h"
#include "logql/stages/line_forms.h"
#include "logql/stages/stage.h"

/* Objects nested deeper than this are passed over: the walk reads each level's text anew. */
#define JSON_STAGE_DEPTH_MAX 128

struct json_local {
    struct key_cache *keys;
    struct line_forms *forms;
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
    l->forms = line_forms_new(&(struct forms_params){0});
    buf_init(&l->prefix, BUF_NO_LIMIT);
    return l;
}

static void json_local_free(void *local)
{
    struct json_local *l = local;
    key_cache_free(l->keys);
    line_forms_free(l->forms);
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

static bool read_line(struct json_local *l, struct stage_line *line)
{
    struct json_walk w = {.local = l, .line = line, .labels = line->labels};
    if (byte_index_begin(&l->quotes, BYTE_INDEX_QUOTES, line->text))
        w.quotes = &l->quotes;
    l->prefix.len = 0;
    key_cache_begin_line(l->keys);
    walk_object(&w, line->text, 0, 0);
    if (w.error != NULL)
        labels_builder_fail(line->labels, ERROR_JSON, str_c(w.error));
    return !w.is_dropped;
}

/* ---- learning: the same walk, through to the line's end ---- */

static const enum form_kind form_kinds[] = {
    [LAX_STRING] = FORM_STRING, [LAX_NUMBER] = FORM_NUMBER, [LAX_OBJECT] = FORM_OBJECT,
    [LAX_ARRAY] = FORM_ARRAY,   [LAX_BOOL] = FORM_BOOL,
};

/* Tells the forms of an object's members; false: there is a fault. */
static bool learn_object(struct json_local *l, struct stage_line *line, struct forms_lesson *lesson,
                         str text, uint32_t parent)
{
    struct json_lax_object o = json_lax_object(text, NULL);
    struct json_lax_value v;
    str key;
    while (!lesson->is_over && json_lax_next(&o, line->arena, &key, &v)) {
        if (v.kind == LAX_NULL) /* text like any other */
            continue;
        struct key_slot slot = {.id = NAME_NONE};
        if (v.kind != LAX_ARRAY)
            slot = *key_cache_find(l->keys, line->labels, parent, buf_str(&l->prefix), key);
        if (v.kind != LAX_OBJECT || !slot.is_prefix_wanted ||
            lesson->depth >= JSON_STAGE_DEPTH_MAX) {
            uint32_t id = v.kind == LAX_OBJECT ? NAME_NONE : slot.id;
            forms_lesson_value(lesson, v.text, form_kinds[v.kind], id);
            continue;
        }
        size_t before = l->prefix.len;
        uint32_t context = forms_lesson_enter(lesson, key);
        label_key_join(&l->prefix, key);
        bool is_whole = learn_object(l, line, lesson, v.text, slot.serial);
        l->prefix.len = before;
        forms_lesson_leave(lesson, context);
        if (!is_whole)
            return false;
    }
    if (lesson->depth == 0 && o.error == NULL && !lesson->is_over) {
        size_t begin = (size_t)(text.ptr - line->text.ptr);
        forms_lesson_end(lesson, begin + o.at + 1, FORM_END);
    }
    return o.error == NULL;
}

static void learn_line(struct json_local *l, struct stage_line *line)
{
    struct forms_lesson lesson = forms_lesson_begin(l->forms, line->text);
    l->prefix.len = 0;
    key_cache_begin_line(l->keys);
    learn_object(l, line, &lesson, line->text, 0);
}

static bool json_run(const void *stage, void *local, struct stage_line *line)
{
    (void)stage;
    struct json_local *l = local;
    if (labels_builder_wants_none(line->labels))
        return true;
    enum forms_result r = line_forms_read(l->forms, line);
    if (r == FORMS_DONE || r == FORMS_DROPPED)
        return r == FORMS_DONE;
    bool passes = read_line(l, line);
    if (r == FORMS_UNKNOWN)
        learn_line(l, line);
    return passes;
}

const struct stage_ops stage_json = {
    .name = "json",
    .runs_early_filters = true,
    .compile = json_compile,
    .local_new = json_local_new,
    .local_free = json_local_free,
    .run = json_run,
};
