/* logql/builder.h - the nodes of the tree, made by the grammar's rules (inside logql/ only).
 *
 * Everything is allocated in the arena of the parse.  A function that can refuse returns NULL or
 * false with the reason in p->fatal, which ends the parse.  What Loki finds wrong only after the
 * whole text has been read becomes the `problem` of a node. */
#pragma once
#include "base/vec.h"
#include "logql/ast.h"
#include "logql/lexer.h"

/* What a tree keeps on the heap: its matchers, each once. */
struct expr_owned {
    VEC(struct matcher *) matchers;
};

struct parse {
    struct arena *arena;
    struct lexer lexer;
    struct error syntax; /* the first error of the lexer or the grammar */
    struct error fatal;  /* what ended the parse; goes before a syntax error */
    struct expr_owned *owned;
    struct expr *root;
};

/* Lists grow in the arena while a rule repeats. */
#define BUILDER_LIST(name, type)                                                                   \
    struct name {                                                                                  \
        type *items;                                                                               \
        size_t len, cap;                                                                           \
    }
BUILDER_LIST(expr_list, const struct expr *);
BUILDER_LIST(matcher_list, const struct matcher *);
BUILDER_LIST(stage_list, const struct stage *);
BUILDER_LIST(line_filter_list, struct line_filter);
BUILDER_LIST(line_match_list, struct line_match);
BUILDER_LIST(extraction_list, struct extraction);
BUILDER_LIST(label_format_list, struct label_format);
BUILDER_LIST(named_matcher_list, struct named_matcher);
BUILDER_LIST(str_list, str);
BUILDER_LIST(filter_list, const struct label_filter *);

struct unwrap_builder {
    struct unwrap node;
    struct filter_list filters;
};

struct binary_options {
    bool is_bool;
    struct vector_matching matching;
};

/* A number, duration or size that a label is compared with. */
struct cmp_value {
    enum label_filter_kind kind; /* NUMBER, DURATION or BYTES */
    int rc;                      /* of goparse_float(): 0x10 is a NUMBER, but no number */
    str text;
    str digits; /* the number without its sign */
    union {
        double number;
        int64_t duration_ns;
        uint64_t bytes;
    };
};

struct parser_flags {
    bool is_strict, is_keep_empty;
};

/* [range] offset */
struct span {
    int64_t range_ns, offset_ns;
};

static const struct parser_flags no_flags = {false, false};

/* One more item at the end of a list; NULL begins one. */
struct expr_list *build_exprs(struct parse *p, struct expr_list *l, const struct expr *e);
struct matcher_list *build_matchers(struct parse *p, struct matcher_list *l, struct matcher *m);
struct stage_list *build_stages(struct parse *p, struct stage_list *l, const struct stage *s);
struct extraction_list *build_extractions(struct parse *p, struct extraction_list *l,
                                          struct extraction e);
struct label_format_list *build_formats(struct parse *p, struct label_format_list *l,
                                        struct label_format f);
struct named_matcher_list *build_named_matchers(struct parse *p, struct named_matcher_list *l,
                                                struct named_matcher m);
struct str_list *build_names(struct parse *p, struct str_list *l, str name);

/* Expressions: logql/builder.c */
struct matcher *build_matcher(struct parse *p, str name, enum match_op op, str value);
struct expr *build_log(struct parse *p, struct source_pos pos, const struct matcher_list *matchers,
                       const struct stage_list *stages);
struct log_range *build_range(struct parse *p, struct source_pos pos,
                              const struct matcher_list *matchers, const struct stage_list *stages,
                              const struct unwrap_builder *unwrap, struct span span);
struct unwrap_builder *build_unwrap(struct parse *p, struct source_pos pos,
                                    enum unwrap_conversion conversion, str label);
struct unwrap_builder *build_unwrap_filter(struct parse *p, struct unwrap_builder *u,
                                           const struct label_filter *f);
