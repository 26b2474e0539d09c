/* Merging of blocks of one stream whose times overlap.
 *
 * Blocks are opened when the merge reaches their first time and closed at their last, so what is
 * held in memory is the overlap, not the unit.  Runs of entries that lie before anything another
 * block has are copied at once; entries of one time that come from several blocks are compared, and
 * those with a line that an earlier block has too are dropped. */
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "logql/engine/scan.h"

#define MERGE_ENTRIES_TARGET 16384
#define MERGE_TEXT_TARGET    (1u << 20)
#define MERGE_TEXT_MAX       ((size_t)BLOCK_TEXT_BYTES_MAX * 4)

/* A block being merged.  Kept after its end until the piece that points into it is handed over. */
struct merge_input {
    struct block_buf buf;
    uint32_t at; /* next entry */
    bool is_open;
    bool is_referenced;  /* the piece has metadata of it */
    uint32_t meta_base;  /* where its metadata begin in the piece's */
    uint32_t open_order; /* equal times: the block that began first goes first */
};

struct merge {
    const struct scan_block *blocks;
    size_t n_blocks, next_block;
    unsigned columns;
    struct engine_stats *stats;
    VEC(struct merge_input *) inputs;
    uint32_t opened;
    /* The piece. */
    struct block_view view;
    VEC(int64_t) ts;
    VEC(uint32_t) line_at;
    VEC(uint32_t) meta_of;
    VEC(struct labels) meta;
    struct buf text;
    VEC(uint64_t) seen; /* hashes of the lines of one time */
    /* Where a hash stands in `seen`, from a few lines on: open addressing, index + 1, 0 is free. */
    VEC(uint32_t) slots;
};

struct merge *merge_new(void)
{
    struct merge *m = mem_zalloc(sizeof *m);
    buf_init(&m->text, MERGE_TEXT_MAX);
    return m;
}

void merge_free(struct merge *m)
{
    if (m == NULL)
        return;
    for (size_t i = 0; i < m->inputs.len; i++) {
        block_buf_deinit(&m->inputs.items[i]->buf);
        mem_free(m->inputs.items[i]);
    }
    VEC_FREE(&m->inputs);
    VEC_FREE(&m->ts);
    VEC_FREE(&m->line_at);
    VEC_FREE(&m->meta_of);
    VEC_FREE(&m->meta);
    VEC_FREE(&m->seen);
    VEC_FREE(&m->slots);
    buf_deinit(&m->text);
    mem_free(m);
}

void merge_open(struct merge *m, const struct scan_block *blocks, size_t n, unsigned columns,
                struct engine_stats *stats)
{
    m->blocks = blocks;
    m->n_blocks = n;
    m->next_block = 0;
    m->columns = columns | BLOCK_TIMES | BLOCK_LINES; /* lines, to know equal ones */
    m->columns &= ~(unsigned)BLOCK_LENGTHS;
    m->stats = stats;
    m->opened = 0;
    for (size_t i = 0; i < m->inputs.len; i++)
        m->inputs.items[i]->is_open = false;
}

static struct merge_input *free_input(struct merge *m)
{
    for (size_t i = 0; i < m->inputs.len; i++)
        if (!m->inputs.items[i]->is_open && !m->inputs.items[i]->is_referenced)
            return m->inputs.items[i];
    struct merge_input *in = mem_zalloc(sizeof *in);
    block_buf_init(&in->buf);
    VEC_PUSH(&m->inputs, in);
    return in;
}

static int open_next_block(struct merge *m)
{
    struct merge_input *in = free_input(m);
    int rc = scan_read_block(&m->blocks[m->next_block++], m->columns, &in->buf, m->stats);
    if (rc == E_CORRUPT)
        return 0;
    if (rc != 0)
        return rc;
    in->at = 0;
    in->open_order = m->opened++;
    in->is_open = in->buf.view.n > 0;
    return 0;
}

static int64_t input_time(const struct merge_input *in)
{
    return in->buf.view.ts_ns[in->at];
}

