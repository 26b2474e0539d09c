/* logql/template/pipeline.h - parses what stands inside an action: .a | f "x" .b (g $y). */
#pragma once
#include "logql/template/parser.h"

/* A pipeline with its declarations, up to and with the token `end`; `context` is what errors call
 * it ("range": may declare two variables).  NULL after a failure. */
struct tnode *tpipeline_parse(struct tparser *p, const char *context, enum tlex_type end);
