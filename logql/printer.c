#include "logql/printer.h"

#include "base/bytesize.h"
#include "base/duration.h"
#include "base/gofmt.h"
#include "base/goquote.h"
#include "base/mem.h"
#include "logql/stages/regex_shape.h"
#include "proto/labels.h"

/* ---- selectors ---- */

/* A label name that no Prometheus metric could carry is printed as a string. */
static void print_name(str name, struct buf *out)
{
    if (label_name_is_valid(name)) {
        buf_append_str(out, name);
    } else {
        goquote(out, name);
    }
}

static void print_matcher(const struct matcher *m, struct buf *out)
{
    print_name(m->name, out);
    buf_append_c(out, match_op_text(m->op));
    goquote(out, m->value);
}

void logql_print_selector(const struct log_expr *log, struct buf *out)
{
    buf_append_char(out, '{');
    for (size_t i = 0; i < log->n_matchers; i++) {
        buf_append_c(out, i == 0 ? "" : ", ");
        print_matcher(log->matchers[i], out);
    }
    buf_append_char(out, '}');
}

/* ---- label filters ---- */

/* Loki keeps a regex that it cannot turn into plain comparisons, and prints it between backquotes;
 * the others are printed as matchers. */
static bool is_kept_as_regex(const struct matcher *m)
{
    if (m->op != MATCH_RE) {
        return false;
    }
    struct arena arena;
    struct regex_shape shape;
    arena_init(&arena, SIZE_MAX);
    regex_shape_parse(m->value, REGEX_SHAPE_LABEL, &arena, &shape);
    arena_deinit(&arena);
    return shape.kind == REGEX_SHAPE_NONE;
}

static void print_filter_matcher(const struct matcher *m, struct buf *out)
{
    if (is_kept_as_regex(m)) {
        print_name(m->name, out);
        buf_append_c(out, "=~`");
        buf_append_str(out, m->value);
        buf_append_char(out, '`');
    } else {
        print_matcher(m, out);
    }
}

/* humanize.Bytes without its space: 1.2MiB becomes 1.3MB. */
static void print_bytes(uint64_t bytes, struct buf *out)
{
    size_t from = out->len;
    bytesize_append(out, bytes);
    char *space = out->failed ? NULL : memchr(out->ptr + from, ' ', out->len - from);
    if (space != NULL) {
        memmove(space, space + 1, (size_t)(out->ptr + out->len - space - 1));
        out->len--;
    }
}

static void print_cmp(const struct label_filter *f, struct buf *out)
{
    buf_append_str(out, f->cmp.name);
    buf_append_c(out, cmp_op_text(f->cmp.op));
    if (f->kind == LABEL_FILTER_NUMBER) {
        gofmt_float(out, f->cmp.number, 'f', -1);
    } else if (f->kind == LABEL_FILTER_DURATION) {
        duration_append_go(out, f->cmp.duration_ns);
    } else {
        print_bytes(f->cmp.bytes, out);
    }
}

void logql_print_label_filter(const struct label_filter *f, struct buf *out)
{
    switch (f->kind) {
    case LABEL_FILTER_AND:
    case LABEL_FILTER_OR:
        buf_append_c(out, "( ");
        logql_print_label_filter(f->pair.left, out);
        buf_append_c(out, f->kind == LABEL_FILTER_AND ? " , " : " or ");
        logql_print_label_filter(f->pair.right, out);
        buf_append_c(out, " )");
        break;
    case LABEL_FILTER_MATCHER:
        print_filter_matcher(f->matcher, out);
        break;
    case LABEL_FILTER_NUMBER:
    case LABEL_FILTER_DURATION:
    case LABEL_FILTER_BYTES:
        print_cmp(f, out);
        break;
    case LABEL_FILTER_IP:
        buf_append_str(out, f->ip.name);
        buf_append_c(out, f->ip.is_negated ? "!=ip(" : "=ip(");
        goquote(out, f->ip.pattern);
        buf_append_char(out, ')');
        break;
    }
}

/* ---- stages ---- */

static void print_line_match(const struct line_match *m, struct buf *out)
{
    buf_append_c(out, m->is_ip ? "ip(" : "");
    goquote(out, m->text);
    buf_append_c(out, m->is_ip ? ")" : "");
}

void logql_print_line_filter(const struct line_filter *f, struct buf *out)
{
    buf_append_c(out, line_filter_op_text(f->op));
    for (size_t i = 0; i < f->n_matches; i++) {
        buf_append_c(out, i == 0 ? " " : " or ");
        print_line_match(&f->matches[i], out);
    }
}

