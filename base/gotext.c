#include "base/gotext.h"

#include "base/buf.h"
#include "base/utf8.h"

bool gotext_is_plain(str text)
{
    return str_is_ascii(text) || str_is_utf8(text);
}

struct gotext gotext_make(str original, struct arena *a)
{
    struct gotext g = {.text = original, .original = original};
    if (gotext_is_plain(original))
        return g;
    char *out = arena_alloc(a, original.len * 3);
    g.back = arena_alloc(a, (original.len * 3 + 1) * sizeof *g.back);
    size_t n = 0, at = 0;
    while (at < original.len) {
        uint32_t rune;
        size_t width = utf8_decode(str_from(original, at), &rune);
        size_t written = utf8_encode(out + n, rune);
        for (size_t i = 0; i < written; i++)
            g.back[n + i] = at + (width == written ? i : 0);
        n += written;
        at += width;
    }
    g.back[n] = at;
    g.text = str_make(out, n);
    return g;
}

void gotext_back(const struct gotext *g, str *parts, int n)
{
    for (int i = 0; i < n && g->back != NULL; i++) {
        if (parts[i].ptr == NULL)
            continue;
        size_t from = (size_t)(parts[i].ptr - g->text.ptr);
        parts[i] = str_sub(g->original, g->back[from], g->back[from + parts[i].len]);
    }
}

/* What matches in the bytes matches in the copy too: it holds no malformed ones. */
bool gotext_is_match(const struct regex *re, str text)
{
    if (regex_is_match(re, text))
        return true;
    if (gotext_is_plain(text))
        return false;
    struct buf copy;
    buf_init(&copy, BUF_NO_LIMIT);
    uint32_t rune;
    for (size_t width; text.len > 0; text = str_from(text, width)) {
        width = utf8_decode(text, &rune);
        utf8_append(&copy, rune);
    }
    bool is_match = regex_is_match(re, buf_str(&copy));
    buf_deinit(&copy);
    return is_match;
}

bool gotext_match(const struct regex *re, str text, struct arena *a, str *groups, int n_groups)
{
    struct gotext g = gotext_make(text, a);
    if (!regex_match(re, g.text, 0, groups, n_groups))
        return false;
    gotext_back(&g, groups, n_groups);
    return true;
}
