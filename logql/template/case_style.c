#include "logql/template/case_style.h"

#include "base/utf8.h"

enum word_kind {
    WORD_NONE, /* the end */
    WORD_NUMBER,
    WORD_UPPER, /* begins with a capital: HTTP, Server */
    WORD_LETTERS,
    WORD_CONNECTOR, /* blanks, - and _ */
    WORD_PUNCTUATION,
    WORD_OTHER,
};

struct word {
    enum word_kind kind;
    str text;
};

static bool is_connector(uint32_t r)
{
    return r == '-' || r == '_' || rune_is_space(r);
}

/* Letters of scripts that put blanks between words. */
static bool is_alphabetic(uint32_t r)
{
    bool is_unspaced = (r >= 0x3034 && r <= 0x30ff) || (r >= 0x3400 && r <= 0x4dbf) ||
                       (r >= 0x4e00 && r <= 0x9fff) || (r >= 0xf900 && r <= 0xfaff) ||
                       (r >= 0xff66 && r <= 0xff9f);
    return rune_is_letter(r) && !is_unspaced;
}

static bool is_small(uint32_t r)
{
    return is_alphabetic(r) && !rune_is_upper(r);
}

static bool is_punctuation(uint32_t r)
{
    return r < 0x80 && r != 0 && strchr("!\"#%&'()*,-./:;?@[\\]_{}", (int)r) != NULL;
}

static bool is_other(uint32_t r)
{
    return !is_connector(r) && !is_alphabetic(r) && !rune_is_digit(r) && !is_punctuation(r);
}

static enum word_kind kind_of(uint32_t r)
{
    return is_connector(r)     ? WORD_CONNECTOR
           : is_punctuation(r) ? WORD_PUNCTUATION
           : rune_is_upper(r)  ? WORD_UPPER
           : is_alphabetic(r)  ? WORD_LETTERS
           : rune_is_digit(r)  ? WORD_NUMBER
                               : WORD_OTHER;
}

/* How many bytes from s[at] on hold runes that `fits` takes. */
static size_t run_length(str s, size_t at, bool (*fits)(uint32_t))
{
    size_t from = at, width;
    uint32_t r;
    while ((width = utf8_decode(str_from(s, at), &r)) > 0 && fits(r))
        at += width;
    return at - from;
}

/* A capital with the small letters behind it; or capitals, of which the last one belongs to the
 * small letters that follow: HTTP, Status. */
static size_t upper_word_length(str s)
{
    uint32_t r;
    size_t first = utf8_decode(s, &r);
    size_t rest = run_length(s, first, is_small);
    if (rest > 0)
        return first + rest;
    size_t n = first + run_length(s, first, rune_is_upper);
    utf8_decode(str_from(s, n), &r);
    return n > first && n < s.len && is_alphabetic(r) ? n - utf8_decode_last(str_sub(s, 0, n), &r)
                                                      : n;
}

/* The first word of *rest, taken off it. */
static struct word take_word(str *rest)
{
    static bool (*const fits[])(uint32_t) = {
        [WORD_NUMBER] = rune_is_digit,   [WORD_LETTERS] = is_small,
        [WORD_CONNECTOR] = is_connector, [WORD_PUNCTUATION] = is_punctuation,
        [WORD_OTHER] = is_other,
    };
    uint32_t r;
    if (rest->len == 0)
        return (struct word){WORD_NONE, STR_EMPTY};
    utf8_decode(*rest, &r);
    enum word_kind kind = kind_of(r);
    size_t n = kind == WORD_UPPER ? upper_word_length(*rest) : run_length(*rest, 0, fits[kind]);
    struct word w = {kind, str_sub(*rest, 0, n)};
    *rest = str_from(*rest, n);
    return w;
}

static void append_word(struct buf *b, struct word w, char connector)
{
    uint32_t r;
    for (size_t width; w.text.len > 0; w.text = str_from(w.text, width)) {
        width = utf8_decode(w.text, &r);
        if (w.kind == WORD_CONNECTOR)
            buf_append_char(b, connector);
        else if (w.kind == WORD_UPPER)
            utf8_append(b, rune_to_lower(r));
        else
            buf_append_str(b, str_sub(w.text, 0, width));
    }
}

static bool joins_by_itself(struct word w)
{
    return w.kind == WORD_CONNECTOR || w.kind == WORD_PUNCTUATION;
}

/* Small letters and numbers go on with a number: 2xx; then the connector, if a word follows. */
static struct word append_number_tail(struct buf *b, struct word w, str *rest, char connector)
{
    for (; w.kind == WORD_LETTERS || w.kind == WORD_NUMBER; w = take_word(rest))
        append_word(b, w, connector);
    if (w.kind != WORD_NONE && !joins_by_itself(w))
        buf_append_char(b, connector);
    return w;
}

/* A number behind a word: part of it (Bld4Floor) unless small letters follow (http2xx). */
static struct word append_number(struct buf *b, struct word number, str *rest, char connector)
{
    if (rest->len == 0)
        return number;
    struct word next = take_word(rest);
    if (next.kind == WORD_LETTERS) {
        buf_append_char(b, connector);
        append_word(b, number, connector);
        return append_number_tail(b, next, rest, connector);
    }
    append_word(b, number, connector);
    if (!joins_by_itself(next))
        buf_append_char(b, connector);
    return next;
}

void case_append_snake(struct buf *b, str s, char connector)
{
    str rest = s;
    struct word w = take_word(&rest);
    while (rest.len > 0) {
        struct word before = w;
        append_word(b, before, connector);
        w = take_word(&rest);
        if (before.kind == WORD_NUMBER)
            w = append_number_tail(b, w, &rest, connector);
        else if (joins_by_itself(before))
            continue;
        else if (w.kind == WORD_NUMBER)
            w = append_number(b, w, &rest, connector);
        else if (!joins_by_itself(w))
            buf_append_char(b, connector);
    }
    append_word(b, w, connector);
}

/* Each rune is written when the next one is known: a connector goes, and what is behind it becomes
 * a capital; the capitals that follow a first one become small. */
void case_append_pascal(struct buf *b, str s)
{
    uint32_t rune = 0, before;
    bool in_capitals = false, found = false;
    while (s.len > 0 && !found) {
        s = str_from(s, utf8_decode(s, &rune));
        found = !is_connector(rune);
        if (!found)
            utf8_append(b, rune); /* connectors at the front stay */
    }
    if (!found) {
        if (rune != 0)
            utf8_append(b, rune); /* the last one twice, as the original does */
        return;
    }
    in_capitals = rune_is_upper(rune);
    rune = rune_to_upper(rune);
    while (s.len > 0) {
        before = rune;
        s = str_from(s, utf8_decode(s, &rune));
        if (is_connector(before) && !is_connector(rune)) {
            in_capitals = rune_is_upper(rune);
            rune = rune_to_upper(rune);
            continue;
        }
        if (!is_connector(before)) {
            in_capitals = in_capitals && rune_is_upper(rune);
            rune = in_capitals ? rune_to_lower(rune) : rune;
        }
        utf8_append(b, before);
    }
    utf8_append(b, rune);
}
