/* logql/stages/regex_shape.h - what a filter by regex comes down to: comparisons with literals, or
 * a literal that must be there before RE2 need be asked.
 *
 * The forms that become literals are those that Loki rewrites, with the result that Loki's
 * rewriting has: in a label filter foo.* means "contains foo".  Shapes live in an arena and are
 * immutable. */
#pragma once
#include "base/arena.h"

enum regex_shape_kind {
    REGEX_SHAPE_NONE,     /* RE2 decides */
    REGEX_SHAPE_ANY,      /* everything matches */
    REGEX_SHAPE_SOME,     /* everything but the empty text */
    REGEX_SHAPE_LITERALS, /* any of the literals */
};

struct regex_literal {
    str text; /* not empty */
    bool is_caseless;
    bool is_whole; /* is the text, rather than stands in it */
};

struct regex_shape {
    enum regex_shape_kind kind;
    const struct regex_literal *literals; /* [n] */
    size_t n;
    /* NONE: one of these stands in every text that matches; n_required 0: nothing is known. */
    const struct regex_literal *required;
    size_t n_required;
};

enum regex_shape_use { REGEX_SHAPE_LINE, REGEX_SHAPE_LABEL };

/* `re` has been compiled by RE2 without complaint. */
void regex_shape_parse(str re, enum regex_shape_use use, struct arena *a, struct regex_shape *ret);

/* Of a shape that is not NONE. */
bool regex_shape_is_match(const struct regex_shape *s, str text);