static void print_extract(const struct stage *s, struct buf *out)
{
    buf_append_c(out, s->kind == STAGE_JSON ? "| json" : "| logfmt");
    buf_append_c(out, s->extract.is_strict ? " --strict" : "");
    buf_append_c(out, s->extract.is_keep_empty ? " --keep-empty" : "");
    for (size_t i = 0; i < s->extract.n; i++) {
        buf_append_char(out, i == 0 ? ' ' : ',');
        buf_append_str(out, s->extract.items[i].label);
        buf_append_char(out, '=');
        goquote(out, s->extract.items[i].expression);
    }
}

static void print_formats(const struct stage *s, struct buf *out)
{
    buf_append_c(out, "| label_format");
    for (size_t i = 0; i < s->formats.n; i++) {
        const struct label_format *f = &s->formats.items[i];
        buf_append_char(out, i == 0 ? ' ' : ',');
        buf_append_str(out, f->label);
        buf_append_char(out, '=');
        if (f->is_rename) {
            buf_append_str(out, f->value);
        } else {
            goquote(out, f->value);
        }
    }
}

static void print_labels(const struct stage *s, struct buf *out)
{
    buf_append_c(out, s->kind == STAGE_DROP ? "| drop" : "| keep");
    for (size_t i = 0; i < s->labels.n; i++) {
        buf_append_char(out, i == 0 ? ' ' : ',');
        if (s->labels.items[i].matcher != NULL) {
            print_matcher(s->labels.items[i].matcher, out);
        } else {
            buf_append_str(out, s->labels.items[i].name);
        }
    }
}

static void print_text_stage(const char *word, str text, struct buf *out)
{
    buf_append_c(out, word);
    goquote(out, text);
}

void logql_print_stage(const struct stage *s, struct buf *out)
{
    switch (s->kind) {
    case STAGE_LINE_FILTER:
        for (size_t i = 0; i < s->filters.n; i++) {
            buf_append_c(out, i == 0 ? "" : " ");
            logql_print_line_filter(&s->filters.items[i], out);
        }
        break;
    case STAGE_JSON:
    case STAGE_LOGFMT:
        print_extract(s, out);
        break;
    case STAGE_REGEXP:
        print_text_stage("| regexp ", s->text, out);
        break;
    case STAGE_PATTERN:
        print_text_stage("| pattern ", s->text, out);
        break;
    case STAGE_UNPACK:
        buf_append_c(out, "| unpack");
        break;
    case STAGE_DECOLORIZE:
        buf_append_c(out, "| decolorize");
        break;
    case STAGE_LABEL_FILTER:
        buf_append_c(out, "| ");
        logql_print_label_filter(s->filter, out);
        break;
    case STAGE_LINE_FORMAT:
        print_text_stage("| line_format ", s->text, out);
        break;
    case STAGE_LABEL_FORMAT:
        print_formats(s, out);
        break;
    case STAGE_DROP:
    case STAGE_KEEP:
        print_labels(s, out);
        break;
    }
}

void logql_print_log(const struct log_expr *log, struct buf *out)
{
    logql_print_selector(log, out);
    for (size_t i = 0; i < log->n_stages; i++) {
        buf_append_char(out, ' ');
        logql_print_stage(log->stages[i], out);
    }
}

/* ---- expressions ---- */

void logql_print_names(const str *names, size_t n, const char *joint, struct buf *out)
{
    buf_append_char(out, '(');
    for (size_t i = 0; i < n; i++) {
        buf_append_c(out, i == 0 ? "" : joint);
        buf_append_str(out, names[i]);
    }
    buf_append_char(out, ')');
}

static void print_grouping(const struct grouping *g, struct buf *out)
{
    buf_append_c(out, g->is_without ? " without " : " by ");
    logql_print_names(g->labels, g->n, ",", out);
}

void logql_print_unwrap(const struct unwrap *u, struct buf *out)
{
    bool is_converted = u->conversion != UNWRAP_NUMBER;
    buf_append_c(out, "| unwrap ");
    buf_append_c(out, unwrap_conversion_text(u->conversion));
    buf_append_c(out, is_converted ? "(" : "");
    buf_append_str(out, u->label);
    buf_append_c(out, is_converted ? ")" : "");
}

static void print_unwrap(const struct unwrap *u, struct buf *out)
{
    buf_append_char(out, ' ');
    logql_print_unwrap(u, out);
    for (size_t i = 0; i < u->n_filters; i++) {
        buf_append_c(out, " | ");
        logql_print_label_filter(u->filters[i], out);
    }
}

