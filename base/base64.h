/* base/base64.h - RFC 4648 as Go's encoding/base64 and base32 read and write it. */
#pragma once
#include "base/buf.h"
#include "base/status.h"

void base64_encode(struct buf *b, str s);
/* E_PARSE: illegal base64 data at input byte 3.  New lines are skipped. */
int base64_decode(struct buf *b, str s, struct error *err);
void base32_encode(struct buf *b, str s);
int base32_decode(struct buf *b, str s, struct error *err);
