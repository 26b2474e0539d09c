/* base/bytesize.h - numbers of bytes with units, in the three spellings Loki's users meet.
 *
 * Label filters and templates read sizes as go-humanize does (KB = 1000, KiB = 1024, any case);
 * settings as c2h5oh/datasize does (KB = 1024).  Pure functions, any thread. */
#pragma once
#include "base/buf.h"
#include "base/status.h"

/* humanize.ParseBytes: 1.5KiB, 42MB, 1 kb, 1,000b, 12.  Returns 0 or E_PARSE with its text:
 * unhandled size name: x, or strconv.ParseFloat: parsing "": invalid syntax. */
int bytesize_parse(str s, uint64_t *ret_bytes, struct error *err);
/* humanize.Bytes: 83 MB (thousands), and IBytes: 79 MiB (1024). */
bool bytesize_append(struct buf *b, uint64_t bytes);
bool bytesize_append_binary(struct buf *b, uint64_t bytes);

/* A setting of kind flagext.ByteSize: 256KB is 262144; any case, whole numbers.  Returns 0, or
 * E_PARSE: strconv.UnmarshalText: parsing "X": invalid syntax. */
int bytesize_parse_setting(str s, uint64_t *ret_bytes, struct error *err);
/* How a setting is printed: the largest unit that divides it, 256KB, 1536KB, 0B. */
bool bytesize_append_setting(struct buf *b, uint64_t bytes);
