/* logql/stages/skipper_syntax.h - a regular expression of RE2's for Hyperscan.
 *
 * The two languages look alike and differ in small things: \s, \v and \S take other characters,
 * {,3} is text or a repetition.  An expression is let through only if each piece of it is known to
 * match, in ASCII text, at least what it matches to RE2; what differs is written out. */
#pragma once
#include "base/buf.h"

/* Writes to `out` what Hyperscan may be asked about text that is ASCII and in which ^ and $ stand
 * at the ends of lines.  `re` has been compiled by RE2 without complaint.  False: it holds
 * something unknown here, or would grow large. */
bool skipper_syntax_write(str re, struct buf *out);
