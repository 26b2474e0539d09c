#include "logql/stages/regex_shape.h"

#include "base/vec.h"
#include "logql/stages/regex_node.h"

/* More alternatives than this are left to RE2. */
#define LITERALS_MAX 64
/* More literals than this are not looked for to save RE2 work. */
#define REQUIRED_MAX 8

struct reducer {
    struct arena *arena;
    bool is_label;
    bool is_any, is_some;
    VEC(struct regex_literal) literals;
};

static str lower(struct arena *a, str text)
{
    char *p = arena_alloc(a, text.len);
    for (size_t i = 0; i < text.len; i++)
        p[i] = text.ptr[i] >= 'A' && text.ptr[i] <= 'Z' ? text.ptr[i] | 0x20 : text.ptr[i];
    return str_make(p, text.len);
}

static bool add(struct reducer *r, str text, bool is_caseless, bool is_whole)
{
    if (text.len == 0) {
        r->is_any |= !is_whole;
        return !is_whole;
    }
    struct regex_literal l = {is_caseless ? lower(r->arena, text) : text, is_caseless, is_whole};
    VEC_PUSH_ARENA(r->arena, &r->literals, l);
    return r->literals.len <= LITERALS_MAX;
}

static str join(struct arena *a, str x, str y)
{
    char *p = arena_alloc(a, x.len + y.len + 1);
    memcpy(p, x.ptr, x.len);
    memcpy(p + x.len, y.ptr, y.len);
    return str_make(p, x.len + y.len);
}

static struct regex_node *uncaptured(struct regex_node *x)
{
    return x->kind == REGEX_CAPTURE ? x->subs[0] : x;
}

static bool reduce_concat(struct reducer *r, const struct regex_node *x, str base);

/* literal(alternative|alternative) */
static bool reduce_suffixes(struct reducer *r, const struct regex_node *x, str base,
                            bool is_caseless)
{
    for (size_t i = 0; i < x->n; i++) {
        const struct regex_node *alt = x->subs[i];
        bool ok = false;
        if (alt->kind == REGEX_EMPTY || alt->kind == REGEX_ANY_STAR)
            ok = add(r, base, is_caseless, false);
        else if (alt->kind == REGEX_LITERAL && (is_caseless || !alt->is_caseless))
            ok = add(r, join(r->arena, base, alt->text), is_caseless, false);
        else if (alt->kind == REGEX_CONCAT)
            ok = reduce_concat(r, alt, base);
        if (!ok)
            return false;
    }
    return true;
}

/* At most three parts: one literal, .* around it, or alternatives right behind it. */
static bool reduce_concat(struct reducer *r, const struct regex_node *x, str base)
{
    bool has_literal = base.len > 0, is_caseless = false, is_done = false, is_broken = false;
    size_t n_literals = 0, n_parts = 0;
    for (size_t i = 0; i < x->n; i++) {
        struct regex_node *sub = uncaptured(x->subs[i]);
        if (sub->kind == REGEX_EMPTY)
            continue;
        if (++n_parts > 3 || is_done > (sub->kind == REGEX_ANY_STAR))
            return false;
        if (sub->kind == REGEX_LITERAL && n_literals++ == 0 && !is_broken) {
            base = join(r->arena, base, sub->text);
            is_caseless = sub->is_caseless;
            has_literal = true;
        } else if (sub->kind == REGEX_ALTERNATE && has_literal && !is_broken) {
            if (!reduce_suffixes(r, sub, base, is_caseless))
                return false;
            is_done = true;
        } else if (sub->kind == REGEX_ANY_STAR) {
            is_broken = has_literal; /* what follows does not stand right behind the literal */
        } else {
            return false;
        }
    }
    if (is_done)
        return true;
    return has_literal && add(r, base, is_caseless, false);
}

static bool reduce(struct reducer *r, struct regex_node *x)
{
    x = uncaptured(x);
    switch (x->kind) {
    case REGEX_ALTERNATE:
        for (size_t i = 0; i < x->n; i++)
            if (!reduce(r, x->subs[i]))
                return false;
        /* Loki leaves an alternative that matches everything out of the others: a| is a. */
        r->is_any = r->is_any && !r->is_some && r->literals.len == 0;
        return true;
    case REGEX_CONCAT:
        return reduce_concat(r, x, STR_EMPTY);
    case REGEX_LITERAL:
        return add(r, x->text, x->is_caseless, r->is_label);
    case REGEX_ANY_STAR:
    case REGEX_EMPTY:
        r->is_any = true;
        return true;
    case REGEX_ANY_PLUS:
        r->is_some = true;
        return true;
    default:
        return false;
    }
}

