/* chunks/plane.h - unsigned integers as byte planes: all lowest bytes, then all second bytes, ...
 *
 * The width is that of the largest value.  Planes of high bytes are mostly zero, which LZ4 then
 * takes for next to nothing, and decoding is a straight loop a compiler can unroll: no branch a
 * value, as varints have.  Pure functions, any thread. */
#pragma once
#include "base/buf.h"

/* Bytes that hold v: 0 for 0, up to 8. */
unsigned plane_width(uint64_t v);
/* Appends n values of `width` bytes; `values` fit into them.  False if the buffer is full. */
bool plane_put_u64(struct buf *out, const uint64_t *values, size_t n, unsigned width);
bool plane_put_u32(struct buf *out, const uint32_t *values, size_t n, unsigned width);

/* Running sum: out[0] = start, out[i + 1] = out[i] + value[i] * unit, for n values read from
 * `bytes` (n * width of them, width <= 8).  Returns false if a sum is lower than the one before
 * it, which means an overflow. */
bool plane_sum_times(const unsigned char *bytes, size_t n, unsigned width, int64_t start,
                     uint64_t unit, int64_t *out);
/* out[0] = 0, out[i + 1] = out[i] + value[i] + extra.  Returns the last sum unwrapped; if it fits
 * 32 bits, so do all the others.  width <= 4. */
uint64_t plane_sum_offsets(const unsigned char *bytes, size_t n, unsigned width, uint64_t extra,
                           uint32_t *out);
/* Plain values.  width <= 4.  Returns the largest. */
uint32_t plane_get_u32(const unsigned char *bytes, size_t n, unsigned width, uint32_t *out);
