/* logql/stages/decolorize.c - | decolorize: takes ANSI escape sequences out of the line. */
#include "base/regex.h"
#include "logql/stages/stage.h"

/* What terminals take as one sequence: an introducer (ESC or U+009B), a text ended by BEL or
 * numbers ended by a letter. */
#define SEQUENCE                                                                                   \
    "[\x1b\xc2\x9b][[\\]()#;?]*(?:(?:(?:[a-zA-Z\\d]*(?:;[a-zA-Z\\d]*)*)?\x07)|"                    \
    "(?:(?:\\d{1,4}(?:;\\d{0,4})*)?[\\dA-PRZcf-ntqry=><~]))"

static void decolorize_release(void *stage)
{
    regex_free(stage);
}

static int decolorize_compile(const struct stage *s, struct arena *a, void **ret, struct error *err)
{
    (void)s, (void)a;
    struct regex *re = NULL;
    int r = regex_compile(STR(SEQUENCE), 0, &re, err);
    *ret = re;
    return r;
}

/* Where the next introducer may be; STR_NPOS if there is none. */
static size_t introducer(str text, size_t from)
{
    str rest = str_from(text, from);
    size_t escape = str_find_char(rest, '\x1b'), csi = str_find(rest, STR("\xc2\x9b"));
    size_t first = escape < csi ? escape : csi;
    return first == STR_NPOS ? STR_NPOS : from + first;
}

static bool decolorize_run(const void *stage, void *local, struct stage_line *line)
{
    (void)local;
    str text = line->text, sequence;
    size_t from = introducer(text, 0), kept;
    if (from == STR_NPOS || !regex_match(stage, text, from, &sequence, 1))
        return true;
    char *out = arena_alloc(line->arena, text.len);
    size_t n = 0;
    from = 0;
    do {
        kept = (size_t)(sequence.ptr - text.ptr) - from;
        memcpy(out + n, text.ptr + from, kept);
        n += kept;
        from += kept + sequence.len;
    } while (regex_match(stage, text, from, &sequence, 1));
    memcpy(out + n, text.ptr + from, text.len - from);
    line->text = str_make(out, n + text.len - from);
    return true;
}

const struct stage_ops stage_decolorize = {
    .name = "decolorize",
    .compile = decolorize_compile,
    .release = decolorize_release,
    .run = decolorize_run,
};
