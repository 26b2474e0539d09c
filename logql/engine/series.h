/* logql/engine/series.h - the series that a scan makes, and their partial aggregates.
 *
 * Each shard fills its own table; the tables of a leaf are joined when all are done.  A series
 * holds cells (window.h) ascending by index, or single samples where the function needs them all.
 * One owner at a time. */
#pragma once
#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "logql/engine/window.h"
#include "proto/labels.h"

struct series {
    struct labels labels; /* borrowed from the run that found it, or of the arena */
    uint64_t hash;
    VEC(struct cell) cells;
    VEC(struct sample) samples;
    /* The cell that the last sample fell into: samples mostly come in order. */
    size_t current;
    int64_t current_from_ns, current_to_ns;
    bool is_current_seen; /* false: no window sees this stretch */
    struct series *next_same_hash;
};

struct series_table {
    const struct window_plan *window;
    VEC(struct series *) items;
    struct u64map by_hash;
    size_t bytes; /* held, about */
};

struct series_table *series_table_new(const struct window_plan *w);
void series_table_free(struct series_table *t); /* NULL allowed */
/* The series of these labels, made if it is new. */
struct series *series_table_get(struct series_table *t, const struct labels *labels, uint64_t hash);
/* Adds a sample; false if no window sees it.  Of a CELL_SUM the value may stand for many samples of
 * one cell. */
bool series_add(struct series_table *t, struct series *s, int64_t ts_ns, double value);
/* Adds what `from` holds; it comes after what s holds where the order matters and times are equal.
 */
void series_join(struct series_table *t, struct series *s, const struct series *from);
/* By labels.  Ends the table's use for anything but reading. */
void series_table_sort(struct series_table *t);
