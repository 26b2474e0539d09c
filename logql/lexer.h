/* logql/lexer.h - LogQL text into tokens, with Loki's idea of what a token is and where it stands.
 *
 * Loki reads with Go's text/scanner and looks a character ahead for operators and units of two and
 * more.  Two habits come with that and are kept, since users see them in error texts: a token that
 * was completed by looking ahead is reported on line 0, and Go's comments are skipped as well as #.
 * Threads: none; one lexer per parse.  The text must outlive the lexer and is not changed. */
#pragma once
#include "base/arena.h"
#include "logql/ast.h"

/* What the parser learns about a token besides its kind. */
struct lexer_value {
    str text;            /* IDENTIFIER, NUMBER, FLAG: as written; STRING: what it stands for */
    str source;          /* the token as it was written */
    int64_t duration_ns; /* DURATION, RANGE */
    uint64_t bytes;      /* BYTES */
};

struct lexer {
    struct arena *arena;
    const char *begin, *end; /* the text; *end is NUL */
    const char *cursor;
    const char *counted;     /* line and col hold for this place */
    uint32_t line, col;      /* of `counted`, both from 1 */
    struct source_pos token; /* where the newest token begins */
    bool is_line_lost;       /* the newest token was completed by looking ahead: line 0 */
    bool is_gap_before;      /* white space or a comment stands before the newest token */
    struct error *err;       /* the first error of the text is kept */
};

/* `text` is copied into the arena.  Errors go to `err` (never NULL) as Loki words them, with the
 * position in front; the lexer goes on after an error. */
void lexer_init(struct lexer *lx, struct arena *a, str text, struct error *err);
/* The next token: one of the kinds of logql/grammar.h, 0 at the end or after a malformed token. */
int lexer_next(struct lexer *lx, struct lexer_value *ret);
/* Reports an error at the newest token: "parse error at line 1, col 5: <message>". */
void lexer_error(struct lexer *lx, const char *message);
