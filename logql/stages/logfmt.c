/* logql/stages/logfmt.c - | logfmt: every key=value pair of the line becomes a label.
 *
 * The first of equal keys stays.  Without --strict faults are passed over without a word; with it
 * the first one ends the scan and sets __error__.  Empty values only count with --keep-empty. */
#include "logql/stages/json_lax.h"
#include "logql/stages/label_key.h"
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
    struct byte_index index;
};

static void *logfmt_local_new(const void *stage, struct labels_builder *b)
{
    (void)stage, (void)b;
    struct logfmt_local *l = mem_zalloc(sizeof *l);
    l->keys = key_cache_new();
    return l;
}

static void logfmt_local_free(void *local)
{
    struct logfmt_local *l = local;
    key_cache_free(l->keys);
    mem_free(l);
}

static bool logfmt_run(const void *stage, void *local, struct stage_line *line)
{
    const struct stage *st = stage;
    struct logfmt_local *l = local;
    struct labels_builder *labels = line->labels;
    if (labels_builder_wants_none(labels))
        return true;
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

const struct stage_ops stage_logfmt = {
    .name = "logfmt",
    .runs_early_filters = true,
    .compile = logfmt_compile,
    .local_new = logfmt_local_new,
    .local_free = logfmt_local_free,
    .run = logfmt_run,
};
