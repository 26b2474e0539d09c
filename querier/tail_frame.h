/* querier/tail_frame.h - the frames of a tail as JSON.
 *
 *   {"streams":[{"stream":{..},"values":[["<ns>","line"]]}],
 *    "dropped_entries":[{"labels":{..},"timestamp":"<ns>"}]}
 *
 * and the form of the old API, {"streams":[{"labels":"{..}","entries":[{"ts":..,"line":..}]}]}. */
#pragma once
#include "base/buf.h"
#include "proto/labels.h"

/* One line of a frame; of a dropped entry labels and time. */
struct tail_line {
    struct labels labels;       /* of the stream; all labels unless categorized */
    struct labels meta, parsed; /* empty unless categorized */
    int64_t ts_ns;
    str line;
};

struct tail_format {
    bool is_legacy;
    bool is_categorized; /* X-Loki-Response-Encoding-Flags: categorize-labels */
};

/* Appends one frame; sorts `lines` by stream and time.  False if the buffer is full. */
bool tail_frame_write(struct buf *out, struct tail_format format, struct tail_line *lines, size_t n,
                      const struct tail_line *dropped, size_t n_dropped);
