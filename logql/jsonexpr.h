/* logql/jsonexpr.h - the expressions of `| json x="a.b[0]["c"]"` and `| logfmt x="key"`.
 *
 * Results live in the arena given and are immutable.  Error texts are Loki's, to be put behind
 * "cannot parse expression [<the expression>]: ". */
#pragma once
#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"

/* One step into a document: a key of an object, or an index of an array. */
struct jsonexpr_step {
    bool is_index;
    int64_t index;
    str key;
};

struct jsonexpr {
    const struct jsonexpr_step *steps;
    size_t n; /* at least 1 */
};

/* Returns 0 or E_PARSE: syntax error: unexpected $end, expecting LSB or FIELD */
int jsonexpr_parse(str text, struct arena *a, struct jsonexpr *ret, struct error *err);
/* A key, or strings in quotes; Loki looks the first up and disregards the rest.  *ret is the first.
 * Returns 0 or E_PARSE: syntax error: unexpected $end, expecting STRING or KEY */
int logfmtexpr_parse(str text, struct arena *a, str *ret, struct error *err);
