#include "base/needle.h"

#include "base/mem.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_AVX2 1
#endif

/* How often a byte stands in log text, roughly: 0 rare, 9 everywhere.  Only the choice of the two
 * bytes to look for depends on it, so it need not be exact. */
static int frequency(unsigned char c)
{
    static const char often[] = " e", usual[] = "0123taoinsr1\":.,=-/_2",
                      common[] = "lcdupmhgf4567893{}";
    if (c == 0)
        return 0;
    if (strchr(often, c) != NULL)
        return 9;
    if (strchr(usual, c) != NULL)
        return 7;
    if (strchr(common, c) != NULL)
        return 5;
    if (c >= 'a' && c <= 'z')
        return 4;
    return c >= 'A' && c <= 'Z' ? 3 : c < 0x80 ? 2 : 1;
}

void needle_init(struct needle *n, str text, bool is_caseless)
{
    ASSERT(text.len > 0);
    *n = (struct needle){.text = text, .is_caseless = is_caseless};
    size_t rarest = 0, second = text.len > 1 ? 1 : 0;
    for (size_t i = 1; i < text.len; i++) {
        if (frequency((unsigned char)text.ptr[i]) < frequency((unsigned char)text.ptr[rarest])) {
            second = rarest;
            rarest = i;
        } else if (second == rarest || frequency((unsigned char)text.ptr[i]) <
                                           frequency((unsigned char)text.ptr[second])) {
            second = i;
        }
    }
    n->at_a = MIN(rarest, second);
    n->at_b = MAX(rarest, second);
}

static inline unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static inline bool is_here(const struct needle *n, const char *p)
{
    if (!n->is_caseless)
        return memcmp(p, n->text.ptr, n->text.len) == 0;
    for (size_t i = 0; i < n->text.len; i++)
        if (lower((unsigned char)p[i]) != (unsigned char)n->text.ptr[i])
            return false;
    return true;
}

/* Tries each of the `n_starts` places. */
static const char *find_plain(const struct needle *n, const char *p, size_t n_starts)
{
    char first = n->text.ptr[n->at_a];
    if (!n->is_caseless) {
        const char *end = p + n_starts + n->at_a;
        for (const char *q = p + n->at_a; q < end; q++) {
            q = memchr(q, first, (size_t)(end - q));
            if (q == NULL)
                return NULL;
            if (is_here(n, q - n->at_a))
                return q - n->at_a;
        }
        return NULL;
    }
    for (size_t i = 0; i < n_starts; i++)
        if (lower((unsigned char)p[i + n->at_a]) == (unsigned char)first && is_here(n, p + i))
            return p + i;
    return NULL;
}

#if HAVE_AVX2
/* In the caseless case both sides get the bit that tells the cases of a letter apart; a byte that
 * is no letter may then fit wrongly, which is_here() finds out. */
__attribute__((target("avx2"))) static const char *find_avx2(const struct needle *n, const char *p,
                                                             size_t n_starts)
{
    unsigned char a = (unsigned char)n->text.ptr[n->at_a], b = (unsigned char)n->text.ptr[n->at_b];
    __m256i fold = _mm256_set1_epi8(n->is_caseless ? 0x20 : 0);
    __m256i want_a = _mm256_or_si256(_mm256_set1_epi8((char)a), fold);
    __m256i want_b = _mm256_or_si256(_mm256_set1_epi8((char)b), fold);
    const char *pa = p + n->at_a, *pb = p + n->at_b;
    size_t i = 0;
    for (; i + 64 <= n_starts; i += 64) {
        __m256i a0 = _mm256_loadu_si256((const __m256i *)(const void *)(pa + i));
        __m256i a1 = _mm256_loadu_si256((const __m256i *)(const void *)(pa + i + 32));
        __m256i b0 = _mm256_loadu_si256((const __m256i *)(const void *)(pb + i));
        __m256i b1 = _mm256_loadu_si256((const __m256i *)(const void *)(pb + i + 32));
        __m256i hit0 = _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_or_si256(a0, fold), want_a),
                                        _mm256_cmpeq_epi8(_mm256_or_si256(b0, fold), want_b));
        __m256i hit1 = _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_or_si256(a1, fold), want_a),
                                        _mm256_cmpeq_epi8(_mm256_or_si256(b1, fold), want_b));
        if (_mm256_testz_si256(_mm256_or_si256(hit0, hit1), _mm256_or_si256(hit0, hit1)))
            continue;
        uint64_t hits = (uint32_t)_mm256_movemask_epi8(hit0) |
                        (uint64_t)(uint32_t)_mm256_movemask_epi8(hit1) << 32;
        for (; hits != 0; hits &= hits - 1) {
            const char *at = p + i + (size_t)__builtin_ctzll(hits);
            if (is_here(n, at))
                return at;
        }
    }
    return find_plain(n, p + i, n_starts - i);
}
#endif

const char *needle_find(const struct needle *n, const char *text, size_t len)
{
    if (n->text.len > len)
        return NULL;
    size_t n_starts = len - n->text.len + 1;
#if HAVE_AVX2
    if (n_starts >= 64 && __builtin_cpu_supports("avx2"))
        return find_avx2(n, text, n_starts);
#endif
    return find_plain(n, text, n_starts);
}
