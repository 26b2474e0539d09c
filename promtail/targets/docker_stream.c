#include "promtail/targets/docker_stream.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rfc3339.h"

#define HEAD_BYTES 8
#define PART_BYTES (16 * 1024) /* of a line that the daemon splits */

void docker_stream_init(struct docker_stream *s, bool is_tty,
                        void (*line)(void *arg, int stream, int64_t ts_ns, str line), void *arg)
{
    *s = (struct docker_stream){.is_tty = is_tty, .line = line, .arg = arg};
    buf_init(&s->head, HEAD_BYTES);
    buf_init(&s->lines[0], 2 * DOCKER_LINE_BYTES_MAX);
    buf_init(&s->lines[1], 2 * DOCKER_LINE_BYTES_MAX);
}

void docker_stream_deinit(struct docker_stream *s)
{
    buf_deinit(&s->head);
    buf_deinit(&s->lines[0]);
    buf_deinit(&s->lines[1]);
}

/* "2023-10-11T22:14:15.003Z text"; without a time that reads, now. */
static void put_line(struct docker_stream *s, int stream, str line)
{
    int64_t ts_ns = 0;
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    size_t blank = str_find_char(line, ' ');
    str time = str_sub(line, 0, blank);
    if (rfc3339_parse(time, &ts_ns))
        line = str_from(line, blank == STR_NPOS ? line.len : blank + 1);
    else
        ts_ns = clock_now_ns();
    s->line(s->arg, stream, ts_ns, line);
}

/* Takes the time out that stands at `at`, where a further part of the line begins. */
static void join_part(struct buf *line, size_t at)
{
    int64_t ts_ns;
    str part = str_from(buf_str(line), at);
    size_t blank = str_find_char(part, ' ');
    if (blank == STR_NPOS || !rfc3339_parse(str_sub(part, 0, blank), &ts_ns))
        return;
    memmove(line->ptr + at, line->ptr + at + blank + 1, part.len - blank - 1);
    line->len -= blank + 1;
}

/* A terminal's text does not tell where parts begin, but all save the last are full, and each has
 * the line's time. */
static void join_terminal_parts(struct buf *line)
{
    int64_t ts_ns;
    size_t blank = str_find_char(buf_str(line), ' ');
    if (blank == STR_NPOS || !rfc3339_parse(str_sub(buf_str(line), 0, blank), &ts_ns))
        return;
    size_t head = blank + 1, to = head + PART_BYTES, from = to;
    while (from < line->len) {
        if (line->len - from >= head && memcmp(line->ptr, line->ptr + from, head) == 0)
            from += head;
        size_t n = MIN(line->len - from, PART_BYTES);
        memmove(line->ptr + to, line->ptr + from, n);
        to += n;
        from += n;
    }
    if (to < line->len)
        line->len = to;
}

static void end_line(struct docker_stream *s, int stream)
{
    struct buf *line = &s->lines[stream];
    if (s->is_tty)
        join_terminal_parts(line);
    else if (s->part_at[stream] > 0)
        join_part(line, s->part_at[stream]);
    s->part_at[stream] = 0;
    put_line(s, stream, buf_str(line));
    buf_reset(line);
}

static void feed_lines(struct docker_stream *s, int stream, str bytes)
{
    struct buf *pending = &s->lines[stream];
    while (bytes.len > 0) {
        size_t nl = str_find_char(bytes, '\n');
        str part = str_sub(bytes, 0, nl);
        bytes = nl == STR_NPOS ? STR_EMPTY : str_from(bytes, nl + 1);
        bool is_whole = nl != STR_NPOS;
        if (is_whole && pending->len == 0 && part.len <= PART_BYTES) {
            put_line(s, stream, part);
            continue;
        }
        buf_append_str(pending, part);
        if (is_whole || pending->len >= DOCKER_LINE_BYTES_MAX)
            end_line(s, stream);
    }
}

/* The frame is whole, its line perhaps not. */
static void end_frame(struct docker_stream *s)
{
    struct buf *line = &s->lines[s->stream];
    if (s->part_at[s->stream] > 0)
        join_part(line, s->part_at[s->stream]);
    s->part_at[s->stream] = line->len;
}

static int read_head(struct docker_stream *s)
{
    const unsigned char *h = (const unsigned char *)s->head.ptr;
    if (h[0] > 2 || h[1] != 0 || h[2] != 0 || h[3] != 0)
        return E_PARSE;
    s->stream = h[0] == 2;
    s->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
    buf_reset(&s->head);
    return 0;
}

int docker_stream_feed(struct docker_stream *s, str bytes)
{
    if (s->is_tty) {
        feed_lines(s, 0, bytes);
        return 0;
    }
    while (bytes.len > 0) {
        if (s->left == 0) {
            size_t n = MIN(bytes.len, HEAD_BYTES - s->head.len);
            buf_append(&s->head, bytes.ptr, n);
            bytes = str_from(bytes, n);
            if (s->head.len == HEAD_BYTES && read_head(s) != 0)
                return E_PARSE;
            continue;
        }
        str part = str_sub(bytes, 0, s->left);
        s->left -= (uint32_t)part.len;
        bytes = str_from(bytes, part.len);
        feed_lines(s, s->stream, part);
        if (s->left == 0)
            end_frame(s);
    }
    return 0;
}
