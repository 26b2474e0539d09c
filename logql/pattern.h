/* logql/pattern.h - patterns such as `<ip> - <_> "<method> <path>"`, of the pattern stage and of
 * the line filters |> and !>.
 *
 * A compiled pattern lives in an arena, is immutable and may be used by any number of threads. */
#pragma once
#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"

struct pattern_node {
    bool is_capture;
    bool is_unnamed; /* <_> */
    str text;        /* the literal, or the name of the capture */
};

struct pattern {
    const struct pattern_node *nodes; /* literals and captures alternate */
    size_t n;
    size_t n_captures; /* named ones: what pattern_match() gives at most */
};

/* Compiles the expression of a pattern stage: at least one named capture, no two of one name, none
 * beside another.  Returns 0 or E_PARSE with Loki's text, without its "invalid pattern parser: ".
 */
int pattern_compile(str text, struct arena *a, struct pattern *ret, struct error *err);
/* Compiles the expression of a line filter: no named captures; "" matches empty lines. */
int pattern_compile_filter(str text, struct arena *a, struct pattern *ret, struct error *err);

/* Name of the i-th named capture. */
str pattern_name(const struct pattern *p, size_t i);
/* Fills values[0..n) with what the named captures of `line` are, in their order, and returns n:
 * fewer than n_captures if the line ends early, 0 if it does not begin as the pattern does.  The
 * room is for p->n_captures values; they are views of `line`. */
size_t pattern_match(const struct pattern *p, str line, str *values);
/* True if the whole line has the pattern's shape; captures may not be empty. */
bool pattern_test(const struct pattern *p, str line);
