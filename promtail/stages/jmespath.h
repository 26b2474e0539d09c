/* promtail/stages/jmespath.h - JMESPath expressions over JSON trees, as go-jmespath has them.
 *
 * An expression is parsed once, into an arena, and is immutable.  Loop thread only; searching
 * allocates in the arena it is given and is bounded in depth and steps. */
#pragma once
#include "base/status.h"
#include "promtail/stages/json_value.h"

#define JMESPATH_DEPTH_MAX 128     /* of an expression, and of a search */
#define JMESPATH_STEPS_MAX 1000000 /* nodes visited by one search */

struct jmespath; /* a node; the root stands for the whole */

/* E_PARSE: SyntaxError: ... */
int jmespath_parse(str text, struct arena *a, const struct jmespath **ret, struct error *err);
/* The value found, a null tree if there is none; NULL if the search failed (an argument of the
 * wrong type, say). */
const struct json_tree *jmespath_search(const struct jmespath *e, const struct json_tree *document,
                                        struct arena *a);

/* True if the expression is names alone, a.b."c d": steps[0 .. *ret_n).  False, too, beyond `max`
 * names. */
bool jmespath_is_path(const struct jmespath *e, str *steps, size_t max, size_t *ret_n);
