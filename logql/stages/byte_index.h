/* logql/stages/byte_index.h - where in a line certain bytes stand, as a bitmap made while it is
 * read.
 *
 * Parsers ask "where does this token end" many times a line.  Asking a bitmap instead of looking at
 * the bytes again makes the answer a few instructions that no branch predictor has to guess.  The
 * bitmap grows as far as it is asked, so stopping early costs nothing. */
#pragma once
#include "base/str.h"

#define BYTE_INDEX_BYTES_MAX 4032 /* longer lines are searched byte by byte */

enum byte_index_kind {
    BYTE_INDEX_QUOTES, /* '"' */
    BYTE_INDEX_LOGFMT, /* bytes up to ' ', '=' and '"' */
};

struct byte_index {
    const char *base;
    size_t len;
    enum byte_index_kind kind;
    size_t n_words;                                /* made so far */
    uint64_t backslashes;                          /* bit i: word i has one among its bytes */
    uint64_t highs;                                /* bit i: word i has a byte that is not ASCII */
    uint64_t words[BYTE_INDEX_BYTES_MAX / 64 + 1]; /* bit i: base[i] is one; bit len is set too */
};

/* False, and no index, if the line is too long. */
static inline bool byte_index_begin(struct byte_index *x, enum byte_index_kind kind, str line)
{
    x->base = line.ptr;
    x->len = line.len;
    x->kind = kind;
    x->n_words = 0;
    x->backslashes = x->highs = 0;
    return line.len <= BYTE_INDEX_BYTES_MAX;
}

void byte_index_grow(struct byte_index *x);

/* First one at or behind `at` (at most len); x->len if there is none. */
static inline size_t byte_index_next(struct byte_index *x, size_t at)
{
    size_t word = at / 64;
    while (word >= x->n_words)
        byte_index_grow(x);
    uint64_t bits = x->words[word] >> (at % 64) << (at % 64);
    while (bits == 0) {
        if (++word == x->n_words)
            byte_index_grow(x);
        bits = x->words[word];
    }
    return word * 64 + (size_t)__builtin_ctzll(bits);
}

static inline bool byte_index_has(uint64_t in_words, size_t from, size_t to)
{
    uint64_t upto = UINT64_MAX >> (63 - to / 64);
    return (in_words & upto) >> (from / 64) != 0;
}

/* True if there is no backslash near [from, to], which byte_index_next() has walked. */
static inline bool byte_index_is_plain(const struct byte_index *x, size_t from, size_t to)
{
    return !byte_index_has(x->backslashes, from, to);
}

/* The same of bytes that are not ASCII. */
static inline bool byte_index_is_ascii(const struct byte_index *x, size_t from, size_t to)
{
    return !byte_index_has(x->highs, from, to);
}
