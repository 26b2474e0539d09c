/* logql/template/statement.h - parses the text and the actions of a template: if, range, with,
 * define, block, and plain output. */
#pragma once
#include "logql/template/parser.h"

/* All there is, into p->t->trees.  False after a failure. */
bool tstatement_parse_all(struct tparser *p);
