/* logql/template/verb.h - one value under one verb of Go's package fmt: %-08.3f. */
#pragma once
#include "base/buf.h"
#include "logql/template/value.h"

#define TVERB_WIDTH_MAX 1000000

/* What stands between the % and the letter. */
struct tverb {
    bool plus, minus, sharp, space, zero;
    bool plus_v, sharp_v; /* %+v, %#v */
    bool erroring;        /* inside %!d(...): String() is not called */
    bool has_width, has_prec;
    int width, prec;
};

/* Appends `v` under the letter `verb`: 'd', 'v', 's', ...; %!d(string=x) if it does not fit. */
void tverb_print(struct buf *b, struct tverb *f, const struct tval *v, uint32_t verb);
