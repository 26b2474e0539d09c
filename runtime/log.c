#include "runtime/log.h"

#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/utf8.h"

#define LOG_LINE_BYTES_MAX (256 * 1024) /* a longer value is cut off with the line's rest */

static _Atomic int log_level_now = LOG_INFO;
static _Atomic bool log_is_json;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

bool log_is_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&log_level_now, (int)level, memory_order_relaxed);
}

enum log_level log_level(void)
{
    return (enum log_level)atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

bool log_level_parse(str s, enum log_level *ret)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (str_eq_c(s, level_names[i])) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_set_json(bool json)
{
    atomic_store_explicit(&log_is_json, json, memory_order_relaxed);
}

/* 2026-11-21T21:00:00.123456789Z, trailing zeros kept: columns line up. */
static void append_time(struct buf *b, int64_t now_ns)
{
    time_t seconds = now_ns / NS_PER_S;
    struct tm tm;
    gmtime_r(&seconds, &tm);
    buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", tm.tm_year + 1900, tm.tm_mon + 1,
               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now_ns % NS_PER_S));
}

/* A JSON string without its quotes.  Bytes that are no UTF-8 become U+FFFD, so that a line is
 * always valid text. */
static void append_escaped(struct buf *b, str s)
{
    size_t plain = 0; /* start of the run not written yet */
    for (size_t i = 0; i < s.len;) {
        unsigned char c = (unsigned char)s.ptr[i];
        size_t width = 1;
        bool is_plain = c >= 0x20 && c != '"' && c != '\\' && c < 0x7f;
        if (c >= 0x80) {
            uint32_t rune;
            width = utf8_decode(str_from(s, i), &rune);
            is_plain = !(rune == RUNE_ERROR && width == 1);
        }
        if (is_plain) {
            i += width;
            continue;
        }
        buf_append(b, s.ptr + plain, i - plain);
        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c == '\n')
            buf_append_c(b, "\\n");
        else if (c == '\r')
            buf_append_c(b, "\\r");
        else if (c == '\t')
            buf_append_c(b, "\\t");
        else if (c < 0x80)
            buf_printf(b, "\\u%04x", c);
        else
            buf_append_c(b, "\\ufffd");
        plain = ++i;
    }
    buf_append(b, s.ptr + plain, s.len - plain);
}

static bool needs_quotes(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= ' ' || c == '=' || c == '"' || c == 0x7f)
            return true;
    }
    return !str_is_utf8(s);
}

static void append_logfmt_value(struct buf *b, str s)
{
    if (!needs_quotes(s)) {
        buf_append_str(b, s);
        return;
    }
    buf_append_char(b, '"');
    append_escaped(b, s);
    buf_append_char(b, '"');
}

struct log_line {
    struct buf *out;
    bool is_json, has_fields;
};

static void line_key(struct log_line *line, const char *key)
{
    struct buf *b = line->out;
    if (line->has_fields)
        buf_append_char(b, line->is_json ? ',' : ' ');
    line->has_fields = true;
    if (line->is_json) {
        buf_append_char(b, '"');
        append_escaped(b, str_c(key));
        buf_append_c(b, "\":");
    } else {
        buf_append_c(b, key);
        buf_append_char(b, '=');
    }
}

static void line_str(struct log_line *line, const char *key, str value)
{
    line_key(line, key);
    if (!line->is_json) {
        append_logfmt_value(line->out, value);
        return;
    }
    buf_append_char(line->out, '"');
    append_escaped(line->out, value);
    buf_append_char(line->out, '"');
}

static void line_duration(struct log_line *line, const char *key, int64_t ns)
{
    line_key(line, key);
    if (line->is_json)
        buf_append_char(line->out, '"');
    duration_append_go(line->out, ns);
    if (line->is_json)
        buf_append_char(line->out, '"');
}

static void line_field(struct log_line *line, const struct log_field *f)
{
    switch (f->kind) {
    case LOG_FIELD_STR:
        line_str(line, f->key, f->s);
        break;
    case LOG_FIELD_I64:
        line_key(line, f->key);
        buf_append_i64(line->out, f->i);
        break;
    case LOG_FIELD_U64:
        line_key(line, f->key);
        buf_append_u64(line->out, (uint64_t)f->i);
        break;
    case LOG_FIELD_DURATION:
        line_duration(line, f->key, f->i);
        break;
    case LOG_FIELD_END:
        break;
    }
}

static void line_write(str text)
{
    /* A short write (a pipe that is full) loses the rest rather than block twice. */
    ssize_t n = write(STDERR_FILENO, text.ptr, text.len);
    (void)n;
}

void log_write(enum log_level level, const char *component, const char *msg,
               const struct log_field *fields)
{
    struct buf out;
    buf_init(&out, LOG_LINE_BYTES_MAX);
    struct log_line line = {.out = &out,
                            .is_json = atomic_load_explicit(&log_is_json, memory_order_relaxed)};
    if (line.is_json)
        buf_append_char(&out, '{');
    line_key(&line, "ts");
    if (line.is_json)
        buf_append_char(&out, '"');
    append_time(&out, clock_now_ns());
    if (line.is_json)
        buf_append_char(&out, '"');
    line_str(&line, "level", str_c(level_names[level]));
    line_str(&line, "component", str_c(component));
    line_str(&line, "msg", str_c(msg));
    for (const struct log_field *f = fields; f != NULL && f->kind != LOG_FIELD_END; f++) {
        size_t before = out.len;
        line_field(&line, f);
        if (out.failed) { /* does not fit: leave the field out whole, keep the line well-formed */
            out.len = before;
            out.failed = false;
        }
    }
    buf_append_c(&out, line.is_json ? "}\n" : "\n");
    line_write(buf_str(&out));
    buf_deinit(&out);
}
