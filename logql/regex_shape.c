/* Reads just as much of a regex as is needed to tell the few shapes Loki turns into comparisons
 * from all others.  The tree is the one Go's parser builds: neighbouring literals are one, common
 * beginnings of alternatives are taken out, alternatives of one character are a class. */
#include "logql/regex_shape.h"

#include "base/arena.h"
#include "base/utf8.h"
#include "base/vec.h"

#define SHAPE_DEPTH_MAX 100 /* nesting of groups; deeper is not plain */

enum shape_kind { LITERAL, EMPTY, DOT_STAR, DOT_PLUS, CONCAT, ALTERNATE, CAPTURE, OPAQUE };

struct shape {
    enum shape_kind kind;
    bool is_folded; /* (?i) */
    bool is_class;  /* OPAQUE: one character of several */
    str text;       /* LITERAL */
    struct shape **subs;
    size_t n;
};

struct shape_list {
    struct shape **items;
    size_t len, cap;
};

struct reader {
    struct arena *arena;
    str text;
    size_t at;
    int depth;
    bool is_folded, is_dot_all;
};

static struct shape *new_shape(struct reader *r, enum shape_kind kind)
{
    struct shape *s = ARENA_NEW(r->arena, struct shape);
    s->kind = kind;
    s->is_folded = r->is_folded;
    return s;
}

static char peek(const struct reader *r)
{
    return r->at < r->text.len ? r->text.ptr[r->at] : '\0';
}

static bool take(struct reader *r, const char *what)
{
    if (!str_has_prefix(str_sub(r->text, r->at, r->text.len), str_c(what))) {
        return false;
    }
    r->at += strlen(what);
    return true;
}

/* ---- building ---- */

static struct shape *join(struct reader *r, enum shape_kind kind, const struct shape_list *l)
{
    if (l->len == 0) {
        return new_shape(r, EMPTY);
    }
    if (l->len == 1) {
        return l->items[0];
    }
    struct shape_list flat = {0};
    for (size_t i = 0; i < l->len; i++) {
        struct shape *s = l->items[i];
        bool is_same = s->kind == kind;
        for (size_t j = 0; j < (is_same ? s->n : 1); j++) {
            VEC_PUSH_ARENA(r->arena, &flat, is_same ? s->subs[j] : s);
        }
    }
    struct shape *s = new_shape(r, kind);
    s->subs = flat.items;
    s->n = flat.len;
    return s;
}

/* Literals grow together, but the newest part stays apart as long as a star may follow it. */
static void merge_literals(struct reader *r, struct shape_list *l)
{
    if (l->len < 2) {
        return;
    }
    struct shape *a = l->items[l->len - 2], *b = l->items[l->len - 1];
    if (a->kind != LITERAL || b->kind != LITERAL || a->is_folded != b->is_folded) {
        return;
    }
    struct shape *both = new_shape(r, LITERAL);
    both->is_folded = a->is_folded;
    both->text = arena_printf(r->arena, "%.*s%.*s", STR_ARG(a->text), STR_ARG(b->text));
    l->items[l->len - 2] = both;
    l->len--;
}

/* The literal an alternative begins with, NULL if it does not. */
static const struct shape *leading_literal(const struct shape *s)
{
    if (s->kind == CONCAT) {
        s = s->subs[0];
    }
    return s->kind == LITERAL ? s : NULL;
}

static size_t common_prefix(str a, str b)
{
    size_t n = 0;
    while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n]) {
        n++;
    }
    while (n > 0 && n < a.len && (a.ptr[n] & 0xc0) == 0x80) {
        n--; /* not within a character */
    }
    return n;
}

