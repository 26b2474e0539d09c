/* logql/template/parser.h - what the parts of the template parser share: where it stands in the
 * tokens, how it fails, how nodes are made.
 *
 * statement.c reads text and actions, pipeline.c what stands inside an action.  Functions that
 * return a node return NULL after a failure; `failed` tells that from "there is none". */
#pragma once
#include "logql/template/call.h"
#include "logql/template/lex.h"

struct tparser {
    struct template *t;
    const struct template_funcs *funcs;
    tlex_tokens tokens;
    size_t at;
    uint32_t line;        /* of the token looked at last */
    uint32_t action_line; /* where the action began, 0 outside */
    VEC(str) vars;        /* that may be used here */
    int depth, range_depth;
    struct error *err;
    bool failed;
};

/* The token that comes next, and the one after the blanks; `next` also steps over it. */
const struct tlex_token *tparser_peek(struct tparser *p);
const struct tlex_token *tparser_next(struct tparser *p);
const struct tlex_token *tparser_peek_word(struct tparser *p);
const struct tlex_token *tparser_next_word(struct tparser *p);
/* The next word, which has to be of that type. */
const struct tlex_token *tparser_expect(struct tparser *p, enum tlex_type type,
                                        const char *context);

/* The first failure sets the error: template: line:1: text.  All return NULL. */
struct tnode *tparser_fail(struct tparser *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* `fmt` has one %s, which becomes `s` in Go's quotes. */
struct tnode *tparser_fail_quoted(struct tparser *p, const char *fmt, str s);
struct tnode *tparser_unexpected(struct tparser *p, const struct tlex_token *t,
                                 const char *context);

struct tnode *tparser_node(struct tparser *p, enum tnode_kind kind, uint32_t pos);
void tparser_add_kid(struct tparser *p, struct tnode *n, struct tnode *kid);
/* The text that a quoted token stands for, in the template's arena. */
bool tparser_unquote(struct tparser *p, const struct tlex_token *t, str *ret);
/* One level deeper; false if that is too deep.  The caller lowers `depth` again. */
bool tparser_enter(struct tparser *p);
