#include "chunks/head.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "chunks/block.h"
#include "chunks/sets.h"

/* A stream of one line should not cost a page, a busy one reaches the target in few steps. */
#define ROWS_FIRST       16
#define TEXT_FIRST_BYTES 1024
#define SETS_FIRST_BYTES 64
#define HUGE_FACTOR      4    /* a block of one single time may be that much longer */
#define DUPLICATES_LOOK  32   /* entries of the same time compared on append; the rest on sorting */
#define SETS_HASH_MAX    4096 /* sets remembered to be found again */

_Static_assert(HUGE_FACTOR *BLOCK_ENTRIES_MAX <= CHUNK_BLOCK_ENTRIES_MAX, "a head fits a block");

/* One allocation: this, then ts_ns, line_at, meta_of, text, sets. */
struct head_rows {
    atomic_uint refs;
    uint32_t cap;
    size_t text_cap, sets_cap;
    int64_t *ts_ns;    /* [cap] */
    uint32_t *line_at; /* [cap + 1] */
    uint32_t *meta_of; /* [cap] */
    char *text;        /* [text_cap] */
    char *sets;        /* [sets_cap] */
};

static size_t rows_size(uint32_t cap, size_t text_cap, size_t sets_cap)
{
    return sizeof(struct head_rows) + (size_t)cap * (8 + 4 + 4) + 4 + text_cap + sets_cap;
}

static struct head_rows *rows_new(uint32_t cap, size_t text_cap, size_t sets_cap)
{
    struct head_rows *r = mem_try_alloc(rows_size(cap, text_cap, sets_cap));
    if (r == NULL)
        return NULL;
    atomic_init(&r->refs, 1);
    r->cap = cap;
    r->text_cap = text_cap;
    r->sets_cap = sets_cap;
    r->ts_ns = (int64_t *)(void *)(r + 1);
    r->line_at = (uint32_t *)(void *)(r->ts_ns + cap);
    r->meta_of = r->line_at + cap + 1;
    r->text = (char *)(r->meta_of + cap);
    r->sets = r->text + text_cap;
    r->line_at[0] = 0;
    return r;
}

static void rows_unref(struct head_rows *r)
{
    if (r != NULL && atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1)
        mem_free(r);
}

void head_init(struct head *h)
{
    *h = (struct head){.is_sorted = true};
    u64map_init(&h->set_by_hash);
}

void head_deinit(struct head *h)
{
    rows_unref(h->rows);
    u64map_deinit(&h->set_by_hash);
    *h = (struct head){0};
}

size_t head_memory(const struct head *h)
{
    const struct head_rows *r = h->rows;
    return r == NULL ? 0 : rows_size(r->cap, r->text_cap, r->sets_cap);
}

bool head_is_full_for(const struct head *h, int64_t ts_ns, size_t line_len, size_t block_bytes)
{
    if (h->n == 0)
        return false;
    /* Not between equal times, unless the block is huge. */
    size_t factor = ts_ns == h->max_ns ? HUGE_FACTOR : 1;
    return h->text_len + line_len + 1 > factor * block_bytes || h->n >= factor * BLOCK_ENTRIES_MAX;
}

/* --- appending --- */

/* Makes room for one more entry. */
static bool rows_reserve(struct head *h, size_t line_len, size_t set_len)
{
    struct head_rows *r = h->rows;
    uint32_t cap = r ? r->cap : ROWS_FIRST;
    size_t text_cap = r ? r->text_cap : TEXT_FIRST_BYTES;
    size_t sets_cap = r ? r->sets_cap : SETS_FIRST_BYTES;
    while (cap < h->n + 1)
        cap *= 2;
    while (text_cap < h->text_len + line_len + 1)
        text_cap *= 2;
    while (sets_cap < h->sets_len + set_len)
        sets_cap *= 2;
    if (r && cap == r->cap && text_cap == r->text_cap && sets_cap == r->sets_cap)
        return true;
    struct head_rows *grown = rows_new(cap, text_cap, sets_cap);
    if (grown == NULL)
        return false;
    if (r != NULL) {
        memcpy(grown->ts_ns, r->ts_ns, h->n * sizeof *r->ts_ns);
        memcpy(grown->line_at, r->line_at, (h->n + 1) * sizeof *r->line_at);
        memcpy(grown->meta_of, r->meta_of, h->n * sizeof *r->meta_of);
        memcpy(grown->text, r->text, h->text_len);
        memcpy(grown->sets, r->sets, h->sets_len);
        rows_unref(r);
    }
    h->rows = grown;
    return true;
}