/* The longest part of a literal that no Unicode letter matches in another case: K and S have a
 * third form. */
static str plain_part(const struct regex_node *x)
{
    str best = STR_EMPTY;
    if (!x->is_caseless)
        return x->text;
    for (size_t i = 0, n; i < x->text.len; i += n + 1) {
        for (n = 0; i + n < x->text.len && x->text.ptr[i + n] != 'K' && x->text.ptr[i + n] != 'S';)
            n++;
        if (n > best.len)
            best = str_sub(x->text, i, i + n);
    }
    return best;
}

/* Literals of which one must be there. */
struct required {
    struct regex_literal *items;
    size_t n; /* 0: nothing known */
};

/* How well they thin out lines: by the shortest, less for each more to look for. */
static long worth(const struct required *r)
{
    size_t shortest = SIZE_MAX;
    for (size_t i = 0; i < r->n; i++)
        shortest = r->items[i].text.len < shortest ? r->items[i].text.len : shortest;
    return r->n == 0 || r->n > REQUIRED_MAX ? 0 : (long)shortest * 2 - (long)r->n;
}

static struct required find_required(struct arena *a, struct regex_node *x);

/* Of all alternatives together, if each has some. */
static struct required required_of_any(struct arena *a, struct regex_node *x)
{
    struct required all = {.items = arena_alloc(a, REQUIRED_MAX * sizeof *all.items)};
    for (size_t i = 0; i < x->n; i++) {
        struct required one = find_required(a, x->subs[i]);
        if (one.n == 0 || all.n + one.n > REQUIRED_MAX)
            return (struct required){NULL, 0};
        memcpy(all.items + all.n, one.items, one.n * sizeof *one.items);
        all.n += one.n;
    }
    return all;
}

static struct required find_required(struct arena *a, struct regex_node *x)
{
    struct required best = {NULL, 0};
    x = uncaptured(x);
    if (x->kind == REGEX_CONCAT) {
        for (size_t i = 0; i < x->n; i++) {
            struct required one = find_required(a, x->subs[i]);
            if (worth(&one) > worth(&best))
                best = one;
        }
    } else if (x->kind == REGEX_ALTERNATE) {
        best = required_of_any(a, x);
    } else if (x->kind == REGEX_LITERAL) {
        str part = plain_part(x);
        best.items = ARENA_NEW(a, struct regex_literal);
        best.items[0].text = x->is_caseless ? lower(a, part) : part;
        best.items[0].is_caseless = x->is_caseless;
        best.n = part.len > 0;
    }
    return best;
}

void regex_shape_parse(str re, enum regex_shape_use use, struct arena *a, struct regex_shape *ret)
{
    *ret = (struct regex_shape){.kind = REGEX_SHAPE_NONE};
    struct regex_node *x = regex_node_parse(re, a);
    if (x == NULL)
        return;
    struct reducer r = {.arena = a, .is_label = use == REGEX_SHAPE_LABEL};
    if (!reduce(&r, x)) {
        struct required required = find_required(a, x);
        ret->required = required.items;
        ret->n_required = required.n;
        return;
    }
    ret->kind = r.is_any ? REGEX_SHAPE_ANY : r.is_some ? REGEX_SHAPE_SOME : REGEX_SHAPE_LITERALS;
    ret->literals = r.literals.items;
    ret->n = r.literals.len;
}

static bool contains_nocase(str text, str needle)
{
    for (size_t i = 0; i + needle.len <= text.len; i++)
        if (str_eq_nocase(str_sub(text, i, i + needle.len), needle))
            return true;
    return false;
}

static bool is_literal_match(const struct regex_literal *l, str text)
{
    if (l->is_whole)
        return l->is_caseless ? str_eq_nocase(text, l->text) : str_eq(text, l->text);
    return l->is_caseless ? contains_nocase(text, l->text) : str_contains(text, l->text);
}

bool regex_shape_is_match(const struct regex_shape *s, str text)
{
    if (s->kind == REGEX_SHAPE_ANY)
        return true;
    if (s->kind == REGEX_SHAPE_SOME && text.len > 0)
        return true;
    for (size_t i = 0; i < s->n; i++)
        if (is_literal_match(&s->literals[i], text))
            return true;
    return false;
}