static void print_range(const struct log_range *r, struct buf *out)
{
    logql_print_log(&r->log, out);
    if (r->unwrap != NULL) {
        print_unwrap(r->unwrap, out);
    }
    buf_append_char(out, '[');
    duration_append_prom(out, r->range_ns);
    buf_append_char(out, ']');
    if (r->offset_ns != 0) {
        buf_append_c(out, " offset ");
        duration_append_go(out, r->offset_ns);
    }
}

static void print_range_agg(const struct expr *e, struct buf *out)
{
    buf_append_c(out, range_op_text(e->range_agg.op));
    buf_append_char(out, '(');
    if (e->range_agg.has_param) {
        gofmt_float(out, e->range_agg.param, 'f', -1);
        buf_append_char(out, ',');
    }
    print_range(&e->range_agg.range, out);
    buf_append_char(out, ')');
    if (e->range_agg.grouping.is_present) {
        print_grouping(&e->range_agg.grouping, out);
    }
}

static void print_vector_agg(const struct expr *e, struct buf *out)
{
    const struct grouping *g = &e->vector_agg.grouping;
    buf_append_c(out, vector_op_text(e->vector_agg.op));
    if (g->is_without || g->n > 0) {
        print_grouping(g, out);
    }
    buf_append_char(out, '(');
    if (e->vector_agg.param != 0) {
        buf_append_i64(out, e->vector_agg.param);
        buf_append_char(out, ',');
    }
    logql_print(e->vector_agg.inner, out);
    buf_append_char(out, ')');
}

/* The operator and its modifiers: > bool on (a) group_left (b).  Two spaces follow on() where there
 * is no group, as in Loki.  An empty list behind group_left keeps a parenthesis that follows from
 * being taken for the list; Loki lacks it. */
void logql_print_binary_op(const struct expr *e, const char *joint, struct buf *out)
{
    static const char *const groups[] = {"", "group_left", "group_right"};
    const struct vector_matching *m = &e->binary.matching;
    buf_append_c(out, bin_op_text(e->binary.op));
    buf_append_c(out, e->binary.is_bool ? " bool" : "");
    if (!m->is_on && m->n_labels == 0) {
        return;
    }
    buf_append_c(out, m->is_on ? " on " : " ignoring ");
    logql_print_names(m->labels, m->n_labels, joint, out);
    buf_append_char(out, ' ');
    buf_append_c(out, groups[m->card]);
    bool needs_list = m->card != CARD_ONE_TO_ONE && e->binary.right->kind == EXPR_BINARY;
    if (m->n_include > 0 || needs_list) {
        buf_append_char(out, ' ');
        logql_print_names(m->include, m->n_include, joint, out);
    }
}

static void print_binary(const struct expr *e, struct buf *out)
{
    buf_append_char(out, '(');
    logql_print(e->binary.left, out);
    buf_append_char(out, ' ');
    logql_print_binary_op(e, ",", out);
    buf_append_char(out, ' ');
    logql_print(e->binary.right, out);
    buf_append_char(out, ')');
}

static void print_label_replace(const struct expr *e, struct buf *out)
{
    const str args[] = {e->label_replace.dst, e->label_replace.replacement, e->label_replace.src,
                        e->label_replace.regex};
    buf_append_c(out, "label_replace(");
    logql_print(e->label_replace.inner, out);
    for (size_t i = 0; i < ARRAY_LEN(args); i++) {
        buf_append_char(out, ',');
        goquote(out, args[i]);
    }
    buf_append_char(out, ')');
}

static void print_variants(const struct expr *e, struct buf *out)
{
    buf_append_c(out, "variants(");
    for (size_t i = 0; i < e->variants.n; i++) {
        buf_append_c(out, i == 0 ? "" : ", ");
        logql_print(e->variants.items[i], out);
    }
    buf_append_c(out, ") of (");
    print_range(&e->variants.range, out);
    buf_append_char(out, ')');
}

void logql_print(const struct expr *e, struct buf *out)
{
    switch (e->kind) {
    case EXPR_LOG:
        logql_print_log(&e->log, out);
        break;
    case EXPR_RANGE_AGG:
        print_range_agg(e, out);
        break;
    case EXPR_VECTOR_AGG:
        print_vector_agg(e, out);
        break;
    case EXPR_BINARY:
        print_binary(e, out);
        break;
    case EXPR_LITERAL:
        gofmt_float_v(out, e->number);
        break;
    case EXPR_VECTOR:
        buf_append_c(out, "vector(");
        gofmt_float(out, e->number, 'f', 6);
        buf_append_char(out, ')');
        break;
    case EXPR_LABEL_REPLACE:
        print_label_replace(e, out);
        break;
    case EXPR_VARIANTS:
        print_variants(e, out);
        break;
    }
}
