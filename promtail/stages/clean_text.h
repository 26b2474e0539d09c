/* promtail/stages/clean_text.h - text as Go's regexps see it.
 *
 * To Go a byte that is not UTF-8 is the character U+FFFD, one byte wide; RE2 finds no character
 * there.  So such text (rare) is matched in a copy with U+FFFD written out, and what was found is
 * brought back to the bytes it came from. */
#pragma once
#include "base/arena.h"
#include "base/regex.h"

struct clean_text {
    str text; /* what to match */
    str original;
    size_t *back; /* offset in `original` of each byte of `text`, and of its end; NULL: the same */
};

/* Well-formed text is taken as it is; a copy lies in `a`. */
struct clean_text clean_text_make(str original, struct arena *a);
/* Views of `text` become views of `original`; ptr NULL stays. */
void clean_text_back(const struct clean_text *c, str *parts, int n);

bool clean_text_is_match(const struct regex *re, str text, struct arena *a);
/* As regex_match() from the start of `text`; groups are views of `text`. */
bool clean_text_match(const struct regex *re, str text, struct arena *a, str *groups, int n_groups);
