/* logql/printer.h - a tree back into text, as Loki prints it.
 *
 * The text parses into an equal tree but for what Loki's own spelling loses: sizes are rounded
 * (1.2MiB is printed 1.3MB), vector() has six decimals, ranges whole milliseconds, `ignoring ()`
 * takes its group_left along, and infinite numbers have no spelling.
 * Memory comes from `out` only; a full buffer sets out->failed. */
#pragma once
#include "base/buf.h"
#include "logql/ast.h"

/* One line: (rate({a="b"}[5m]) + 1). */
void logql_print(const struct expr *e, struct buf *out);
/* {a="b"} |= "c" | json */
void logql_print_log(const struct log_expr *log, struct buf *out);
/* {a="b", c=~"d"} */
void logql_print_selector(const struct log_expr *log, struct buf *out);
/* | json, |= "a" or "b" != "c" */
void logql_print_stage(const struct stage *s, struct buf *out);
/* |= "a" or "b" */
void logql_print_line_filter(const struct line_filter *f, struct buf *out);
/* ( a>5 , c="d" ) */
void logql_print_label_filter(const struct label_filter *f, struct buf *out);
/* | unwrap bytes(a), without its filters */
void logql_print_unwrap(const struct unwrap *u, struct buf *out);
/* > bool on (a,b) group_left (c) with the joint "," */
void logql_print_binary_op(const struct expr *e, const char *joint, struct buf *out);
/* (a,b) with the joint "," */
void logql_print_names(const str *names, size_t n, const char *joint, struct buf *out);

/* What format_query answers: one line if it is not longer than 100 bytes, else broken into
 * indented lines: logql/pretty.c. */
void logql_pretty(const struct expr *e, struct buf *out);
