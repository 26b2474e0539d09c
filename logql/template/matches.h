/* logql/template/matches.h - all matches of a regex in a text, as Go's package regexp finds them.
 */
#pragma once
#include "base/buf.h"
#include "base/regex.h"

#define MATCHES_GROUPS_MAX 100

struct matches {
    const struct regex *re;
    str text;
    size_t at;    /* where the next search starts */
    size_t ended; /* where the last match ended; STR_NPOS at first */
    int n_groups;
    str groups[MATCHES_GROUPS_MAX];
};

void matches_start(struct matches *m, const struct regex *re, str text);
/* The next match in m->groups; false when there is no more. */
bool matches_next(struct matches *m);

/* ReplaceAllString ($1, ${name} count) or ReplaceAllLiteralString. */
void matches_append_replaced(struct buf *b, const struct regex *re, str text, str replacement,
                             bool literal);
