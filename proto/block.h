/* proto/block.h - a block of entries of one stream as columns: what a query works on.
 *
 * Entries are in time order; equal times keep their order of arrival.  A block never ends between
 * two entries of the same time unless it is full of them. */
#pragma once
#include "base/buf.h"
#include "proto/labels.h"

enum block_column {
    BLOCK_TIMES = 1,
    BLOCK_LINES = 2, /* text and line_at */
    BLOCK_META = 4,  /* meta and meta_of */
    /* line_at without text: for sums of bytes.  A source that cannot give it alone may leave it
     * out; the asker then reads BLOCK_LINES, which implies it. */
    BLOCK_LENGTHS = 8,
    BLOCK_ALL = 7,
};

/* Decoded columns; a column not asked for is NULL (n is always set).  All pointers lie in the
 * block_buf it was read into and live until the next read into it. */
struct block_view {
    uint32_t n;           /* entries */
    unsigned columns;     /* enum block_column, which of these are there */
    const int64_t *ts_ns; /* [n] */
    const char *text;     /* the lines, a '\n' after each; a line itself may contain '\n' */
    size_t text_len;
    const uint32_t *line_at;   /* [n + 1]: line i is text[line_at[i] .. line_at[i + 1] - 1) */
    const struct labels *meta; /* [n_meta] the distinct sets of structured metadata */
    uint32_t n_meta;
    const uint32_t *meta_of; /* [n] index into meta; NULL means all entries have meta[0] */
};

/* Memory that reads are decoded into; reused from block to block by one worker at a time. */
struct block_buf {
    struct block_view view;
    struct buf times, text, line_at, meta_of, scratch;
    struct arena meta; /* label sets; reset by each read */
};

void block_buf_init(struct block_buf *b);
void block_buf_deinit(struct block_buf *b);

static inline str block_line(const struct block_view *v, uint32_t i)
{
    return str_make(v->text + v->line_at[i], v->line_at[i + 1] - v->line_at[i] - 1);
}

static inline const struct labels *block_meta(const struct block_view *v, uint32_t i)
{
    return &v->meta[v->meta_of == NULL ? 0 : v->meta_of[i]];
}

#define BLOCK_BYTES_TARGET   (256 * 1024) /* line bytes at which a block is cut */
#define BLOCK_ENTRIES_MAX    (64 * 1024)  /* entries at which it is cut */
#define BLOCK_TEXT_BYTES_MAX (64u << 20)  /* a reader refuses more */
