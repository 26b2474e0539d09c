/* ingester/label_index.h - which streams of a shard have a label: name and value to streams.
 *
 * Only exact values are looked up; other matchers are checked against the streams' labels.
 * Threads: guarded by the lock of the shard. */
#pragma once
#include "base/map.h"
#include "proto/matcher.h"

struct stream;
struct tenant;

struct label_index {
    struct strmap postings; /* tenant, name, value -> struct posting */
};

/* Streams that may match; in no order. */
struct posting_view {
    struct stream *const *streams;
    size_t n;
};

void label_index_init(struct label_index *x);
void label_index_deinit(struct label_index *x);
void label_index_add(struct label_index *x, const struct tenant *t, struct stream *s);
void label_index_remove(struct label_index *x, const struct tenant *t, struct stream *s);
/* The shortest list among those of the matchers that ask for one exact, non-empty value; false if
 * there is no such matcher, and all streams have to be looked at.  Valid until the next change. */
bool label_index_find(const struct label_index *x, const struct tenant *t, const struct matcher *ms,
                      size_t n, struct posting_view *ret);
