/* logql/template/lex.h - cuts a template into tokens, as Go's text/template/parse does. */
#pragma once
#include "base/vec.h"

enum tlex_type {
    TLEX_ERROR, /* val is the message; nothing follows */
    TLEX_EOF,
    TLEX_TEXT,
    TLEX_LEFT_DELIM,
    TLEX_RIGHT_DELIM,
    TLEX_SPACE,
    TLEX_ASSIGN,
    TLEX_DECLARE,
    TLEX_PIPE,
    TLEX_LEFT_PAREN,
    TLEX_RIGHT_PAREN,
    TLEX_BOOL,
    TLEX_CHAR, /* any other printable ASCII character; the comma matters */
    TLEX_CHAR_CONSTANT,
    TLEX_NUMBER,
    TLEX_STRING,
    TLEX_RAW_STRING,
    TLEX_IDENTIFIER,
    TLEX_FIELD, /* .name */
    TLEX_VARIABLE,
    /* keywords from here on */
    TLEX_DOT,
    TLEX_BLOCK,
    TLEX_BREAK,
    TLEX_CONTINUE,
    TLEX_DEFINE,
    TLEX_ELSE,
    TLEX_END,
    TLEX_IF,
    TLEX_NIL,
    TLEX_RANGE,
    TLEX_TEMPLATE,
    TLEX_WITH,
};

struct tlex_token {
    enum tlex_type type;
    uint32_t pos;
    uint32_t line; /* from 1 */
    str val;       /* as written */
};

typedef VEC(struct tlex_token) tlex_tokens;

/* Appends all tokens of `text`; the last one is TLEX_EOF or TLEX_ERROR.  Tokens and what they point
 * to live in the arena or in `text`. */
void tlex(str text, struct arena *arena, tlex_tokens *ret);
