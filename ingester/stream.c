#include "ingester/stream.h"

#include "base/hash.h"
#include "base/mem.h"
#include "index/table.h"

/* --- blocks --- */

struct mem_block *mem_block_ref(struct mem_block *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void mem_block_unref(struct mem_block *b)
{
    if (b != NULL && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
        mem_free(b);
}

/* --- streams --- */

uint64_t stream_check_hash(str tenant_name, const struct labels *labels)
{
    struct hash_state h;
    hash_start(&h, 1);
    hash_add(&h, tenant_name.ptr, tenant_name.len);
    uint64_t fingerprint = labels_hash(labels);
    hash_add(&h, &fingerprint, sizeof fingerprint);
    for (size_t i = 0; i < labels->n; i++) {
        hash_add(&h, labels->items[i].name.ptr, labels->items[i].name.len);
        hash_add(&h, labels->items[i].value.ptr, labels->items[i].value.len);
    }
    return hash_end(&h);
}

/* One allocation: the stream, its labels, their bytes. */
struct stream *stream_new(struct tenant *tenant, str tenant_name, const struct labels *labels,
                          uint64_t fingerprint)
{
    size_t size = sizeof(struct stream) + labels->n * sizeof(struct label);
    for (size_t i = 0; i < labels->n; i++)
        size += labels->items[i].name.len + labels->items[i].value.len;
    struct stream *s = mem_zalloc(size);
    struct label *items = (struct label *)(void *)(s + 1);
    char *at = (char *)(items + labels->n);
    for (size_t i = 0; i < labels->n; i++) {
        const struct label *l = &labels->items[i];
        items[i].name = str_make(memcpy(at, l->name.ptr, l->name.len), l->name.len);
        at += l->name.len;
        items[i].value = str_make(memcpy(at, l->value.ptr, l->value.len), l->value.len);
        at += l->value.len;
    }
    s->tenant = tenant;
    s->labels = (struct labels){items, labels->n};
    s->fingerprint = fingerprint;
    s->check = stream_check_hash(tenant_name, labels);
    atomic_init(&s->refs, 1);
    head_init(&s->head);
    s->head_wal_from = LOG_PLACE_NONE;
    s->newest_ns = INT64_MIN;
    s->rate_at_ns = INT64_MIN;
    return s;
}

static void chunk_free(struct mem_chunk *c)
{
    for (size_t i = 0; i < c->blocks.len; i++)
        mem_block_unref(c->blocks.items[i]);
    VEC_FREE(&c->blocks);
    mem_free(c);
}

void stream_unref(struct stream *s)
{
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < s->chunks.len; i++)
        chunk_free(s->chunks.items[i]);
    VEC_FREE(&s->chunks);
    head_deinit(&s->head);
    mem_free(s);
}

struct log_place stream_wal_from(const struct stream *s)
{
    struct log_place from = head_is_empty(&s->head) ? LOG_PLACE_NONE : s->head_wal_from;
    for (size_t i = 0; i < s->chunks.len; i++)
        from = log_place_min(from, s->chunks.items[i]->wal_from);
    return from;
}

/* --- from head to chunk --- */

static void add(atomic_int_fast64_t *bytes, int64_t delta)
{
    if (delta != 0)
        atomic_fetch_add_explicit(bytes, delta, memory_order_relaxed);
}

void stream_seal(struct mem_chunk *c, const struct stream_params *p, enum flush_reason reason)
{
    if (c->is_sealed)
        return;
    c->is_sealed = true;
    c->reason = reason;
    p->on_sealed(p->arg, c);
}

static struct mem_chunk *open_chunk(struct stream *s, const struct stream_params *p, int64_t day)
{
    for (size_t i = s->chunks.len; i-- > 0;)
        if (!s->chunks.items[i]->is_sealed && s->chunks.items[i]->day == day)
            return s->chunks.items[i];
    struct mem_chunk *c = mem_zalloc(sizeof *c);
    c->stream = s;
    c->id = p->next_chunk_id(p->arg);
    c->day = day;
    c->begun_ns = s->head_begun_ns;
    c->wal_from = LOG_PLACE_NONE;
    c->min_ns = INT64_MAX;
    c->max_ns = INT64_MIN;
    VEC_PUSH(&s->chunks, c);
    metric_inc(ingester_metrics()->chunks_created);
    metric_add(ingester_metrics()->chunks, 1);
    return c;
}

static int add_block(struct stream *s, const struct stream_params *p, const struct block_view *v,
                     uint32_t from, uint32_t to, struct buf *scratch)
{
    struct chunk_block info;
    buf_reset(scratch);
    int code = chunk_block_encode(v, from, to, scratch, &info);
    if (code != 0)
        return code;
    struct mem_block *b = mem_try_alloc(sizeof *b + scratch->len);
    if (b == NULL)
        return E_NO_MEMORY;
    struct mem_chunk *c = open_chunk(s, p, table_day_of(info.min_ns));
    *b = (struct mem_block){
        .info = info,
        .chunk_id = c->id,
        .index = (uint32_t)c->blocks.len,
        .size = scratch->len,
    };
    atomic_init(&b->refs, 1);
    memcpy(b->bytes, scratch->ptr, scratch->len);
    VEC_PUSH(&c->blocks, b);
    c->bytes += b->size;
    c->entries += info.entries;
    c->line_bytes += info.line_bytes;
    c->meta_bytes += info.meta_bytes;
    c->min_ns = MIN(c->min_ns, info.min_ns);
    c->max_ns = MAX(c->max_ns, info.max_ns);
    c->touched_ns = p->now_ns;
    c->wal_from = log_place_min(c->wal_from, s->head_wal_from);
    add(p->chunk_bytes, (int64_t)b->size);
    if (c->bytes >= p->chunk_target)
        stream_seal(c, p, FLUSH_FULL);
    return 0;
}

/* End of the run of entries that are of the same day as entry `from`. */
static uint32_t day_end(const struct block_view *v, uint32_t from)
{
    int64_t day = table_day_of(v->ts_ns[from]);
    if (table_day_of(v->ts_ns[v->n - 1]) == day)
        return v->n;
    uint32_t to = from + 1;
    while (table_day_of(v->ts_ns[to]) == day)
        to++;
    return to;
}

int stream_cut(struct stream *s, const struct stream_params *p)
{
    if (head_is_empty(&s->head))
        return 0;
    struct head_snapshot snapshot;
    int code = head_take(&s->head, &snapshot);
    if (code != 0)
        return code;
    struct block_buf view;
    struct buf scratch;
    block_buf_init(&view);
    buf_init(&scratch, 2 * (size_t)BLOCK_TEXT_BYTES_MAX);
    code = head_read(&snapshot, BLOCK_ALL, &view);
    for (uint32_t from = 0, to; from < view.view.n && code == 0; from = to) {
        to = day_end(&view.view, from);
        code = add_block(s, p, &view.view, from, to, &scratch);
    }
    buf_deinit(&scratch);
    block_buf_deinit(&view);
    head_release(&snapshot);
    if (code != 0) /* what has been cut is in the head too, and will be dropped as double later */
        return code;
    int64_t before = (int64_t)head_memory(&s->head);
    head_clear(&s->head);
    add(p->head_bytes, (int64_t)head_memory(&s->head) - before);
    s->head_wal_from = LOG_PLACE_NONE;
    return 0;
}

void stream_trim(struct stream *s, const struct stream_params *p)
{
    if (!head_is_empty(&s->head))
        return;
    add(p->head_bytes, -(int64_t)head_memory(&s->head));
    head_deinit(&s->head);
    head_init(&s->head);
}

int stream_append(struct stream *s, const struct stream_params *p, const struct entry *entries,
                  size_t n, struct log_place at)
{
    int code = 0;
    int64_t memory = (int64_t)head_memory(&s->head);
    for (size_t i = 0; i < n && code == 0; i++) {
        const struct entry *e = &entries[i];
        if (head_is_full_for(&s->head, e->ts_ns, e->line.len, p->block_target)) {
            add(p->head_bytes, (int64_t)head_memory(&s->head) - memory);
            code = stream_cut(s, p);
            memory = (int64_t)head_memory(&s->head);
            if (code != 0)
                break;
        }
        if (head_is_empty(&s->head)) {
            s->head_wal_from = LOG_PLACE_NONE;
            s->head_begun_ns = p->now_ns;
        }
        struct log_place here = {at.pos, at.entry + (uint32_t)i};
        s->head_wal_from = log_place_min(s->head_wal_from, here);
        code = head_append(&s->head, e);
        if (code == E_EXISTS)
            code = 0;
        s->newest_ns = MAX(s->newest_ns, e->ts_ns);
    }
    add(p->head_bytes, (int64_t)head_memory(&s->head) - memory);
    s->touched_ns = p->now_ns;
    return code;
}

void stream_drop_chunk(struct stream *s, const struct stream_params *p, struct mem_chunk *c)
{
    for (size_t i = 0; i < s->chunks.len; i++)
        if (s->chunks.items[i] == c) {
            memmove(s->chunks.items + i, s->chunks.items + i + 1,
                    (s->chunks.len - i - 1) * sizeof *s->chunks.items);
            s->chunks.len--;
            break;
        }
    add(p->chunk_bytes, -(int64_t)c->bytes);
    metric_add(ingester_metrics()->chunks, -1);
    chunk_free(c);
}