static str rows_line(const struct head_rows *r, uint32_t i)
{
    return str_make(r->text + r->line_at[i], r->line_at[i + 1] - r->line_at[i] - 1);
}

/* True if the newest entries of the same time hold the same line.  A longer run is left to the
 * sort: *ret_unsure. */
static bool is_duplicate(const struct head *h, const struct entry *e, bool *ret_unsure)
{
    const struct head_rows *r = h->rows;
    for (uint32_t k = 1; k <= h->n && r->ts_ns[h->n - k] == e->ts_ns; k++) {
        if (k > DUPLICATES_LOOK) {
            *ret_unsure = true;
            return false;
        }
        if (str_eq(rows_line(r, h->n - k), e->line))
            return true;
    }
    return false;
}

/* True if the set at `at` in the head's bytes is `ls`. */
static bool set_is(const struct head *h, size_t at, const struct labels *ls)
{
    struct cursor c = cursor_make(str_make(h->rows->sets + at, h->sets_len - at));
    if (cursor_uvarint(&c) != ls->n)
        return false;
    for (size_t i = 0; i < ls->n; i++)
        if (!str_eq(cursor_lenstr(&c), ls->items[i].name) ||
            !str_eq(cursor_lenstr(&c), ls->items[i].value))
            return false;
    return true;
}

/* What the map holds for a set: its index and where its bytes begin, in one pointer-sized word. */
#define SET_SLOT(index, at) ((void *)(uintptr_t)((uint64_t)((index) + 1) << 32 | (uint32_t)(at)))
#define SET_INDEX(slot)     ((uint32_t)((uint64_t)(uintptr_t)(slot) >> 32) - 1)
#define SET_AT(slot)        ((size_t)(uint32_t)(uintptr_t)(slot))

/* A set used lately moves to the front of the short list. */
static void set_remember(struct head *h, unsigned place, uint32_t index, size_t at)
{
    for (; place > 0; place--)
        h->recent[place] = h->recent[place - 1];
    h->recent[0].index = index;
    h->recent[0].at = (uint32_t)at;
}

/* Index of a set that is there already; UINT32_MAX if it is not. */
static uint32_t set_find(struct head *h, const struct labels *ls, uint64_t *ret_hash)
{
    unsigned n_recent = MIN(h->n_sets, HEAD_RECENT_SETS);
    for (unsigned i = 0; i < n_recent; i++)
        if (set_is(h, h->recent[i].at, ls)) {
            uint32_t index = h->recent[i].index;
            if (i > 0)
                set_remember(h, i, index, h->recent[i].at);
            return index;
        }
    *ret_hash = labels_hash(ls);
    void *slot = u64map_get(&h->set_by_hash, *ret_hash);
    if (slot == NULL || !set_is(h, SET_AT(slot), ls))
        return UINT32_MAX;
    set_remember(h, HEAD_RECENT_SETS - 1, SET_INDEX(slot), SET_AT(slot));
    return SET_INDEX(slot);
}

/* Adds a set; room is reserved. */
static uint32_t set_add(struct head *h, const struct labels *ls, uint64_t hash)
{
    if (h->set_by_hash.len < SETS_HASH_MAX && u64map_get(&h->set_by_hash, hash) == NULL)
        u64map_put(&h->set_by_hash, hash, SET_SLOT(h->n_sets, h->sets_len));
    set_remember(h, MIN(h->n_sets, HEAD_RECENT_SETS - 1), h->n_sets, h->sets_len);
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    out.ptr = h->rows->sets + h->sets_len;
    out.cap = h->rows->sets_cap - h->sets_len;
    sets_put(&out, ls); /* fits: no growth */
    h->sets_len += out.len;
    return h->n_sets++;
}

