/* logql/parser.h - LogQL text into a checked tree.
 *
 * Pure functions: no I/O, no clock, no shared state; any thread.  Error texts are Loki's, complete
 * with "parse error at line 1, col 2: ", for `err` to be shown as they are. */
#pragma once
#include "base/arena.h"
#include "logql/ast.h"

#define LOGQL_QUERY_BYTES_MAX 131072 /* longer queries are refused before they are read */
/* Stages of a whole query save line filters.  Each has its own memory in every thread that runs the
 * query (a parser: 16 KiB). */
#define LOGQL_STAGES_MAX 1000

/* Parses and checks a whole query.  On success the tree lives in `a` and the caller ends it with
 * logql_release(); on failure (E_PARSE, E_LIMIT) nothing is left to release and *ret is NULL.
 * Stages are not compiled: a malformed line filter regex or template passes, as Loki's parser lets
 * it pass, and is found by pipeline_compile(). */
int logql_parse(str query, struct arena *a, struct expr **ret, struct error *err);

/* The same without the rule that a selector must have a matcher that refuses the empty value. */
int logql_parse_unchecked(str query, struct arena *a, struct expr **ret, struct error *err);

/* A selector alone, {a="b"}: what /series, /labels and /index take.  Refuses a pipeline and metric
 * queries; {} and selectors that match every stream pass.  The result is an EXPR_LOG. */
int logql_parse_selector(str query, struct arena *a, struct expr **ret, struct error *err);

/* Frees the compiled matchers of a tree; NULL allowed.  The arena frees the rest. */
void logql_release(struct expr *root);
