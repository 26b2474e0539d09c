/* logql/stages/regex_node.h - the outline of a regular expression: literals, .* and alternatives.
 *
 * Loki rewrites filters by regex into comparisons with literals where the parsed expression has
 * certain forms, and the rewriting shows: | level=~"err.*" is true for any level that contains
 * err.  So the forms matter, down to how Go's parser factors common prefixes (warn|warning becomes
 * warn(?:|ing)).  What is none of these forms comes out as OTHER. */
#pragma once
#include "base/arena.h"

enum regex_node_kind {
    REGEX_EMPTY,
    REGEX_LITERAL,
    REGEX_ONE,      /* a class, a dot: one character of several */
    REGEX_ANY_STAR, /* .* */
    REGEX_ANY_PLUS, /* .+ */
    REGEX_CONCAT,
    REGEX_ALTERNATE,
    REGEX_CAPTURE, /* subs[0] */
    REGEX_OTHER,
};

struct regex_node {
    enum regex_node_kind kind;
    bool is_caseless; /* LITERAL: ASCII letters match both cases; text is in upper case, as Go's */
    str text;         /* LITERAL, in UTF-8 */
    size_t room;      /* bytes behind text.ptr, while parsing */
    struct regex_node **subs;
    size_t n;
};

/* Parses an expression that RE2 has accepted.  NULL if it is nested too deep to be bothered. */
struct regex_node *regex_node_parse(str re, struct arena *a);

/* Makes the alternation of n (at least 1) nodes as Go's parser does: what is common in front is
 * taken out, single characters become a class.  Reorders and changes `subs`. */
struct regex_node *regex_node_alternate(struct regex_node **subs, size_t n, struct arena *a);

struct regex_node *regex_node_new(struct arena *a, enum regex_node_kind kind);
struct regex_node *regex_node_pair(struct arena *a, enum regex_node_kind kind, struct regex_node *x,
                                   struct regex_node *y);
