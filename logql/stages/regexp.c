/* logql/stages/regexp.c - | regexp "(?P<name>re)": named groups become labels. */
#include "base/gotext.h"
#include "logql/stages/label_key.h"
#include "logql/stages/line_filter.h"
#include "logql/stages/stage.h"

struct regexp {
    struct regex *re;
    int n_groups; /* without group 0 */
    str *names;   /* [n_groups + 1]; empty: the group has none */
};

struct regexp_local {
    uint32_t *ids; /* [n_groups + 1] */
    str *groups;
};

/* Any name will do: it is made a label name like the keys of a line, 1a becomes _1a. */
static int check_names(const struct regexp *st, struct error *err)
{
    bool is_any = false;
    for (int i = 1; i <= st->n_groups; i++) {
        if (st->names[i].len == 0)
            continue;
        is_any = true;
        for (int j = 1; j < i; j++)
            if (str_eq(st->names[i], st->names[j]))
                return error_set(err, E_PARSE, "duplicate extracted label name '%.*s'",
                                 STR_ARG(st->names[i]));
    }
    if (!is_any)
        return error_set(err, E_PARSE, "at least one named capture must be supplied");
    return 0;
}

static str label_name_of(str name, struct arena *a)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    label_key_append(&b, name, true);
    str label = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return label;
}

static void regexp_release(void *stage)
{
    regex_free(((struct regexp *)stage)->re);
}

static int regexp_compile(const struct stage *s, struct arena *a, void **ret, struct error *err)
{
    struct regexp *st = ARENA_NEW(a, struct regexp);
    int r = regex_compile(s->text, 0, &st->re, err);
    if (r != 0)
        return r;
    st->n_groups = regex_group_count(st->re);
    st->names = ARENA_ARRAY(a, str, st->n_groups + 1);
    for (int i = 1; i <= st->n_groups; i++)
        st->names[i] = regex_group_name(st->re, i);
    r = check_names(st, err);
    if (r != 0) {
        regex_free(st->re);
        return r;
    }
    for (int i = 1; i <= st->n_groups; i++)
        st->names[i] = label_name_of(st->names[i], a);
    *ret = st;
    return 0;
}

static void *regexp_local_new(const void *stage, struct labels_builder *b)
{
    const struct regexp *st = stage;
    size_t n = (size_t)st->n_groups + 1;
    struct regexp_local *l = mem_zalloc(sizeof *l);
    l->ids = mem_array(n, sizeof *l->ids);
    l->groups = mem_array(n, sizeof *l->groups);
    for (size_t i = 1; i < n; i++)
        l->ids[i] = st->names[i].len == 0 ? NAME_NONE : labels_builder_id(b, st->names[i]);
    return l;
}

static void regexp_local_free(void *local)
{
    struct regexp_local *l = local;
    mem_free(l->ids);
    mem_free(l->groups);
    mem_free(l);
}

static bool regexp_run(const void *stage, void *local, struct stage_line *line)
{
    const struct regexp *st = stage;
    struct regexp_local *l = local;
    if (!gotext_match(st->re, line->text, line->arena, l->groups, st->n_groups + 1))
        return true;
    for (int i = 1; i <= st->n_groups; i++) {
        uint32_t id = label_key_target(line->labels, l->ids[i]);
        if (id == NAME_NONE)
            continue;
        str value = l->groups[i].ptr == NULL ? STR_EMPTY : l->groups[i];
        if (!stage_set(line, id, value))
            return false;
    }
    return true;
}

const struct stage_ops stage_regexp = {
    .name = "regexp",
    .runs_early_filters = true,
    .compile = regexp_compile,
    .release = regexp_release,
    .local_new = regexp_local_new,
    .local_free = regexp_local_free,
    .run = regexp_run,
};
