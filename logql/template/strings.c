#include "logql/template/strings.h"

#include "base/goquote.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "logql/template/convert.h"

static bool in_set(str set, uint32_t rune)
{
    while (set.len > 0) {
        uint32_t r;
        set = str_from(set, utf8_decode(set, &r));
        if (r == rune)
            return true;
    }
    return false;
}

str strings_trim(str s, str cutset, enum strings_side side)
{
    uint32_t rune;
    size_t width;
    while ((side & STRINGS_LEFT) && (width = utf8_decode(s, &rune)) > 0 && in_set(cutset, rune))
        s = str_from(s, width);
    while ((side & STRINGS_RIGHT) && (width = utf8_decode_last(s, &rune)) > 0 &&
           in_set(cutset, rune))
        s.len -= width;
    return s;
}

str strings_trim_prefix(str s, str prefix)
{
    return str_has_prefix(s, prefix) ? str_from(s, prefix.len) : s;
}

str strings_trim_suffix(str s, str suffix)
{
    return str_has_suffix(s, suffix) ? str_sub(s, 0, s.len - suffix.len) : s;
}

/* `to` before every rune and at the end. */
static void replace_empty(struct buf *b, str s, str to, int64_t n)
{
    for (; n != 0 && !b->failed; n -= n > 0) {
        uint32_t rune;
        buf_append_str(b, to);
        if (s.len == 0)
            return;
        size_t width = utf8_decode(s, &rune);
        buf_append_str(b, str_sub(s, 0, width));
        s = str_from(s, width);
    }
    buf_append_str(b, s);
}

void strings_append_replaced(struct buf *b, str s, str from, str to, int64_t n)
{
    if (from.len == 0) {
        replace_empty(b, s, to, n);
        return;
    }
    for (; n != 0 && !b->failed; n -= n > 0) {
        size_t at = str_find(s, from);
        if (at == STR_NPOS)
            break;
        buf_append_str(b, str_sub(s, 0, at));
        buf_append_str(b, to);
        s = str_from(s, at + from.len);
    }
    buf_append_str(b, s);
}

void strings_append_untitle(struct buf *b, str s)
{
    bool start = true;
    while (s.len > 0) {
        uint32_t rune;
        s = str_from(s, utf8_decode(s, &rune));
        utf8_append(b, start ? rune_to_lower(rune) : rune);
        start = rune_is_space(rune);
    }
}

void strings_append_swapped(struct buf *b, str s)
{
    bool start = true; /* of a word: small letters there become title case */
    while (s.len > 0) {
        uint32_t rune;
        s = str_from(s, utf8_decode(s, &rune));
        if (rune_is_upper(rune))
            utf8_append(b, rune_to_lower(rune));
        else
            utf8_append(b, start ? rune_to_title(rune) : rune_to_upper(rune));
        start = rune_is_space(rune);
    }
}

void strings_append_wrapped(struct buf *b, str s, int64_t width, str newline, bool cut_words)
{
    size_t limit = width < 1 ? 1 : (size_t)width;
    bool first = true;
    while (s.len > 0) {
        while (s.len > 0 && s.ptr[0] == ' ')
            s = str_from(s, 1);
        size_t end = utf8_offset(s, limit);
        if (end < s.len && s.ptr[end] != ' ') { /* back to the last blank, or on to the next */
            size_t back = str_rfind_char(str_sub(s, 0, end), ' ');
            size_t on = str_find_char(str_from(s, end), ' ');
            if (back != STR_NPOS)
                end = back;
            else if (!cut_words)
                end = on != STR_NPOS ? end + on : s.len;
        }
        if (!first)
            buf_append_str(b, newline);
        first = false;
        buf_append_str(b, str_sub(s, 0, end));
        s = str_from(s, end + (end < s.len && s.ptr[end] == ' '));
    }
}

void strings_append_quoted(struct buf *b, const struct tval *v, char quote)
{
    struct buf text;
    buf_init(&text, b->max);
    convert_append_text(&text, v);
    if (quote == '"') {
        goquote(b, buf_str(&text));
    } else {
        if (quote != '\0')
            buf_append_char(b, quote);
        buf_append_str(b, buf_str(&text));
        if (quote != '\0')
            buf_append_char(b, quote);
    }
    b->failed = b->failed || text.failed;
    buf_deinit(&text);
}
