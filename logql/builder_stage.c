#include "base/gofmt.h"
#include "base/vec.h"
#include "logql/builder.h"
#include "logql/pattern.h"

/* ---- stages ---- */

struct stage *build_stage(struct parse *p, struct source_pos pos, enum stage_kind kind)
{
    struct stage *s = ARENA_NEW(p->arena, struct stage);
    s->kind = kind;
    s->pos = pos;
    return s;
}

struct stage *build_stage_at(struct source_pos pos, struct stage *s)
{
    s->pos = pos;
    return s;
}

struct stage *build_text_stage(struct parse *p, struct source_pos pos, enum stage_kind kind,
                               str text)
{
    struct stage *s = build_stage(p, pos, kind);
    s->text = text;
    return s;
}

struct stage *build_extract_stage(struct parse *p, enum stage_kind kind,
                                  const struct extraction_list *l, struct parser_flags flags)
{
    struct stage *s = build_stage(p, (struct source_pos){0}, kind);
    if (l != NULL) {
        s->extract.items = l->items;
        s->extract.n = l->len;
    }
    s->extract.is_strict = flags.is_strict;
    s->extract.is_keep_empty = flags.is_keep_empty;
    return s;
}

struct parser_flags build_flag(struct parser_flags flags, str flag)
{
    if (str_eq(flag, STR("--strict"))) {
        flags.is_strict = true;
    } else {
        flags.is_keep_empty = true;
    }
    return flags;
}

/* The names of the groups of `| regexp`: at least one, no two the same. */
static int check_regexp(const struct regex *re, struct error *err)
{
    int n_names = 0, n = regex_group_count(re);
    for (int i = 1; i <= n; i++) {
        str name = regex_group_name(re, i);
        n_names += name.len > 0;
        for (int j = 1; name.len > 0 && j < i; j++) {
            if (str_eq(name, regex_group_name(re, j))) {
                return error_set(err, E_PARSE, "duplicate extracted label name '%.*s'",
                                 STR_ARG(name));
            }
        }
    }
    return n_names > 0 ? 0 : error_set(err, E_PARSE, "at least one named capture must be supplied");
}

static struct stage *refuse(struct parse *p, const char *what, const struct error *err)
{
    error_set(&p->fatal, err->code, "parse error : %s: %s", what, err->text);
    return NULL;
}

/* Loki looks into regexps and patterns while it parses, so their faults end the parse at once. */
struct stage *build_regexp_stage(struct parse *p, str regex)
{
    struct error err = {0};
    struct regex *re = NULL;
    if (regex_compile(regex, 0, &re, &err) == 0) {
        check_regexp(re, &err);
    }
    regex_free(re);
    return err.code != 0 ? refuse(p, "invalid regexp parser", &err)
                         : build_text_stage(p, (struct source_pos){0}, STAGE_REGEXP, regex);
}

struct stage *build_pattern_stage(struct parse *p, str text)
{
    struct error err = {0};
    struct pattern unused;
    return pattern_compile(text, p->arena, &unused, &err) != 0
               ? refuse(p, "invalid pattern parser", &err)
               : build_text_stage(p, (struct source_pos){0}, STAGE_PATTERN, text);
}

struct stage *build_filter_stage(struct parse *p, struct source_pos pos,
                                 const struct label_filter *f)
{
    struct stage *s = build_stage(p, pos, STAGE_LABEL_FILTER);
    s->filter = f;
    return s;
}

struct stage *build_format_stage(struct parse *p, struct source_pos pos,
                                 const struct label_format_list *l)
{
    struct stage *s = build_stage(p, pos, STAGE_LABEL_FORMAT);
    s->formats.items = l->items;
    s->formats.n = l->len;
    return s;
}

struct stage *build_label_stage(struct parse *p, struct source_pos pos, enum stage_kind kind,
                                const struct named_matcher_list *l)
{
    struct stage *s = build_stage(p, pos, kind);
    s->labels.items = l->items;
    s->labels.n = l->len;
    return s;
}

struct stage *build_line_filter_stage(struct parse *p, struct source_pos pos,
                                      const struct line_filter_list *l)
{
    struct stage *s = build_stage(p, pos, STAGE_LINE_FILTER);
    s->filters.items = l->items;
    s->filters.n = l->len;
    return s;
}

/* ---- line filters ---- */

static struct line_match *new_match(struct parse *p, str text, bool is_ip)
{
    struct line_match *m = ARENA_NEW(p->arena, struct line_match);
    *m = (struct line_match){.text = text, .is_ip = is_ip};
    return m;
}

struct line_filter_list *build_line_filter(struct parse *p, struct source_pos pos,
                                           enum line_filter_op op, str text, bool is_ip)
{
    struct line_filter_list *l = ARENA_NEW(p->arena, struct line_filter_list);
    struct line_filter f = {pos, op, new_match(p, text, is_ip), 1};
    VEC_PUSH_ARENA(p->arena, l, f);
    return l;
}

