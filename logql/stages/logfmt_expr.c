/* logql/stages/logfmt_expr.c - | logfmt x="key", y: one label for each key named, empty if the line
 * does not have it.
 *
 * The last of equal keys counts.  A key of the line that is called like one of the labels sets that
 * label too, unless it is renamed itself; so does Loki. */
#include "logql/jsonexpr.h"
#include "logql/stages/label_key.h"
#include "logql/stages/logfmt_scan.h"
#include "logql/stages/stage.h"

struct logfmt_expr {
    size_t n;
    str *labels, *keys; /* [n] */
    bool is_strict;
};

struct logfmt_expr_local {
    struct buf name;     /* a key of the line as a label name */
    uint32_t *label_ids; /* [n] */
};

static int logfmt_expr_compile(const struct stage *s, struct arena *a, void **ret,
                               struct error *err)
{
    struct logfmt_expr *st = ARENA_NEW(a, struct logfmt_expr);
    st->n = s->extract.n;
    st->labels = ARENA_ARRAY(a, str, st->n);
    st->keys = ARENA_ARRAY(a, str, st->n);
    st->is_strict = s->extract.is_strict;
    for (size_t i = 0; i < st->n; i++) {
        const struct extraction *x = &s->extract.items[i];
        st->labels[i] = x->label;
        if (logfmtexpr_parse(x->expression, a, &st->keys[i], err) != 0) {
            error_prefix(err, "cannot parse expression [%.*s]: ", STR_ARG(x->expression));
            return E_PARSE;
        }
        if (!label_name_is_valid(x->label))
            return error_set(err, E_PARSE, "invalid extracted label name '%.*s'",
                             STR_ARG(x->label));
    }
    *ret = st;
    return 0;
}

static void *logfmt_expr_local_new(const void *stage, struct labels_builder *b)
{
    const struct logfmt_expr *st = stage;
    struct logfmt_expr_local *l = mem_zalloc(sizeof *l);
    buf_init(&l->name, BUF_NO_LIMIT);
    l->label_ids = mem_array(st->n, sizeof *l->label_ids);
    for (size_t i = 0; i < st->n; i++)
        l->label_ids[i] = labels_builder_id(b, st->labels[i]);
    return l;
}

static void logfmt_expr_local_free(void *local)
{
    struct logfmt_expr_local *l = local;
    buf_deinit(&l->name);
    mem_free(l->label_ids);
    mem_free(l);
}

static size_t index_of(const str *names, size_t n, str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(names[i], name))
            return i;
    return STR_NPOS;
}

/* Sets what a pair of the line is good for; false: the scan can stop. */
static bool take_pair(const struct logfmt_expr *st, struct logfmt_expr_local *l, str key, str value,
                      struct stage_line *line)
{
    struct labels_builder *b = line->labels;
    buf_reset(&l->name);
    label_key_append(&l->name, key, true);
    str name = buf_str(&l->name);
    size_t label = index_of(st->labels, st->n, name), renamed = index_of(st->keys, st->n, name);
    size_t at = renamed != STR_NPOS ? renamed : label;
    if (name.len == 0 || at == STR_NPOS)
        return true;
    /* The name of the key is asked for, not the label's: so does Loki, which then loses the label
     * where a metric query names only that. */
    if (label == STR_NPOS && b->n_required > 0) {
        uint32_t id = names_find(&b->names, name);
        if (id == NAME_NONE || !labels_builder_is_wanted(b, id))
            return true;
    }
    uint32_t id = l->label_ids[at];
    if (labels_builder_is_base(b, id)) {
        id = labels_builder_suffixed(b, id);
        if (!labels_builder_is_wanted(b, id))
            return false;
    }
    labels_builder_set(b, id, str_is_utf8(value) ? value : STR_EMPTY);
    return !labels_builder_has_all(b);
}

static bool logfmt_expr_run(const void *stage, void *local, struct stage_line *line)
{
    const struct logfmt_expr *st = stage;
    struct logfmt_expr_local *l = local;
    struct labels_builder *b = line->labels;
    if (labels_builder_wants_none(b))
        return true;
    for (size_t i = 0; i < st->n; i++)
        if (!labels_builder_is_base(b, l->label_ids[i]))
            labels_builder_set(b, l->label_ids[i], STR_EMPTY);
    struct logfmt_scan scan = logfmt_scan(line->text);
    while (!logfmt_is_end(&scan)) {
        if (logfmt_next(&scan, line->arena)) {
            if (!take_pair(st, l, scan.key, scan.value, line))
                break;
        } else if (st->is_strict) {
            break;
        }
    }
    if (st->is_strict && scan.error != LOGFMT_OK)
        labels_builder_fail(b, ERROR_LOGFMT, logfmt_error_text(&scan, line->arena));
    return true;
}

const struct stage_ops stage_logfmt_expr = {
    .name = "logfmt",
    .compile = logfmt_expr_compile,
    .local_new = logfmt_expr_local_new,
    .local_free = logfmt_expr_local_free,
    .run = logfmt_expr_run,
};
