/* promtail/targets/file/inflate.h - compressed files as a stream of plain bytes: gz, z, bz2.
 *
 * Several members behind each other are one text. */
#pragma once
#include "base/buf.h"
#include "base/status.h"

struct inflate;

/* format: "gz", "z" or "bz2".  Takes the descriptor over.  E_PARSE for another format. */
int inflate_open(int fd, const char *format, struct inflate **ret, struct error *err);
void inflate_close(struct inflate *z); /* NULL allowed */
/* Appends up to n plain bytes.  *ret_read 0 at the end.  E_CORRUPT if the data is not of this
 * format; E_EOF if it ends too early, and then it may be called again: more may have come. */
int inflate_read(struct inflate *z, struct buf *out, size_t n, size_t *ret_read);
