#include "chunks/block.h"

#include <lz4.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "chunks/plane.h"
#include "chunks/sets.h"

/* LZ4 cannot expand a byte to more than this; a descriptor that says so lies. */
#define LZ4_EXPANSION_MAX 255
#define SCRATCH_BYTES_MAX ((size_t)BLOCK_TEXT_BYTES_MAX * 2)

/* Times are stored in the largest of these units that divides all of them. */
static const uint64_t time_units[] = {1, 1000, 1000000, 1000000000};

/* --- encoding --- */

/* Compresses `raw` to the end of `out`, or copies it where that saves nothing. */
static int put_column(struct buf *out, str raw, struct chunk_column *ret)
{
    *ret = (struct chunk_column){.raw_bytes = (uint32_t)raw.len, .coding = COLUMN_PLAIN};
    if (raw.len == 0)
        return 0;
    int bound = LZ4_compressBound((int)raw.len);
    ASSERT(bound > 0);
    if (!buf_reserve(out, (size_t)bound))
        return E_NO_MEMORY;
    char *at = out->ptr + out->len;
    int n = LZ4_compress_default(raw.ptr, at, (int)raw.len, bound);
    if (n > 0 && (size_t)n < raw.len) {
        ret->coding = COLUMN_LZ4;
        ret->stored_bytes = (uint32_t)n;
    } else {
        memcpy(at, raw.ptr, raw.len);
        ret->stored_bytes = (uint32_t)raw.len;
    }
    ret->crc = crc32c(0, str_make(at, ret->stored_bytes));
    out->len += ret->stored_bytes;
    return 0;
}

/* Raw form: u8 unit index, u8 width, planes of n - 1 deltas in that unit.  Absent when all times
 * are equal. */
static int put_times(const struct block_view *v, uint32_t from, uint32_t to, struct buf *scratch,
                     struct buf *out, struct chunk_column *ret)
{
    size_t n = to - from - 1;
    const int64_t *ts = v->ts_ns + from;
    buf_reset(scratch);
    if (ts[n] == ts[0])
        return put_column(out, STR_EMPTY, ret);
    uint64_t *deltas = mem_try_alloc(n * sizeof *deltas);
    if (deltas == NULL)
        return E_NO_MEMORY;
    size_t unit = ARRAY_LEN(time_units) - 1;
    uint64_t max = 0;
    for (size_t i = 0; i < n; i++) {
        ASSERT(ts[i + 1] >= ts[i]);
        deltas[i] = (uint64_t)ts[i + 1] - (uint64_t)ts[i];
        while (unit > 0 && deltas[i] % time_units[unit] != 0)
            unit--;
        max = MAX(max, deltas[i]);
    }
    for (size_t i = 0; unit > 0 && i < n; i++)
        deltas[i] /= time_units[unit];
    unsigned width = plane_width(max / time_units[unit]);
    bool ok = buf_put_u8(scratch, (uint8_t)unit) && buf_put_u8(scratch, (uint8_t)width) &&
              plane_put_u64(scratch, deltas, n, width);
    mem_free(deltas);
    return ok ? put_column(out, buf_str(scratch), ret) : E_NO_MEMORY;
}

/* Raw form: uvarint of the shortest length, u8 width, planes of what each line is longer. */
static int put_lengths(const struct block_view *v, uint32_t from, uint32_t to, struct buf *scratch,
                       struct buf *out, struct chunk_column *ret)
{
    size_t n = to - from;
    const uint32_t *at = v->line_at + from;
    uint32_t *lengths = mem_try_alloc(n * sizeof *lengths);
    if (lengths == NULL)
        return E_NO_MEMORY;
    uint32_t min = UINT32_MAX, max = 0;
    for (size_t i = 0; i < n; i++) {
        lengths[i] = at[i + 1] - at[i] - 1;
        min = MIN(min, lengths[i]);
        max = MAX(max, lengths[i]);
    }
    for (size_t i = 0; i < n; i++)
        lengths[i] -= min;
    unsigned width = plane_width(max - min);
    buf_reset(scratch);
    bool ok = buf_put_uvarint(scratch, min) && buf_put_u8(scratch, (uint8_t)width) &&
              plane_put_u32(scratch, lengths, n, width);
    mem_free(lengths);
    return ok ? put_column(out, buf_str(scratch), ret) : E_NO_MEMORY;
}

/* Raw form: uvarint count of sets, the sets, and if there is more than one: planes of each
 * entry's index, as wide as count - 1.  Absent when no entry has metadata. */
