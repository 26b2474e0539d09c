#include "querier/store_source.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/vec.h"
#include "chunks/chunk.h"
#include "index/store.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

#define SELECTION_BYTES_MAX ((size_t)1 << 30)
#define LABELS_BYTES_MAX    ((size_t)256 << 20)

struct store_source {
    struct query_source base; /* first */
    struct store *store;
    struct metric *corrupt;
};

/* What a block_ref's handle points at. */
struct stored_block {
    const struct chunk_block *info;
    str bytes;
};

struct day {
    struct table *table;
    struct table_reader *reader;
};

struct store_selection {
    struct selection base; /* first */
    struct store *store;
    struct arena arena;
    VEC(struct day) days;
    VEC(struct selected_stream) streams;
};

static struct store_source *source_of(struct query_source *q)
{
    return CONTAINER_OF(q, struct store_source, base);
}

/* --- days --- */

static void days_close(struct store_selection *sel)
{
    for (size_t i = 0; i < sel->days.len; i++) {
        table_read_end(sel->days.items[i].reader);
        store_release(sel->store, sel->days.items[i].table);
    }
    VEC_FREE(&sel->days);
}

/* Opens the table of a day; one that cannot be opened is left out: the rest of the answer is worth
 * having, and the fault has been logged by who opened it. */
static int day_open(struct store_selection *sel, int64_t day, struct day *ret)
{
    struct error err = {0};
    int code = store_table(sel->store, day, false, &ret->table, &err);
    if (code == E_NOT_FOUND || code == E_CORRUPT)
        return E_NOT_FOUND;
    if (code == 0 && (code = table_read_begin(ret->table, &ret->reader)) != 0)
        store_release(sel->store, ret->table);
    if (code != 0)
        log_error("store", "cannot open a day's table", LOG_I("day", day), LOG_ERR(code));
    else
        VEC_PUSH(&sel->days, *ret);
    /* A spoilt head may claim more pages than there are addresses. */
    return code == E_NO_MEMORY ? E_NOT_FOUND : code;
}

/* What a day's table left out, or why it showed no more: a query answers with what there is. */
static int day_check(struct store_source *source, const struct day *d, int64_t day, int code)
{
    size_t n = table_reader_corrupt(d->reader) + (code == E_CORRUPT);
    if (n == 0)
        return code;
    metric_add(source->corrupt, (double)n);
    log_error("store", "left out what is damaged in a day's table", LOG_I("day", day),
              LOG_U("places", n));
    return code == E_CORRUPT ? 0 : code;
}

static void selection_free(struct selection *base)
{
    if (base == NULL)
        return;
    struct store_selection *sel = CONTAINER_OF(base, struct store_selection, base);
    days_close(sel);
    VEC_FREE(&sel->streams);
    arena_deinit(&sel->arena);
    mem_free(sel);
}

/* --- select --- */

struct select_work {
    struct store_source *source;
    struct store_selection *sel;
    const struct select_params *p;
    VEC(struct block_ref) refs; /* of the stream at hand */
};

static int add_chunk(struct select_work *w, const struct table_chunk *c)
{
    struct chunk_view view;
    int code = chunk_open(c->blob, &w->sel->arena, &view);
    if (code == E_CORRUPT || code == E_UNSUPPORTED) {
        metric_inc(w->source->corrupt);
        log_error("store", "skipped a chunk that cannot be read", LOG_U("chunk", c->id),
                  LOG_ERR(code));
        return 0;
    }
    if (code != 0)
        return E_LIMIT;
    struct stored_block *blocks = arena_try_alloc(&w->sel->arena, view.n_blocks * sizeof *blocks);
    if (blocks == NULL)
        return E_LIMIT;
    for (size_t i = 0; i < view.n_blocks; i++) {
        const struct chunk_block *info = &view.blocks[i];
        if (info->min_ns >= w->p->to_ns || info->max_ns < w->p->from_ns)
            continue;
        blocks[i] = (struct stored_block){info, chunk_block_bytes(&view, i)};
        struct block_ref ref = chunk_block_ref(info);
        ref.chunk_id = c->id;
        ref.index = (uint32_t)i;
        ref.handle = &blocks[i];
        VEC_PUSH(&w->refs, ref);
    }
    return 0;
}

