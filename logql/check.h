/* logql/check.h - questions of validity that are asked about a parsed tree. */
#pragma once
#include "logql/ast.h"

/* At least one matcher per selector must refuse the empty value; sort takes no grouping.
 * logql_parse() has done this already.  Returns 0 or E_PARSE. */
int logql_check(const struct expr *e, struct error *err);

/* Language features that Loki ships switched off: approx_topk (500), variants (400).  Returns 0 or
 * a status with Loki's text. */
int logql_check_enabled(const struct expr *e, struct error *err);

/* Compiles, and throws away, what a stage takes as text: regexes, patterns, json and logfmt
 * expressions, ip().  Templates are left to the stage compiler.  The text of an error is
 * parse error : stage '|~ "("' : error parsing regexp: missing closing ): `(` */
int logql_check_stages(const struct expr *e, struct error *err);

/* Turns an error that a stage gave into what the user reads: puts
 * "parse error : stage '<the stage printed>' : " before the text of `err`. */
void logql_stage_error(const struct stage *s, struct error *err);
