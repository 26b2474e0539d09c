/* cri: lines as container runtimes write them: time, stream, tag and content.
 *
 *   2023-10-06T00:17:09.669794202Z stdout F the line
 *
 * A line with tag P is the beginning of a longer one: it is kept back, per label set, and joined
 * with what follows until a line with another tag ends it. */
#include "base/mem.h"
#include "base/rfc3339.h"
#include "promtail/pipeline.h"
#include "promtail/stages/all.h"
#include "promtail/stages/fudge.h"

#define PARTIAL_LINES_DEFAULT 100

struct cri_partial {
    struct arena arena;
    struct record record;
};

struct cri_stage {
    struct stage base;
    struct fudge fudge;
    struct u64map partial; /* hash of the label set -> struct cri_partial */
    int64_t max_partial_lines;
    uint64_t max_partial_line_size;
    bool truncate;
};

static int read_size(const struct yaml_node *config, uint64_t *ret, struct error *err)
{
    int64_t n = 0;
    int rc = stage_conf_int(config, "max_partial_line_size", &n, err);
    *ret = (uint64_t)MAX(n, 0);
    return rc;
}

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    (void)b;
    struct cri_stage read = {.max_partial_lines = 0};
    int rc = stage_conf_int(config, "max_partial_lines", &read.max_partial_lines, err);
    if (rc == 0)
        rc = read_size(config, &read.max_partial_line_size, err);
    if (rc == 0)
        rc = stage_conf_bool(config, "max_partial_line_size_truncate", &read.truncate, err);
    if (rc != 0)
        return rc;
    if (read.max_partial_lines == 0)
        read.max_partial_lines = PARTIAL_LINES_DEFAULT;
    struct cri_stage *s = mem_alloc(sizeof *s);
    *s = read;
    fudge_init(&s->fudge);
    u64map_init(&s->partial);
    *ret = &s->base;
    return 0;
}

struct cri_line {
    str time, flags, content, stream;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

/* A run of non-blanks (at least one) with a blank behind it, taken off the front. */
static bool take_word(str *rest, str *ret)
{
    size_t n = 0;
    while (n < rest->len && !is_space(rest->ptr[n]))
        n++;
    if (n == 0 || n == rest->len || rest->ptr[n] != ' ')
        return false;
    *ret = str_sub(*rest, 0, n);
    *rest = str_from(*rest, n + 1);
    return true;
}

static bool split(str line, struct cri_line *ret)
{
    str rest = line, stream;
    if (!take_word(&rest, &ret->time) || !take_word(&rest, &stream))
        return false;
    /* The constants, so that labels of one stream are known by their pointers. */
    if (str_eq(stream, STR("stdout")))
        ret->stream = STR("stdout");
    else if (str_eq(stream, STR("stderr")))
        ret->stream = STR("stderr");
    else
        return false;
    if (!take_word(&rest, &ret->flags))
        return false;
    ret->content = rest;
    return true;
}

static void forget(struct cri_stage *s, uint64_t hash, struct cri_partial *p)
{
    u64map_remove(&s->partial, hash);
    pipeline_release(&p->record.origin, p);
    arena_deinit(&p->arena);
    mem_free(p);
}

static void cut(const struct cri_stage *s, struct record *r)
{
    if (s->truncate && s->max_partial_line_size > 0 && r->line.len > s->max_partial_line_size)
        r->line.len = s->max_partial_line_size;
}

/* Too many label sets have something pending: all of it goes on as it is. */
static void emit_all(struct cri_stage *s)
{
    size_t at = 0;
    uint64_t hash;
    void *item;
    while (u64map_next(&s->partial, &at, &hash, &item)) {
        struct cri_partial *p = item;
        stage_emit(&s->base, &p->record);
        forget(s, hash, p);
        at = 0;
    }
}

static void keep(struct cri_stage *s, struct record *r)
{
    struct cri_partial *p = u64map_get(&s->partial, r->labels.hash);
    if ((int64_t)s->partial.len >= s->max_partial_lines) {
        emit_all(s);
        p = NULL;
    }
    if (p == NULL) {
        p = mem_zalloc(sizeof *p);
        arena_init(&p->arena, SIZE_MAX);
        record_copy(&p->record, &p->arena, r);
        u64map_put(&s->partial, r->labels.hash, p);
    } else {
        str joined = arena_printf(&p->arena, "%.*s%.*s", STR_ARG(p->record.line), STR_ARG(r->line));
        p->record.line = joined;
    }
    cut(s, &p->record);
    pipeline_hold(&r->origin, p);
}

static bool process(struct stage *base, struct record *r)
{
    struct cri_stage *s = (struct cri_stage *)base;
    struct cri_line line;
    if (!split(r->line, &line))
        return true;
    extracted_set(r, STR("time"), VALUE_S(line.time));
    extracted_set(r, STR("stream"), VALUE_S(line.stream));
    extracted_set(r, STR("flags"), VALUE_S(line.flags));
    extracted_set(r, STR("content"), VALUE_S(line.content));
    label_list_set(&r->labels, r->arena, STR("stream"), line.stream);
    if (rfc3339_parse(line.time, &r->ts_ns))
        fudge_remember(&s->fudge, r);
    else
        fudge_apply(&s->fudge, r);
    r->line = line.content;
    if (line.flags.len == 1 && line.flags.ptr[0] == 'P') {
        keep(s, r);
        return false;
    }
    struct cri_partial *p = s->partial.len == 0 ? NULL : u64map_get(&s->partial, r->labels.hash);
    if (p == NULL)
        return true;
    r->line = arena_printf(r->arena, "%.*s%.*s", STR_ARG(p->record.line), STR_ARG(r->line));
    cut(s, r);
    int64_t from = p->record.origin.from;
    r->origin.from = r->origin.source != NULL ? from : 0;
    stage_emit(base, r);
    forget(s, r->labels.hash, p);
    return false;
}

static void free_stage(struct stage *base)
{
    struct cri_stage *s = (struct cri_stage *)base;
    size_t at = 0;
    uint64_t hash;
    void *item;
    while (u64map_next(&s->partial, &at, &hash, &item)) {
        arena_deinit(&((struct cri_partial *)item)->arena);
        mem_free(item);
    }
    u64map_deinit(&s->partial);
    fudge_deinit(&s->fudge);
    mem_free(s);
}

const struct stage_ops stage_cri = {
    .name = "cri", .compile = compile, .process = process, .free = free_stage};