int head_append(struct head *h, const struct entry *e)
{
    bool unsure = false;
    if (h->n > 0 && e->ts_ns == h->max_ns && h->is_sorted && is_duplicate(h, e, &unsure))
        return E_EXISTS;
    uint64_t hash = 0;
    uint32_t set = set_find(h, &e->meta, &hash);
    if (!rows_reserve(h, e->line.len, set == UINT32_MAX ? sets_size(&e->meta) : 0))
        return E_NO_MEMORY;
    if (set == UINT32_MAX) {
        set = set_add(h, &e->meta, hash);
        h->has_meta |= sets_is_rich(&e->meta);
    }
    struct head_rows *r = h->rows;
    if (h->n == 0) {
        h->min_ns = h->max_ns = e->ts_ns;
    } else if (e->ts_ns < r->ts_ns[h->n - 1] || unsure) {
        h->is_sorted = false;
    }
    h->min_ns = MIN(h->min_ns, e->ts_ns);
    h->max_ns = MAX(h->max_ns, e->ts_ns);
    uint32_t i = h->n;
    r->ts_ns[i] = e->ts_ns;
    if (e->line.len > 0)
        memcpy(r->text + h->text_len, e->line.ptr, e->line.len);
    h->text_len += e->line.len;
    r->text[h->text_len++] = '\n';
    r->line_at[i + 1] = (uint32_t)h->text_len;
    r->meta_of[i] = set;
    h->meta_bytes += sets_text_bytes(&e->meta);
    h->n++;
    return 0;
}

void head_clear(struct head *h)
{
    struct head_rows *r = h->rows;
    /* Only this head can take new references, so a count of one stays one. */
    if (r != NULL && atomic_load_explicit(&r->refs, memory_order_acquire) != 1) {
        struct head_rows *fresh = rows_new(r->cap, r->text_cap, SETS_FIRST_BYTES);
        rows_unref(r);
        r = fresh; /* NULL: tried again by the next append */
    }
    u64map_deinit(&h->set_by_hash);
    *h = (struct head){.rows = r, .is_sorted = true};
    u64map_init(&h->set_by_hash);
}

/* --- sorting --- */

struct sort_key {
    int64_t ts_ns;
    uint32_t i; /* order of arrival */
};

static int cmp_key(const void *a, const void *b)
{
    const struct sort_key *x = a, *y = b;
    if (x->ts_ns != y->ts_ns)
        return x->ts_ns < y->ts_ns ? -1 : 1;
    return (x->i > y->i) - (x->i < y->i);
}

/* Keeps the first of equal lines among n keys of one time; returns how many are left. */
static uint32_t run_unique(const struct head_rows *r, struct sort_key *keys, uint32_t n)
{
    if (n <= DUPLICATES_LOOK) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t k = 0;
            while (k < kept && !str_eq(rows_line(r, keys[k].i), rows_line(r, keys[i].i)))
                k++;
            if (k == kept)
                keys[kept++] = keys[i];
        }
        return kept;
    }
    struct strmap seen;
    strmap_init(&seen);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (strmap_put(&seen, rows_line(r, keys[i].i), keys) == NULL)
            keys[kept++] = keys[i];
    strmap_deinit(&seen);
    return kept;
}

static uint32_t keys_unique(const struct head_rows *r, struct sort_key *keys, uint32_t n)
{
    uint32_t kept = 0;
    for (uint32_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && keys[to].ts_ns == keys[from].ts_ns; to++)
            ;
        uint32_t left = run_unique(r, keys + from, to - from);
        memmove(keys + kept, keys + from, left * sizeof *keys);
        kept += left;
    }
    return kept;
}

