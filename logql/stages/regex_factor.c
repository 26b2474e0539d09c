/* logql/stages/regex_factor.c - alternatives as Go's regexp/syntax arranges them while it parses.
 */
#include "base/mem.h"
#include "base/utf8.h"
#include "logql/stages/regex_node.h"

struct regex_node *regex_node_pair(struct arena *a, enum regex_node_kind kind, struct regex_node *x,
                                   struct regex_node *y)
{
    struct regex_node *node = regex_node_new(a, kind);
    node->subs = ARENA_ARRAY(a, struct regex_node *, 2);
    node->subs[0] = x;
    node->subs[1] = y;
    node->n = 2;
    return node;
}

/* One character, of one kind or of several. */
static bool is_one(const struct regex_node *x)
{
    uint32_t rune;
    return x->kind == REGEX_ONE ||
           (x->kind == REGEX_LITERAL && utf8_decode(x->text, &rune) == x->text.len);
}

static bool is_same_literal(const struct regex_node *x, const struct regex_node *y)
{
    return x->kind == REGEX_LITERAL && y->kind == REGEX_LITERAL && str_eq(x->text, y->text) &&
           x->is_caseless == y->is_caseless;
}

/* Single characters side by side become a class. */
static size_t merge_ones(struct regex_node **subs, size_t n, struct arena *a)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && is_one(subs[i]) && is_one(subs[kept - 1])) {
            if (!is_same_literal(subs[i], subs[kept - 1]))
                subs[kept - 1] = regex_node_new(a, REGEX_ONE);
        } else {
            subs[kept++] = subs[i];
        }
    }
    return kept;
}

/* The literal that an alternative begins with, NULL if none. */
static const struct regex_node *leading(const struct regex_node *x)
{
    if (x->kind == REGEX_CONCAT)
        x = x->subs[0];
    return x->kind == REGEX_LITERAL ? x : NULL;
}

static size_t common_prefix(str x, str y)
{
    size_t n = 0;
    while (n < x.len && n < y.len && x.ptr[n] == y.ptr[n])
        n++;
    while (n > 0 && n < x.len && ((unsigned char)x.ptr[n] & 0xC0) == 0x80)
        n--; /* not in the middle of a character */
    while (n > 0 && n < y.len && ((unsigned char)y.ptr[n] & 0xC0) == 0x80)
        n--;
    return n;
}

/* The alternative without the first n bytes of its leading literal. */
static struct regex_node *without_leading(struct regex_node *x, size_t n, struct arena *a)
{
    struct regex_node *first = regex_node_new(a, REGEX_LITERAL);
    *first = *leading(x);
    first->text = str_from(first->text, n);
    if (first->text.len == 0)
        first->kind = REGEX_EMPTY;
    if (x->kind != REGEX_CONCAT)
        return first;
    size_t skip = first->kind == REGEX_EMPTY;
    if (x->n - skip == 1)
        return x->subs[1];
    struct regex_node *rest = regex_node_new(a, REGEX_CONCAT);
    rest->n = x->n - skip;
    rest->subs = ARENA_ARRAY(a, struct regex_node *, rest->n);
    memcpy(rest->subs, x->subs + skip, rest->n * sizeof(rest->subs[0]));
    if (!skip)
        rest->subs[0] = first;
    return rest;
}

static struct regex_node *collapse(struct regex_node **subs, size_t n, struct arena *a);

/* Alternatives [from, to) share `prefix_len` bytes in front. */
static struct regex_node *take_out(struct regex_node **subs, size_t n, size_t prefix_len,
                                   struct arena *a)
{
    struct regex_node *prefix = regex_node_new(a, REGEX_LITERAL);
    *prefix = *leading(subs[0]);
    prefix->text = str_sub(prefix->text, 0, prefix_len);
    struct regex_node **rest = ARENA_ARRAY(a, struct regex_node *, n);
    for (size_t i = 0; i < n; i++)
        rest[i] = without_leading(subs[i], prefix_len, a);
    return regex_node_pair(a, REGEX_CONCAT, prefix, collapse(rest, n, a));
}

static size_t factor_prefixes(struct regex_node **subs, size_t n, struct arena *a)
{
    size_t kept = 0;
    for (size_t i = 0, run; i < n; i += run) {
        const struct regex_node *first = leading(subs[i]);
        str prefix = first == NULL ? STR_EMPTY : first->text;
        for (run = 1; first != NULL && i + run < n; run++) {
            const struct regex_node *next = leading(subs[i + run]);
            if (next == NULL || next->is_caseless != first->is_caseless)
                break;
            size_t same = common_prefix(prefix, next->text);
            if (same == 0)
                break;
            prefix.len = same;
        }
        subs[kept] = run == 1 ? subs[i] : take_out(subs + i, run, prefix.len, a);
        kept++;
    }
    return kept;
}

static size_t merge_empties(struct regex_node **subs, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (i + 1 == n || subs[i]->kind != REGEX_EMPTY || subs[i + 1]->kind != REGEX_EMPTY)
            subs[kept++] = subs[i];
    return kept;
}

/* Alternatives among the alternatives join them. */
static void flatten(struct regex_node ***subs, size_t *n, struct arena *a)
{
    size_t total = 0;
    for (size_t i = 0; i < *n; i++)
        total += (*subs)[i]->kind == REGEX_ALTERNATE ? (*subs)[i]->n : 1;
    if (total == *n)
        return;
    struct regex_node **all = ARENA_ARRAY(a, struct regex_node *, total);
    size_t at = 0;
    for (size_t i = 0; i < *n; i++) {
        struct regex_node *x = (*subs)[i];
        for (size_t j = 0; x->kind == REGEX_ALTERNATE && j < x->n; j++)
            all[at++] = x->subs[j];
        if (x->kind != REGEX_ALTERNATE)
            all[at++] = x;
    }
    *subs = all;
    *n = total;
}

/* Each level takes at least one byte off the alternatives, so the depth is bounded by the length of
 * the shortest expression that shares prefixes so often; expressions are short. */
static struct regex_node *collapse(struct regex_node **subs, size_t n, struct arena *a)
{
    if (n == 1)
        return subs[0];
    flatten(&subs, &n, a);
    n = factor_prefixes(subs, n, a);
    n = merge_ones(subs, n, a);
    n = merge_empties(subs, n);
    if (n == 1)
        return subs[0];
    struct regex_node *node = regex_node_new(a, REGEX_ALTERNATE);
    node->subs = subs;
    node->n = n;
    return node;
}

struct regex_node *regex_node_alternate(struct regex_node **subs, size_t n, struct arena *a)
{
    return collapse(subs, merge_ones(subs, n, a), a);
}