static int put_meta(const struct block_view *v, uint32_t from, uint32_t to, struct buf *scratch,
                    struct buf *out, struct chunk_block *b)
{
    uint32_t n = to - from, n_used = 0;
    uint32_t *new_of = mem_try_alloc((size_t)(v->n_meta + n + 1) * sizeof *new_of);
    uint32_t *text_bytes = mem_try_alloc(((size_t)v->n_meta + 1) * sizeof *text_bytes);
    int code = E_NO_MEMORY;
    if (new_of == NULL || text_bytes == NULL)
        goto out;
    uint32_t *of = new_of + v->n_meta; /* [n] */
    for (uint32_t i = 0; i < v->n_meta; i++)
        new_of[i] = UINT32_MAX;
    buf_reset(scratch);
    uint64_t meta_bytes = 0;
    for (uint32_t i = 0; i < n; i++) { /* numbers the sets of the range as they come */
        uint32_t old = v->meta_of == NULL ? 0 : v->meta_of[from + i];
        ASSERT(old < v->n_meta);
        if (new_of[old] == UINT32_MAX) {
            new_of[old] = n_used++;
            if (!sets_put(scratch, &v->meta[old]))
                goto out;
            text_bytes[old] = (uint32_t)sets_text_bytes(&v->meta[old]);
            if (sets_is_rich(&v->meta[old]))
                b->flags |= CHUNK_BLOCK_HAS_META;
        }
        of[i] = new_of[old];
        meta_bytes += text_bytes[old];
    }
    b->meta_bytes = (uint32_t)MIN(meta_bytes, (uint64_t)UINT32_MAX);
    struct buf raw;
    buf_init(&raw, SCRATCH_BYTES_MAX);
    bool ok = true;
    if (meta_bytes > 0) /* names are never empty, so a set without text is the empty one */
        ok = buf_put_uvarint(&raw, n_used) && buf_append_str(&raw, buf_str(scratch)) &&
             (n_used == 1 || plane_put_u32(&raw, of, n, plane_width(n_used - 1)));
    code = ok ? put_column(out, buf_str(&raw), &b->columns[COLUMN_META]) : E_NO_MEMORY;
    buf_deinit(&raw);
out:
    mem_free(new_of);
    mem_free(text_bytes);
    return code;
}

int chunk_block_encode(const struct block_view *v, uint32_t from, uint32_t to, struct buf *out,
                       struct chunk_block *ret)
{
    ASSERT(from < to && to <= v->n && to - from <= CHUNK_BLOCK_ENTRIES_MAX);
    str text = {v->text + v->line_at[from], v->line_at[to] - v->line_at[from]};
    ASSERT(text.len <= BLOCK_TEXT_BYTES_MAX);
    struct chunk_block b = {
        .min_ns = v->ts_ns[from],
        .max_ns = v->ts_ns[to - 1],
        .entries = to - from,
        .line_bytes = (uint32_t)text.len - (to - from),
    };
    struct buf scratch;
    buf_init(&scratch, SCRATCH_BYTES_MAX);
    int code = put_times(v, from, to, &scratch, out, &b.columns[COLUMN_TIMES]);
    if (code == 0)
        code = put_lengths(v, from, to, &scratch, out, &b.columns[COLUMN_LENGTHS]);
    if (code == 0)
        code = put_column(out, text, &b.columns[COLUMN_TEXT]);
    if (code == 0)
        code = put_meta(v, from, to, &scratch, out, &b);
    buf_deinit(&scratch);
    if (code == 0)
        *ret = b;
    return code;
}

/* --- decoding --- */

/* The raw bytes of a column, checked; a view of `stored` or decompressed into `room`. */
static int get_column(const struct chunk_column *c, str stored, char *room, str *ret)
{
    if (crc32c(0, stored) != c->crc)
        return E_CORRUPT;
    if (c->coding == COLUMN_PLAIN) {
        *ret = stored;
        return 0;
    }
    int n = LZ4_decompress_safe(stored.ptr, room, (int)stored.len, (int)c->raw_bytes);
    if (n < 0 || (uint32_t)n != c->raw_bytes)
        return E_CORRUPT;
    *ret = str_make(room, c->raw_bytes);
    return 0;
}

static int get_scratch(const struct chunk_column *c, str stored, struct block_buf *into, str *ret)
{
    buf_reset(&into->scratch);
    if (!buf_reserve(&into->scratch, c->raw_bytes))
        return E_NO_MEMORY;
    return get_column(c, stored, into->scratch.ptr, ret);
}