/* Sum of metadata over the rows that are left. */
static uint64_t count_meta_bytes(const struct head *h)
{
    uint32_t *text_bytes = mem_array(MAX(h->n_sets, 1u), sizeof *text_bytes);
    struct cursor c = cursor_make(str_make(h->rows->sets, h->sets_len));
    for (uint32_t i = 0; i < h->n_sets; i++)
        for (uint64_t parts = 2 * cursor_uvarint(&c); parts > 0 && cursor_ok(&c); parts--)
            text_bytes[i] += (uint32_t)cursor_lenstr(&c).len;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < h->n; i++)
        sum += text_bytes[h->rows->meta_of[i]];
    mem_free(text_bytes);
    return sum;
}

/* Puts the rows in order into a new buffer; readers of the old one keep it. */
static int head_sort(struct head *h)
{
    struct head_rows *r = h->rows;
    struct head_rows *sorted = rows_new(r->cap, r->text_cap, r->sets_cap);
    struct sort_key *keys = mem_try_alloc(h->n * sizeof *keys);
    if (sorted == NULL || keys == NULL) {
        mem_free(sorted);
        mem_free(keys);
        return E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < h->n; i++)
        keys[i] = (struct sort_key){r->ts_ns[i], i};
    qsort(keys, h->n, sizeof *keys, cmp_key);
    uint32_t n = keys_unique(r, keys, h->n);
    h->text_len = 0;
    for (uint32_t k = 0; k < n; k++) {
        str line = rows_line(r, keys[k].i);
        sorted->ts_ns[k] = keys[k].ts_ns;
        memcpy(sorted->text + h->text_len, line.ptr, line.len + 1);
        h->text_len += line.len + 1;
        sorted->line_at[k + 1] = (uint32_t)h->text_len;
        sorted->meta_of[k] = r->meta_of[keys[k].i];
    }
    memcpy(sorted->sets, r->sets, h->sets_len);
    mem_free(keys);
    rows_unref(r);
    h->rows = sorted;
    h->is_sorted = true;
    bool has_dropped = n < h->n;
    h->n = n;
    if (has_dropped)
        h->meta_bytes = count_meta_bytes(h);
    return 0;
}

/* --- snapshots --- */

int head_take(struct head *h, struct head_snapshot *ret)
{
    *ret = (struct head_snapshot){0};
    if (h->n == 0)
        return 0;
    if (!h->is_sorted) {
        int code = head_sort(h);
        if (code != 0)
            return code;
    }
    atomic_fetch_add_explicit(&h->rows->refs, 1, memory_order_relaxed);
    *ret = (struct head_snapshot){
        .rows = h->rows,
        .n = h->n,
        .n_sets = h->n_sets,
        .text_len = h->text_len,
        .sets_len = h->sets_len,
        .min_ns = h->min_ns,
        .max_ns = h->max_ns,
        .line_bytes = h->text_len - h->n,
        .meta_bytes = h->meta_bytes,
        .has_meta = h->has_meta,
    };
    return 0;
}

void head_release(struct head_snapshot *s)
{
    rows_unref(s->rows);
    *s = (struct head_snapshot){0};
}

int head_read(const struct head_snapshot *s, unsigned columns, struct block_buf *into)
{
    const struct head_rows *r = s->rows;
    struct block_view *v = &into->view;
    *v = (struct block_view){.n = s->n, .columns = columns};
    v->ts_ns = columns & BLOCK_TIMES ? r->ts_ns : NULL;
    v->line_at = columns & (BLOCK_LINES | BLOCK_LENGTHS) ? r->line_at : NULL;
    if (columns & BLOCK_LINES) {
        v->text = r->text;
        v->text_len = s->text_len;
    }
    if (columns & BLOCK_META) {
        arena_reset(&into->meta);
        struct labels *sets = arena_try_alloc(&into->meta, s->n_sets * sizeof *sets);
        struct cursor c = cursor_make(str_make(r->sets, s->sets_len));
        for (uint32_t i = 0; sets != NULL && i < s->n_sets; i++)
            sets[i] = sets_get(&c, &into->meta);
        if (sets == NULL || !cursor_ok(&c)) {
            *v = (struct block_view){.n = s->n};
            return E_NO_MEMORY;
        }
        v->meta = sets;
        v->n_meta = s->n_sets;
        v->meta_of = s->n_sets == 1 ? NULL : r->meta_of;
    }
    return 0;
}
