/* tests/support/golden_lines.h - golden files of Go-quoted strings: "query"<tab>"what comes out".
 */
#pragma once
#include <stdio.h>
#include <stdlib.h>

#include "base/goquote.h"

struct golden_line {
    struct buf left, right;
    int number;
};

struct golden_file {
    FILE *file;
    char *text;
    size_t cap;
    struct golden_line line;
};

static inline bool golden_open(struct golden_file *g, const char *path)
{
    *g = (struct golden_file){.file = fopen(path, "re")};
    buf_init(&g->line.left, BUF_NO_LIMIT);
    buf_init(&g->line.right, BUF_NO_LIMIT);
    return g->file != NULL;
}

/* The next line, NULL at the end (or where a line is malformed). */
static inline const struct golden_line *golden_next(struct golden_file *g)
{
    ssize_t len = getline(&g->text, &g->cap, g->file);
    if (len <= 0) {
        return NULL;
    }
    g->line.number++;
    str line = str_make(g->text, (size_t)len - (g->text[len - 1] == '\n'));
    const char *tab = memmem(line.ptr, line.len, "\"\t\"", 3);
    if (tab == NULL) {
        return NULL;
    }
    size_t left = (size_t)(tab - line.ptr) + 1;
    buf_reset(&g->line.left);
    buf_reset(&g->line.right);
    bool ok = gounquote(str_sub(line, 0, left), &g->line.left) == 0 &&
              gounquote(str_sub(line, left + 1, line.len), &g->line.right) == 0;
    return ok ? &g->line : NULL;
}

static inline void golden_close(struct golden_file *g)
{
    fclose(g->file);
    free(g->text);
    buf_deinit(&g->line.left);
    buf_deinit(&g->line.right);
}