static int get_times(const struct chunk_block *b, str stored, struct block_buf *into)
{
    size_t n = b->entries - 1;
    uint64_t unit = 0;
    unsigned width = 0;
    str planes = STR_EMPTY;
    if (stored.len > 0) {
        str raw;
        int code = get_scratch(&b->columns[COLUMN_TIMES], stored, into, &raw);
        if (code != 0)
            return code;
        struct cursor c = cursor_make(raw);
        unit = cursor_u8(&c);
        width = cursor_u8(&c);
        if (unit >= ARRAY_LEN(time_units) || width > 8)
            return E_CORRUPT;
        planes = cursor_bytes(&c, n * width);
        if (!cursor_ok(&c) || !cursor_at_end(&c))
            return E_CORRUPT;
    }
    buf_reset(&into->times);
    if (!buf_reserve(&into->times, (n + 1) * sizeof(int64_t)))
        return E_NO_MEMORY;
    int64_t *ts = (int64_t *)(void *)into->times.ptr;
    bool ok = plane_sum_times((const unsigned char *)planes.ptr, n, width, b->min_ns,
                              time_units[unit], ts);
    if (!ok || ts[n] != b->max_ns)
        return E_CORRUPT;
    into->view.ts_ns = ts;
    return 0;
}

static int get_lengths(const struct chunk_block *b, str stored, struct block_buf *into)
{
    size_t n = b->entries;
    str raw;
    int code = get_scratch(&b->columns[COLUMN_LENGTHS], stored, into, &raw);
    if (code != 0)
        return code;
    struct cursor c = cursor_make(raw);
    uint64_t min = cursor_uvarint(&c);
    unsigned width = cursor_u8(&c);
    if (width > 4 || min > BLOCK_TEXT_BYTES_MAX)
        return E_CORRUPT;
    str planes = cursor_bytes(&c, n * width);
    if (!cursor_ok(&c) || !cursor_at_end(&c))
        return E_CORRUPT;
    buf_reset(&into->line_at);
    if (!buf_reserve(&into->line_at, (n + 1) * sizeof(uint32_t)))
        return E_NO_MEMORY;
    uint32_t *at = (uint32_t *)(void *)into->line_at.ptr;
    uint64_t end =
        plane_sum_offsets((const unsigned char *)planes.ptr, n, width, min + 1 /* '\n' */, at);
    if (end != b->columns[COLUMN_TEXT].raw_bytes)
        return E_CORRUPT;
    into->view.line_at = at;
    return 0;
}

static int get_text(const struct chunk_block *b, str stored, struct block_buf *into)
{
    const struct chunk_column *c = &b->columns[COLUMN_TEXT];
    buf_reset(&into->text);
    if (c->coding != COLUMN_PLAIN && !buf_reserve(&into->text, c->raw_bytes))
        return E_NO_MEMORY;
    str text;
    int code = get_column(c, stored, into->text.ptr, &text);
    if (code != 0)
        return code;
    into->view.text = text.ptr;
    into->view.text_len = text.len;
    return 0;
}

static const struct labels no_meta = LABELS_EMPTY;

static int get_meta(const struct chunk_block *b, str stored, struct block_buf *into)
{
    const struct chunk_column *column = &b->columns[COLUMN_META];
    into->view.meta = &no_meta;
    into->view.n_meta = 1;
    into->view.meta_of = NULL;
    if (stored.len == 0)
        return 0;
    arena_reset(&into->meta);
    /* The sets are views of these bytes, so they go into the arena and not into the scratch. */
    char *room = arena_try_alloc(&into->meta, column->raw_bytes);
    if (room == NULL)
        return E_NO_MEMORY;
    str raw;
    int code = get_column(column, stored, room, &raw);
    if (code != 0)
        return code;
    struct cursor c = cursor_make(raw);
    uint64_t n_sets = cursor_uvarint(&c);
    if (n_sets == 0 || n_sets > b->entries)
        return E_CORRUPT;
    struct labels *sets = arena_try_alloc(&into->meta, n_sets * sizeof *sets);
    if (sets == NULL)
        return E_NO_MEMORY;
    for (uint64_t i = 0; i < n_sets; i++)
        sets[i] = sets_get(&c, &into->meta);
    unsigned width = plane_width(n_sets - 1);
    str planes = cursor_bytes(&c, (uint64_t)b->entries * width);
    if (!cursor_ok(&c) || !cursor_at_end(&c))
        return E_CORRUPT;
    into->view.meta = sets;
    into->view.n_meta = (uint32_t)n_sets;
    if (n_sets == 1)
        return 0;
    buf_reset(&into->meta_of);
    if (!buf_reserve(&into->meta_of, b->entries * sizeof(uint32_t)))
        return E_NO_MEMORY;
    uint32_t *of = (uint32_t *)(void *)into->meta_of.ptr;
    if (plane_get_u32((const unsigned char *)planes.ptr, b->entries, width, of) >= n_sets)
        return E_CORRUPT;
    into->view.meta_of = of;
    return 0;
}

