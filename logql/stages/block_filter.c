/* logql/stages/block_filter.c - line filters over the text of whole blocks; see line_filter.h. */
#include "base/gotext.h"
#include "base/utf8.h"
#include "logql/stages/line_filter.h"

/* A filter that comes after others goes line by line when fewer than one in this many lines is
 * left: searching each of them costs more than its share of a search through everything. */
#define LINE_BY_LINE_SHARE 8

uint32_t line_set_count(const struct line_set *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < line_set_n_words(s); i++)
        n += (uint32_t)__builtin_popcountll(s->words[i]);
    return n;
}

/* Walks lines in step with offsets that only grow. */
struct line_walk {
    const struct block_view *v;
    uint32_t line, to;
};

/* The line that holds offset `at`.  Hits are near each other or far apart, so it gallops. */
static uint32_t line_of(struct line_walk *w, uint32_t at)
{
    const uint32_t *ends = w->v->line_at + 1; /* ends[i]: where line i + 1 begins */
    uint32_t low = w->line, step = 1;
    while (low + step < w->to && ends[low + step - 1] <= at) {
        low += step;
        step *= 2;
    }
    uint32_t high = low + step < w->to ? low + step : w->to - 1;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (ends[mid] <= at)
            low = mid + 1;
        else
            high = mid;
    }
    return w->line = low;
}

/* Adds the lines in which the needle stands. */
static void mark_needle(const struct needle *n, const struct block_view *v, struct line_set *set)
{
    struct line_walk w = {v, set->from, set->to};
    const char *at = v->text + v->line_at[set->from], *end = v->text + v->line_at[set->to];
    while ((at = needle_find(n, at, (size_t)(end - at))) != NULL) {
        uint32_t line = line_of(&w, (uint32_t)(at - v->text));
        const char *next = v->text + v->line_at[line + 1];
        if (at + n->text.len > next - 1) { /* the hit takes in the newline behind the line */
            at++;
            continue;
        }
        line_set_add(set, line);
        at = next;
        if (at == end)
            return;
    }
}

/* Asks RE2 about the lines in which a needle stands.  Where it says no to most lines of a block the
 * needle is not worth much, and the skipper would be. */
static void mark_required(const struct line_test *t, const struct block_view *v,
                          struct line_set *set)
{
    uint32_t n_refused = 0;
    for (size_t i = 0; i < t->n_required; i++)
        mark_needle(&t->required[i], v, set);
    for (uint32_t i = 0; i < line_set_n_words(set); i++) {
        for (uint64_t bits = set->words[i]; bits != 0; bits &= bits - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(bits);
            if (gotext_is_match(t->re, block_line(v, set->from + i * 64 + bit)))
                continue;
            set->words[i] &= ~(UINT64_C(1) << bit);
            n_refused++;
        }
    }
    if (n_refused > (set->to - set->from) / 2)
        skipper_warm(t->skipper, v->line_at[set->to] - v->line_at[set->from]);
}

/* RE2 over all lines: where it finds something, the line is asked alone.  What a line matches by
 * itself it matches here too, beginning in the same place, so no line is passed over. */
static void mark_lines_re(const struct line_test *t, const struct block_view *v,
                          struct line_set *set)
{
    struct line_walk w = {v, set->from, set->to};
    size_t from = v->line_at[set->from], end = v->line_at[set->to];
    str text = str_make(v->text, end - 1), hit;
    while (from < end && regex_match(t->lines_re, text, from, &hit, 1)) {
        uint32_t at = (uint32_t)(hit.ptr - v->text);
        uint32_t line = line_of(&w, at);
        if (gotext_is_match(t->re, block_line(v, line)))
            line_set_add(set, line);
        from = v->line_at[line + 1];
    }
}

static void mark_one_by_one(const struct line_test *t, const struct block_view *v, uint32_t from,
                            uint32_t to, struct line_set *set)
{
    struct line_matcher m = {.tests = (struct line_test *)(uintptr_t)t, .n = 1};
    for (uint32_t line = from; line < to; line++)
        if (line_matcher_passes(&m, block_line(v, line)))
            line_set_add(set, line);
}

struct skipper_walk {
    const struct line_test *t;
    struct line_set *set;
    struct line_walk lines;
    uint32_t first;
    size_t base; /* of the text that is scanned, in the block */
};

