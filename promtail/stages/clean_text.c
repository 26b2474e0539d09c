#include "promtail/stages/clean_text.h"

#include "base/utf8.h"

struct clean_text clean_text_make(str original, struct arena *a)
{
    struct clean_text c = {.text = original, .original = original};
    if (str_is_utf8(original))
        return c;
    char *out = arena_alloc(a, original.len * 3);
    c.back = arena_alloc(a, (original.len * 3 + 1) * sizeof *c.back);
    size_t n = 0, at = 0;
    while (at < original.len) {
        uint32_t rune;
        size_t width = utf8_decode(str_from(original, at), &rune);
        size_t written = utf8_encode(out + n, rune);
        for (size_t i = 0; i < written; i++)
            c.back[n + i] = at + (width == written ? i : 0);
        n += written;
        at += width;
    }
    c.back[n] = at;
    c.text = str_make(out, n);
    return c;
}

void clean_text_back(const struct clean_text *c, str *parts, int n)
{
    for (int i = 0; i < n && c->back != NULL; i++) {
        if (parts[i].ptr == NULL)
            continue;
        size_t from = (size_t)(parts[i].ptr - c->text.ptr);
        parts[i] = str_sub(c->original, c->back[from], c->back[from + parts[i].len]);
    }
}

bool clean_text_is_match(const struct regex *re, str text, struct arena *a)
{
    return regex_is_match(re, clean_text_make(text, a).text);
}

bool clean_text_match(const struct regex *re, str text, struct arena *a, str *groups, int n_groups)
{
    struct clean_text c = clean_text_make(text, a);
    if (!regex_match(re, c.text, 0, groups, n_groups))
        return false;
    clean_text_back(&c, groups, n_groups);
    return true;
}
