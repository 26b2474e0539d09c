#include "proto/matcher.h"

#include "base/goquote.h"
#include "base/mem.h"

/* A regex that accepts more values than this is left to RE2. */
#define ALTS_MAX       256
#define ALTS_DEPTH_MAX 16

/* A set of strings on its way to becoming matcher.alts. */
struct alts {
    str *items; /* ALTS_MAX of them */
    size_t n;
};

struct expander {
    str re;
    size_t at;
    struct arena *arena;
};

static struct alts alts_new(struct arena *a)
{
    return (struct alts){arena_alloc(a, ALTS_MAX * sizeof(str)), 0};
}

static str concat(struct arena *a, str x, str y)
{
    if (x.len == 0)
        return y;
    if (y.len == 0)
        return x;
    char *p = arena_alloc(a, x.len + y.len);
    memcpy(p, x.ptr, x.len);
    memcpy(p + x.len, y.ptr, y.len);
    return str_make(p, x.len + y.len);
}

/* left := left x right; false if that makes too many. */
static bool multiply(struct arena *a, struct alts *left, const struct alts *right)
{
    if (left->n * right->n > ALTS_MAX)
        return false;
    struct alts product = alts_new(a);
    for (size_t i = 0; i < left->n; i++)
        for (size_t j = 0; j < right->n; j++)
            product.items[product.n++] = concat(a, left->items[i], right->items[j]);
    *left = product;
    return true;
}

static bool is_meta(char c)
{
    return memchr("\\.+*?()|[]{}^$", c, 14) != NULL;
}

/* What repeats or is optional makes the set infinite, or is not worth it. */
static bool is_quantifier(const struct expander *x)
{
    return x->at < x->re.len && memchr("*+?{", x->re.ptr[x->at], 4) != NULL;
}

static bool expand_alternation(struct expander *x, struct alts *ret, int depth);

/* [abc] with plain ASCII members. */
static bool expand_class(struct expander *x, struct alts *ret)
{
    size_t end = x->at + 1;
    while (end < x->re.len && x->re.ptr[end] != ']') {
        unsigned char c = (unsigned char)x->re.ptr[end];
        if (c >= 0x80 || c == '\\' || c == '^' || c == '-' || c == '[' || ret->n == ALTS_MAX)
            return false;
        ret->items[ret->n++] = str_sub(x->re, end, end + 1);
        end++;
    }
    x->at = end + 1;
    return end < x->re.len && ret->n > 0;
}

/* A run of literal bytes; the last character is given back if a quantifier follows, which fails. */
static bool expand_literal(struct expander *x, struct alts *ret)
{
    char *text = arena_alloc(x->arena, x->re.len - x->at);
    size_t n = 0;
    while (x->at < x->re.len) {
        char c = x->re.ptr[x->at];
        if (c == '\\') {
            if (x->at + 1 >= x->re.len)
                return false;
            c = x->re.ptr[x->at + 1];
            if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                c == '_' || (unsigned char)c >= 0x80)
                return false;
            x->at++;
        } else if (is_meta(c)) {
            break;
        }
        text[n++] = c;
        x->at++;
    }
    ret->items[ret->n++] = str_make(text, n);
    return n > 0;
}

static bool expand_group(struct expander *x, struct alts *ret, int depth)
{
    x->at++;
    if (x->at < x->re.len && x->re.ptr[x->at] == '?') {
        if (!str_has_prefix(str_from(x->re, x->at), STR("?:")))
            return false;
        x->at += 2;
    }
    if (!expand_alternation(x, ret, depth + 1) || x->at >= x->re.len || x->re.ptr[x->at] != ')')
        return false;
    x->at++;
    return true;
}

