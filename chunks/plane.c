#include "chunks/plane.h"

unsigned plane_width(uint64_t v)
{
    return v == 0 ? 0 : (unsigned)(64 - __builtin_clzll(v) + 7) / 8;
}

/* The low `width` bytes of values of `size` bytes, plane by plane.  Always called with a constant
 * size. */
static inline __attribute__((always_inline)) bool put(struct buf *out, const void *values,
                                                      size_t size, size_t n, unsigned width)
{
    if (!buf_reserve(out, n * width))
        return false;
    char *at = out->ptr + out->len;
    for (unsigned k = 0; k < width; k++)
        for (size_t i = 0; i < n; i++) {
            uint64_t v = size == sizeof(uint64_t) ? ((const uint64_t *)values)[i]
                                                  : ((const uint32_t *)values)[i];
            *at++ = (char)(v >> (8 * k));
        }
    out->len += n * width;
    return true;
}

bool plane_put_u64(struct buf *out, const uint64_t *values, size_t n, unsigned width)
{
    return put(out, values, sizeof *values, n, width);
}

bool plane_put_u32(struct buf *out, const uint32_t *values, size_t n, unsigned width)
{
    return put(out, values, sizeof *values, n, width);
}

/* Value i of a column of n values.  Always called with a constant width, so it becomes that many
 * loads and no loop. */
static inline __attribute__((always_inline)) uint64_t load(const unsigned char *bytes, size_t n,
                                                           size_t i, unsigned width)
{
    uint64_t v = 0;
    for (unsigned k = 0; k < width; k++)
        v |= (uint64_t)bytes[k * n + i] << (8 * k);
    return v;
}

static inline __attribute__((always_inline)) bool sum_times(const unsigned char *bytes, size_t n,
                                                            unsigned width, int64_t start,
                                                            uint64_t unit, int64_t *out)
{
    uint64_t at = (uint64_t)start;
    bool bad = false;
    out[0] = start;
    for (size_t i = 0; i < n; i++) {
        at += load(bytes, n, i, width) * unit;
        out[i + 1] = (int64_t)at;
        bad |= out[i + 1] < out[i];
    }
    return !bad;
}

bool plane_sum_times(const unsigned char *bytes, size_t n, unsigned width, int64_t start,
                     uint64_t unit, int64_t *out)
{
    switch (width) {
    case 0:
        return sum_times(bytes, n, 0, start, unit, out);
    case 1:
        return sum_times(bytes, n, 1, start, unit, out);
    case 2:
        return sum_times(bytes, n, 2, start, unit, out);
    case 3:
        return sum_times(bytes, n, 3, start, unit, out);
    case 4:
        return sum_times(bytes, n, 4, start, unit, out);
    case 5:
        return sum_times(bytes, n, 5, start, unit, out);
    case 6:
        return sum_times(bytes, n, 6, start, unit, out);
    case 7:
        return sum_times(bytes, n, 7, start, unit, out);
    default:
        return sum_times(bytes, n, 8, start, unit, out);
    }
}

static inline __attribute__((always_inline)) uint64_t
sum_offsets(const unsigned char *bytes, size_t n, unsigned width, uint64_t extra, uint32_t *out)
{
    uint64_t at = 0;
    out[0] = 0;
    for (size_t i = 0; i < n; i++) {
        at += load(bytes, n, i, width) + extra;
        out[i + 1] = (uint32_t)at;
    }
    return at;
}

uint64_t plane_sum_offsets(const unsigned char *bytes, size_t n, unsigned width, uint64_t extra,
                           uint32_t *out)
{
    switch (width) {
    case 0:
        return sum_offsets(bytes, n, 0, extra, out);
    case 1:
        return sum_offsets(bytes, n, 1, extra, out);
    case 2:
        return sum_offsets(bytes, n, 2, extra, out);
    case 3:
        return sum_offsets(bytes, n, 3, extra, out);
    default:
        return sum_offsets(bytes, n, 4, extra, out);
    }
}

uint32_t plane_get_u32(const unsigned char *bytes, size_t n, unsigned width, uint32_t *out)
{
    uint32_t max = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t v = 0;
        for (unsigned k = 0; k < width; k++)
            v |= (uint32_t)bytes[k * n + i] << (8 * k);
        out[i] = v;
        max = v > max ? v : max;
    }
    return max;
}
