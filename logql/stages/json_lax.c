#include "logql/stages/json_lax.h"

#include "base/utf8.h"
#include "logql/stages/byte_scan.h"

const char json_lax_bad_json[] = "Malformed JSON error";
const char json_lax_bad_object[] = "Value looks like object, but can't find closing '}' symbol";
const char json_lax_bad_array[] = "Value is array, but can't find closing ']' symbol";
const char json_lax_bad_string[] = "Value is string, but can't find closing '\"' symbol";
const char json_lax_bad_escape[] = "Encountered an invalid escape sequence in a string";
const char json_lax_bad_value[] = "Unknown value type";

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

size_t json_lax_token(str text, size_t from)
{
    if (from < text.len && (unsigned char)text.ptr[from] > ' ')
        return from;
    for (; from < text.len; from++)
        if (!is_blank(text.ptr[from]))
            return from;
    return STR_NPOS;
}

size_t json_lax_string_end(str text, size_t from, bool *ret_escape)
{
    *ret_escape = false;
    for (size_t at = from; (at = byte_scan(text, at, BYTES_STRING_END)) < text.len; at += 2) {
        if (text.ptr[at] == '"')
            return at + 1;
        *ret_escape = true;
    }
    return STR_NPOS;
}

/* The same, by an index if there is one and no backslash is near. */
static inline size_t string_end(str text, size_t from, struct byte_index *quotes, bool *ret_escape)
{
    if (quotes == NULL)
        return json_lax_string_end(text, from, ret_escape);
    *ret_escape = false;
    size_t before = (size_t)(text.ptr - quotes->base);
    size_t end = byte_index_next(quotes, before + from);
    if (!byte_index_is_plain(quotes, before + from, end))
        return json_lax_string_end(text, from, ret_escape);
    return end - before < text.len ? end - before + 1 : STR_NPOS;
}

static inline size_t block_end_of(str text, size_t from, char open, char close,
                                  enum byte_class class)
{
    size_t level = 0, string = 0;
    bool is_string = false, ignored;
    for (size_t at = from; at < text.len;) {
        uint32_t ones = byte_scan_window(text, at, class);
        size_t window = at;
        at += BYTE_SCAN_STEP;
        for (; ones != 0; ones &= ones - 1) {
            size_t i = window + (size_t)__builtin_ctz(ones);
            char c = text.ptr[i];
            if (c == '"') {
                is_string = !is_string;
                string = i + 1;
            } else if (is_string) {
                if (c != '\\')
                    continue;
                at = json_lax_string_end(text, string, &ignored);
                if (at == STR_NPOS)
                    return STR_NPOS;
                is_string = false;
                break;
            } else if (c == open) {
                level++;
            } else if (c == close && --level == 0) {
                return i + 1;
            }
        }
    }
    return STR_NPOS;
}

size_t json_lax_block_end(str text, size_t from)
{
    return text.ptr[from] == '{' ? block_end_of(text, from, '{', '}', BYTES_BRACES)
                                 : block_end_of(text, from, '[', ']', BYTES_BRACKETS);
}

/* Bytes that end a number or a word. */
static const bool is_token_end[256] = {
    [' '] = true, ['\n'] = true, ['\r'] = true, ['\t'] = true,
    [','] = true, ['}'] = true,  [']'] = true,
};

static size_t token_end(str text, size_t at)
{
    while (at < text.len && !is_token_end[(unsigned char)text.ptr[at]])
        at++;
    return at;
}

static json_lax_error read_word(str text, size_t at, struct json_lax_value *ret)
{
    ret->end = token_end(text, at);
    ret->text = str_sub(text, at, ret->end);
    char c = text.ptr[at];
    if ((c >= '0' && c <= '9') || c == '-') {
        ret->kind = LAX_NUMBER;
        return NULL;
    }
    if (str_eq(ret->text, STR("true")) || str_eq(ret->text, STR("false"))) {
        ret->kind = LAX_BOOL;
        return NULL;
    }
    ret->kind = LAX_NULL;
    return str_eq(ret->text, STR("null")) ? NULL : json_lax_bad_value;
}

static json_lax_error read_block(str text, size_t at, struct json_lax_value *ret)
{
    bool is_object = text.ptr[at] == '{';
    ret->kind = is_object ? LAX_OBJECT : LAX_ARRAY;
    ret->end = json_lax_block_end(text, at);
    if (ret->end == STR_NPOS)
        return is_object ? json_lax_bad_object : json_lax_bad_array;
    ret->text = str_sub(text, at, ret->end);
    return NULL;
}

