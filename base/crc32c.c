#include "base/crc32c.h"

#include <pthread.h>

static uint32_t table[256];

static void fill_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0x82F63B78u ^ (c >> 1) : c >> 1;
        table[i] = c;
    }
}

static uint32_t crc_table(uint32_t crc, const unsigned char *p, size_t n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT; /* the table never changes after */
    pthread_once(&once, fill_table);
    while (n--)
        crc = table[(crc ^ *p++) & 0xff] ^ (crc >> 8);
    return crc;
}

#ifdef __x86_64__
#include <nmmintrin.h>

/* One crc32 instruction waits three cycles for the one before it, so three runs of STRIDE bytes go
 * side by side and are joined after. */
#define STRIDE 1024

/* What a CRC becomes when STRIDE zero bytes follow: it is linear, so a table a byte of it will do.
 */
static uint32_t shifted[4][256];

static uint32_t shift(uint32_t crc)
{
    return shifted[0][crc & 0xff] ^ shifted[1][crc >> 8 & 0xff] ^ shifted[2][crc >> 16 & 0xff] ^
           shifted[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static void fill_shifted(void)
{
    for (int byte = 0; byte < 4; byte++)
        for (int bit = 0; bit < 8; bit++) {
            uint64_t c = (uint64_t)1 << (8 * byte + bit);
            for (int i = 0; i < STRIDE / 8; i++)
                c = _mm_crc32_u64(c, 0);
            for (unsigned v = 0; v < 256; v++)
                if (v >> bit & 1)
                    shifted[byte][v] ^= (uint32_t)c;
        }
}

static uint64_t load(const unsigned char *p)
{
    uint64_t w;
    memcpy(&w, p, 8);
    return w;
}

__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc, const unsigned char *p,
                                                            size_t n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT; /* the tables never change after */
    uint64_t c = crc;
    if (n >= 3 * STRIDE)
        pthread_once(&once, fill_shifted);
    for (; n >= 3 * STRIDE; n -= 3 * STRIDE, p += 3 * STRIDE) {
        uint64_t c1 = 0, c2 = 0;
        for (size_t i = 0; i < STRIDE; i += 8) {
            c = _mm_crc32_u64(c, load(p + i));
            c1 = _mm_crc32_u64(c1, load(p + STRIDE + i));
            c2 = _mm_crc32_u64(c2, load(p + 2 * STRIDE + i));
        }
        c = shift(shift((uint32_t)c) ^ (uint32_t)c1) ^ c2;
    }
    for (; n >= 8; n -= 8, p += 8)
        c = _mm_crc32_u64(c, load(p));
    while (n--)
        c = _mm_crc32_u8((uint32_t)c, *p++);
    return (uint32_t)c;
}
#endif

uint32_t crc32c(uint32_t crc, str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_sse42(~crc, p, s.len);
#endif
    return ~crc_table(~crc, p, s.len);
}
