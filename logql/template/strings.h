/* logql/template/strings.h - package strings of Go, and what sprig adds to it. */
#pragma once
#include "base/buf.h"
#include "logql/template/value.h"

enum strings_side { STRINGS_LEFT = 1, STRINGS_RIGHT = 2, STRINGS_BOTH = 3 };

/* strings.Trim, TrimLeft, TrimRight: without the runes of `cutset` at the ends. */
str strings_trim(str s, str cutset, enum strings_side side);
str strings_trim_prefix(str s, str prefix);
str strings_trim_suffix(str s, str suffix);
/* strings.Replace(s, from, to, n); n < 0: all.  An empty `from` stands between all runes. */
void strings_append_replaced(struct buf *b, str s, str from, str to, int64_t n);
/* Every word begins with a small letter. */
void strings_append_untitle(struct buf *b, str s);
void strings_append_swapped(struct buf *b, str s);
/* Breaks lines at blanks when they pass `width` runes, and words that are longer if `cut_words`. */
void strings_append_wrapped(struct buf *b, str s, int64_t width, str newline, bool cut_words);
/* The text of a value in quotes: '"' escapes as Go does, '\'' does not, 0 has none. */
void strings_append_quoted(struct buf *b, const struct tval *v, char quote);
