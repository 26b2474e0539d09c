/* base/needle.h - finds a string of bytes in much text, fast: what line filters scan blocks with.
 *
 * The two rarest bytes of the needle are compared 32 positions at a time; where both fit, the whole
 * is compared.  A needle is immutable and may be used by any number of threads. */
#pragma once
#include "base/str.h"

struct needle {
    str text;          /* borrowed; ASCII letters in lower case if caseless */
    size_t at_a, at_b; /* offsets of its two rarest bytes, at_a <= at_b */
    bool is_caseless;  /* ASCII letters match both cases; other bytes themselves */
};

/* `text` must outlive the needle, be not empty and, if caseless, have no upper-case ASCII letter.
 */
void needle_init(struct needle *n, str text, bool is_caseless);

/* First hit in text[0 .. len), NULL if none. */
const char *needle_find(const struct needle *n, const char *text, size_t len);

static inline bool needle_is_in(const struct needle *n, str text)
{
    return needle_find(n, text.ptr, text.len) != NULL;
}
