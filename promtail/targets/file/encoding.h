/* promtail/targets/file/encoding.h - lines in other encodings than UTF-8.
 *
 * In UTF-16 a line ends with the two bytes of a newline; elsewhere with the byte 0x0a. */
#pragma once
#include "base/buf.h"
#include "base/status.h"

struct encoding;

/* `name` as the IANA index knows it (UTF-16LE, ISO-8859-1, Shift_JIS, windows-1252, ...).
 * E_PARSE with Promtail's text if nobody knows it. */
int encoding_open(const char *name, struct encoding **ret, struct error *err);
void encoding_close(struct encoding *e); /* NULL allowed */
/* Offset behind the first line end of `bytes`, which begin at `offset` of the file; 0 if there is
 * none.  *ret_line is the line without its end. */
size_t encoding_line(const struct encoding *e, str bytes, int64_t offset, str *ret_line);
/* Appends the line as UTF-8; what cannot be read becomes U+FFFD. */
void encoding_decode(struct encoding *e, str line, int64_t offset, struct buf *out);
