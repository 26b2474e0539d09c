/* logql/stages/skipper.h - passes over text in which a regular expression matches nothing, many
 * times faster than RE2 does: Hyperscan over many lines at once.
 *
 * It only ever says "perhaps": each line it points at is RE2's to decide.  No line that RE2 would
 * take is passed over, given that the text is ASCII: Hyperscan reports the end of every match, not
 * of the leftmost alone, so of a line that matches by itself an end is reported that lies in it.
 *
 * Compiling takes about a millisecond, so it is done when a MiB of text has been seen on which it
 * would have helped; before that, and for an expression that Hyperscan does not take, there is no
 * help to be had.
 *
 * Threads: any number may scan with one skipper; a lock is taken twice a scan. */
#pragma once
#include <stdbool.h>

#include "base/str.h"

struct skipper;

/* NULL if the expression (which RE2 has taken) is not one for Hyperscan, or there is none. */
struct skipper *skipper_new(str re);
void skipper_free(struct skipper *s); /* NULL allowed */

/* "Hyperscan", with what hinders it, or "none", for explain; NULL allowed. */
const char *skipper_name(const struct skipper *s);

/* True if skipper_scan() may be called; NULL allowed. */
bool skipper_is_ready(const struct skipper *s);
/* Told of text that RE2 has to see, or saw in vain; may compile.  NULL allowed. */
void skipper_warm(struct skipper *s, size_t bytes);

/* Bytes [from, to) of the text. */
struct skipper_range {
    size_t from, to;
};

/* Told that a match may end with byte `at`; returns the range around it that is now done with.
 * Hyperscan does not promise to go forward. */
typedef struct skipper_range skipper_hit(void *arg, size_t at);

/* Calls `fn` for matches in `text`, which is ASCII and begins with a line.  False if it was given
 * up (with an expression that matches nearly everywhere, for good): matches may then be missing. */
bool skipper_scan(struct skipper *s, str text, skipper_hit *fn, void *arg);
