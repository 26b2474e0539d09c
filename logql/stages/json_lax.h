/* logql/stages/json_lax.h - JSON as Loki's parsers read it: far more forgiving than the standard.
 *
 * Loki does not validate a line; it looks for keys, and for where their values end.  Numbers may be
 * 01 or 1abc, a comma may trail, text may follow the object, and a fault shows only when the walk
 * gets there, so labels found before it stay.  Which error a fault gives is part of what a user
 * sees; the functions here make the same decisions in the same order.
 *
 * Views point into the text, or into the arena for what had escapes.  Pure functions. */
#pragma once
#include "base/arena.h"
#include "logql/stages/byte_index.h"

enum json_lax_kind { LAX_STRING, LAX_NUMBER, LAX_OBJECT, LAX_ARRAY, LAX_BOOL, LAX_NULL };

/* NULL: no error; otherwise the text of __error_details__, static storage. */
typedef const char *json_lax_error;

extern const char json_lax_bad_json[], json_lax_bad_object[], json_lax_bad_array[],
    json_lax_bad_string[], json_lax_bad_escape[], json_lax_bad_value[];

struct json_lax_value {
    enum json_lax_kind kind;
    str text;   /* as it stands; a string without its quotes */
    size_t end; /* offset behind it */
    bool has_escape;
};

/* The value that begins at or behind (white space) text[from].  `quotes` is an index of a text that
 * `text` is part of, or NULL. */
json_lax_error json_lax_read(str text, size_t from, struct byte_index *quotes,
                             struct json_lax_value *ret);

/* Bytes that end a number or a word. */
static inline bool json_lax_is_token_end(char c)
{
    return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Offset of the first byte from `from` on that is no white space; STR_NPOS if there is none. */
size_t json_lax_token(str text, size_t from);
/* Offset behind the quote that ends the string whose text begins at `from`; STR_NPOS if none. */
size_t json_lax_string_end(str text, size_t from, bool *ret_escape);
/* Offset behind the bracket that closes the one at `from`; STR_NPOS if none.  Only brackets of
 * this kind count. */
size_t json_lax_block_end(str text, size_t from);

/* A walk over the members of the object that the text begins with:
 *
 *     struct json_lax_object o = json_lax_object(text, NULL);
 *     while (json_lax_next(&o, arena, &key, &value)) ...
 *     if (o.error != NULL) ... */
struct json_lax_object {
    str text;
    struct byte_index *quotes; /* may be NULL */
    size_t at;
    bool is_begun, is_done;
    json_lax_error error;
};

static inline struct json_lax_object json_lax_object(str text, struct byte_index *quotes)
{
    return (struct json_lax_object){.text = text, .quotes = quotes};
}

bool json_lax_next(struct json_lax_object *o, struct arena *a, str *ret_key,
                   struct json_lax_value *ret_value);

/* The elements of the array that begins behind white space at text[0].  `fn` gets each with its
 * offset as Loki counts it.  Returns where the walk ended: at the ], or at the fault; STR_NPOS if
 * there is no array at all. */
typedef void json_lax_element(void *arg, size_t index, const struct json_lax_value *v,
                              size_t offset);
size_t json_lax_array(str text, json_lax_element *fn, void *arg);

/* What a string stands for: the view itself if it has no backslash.  ptr NULL if an escape is
 * malformed (a lone surrogate is). */
str json_lax_unescape(str raw, struct arena *a);

/* The value of a label: unescaped (nothing at all if malformed), what is not UTF-8 made blanks. */
str json_lax_label_value(str raw, struct arena *a);
/* Only the second half of it. */
str label_value_clean(str value, struct arena *a);
