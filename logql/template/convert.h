/* logql/template/convert.h - values as numbers and text, as sprig (spf13/cast) turns them. */
#pragma once
#include "base/buf.h"
#include "logql/template/value.h"

/* cast.ToInt64: 0 for what is no number; strings in any base, "7.0" but not "7.9". */
int64_t convert_int(const struct tval *v);
/* cast.ToFloat64: 0 for what is no number. */
double convert_float(const struct tval *v);
/* sprig's strval: strings as they are, the rest as %v. */
void convert_append_text(struct buf *b, const struct tval *v);
/* sprig's empty: nil, false, 0, "" and what has no items. */
bool convert_is_empty(const struct tval *v);
