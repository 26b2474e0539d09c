/* proto/entry.h - one log entry: time, line, structured metadata. */
#pragma once
#include "proto/labels.h"

struct entry {
    int64_t ts_ns; /* since the epoch */
    str line;
    struct labels meta; /* structured metadata, sorted by name; usually detected_level is in it */
};