static int cmp_ref(const void *a, const void *b)
{
    const struct block_ref *x = a, *y = b;
    if (x->min_ns != y->min_ns)
        return x->min_ns < y->min_ns ? -1 : 1;
    return (x->max_ns > y->max_ns) - (x->max_ns < y->max_ns);
}

static int add_stream(struct select_work *w, struct table_reader *reader,
                      const struct table_stream *ts)
{
    const struct select_params *p = w->p;
    struct selected_stream s = {.fingerprint = ts->fingerprint, .labels = ts->labels};
    if (p->flags & SELECT_STREAMS_ONLY) {
        if (table_has_chunk(reader, p->tenant, ts->fingerprint, p->from_ns, p->to_ns))
            VEC_PUSH(&w->sel->streams, s);
        return 0;
    }
    const struct table_chunk *chunks;
    size_t n_chunks;
    int code = table_chunks(reader, p->tenant, ts->fingerprint, p->from_ns, p->to_ns, true,
                            &w->sel->arena, &chunks, &n_chunks);
    w->refs.len = 0;
    for (size_t i = 0; i < n_chunks && code == 0; i++) {
        size_t before = w->refs.len;
        code = add_chunk(w, &chunks[i]);
        s.n_chunks += w->refs.len > before;
    }
    if (code != 0 || w->refs.len == 0)
        return code;
    struct block_ref *refs = arena_try_alloc(&w->sel->arena, w->refs.len * sizeof *refs);
    if (refs == NULL)
        return E_LIMIT;
    memcpy(refs, w->refs.items, w->refs.len * sizeof *refs);
    s.blocks = refs;
    s.n_blocks = w->refs.len;
    VEC_PUSH(&w->sel->streams, s);
    return 0;
}

static int select_day(struct select_work *w, int64_t day)
{
    struct day d;
    int code = day_open(w->sel, day, &d);
    if (code != 0)
        return code == E_NOT_FOUND ? 0 : code;
    const struct table_stream *streams;
    size_t n;
    code = table_streams(d.reader, w->p->tenant, w->p->matchers, w->p->n_matchers, &w->sel->arena,
                         &streams, &n);
    int damage = 0;
    for (size_t i = 0; i < n && code == 0; i++)
        if ((code = add_stream(w, d.reader, &streams[i])) == E_CORRUPT) {
            damage = code;
            code = 0;
        }
    return day_check(w->source, &d, day, code != 0 ? code : damage);
}

static int cmp_stream(const void *a, const void *b)
{
    const struct selected_stream *x = a, *y = b;
    int c = labels_cmp(&x->labels, &y->labels);
    if (c != 0 || x->n_blocks == 0 || y->n_blocks == 0)
        return c;
    return x->blocks[0].min_ns < y->blocks[0].min_ns ? -1 : 1; /* days in order */
}

/* The same stream of several days becomes one. */
static int join_days(struct store_selection *sel)
{
    struct selected_stream *all = sel->streams.items;
    size_t kept = 0;
    if (sel->streams.len > 0)
        qsort(all, sel->streams.len, sizeof *all, cmp_stream);
    for (size_t i = 0, end; i < sel->streams.len; i = end) {
        struct selected_stream s = all[i];
        size_t n = 0;
        s.n_chunks = 0;
        for (end = i; end < sel->streams.len && labels_eq(&all[end].labels, &s.labels); end++) {
            n += all[end].n_blocks;
            s.n_chunks += all[end].n_chunks;
        }
        if (end - i > 1) {
            struct block_ref *refs = arena_try_alloc(&sel->arena, n * sizeof *refs), *at = refs;
            if (refs == NULL)
                return E_LIMIT;
            for (size_t k = i; k < end; k++) {
                if (all[k].n_blocks > 0)
                    memcpy(at, all[k].blocks, all[k].n_blocks * sizeof *at);
                at += all[k].n_blocks;
            }
            s.blocks = refs;
            s.n_blocks = n;
        }
        /* Sorted here, once: chunks of a stream may overlap in time. */
        if (n > 1)
            qsort((void *)(uintptr_t)s.blocks, n, sizeof *s.blocks, cmp_ref);
        all[kept++] = s;
    }
    sel->streams.len = kept;
    return 0;
}

