/* base/status.h - every status a function of ours may return, and the error a human will read.
 *
 * Functions return 0 or a negative E_* code.  What a person will read (config, LogQL, push) also
 * fills a `struct error`: the last argument, NULL allowed, the first error wins.
 * Codes of other libraries are translated by one function at that library's edge. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name, default text, HTTP status it becomes */
#define STATUS_MAP(XX)                                                                             \
    XX(E_INVALID, "invalid argument", 400)                                                         \
    XX(E_PARSE, "parse error", 400)                                                                \
    XX(E_LIMIT, "limit exceeded", 400)                                                             \
    XX(E_UNAUTHORIZED, "no org id", 401)                                                           \
    XX(E_FORBIDDEN, "forbidden", 403)                                                              \
    XX(E_NOT_FOUND, "not found", 404)                                                              \
    XX(E_METHOD, "method not allowed", 405)                                                        \
    XX(E_CONFLICT, "conflict", 409)                                                                \
    XX(E_TOO_LARGE, "too large", 413)                                                              \
    XX(E_UNPROCESSABLE, "unprocessable", 422)                                                      \
    XX(E_RATE_LIMITED, "rate limited", 429)                                                        \
    XX(E_CANCELED, "context canceled", 499)                                                        \
    XX(E_INTERNAL, "internal error", 500)                                                          \
    XX(E_UNSUPPORTED, "not supported", 501)                                                        \
    XX(E_UNAVAILABLE, "unavailable", 503)                                                          \
    XX(E_TIMEOUT, "deadline exceeded", 504)                                                        \
    XX(E_NO_SPACE, "no space left on device", 503)                                                 \
    XX(E_NO_MEMORY, "out of memory", 503)                                                          \
    XX(E_IO, "input/output error", 500)                                                            \
    XX(E_CORRUPT, "corrupt data", 500)                                                             \
    XX(E_FULL, "full", 503)                                                                        \
    XX(E_AGAIN, "try again", 503)                                                                  \
    XX(E_EOF, "end of data", 500)                                                                  \
    XX(E_TOO_OLD, "too old", 400)                                                                  \
    XX(E_EXISTS, "exists already", 409)

enum status_index {
#define XX(name, text, http) name##_INDEX,
    STATUS_MAP(XX)
#undef XX
        STATUS_COUNT
};

enum status {
    E_OK = 0,
#define XX(name, text, http) name = -1 - name##_INDEX,
    STATUS_MAP(XX)
#undef XX
};

/* Text of a status, "ok" for 0.  Static storage. */
const char *status_text(int code);
/* HTTP status for a code: 200 for 0, 500 for a code that is none of ours. */
int status_http(int code);
/* The status for an errno value (ENOSPC, ENOMEM, ENOENT and EIO are told apart). */
int status_from_errno(int errnum);
/* What an errno value means, worded as by Go (whose texts Loki's and Promtail's users look for):
 * "no such file or directory". */
const char *status_errno_text(int errnum);

#define ERROR_TEXT_MAX 2048

/* An error with its story.  `line` and `col` count from 1; 0 means not known. */
struct error {
    int code; /* enum status; 0 = no error yet */
    int http; /* HTTP status that overrides status_http(code); 0 = none */
    int line;
    int col;
    char text[ERROR_TEXT_MAX]; /* NUL-terminated, cut at the end if too long */
};

/* Fills `err` unless it is NULL or holds an error already.  Returns `code`, so that a caller can
 * write: return error_set(err, E_PARSE, "...").  */
int error_set(struct error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int error_vset(struct error *err, int code, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
/* The same with a position (1-based; 0 = unknown). */
int error_set_at(struct error *err, int code, int line, int col, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Puts "prefix" before the text of an error that is set already; nothing if none is set. */
void error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Empties `err` for reuse. */
void error_clear(struct error *err);
/* HTTP status of a filled error. */
int error_http(const struct error *err);
