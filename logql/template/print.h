/* logql/template/print.h - values as text: package fmt of Go. */
#pragma once
#include "base/buf.h"
#include "logql/template/value.h"

/* %v.  A root has to be turned into a map before (template_call_map). */
void tprint_value(struct buf *b, const struct tval *v);
/* fmt.Sprint: blanks between operands that are both no strings.  fmt.Sprintln: always. */
void tprint_all(struct buf *b, const struct tval *args, int n);
void tprint_line(struct buf *b, const struct tval *args, int n);
/* fmt.Sprintf, with Go's texts for what does not fit: %!d(string=x), %!(EXTRA int=1). */
void tprint_format(struct buf *b, str format, const struct tval *args, int n);