static struct shape *without_prefix(struct reader *r, const struct shape *s, size_t n)
{
    const struct shape *lead = leading_literal(s);
    struct shape *rest = new_shape(r, lead->text.len == n ? EMPTY : LITERAL);
    rest->is_folded = lead->is_folded;
    rest->text = str_sub(lead->text, n, lead->text.len);
    if (s->kind == LITERAL) {
        return rest;
    }
    struct shape_list parts = {0};
    for (size_t i = 0; i < s->n; i++) {
        if (i > 0 || rest->kind != EMPTY) {
            VEC_PUSH_ARENA(r->arena, &parts, i == 0 ? rest : s->subs[i]);
        }
    }
    return join(r, CONCAT, &parts);
}

static bool is_one_character(const struct shape *s)
{
    return s->is_class || (s->kind == LITERAL && utf8_count(s->text) == 1);
}

/* Neighbours of one character each are a class, neighbours that are empty are one. */
static struct shape *alternate(struct reader *r, const struct shape_list *l)
{
    struct shape_list out = {0};
    for (size_t i = 0; i < l->len; i++) {
        struct shape *last = out.len == 0 ? NULL : out.items[out.len - 1];
        struct shape *s = l->items[i];
        if (last != NULL && last->kind == EMPTY && s->kind == EMPTY) {
            continue;
        }
        if (last != NULL && is_one_character(last) && is_one_character(s)) {
            struct shape *class = new_shape(r, OPAQUE);
            class->is_class = true;
            out.items[out.len - 1] = class;
            continue;
        }
        VEC_PUSH_ARENA(r->arena, &out, s);
    }
    return join(r, ALTERNATE, &out);
}

/* Length of the literal that alternatives `from` and `from` + 1 begin with, 0 if none. */
static size_t shared_with_next(const struct shape_list *l, size_t from, size_t len)
{
    const struct shape *a = leading_literal(l->items[from]);
    const struct shape *b = from + 1 < l->len ? leading_literal(l->items[from + 1]) : NULL;
    if (a == NULL || b == NULL || a->is_folded != b->is_folded) {
        return 0;
    }
    return common_prefix(str_sub(a->text, 0, len), b->text);
}

/* Takes common beginnings out: foo|foobar becomes foo(|bar). */
static struct shape *factor(struct reader *r, const struct shape_list *l, int depth)
{
    if (l->len < 2 || depth > SHAPE_DEPTH_MAX) {
        return alternate(r, l);
    }
    struct shape_list out = {0};
    for (size_t i = 0; i < l->len;) {
        size_t end = i + 1, len = shared_with_next(l, i, SIZE_MAX), more = len;
        while (more > 0) {
            len = more;
            end++;
            more = end < l->len ? shared_with_next(l, end - 1, len) : 0;
            const struct shape *lead = leading_literal(l->items[end - 1]);
            more = MIN(more, lead->text.len);
        }
        if (end == i + 1) {
            VEC_PUSH_ARENA(r->arena, &out, l->items[i]);
            i = end;
            continue;
        }
        struct shape *prefix = new_shape(r, LITERAL);
        prefix->is_folded = leading_literal(l->items[i])->is_folded;
        prefix->text = str_sub(leading_literal(l->items[i])->text, 0, len);
        struct shape_list rests = {0}, parts = {0};
        for (; i < end; i++) {
            VEC_PUSH_ARENA(r->arena, &rests, without_prefix(r, l->items[i], len));
        }
        VEC_PUSH_ARENA(r->arena, &parts, prefix);
        VEC_PUSH_ARENA(r->arena, &parts, factor(r, &rests, depth + 1));
        VEC_PUSH_ARENA(r->arena, &out, join(r, CONCAT, &parts));
    }
    return alternate(r, &out);
}

/* ---- reading ---- */

static struct shape *read_alternatives(struct reader *r);

static struct shape *opaque(struct reader *r, bool is_class)
{
    struct shape *s = new_shape(r, OPAQUE);
    s->is_class = is_class;
    return s;
}

