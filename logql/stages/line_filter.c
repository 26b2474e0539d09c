#include "logql/stages/line_filter.h"

#include "base/goquote.h"
#include "base/gotext.h"
#include "base/mem.h"
#include "logql/stages/stage.h"

static int compile_needle(str text, bool is_caseless, struct arena *a, struct line_test *t)
{
    struct needle *n = ARENA_NEW(a, struct needle);
    t->kind = text.len == 0 ? LINE_FILTER_ALL : LINE_FILTER_NEEDLES;
    if (text.len > 0)
        needle_init(n, text, is_caseless);
    t->needles = n;
    t->n = 1;
    return 0;
}

/* Somewhere in it stands (?-m) or the like. */
static bool sets_flags_off(str re)
{
    for (size_t at; (at = str_find(re, STR("(?"))) != STR_NPOS;) {
        re = str_from(re, at + 2);
        for (size_t i = 0; i < re.len && memchr(":)>", re.ptr[i], 3) == NULL; i++)
            if (re.ptr[i] == '-')
                return true;
    }
    return false;
}

/* The same expression for text of many lines: ^ and $ then stand at each line's ends.  Not where
 * the expression sees to its flags itself or means the ends of the whole text. */
static void set_skippers(str re, struct arena *a, struct line_test *t)
{
    if (str_contains(re, STR("\\A")) || str_contains(re, STR("\\z")) || sets_flags_off(re))
        return;
    if (t->n_required == 0)
        regex_compile(arena_printf(a, "(?m)%.*s", STR_ARG(re)), 0, &t->lines_re, NULL);
    t->skipper = skipper_new(re);
}

/* What is too short stands everywhere. */
static void set_required(const struct regex_shape *shape, struct arena *a, struct line_test *t)
{
    struct needle *needles = ARENA_ARRAY(a, struct needle, shape->n_required);
    for (size_t i = 0; i < shape->n_required; i++) {
        const struct regex_literal *l = &shape->required[i];
        if (l->text.len < 2)
            return;
        needle_init(&needles[i], l->text, l->is_caseless);
    }
    t->required = needles;
    t->n_required = shape->n_required;
}

static bool has_required(const struct line_test *t, str line)
{
    for (size_t i = 0; i < t->n_required; i++)
        if (needle_is_in(&t->required[i], line))
            return true;
    return t->n_required == 0;
}

static int compile_regex(str re, struct arena *a, struct line_test *t, struct error *err)
{
    int r = regex_compile(re, 0, &t->re, err);
    if (r != 0)
        return r;
    struct regex_shape shape;
    regex_shape_parse(re, REGEX_SHAPE_LINE, a, &shape);
    switch (shape.kind) {
    case REGEX_SHAPE_ANY:
        t->kind = LINE_FILTER_ALL;
        return 0;
    case REGEX_SHAPE_SOME:
        t->kind = LINE_FILTER_SOME; /* the literals are not empty either */
        return 0;
    case REGEX_SHAPE_LITERALS: {
        struct needle *needles = ARENA_ARRAY(a, struct needle, shape.n);
        for (size_t i = 0; i < shape.n; i++)
            needle_init(&needles[i], shape.literals[i].text, shape.literals[i].is_caseless);
        t->kind = LINE_FILTER_NEEDLES;
        t->needles = needles;
        t->n = shape.n;
        return 0;
    }
    case REGEX_SHAPE_NONE:
        break;
    }
    t->kind = LINE_FILTER_REGEX;
    set_required(&shape, a, t);
    set_skippers(re, a, t);
    return 0;
}

static int compile_test(const struct line_match *m, enum line_filter_op op, struct arena *a,
                        struct line_test *t, struct error *err)
{
    if (m->is_ip) {
        if (op != LINE_EQ && op != LINE_NE)
            return error_set(err, E_PARSE, "ip: invalid operation");
        t->kind = LINE_FILTER_IP;
        return ip_filter_parse(m->text, &t->ip, err);
    }
    switch (op) {
    case LINE_EQ:
    case LINE_NE:
        return compile_needle(m->text, false, a, t);
    case LINE_RE:
    case LINE_NRE:
        return compile_regex(m->text, a, t, err);
    case LINE_PATTERN:
    case LINE_NOT_PATTERN:
        t->kind = LINE_FILTER_PATTERN;
        return pattern_compile_filter(m->text, a, &t->pattern, err);
    }
    return E_INVALID;
}

int line_matcher_compile(const struct line_filter *f, struct arena *a, struct line_matcher *ret,
                         struct error *err)
{
    *ret = (struct line_matcher){
        .tests = ARENA_ARRAY(a, struct line_test, f->n_matches),
        .is_negative = f->op == LINE_NE || f->op == LINE_NRE || f->op == LINE_NOT_PATTERN,
    };
    for (size_t i = 0; i < f->n_matches; i++) {
        struct line_match m = f->matches[i];
        m.is_ip = m.is_ip && f->n_matches == 1; /* beside others ip() has lost its meaning */
        ret->n = i + 1;
        int r = compile_test(&m, f->op, a, &ret->tests[i], err);
        if (r != 0) {
            line_matcher_release(ret);
            return r;
        }
    }
    return 0;
}

