/* distributor/level.h - the level of a log line: what detected_level says.
 *
 * Loki's rules, in this order: a label of the stream named as a level, then such a structured
 * metadata (both as they are spelled), the OpenTelemetry severity number, a field of a JSON or
 * logfmt line, words in the line.  Runs on every line pushed.  Pure functions, any thread. */
#pragma once
#include "proto/labels.h"
#include "runtime/config.h"

/* Names that levels are looked for under, prepared; lives in the caller's stack, borrows the names.
 */
#define LEVEL_FIELDS_MAX 64

struct level_fields {
    str names[LEVEL_FIELDS_MAX];
    size_t n;
    uint64_t lengths; /* bit i: there is a name of i bytes (63: of 63 or more) */
    int json_depth;   /* how deep objects are looked into; 0: JSON_LEVEL_DEPTH_MAX */
};

/* More names than LEVEL_FIELDS_MAX are cut off. */
void level_fields_init(struct level_fields *f, const struct config_strings *names, int json_depth);

/* The value of the first of the fields (in their order) that is in `ls`; ptr NULL if none. */
str level_from_labels(const struct level_fields *f, const struct labels *ls);
/* From metadata alone: a field, else severity_number; ptr NULL if neither is there. */
str level_from_meta(const struct level_fields *f, const struct labels *meta);
/* From the text of a line: one of the level names below, "unknown" if nothing is found. */
str level_from_line(const struct level_fields *f, str line);

#define LEVEL_LABEL STR("detected_level")

/* A label set of detected_level alone for one of the names level_from_line() gives: static storage,
 * so that most lines need no memory for it.  n is 0 for other names. */
struct labels level_labels(str level);