static bool expand_sequence(struct expander *x, struct alts *ret, int depth)
{
    ret->items[ret->n++] = STR_EMPTY;
    while (x->at < x->re.len && x->re.ptr[x->at] != '|' && x->re.ptr[x->at] != ')') {
        struct alts part = alts_new(x->arena);
        char c = x->re.ptr[x->at];
        bool ok = c == '('   ? expand_group(x, &part, depth)
                  : c == '[' ? expand_class(x, &part)
                             : expand_literal(x, &part);
        if (!ok || is_quantifier(x) || !multiply(x->arena, ret, &part))
            return false;
    }
    return true;
}

static bool expand_alternation(struct expander *x, struct alts *ret, int depth)
{
    if (depth > ALTS_DEPTH_MAX)
        return false;
    for (;;) {
        struct alts part = alts_new(x->arena);
        if (!expand_sequence(x, &part, depth) || ret->n + part.n > ALTS_MAX)
            return false;
        for (size_t i = 0; i < part.n; i++)
            ret->items[ret->n++] = part.items[i];
        if (x->at >= x->re.len || x->re.ptr[x->at] != '|')
            return true;
        x->at++;
    }
}

/* Patterns longer than this go to RE2: they cost memory here for each of their parts. */
#define ALTS_PATTERN_MAX 4096

/* The finite set of values the regex accepts, if it is one; false otherwise. */
static bool expand(str re, struct arena *a, struct matcher *m)
{
    if (re.len > ALTS_PATTERN_MAX)
        return false;
    struct arena scratch;
    arena_init(&scratch, BUF_NO_LIMIT);
    struct expander x = {re, 0, &scratch};
    struct alts alts = alts_new(&scratch);
    bool ok = expand_alternation(&x, &alts, 0) && x.at == re.len;
    if (ok) {
        str *copy = ARENA_ARRAY(a, str, alts.n);
        for (size_t i = 0; i < alts.n; i++)
            copy[i] = arena_str(a, alts.items[i]);
        m->alts = copy;
        m->n_alts = alts.n;
    }
    arena_deinit(&scratch);
    return ok;
}

int matcher_init(struct matcher *m, struct arena *a, str name, enum match_op op, str value,
                 struct error *err)
{
    *m = (struct matcher){.name = arena_str(a, name), .op = op, .value = arena_str(a, value)};
    if (op == MATCH_EQ || op == MATCH_NE)
        return 0;
    m->is_any = str_eq(value, STR(".*"));
    m->is_some = str_eq(value, STR(".+"));
    if (m->is_any || m->is_some || expand(value, a, m))
        return 0;
    return regex_compile(m->value, REGEX_ANCHORED | REGEX_DOT_NEWLINE, &m->re, err);
}

void matcher_deinit(struct matcher *m)
{
    regex_free(m->re);
    m->re = NULL;
}

static bool is_accepted(const struct matcher *m, str value)
{
    if (m->is_any)
        return true;
    if (m->is_some)
        return value.len > 0;
    if (m->alts == NULL)
        return regex_is_match(m->re, value);
    for (size_t i = 0; i < m->n_alts; i++)
        if (str_eq(m->alts[i], value))
            return true;
    return false;
}

bool matcher_is_match(const struct matcher *m, str value)
{
    switch (m->op) {
    case MATCH_EQ:
        return str_eq(m->value, value);
    case MATCH_NE:
        return !str_eq(m->value, value);
    case MATCH_RE:
        return is_accepted(m, value);
    case MATCH_NRE:
        return !is_accepted(m, value);
    }
    return false;
}

bool matchers_match(const struct matcher *ms, size_t n, const struct labels *ls)
{
    for (size_t i = 0; i < n; i++) {
        str value = labels_get(ls, ms[i].name);
        if (!matcher_is_match(&ms[i], value.ptr == NULL ? STR_EMPTY : value))
            return false;
    }
    return true;
}

const char *match_op_text(enum match_op op)
{
    static const char *const texts[] = {"=", "!=", "=~", "!~"};
    return texts[op];
}

bool matcher_print(const struct matcher *m, struct buf *out)
{
    buf_append_str(out, m->name);
    buf_append_c(out, match_op_text(m->op));
    return goquote(out, m->value) && !out->failed;
}
