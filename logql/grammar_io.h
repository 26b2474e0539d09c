/* logql/grammar_io.h - what the generated parser calls: tokens in, errors out (logql/ only). */
#pragma once
#include "logql/builder.h"
#include "logql/grammar.h"

int logql_yylex(LOGQL_YYSTYPE *value, struct source_pos *pos, struct parse *p);
/* Memory for the parser's stack ran out: the query is nested too deeply. */
void logql_yyerror(const struct source_pos *pos, struct parse *p, const char *message);

/* A rule begins where its first part begins; an empty one where the part before it ends. */
#define YYLLOC_DEFAULT(current, rhs, n)                                                            \
    do {                                                                                           \
        (current) = (n) > 0 ? YYRHSLOC(rhs, 1) : YYRHSLOC(rhs, 0);                                 \
    } while (0)
