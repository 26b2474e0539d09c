/* promtail/targets/docker_stream.h - the body of a container's logs cut into lines.
 *
 * Without a terminal the daemon frames what it sends: stream (1 out, 2 err), three zeros, length
 * (4 bytes, big endian), bytes; with one there is only text.  Each line begins with its time; a
 * line of more than 16 KiB comes in parts that each begin with a time. */
#pragma once
#include "base/buf.h"
#include "base/status.h"

struct docker_stream {
    bool is_tty;
    struct buf head;     /* of a frame, not whole yet */
    struct buf lines[2]; /* begun lines of stdout and stderr */
    size_t part_at[2];   /* where in them the last part begins; 0: that is the line itself */
    uint32_t left;       /* bytes of the frame that are to come */
    int stream;          /* of the frame at hand: 0 stdout, 1 stderr */
    void (*line)(void *arg, int stream, int64_t ts_ns, str line);
    void *arg;
};

#define DOCKER_LINE_BYTES_MAX (16u << 20) /* longer ones are handed over in parts */

void docker_stream_init(struct docker_stream *s, bool is_tty,
                        void (*line)(void *arg, int stream, int64_t ts_ns, str line), void *arg);
void docker_stream_deinit(struct docker_stream *s);
/* E_PARSE: not a stream of this kind. */
int docker_stream_feed(struct docker_stream *s, str bytes);
