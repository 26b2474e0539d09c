/* logql/stages/logfmt.c - | logfmt: every key=value pair of the line becomes a label.
 *
 * The first of equal keys stays.  Without --strict faults are passed over without a word; with it
 * the first one ends the scan and sets __error__.  Empty values only count with --keep-empty. */
#include "logql/stages/json_lax.h"
#include "logql/stages/label_key.h"
#include "logql/stages/line_forms.h"
#include "logql/stages/logfmt_scan.h"
#include "logql/stages/stage.h"

static int logfmt_compile(const struct stage *s, struct arena *a, void **ret, struct error *err)
{
    (void)a, (void)err;
    *ret = (void *)(uintptr_t)s; /* the flags are all there is */
    return 0;
}

struct logfmt_local {
    struct key_cache *keys;
    struct line_forms *forms;
    struct byte_index index;
};

static void *logfmt_local_new(const void *stage, struct labels_builder *b)
{
    (void)b;
    const struct stage *st = stage;
    struct logfmt_local *l = mem_zalloc(sizeof *l);
    l->keys = key_cache_new();
    l->forms = line_forms_new(&(struct forms_params){.skips_empty = !st->extract.is_keep_empty,
                                                     .is_strict = st->extract.is_strict});
    return l;
}

static void logfmt_local_free(void *local)
{
    struct logfmt_local *l = local;
    key_cache_free(l->keys);
    line_forms_free(l->forms);
    mem_free(l);
}

/* Tells the forms of a line up to its first fault. */
static void learn_line(const struct stage *st, struct logfmt_local *l, struct stage_line *line)
{
    str text = line->text;
    struct logfmt_scan scan = logfmt_scan(text);
    struct forms_lesson lesson = forms_lesson_begin(l->forms, text);
    key_cache_begin_line(l->keys);
    while (logfmt_next(&scan, line->arena)) {
        size_t behind_key = (size_t)(scan.key.ptr - text.ptr) + scan.key.len;
        if (behind_key == scan.at) { /* a key alone: text like any other, unless it is a label */
            if (st->extract.is_keep_empty)
                return;
            continue;
        }
        size_t from = behind_key + 1;
        bool is_quoted = from < scan.at && text.ptr[from] == '"';
        str value = is_quoted ? str_sub(text, from + 1, scan.at - 1) : str_sub(text, from, scan.at);
        uint32_t id = key_cache_find(l->keys, line->labels, 0, STR_EMPTY, scan.key)->id;
        forms_lesson_value(&lesson, value, is_quoted ? FORM_QUOTED : FORM_BARE, id);
    }
    if (scan.error == LOGFMT_OK)
        forms_lesson_end(&lesson, text.len, FORM_LINE_END);
}

static bool read_line(const struct stage *st, struct logfmt_local *l, struct stage_line *line)
{
    struct labels_builder *labels = line->labels;
    struct logfmt_scan scan = logfmt_scan(line->text);
    if (byte_index_begin(&l->index, BYTE_INDEX_LOGFMT, line->text))
        scan.index = &l->index;
    key_cache_begin_line(l->keys);
    while (!logfmt_is_end(&scan)) {
        if (!logfmt_next(&scan, line->arena)) {
            if (st->extract.is_strict)
                break;
            continue;
        }
        if (scan.value.len == 0 && !st->extract.is_keep_empty)
            continue;
        uint32_t id =
            label_key_target(labels, key_cache_find(l->keys, labels, 0, STR_EMPTY, scan.key)->id);
        if (id == NAME_NONE)
            continue;
        if (!stage_set(line, id, label_value_clean(scan.value, line->arena)))
            return false;
        if (labels_builder_has_all(labels))
            break;
    }
    if (st->extract.is_strict && scan.error != LOGFMT_OK)
        labels_builder_fail(labels, ERROR_LOGFMT, logfmt_error_text(&scan, line->arena));
    return true;
}

static bool logfmt_run(const void *stage, void *local, struct stage_line *line)
{
    struct logfmt_local *l = local;
    if (labels_builder_wants_none(line->labels))
        return true;
    enum forms_result r = line_forms_read(l->forms, line);
    if (r == FORMS_DONE || r == FORMS_DROPPED)
        return r == FORMS_DONE;
    bool passes = read_line(stage, l, line);
    if (r == FORMS_UNKNOWN)
        learn_line(stage, l, line);
    return passes;
}

const struct stage_ops stage_logfmt = {
    .name = "logfmt",
    .runs_early_filters = true,
    .compile = logfmt_compile,
    .local_new = logfmt_local_new,
    .local_free = logfmt_local_free,
    .run = logfmt_run,
};
