/* logql/template/node.h - the tree a template is parsed into.  All of it lies in its arena. */
#pragma once
#include "base/vec.h"
#include "logql/template/template.h"

enum tnode_kind {
    TNODE_TEXT,
    TNODE_LIST,
    TNODE_ACTION,
    TNODE_IF,
    TNODE_RANGE,
    TNODE_WITH,
    TNODE_TEMPLATE,
    TNODE_BREAK,
    TNODE_CONTINUE,
    TNODE_ELSE, /* while parsing only */
    TNODE_END,  /* while parsing only */
    TNODE_PIPE,
    TNODE_COMMAND,
    TNODE_IDENTIFIER,
    TNODE_FIELD,
    TNODE_VARIABLE,
    TNODE_CHAIN,
    TNODE_DOT,
    TNODE_NIL,
    TNODE_BOOL,
    TNODE_NUMBER,
    TNODE_STRING,
};

struct template_func;

struct tnode {
    enum tnode_kind kind;
    uint32_t pos; /* byte offset in the template */
    /* TEXT: the text; IDENTIFIER, TEMPLATE: the name; NUMBER: as written; STRING: as written */
    str text;
    struct tval value;                /* STRING, BOOL; NUMBER: as an ideal constant */
    const struct template_func *func; /* IDENTIFIER */
    bool is_int, is_float, is_bad;    /* NUMBER: what it fits; is_bad: overflows an int */
    int64_t i;
    double f;
    /* FIELD a.b: {a, b}; VARIABLE $x.a: {$x, a}; CHAIN: the fields behind kids[0] */
    VEC(str) idents;
    VEC(struct tnode *) kids; /* LIST items, PIPE commands, COMMAND arguments, CHAIN operand */
    VEC(struct tnode *) decl; /* PIPE: the variables it sets */
    bool is_assign;           /* PIPE: = rather than := */
    struct tnode *pipe, *list, *else_list; /* ACTION, IF, RANGE, WITH, TEMPLATE */
    struct tnode *label; /* ACTION: the FIELD, if it is {{.name}} and nothing else */
};

/* A named template; the first is the main one. */
struct tnode_tree {
    str name;
    struct tnode *root; /* LIST */
};

struct template
{
    struct arena arena;
    str name, text;
    VEC(struct tnode_tree) trees;
    VEC(str) fields; /* labels it reads */
    bool any_field;  /* it may read all of them */
    bool needs_line;
};

struct tnode_tree *template_find_tree(const struct template *t, str name);
/* Appends the source text of a node, as Go's errors quote it. */
void tnode_append_text(const struct tnode *n, struct buf *b);
/* Fills in fields, any_field and needs_line. */
void template_collect_fields(struct template *t);
