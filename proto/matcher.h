/* proto/matcher.h - one condition on a label: a="b", a!="b", a=~"re", a!~"re".
 *
 * Regexes are anchored.  An absent label matches like an empty value.  A compiled matcher is
 * immutable and may be used by any number of threads. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/regex.h"
#include "base/status.h"
#include "proto/labels.h"

enum match_op { MATCH_EQ, MATCH_NE, MATCH_RE, MATCH_NRE };

struct matcher {
    str name;
    enum match_op op;
    str value;
    struct regex *re; /* compiled for MATCH_RE and MATCH_NRE unless alts is exact; else NULL */
    const str *alts;  /* the finite set of values a regex such as "a|b|c" accepts; NULL if none */
    size_t n_alts;
    bool is_any; /* the regex is .* : every value matches; is_some: .+ : every non-empty one */
    bool is_some;
};

/* Fills `m` with copies in `a` and compiles a regex.  E_PARSE with Go's text if it is malformed.
 * matcher_deinit() frees what is not in the arena (the regex). */
int matcher_init(struct matcher *m, struct arena *a, str name, enum match_op op, str value,
                 struct error *err);
void matcher_deinit(struct matcher *m);
bool matcher_is_match(const struct matcher *m, str value);
/* All matchers against a label set. */
bool matchers_match(const struct matcher *ms, size_t n, const struct labels *ls);
/* "=", "!=", "=~", "!~" */
const char *match_op_text(enum match_op op);
bool matcher_print(const struct matcher *m, struct buf *out); /* a=~"b" */
