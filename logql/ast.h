/* logql/ast.h - the tree of a LogQL query, as logql_parse() builds it.
 *
 * Ownership: every node, array and string lives in the arena given to logql_parse(); only compiled
 * label matchers hold heap memory, freed by logql_release() on the root.  A parsed tree is
 * immutable: any number of threads may read it.
 * Every node keeps the place in the query where it begins.  Arrays are NULL when empty. */
#pragma once
#include "base/str.h"
#include "proto/matcher.h"

/* Where a node begins: byte offset from 0, line and column (in characters) from 1. */
struct source_pos {
    uint32_t offset;
    uint32_t line;
    uint32_t col;
};

/* ---- label filters: | a="b" and size > 10KB or ip = ip("10.0.0.0/8") ---- */

enum cmp_op { CMP_EQ, CMP_NE, CMP_GT, CMP_GE, CMP_LT, CMP_LE };

enum label_filter_kind {
    LABEL_FILTER_AND,
    LABEL_FILTER_OR,
    LABEL_FILTER_MATCHER,  /* a="b", a!="b", a=~"b", a!~"b" */
    LABEL_FILTER_NUMBER,   /* a > 1.5 */
    LABEL_FILTER_DURATION, /* a > 1m30s */
    LABEL_FILTER_BYTES,    /* a > 10KB */
    LABEL_FILTER_IP,       /* a = ip("..."), a != ip("...") */
};

struct label_filter {
    enum label_filter_kind kind;
    uint32_t depth; /* nodes to the deepest leaf; at most LOGQL_FILTER_DEPTH_MAX */
    struct source_pos pos;
    union {
        struct {
            const struct label_filter *left, *right;
        } pair;                        /* AND, OR */
        const struct matcher *matcher; /* MATCHER */
        struct {
            str name;
            enum cmp_op op;
            str text; /* the value as it was written, a sign before it included */
            union {
                double number;
                int64_t duration_ns;
                uint64_t bytes;
            };
        } cmp; /* NUMBER, DURATION, BYTES */
        struct {
            str name;
            str pattern;
            bool is_negated; /* a != ip() */
        } ip;                /* IP; the pattern is checked by the stage compiler */
    };
};

/* ---- stages ---- */

enum line_filter_op {
    LINE_EQ,          /* |= */
    LINE_NE,          /* != */
    LINE_RE,          /* |~ */
    LINE_NRE,         /* !~ */
    LINE_PATTERN,     /* |> */
    LINE_NOT_PATTERN, /* !> */
};

/* One thing a line filter looks for. */
struct line_match {
    str text;
    bool is_ip; /* ip("...") */
};

/* One filter of a chain: the line passes when any of `matches` is met.  The parser turns
 * != "a" or "b" into two filters, so more than one match occurs with |=, |~ and |> only.  There,
 * as in Loki, ip() has lost its meaning: each `text` is compared as if it stood alone. */
struct line_filter {
    struct source_pos pos;
    enum line_filter_op op;
    const struct line_match *matches;
    size_t n_matches; /* at least 1 */
};

/* label="expression" of json and logfmt; a bare label has itself as the expression. */
struct extraction {
    str label;
    str expression;
};

/* a="template" or a=b of label_format. */
struct label_format {
    struct source_pos pos;
    str label;
    str value;
    bool is_rename; /* value is the name of another label */
};

/* One item of drop and keep: a name, or a condition under which the label is dropped or kept. */
struct named_matcher {
    str name;                      /* filled in both cases */
    const struct matcher *matcher; /* NULL: the name alone */
};

enum stage_kind {
    STAGE_LINE_FILTER,
    STAGE_JSON,
    STAGE_LOGFMT,
    STAGE_REGEXP,
    STAGE_PATTERN,
    STAGE_UNPACK,
    STAGE_DECOLORIZE,
    STAGE_LABEL_FILTER,
    STAGE_LINE_FORMAT,
    STAGE_LABEL_FORMAT,
    STAGE_DROP,
    STAGE_KEEP,
};

struct stage {
    enum stage_kind kind;
    struct source_pos pos;
    union {
        struct {
            const struct line_filter *items; /* all must pass, in this order */
            size_t n;
        } filters; /* LINE_FILTER */
        struct {
            const struct extraction *items; /* none: every field of the line */
            size_t n;
            bool is_strict;     /* logfmt --strict */
            bool is_keep_empty; /* logfmt --keep-empty */
        } extract;              /* JSON, LOGFMT */
        str text;               /* REGEXP, PATTERN: the expression; LINE_FORMAT: the template */
        const struct label_filter *filter; /* LABEL_FILTER */
        struct {
            const struct label_format *items;
            size_t n;
        } formats; /* LABEL_FORMAT */
        struct {
            const struct named_matcher *items;
            size_t n;
        } labels; /* DROP, KEEP */
    };
};

/* ---- expressions ---- */

enum range_op {
    RANGE_COUNT_OVER_TIME,
    RANGE_RATE,
    RANGE_RATE_COUNTER,
    RANGE_BYTES_OVER_TIME,
    RANGE_BYTES_RATE,
    RANGE_AVG_OVER_TIME,
    RANGE_SUM_OVER_TIME,
    RANGE_MIN_OVER_TIME,
    RANGE_MAX_OVER_TIME,
    RANGE_STDVAR_OVER_TIME,
    RANGE_STDDEV_OVER_TIME,
    RANGE_QUANTILE_OVER_TIME,
    RANGE_FIRST_OVER_TIME,
    RANGE_LAST_OVER_TIME,
    RANGE_ABSENT_OVER_TIME,
};

