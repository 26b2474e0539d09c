#include "logql/engine/series.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct series_table *series_table_new(const struct window_plan *w)
{
    struct series_table *t = mem_zalloc(sizeof *t);
    t->window = w;
    u64map_init(&t->by_hash);
    return t;
}

void series_table_free(struct series_table *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->items.len; i++) {
        VEC_FREE(&t->items.items[i]->cells);
        VEC_FREE(&t->items.items[i]->samples);
        mem_free(t->items.items[i]);
    }
    VEC_FREE(&t->items);
    u64map_deinit(&t->by_hash);
    mem_free(t);
}

struct series *series_table_get(struct series_table *t, const struct labels *labels, uint64_t hash)
{
    struct series *first = u64map_get(&t->by_hash, hash);
    for (struct series *s = first; s != NULL; s = s->next_same_hash)
        if (labels_eq(&s->labels, labels))
            return s;
    struct series *s = mem_zalloc(sizeof *s);
    s->labels = *labels;
    s->hash = hash;
    s->current_from_ns = INT64_MAX; /* no time lies in it */
    s->next_same_hash = first;
    u64map_put(&t->by_hash, hash, s);
    VEC_PUSH(&t->items, s);
    t->bytes += sizeof *s + 64;
    return s;
}

/* Index of the first cell at or after `at`. */
static size_t find_cell(const struct series *s, int64_t at)
{
    size_t from = 0, to = s->cells.len;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (s->cells.items[mid].at < at)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

/* Makes room for a cell at index i. */
static void insert_cell(struct series_table *t, struct series *s, size_t i, const struct cell *c)
{
    size_t cap = s->cells.cap;
    VEC_PUSH(&s->cells, *c);
    if (i + 1 < s->cells.len) {
        memmove(&s->cells.items[i + 1], &s->cells.items[i],
                (s->cells.len - 1 - i) * sizeof s->cells.items[0]);
        s->cells.items[i] = *c;
    }
    t->bytes += (s->cells.cap - cap) * sizeof s->cells.items[0];
}

/* Finds, or makes, the cell of a time that the current one does not hold. */
static bool move_to_cell(struct series_table *t, struct series *s, int64_t ts_ns, double value,
                         bool *ret_is_new)
{
    int64_t at;
    *ret_is_new = false;
    s->is_current_seen = window_cell(t->window, ts_ns, &at, &s->current_from_ns, &s->current_to_ns);
    if (!s->is_current_seen || t->window->kind == CELL_SAMPLES)
        return s->is_current_seen;
    bool is_next = s->cells.len == 0 || s->cells.items[s->cells.len - 1].at < at;
    size_t i = is_next ? s->cells.len : find_cell(s, at);
    s->current = i;
    if (i < s->cells.len && s->cells.items[i].at == at)
        return true;
    struct cell c;
    cell_start(&c, t->window->kind, at, ts_ns, value);
    insert_cell(t, s, i, &c);
    *ret_is_new = true;
    return true;
}

static void add_sample(struct series_table *t, struct series *s, struct sample sample)
{
    size_t cap = s->samples.cap;
    VEC_PUSH(&s->samples, sample);
    t->bytes += (s->samples.cap - cap) * sizeof sample;
}

bool series_add(struct series_table *t, struct series *s, int64_t ts_ns, double value)
{
    if (ts_ns <= s->current_from_ns || ts_ns > s->current_to_ns) {
        bool is_new;
        if (!move_to_cell(t, s, ts_ns, value, &is_new))
            return false;
        if (is_new)
            return true;
    } else if (!s->is_current_seen) {
        return false;
    }
    if (t->window->kind == CELL_SAMPLES)
        add_sample(t, s, (struct sample){ts_ns, value});
    else
        cell_add(&s->cells.items[s->current], t->window->kind, ts_ns, value);
    return true;
}

void series_join(struct series_table *t, struct series *s, const struct series *from)
{
    for (size_t i = 0; i < from->samples.len; i++)
        add_sample(t, s, from->samples.items[i]);
    for (size_t i = 0; i < from->cells.len; i++) {
        const struct cell *c = &from->cells.items[i];
        size_t at = find_cell(s, c->at);
        if (at < s->cells.len && s->cells.items[at].at == c->at)
            cell_join(&s->cells.items[at], t->window->kind, c);
        else
            insert_cell(t, s, at, c);
    }
}

static int by_labels(const void *a, const void *b)
{
    return labels_cmp(&(*(struct series *const *)a)->labels, &(*(struct series *const *)b)->labels);
}

void series_table_sort(struct series_table *t)
{
    if (t->items.len > 1)
        qsort(t->items.items, t->items.len, sizeof t->items.items[0], by_labels);
}