/* The earliest input, and the first time anything else has; false at the end of all. */
static int find_first(struct merge *m, struct merge_input **ret, int64_t *ret_other_ns)
{
    for (;;) {
        struct merge_input *first = NULL;
        int64_t other = INT64_MAX;
        for (size_t i = 0; i < m->inputs.len; i++) {
            struct merge_input *in = m->inputs.items[i];
            if (!in->is_open)
                continue;
            if (first == NULL || input_time(in) < input_time(first)) {
                if (first != NULL)
                    other = MIN(other, input_time(first));
                first = in;
            } else {
                other = MIN(other, input_time(in));
            }
        }
        bool has_more = m->next_block < m->n_blocks;
        int64_t next_ns = has_more ? m->blocks[m->next_block].ref->min_ns : INT64_MAX;
        if (has_more && (first == NULL || next_ns <= input_time(first))) {
            int rc = open_next_block(m);
            if (rc != 0)
                return rc;
            continue;
        }
        *ret = first;
        *ret_other_ns = MIN(other, next_ns);
        return first != NULL;
    }
}

static void reference_meta(struct merge *m, struct merge_input *in)
{
    const struct block_view *v = &in->buf.view;
    if (in->is_referenced)
        return;
    in->is_referenced = true;
    in->meta_base = (uint32_t)m->meta.len;
    for (uint32_t i = 0; v->meta != NULL && i < v->n_meta; i++)
        VEC_PUSH(&m->meta, v->meta[i]);
    if (m->meta.len == in->meta_base)
        VEC_PUSH(&m->meta, LABELS_EMPTY);
}

/* Appends entries [from, to) of an input. */
static int append_entries(struct merge *m, struct merge_input *in, uint32_t from, uint32_t to)
{
    const struct block_view *v = &in->buf.view;
    size_t text_at = m->text.len;
    if (!buf_append(&m->text, v->text + v->line_at[from], v->line_at[to] - v->line_at[from]))
        return E_TOO_LARGE;
    for (uint32_t i = from; i < to; i++) {
        VEC_PUSH(&m->ts, v->ts_ns[i]);
        VEC_PUSH(&m->line_at, (uint32_t)(text_at + v->line_at[i] - v->line_at[from]));
    }
    if ((m->columns & BLOCK_META) != 0) {
        reference_meta(m, in);
        for (uint32_t i = from; i < to; i++) {
            uint32_t at = v->meta_of == NULL ? 0 : v->meta_of[i];
            VEC_PUSH(&m->meta_of, in->meta_base + at);
        }
    }
    return 0;
}

static void advance(struct merge_input *in, uint32_t to)
{
    in->at = to;
    if (to == in->buf.view.n)
        in->is_open = false;
}

#define MERGE_SLOTS_FROM 16 /* lines of one time at which looking through all of them ends */

static void put_slot(struct merge *m, uint32_t index)
{
    size_t mask = m->slots.len - 1, at = m->seen.items[index] & mask;
    while (m->slots.items[at] != 0)
        at = (at + 1) & mask;
    m->slots.items[at] = index + 1;
}

/* Keeps at least as many slots free as are taken. */
static void grow_slots(struct merge *m)
{
    size_t n = MAX(m->slots.len * 2, (size_t)MERGE_SLOTS_FROM * 4);
    m->slots.len = 0;
    while (m->slots.len < n)
        VEC_PUSH(&m->slots, 0);
    for (uint32_t i = 0; i < m->seen.len; i++)
        put_slot(m, i);
}

static void remember(struct merge *m, uint64_t hash)
{
    VEC_PUSH(&m->seen, hash);
    if (m->seen.len < MERGE_SLOTS_FROM)
        return;
    if (m->slots.len < m->seen.len * 2)
        grow_slots(m);
    else
        put_slot(m, (uint32_t)m->seen.len - 1);
}