int chunk_block_decode(const struct chunk_block *b, str bytes, unsigned columns,
                       struct block_buf *into)
{
    str stored[COLUMN_COUNT];
    struct cursor c = cursor_make(bytes);
    for (int i = 0; i < COLUMN_COUNT; i++)
        stored[i] = cursor_bytes(&c, b->columns[i].stored_bytes);
    into->view = (struct block_view){.n = b->entries};
    if (!cursor_ok(&c))
        return E_CORRUPT;
    int code = 0;
    if (columns & BLOCK_TIMES)
        code = get_times(b, stored[COLUMN_TIMES], into);
    if (code == 0 && columns & (BLOCK_LINES | BLOCK_LENGTHS))
        code = get_lengths(b, stored[COLUMN_LENGTHS], into);
    if (code == 0 && columns & BLOCK_LINES)
        code = get_text(b, stored[COLUMN_TEXT], into);
    if (code == 0 && columns & BLOCK_META)
        code = get_meta(b, stored[COLUMN_META], into);
    if (code != 0)
        into->view = (struct block_view){.n = b->entries};
    else
        into->view.columns = columns;
    return code;
}

uint64_t chunk_block_size(const struct chunk_block *b)
{
    uint64_t size = 0;
    for (int i = 0; i < COLUMN_COUNT; i++)
        size += b->columns[i].stored_bytes;
    return size;
}

/* --- the descriptor --- */

bool chunk_block_put(struct buf *out, const struct chunk_block *b)
{
    bool ok = buf_put_uvarint(out, b->entries) && buf_put_varint(out, b->min_ns) &&
              buf_put_uvarint(out, (uint64_t)b->max_ns - (uint64_t)b->min_ns) &&
              buf_put_uvarint(out, b->meta_bytes) && buf_put_uvarint(out, b->flags);
    for (int i = 0; i < COLUMN_COUNT && ok; i++) {
        const struct chunk_column *c = &b->columns[i];
        ok = buf_put_uvarint(out, (uint64_t)c->stored_bytes << 1 | c->coding);
        if (c->coding != COLUMN_PLAIN)
            ok = ok && buf_put_uvarint(out, c->raw_bytes);
        if (c->stored_bytes > 0)
            ok = ok && buf_put_u32(out, c->crc);
    }
    return ok;
}

static void get_column_descriptor(struct cursor *c, struct chunk_column *ret)
{
    uint64_t stored = cursor_uvarint(c), raw;
    enum column_coding coding = stored & 1 ? COLUMN_LZ4 : COLUMN_PLAIN;
    stored >>= 1;
    raw = coding == COLUMN_PLAIN ? stored : cursor_uvarint(c);
    if (stored > BLOCK_TEXT_BYTES_MAX || raw > BLOCK_TEXT_BYTES_MAX ||
        raw > stored * LZ4_EXPANSION_MAX || (coding == COLUMN_LZ4 && raw <= stored))
        c->bad = true;
    ret->stored_bytes = (uint32_t)stored;
    ret->raw_bytes = (uint32_t)raw;
    ret->coding = coding;
    ret->crc = stored > 0 ? cursor_u32(c) : 0;
}

void chunk_block_get(struct cursor *c, struct chunk_block *ret)
{
    *ret = (struct chunk_block){0};
    uint64_t entries = cursor_uvarint(c);
    int64_t min_ns = cursor_varint(c);
    uint64_t span_ns = cursor_uvarint(c), meta_bytes = cursor_uvarint(c);
    uint64_t flags = cursor_uvarint(c);
    for (int i = 0; i < COLUMN_COUNT; i++)
        get_column_descriptor(c, &ret->columns[i]);
    uint32_t text = ret->columns[COLUMN_TEXT].raw_bytes;
    if (entries == 0 || entries > CHUNK_BLOCK_ENTRIES_MAX || text < entries ||
        span_ns > (uint64_t)INT64_MAX - (uint64_t)min_ns || meta_bytes > UINT32_MAX ||
        (flags & ~(uint64_t)CHUNK_BLOCK_FLAGS_ALL) != 0 ||
        ret->columns[COLUMN_LENGTHS].stored_bytes == 0 ||
        (ret->columns[COLUMN_TIMES].stored_bytes == 0) != (span_ns == 0))
        c->bad = true;
    if (c->bad)
        return;
    ret->entries = (uint32_t)entries;
    ret->min_ns = min_ns;
    ret->max_ns = (int64_t)((uint64_t)min_ns + span_ns);
    ret->line_bytes = text - (uint32_t)entries;
    ret->meta_bytes = (uint32_t)meta_bytes;
    ret->flags = (unsigned)flags;
}

struct block_ref chunk_block_ref(const struct chunk_block *b)
{
    return (struct block_ref){
        .min_ns = b->min_ns,
        .max_ns = b->max_ns,
        .entries = b->entries,
        .line_bytes = b->line_bytes,
        .meta_bytes = b->meta_bytes,
        .compressed_bytes = (uint32_t)chunk_block_size(b),
        .flags = b->flags & CHUNK_BLOCK_HAS_META ? BLOCK_REF_HAS_META : 0,
    };
}
