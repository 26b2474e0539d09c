/* logql/stages/block_filter.c - line filters over the text of whole blocks; see line_filter.h. */
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

/* Asks RE2 about the lines in which the needle stands. */
static void mark_required(const struct line_test *t, const struct block_view *v,
                          struct line_set *set)
{
    for (size_t i = 0; i < t->n_required; i++)
        mark_needle(&t->required[i], v, set);
    for (uint32_t i = 0; i < line_set_n_words(set); i++) {
        for (uint64_t bits = set->words[i]; bits != 0; bits &= bits - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(bits);
            if (!line_regex_is_match(t->re, block_line(v, set->from + i * 64 + bit)))
                set->words[i] &= ~(UINT64_C(1) << bit);
        }
    }
}

/* RE2 over all lines: where it finds something, the line is asked alone.  What a line matches by
 * itself it matches here too, beginning in the same place, so no line is passed over. */
static void mark_skipper(const struct line_test *t, const struct block_view *v,
                         struct line_set *set)
{
    struct line_walk w = {v, set->from, set->to};
    size_t from = v->line_at[set->from], end = v->line_at[set->to];
    str text = str_make(v->text, end - 1), hit;
    while (from < end && regex_match(t->skipper, text, from, &hit, 1)) {
        uint32_t at = (uint32_t)(hit.ptr - v->text);
        uint32_t line = line_of(&w, at);
        if (line_regex_is_match(t->re, block_line(v, line)))
            line_set_add(set, line);
        from = v->line_at[line + 1];
    }
}

static void mark_one_by_one(const struct line_test *t, const struct block_view *v,
                            struct line_set *set)
{
    struct line_matcher m = {.tests = (struct line_test *)(uintptr_t)t, .n = 1};
    for (uint32_t line = set->from; line < set->to; line++)
        if (line_matcher_passes(&m, block_line(v, line)))
            line_set_add(set, line);
}

/* Adds the lines that pass. */
static void mark_test(const struct line_test *t, const struct block_view *v, struct line_set *set)
{
    str text =
        str_make(v->text + v->line_at[set->from], v->line_at[set->to] - v->line_at[set->from]);
    if (t->kind == LINE_FILTER_NEEDLES)
        for (size_t i = 0; i < t->n; i++)
            mark_needle(&t->needles[i], v, set);
    else if (t->kind == LINE_FILTER_REGEX && t->n_required > 0)
        mark_required(t, v, set);
    else if (t->kind == LINE_FILTER_REGEX && t->skipper != NULL && line_is_utf8(text))
        mark_skipper(t, v, set);
    else
        mark_one_by_one(t, v, set);
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
