#include "logql/engine/scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A stream as one source knows it. */
struct source_stream {
    const struct selected_stream *stream;
    struct query_source *source;
    size_t order; /* of the source: equal labels keep the order of the sources */
};

static int source_stream_cmp(const void *a, const void *b)
{
    const struct source_stream *x = a, *y = b;
    int c = labels_cmp(&x->stream->labels, &y->stream->labels);
    return c != 0 ? c : (x->order > y->order) - (x->order < y->order);
}

static int scan_block_cmp(const void *a, const void *b)
{
    const struct block_ref *x = ((const struct scan_block *)a)->ref;
    const struct block_ref *y = ((const struct scan_block *)b)->ref;
#define CMP_FIELD(field)                                                                           \
    if (x->field != y->field)                                                                      \
    return x->field < y->field ? -1 : 1
    CMP_FIELD(min_ns);
    CMP_FIELD(max_ns);
    CMP_FIELD(chunk_id);
    CMP_FIELD(index);
#undef CMP_FIELD
    return 0;
}

static bool is_same_block(const struct block_ref *a, const struct block_ref *b)
{
    return a->chunk_id != 0 && a->chunk_id == b->chunk_id && a->index == b->index;
}

static bool is_block_needed(const struct scan_params *p, const struct block_ref *ref)
{
    if (ref->entries == 0 || ref->max_ns < p->from_ns || ref->min_ns >= p->to_ns)
        return false;
    return p->is_needed == NULL || p->is_needed(p->is_needed_arg, ref->min_ns, ref->max_ns);
}

/* The mark of a block's chunk. */
static atomic_bool *chunk_mark(struct u64map *marks, struct arena *a, uint64_t chunk_id)
{
    atomic_bool *mark = chunk_id == 0 ? NULL : u64map_get(marks, chunk_id);
    if (mark == NULL) {
        mark = ARENA_NEW(a, atomic_bool);
        if (chunk_id != 0)
            u64map_put(marks, chunk_id, mark);
    }
    return mark;
}

/* Joins what the sources have of one stream: `n` neighbours in the sorted list. */
static bool join_stream(struct scan *s, const struct scan_params *p, struct arena *a,
                        const struct source_stream *same, size_t n, struct scan_stream *ret)
{
    struct u64map marks;
    size_t max = 0, len = 0;
    for (size_t i = 0; i < n; i++)
        max += same[i].stream->n_blocks;
    struct scan_block *blocks = ARENA_ARRAY(a, struct scan_block, max);
    for (size_t i = 0; i < n; i++) {
        const struct selected_stream *st = same[i].stream;
        for (size_t j = 0; j < st->n_blocks; j++)
            if (is_block_needed(p, &st->blocks[j]))
                blocks[len++] = (struct scan_block){&st->blocks[j], same[i].source, NULL};
        s->totals.chunks += st->n_chunks;
    }
    if (len == 0)
        return false;
    qsort(blocks, len, sizeof *blocks, scan_block_cmp);
    size_t kept = 1;
    for (size_t i = 1; i < len; i++)
        if (!is_same_block(blocks[kept - 1].ref, blocks[i].ref))
            blocks[kept++] = blocks[i];
    u64map_init(&marks);
    for (size_t i = 0; i < kept; i++)
        blocks[i].is_chunk_read = chunk_mark(&marks, a, blocks[i].ref->chunk_id);
    u64map_deinit(&marks);
    const struct labels *labels = &same[0].stream->labels;
    *ret = (struct scan_stream){*labels, labels_hash(labels), blocks, kept};
    return true;
}

static void add_totals(struct scan *s, const struct scan_stream *st)
{
    for (size_t i = 0; i < st->n_blocks; i++) {
        const struct block_ref *ref = st->blocks[i].ref;
        s->totals.blocks++;
        s->totals.entries += ref->entries;
        s->totals.line_bytes += ref->line_bytes;
        s->totals.meta_bytes += ref->meta_bytes;
        s->totals.compressed_bytes += ref->compressed_bytes;
    }
}

