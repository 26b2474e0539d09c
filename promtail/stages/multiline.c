/* multiline: lines from one that matches `firstline` up to the next such line become one record.
 *
 * Blocks are kept per label set.  The first line gives labels, time and extracted values; it goes
 * on doing so after its block was handed on (full, or waited too long): what does not match begins
 * a new block under the old first line. */
#include "base/clock.h"
#include "base/duration.h"
#include "base/gotext.h"
#include "base/map.h"
#include "base/mem.h"
#include "promtail/stages/all.h"
#include "promtail/stages/holds.h"

#define LINES_DEFAULT   128
#define WAIT_DEFAULT_NS (3 * NS_PER_S)
#define BLOCK_BYTES_MAX (64u << 20) /* a longer block is handed on before its end */
#define BLOCKS_MAX      100000      /* label sets; beyond, all are handed on and forgotten */

struct block {
    struct holds holds;
    struct arena arena;  /* of `start` */
    struct record start; /* the first line, without its text */
    struct buf text;
    int64_t n_lines;      /* of `text` */
    int64_t last_ns;      /* monotonic, of the last line */
    struct origin origin; /* of the first line in `text` */
};

struct multiline_stage {
    struct stage base;
    struct regex *re;
    int64_t max_lines; /* 0: no limit */
    int64_t max_wait_ns;
    struct u64map blocks; /* hash of the label set -> struct block */
    struct arena arena;   /* of the record being handed on */
};

static int read_conf(struct multiline_stage *s, const struct yaml_node *config, struct arena *a,
                     struct error *err)
{
    str firstline = STR_EMPTY, wait = STR_EMPTY;
    bool has_firstline = false, has_wait = false;
    struct error why = {0};
    int rc = stage_weak_str(config, "firstline", a, &firstline, &has_firstline, err);
    if (rc == 0)
        rc = stage_weak_uint(config, "max_lines", &s->max_lines, err);
    if (rc == 0)
        rc = stage_weak_str(config, "max_wait_time", a, &wait, &has_wait, err);
    if (rc != 0)
        return rc;
    if (!has_firstline)
        return error_set(err, E_PARSE,
                         "multiline stage config must define `firstline` regular expression");
    if (regex_compile(firstline, 0, &s->re, &why) != 0)
        return error_set(err, E_PARSE, "multiline stage first line regex compilation error: %s",
                         why.text);
    if (has_wait && duration_parse_go(wait, &s->max_wait_ns, &why) != 0)
        return error_set(err, E_PARSE, "multiline stage `max_wait_time` parse error: %s", why.text);
    return 0;
}

static void free_stage(struct stage *base)
{
    struct multiline_stage *s = (struct multiline_stage *)base;
    size_t at = 0;
    void *item;
    while (u64map_next(&s->blocks, &at, NULL, &item)) {
        struct block *b = item;
        holds_deinit(&b->holds);
        buf_deinit(&b->text);
        arena_deinit(&b->arena);
        mem_free(b);
    }
    u64map_deinit(&s->blocks);
    arena_deinit(&s->arena);
    regex_free(s->re);
    mem_free(s);
}

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    struct multiline_stage *s = mem_zalloc(sizeof *s);
    s->max_lines = LINES_DEFAULT;
    s->max_wait_ns = WAIT_DEFAULT_NS;
    u64map_init(&s->blocks);
    arena_init(&s->arena, SIZE_MAX);
    int rc = read_conf(s, config, b->arena, err);
    if (rc != 0)
        free_stage(&s->base);
    else
        *ret = &s->base;
    return rc;
}

/* A block of nothing but empty text is not handed on, and its lines go on counting. */
static void hand_on(struct multiline_stage *s, struct block *b)
{
    if (b->text.len == 0) {
        holds_release(&b->holds);
        return;
    }
    struct record r;
    record_copy(&r, &s->arena, &b->start);
    r.line = arena_str(&s->arena, buf_str(&b->text));
    r.origin = b->origin;
    buf_reset(&b->text);
    b->n_lines = 0;
    stage_emit(&s->base, &r);
    holds_release(&b->holds);
    arena_reset(&s->arena);
}

static void forget_all(struct multiline_stage *s)
{
    size_t at = 0;
    void *item;
    while (u64map_next(&s->blocks, &at, NULL, &item)) {
        struct block *b = item;
        hand_on(s, b);
        holds_release(&b->holds);
        holds_deinit(&b->holds);
        buf_deinit(&b->text);
        arena_deinit(&b->arena);
        mem_free(b);
    }
    u64map_deinit(&s->blocks);
    u64map_init(&s->blocks);
}

static struct block *add_block(struct multiline_stage *s, uint64_t hash)
{
    if (s->blocks.len >= BLOCKS_MAX)
        forget_all(s);
    struct block *b = mem_zalloc(sizeof *b);
    arena_init(&b->arena, SIZE_MAX);
    buf_init(&b->text, BLOCK_BYTES_MAX);
    u64map_put(&s->blocks, hash, b);
    return b;
}

/* Metadata set before this stage is lost, as in Promtail. */
static void set_start(struct block *b, const struct record *r)
{
    struct record bare = *r;
    bare.line = STR_EMPTY;
    bare.meta = (struct label_list){0};
    arena_reset(&b->arena);
    record_copy(&b->start, &b->arena, &bare);
}

static void append(struct multiline_stage *s, struct block *b, const struct record *r)
{
    if (b->text.len + r->line.len >= BLOCK_BYTES_MAX)
        hand_on(s, b);
    if (b->text.len > 0)
        buf_append_char(&b->text, '\n');
    else
        b->origin = r->origin;
    buf_append_str(&b->text, r->line);
    if (b->origin.source == r->origin.source)
        b->origin.to = r->origin.to;
    b->n_lines++;
    b->last_ns = clock_mono_ns();
    holds_add(&b->holds, &r->origin);
    if (b->n_lines == s->max_lines)
        hand_on(s, b);
}

static bool process(struct stage *base, struct record *r)
{
    struct multiline_stage *s = (struct multiline_stage *)base;
    struct block *b = u64map_get(&s->blocks, r->labels.hash);
    bool is_first = gotext_is_match(s->re, r->line);
    if (b == NULL && !is_first)
        return true;
    if (b == NULL)
        b = add_block(s, r->labels.hash);
    if (is_first) {
        hand_on(s, b);
        set_start(b, r);
    }
    append(s, b, r);
    return false;
}

static void flush(struct stage *base, int64_t now_ns, bool is_final)
{
    struct multiline_stage *s = (struct multiline_stage *)base;
    size_t at = 0;
    void *item;
    while (u64map_next(&s->blocks, &at, NULL, &item)) {
        struct block *b = item;
        if (is_final || now_ns - b->last_ns >= s->max_wait_ns)
            hand_on(s, b);
    }
}

const struct stage_ops stage_ops_multiline = {.name = "multiline",
                                              .compile = compile,
                                              .process = process,
                                              .flush = flush,
                                              .free = free_stage,
                                              .ignores_extracted = true};