void line_matcher_release(struct line_matcher *m)
{
    for (size_t i = 0; i < m->n; i++) {
        regex_free(m->tests[i].re);
        regex_free(m->tests[i].lines_re);
        skipper_free(m->tests[i].skipper);
    }
    m->n = 0;
}

static bool test_passes(const struct line_test *t, str line)
{
    switch (t->kind) {
    case LINE_FILTER_ALL:
        return true;
    case LINE_FILTER_SOME:
        return line.len > 0;
    case LINE_FILTER_NEEDLES:
        for (size_t i = 0; i < t->n; i++)
            if (needle_is_in(&t->needles[i], line))
                return true;
        return false;
    case LINE_FILTER_REGEX:
        return has_required(t, line) && gotext_is_match(t->re, line);
    case LINE_FILTER_PATTERN:
        return pattern_test(&t->pattern, line);
    case LINE_FILTER_IP:
        return ip_filter_is_in(&t->ip, line);
    }
    return false;
}

bool line_matcher_passes(const struct line_matcher *m, str line)
{
    for (size_t i = 0; i < m->n; i++)
        if (test_passes(&m->tests[i], line))
            return !m->is_negative;
    return m->is_negative;
}

#define SHOWN_MAX 8 /* of the texts looked for */

static void print_needles(const struct needle *needles, size_t n, struct buf *out)
{
    buf_append_c(out, n > 1 ? "substrings" : "substring");
    for (size_t i = 0; i < MIN(n, (size_t)SHOWN_MAX); i++) {
        buf_append_c(out, i == 0 ? " " : ", ");
        goquote(out, needles[i].text);
        buf_append_c(out, needles[i].is_caseless ? " in any case" : "");
    }
    if (n > SHOWN_MAX)
        buf_printf(out, " and %zu more", n - SHOWN_MAX);
}

static void print_test(const struct line_test *t, struct buf *out)
{
    switch (t->kind) {
    case LINE_FILTER_ALL:
    case LINE_FILTER_SOME:
        buf_append_c(out, "no search");
        break;
    case LINE_FILTER_NEEDLES:
        print_needles(t->needles, t->n, out);
        break;
    case LINE_FILTER_REGEX:
        buf_append_c(out, "regex");
        if (t->n_required > 0) {
            buf_append_c(out, " behind ");
            print_needles(t->required, t->n_required, out);
        }
        buf_printf(out, ", skipper %s", skipper_name(t->skipper));
        break;
    case LINE_FILTER_PATTERN:
        buf_append_c(out, "pattern");
        break;
    case LINE_FILTER_IP:
        buf_append_c(out, "addresses");
        break;
    }
}

void line_matcher_print_how(const struct line_matcher *m, struct buf *out)
{
    for (size_t i = 0; i < m->n; i++) {
        buf_append_c(out, i == 0 ? "" : " or ");
        print_test(&m->tests[i], out);
    }
}

int line_matcher_rank(const struct line_matcher *m)
{
    static const int ranks[] = {
        [LINE_FILTER_ALL] = 0,   [LINE_FILTER_SOME] = 0,    [LINE_FILTER_NEEDLES] = 1,
        [LINE_FILTER_REGEX] = 4, [LINE_FILTER_PATTERN] = 3, [LINE_FILTER_IP] = 5,
    };
    int rank = ranks[m->tests[0].kind] - (m->tests[0].n_required > 0 ? 2 : 0);
    return rank * 2 + (m->is_negative || m->n > 1); /* |= thins out more than != does */
}

/* ---- as a stage, for filters that cannot be moved to the front ---- */

struct line_filter_stage {
    struct line_matcher *matchers;
    size_t n;
};

static void line_filter_release(void *stage)
{
    struct line_filter_stage *st = stage;
    for (size_t i = 0; i < st->n; i++)
        line_matcher_release(&st->matchers[i]);
}

static int line_filter_compile(const struct stage *s, struct arena *a, void **ret,
                               struct error *err)
{
    struct line_filter_stage *st = ARENA_NEW(a, struct line_filter_stage);
    st->matchers = ARENA_ARRAY(a, struct line_matcher, s->filters.n);
    for (; st->n < s->filters.n; st->n++) {
        int r = line_matcher_compile(&s->filters.items[st->n], a, &st->matchers[st->n], err);
        if (r != 0) {
            line_filter_release(st);
            return r;
        }
    }
    *ret = st;
    return 0;
}

static bool line_filter_run(const void *stage, void *local, struct stage_line *line)
{
    (void)local;
    const struct line_filter_stage *st = stage;
    for (size_t i = 0; i < st->n; i++)
        if (!line_matcher_passes(&st->matchers[i], line->text))
            return false;
    return true;
}

const struct stage_ops stage_line_filter = {
    .name = "line filter",
    .compile = line_filter_compile,
    .release = line_filter_release,
    .run = line_filter_run,
};