/* The streams of all selections, joined by labels. */
static void join_streams(struct scan *s, const struct scan_params *p, struct arena *a)
{
    size_t total = 0, n = 0;
    for (size_t i = 0; i < s->n_selections; i++)
        total += s->selections[i]->n_streams;
    struct source_stream *all = mem_array(total + 1, sizeof *all);
    for (size_t i = 0; i < s->n_selections; i++)
        for (size_t j = 0; j < s->selections[i]->n_streams; j++)
            all[n++] = (struct source_stream){&s->selections[i]->streams[j], p->sources[i], i};
    if (s->n_selections > 1)
        qsort(all, n, sizeof *all, source_stream_cmp);

    struct scan_stream *streams = ARENA_ARRAY(a, struct scan_stream, n);
    size_t len = 0;
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n; j++)
            if (!labels_eq(&all[i].stream->labels, &all[j].stream->labels))
                break;
        if (join_stream(s, p, a, &all[i], j - i, &streams[len]))
            add_totals(s, &streams[len++]);
    }
    mem_free(all);
    s->streams = streams;
    s->n_streams = len;
}

int scan_open(struct scan *s, const struct scan_params *p, struct arena *a, struct error *err)
{
    *s = (struct scan){.from_ns = p->from_ns, .to_ns = p->to_ns};
    s->selections = ARENA_ARRAY(a, struct selection *, p->n_sources);
    struct matcher *matchers = ARENA_ARRAY(a, struct matcher, p->n_matchers);
    for (size_t i = 0; i < p->n_matchers; i++)
        matchers[i] = *p->matchers[i];
    struct select_params sp = {.tenant = p->tenant,
                               .matchers = matchers,
                               .n_matchers = p->n_matchers,
                               .from_ns = p->from_ns,
                               .to_ns = p->to_ns,
                               .streams_max = p->streams_max};
    for (size_t i = 0; i < p->n_sources; i++) {
        int rc = p->sources[i]->ops->select(p->sources[i], &sp, &s->selections[i], err);
        if (rc != 0) {
            scan_close(s);
            return error_set(err, rc, "%s: %s", p->sources[i]->name, status_text(rc));
        }
        s->n_selections++;
    }
    join_streams(s, p, a);
    struct scan_unit *units = ARENA_ARRAY(a, struct scan_unit, s->totals.blocks);
    for (size_t i = 0; i < s->n_streams; i++)
        s->n_units += scan_cut_units(&s->streams[i], (uint32_t)i, units + s->n_units);
    s->units = units;
    return 0;
}

void scan_close(struct scan *s)
{
    for (size_t i = 0; i < s->n_selections; i++)
        s->selections[i]->source->ops->selection_free(s->selections[i]);
    s->n_selections = 0;
}

