/* logql/stages/drop_keep.c - | drop a, b="x" and | keep a, b="x": which labels stay.
 *
 * __error__ and __error_details__ can be dropped, and are never lost by keep. */
#include "logql/stages/stage.h"

/* The local of both: the numbers of the names. */
static void *choice_local_new(const void *stage, struct labels_builder *b)
{
    const struct stage *st = stage;
    uint32_t *ids = mem_array(st->labels.n, sizeof *ids);
    for (size_t i = 0; i < st->labels.n; i++)
        ids[i] = labels_builder_id(b, st->labels.items[i].name);
    return ids;
}

static int choice_compile(const struct stage *s, struct arena *a, void **ret, struct error *err)
{
    (void)a, (void)err;
    *ret = (void *)(uintptr_t)s; /* the parser has compiled the matchers */
    return 0;
}

static bool is_chosen(const struct named_matcher *m, str value)
{
    return m->matcher == NULL || matcher_is_match(m->matcher, value);
}

static bool drop_run(const void *stage, void *local, struct stage_line *line)
{
    const struct stage *st = stage;
    const uint32_t *ids = local;
    struct labels_builder *b = line->labels;
    for (size_t i = 0; i < st->labels.n; i++) {
        const struct named_matcher *m = &st->labels.items[i];
        str value = STR_EMPTY;
        if (ids[i] == b->id_error || ids[i] == b->id_error_details) {
            str *error = ids[i] == b->id_error ? &b->error : &b->error_details;
            if (is_chosen(m, *error))
                *error = STR_EMPTY;
            continue;
        }
        bool is_there = labels_builder_get(b, ids[i], &value);
        /* A matcher sees an absent label as an empty one, and then "drops" it all the same. */
        if (m->matcher == NULL ? is_there : is_chosen(m, is_there ? value : STR_EMPTY))
            labels_builder_drop(b, ids[i]);
    }
    return true;
}

static bool is_kept(const struct stage *st, const uint32_t *ids, const struct label_view *v)
{
    for (size_t i = 0; i < st->labels.n; i++)
        if (ids[i] == v->id && is_chosen(&st->labels.items[i], v->value))
            return true;
    return false;
}

static bool keep_run(const void *stage, void *local, struct stage_line *line)
{
    struct labels_builder *b = line->labels;
    size_t n;
    const struct label_view *views = labels_builder_list(b, &n);
    for (size_t i = 0; i < n; i++) {
        bool is_special = views[i].id == b->id_error || views[i].id == b->id_error_details ||
                          views[i].id == b->id_preserve_error;
        if (!is_special && !is_kept(stage, local, &views[i]))
            labels_builder_drop(b, views[i].id);
    }
    return true;
}

const struct stage_ops stage_drop = {
    .name = "drop",
    .compile = choice_compile,
    .local_new = choice_local_new,
    .local_free = mem_free,
    .run = drop_run,
};

const struct stage_ops stage_keep = {
    .name = "keep",
    .compile = choice_compile,
    .local_new = choice_local_new,
    .local_free = mem_free,
    .run = keep_run,
};
