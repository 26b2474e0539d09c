/* promtail/stages/jmespath_node.h - what jmespath_*.c share: tokens, the tree, functions. */
#pragma once
#include "promtail/stages/jmespath.h"

/* --- tokens (jmespath_lex.c) --- */

enum jmes_token {
    JMES_END,
    JMES_NAME,   /* a_1 */
    JMES_QUOTED, /* "a b" */
    JMES_RAW,    /* 'text' */
    JMES_JSON,   /* `1` */
    JMES_NUMBER,
    JMES_DOT,
    JMES_STAR,
    JMES_FLATTEN,  /* [] */
    JMES_FILTER,   /* [? */
    JMES_LBRACKET, /* [ */
    JMES_RBRACKET,
    JMES_LBRACE,
    JMES_RBRACE,
    JMES_LPAREN,
    JMES_RPAREN,
    JMES_COMMA,
    JMES_COLON,
    JMES_CURRENT, /* @ */
    JMES_EXPREF,  /* & */
    JMES_PIPE,
    JMES_OR,
    JMES_AND,
    JMES_NOT,
    JMES_EQ,
    JMES_NE,
    JMES_LT,
    JMES_LE,
    JMES_GT,
    JMES_GE,
    JMES_BAD, /* no token begins here, or one does not end */
};

struct jmes_lexeme {
    enum jmes_token kind;
    str text; /* names and strings: what they stand for; NUMBER, JSON: as written */
    size_t at;
};

/* The token at text[from ..) behind white space; *ret_end is where the next one begins. */
struct jmes_lexeme jmes_lex(str text, size_t from, struct arena *a, size_t *ret_end);

/* --- the tree --- */

enum jmes_kind {
    JMES_N_IDENTITY, /* @ too */
    JMES_N_BROKEN,   /* fails */
    JMES_N_FIELD,    /* text */
    JMES_N_INDEX,    /* number */
    JMES_N_SLICE,    /* slice */
    JMES_N_CHAIN,    /* left, then right on its result: a.b, a[0], a | b */
    JMES_N_PROJECT,  /* left is an array: right on each item */
    JMES_N_PROJECT_VALUES,
    JMES_N_PROJECT_FILTER, /* with condition `third` */
    JMES_N_FLATTEN,        /* left */
    JMES_N_LITERAL,
    JMES_N_LIST, /* items */
    JMES_N_HASH, /* items, keys */
    JMES_N_CMP,  /* token, left, right */
    JMES_N_OR,
    JMES_N_AND,
    JMES_N_NOT,    /* left */
    JMES_N_CALL,   /* function, items */
    JMES_N_EXPREF, /* left */
};

struct jmes_slice {
    bool has[3];
    int64_t part[3]; /* start, stop, step */
};

struct jmes_function;

struct jmespath {
    enum jmes_kind kind;
    enum jmes_token token; /* of a comparison */
    int64_t number;
    str text;
    struct jmes_slice slice;
    const struct json_tree *literal;
    const struct jmespath *left, *right, *third;
    const struct jmespath **items;
    str *keys;
    size_t n;
    const struct jmes_function *function; /* NULL: there is none of that name */
};

/* --- searching --- */

struct jmes_run {
    struct arena *arena;
    unsigned depth;
    size_t steps;
    bool failed;
    bool is_exhausted; /* failed for good: a limit was reached */
};

/* Never NULL: after a failure a null tree, with run->failed set. */
const struct json_tree *jmes_eval(struct jmes_run *run, const struct jmespath *e,
                                  const struct json_tree *v);
bool jmes_is_false(const struct json_tree *v);

extern const struct json_tree jmes_null;
const struct json_tree *jmes_fail(struct jmes_run *run);
const struct json_tree *jmes_bool(bool b);
const struct json_tree *jmes_number(struct jmes_run *run, double n);
const struct json_tree *jmes_string(struct jmes_run *run, str s);
/* A limit was reached: the whole search fails. */
const struct json_tree *jmes_exhaust(struct jmes_run *run);
/* An array with room for n items, .n = 0. */
struct json_tree *jmes_array(struct jmes_run *run, size_t n);

/* --- functions (jmespath_funcs.c) --- */

const struct jmes_function *jmes_function_find(str name);
const struct json_tree *jmes_call(struct jmes_run *run, const struct jmes_function *f,
                                  const struct json_tree **args, size_t n);
