/* logql/engine/rewrite.h - what Loki's frontend makes of a metric query before it is run.
 *
 * It matters because it shows in answers: avg_over_time(x | unwrap v) by (a) is asked as
 * sum by (a) (sum_over_time(x | unwrap v)) / sum by (a) (count_over_time(x)), so lines without the
 * unwrapped label count as zero.  It is not so where labels are neither grouped nor reduced, nor
 * within an aggregation that is sharded itself, as the sum of such averages. */
#pragma once
#include "base/arena.h"
#include "logql/ast.h"

/* The tree to run: `e` itself where nothing is rewritten, else new nodes in `a` that share what
 * they can with `e`, which must outlive them. */
const struct expr *engine_rewrite(const struct expr *e, struct arena *a);
