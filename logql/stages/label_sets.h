/* logql/stages/label_sets.h - the distinct label sets a run has produced, each stored once.
 *
 * A set is looked up by numbers of names and by values, without building it: a line whose labels
 * were seen before costs a hash and a comparison.  One owner at a time. */
#pragma once
#include "logql/pipeline.h"
#include "logql/stages/labels_builder.h"

struct stored_set;

struct label_sets {
    struct stored_set **slots;
    struct stored_set *last; /* that was asked for; NULL: none */
    uint32_t cap, n;
    bool has_origins; /* sets that differ only in where labels come from are two (log queries) */
    struct arena arena;
};

void label_sets_init(struct label_sets *s, bool has_origins);
void label_sets_deinit(struct label_sets *s);
void label_sets_reset(struct label_sets *s);

/* The set of the n labels, stored if it is new; reorders `views`.  From reset to reset the numbers
 * must be those of one labels_builder, which `names` belongs to; the texts of names stay there. */
struct pipeline_labels *label_sets_intern(struct label_sets *s, const struct names *names,
                                          struct label_view *views, size_t n);

static inline size_t label_sets_bytes(const struct label_sets *s)
{
    return arena_used(&s->arena) + s->cap * sizeof(void *);
}
