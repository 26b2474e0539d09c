/* Blocks of one stream whose times overlap: how they are cut into units, and what a block that
 * begins a little before others end has in common with them.
 *
 * Late entries make neighbours overlap by a little all along a stream; merging them would make the
 * whole stream one unit, which no early stop could cut.  So such a block stays a unit, and looks up
 * its entries in those few blocks before it: times first, lines only where a time is shared. */
#include <string.h>

#include "base/mem.h"
#include "logql/engine/scan.h"

#define OVERLAP_BEFORE_MAX 3 /* blocks before; more overlap "much" */
#define OVERLAP_PART       4 /* more than 1/4 of a block's span is much */

static void start_unit(struct scan_unit *u, uint32_t stream, size_t block, uint32_t n_before)
{
    *u = (struct scan_unit){.stream = stream,
                            .first = (uint32_t)block,
                            .n_before = n_before,
                            .min_ns = INT64_MAX,
                            .max_ns = INT64_MIN};
}

static void add_to_unit(struct scan_unit *u, const struct block_ref *ref)
{
    u->n++;
    u->min_ns = MIN(u->min_ns, ref->min_ns);
    u->max_ns = MAX(u->max_ns, ref->max_ns);
    u->entries += ref->entries;
    u->line_bytes += ref->line_bytes;
    u->meta_bytes += ref->meta_bytes;
    u->flags |= ref->flags;
}

/* How many blocks right before block i reach the first that may end within it. */
static uint32_t count_before(const struct scan_stream *st, size_t i)
{
    uint32_t n = 0;
    for (uint32_t k = 1; k <= OVERLAP_BEFORE_MAX && k <= i; k++)
        if (st->blocks[i - k].ref->max_ns >= st->blocks[i].ref->min_ns)
            n = k;
    return n;
}

/* Ends of all blocks of the stream up to block i - OVERLAP_BEFORE_MAX - 1 and up to i - 1. */
struct ends {
    int64_t far_ns, all_ns;
};

static bool is_light(const struct scan_stream *st, size_t i, const struct ends *e)
{
    const struct block_ref *ref = st->blocks[i].ref;
    int64_t span = ref->max_ns - ref->min_ns, common = MIN(e->all_ns, ref->max_ns) - ref->min_ns;
    return e->far_ns < ref->min_ns && common <= span / OVERLAP_PART;
}

size_t scan_cut_units(const struct scan_stream *st, uint32_t stream, struct scan_unit *units)
{
    size_t n = 0, chain = 0; /* units, the one with which the present chain of overlaps began */
    struct ends e = {INT64_MIN, INT64_MIN};
    for (size_t i = 0; i < st->n_blocks; i++) {
        const struct block_ref *ref = st->blocks[i].ref;
        if (i > OVERLAP_BEFORE_MAX)
            e.far_ns = MAX(e.far_ns, st->blocks[i - OVERLAP_BEFORE_MAX - 1].ref->max_ns);
        if (n == 0 || ref->min_ns > e.all_ns) {
            chain = n;
            start_unit(&units[n++], stream, i, 0);
        } else if (is_light(st, i, &e)) {
            start_unit(&units[n++], stream, i, count_before(st, i));
        } else { /* the whole chain becomes one unit, to be merged */
            size_t first = units[chain].first;
            start_unit(&units[chain], stream, first, 0);
            for (size_t j = first; j < i; j++)
                add_to_unit(&units[chain], st->blocks[j].ref);
            n = chain + 1;
        }
        add_to_unit(&units[n - 1], ref);
        e.all_ns = MAX(e.all_ns, ref->max_ns);
    }
    return n;
}

/* ---- reading ---- */

/* Moves both to the next time that is in both; false if there is none. */
static bool next_shared(const struct block_view *a, uint32_t *i, const struct block_view *b,
                        uint32_t *j)
{
    while (*i < a->n && *j < b->n) {
        if (a->ts_ns[*i] == b->ts_ns[*j])
            return true;
        if (a->ts_ns[*i] < b->ts_ns[*j])
            *i = scan_lower_bound(a->ts_ns, *i, a->n, b->ts_ns[*j]);
        else
            *j = scan_lower_bound(b->ts_ns, *j, b->n, a->ts_ns[*i]);
    }
    return false;
}

static uint32_t time_end(const struct block_view *v, uint32_t from)
{
    uint32_t to = from + 1;
    while (to < v->n && v->ts_ns[to] == v->ts_ns[from])
        to++;
    return to;
}

/* Marks the rows of the block that `b` has too. */
static void mark_equal(struct unit_reader *r, const struct block_view *b)
{
    const struct block_view *a = &r->view;
    for (uint32_t i = 0, j = 0; next_shared(a, &i, b, &j);) {
        uint32_t i_end = time_end(a, i), j_end = time_end(b, j);
        for (; i < i_end; i++)
            for (uint32_t k = j; k < j_end && r->dropped.items[i] == 0; k++)
                if (str_eq(block_line(a, i), block_line(b, k))) {
                    r->dropped.items[i] = 1;
                    r->stats->duplicates++;
                }
        j = j_end;
    }
}

/* Makes the lines of the block known, if they are not. */
static int need_lines(struct unit_reader *r, const struct scan_block *block)
{
    if (r->view.text != NULL)
        return 0;
    r->columns = (r->columns & ~(unsigned)BLOCK_LENGTHS) | BLOCK_LINES;
    int rc = scan_read_again(block, r->columns, &r->buf, r->stats);
    if (rc == 0)
        r->view = r->buf.view;
    return rc;
}

int overlap_find(struct unit_reader *r)
{
    const struct scan_block *blocks = r->scan->streams[r->unit->stream].blocks;
    uint32_t first = r->unit->first;
    r->dropped.len = 0;
    for (uint32_t i = 0; i < r->view.n; i++)
        VEC_PUSH(&r->dropped, 0);
    for (uint32_t j = first - r->unit->n_before; j < first; j++) {
        if (blocks[j].ref->max_ns < blocks[first].ref->min_ns)
            continue;
        uint32_t x = 0, y = 0;
        int rc = scan_read_again(&blocks[j], BLOCK_TIMES, &r->other, r->stats);
        if (rc == 0 && !next_shared(&r->view, &x, &r->other.view, &y))
            continue;
        if (rc == 0)
            rc = need_lines(r, &blocks[first]);
        if (rc == 0)
            rc = scan_read_again(&blocks[j], BLOCK_LINES, &r->other, r->stats);
        if (rc == 0)
            mark_equal(r, &r->other.view);
        else if (rc != E_CORRUPT) /* what cannot be read is not there to be equal */
            return rc;
    }
    return 0;
}
