/* tests/support/golden.h - reads the tables in tests/golden/gostyle: lines of words, each a plain
 * word or a Go string literal, separated by blanks.  The expected values there were printed by Go
 * itself. */
#pragma once
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/goquote.h"

#define GOLDEN_WORDS_MAX 8

struct golden {
    FILE *file;
    char *line;
    size_t cap;
    int number; /* of the line, from 1 */
    struct buf words[GOLDEN_WORDS_MAX];
};

static inline void golden_open(struct golden *g, const char *name)
{
    char path[512];
    const char *root = getenv("LOGE_SOURCE");
    snprintf(path, sizeof path, "%s%stests/golden/%s", root ? root : "", root ? "/" : "", name);
    *g = (struct golden){.file = fopen(path, "r")};
    cr_assert_not_null(g->file, "%s: run the tests from the source folder", path);
    for (int i = 0; i < GOLDEN_WORDS_MAX; i++)
        buf_init(&g->words[i], 1 << 20);
}

/* Words of the next line; 0 at the end, which also closes the file. */
static inline int golden_next(struct golden *g)
{
    ssize_t len = getline(&g->line, &g->cap, g->file);
    if (len <= 0) {
        fclose(g->file);
        free(g->line);
        for (int i = 0; i < GOLDEN_WORDS_MAX; i++)
            buf_deinit(&g->words[i]);
        return 0;
    }
    g->number++;
    int n = 0;
    char *p = g->line, *end = g->line + len - 1;
    while (p < end && n < GOLDEN_WORDS_MAX) {
        char *from = p;
        struct buf *word = &g->words[n++];
        buf_reset(word);
        if (*p != '"') {
            while (p < end && *p != ' ')
                p++;
            buf_append(word, from, (size_t)(p - from));
        } else {
            for (p++; p < end && *p != '"'; p++)
                p += *p == '\\';
            p++;
            cr_assert_eq(gounquote(str_make(from, (size_t)(p - from)), word), 0);
        }
        p++;
    }
    return n;
}