enum vector_op {
    VECTOR_SUM,
    VECTOR_AVG,
    VECTOR_COUNT,
    VECTOR_MAX,
    VECTOR_MIN,
    VECTOR_STDDEV,
    VECTOR_STDVAR,
    VECTOR_BOTTOMK,
    VECTOR_TOPK,
    VECTOR_SORT,
    VECTOR_SORT_DESC,
    VECTOR_APPROX_TOPK, /* not enabled by default: logql_check_enabled() */
};

enum bin_op {
    BIN_OR,
    BIN_AND,
    BIN_UNLESS,
    BIN_ADD,
    BIN_SUB,
    BIN_MUL,
    BIN_DIV,
    BIN_MOD,
    BIN_POW,
    BIN_EQ,
    BIN_NE,
    BIN_GT,
    BIN_GE,
    BIN_LT,
    BIN_LE,
};

/* by (...) and without (...).  A vector aggregation that names no grouping has by () with
 * is_present false: both mean one series without labels. */
struct grouping {
    bool is_present;
    bool is_without;
    const str *labels;
    size_t n;
};

enum unwrap_conversion { UNWRAP_NUMBER, UNWRAP_BYTES, UNWRAP_DURATION, UNWRAP_DURATION_SECONDS };

/* | unwrap bytes(size) | __error__="" */
struct unwrap {
    struct source_pos pos;
    str label;
    enum unwrap_conversion conversion;
    const struct label_filter *const *filters; /* run after the conversion, in this order */
    size_t n_filters;
};

enum vector_card {
    CARD_ONE_TO_ONE,
    CARD_MANY_TO_ONE, /* group_left */
    CARD_ONE_TO_MANY, /* group_right */
};

/* How the two sides of a binary operation find each other. */
struct vector_matching {
    enum vector_card card;
    bool is_on;      /* on (labels); otherwise ignoring (labels), maybe of no label at all */
    bool has_labels; /* on or ignoring names at least one label */
    const str *labels;
    size_t n_labels;
    const str *include; /* group_left (labels) */
    size_t n_include;
};

enum expr_kind {
    EXPR_LOG,           /* {a="b"} |= "c" | json */
    EXPR_RANGE_AGG,     /* rate({a="b"} [5m] offset 1h) */
    EXPR_VECTOR_AGG,    /* topk by (a) (3, ...) */
    EXPR_BINARY,        /* never two literals: those are folded into one */
    EXPR_LITERAL,       /* 1.5 */
    EXPR_VECTOR,        /* vector(1.5) */
    EXPR_LABEL_REPLACE, /* label_replace(v, "dst", "replacement", "src", "regex") */
    EXPR_VARIANTS,      /* variants(v, ...) of ({a="b"} [5m]); not enabled by default */
};

struct log_expr {
    const struct matcher *const *matchers;
    size_t n_matchers;
    const struct stage *const *stages;
    size_t n_stages;
};

/* What stands in the parentheses of a range aggregation. */
struct log_range {
    struct source_pos pos;
    struct log_expr log;
    int64_t range_ns;
    int64_t offset_ns;           /* may be negative */
    const struct unwrap *unwrap; /* NULL: lines are counted, not values */
};

struct expr {
    enum expr_kind kind;
    struct source_pos pos;
    uint32_t depth; /* nodes from here to the deepest leaf; at most LOGQL_DEPTH_MAX */
    union {
        struct log_expr log; /* LOG */
        struct {
            enum range_op op;
            bool has_param;
            double param; /* of quantile_over_time */
            struct log_range range;
            struct grouping grouping;
        } range_agg;
        struct {
            enum vector_op op;
            int64_t param; /* k of topk, bottomk and approx_topk, at least 1; else 0 */
            const struct expr *inner;
            struct grouping grouping;
        } vector_agg;
        struct {
            enum bin_op op;
            bool is_bool;
            const struct expr *left, *right;
            struct vector_matching matching;
        } binary;
        double number; /* LITERAL, VECTOR */
        struct {
            const struct expr *inner;
            str dst, replacement, src;
            str regex; /* as written: compile with REGEX_ANCHORED */
        } label_replace;
        struct {
            const struct expr *const *items;
            size_t n;
            struct log_range range;
        } variants;
    };
    str problem; /* the parser's note to the checks; empty in a tree that logql_parse() returned */
    struct expr_owned *owned; /* on the root only: what logql_release() frees */
};

/* Nesting that the parser accepts, of expressions and of the label filters of one stage; whoever
 * walks the tree may recurse that deep.  Long `or` chains of label filters are nested, too. */
#define LOGQL_DEPTH_MAX        1000
#define LOGQL_FILTER_DEPTH_MAX 8000

/* Log queries give lines, everything else gives samples. */
static inline bool expr_is_log(const struct expr *e)
{
    return e->kind == EXPR_LOG;
}

static inline bool bin_op_is_comparison(enum bin_op op)
{
    return op >= BIN_EQ;
}

static inline bool bin_op_is_set(enum bin_op op)
{
    return op <= BIN_UNLESS;
}

/* The words of the language, static storage: "count_over_time", "topk", ">=", "|~", "!=". */
const char *range_op_text(enum range_op op);
const char *vector_op_text(enum vector_op op);
const char *bin_op_text(enum bin_op op);
const char *line_filter_op_text(enum line_filter_op op);
/* CMP_EQ is "==", as it is printed for numbers, durations and bytes. */
const char *cmp_op_text(enum cmp_op op);
/* "bytes", "duration", "duration_seconds", "" for UNWRAP_NUMBER. */
const char *unwrap_conversion_text(enum unwrap_conversion conversion);

/* The log range at or below `e` that is met first, going left; NULL for literals and vector(). */
const struct log_expr *expr_first_log(const struct expr *e);