json_lax_error json_lax_read(str text, size_t from, struct byte_index *quotes,
                             struct json_lax_value *ret)
{
    size_t at = json_lax_token(text, from);
    if (at == STR_NPOS)
        return json_lax_bad_json;
    ret->has_escape = false;
    switch (text.ptr[at]) {
    case '"':
        ret->kind = LAX_STRING;
        ret->end = string_end(text, at + 1, quotes, &ret->has_escape);
        if (ret->end == STR_NPOS)
            return json_lax_bad_string;
        ret->text = str_sub(text, at + 1, ret->end - 1);
        return NULL;
    case '{':
    case '[':
        return read_block(text, at, ret);
    default:
        return read_word(text, at, ret);
    }
}

static bool fail(struct json_lax_object *o, json_lax_error error)
{
    o->error = error;
    o->is_done = true;
    return false;
}

/* Goes to the next token; at the end of the text that is the given error. */
static bool go_on(struct json_lax_object *o, json_lax_error at_end)
{
    o->at = json_lax_token(o->text, o->at);
    return o->at != STR_NPOS || fail(o, at_end);
}

static bool is_at(const struct json_lax_object *o, char c)
{
    return o->text.ptr[o->at] == c;
}

/* Stands behind the comma or the brace before a key: true if there is a key. */
static bool begin_member(struct json_lax_object *o)
{
    if (!o->is_begun) {
        o->is_begun = true;
        if (!go_on(o, json_lax_bad_object))
            return false;
        if (!is_at(o, '{'))
            return fail(o, json_lax_bad_object);
        o->at++;
        if (!go_on(o, json_lax_bad_json))
            return false;
    } else {
        /* Whatever ends here before the object does is told as an array; so does Loki's parser. */
        if (!go_on(o, json_lax_bad_array))
            return false;
        if (is_at(o, ',')) {
            o->at++;
            if (!go_on(o, json_lax_bad_array))
                return false;
        } else if (!is_at(o, '}')) {
            return fail(o, json_lax_bad_object);
        }
    }
    o->is_done = is_at(o, '}');
    if (!o->is_done && !is_at(o, '"'))
        return fail(o, json_lax_bad_object);
    return !o->is_done;
}

/* A member written without blanks and escapes, ,"key":"text" or ,"key":12, read by the index in one
 * go.  False, and nothing done, if it is written in any other way. */
static inline bool next_plain(struct json_lax_object *o, str *ret_key, struct json_lax_value *v)
{
    const char *t = o->text.ptr;
    size_t n = o->text.len, at = o->at;
    if (at + 4 > n || t[at] != (o->is_begun ? ',' : '{') || t[at + 1] != '"')
        return false;
    size_t before = (size_t)(t - o->quotes->base), from = at + 2;
    size_t end = byte_index_next(o->quotes, before + from) - before;
    if (end + 3 > n || t[end + 1] != ':' ||
        !byte_index_is_plain(o->quotes, before + at, before + end))
        return false;
    size_t value = end + 2;
    if (t[value] == '"') {
        size_t value_end = byte_index_next(o->quotes, before + value + 1) - before;
        if (value_end >= n || !byte_index_is_plain(o->quotes, before + value, before + value_end))
            return false;
        v->kind = LAX_STRING;
        v->text = str_make(t + value + 1, value_end - value - 1);
        v->end = value_end + 1;
    } else if (t[value] >= '0' && t[value] <= '9') {
        v->kind = LAX_NUMBER;
        v->end = token_end(o->text, value);
        v->text = str_make(t + value, v->end - value);
    } else {
        return false;
    }
    v->has_escape = false;
    o->is_begun = true;
    o->at = v->end;
    *ret_key = str_make(t + from, end - from);
    return true;
}

bool json_lax_next(struct json_lax_object *o, struct arena *a, str *ret_key,
                   struct json_lax_value *ret_value)
{
    if (o->quotes != NULL && !o->is_done && next_plain(o, ret_key, ret_value))
        return true;
    if (o->is_done || !begin_member(o))
        return false;
    bool has_escape;
    size_t from = o->at + 1;
    o->at = string_end(o->text, from, o->quotes, &has_escape);
    if (o->at == STR_NPOS)
        return fail(o, json_lax_bad_json);
    *ret_key = str_sub(o->text, from, o->at - 1);
    if (has_escape) {
        *ret_key = json_lax_unescape(*ret_key, a);
        if (ret_key->ptr == NULL)
            return fail(o, json_lax_bad_escape);
    }
    if (!go_on(o, json_lax_bad_json))
        return false;
    if (!is_at(o, ':'))
        return fail(o, json_lax_bad_json);
    json_lax_error error = json_lax_read(o->text, o->at + 1, o->quotes, ret_value);
    if (error != NULL)
        return fail(o, error);
    o->at = ret_value->end;
    return true;
}