/* `param` and `grouping` may be NULL. */
struct expr *build_range_agg(struct parse *p, struct source_pos pos, enum range_op op,
                             const str *param, const struct log_range *range,
                             const struct grouping *grouping);
struct expr *build_vector_agg(struct parse *p, struct source_pos pos, enum vector_op op,
                              const str *param, const struct expr *inner,
                              const struct grouping *grouping);
struct expr *build_binary(struct parse *p, struct source_pos pos, enum bin_op op,
                          const struct expr *left, const struct binary_options *options,
                          const struct expr *right);
struct expr *build_literal(struct parse *p, struct source_pos pos, struct cmp_value number);
struct expr *build_vector(struct parse *p, struct source_pos pos, struct lexer_value number);
struct expr *build_label_replace(struct parse *p, struct source_pos pos, const struct expr *inner,
                                 str dst, str replacement, str src, str regex);
struct expr *build_variants(struct parse *p, struct source_pos pos, const struct expr_list *l,
                            const struct log_range *range);
struct grouping build_grouping(bool is_without, const struct str_list *names);
struct binary_options *build_options(struct parse *p, bool is_bool);
struct binary_options *build_on(struct binary_options *o, bool is_on, const struct str_list *names);
struct binary_options *build_group(struct binary_options *o, enum vector_card card,
                                   const struct str_list *names);

/* Stages and label filters: logql/builder_stage.c */
struct stage *build_stage(struct parse *p, struct source_pos pos, enum stage_kind kind);
struct stage *build_stage_at(struct source_pos pos, struct stage *s);
struct stage *build_text_stage(struct parse *p, struct source_pos pos, enum stage_kind kind,
                               str text);
struct stage *build_extract_stage(struct parse *p, enum stage_kind kind,
                                  const struct extraction_list *l, struct parser_flags flags);
struct stage *build_regexp_stage(struct parse *p, str regex);
struct stage *build_pattern_stage(struct parse *p, str pattern);
struct stage *build_filter_stage(struct parse *p, struct source_pos pos,
                                 const struct label_filter *f);
struct stage *build_format_stage(struct parse *p, struct source_pos pos,
                                 const struct label_format_list *l);
struct stage *build_label_stage(struct parse *p, struct source_pos pos, enum stage_kind kind,
                                const struct named_matcher_list *l);
struct stage *build_line_filter_stage(struct parse *p, struct source_pos pos,
                                      const struct line_filter_list *l);
struct parser_flags build_flag(struct parser_flags flags, str flag);
struct line_filter_list *build_line_filter(struct parse *p, struct source_pos pos,
                                           enum line_filter_op op, str text, bool is_ip);
struct line_filter_list *build_line_filters(struct parse *p, struct line_filter_list *l,
                                            const struct line_filter_list *more);
/* `or`: another thing to look for, or, with a negated filter, another filter. */
struct line_filter_list *build_or(struct parse *p, struct source_pos pos,
                                  struct line_filter_list *l, const struct line_match_list *more);
struct line_match_list *build_alternative(struct parse *p, str text, bool is_ip,
                                          struct line_match_list *rest);

struct label_filter *build_filter_matcher(struct parse *p, struct source_pos pos,
                                          const struct matcher *m);
struct label_filter *build_filter_ip(struct parse *p, struct source_pos pos, str name,
                                     bool is_negated, str pattern);
struct label_filter *build_filter_value(struct parse *p, struct source_pos pos, str name,
                                        enum cmp_op op, struct cmp_value value);
struct label_filter *build_filter_pair(struct parse *p, struct source_pos pos,
                                       enum label_filter_kind kind, const struct label_filter *l,
                                       const struct label_filter *r);
struct cmp_value build_number(struct lexer_value number, bool is_negative, str text);
struct cmp_value build_duration(struct lexer_value duration);
struct cmp_value build_bytes(struct lexer_value bytes);
/* The text from a sign at `from` to the end of the number. */
str build_span(const struct parse *p, struct source_pos from, struct lexer_value number);
