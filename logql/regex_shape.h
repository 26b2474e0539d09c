/* logql/regex_shape.h - what a regex looks like to Loki's optimiser. */
#pragma once
#include "base/str.h"

/* True if Loki replaces the regex by plain comparisons: literals, .* and .+, a literal beside .*,
 * alternatives of those.  It prints label filters of the two kinds differently. */
bool regex_shape_is_plain(str regex);
