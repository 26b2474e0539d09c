/* cri: lines as container runtimes write them: time, stream, tag and content.
 *
 *   2023-10-06T00:17:09.669794202Z stdout F the line
 *
 * A line with tag P is the beginning of a longer one: it is kept back, per label set, and joined
 * with what follows until a line with another tag ends it. */
#include "base/map.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "promtail/stages/all.h"
#include "promtail/stages/container.h"
#include "promtail/stages/holds.h"

#define PARTIAL_LINES_DEFAULT 100
#define PARTIAL_BYTES_MAX     (64u << 20) /* of one line; more is handed on as a line of its own */

enum { STDOUT, STDERR, N_STREAMS };

/* The constants, so that labels of one stream are known by their pointers. */
static const str stream_names[N_STREAMS] = {STR("stdout"), STR("stderr")};

struct cri_partial {
    struct holds holds;
    struct arena arena;   /* of `record` */
    struct record record; /* the newest part, without its text */
    struct buf text;      /* of all parts */
    struct origin origin; /* of the first part */
};

struct cri_stage {
    struct stage base;
    struct fudge fudge;
    struct u64map partial; /* hash of the label set -> struct cri_partial */
    int64_t max_partial_lines;
    int64_t max_partial_line_size; /* bytes */
    bool truncate;
    uint64_t hashes[N_STREAMS]; /* of the label `stream` */
    struct arena arena;         /* of a partial record being handed on */
};

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    (void)b;
    struct cri_stage read = {.max_partial_lines = 0};
    int rc = stage_weak_int(config, "max_partial_lines", &read.max_partial_lines, err);
    if (rc == 0)
        rc = stage_weak_uint(config, "max_partial_line_size", &read.max_partial_line_size, err);
    if (rc == 0)
        rc = stage_weak_bool(config, "max_partial_line_size_truncate", &read.truncate, err);
    if (rc != 0)
        return rc;
    if (read.max_partial_lines == 0)
        read.max_partial_lines = PARTIAL_LINES_DEFAULT;
    struct cri_stage *s = mem_alloc(sizeof *s);
    *s = read;
    for (int i = 0; i < N_STREAMS; i++)
        s->hashes[i] = label_list_hash_of(STR("stream"), stream_names[i]);
    fudge_init(&s->fudge);
    u64map_init(&s->partial);
    arena_init(&s->arena, SIZE_MAX);
    *ret = &s->base;
    return 0;
}

struct cri_line {
    str time, flags, content;
    int stream;
    bool has_ts; /* the time could be read */
    int64_t ts_ns;
};

static bool has_space(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == ' ' || (s.ptr[i] >= '\t' && s.ptr[i] <= '\r' && s.ptr[i] != '\v'))
            return true;
    return false;
}

/* What stands before the first blank (at least one byte), taken off the front. */
static bool take_word(str *rest, str *ret)
{
    const char *blank = rest->len > 0 ? memchr(rest->ptr, ' ', rest->len) : NULL;
    if (blank == NULL || blank == rest->ptr)
        return false;
    size_t n = (size_t)(blank - rest->ptr);
    *ret = str_sub(*rest, 0, n);
    *rest = str_from(*rest, n + 1);
    return true;
}

/* Words hold no other white space either; in a time that could be read there is none. */
static bool split(str line, struct cri_line *ret)
{
    str rest = line, stream;
    if (!take_word(&rest, &ret->time) || !take_word(&rest, &stream))
        return false;
    ret->stream = str_eq(stream, stream_names[STDOUT]) ? STDOUT : STDERR;
    if (!str_eq(stream, stream_names[ret->stream]) || !take_word(&rest, &ret->flags))
        return false;
    ret->has_ts = rfc3339_parse(ret->time, &ret->ts_ns);
    if ((!ret->has_ts && has_space(ret->time)) || has_space(ret->flags))
        return false;
    ret->content = rest;
    return true;
}

/* --- parts --- */

static size_t length_kept(const struct cri_stage *s, size_t len)
{
    size_t max = (size_t)s->max_partial_line_size;
    return s->truncate && max > 0 ? MIN(len, max) : len;
}

static void free_partial(struct cri_partial *p)
{
    holds_deinit(&p->holds);
    buf_deinit(&p->text);
    arena_deinit(&p->arena);
    mem_free(p);
}

static void forget(struct cri_stage *s, uint64_t hash, struct cri_partial *p)
{
    u64map_remove(&s->partial, hash);
    holds_release(&p->holds);
    free_partial(p);
}

/* Hands on what is there of a line, as it is. */
static void emit_partial(struct cri_stage *s, uint64_t hash, struct cri_partial *p)
{
    struct record r;
    record_copy(&r, &s->arena, &p->record);
    r.line = buf_str(&p->text);
    r.origin = p->origin;
    stage_emit(&s->base, &r);
    arena_reset(&s->arena);
    forget(s, hash, p);
}

