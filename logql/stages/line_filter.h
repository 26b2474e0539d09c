/* logql/stages/line_filter.h - |= != |~ !~ |> !> and ip(), over one line or over a whole block.
 *
 * Over a block a filter marks lines in a bitmap.  Literals are looked for in the text of all lines
 * at once; a hit is mapped back to its line by walking line_at along, and the search goes on behind
 * that line.  A regex without a literal runs over the text of all lines in the same way: Hyperscan
 * (skipper.h), or RE2 where that cannot help, says where a line may match, and RE2 is then asked
 * about that line alone.
 *
 * A compiled filter is immutable: any number of threads may use it. */
#pragma once
#include "base/arena.h"
#include "base/needle.h"
#include "base/regex.h"
#include "logql/ast.h"
#include "logql/pattern.h"
#include "logql/stages/ip.h"
#include "logql/stages/regex_shape.h"
#include "logql/stages/skipper.h"
#include "proto/block.h"

enum line_filter_kind {
    LINE_FILTER_ALL, /* every line passes (or none, if negative) */
    LINE_FILTER_SOME,
    LINE_FILTER_NEEDLES, /* any of them */
    LINE_FILTER_REGEX,
    LINE_FILTER_PATTERN,
    LINE_FILTER_IP,
};

/* One thing looked for. */
struct line_test {
    enum line_filter_kind kind;
    const struct needle *needles; /* [n] */
    size_t n;
    struct regex *re;        /* REGEX */
    struct skipper *skipper; /* REGEX over many lines, or NULL; changes inside, see there */
    struct regex *lines_re;  /* REGEX without a needle: the same, lines being lines (?m); or NULL */
    const struct needle *required; /* REGEX: only lines with one of these can match */
    size_t n_required;             /* 0: no such thing is known */
    struct pattern pattern;
    struct ip_filter ip;
};

/* A filter passes a line if any test does, and is negative or not. */
struct line_matcher {
    struct line_test *tests;
    size_t n;
    bool is_negative;
};

/* Returns 0 or E_PARSE with Go's or Loki's text.  Free with line_matcher_release(). */
int line_matcher_compile(const struct line_filter *f, struct arena *a, struct line_matcher *ret,
                         struct error *err);
void line_matcher_release(struct line_matcher *m);

bool line_matcher_passes(const struct line_matcher *m, str line);

/* How it is done, for explain: substring "ab"; regex behind substring "took 2", skipper none; ...
 */
void line_matcher_print_how(const struct line_matcher *m, struct buf *out);
/* Rough cost of a look at a line: the cheapest filter that leaves few lines should be first. */
int line_matcher_rank(const struct line_matcher *m);

/* Bits of lines [from, to) of a block, bit 0 of word 0 being line `from`. */
struct line_set {
    uint64_t *words;
    uint32_t from, to;
};

static inline bool line_set_has(const struct line_set *s, uint32_t line)
{
    uint32_t bit = line - s->from;
    return (s->words[bit / 64] >> (bit % 64) & 1) != 0;
}

static inline void line_set_add(struct line_set *s, uint32_t line)
{
    uint32_t bit = line - s->from;
    s->words[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static inline uint32_t line_set_n_words(const struct line_set *s)
{
    return (s->to - s->from + 63) / 64;
}

uint32_t line_set_count(const struct line_set *s);

/* Takes out of `set` the lines that do not pass; `scratch` has room for as many words.  Returns
 * the bytes of text looked at. */
size_t line_matcher_filter(const struct line_matcher *m, const struct block_view *v,
                           struct line_set *set, uint64_t *scratch);
