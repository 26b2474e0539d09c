/* proto/json_scan.h - a pull scanner over JSON text: no tree, no copies.
 *
 * The caller walks the document it expects:
 *
 *     struct json_scan j = json_scan_make(text);
 *     str key;
 *     if (json_object_begin(&j))
 *         while (json_object_next(&j, &key))        // stands on the value
 *             if (json_key_is(key, "level"))
 *                 json_read_string(&j, arena, &value);
 *             else
 *                 json_skip(&j);
 *     if (!json_ok(&j)) ...  j.at is where it went wrong
 *
 * An error sticks: after it every call returns false or nothing, so one check at the end is enough.
 * Strings and numbers come as views of the text (raw: without quotes, escapes in place).  The
 * grammar is RFC 8259's, with Go's leniency in strings: bytes that are not UTF-8 pass, lone
 * surrogate escapes become U+FFFD.  Nesting is limited, so hostile text cannot exhaust the stack.
 * One owner, no locks, no allocation but where an arena is given. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

#define JSON_DEPTH_MAX 512

enum json_kind {
    JSON_NOTHING, /* the end of the text, or no value can begin here */
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

struct json_scan {
    const char *start, *at, *end;
    bool bad;
    bool first;  /* just behind a { or [ */
    bool is_lax; /* set it for log lines: strings may hold control characters and any escape */
    /* Set it to read as json-iterator does: behind an escape a string may hold control characters,
     * numbers beyond a float64 are errors, and a NUL behind the document ends the text. */
    bool is_jsoniter;
    unsigned depth;
    uint64_t is_array[JSON_DEPTH_MAX / 64]; /* kind of each open container */
};

struct json_scan json_scan_make(str text);
static inline bool json_ok(const struct json_scan *j)
{
    return !j->bad;
}
/* Offset in the text: of the error if there was one. */
static inline size_t json_offset(const struct json_scan *j)
{
    return (size_t)(j->at - j->start);
}

/* Kind of the value that comes next; takes white space only. */
enum json_kind json_peek(struct json_scan *j);

/* Enters the object or array that comes next; false (and an error) if something else comes. */
bool json_object_begin(struct json_scan *j);
bool json_array_begin(struct json_scan *j);
/* Next key of the object (raw, see json_unescape), leaving the scanner on its value; false at its
 * end, which is taken, and on errors. */
bool json_object_next(struct json_scan *j, str *ret_key);
/* True if there is one more item, the scanner on it; false at the end, which is taken. */
bool json_array_next(struct json_scan *j);

/* The raw text between the quotes; *ret_escaped (may be NULL) tells whether it holds a backslash.
 */
bool json_read_raw_string(struct json_scan *j, str *ret, bool *ret_escaped);
/* The string unescaped: a view of the text, or a copy in `a` if it has escapes. */
bool json_read_string(struct json_scan *j, struct arena *a, str *ret);
/* The number as it is spelled. */
bool json_read_number(struct json_scan *j, str *ret);
bool json_read_bool(struct json_scan *j, bool *ret);
bool json_read_null(struct json_scan *j);
/* Passes over one value of any kind, checking it. */
bool json_skip(struct json_scan *j);
/* The text of one value of any kind, as it stands. */
bool json_read_raw(struct json_scan *j, str *ret);
/* True, without an error otherwise, if nothing but white space is left. */
bool json_at_end(struct json_scan *j);

/* Appends what a raw string stands for.  False if an escape is malformed or `out` is full. */
bool json_unescape(str raw, struct buf *out);
/* The same into an arena; the raw view itself if it has no escapes.  ptr NULL if malformed. */
str json_unescape_arena(str raw, struct arena *a);
/* A raw key against a plain name, escapes considered; the second takes any case (ASCII). */
bool json_key_is(str raw_key, const char *name);
bool json_key_is_nocase(str raw_key, const char *name);
