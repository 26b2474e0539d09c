/* logql/printer.h - a tree back into text.
 *
 * Both printers take memory from `out` only; a full buffer sets out->failed. */
#pragma once
#include "base/buf.h"
#include "logql/ast.h"

/* One line, as Loki prints an expression: (rate({a="b"}[5m]) + 1).  Parsing the text again gives
 * an equal tree. */
void logql_print(const struct expr *e, struct buf *out);
/* | json, |= "a" or "b", ... */
void logql_print_stage(const struct stage *s, struct buf *out);
/* a > 5, ( a="b" , c="d" ) */
void logql_print_label_filter(const struct label_filter *f, struct buf *out);
/* {a="b", c=~"d"} */
void logql_print_selector(const struct log_expr *log, struct buf *out);
/* What format_query answers: broken into indented lines where longer than 100 characters. */
void logql_pretty(const struct expr *e, struct buf *out);