struct line_filter_list *build_line_filters(struct parse *p, struct line_filter_list *l,
                                            const struct line_filter_list *more)
{
    for (size_t i = 0; i < more->len; i++) {
        VEC_PUSH_ARENA(p->arena, l, more->items[i]);
    }
    return l;
}

struct line_match_list *build_alternative(struct parse *p, str text, bool is_ip,
                                          struct line_match_list *rest)
{
    struct line_match m = {.text = text, .is_ip = is_ip};
    if (rest == NULL) {
        rest = ARENA_NEW(p->arena, struct line_match_list);
    }
    VEC_PUSH_ARENA(p->arena, rest, m); /* the rule recurses to the right: last one first */
    return rest;
}

struct line_filter_list *build_or(struct parse *p, struct source_pos pos,
                                  struct line_filter_list *l, const struct line_match_list *more)
{
    struct line_filter *last = &l->items[l->len - 1];
    bool is_negated = last->op == LINE_NE || last->op == LINE_NRE || last->op == LINE_NOT_PATTERN;
    if (is_negated) { /* none of them: one filter for each */
        enum line_filter_op op = last->op;
        for (size_t i = more->len; i > 0; i--) {
            struct line_match m = more->items[i - 1];
            struct line_filter f = {pos, op, new_match(p, m.text, m.is_ip), 1};
            VEC_PUSH_ARENA(p->arena, l, f);
        }
        return l;
    }
    /* Where a chain is resumed behind an ip(), Loki forgets the alternatives it had. */
    struct line_match *matches = ARENA_ARRAY(p->arena, struct line_match, more->len + 1);
    matches[0] = last->matches[0];
    for (size_t i = 0; i < more->len; i++) {
        matches[i + 1] = more->items[more->len - 1 - i];
    }
    last->matches = matches;
    last->n_matches = more->len + 1;
    return l;
}

/* ---- label filters ---- */

static struct label_filter *new_filter(struct parse *p, struct source_pos pos,
                                       enum label_filter_kind kind)
{
    struct label_filter *f = ARENA_NEW(p->arena, struct label_filter);
    f->kind = kind;
    f->pos = pos;
    f->depth = 1;
    return f;
}

struct label_filter *build_filter_matcher(struct parse *p, struct source_pos pos,
                                          const struct matcher *m)
{
    struct label_filter *f = new_filter(p, pos, LABEL_FILTER_MATCHER);
    f->matcher = m;
    return f;
}

struct label_filter *build_filter_ip(struct parse *p, struct source_pos pos, str name,
                                     bool is_negated, str pattern)
{
    struct label_filter *f = new_filter(p, pos, LABEL_FILTER_IP);
    f->ip.name = name;
    f->ip.is_negated = is_negated;
    f->ip.pattern = pattern;
    return f;
}

struct label_filter *build_filter_value(struct parse *p, struct source_pos pos, str name,
                                        enum cmp_op op, struct cmp_value value)
{
    struct label_filter *f = new_filter(p, pos, value.kind);
    f->cmp.name = name;
    f->cmp.op = op;
    f->cmp.text = value.text;
    switch (value.kind) {
    case LABEL_FILTER_DURATION:
        f->cmp.duration_ns = value.duration_ns;
        break;
    case LABEL_FILTER_BYTES:
        f->cmp.bytes = value.bytes;
        break;
    default:
        f->cmp.number = value.number;
        break;
    }
    return f;
}

struct label_filter *build_filter_pair(struct parse *p, struct source_pos pos,
                                       enum label_filter_kind kind, const struct label_filter *l,
                                       const struct label_filter *r)
{
    struct label_filter *f = new_filter(p, pos, kind);
    f->pair.left = l;
    f->pair.right = r;
    f->depth = 1 + MAX(l->depth, r->depth);
    if (f->depth > LOGQL_FILTER_DEPTH_MAX) {
        error_set(&p->fatal, E_LIMIT,
                  "parse error : a label filter is nested too deeply (more than %d)",
                  LOGQL_FILTER_DEPTH_MAX);
        return NULL;
    }
    return f;
}

struct cmp_value build_number(struct lexer_value number, bool is_negative, str text)
{
    struct cmp_value v = {.kind = LABEL_FILTER_NUMBER, .text = text, .digits = number.text};
    v.rc = goparse_float(number.text, &v.number); /* what cannot be read is compared as 0 */
    v.number = is_negative ? -v.number : v.number;
    return v;
}

struct cmp_value build_duration(struct lexer_value duration)
{
    return (struct cmp_value){.kind = LABEL_FILTER_DURATION,
                              .text = duration.source,
                              .duration_ns = duration.duration_ns};
}

struct cmp_value build_bytes(struct lexer_value bytes)
{
    return (struct cmp_value){
        .kind = LABEL_FILTER_BYTES, .text = bytes.source, .bytes = bytes.bytes};
}

str build_span(const struct parse *p, struct source_pos from, struct lexer_value number)
{
    const char *begin = p->lexer.begin + from.offset;
    const char *end = number.source.ptr + number.source.len;
    return str_make(begin, (size_t)(end - begin));
}
