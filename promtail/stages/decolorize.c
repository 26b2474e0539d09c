/* decolorize: takes ANSI escape sequences out of the line. */
#include "base/mem.h"
#include "base/regex.h"
#include "promtail/stages/all.h"

/* What terminals take as one sequence: an introducer (ESC or U+009B), then a text ended by BEL or
 * numbers ended by a letter. */
#define SEQUENCE                                                                                   \
    "[\x1b\xc2\x9b][[\\]()#;?]*(?:(?:(?:[a-zA-Z\\d]*(?:;[a-zA-Z\\d]*)*)?\x07)|"                    \
    "(?:(?:\\d{1,4}(?:;\\d{0,4})*)?[\\dA-PRZcf-ntqry=><~]))"

struct decolorize_stage {
    struct stage base;
    struct regex *re;
};

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    (void)b, (void)config;
    struct regex *re = NULL;
    int rc = regex_compile(STR(SEQUENCE), 0, &re, err);
    if (rc != 0)
        return rc;
    struct decolorize_stage *s = mem_zalloc(sizeof *s);
    s->re = re;
    *ret = &s->base;
    return 0;
}

static bool process(struct stage *base, struct record *r)
{
    struct decolorize_stage *s = (struct decolorize_stage *)base;
    str text = r->line, sequence;
    if (str_find_char(text, '\x1b') == STR_NPOS && str_find(text, STR("\xc2\x9b")) == STR_NPOS)
        return true;
    size_t from = 0, n = 0;
    char *out = arena_alloc(r->arena, text.len);
    while (regex_match(s->re, text, from, &sequence, 1)) {
        size_t plain = (size_t)(sequence.ptr - text.ptr) - from;
        memcpy(out + n, text.ptr + from, plain);
        n += plain;
        from += plain + sequence.len;
    }
    memcpy(out + n, text.ptr + from, text.len - from);
    r->line = str_make(out, n + text.len - from);
    return true;
}

static void free_stage(struct stage *base)
{
    regex_free(((struct decolorize_stage *)base)->re);
    mem_free(base);
}

const struct stage_ops stage_ops_decolorize = {.name = "decolorize",
                                               .takes_any = true,
                                               .compile = compile,
                                               .process = process,
                                               .free = free_stage,
                                               .ignores_extracted = true};