size_t json_lax_array(str text, json_lax_element *fn, void *arg)
{
    size_t at = json_lax_token(text, 0);
    if (at == STR_NPOS)
        return STR_NPOS;
    size_t next = json_lax_token(text, at + 1);
    if (next == STR_NPOS)
        return at + 1;
    at = next;
    if (text.ptr[at] == ']')
        return at;
    for (size_t index = 0;; index++) {
        struct json_lax_value v;
        if (json_lax_read(text, at, NULL, &v) != NULL)
            return at;
        fn(arg, index, &v, v.end - v.text.len);
        at = v.end;
        next = json_lax_token(text, at);
        if (next == STR_NPOS)
            return at;
        at = next;
        if (text.ptr[at] != ',')
            return at;
        at++;
    }
}

static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        v = v << 4 | digit;
    }
    return v;
}

/* Reads \uXXXX, or a pair of them, at `raw`; returns the bytes taken, 0 if malformed.  Of a pair
 * the second half is not asked for its \u, only for hex digits in the right place. */
static size_t read_unicode(str raw, uint32_t *ret_rune)
{
    int high = raw.len >= 6 ? hex4(raw.ptr + 2) : -1;
    if (high < 0)
        return 0;
    if (high < 0xD800 || high > 0xDFFF) {
        *ret_rune = (uint32_t)high;
        return 6;
    }
    int low = raw.len >= 12 ? hex4(raw.ptr + 8) : -1;
    if (low < 0xDC00)
        return 0;
    *ret_rune = (uint32_t)(0x10000 + (high - 0xD800) * 0x400 + (low - 0xDC00));
    return 12;
}

/* Writes what the escape at `raw` stands for; returns the bytes taken, 0 if malformed. */
static size_t read_escape(str raw, char *out, size_t *ret_n)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (raw.len < 2)
        return 0;
    if (raw.ptr[1] == 'u') {
        uint32_t rune = 0;
        size_t n = read_unicode(raw, &rune);
        if (n > 0)
            *ret_n = utf8_encode(out, rune);
        return n;
    }
    const char *at = raw.ptr[1] == '\0' ? NULL : strchr(from, raw.ptr[1]);
    if (at == NULL)
        return 0;
    *out = to[at - from];
    *ret_n = 1;
    return 2;
}

str json_lax_unescape(str raw, struct arena *a)
{
    if (raw.len == 0 || memchr(raw.ptr, '\\', raw.len) == NULL)
        return raw;
    char *out = arena_alloc(a, raw.len); /* an escape is never shorter than what it stands for */
    size_t n = 0;
    while (raw.len > 0) {
        size_t plain = str_find_char(raw, '\\');
        if (plain == STR_NPOS)
            plain = raw.len;
        memcpy(out + n, raw.ptr, plain);
        n += plain;
        raw = str_from(raw, plain);
        if (raw.len == 0)
            break;
        size_t written = 0, taken = read_escape(raw, out + n, &written);
        if (taken == 0)
            return str_make(NULL, 0);
        n += written;
        raw = str_from(raw, taken);
    }
    return str_make(out, n);
}

str label_value_clean(str value, struct arena *a)
{
    if (str_is_ascii(value))
        return value;
    uint32_t rune;
    size_t n, bad = 0;
    for (str s = value; s.len > 0; s = str_from(s, n)) {
        n = utf8_decode(s, &rune);
        bad += rune == RUNE_ERROR; /* U+FFFD spelled out counts too */
    }
    if (bad == 0)
        return value;
    char *out = arena_alloc(a, value.len), *to = out;
    for (str s = value; s.len > 0; s = str_from(s, n)) {
        n = utf8_decode(s, &rune);
        if (rune == RUNE_ERROR) {
            *to++ = ' ';
        } else {
            memcpy(to, s.ptr, n);
            to += n;
        }
    }
    return str_make(out, (size_t)(to - out));
}

str json_lax_label_value(str raw, struct arena *a)
{
    str value = json_lax_unescape(raw, a);
    return value.ptr == NULL ? STR_EMPTY : label_value_clean(value, a);
}
