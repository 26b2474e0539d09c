/* promtail/stages/selector.h - the selector of a match stage: {app="a", env=~"b|c"} |= "x" !~ "y".
 *
 * Promtail kept LogQL's first grammar here: label matchers and line filters, strings in double
 * quotes only.  Regexes in {} are anchored, those of line filters are not.  Everything of a
 * selector lives in an arena but the compiled regexes. */
#pragma once
#include "base/needle.h"
#include "promtail/record.h"
#include "proto/matcher.h"

#define SELECTOR_TERMS_MAX 256 /* matchers; and as many line filters */

struct line_test {
    enum match_op op;
    struct needle needle; /* MATCH_EQ and MATCH_NE; an empty text is everywhere */
    struct regex *re;     /* MATCH_RE and MATCH_NRE */
};

struct selector {
    struct matcher *matchers;
    size_t n_matchers;
    struct line_test *tests;
    size_t n_tests;
};

/* Zeroes *ret first, so that selector_deinit() is right after a failure too.  E_PARSE with
 * Promtail's text: parse error at line 1, col 3: ... */
int selector_parse(str text, struct arena *a, struct selector *ret, struct error *err);
void selector_deinit(struct selector *s);
/* All matchers and all line filters hold; an absent label counts as empty. */
bool selector_is_match(const struct selector *s, const struct record *r);