static struct shape *read_class(struct reader *r)
{
    r->at++;
    r->at += peek(r) == '^';
    r->at += peek(r) == ']';
    while (r->at < r->text.len && peek(r) != ']') {
        if (take(r, "[:")) {
            while (r->at < r->text.len && !take(r, ":]")) {
                r->at++;
            }
            continue;
        }
        r->at += peek(r) == '\\' ? 2 : 1;
    }
    r->at++;
    return opaque(r, true);
}

static struct shape *read_escape(struct reader *r)
{
    r->at++;
    char c = peek(r);
    struct shape *s = new_shape(r, LITERAL);
    const char *controls = strchr("a\af\ft\tn\nr\rv\v", c);
    if (c != '\0' && strchr("aftnrv", c) != NULL && controls != NULL) {
        s->text = str_make(controls + 1, 1);
    } else if (c != '\0' && (unsigned char)c < 0x80 && !rune_is_letter((uint32_t)c) &&
               !rune_is_digit((uint32_t)c)) {
        s->text = str_sub(r->text, r->at, r->at + 1);
    } else { /* \d \b \pL \x41 \Q...: the rest is not looked at */
        s = opaque(r, c != '\0' && strchr("dDsSwWpP", c) != NULL);
    }
    r->at++;
    return s;
}

/* (?i), (?i:...), (?P<name>...): sets the flags; false if they stand alone. */
static bool read_flags(struct reader *r, bool *is_capture)
{
    bool is_off = false;
    *is_capture = false;
    if (peek(r) == 'P' || peek(r) == '<') {
        while (r->at < r->text.len && peek(r) != '>') {
            r->at++;
        }
        r->at++;
        *is_capture = true;
        return true;
    }
    for (; r->at < r->text.len; r->at++) {
        char c = peek(r);
        if (c == ':' || c == ')') {
            r->at += c == ':';
            return c == ':';
        }
        if (c == '-') {
            is_off = true;
        } else if (c == 'i') {
            r->is_folded = !is_off;
        } else if (c == 's') {
            r->is_dot_all = !is_off;
        }
    }
    return false;
}

static struct shape *read_group(struct reader *r)
{
    bool was_folded = r->is_folded, was_dot_all = r->is_dot_all, is_capture = true;
    r->at++;
    if (take(r, "?") && !read_flags(r, &is_capture)) {
        r->at++; /* flags for what follows: no part of their own */
        return NULL;
    }
    struct shape *inner = ++r->depth > SHAPE_DEPTH_MAX ? opaque(r, false) : read_alternatives(r);
    r->depth--;
    r->at++;
    r->is_folded = was_folded;
    r->is_dot_all = was_dot_all;
    if (!is_capture) {
        return inner;
    }
    struct shape *s = new_shape(r, CAPTURE);
    s->subs = ARENA_NEW(r->arena, struct shape *);
    s->subs[0] = inner;
    s->n = 1;
    return s;
}

/* Applies a star, plus, question mark or count to the newest part. */
static void read_repeat(struct reader *r, struct shape_list *l, bool is_dot)
{
    char c = peek(r);
    if (c == '{') {
        while (r->at < r->text.len && peek(r) != '}') {
            r->at++;
        }
    }
    r->at++;
    r->at += peek(r) == '?';
    bool is_plain = is_dot && (c == '*' || c == '+');
    struct shape *s = is_plain ? new_shape(r, c == '*' ? DOT_STAR : DOT_PLUS) : opaque(r, false);
    if (l->len > 0) {
        l->items[l->len - 1] = s;
    }
}

static bool is_count_ahead(const struct reader *r)
{
    size_t i = r->at + 1;
    size_t from = i;
    while (i < r->text.len && ((r->text.ptr[i] >= '0' && r->text.ptr[i] <= '9') ||
                               (i > from && r->text.ptr[i] == ','))) {
        i++;
    }
    return i > from && i < r->text.len && r->text.ptr[i] == '}';
}

