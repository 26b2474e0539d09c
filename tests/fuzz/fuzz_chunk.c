/* links: chunks proto base */
/* Chunks and blocks: nothing in them is trusted.  First byte 0: a chunk as it is.  1: a block's
 * descriptor and its columns, whose checksums are put right first, so that the decoders behind them
 * are reached. */
#include "base/crc32c.h"
#include "base/mem.h"
#include "chunks/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a reader may rely on when decoding said it was well. */
static void check_view(const struct block_view *v)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < v->n; i++) {
        ASSERT(i == 0 || v->ts_ns[i] >= v->ts_ns[i - 1]);
        str line = block_line(v, i);
        ASSERT(line.ptr + line.len < v->text + v->text_len);
        const struct labels *meta = block_meta(v, i);
        for (size_t k = 0; k < meta->n; k++)
            sum += meta->items[k].value.len;
    }
    ASSERT(sum < (size_t)1 << 40);
}

static void decode(const struct chunk_block *info, str bytes, struct block_buf *b)
{
    for (unsigned columns = 1; columns <= (BLOCK_ALL | BLOCK_LENGTHS); columns++)
        if (chunk_block_decode(info, bytes, columns, b) == 0 && columns == BLOCK_ALL)
            check_view(&b->view);
}

static void try_chunk(str bytes, struct arena *a, struct block_buf *b)
{
    struct chunk_view c;
    if (chunk_open(bytes, a, &c) != 0)
        return;
    for (size_t i = 0; i < c.n_blocks; i++)
        decode(&c.blocks[i], chunk_block_bytes(&c, i), b);
}

static void try_block(str bytes, struct block_buf *b)
{
    struct cursor c = cursor_make(bytes);
    struct chunk_block info;
    chunk_block_get(&c, &info);
    if (!cursor_ok(&c))
        return;
    str rest = cursor_bytes(&c, cursor_left(&c));
    struct cursor columns = cursor_make(rest);
    for (int i = 0; i < COLUMN_COUNT; i++)
        info.columns[i].crc = crc32c(0, cursor_bytes(&columns, info.columns[i].stored_bytes));
    decode(&info, rest, b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    str bytes = str_make((const char *)data + 1, size - 1);
    struct arena a;
    struct block_buf b;
    arena_init(&a, 4 << 20);
    block_buf_init(&b);
    if (data[0] % 2 == 0)
        try_chunk(bytes, &a, &b);
    else
        try_block(bytes, &b);
    block_buf_deinit(&b);
    arena_deinit(&a);
    return 0;
}
