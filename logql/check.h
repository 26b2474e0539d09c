/* logql/check.h - questions of validity that are asked about a parsed tree. */
#pragma once
#include "logql/ast.h"

/* What Loki checks after parsing: the problems the parser noted, grouping of sort, and, with
 * `with_matchers`, that every selector has a matcher that refuses the empty value.
 * logql_parse() has done this already.  Returns 0 or E_PARSE. */
int logql_check(const struct expr *e, bool with_matchers, struct error *err);

/* What Loki's query path refuses though the text is well-formed (format_query takes it):
 * approx_topk (500) and variants (400), which are switched off by default, and label names that
 * are no Prometheus names, which its frontend cannot pass on.  Returns 0 or a status with Loki's
 * text; err->http where the HTTP status differs from the code's. */
int logql_check_enabled(const struct expr *e, struct error *err);

/* Turns an error that a stage gave into what the user reads: puts
 * "parse error : stage '<the stage printed>' : " before the text of `err`. */
void logql_stage_error(const struct stage *s, struct error *err);