static int source_select(struct query_source *q, const struct select_params *p,
                         struct selection **ret, struct error *err)
{
    struct store_source *source = source_of(q);
    struct store_selection *sel = mem_zalloc(sizeof *sel);
    sel->store = source->store;
    arena_init(&sel->arena, SELECTION_BYTES_MAX);
    struct select_work w = {.source = source, .sel = sel, .p = p};
    const int64_t *days;
    size_t n;
    int code = store_days(source->store, p->from_ns, p->to_ns, &sel->arena, &days, &n);
    for (size_t i = 0; i < n && code == 0; i++)
        code = select_day(&w, days[i]);
    VEC_FREE(&w.refs);
    if (code == 0)
        code = join_days(sel);
    if (code == 0 && p->streams_max > 0 && sel->streams.len > p->streams_max)
        code = E_LIMIT;
    if (code != 0) {
        selection_free(&sel->base);
        return error_set(err, code, code == E_LIMIT ? "too many streams or chunks match" : "%s",
                         status_text(code));
    }
    sel->base.source = q;
    sel->base.streams = sel->streams.items;
    sel->base.n_streams = sel->streams.len;
    *ret = &sel->base;
    return 0;
}

static int source_read(struct query_source *q, const struct block_ref *ref, unsigned columns,
                       struct block_buf *into)
{
    const struct stored_block *b = ref->handle;
    int code = chunk_block_decode(b->info, b->bytes, columns, into);
    if (code == E_CORRUPT) {
        metric_inc(source_of(q)->corrupt);
        log_error("store", "skipped a block that is damaged", LOG_U("chunk", ref->chunk_id),
                  LOG_U("block", ref->index));
    }
    return code;
}

/* --- names and values --- */

static int labels_of_streams(struct day *d, const struct select_params *p, str name,
                             struct arena *a, struct str_set *into)
{
    const struct table_stream *streams;
    size_t n;
    int code = table_streams(d->reader, p->tenant, p->matchers, p->n_matchers, a, &streams, &n);
    for (size_t i = 0; i < n && code == 0; i++)
        for (size_t k = 0; k < streams[i].labels.n && code == 0; k++) {
            const struct label *l = &streams[i].labels.items[k];
            if (name.ptr == NULL ? !str_set_add(into, l->name)
                                 : str_eq(l->name, name) && !str_set_add(into, l->value))
                code = E_LIMIT;
        }
    return code;
}

static int source_labels(struct query_source *q, const struct select_params *p, str name,
                         struct str_set *into, struct error *err)
{
    struct store_selection sel = {.store = source_of(q)->store};
    arena_init(&sel.arena, LABELS_BYTES_MAX);
    struct arena scratch;
    arena_init(&scratch, LABELS_BYTES_MAX);
    const int64_t *days;
    size_t n;
    int code = store_days(sel.store, p->from_ns, p->to_ns, &sel.arena, &days, &n);
    for (size_t i = 0; i < n && code == 0; i++) {
        struct day d;
        code = day_open(&sel, days[i], &d);
        if (code == E_NOT_FOUND) {
            code = 0;
            continue;
        }
        if (code != 0)
            break;
        arena_reset(&scratch);
        code = p->n_matchers == 0 ? table_labels(d.reader, p->tenant, name, &scratch, into)
                                  : labels_of_streams(&d, p, name, &scratch, into);
        code = day_check(source_of(q), &d, days[i], code);
    }
    days_close(&sel);
    arena_deinit(&scratch);
    arena_deinit(&sel.arena);
    return code == 0 ? 0 : error_set(err, code, "%s", status_text(code));
}

static const struct query_source_ops ops = {
    .select = source_select,
    .selection_free = selection_free,
    .read = source_read,
    .labels = source_labels,
};

struct query_source *store_source_new(struct store *store)
{
    struct store_source *s = mem_zalloc(sizeof *s);
    s->base.ops = &ops;
    s->base.name = "store";
    s->store = store;
    s->corrupt = metric_single(
        metric_family("loge_store_corrupt_total", METRIC_COUNTER,
                      "Chunks and blocks of the store that could not be read.", NULL, NULL));
    return &s->base;
}

void store_source_free(struct query_source *q)
{
    if (q != NULL)
        mem_free(source_of(q));
}
