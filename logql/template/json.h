/* logql/template/json.h - JSON as template values and back, as Go's encoding/json does. */
#pragma once
#include "base/buf.h"
#include "logql/template/value.h"

/* Numbers become float64, objects map[string]interface {}.  Returns 0, E_PARSE (*ret untouched) or
 * E_LIMIT when the arena is full. */
int tjson_parse(str text, struct arena *arena, struct tval *ret, struct error *err);

enum tjson_style {
    TJSON_PLAIN,  /* < > & escaped */
    TJSON_PRETTY, /* and two blanks of indent */
    TJSON_RAW,    /* < > & as they are */
};
void tjson_append(struct buf *b, const struct tval *v, enum tjson_style style);
