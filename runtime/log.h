/* runtime/log.h - logfmt lines on stderr: ts= level= caller/component= msg= key=value...
 *
 * Any thread.  Each call is one write(2), so lines do not mix.
 * log_info("ingester", "flushed chunks", "chunks", LOG_U64(n), "took", LOG_DURATION(ns)); */
#pragma once
#include "base/status.h"
#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
    const char *key;
    enum { LOG_FIELD_END, LOG_FIELD_STR, LOG_FIELD_I64, LOG_FIELD_U64, LOG_FIELD_DURATION } kind;
    str s;
    int64_t i;
};

#define LOG_S(k, v)   ((struct log_field){.key = (k), .kind = LOG_FIELD_STR, .s = (v)})
#define LOG_C(k, v)   ((struct log_field){.key = (k), .kind = LOG_FIELD_STR, .s = str_c(v)})
#define LOG_I(k, v)   ((struct log_field){.key = (k), .kind = LOG_FIELD_I64, .i = (int64_t)(v)})
#define LOG_U(k, v)   ((struct log_field){.key = (k), .kind = LOG_FIELD_U64, .i = (int64_t)(v)})
#define LOG_NS(k, v)  ((struct log_field){.key = (k), .kind = LOG_FIELD_DURATION, .i = (v)})
#define LOG_ERR(code) LOG_C("err", status_text(code))

void log_write(enum log_level level, const char *component, const char *msg,
               const struct log_field *fields);
bool log_is_on(enum log_level level);
void log_set_level(enum log_level level);
enum log_level log_level(void);
const char *log_level_name(enum log_level level);
/* "debug", "info", "warn", "error"; false if it is none of these. */
bool log_level_parse(str s, enum log_level *ret);
/* Text of lines: logfmt (default) or json, as server.log_format says. */
void log_set_json(bool json);

#define LOG_AT(level, component, msg, ...)                                                         \
    do {                                                                                           \
        if (log_is_on(level))                                                                      \
            log_write(level, component, msg,                                                       \
                      (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}});                  \
    } while (0)
#define log_debug(component, msg, ...) LOG_AT(LOG_DEBUG, component, msg __VA_OPT__(, ) __VA_ARGS__)
#define log_info(component, msg, ...)  LOG_AT(LOG_INFO, component, msg __VA_OPT__(, ) __VA_ARGS__)
#define log_warn(component, msg, ...)  LOG_AT(LOG_WARN, component, msg __VA_OPT__(, ) __VA_ARGS__)
#define log_error(component, msg, ...) LOG_AT(LOG_ERROR, component, msg __VA_OPT__(, ) __VA_ARGS__)
