/* promtail/stages/json_value.h - JSON values as small trees, and as extracted values.
 *
 * All of a tree lies in the arena it was read into; trees are immutable and may share parts. */
#pragma once
#include "base/buf.h"
#include "promtail/record.h"
#include "proto/json_scan.h"

enum json_type {
    JSON_VALUE_NULL,
    JSON_VALUE_BOOL,
    JSON_VALUE_NUMBER,
    JSON_VALUE_STRING,
    JSON_VALUE_ARRAY,
    JSON_VALUE_OBJECT,
    JSON_VALUE_EXPRESSION, /* &expression of JMESPath: an argument only, never in a document */
};

struct json_tree {
    enum json_type type;
    bool is_true;
    double number;
    str text;                       /* string */
    const struct json_tree **items; /* array; values of an object */
    str *keys;                      /* object, each once, in the order of the text */
    size_t n;
    const void *expression;
};

#define JSON_PRINT_BYTES_MAX (64u << 20)

/* A scanner over a log line: Promtail reads those with json-iterator. */
static inline struct json_scan json_line_scan(str text)
{
    struct json_scan j = json_scan_make(text);
    j.is_jsoniter = true;
    return j;
}

/* Reads a whole document; NULL if it is malformed. */
const struct json_tree *json_tree_read(str text, struct arena *a);
const struct json_tree *json_tree_get(const struct json_tree *object, str key); /* NULL: absent */
bool json_tree_eq(const struct json_tree *a, const struct json_tree *b);
/* Prints without blanks, < > & escaped, numbers as float64.  False if `out` is full.  The first as
 * json-iterator does, with which Promtail spells what it extracts: keys as they come, 1e-07. */
bool json_tree_print(const struct json_tree *t, struct buf *out);
/* As encoding/json does, which go-jmespath uses: keys sorted, 1e-7. */
bool json_tree_print_go(const struct json_tree *t, struct buf *out);

/* What the json stage extracts: objects and arrays as their text. */
struct value json_tree_value(const struct json_tree *t, struct arena *a);
/* The same from the text of one well-formed value. */
struct value json_value(str text, struct arena *a);