/* A match may end with byte `at`: RE2 is asked about the line, which is then done with. */
static struct skipper_range on_skipper_hit(void *arg, size_t at)
{
    struct skipper_walk *w = arg;
    const struct block_view *v = w->lines.v;
    if (w->base + at < v->line_at[w->lines.line])
        w->lines.line = w->first; /* backward */
    uint32_t line = line_of(&w->lines, (uint32_t)(w->base + at));
    if (gotext_is_match(w->t->re, block_line(v, line)))
        line_set_add(w->set, line);
    return (struct skipper_range){v->line_at[line] - w->base, v->line_at[line + 1] - w->base};
}

/* The first line of [from, to) that has a byte beyond ASCII; `to` if none has. */
static uint32_t first_not_ascii(const struct block_view *v, uint32_t from, uint32_t to)
{
    size_t begin = v->line_at[from], n = v->line_at[to] - begin;
    size_t at = utf8_ascii_len(str_make(v->text + begin, n));
    struct line_walk w = {v, from, to};
    return at == n ? to : line_of(&w, (uint32_t)(begin + at));
}

/* The stretches of ASCII by Hyperscan, the lines between them one by one. */
static void mark_skipper(const struct line_test *t, const struct block_view *v,
                         struct line_set *set)
{
    for (uint32_t from = set->from; from < set->to;) {
        uint32_t to = first_not_ascii(v, from, set->to);
        if (to > from) {
            struct skipper_walk w = {t, set, {v, from, to}, from, v->line_at[from]};
            str text = str_make(v->text + w.base, v->line_at[to] - 1 - w.base);
            if (!skipper_scan(t->skipper, text, on_skipper_hit, &w))
                mark_one_by_one(t, v, from, to, set);
        }
        if (to < set->to)
            mark_one_by_one(t, v, to, to + 1, set);
        from = to + 1;
    }
}

static void mark_regex(const struct line_test *t, const struct block_view *v, struct line_set *set)
{
    size_t from = v->line_at[set->from];
    str text = str_make(v->text + from, v->line_at[set->to] - from);
    if (t->n_required == 0)
        skipper_warm(t->skipper, text.len);
    if (skipper_is_ready(t->skipper))
        mark_skipper(t, v, set);
    else if (t->n_required > 0)
        mark_required(t, v, set);
    else if (t->lines_re != NULL && gotext_is_plain(text))
        mark_lines_re(t, v, set);
    else
        mark_one_by_one(t, v, set->from, set->to, set);
}

/* Adds the lines that pass. */
static void mark_test(const struct line_test *t, const struct block_view *v, struct line_set *set)
{
    if (t->kind == LINE_FILTER_REGEX)
        mark_regex(t, v, set);
    else if (t->kind == LINE_FILTER_NEEDLES)
        for (size_t i = 0; i < t->n; i++)
            mark_needle(&t->needles[i], v, set);
    else
        mark_one_by_one(t, v, set->from, set->to, set);
}

/* Each line of the set by itself. */
static size_t filter_lines(const struct line_matcher *m, const struct block_view *v,
                           struct line_set *set)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < line_set_n_words(set); i++) {
        for (uint64_t bits = set->words[i]; bits != 0; bits &= bits - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(bits);
            str line = block_line(v, set->from + i * 64 + bit);
            bytes += line.len;
            if (!line_matcher_passes(m, line))
                set->words[i] &= ~(UINT64_C(1) << bit);
        }
    }
    return bytes;
}

size_t line_matcher_filter(const struct line_matcher *m, const struct block_view *v,
                           struct line_set *set, uint64_t *scratch)
{
    uint32_t n = line_set_count(set), n_words = line_set_n_words(set);
    if (n == 0)
        return 0;
    if (n < (set->to - set->from) / LINE_BY_LINE_SHARE)
        return filter_lines(m, v, set);
    struct line_set hits = {scratch, set->from, set->to};
    memset(scratch, 0, n_words * sizeof *scratch);
    for (size_t i = 0; i < m->n; i++)
        mark_test(&m->tests[i], v, &hits);
    for (uint32_t i = 0; i < n_words; i++)
        set->words[i] &= m->is_negative ? ~scratch[i] : scratch[i];
    return v->line_at[set->to] - v->line_at[set->from];
}