uint32_t scan_lower_bound(const int64_t *ts, uint32_t from, uint32_t to, int64_t t)
{
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        if (ts[mid] < t)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

/* ---- reading ---- */

static void count_read(const struct scan_block *b, unsigned columns, const struct block_view *v,
                       struct engine_stats *st)
{
    const struct block_ref *ref = b->ref;
    uint64_t text = v->text != NULL ? v->text_len - v->n : 0;
    uint64_t meta = (columns & BLOCK_META) != 0 ? ref->meta_bytes : 0;
    st->bytes_processed += text + meta;
    st->meta_bytes_processed += meta;
    if ((ref->flags & BLOCK_REF_IN_MEMORY) != 0)
        st->head_bytes += text + meta;
    else
        st->decompressed_bytes += text + meta + (v->ts_ns != NULL ? v->n * sizeof(int64_t) : 0);
}

static void count_block(const struct scan_block *b, struct engine_stats *st)
{
    const struct block_ref *ref = b->ref;
    st->chunks_read += !atomic_exchange_explicit(b->is_chunk_read, true, memory_order_relaxed);
    st->blocks_read++;
    st->lines_processed += ref->entries;
    if ((ref->flags & BLOCK_REF_IN_MEMORY) != 0) {
        st->head_lines += ref->entries;
        return;
    }
    st->decompressed_lines += ref->entries;
    st->compressed_bytes += ref->compressed_bytes;
}

static int read_columns(const struct scan_block *b, unsigned columns, struct block_buf *into,
                        struct engine_stats *stats)
{
    int rc = b->source->ops->read(b->source, b->ref, columns, into);
    if (rc == 0 && (columns & BLOCK_LENGTHS) != 0 && into->view.line_at == NULL)
        rc = b->source->ops->read(b->source, b->ref, columns | BLOCK_LINES, into);
    if (rc == E_CORRUPT)
        stats->blocks_corrupt++;
    if (rc == 0)
        count_read(b, columns, &into->view, stats);
    return rc;
}

int scan_read_block(const struct scan_block *b, unsigned columns, struct block_buf *into,
                    struct engine_stats *stats)
{
    count_block(b, stats);
    return read_columns(b, columns | BLOCK_TIMES, into, stats);
}

int scan_read_again(const struct scan_block *b, unsigned columns, struct block_buf *into,
                    struct engine_stats *stats)
{
    return read_columns(b, columns | BLOCK_TIMES, into, stats);
}

void unit_reader_init(struct unit_reader *r, const struct scan *scan, struct engine_stats *stats)
{
    *r = (struct unit_reader){.scan = scan, .stats = stats, .state = UNIT_AT_END};
    block_buf_init(&r->buf);
    block_buf_init(&r->late_buf);
    block_buf_init(&r->other);
}

void unit_reader_deinit(struct unit_reader *r)
{
    block_buf_deinit(&r->buf);
    block_buf_deinit(&r->late_buf);
    block_buf_deinit(&r->other);
    VEC_FREE(&r->dropped);
    merge_free(r->merge);
}

void unit_reader_open(struct unit_reader *r, const struct scan_unit *u, unsigned columns,
                      bool is_late)
{
    const struct scan *s = r->scan;
    bool is_inside = u->min_ns >= s->from_ns && u->max_ns < s->to_ns;
    r->unit = u;
    r->columns = columns | BLOCK_TIMES;
    r->late = is_late && is_inside && u->n == 1 && u->n_before == 0
                  ? r->columns & ~(unsigned)BLOCK_LINES
                  : 0;
    r->state = UNIT_TO_READ;
    if (u->n > 1) {
        if (r->merge == NULL)
            r->merge = merge_new();
        merge_open(r->merge, s->streams[u->stream].blocks + u->first, u->n, columns, r->stats);
        r->state = UNIT_MERGING;
    }
}

/* The entries of a piece that lie in the scan's time range. */
static void clip(const struct scan *s, const struct block_view *v, uint32_t *from, uint32_t *to)
{
    *from = 0;
    *to = v->n;
    if (v->n == 0 || v->ts_ns == NULL)
        return;
    if (v->ts_ns[0] < s->from_ns)
        *from = scan_lower_bound(v->ts_ns, 0, v->n, s->from_ns);
    if (v->ts_ns[v->n - 1] >= s->to_ns)
        *to = scan_lower_bound(v->ts_ns, *from, v->n, s->to_ns);
}

static const struct scan_block *block_of(const struct unit_reader *r)
{
    return &r->scan->streams[r->unit->stream].blocks[r->unit->first];
}

/* The next run of rows that no block before has. */
static int next_cut(struct unit_reader *r, const struct block_view **ret, uint32_t *from,
                    uint32_t *to)
{
    uint32_t in_from, in_to;
    clip(r->scan, &r->view, &in_from, &in_to);
    uint32_t at = MAX(r->row, in_from);
    while (at < in_to && r->dropped.items[at] != 0)
        at++;
    if (at >= in_to) {
        r->state = UNIT_AT_END;
        return 0;
    }
    *from = at;
    while (at < in_to && r->dropped.items[at] == 0)
        at++;
    *to = r->row = at;
    *ret = &r->view;
    return 1;
}

int unit_reader_next(struct unit_reader *r, const struct block_view **ret, uint32_t *from,
                     uint32_t *to)
{
    if (r->state == UNIT_AT_END)
        return 0;
    if (r->state == UNIT_CUT)
        return next_cut(r, ret, from, to);
    if (r->state == UNIT_MERGING) {
        int rc = merge_next(r->merge, ret);
        if (rc <= 0) {
            r->state = UNIT_AT_END;
            return rc;
        }
    } else {
        r->state = UNIT_AT_END;
        count_block(block_of(r), r->stats);
        int rc = read_columns(block_of(r), r->columns & ~r->late, &r->buf, r->stats);
        if (rc != 0)
            return rc == E_CORRUPT ? 0 : rc;
        r->view = r->buf.view;
        *ret = &r->view;
        if (r->unit->n_before > 0) {
            rc = overlap_find(r);
            r->row = 0;
            r->state = UNIT_CUT;
            return rc != 0 ? rc : next_cut(r, ret, from, to);
        }
    }
    clip(r->scan, *ret, from, to);
    return 1;
}

int unit_reader_complete(struct unit_reader *r)
{
    if (r->late == 0)
        return 1;
    int rc = read_columns(block_of(r), r->late, &r->late_buf, r->stats);
    const struct block_view *v = &r->late_buf.view;
    if (rc == E_CORRUPT || (rc == 0 && v->n != r->view.n))
        return 0;
    if (rc != 0)
        return rc;
    r->view.columns |= v->columns;
    r->view.ts_ns = v->ts_ns;
    r->view.meta = v->meta;
    r->view.n_meta = v->n_meta;
    r->view.meta_of = v->meta_of;
    r->late = 0;
    return 1;
}
