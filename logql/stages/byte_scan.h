/* logql/stages/byte_scan.h - where in a line the next byte of some class stands, 32 bytes at a
 * time.
 *
 * The class is a constant wherever it is called, so that nothing is left of the choice.  Nothing
 * outside the line is read: what is left of it at its end is looked at together with bytes before.
 * Pure functions. */
#pragma once
#include "base/str.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum byte_class {
    BYTES_STRING_END, /* '"' and '\\' */
    BYTES_NO_NUMBER,  /* all but digits and - . / (which no JSON number has, but no harm) */
    BYTES_LOGFMT,     /* up to ' ', '=' and '"' */
    BYTES_BRACES,     /* '{', '}', '"' and '\\' */
    BYTES_BRACKETS,   /* '[', ']', '"' and '\\' */
};

#define BYTE_SCAN_STEP 32

static inline bool byte_scan_is_one(char c, enum byte_class class)
{
    unsigned char u = (unsigned char)c;
    switch (class) {
    case BYTES_STRING_END:
        return c == '"' || c == '\\';
    case BYTES_NO_NUMBER:
        return u < '-' || u > '9';
    case BYTES_LOGFMT:
        return u <= ' ' || c == '=' || c == '"';
    case BYTES_BRACES:
        return c == '{' || c == '}' || c == '"' || c == '\\';
    case BYTES_BRACKETS:
        return c == '[' || c == ']' || c == '"' || c == '\\';
    }
    return false;
}

#if defined(__SSE2__)
static inline __m128i byte_scan_eq(__m128i v, char c)
{
    return _mm_cmpeq_epi8(v, _mm_set1_epi8(c));
}

/* 0xff for each of 16 bytes that is of the class. */
static inline __m128i byte_scan_16(const char *p, enum byte_class class)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i quotes = byte_scan_eq(v, '"');
    __m128i escapes = _mm_or_si128(quotes, byte_scan_eq(v, '\\'));
    switch (class) {
    case BYTES_STRING_END:
        return escapes;
    case BYTES_NO_NUMBER:
        v = _mm_sub_epi8(v, _mm_set1_epi8('-'));
        return _mm_cmpeq_epi8(_mm_max_epu8(v, _mm_set1_epi8('9' - '-' + 1)), v);
    case BYTES_LOGFMT:
        quotes = _mm_or_si128(quotes, _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(' ')), v));
        return _mm_or_si128(quotes, byte_scan_eq(v, '='));
    case BYTES_BRACES:
        return _mm_or_si128(escapes, _mm_or_si128(byte_scan_eq(v, '{'), byte_scan_eq(v, '}')));
    case BYTES_BRACKETS:
        return _mm_or_si128(escapes, _mm_or_si128(byte_scan_eq(v, '['), byte_scan_eq(v, ']')));
    }
    return quotes;
}

static inline uint32_t byte_scan_32(const char *p, enum byte_class class)
{
    return (uint32_t)_mm_movemask_epi8(byte_scan_16(p, class)) |
           (uint32_t)_mm_movemask_epi8(byte_scan_16(p + 16, class)) << 16;
}
#else
static inline uint32_t byte_scan_32(const char *p, enum byte_class class)
{
    uint32_t ones = 0;
    for (unsigned i = 0; i < BYTE_SCAN_STEP; i++)
        ones |= (uint32_t)byte_scan_is_one(p[i], class) << i;
    return ones;
}
#endif

/* A bit for each of the bytes from `at` on that is of the class; what the line has not is none. */
static inline uint32_t byte_scan_window(str line, size_t at, enum byte_class class)
{
    if (at + BYTE_SCAN_STEP <= line.len)
        return byte_scan_32(line.ptr + at, class);
    if (at >= line.len)
        return 0;
    if (line.len >= BYTE_SCAN_STEP) {
        size_t n_before = at + BYTE_SCAN_STEP - line.len; /* less than a step */
        return byte_scan_32(line.ptr + line.len - BYTE_SCAN_STEP, class) >> n_before;
    }
    uint32_t ones = 0;
    for (size_t i = at; i < line.len; i++)
        ones |= (uint32_t)byte_scan_is_one(line.ptr[i], class) << (i - at);
    return ones;
}

/* Offset of the first byte of the class at or behind `at`; line.len if there is none. */
static inline size_t byte_scan(str line, size_t at, enum byte_class class)
{
    for (; at < line.len; at += BYTE_SCAN_STEP) {
        uint32_t ones = byte_scan_window(line, at, class);
        if (ones != 0)
            return at + (size_t)__builtin_ctz(ones);
    }
    return line.len;
}