static void emit_all(struct cri_stage *s)
{
    size_t at = 0;
    uint64_t hash;
    void *item;
    while (u64map_next(&s->partial, &at, &hash, &item)) {
        emit_partial(s, hash, item);
        at = 0;
    }
}

static void keep(struct cri_stage *s, const struct record *r)
{
    uint64_t hash = r->labels.hash;
    if ((int64_t)s->partial.len >= s->max_partial_lines)
        emit_all(s);
    struct cri_partial *p = u64map_get(&s->partial, hash);
    if (p != NULL && p->text.len + r->line.len > PARTIAL_BYTES_MAX) {
        emit_partial(s, hash, p);
        p = NULL;
    }
    if (p == NULL) {
        p = mem_zalloc(sizeof *p);
        arena_init(&p->arena, SIZE_MAX);
        buf_init(&p->text, BUF_NO_LIMIT);
        p->origin = r->origin;
        u64map_put(&s->partial, hash, p);
    }
    buf_append_str(&p->text, r->line);
    p->text.len = length_kept(s, p->text.len);
    struct record bare = *r;
    bare.line = STR_EMPTY;
    arena_reset(&p->arena);
    record_copy(&p->record, &p->arena, &bare);
    if (p->origin.source == r->origin.source)
        p->origin.to = r->origin.to;
    holds_add(&p->holds, &r->origin);
}

/* The end of a line whose beginning is kept: time and labels are those of the end. */
static void join(struct cri_stage *s, struct cri_partial *p, struct record *r)
{
    uint64_t hash = r->labels.hash;
    buf_append_str(&p->text, r->line);
    r->line = str_make(buf_str(&p->text).ptr, length_kept(s, p->text.len));
    if (p->origin.source == r->origin.source)
        r->origin.from = p->origin.from;
    stage_emit(&s->base, r);
    forget(s, hash, p);
}

/* --- lines --- */

static void extract(struct record *r, const struct cri_line *line)
{
    extracted_set(r, STR("time"), VALUE_S(line->time));
    extracted_set(r, STR("stream"), VALUE_S(stream_names[line->stream]));
    extracted_set(r, STR("flags"), VALUE_S(line->flags));
    extracted_set(r, STR("content"), VALUE_S(line->content));
}

static void take(struct cri_stage *s, struct record *r, const struct cri_line *line)
{
    if (job_pipeline_keeps_extracted(s->base.chain->pipeline))
        extract(r, line);
    label_list_set_hashed(&r->labels, r->arena, STR("stream"), stream_names[line->stream],
                          s->hashes[line->stream]);
    if (line->has_ts) {
        r->ts_ns = line->ts_ns;
        fudge_remember(&s->fudge, r);
    } else {
        fudge_apply(&s->fudge, r);
    }
    r->line = line->content;
}

/* Some other line: values of these names may have been extracted before. */
static void take_other(struct cri_stage *s, struct record *r, struct cri_line *line)
{
    static const struct container_keys keys = {STR("stream"), STR("time"), STR("content")};
    if (!job_pipeline_keeps_extracted(s->base.chain->pipeline))
        extracted_add_labels(r);
    const struct value *flags = extracted_get(r, STR("flags"));
    container_apply(&s->fudge, r, &keys);
    line->flags = flags != NULL && flags->kind == VALUE_STR ? flags->s : STR_EMPTY;
}

static bool process(struct stage *base, struct record *r)
{
    struct cri_stage *s = (struct cri_stage *)base;
    struct cri_line line;
    if (!stage_is_first(base) && job_pipeline_keeps_extracted(base->chain->pipeline))
        extracted_add_labels(r);
    if (split(r->line, &line))
        take(s, r, &line);
    else
        take_other(s, r, &line);
    if (line.flags.len == 1 && line.flags.ptr[0] == 'P') {
        keep(s, r);
        return false;
    }
    struct cri_partial *p = s->partial.len == 0 ? NULL : u64map_get(&s->partial, r->labels.hash);
    if (p == NULL)
        return true;
    join(s, p, r);
    return false;
}

/* What is pending is not handed on at the end: it is read again, with what follows it. */
static void free_stage(struct stage *base)
{
    struct cri_stage *s = (struct cri_stage *)base;
    size_t at = 0;
    void *item;
    while (u64map_next(&s->partial, &at, NULL, &item))
        free_partial(item);
    u64map_deinit(&s->partial);
    fudge_deinit(&s->fudge);
    arena_deinit(&s->arena);
    mem_free(s);
}

const struct stage_ops stage_ops_cri = {.name = "cri",
                                        .compile = compile,
                                        .process = process,
                                        .free = free_stage,
                                        .ignores_extracted = true};
