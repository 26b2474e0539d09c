#include "proto/block.h"

/* Scratch for one block: no more than its decoded columns can need. */
#define BLOCK_BUF_BYTES_MAX ((size_t)BLOCK_TEXT_BYTES_MAX + (16u << 20))

void block_buf_init(struct block_buf *b)
{
    memset(&b->view, 0, sizeof b->view);
    buf_init(&b->times, BLOCK_BUF_BYTES_MAX);
    buf_init(&b->text, BLOCK_BUF_BYTES_MAX);
    buf_init(&b->line_at, BLOCK_BUF_BYTES_MAX);
    buf_init(&b->meta_of, BLOCK_BUF_BYTES_MAX);
    buf_init(&b->scratch, BLOCK_BUF_BYTES_MAX);
    arena_init(&b->meta, BLOCK_BUF_BYTES_MAX);
}

void block_buf_deinit(struct block_buf *b)
{
    buf_deinit(&b->times);
    buf_deinit(&b->text);
    buf_deinit(&b->line_at);
    buf_deinit(&b->meta_of);
    buf_deinit(&b->scratch);
    arena_deinit(&b->meta);
}
