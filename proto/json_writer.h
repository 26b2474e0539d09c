/* proto/json_writer.h - JSON written straight into a buf, escaped as Go's encoding/json does.
 *
 * The writer puts the commas; the caller keeps the order of keys and values right (asserted in
 * nesting only).  A full buffer sets out->failed.  One owner, no locks.  The prefix is jsonw_
 * because libjansson, linked into the same programs, owns json_string() and its like. */
#pragma once
#include "base/buf.h"

#define JSON_WRITER_DEPTH_MAX 64

struct json_writer {
    struct buf *out;
    uint64_t has_item; /* bit i: the container at depth i has something in it */
    unsigned depth;    /* containers open */
    bool after_key;    /* a key was written, its value follows */
};

void jsonw_writer_init(struct json_writer *w, struct buf *out);

void jsonw_begin_object(struct json_writer *w);
void jsonw_end_object(struct json_writer *w);
void jsonw_begin_array(struct json_writer *w);
void jsonw_end_array(struct json_writer *w);
void jsonw_key(struct json_writer *w, str name);
void jsonw_string(struct json_writer *w, str s);
void jsonw_i64(struct json_writer *w, int64_t v);
void jsonw_u64(struct json_writer *w, uint64_t v);
void jsonw_float(struct json_writer *w, double v); /* as encoding/json; NaN and Inf become null */
void jsonw_bool(struct json_writer *w, bool v);
void jsonw_null(struct json_writer *w);
/* Text that is one JSON value already. */
void jsonw_raw(struct json_writer *w, str value);
/* A value in quotes that needs no escaping: digits. */
void jsonw_quoted_i64(struct json_writer *w, int64_t v);

#define jsonw_key_c(w, literal) jsonw_key((w), STR(literal))

/* Appends s with quotes and escapes: " \ and control characters, < > & and U+2028/9 as \u003c,
 * bytes that are not UTF-8 as \ufffd. */
bool json_append_string(struct buf *out, str s);
/* The same without escaping < > & (as jsoniter's WriteString, for what is not a log line). */
bool json_append_string_plain(struct buf *out, str s);
/* As Go's encoding/json since 1.22, which the others (json-iterator) are not: \b and \f are short.
 */
bool json_append_string_go(struct buf *out, str s, bool escapes_html);
