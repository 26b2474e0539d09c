/* base/gotext.h - text as Go's regexps see it.
 *
 * To Go a byte that is not UTF-8 is the character U+FFFD, one byte wide; RE2 finds no character
 * there.  So such text (rare) is matched in a copy with U+FFFD written out, and what was found is
 * brought back to the bytes it came from.  Pure functions, any thread. */
#pragma once
#include "base/arena.h"
#include "base/regex.h"

/* True if Go and RE2 see the same: all of it is UTF-8. */
bool gotext_is_plain(str text);

struct gotext {
    str text; /* what to match */
    str original;
    size_t *back; /* offset in `original` of each byte of `text`, and of its end; NULL: the same */
};

/* Plain text is taken as it is; a copy lies in `a`. */
struct gotext gotext_make(str original, struct arena *a);
/* Views of `text` become views of `original`; ptr NULL stays. */
void gotext_back(const struct gotext *g, str *parts, int n);

bool gotext_is_match(const struct regex *re, str text);
/* As regex_match() from the start of `text`; groups are views of `text`. */
bool gotext_match(const struct regex *re, str text, struct arena *a, str *groups, int n_groups);
