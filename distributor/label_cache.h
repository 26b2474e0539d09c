/* distributor/label_cache.h - raw label text of pushes to parsed label sets, so that the same
 * stream is parsed once and not with every push.
 *
 * Bounded: each of its shards holds so many texts and forgets all of them when full, which costs
 * one parse per stream and needs no bookkeeping on hits.  Any thread; a shard's lock is held for a
 * look-up and the copy of one label set. */
#pragma once
#include "base/arena.h"
#include "proto/labels.h"
#include "runtime/config.h"

struct label_cache;

/* What a stream is known by. */
struct stream_labels {
    struct labels labels; /* sorted, with service_name */
    uint64_t hash;        /* labels_hash(&labels) */
};

struct label_cache *label_cache_new(size_t entries_max);
void label_cache_free(struct label_cache *c); /* NULL allowed */

/* The label set of `text` ({a="b"}), service_name added by `discover` (the names of labels it is
 * taken from, in order; none: it is not added), copied into `a`.  E_PARSE, or E_CONFLICT for a name
 * given twice (*ret is filled), with Loki's text.  The items of `discover` must stay where they are
 * as long as the cache lives: tenants with different lists share it. */
int label_cache_get(struct label_cache *c, str text, const struct config_strings *discover,
                    struct arena *a, struct stream_labels *ret, struct error *err);

/* The same without a cache, from pairs (of the JSON form), which are sorted in place. */
int stream_labels_from_pairs(struct label *pairs, size_t n, const struct config_strings *discover,
                             struct arena *a, struct stream_labels *ret, struct error *err);
