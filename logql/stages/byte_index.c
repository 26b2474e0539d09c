#include "logql/stages/byte_index.h"

#if defined(__SSE2__)
#include <emmintrin.h>

/* A bit for each of the 64 bytes at p that is one; whether there are backslashes and high bytes. */
static inline uint64_t look(const char *p, enum byte_index_kind kind, bool *ret_backslash,
                            bool *ret_high)
{
    uint64_t ones = 0;
    __m128i any = _mm_setzero_si128(), high = _mm_setzero_si128();
    for (unsigned i = 0; i < 64; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
        __m128i hits = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
        high = _mm_or_si128(high, v);
        any = _mm_or_si128(any, _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
        if (kind == BYTE_INDEX_LOGFMT) {
            __m128i blank = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(' ')), v);
            hits = _mm_or_si128(hits, _mm_or_si128(blank, _mm_cmpeq_epi8(v, _mm_set1_epi8('='))));
        }
        ones |= (uint64_t)(unsigned)_mm_movemask_epi8(hits) << i;
    }
    *ret_backslash = _mm_movemask_epi8(any) != 0;
    *ret_high = _mm_movemask_epi8(high) != 0;
    return ones;
}
#else
static inline uint64_t look(const char *p, enum byte_index_kind kind, bool *ret_backslash,
                            bool *ret_high)
{
    uint64_t ones = 0;
    *ret_backslash = *ret_high = false;
    for (unsigned i = 0; i < 64; i++) {
        unsigned char c = (unsigned char)p[i];
        bool is_one = c == '"' || (kind == BYTE_INDEX_LOGFMT && (c <= ' ' || c == '='));
        ones |= (uint64_t)is_one << i;
        *ret_backslash |= c == '\\';
        *ret_high |= c >= 0x80;
    }
    return ones;
}
#endif

void byte_index_grow(struct byte_index *x)
{
    size_t at = x->n_words * 64;
    const char *p = x->base + at;
    char tail[64];
    uint64_t end = 0;
    if (at + 64 > x->len) { /* the last bytes, and the bit that ends all searches */
        size_t n = x->len - at;
        memset(tail, 'x', sizeof tail);
        if (n > 0)
            memcpy(tail, p, n);
        p = tail;
        end = UINT64_C(1) << n;
    }
    bool has_backslash, has_high;
    x->words[x->n_words] = look(p, x->kind, &has_backslash, &has_high) | end;
    x->backslashes |= (uint64_t)has_backslash << x->n_words;
    x->highs |= (uint64_t)has_high << x->n_words;
    x->n_words++;
}
