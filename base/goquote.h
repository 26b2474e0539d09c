/* base/goquote.h - string literals as Go's strconv writes and reads them. */
#pragma once
#include "base/buf.h"

/* Appends s as strconv.Quote does: "a\n\x80\u200b".  False if the buffer is full. */
bool goquote(struct buf *b, str s);
/* strconv.QuoteToASCII: all beyond ASCII is escaped (%+q). */
bool goquote_ascii(struct buf *b, str s);
/* strconv.QuoteRune: 'x' (%q of a number). */
bool goquote_rune(struct buf *b, uint32_t rune);
/* strconv.CanBackquote: the text can stand between backquotes unchanged (%#q). */
bool goquote_can_backquote(str s);
/* The quoting of package time's errors: every byte beyond printable ASCII is \xNN. */
bool goquote_bytes(struct buf *b, str s);

/* strconv.Unquote: appends what the literal "...", `...` or 'c' stands for.  Returns 0 or E_PARSE
 * (the buffer then is as it was), E_TOO_LARGE if the buffer is full. */
int gounquote(str literal, struct buf *b);
