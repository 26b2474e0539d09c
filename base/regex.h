/* base/regex.h - regular expressions with Go's (RE2's) syntax and answers, in linear time.
 *
 * The only door to RE2, a C++ library, so that one file of the project is C++ (regex_re2.cc).
 * A compiled regex is immutable: any number of threads may match with it. */
#pragma once
#include "base/status.h"
#include "base/str.h"

struct regex;

enum regex_flags {
    REGEX_ANCHORED = 1,      /* must match the whole text, as label matchers do: ^(?:re)$ */
    REGEX_DOT_NEWLINE = 2,   /* (?s): dot matches a newline too */
    REGEX_CASELESS = 4,      /* (?i) */
    REGEX_LITERAL_BYTES = 8, /* Latin-1: every byte is one character (text that is not UTF-8) */
};

/* Compiles `pattern`.  On failure returns E_PARSE with Go's text in `err`:
 * error parsing regexp: missing closing ]: `[a`.  The caller frees *ret with regex_free(). */
int regex_compile(str pattern, unsigned flags, struct regex **ret, struct error *err);
void regex_free(struct regex *re); /* NULL allowed */

/* True if the regex matches somewhere in `text` (the whole of it if anchored). */
bool regex_is_match(const struct regex *re, str text);
/* Captures: groups[0] is the whole match, groups[i] the i-th group, ptr NULL where a group took no
 * part.  n_groups is the room in `groups`.  Search starts at byte `from` of text; ^ and \b see what
 * stands before.  False if there is no match. */
bool regex_match(const struct regex *re, str text, size_t from, str *groups, int n_groups);
int regex_group_count(const struct regex *re); /* without group 0 */
/* Name of group i (1-based), empty if it has none.  Lives as long as the regex. */
str regex_group_name(const struct regex *re, int i);
str regex_pattern(const struct regex *re);