static struct shape *read_one(struct reader *r)
{
    char c = peek(r);
    if (c == '(') {
        return read_group(r);
    }
    if (c == '[') {
        return read_class(r);
    }
    if (c == '\\') {
        return read_escape(r);
    }
    uint32_t rune;
    size_t width = utf8_decode(str_sub(r->text, r->at, r->text.len), &rune);
    r->at += width;
    if (c == '.' || c == '^' || c == '$') {
        return opaque(r, c == '.');
    }
    struct shape *s = new_shape(r, LITERAL);
    s->text = str_sub(r->text, r->at - width, r->at);
    return s;
}

static struct shape *read_concat(struct reader *r)
{
    struct shape_list parts = {0};
    bool is_dot = false;
    while (r->at < r->text.len && peek(r) != '|' && peek(r) != ')') {
        char c = peek(r);
        if (c == '*' || c == '+' || c == '?' || (c == '{' && is_count_ahead(r))) {
            read_repeat(r, &parts, is_dot && !r->is_dot_all);
            continue;
        }
        merge_literals(r, &parts);
        is_dot = c == '.';
        struct shape *s = read_one(r);
        if (s != NULL) {
            VEC_PUSH_ARENA(r->arena, &parts, s);
        }
    }
    merge_literals(r, &parts);
    return join(r, CONCAT, &parts);
}

static struct shape *read_alternatives(struct reader *r)
{
    struct shape_list l = {0};
    do {
        VEC_PUSH_ARENA(r->arena, &l, read_concat(r));
    } while (take(r, "|"));
    return factor(r, &l, 0);
}

/* ---- Loki's simplifications ---- */

static const struct shape *bare(const struct shape *s)
{
    return s->kind == CAPTURE ? s->subs[0] : s;
}

static bool is_plain_concat(const struct shape *s, bool has_base);

/* Alternatives behind (or before) a literal. */
static bool is_plain_tail(const struct shape *s, bool is_base_folded)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct shape *sub = s->subs[i];
        if (!is_base_folded && sub->is_folded) {
            return false;
        }
        bool ok = sub->kind == EMPTY || sub->kind == LITERAL || sub->kind == DOT_STAR ||
                  (sub->kind == CONCAT && is_plain_concat(sub, true));
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool is_plain_concat(const struct shape *s, bool has_base)
{
    enum { PARTS_MAX = 3 };
    size_t n = 0, n_literals = 0;
    bool is_folded = false;
    for (size_t i = 0; i < s->n; i++) {
        n += bare(s->subs[i])->kind != EMPTY;
    }
    if (n > PARTS_MAX) {
        return false;
    }
    for (size_t i = 0; i < s->n; i++) {
        const struct shape *sub = bare(s->subs[i]);
        if (sub->kind == LITERAL) {
            if (n_literals++ > 0) {
                return false;
            }
            has_base = true;
            is_folded = sub->is_folded;
        } else if (sub->kind == ALTERNATE && has_base) {
            if (!is_plain_tail(sub, is_folded)) {
                return false;
            }
        } else if (sub->kind != DOT_STAR && sub->kind != EMPTY) {
            return false;
        }
    }
    return has_base;
}

static bool is_plain(const struct shape *s)
{
    switch (s->kind) {
    case LITERAL:
    case EMPTY:
    case DOT_STAR:
    case DOT_PLUS:
        return true;
    case CAPTURE:
        return is_plain(s->subs[0]);
    case CONCAT:
        return is_plain_concat(s, false);
    case ALTERNATE:
        for (size_t i = 0; i < s->n; i++) {
            if (!is_plain(bare(s->subs[i]))) {
                return false;
            }
        }
        return true;
    case OPAQUE:
        return false;
    }
    return false;
}

bool regex_shape_is_plain(str regex)
{
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct reader r = {.arena = &arena, .text = regex};
    const struct shape *s = read_alternatives(&r);
    bool ok = r.at >= regex.len && is_plain(s);
    arena_deinit(&arena);
    return ok;
}