static bool is_line(const struct merge *m, size_t at, str line)
{
    size_t from = m->line_at.items[at];
    size_t to = at + 1 < m->line_at.len ? m->line_at.items[at + 1] : m->text.len;
    return str_eq(line, str_make(m->text.ptr + from, to - from - 1));
}

/* True if one of the first n_seen lines of this time, of earlier blocks, is the same. */
static bool is_duplicate(const struct merge *m, size_t first_entry, size_t n_seen, uint64_t hash,
                         str line)
{
    if (m->slots.len == 0) {
        for (size_t i = 0; i < n_seen; i++)
            if (m->seen.items[i] == hash && is_line(m, first_entry + i, line))
                return true;
        return false;
    }
    size_t mask = m->slots.len - 1;
    for (size_t at = hash & mask; m->slots.items[at] != 0; at = (at + 1) & mask) {
        size_t i = m->slots.items[at] - 1;
        if (i < n_seen && m->seen.items[i] == hash && is_line(m, first_entry + i, line))
            return true;
    }
    return false;
}

/* Appends what all inputs have of time `t`, each line once. */
static int append_ties(struct merge *m, int64_t t)
{
    size_t first_entry = m->ts.len;
    m->seen.len = m->slots.len = 0;
    for (;;) {
        struct merge_input *in = NULL;
        for (size_t i = 0; i < m->inputs.len; i++) {
            struct merge_input *c = m->inputs.items[i];
            if (c->is_open && input_time(c) == t && (in == NULL || c->open_order < in->open_order))
                in = c;
        }
        if (in == NULL)
            return 0;
        const struct block_view *v = &in->buf.view;
        size_t n_seen = m->seen.len; /* a block has no duplicates in itself */
        uint32_t i = in->at;
        for (; i < v->n && v->ts_ns[i] == t; i++) {
            str line = block_line(v, i);
            uint64_t hash = hash_xxh64(line, 0);
            if (is_duplicate(m, first_entry, n_seen, hash, line)) {
                m->stats->duplicates++;
                continue;
            }
            int rc = append_entries(m, in, i, i + 1);
            if (rc != 0)
                return rc;
            remember(m, hash);
        }
        advance(in, i);
    }
}

static void reset_piece(struct merge *m)
{
    m->ts.len = m->line_at.len = m->meta_of.len = m->meta.len = 0;
    buf_reset(&m->text);
    for (size_t i = 0; i < m->inputs.len; i++)
        m->inputs.items[i]->is_referenced = false;
}

static void finish_piece(struct merge *m)
{
    uint32_t n = (uint32_t)m->ts.len;
    VEC_PUSH(&m->line_at, (uint32_t)m->text.len);
    bool has_meta = (m->columns & BLOCK_META) != 0 && m->meta.len > 0;
    m->view = (struct block_view){.n = n,
                                  .columns = m->columns,
                                  .ts_ns = m->ts.items,
                                  .text = m->text.ptr,
                                  .text_len = m->text.len,
                                  .line_at = m->line_at.items,
                                  .meta = has_meta ? m->meta.items : NULL,
                                  .n_meta = (uint32_t)m->meta.len,
                                  .meta_of = has_meta ? m->meta_of.items : NULL};
}

int merge_next(struct merge *m, const struct block_view **ret)
{
    reset_piece(m);
    while (m->ts.len < MERGE_ENTRIES_TARGET && m->text.len < MERGE_TEXT_TARGET) {
        struct merge_input *in = NULL;
        int64_t other = 0;
        int rc = find_first(m, &in, &other);
        if (rc < 0)
            return rc;
        if (rc == 0)
            break;
        int64_t t = input_time(in);
        if (t == other) {
            rc = append_ties(m, t);
        } else {
            const struct block_view *v = &in->buf.view;
            uint32_t to = scan_lower_bound(v->ts_ns, in->at, v->n, other);
            rc = append_entries(m, in, in->at, to);
            advance(in, to);
        }
        if (rc != 0)
            return rc;
    }
    if (m->ts.len == 0)
        return 0;
    finish_piece(m);
    *ret = &m->view;
    return 1;
}
