/* logql/stages/logfmt_scan.h - key=value pairs of a line, as Loki's decoder finds them.
 *
 *     struct logfmt_scan s = logfmt_scan(line);
 *     while (!logfmt_is_end(&s))
 *         if (logfmt_next(&s, arena)) ... s.key, s.value
 *
 * A fault makes one logfmt_next() false and sets `error`; the scan goes on behind the bad pair if
 * it is asked to.  Views point into the line, or into the arena for what had escapes. */
#pragma once
#include "base/arena.h"
#include "logql/stages/byte_index.h"

enum logfmt_error {
    LOGFMT_OK,
    LOGFMT_BAD_KEY,
    LOGFMT_UNEXPECTED, /* `unexpected` stands where it may not */
    LOGFMT_UNTERMINATED,
    LOGFMT_BAD_QUOTED,
};

struct logfmt_scan {
    str line;
    struct byte_index *index; /* of the line, or NULL */
    /* Set it to read as go-logfmt does, with which Promtail reads: a value between quotes that has
     * escapes may not hold control characters. */
    bool is_strict;
    size_t at;
    str key;                 /* never empty after a true logfmt_next() */
    str value;               /* empty for a bare key and for key= */
    enum logfmt_error error; /* the last one */
    size_t error_at;         /* offset */
    char unexpected;
};

static inline struct logfmt_scan logfmt_scan(str line)
{
    return (struct logfmt_scan){.line = line};
}

static inline bool logfmt_is_end(const struct logfmt_scan *s)
{
    return s->at >= s->line.len;
}

bool logfmt_next(struct logfmt_scan *s, struct arena *a);

/* What a text between quotes that has backslashes stands for; false if an escape is malformed.
 * Bytes that are not UTF-8 become U+FFFD, three for one. */
bool logfmt_unquote(str s, struct arena *a, str *ret);

/* The error as Loki words it: logfmt syntax error at pos 3 : unexpected '='. */
str logfmt_error_text(const struct logfmt_scan *s, struct arena *a);
