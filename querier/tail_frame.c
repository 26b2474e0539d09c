#include "querier/tail_frame.h"

#include <stdlib.h>

#include "base/rfc3339.h"
#include "querier/internal.h"

static void write_line(struct tail_format f, struct json_writer *w, const struct tail_line *l)
{
    if (f.is_legacy) {
        char bytes[64];
        struct buf at = {.ptr = bytes, .cap = sizeof bytes, .max = sizeof bytes};
        rfc3339_append(&at, l->ts_ns);
        jsonw_begin_object(w);
        jsonw_key_c(w, "ts");
        jsonw_string(w, buf_str(&at));
        jsonw_key_c(w, "line");
        jsonw_string(w, l->line);
        jsonw_end_object(w);
        return;
    }
    jsonw_begin_array(w);
    jsonw_quoted_i64(w, l->ts_ns);
    jsonw_string(w, l->line);
    if (f.is_categorized) {
        jsonw_begin_object(w);
        if (l->meta.n > 0) {
            jsonw_key_c(w, "structuredMetadata");
            write_labels(w, &l->meta);
        }
        if (l->parsed.n > 0) {
            jsonw_key_c(w, "parsed");
            write_labels(w, &l->parsed);
        }
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

static void write_stream_labels(struct tail_format f, struct json_writer *w,
                                const struct labels *ls)
{
    if (!f.is_legacy) {
        jsonw_key_c(w, "stream");
        write_labels(w, ls);
        return;
    }
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    labels_print(ls, &text);
    jsonw_key_c(w, "labels");
    jsonw_string(w, buf_str(&text));
    buf_deinit(&text);
}

static int by_stream(const void *a, const void *b)
{
    const struct tail_line *x = a, *y = b;
    int order = labels_cmp(&x->labels, &y->labels);
    return order != 0 ? order : (x->ts_ns > y->ts_ns) - (x->ts_ns < y->ts_ns);
}

/* From lines[0] on as long as the stream is the same; returns how many that were. */
static size_t write_stream(struct tail_format f, struct json_writer *w,
                           const struct tail_line *lines, size_t n)
{
    size_t i = 0;
    jsonw_begin_object(w);
    write_stream_labels(f, w, &lines[0].labels);
    jsonw_key(w, f.is_legacy ? STR("entries") : STR("values"));
    jsonw_begin_array(w);
    for (; i < n && labels_eq(&lines[0].labels, &lines[i].labels); i++)
        write_line(f, w, &lines[i]);
    jsonw_end_array(w);
    jsonw_end_object(w);
    return i;
}

static void write_dropped(struct json_writer *w, const struct tail_line *dropped, size_t n)
{
    jsonw_key_c(w, "dropped_entries");
    jsonw_begin_array(w);
    for (size_t i = 0; i < n; i++) {
        jsonw_begin_object(w);
        jsonw_key_c(w, "labels");
        write_labels(w, &dropped[i].labels);
        jsonw_key_c(w, "timestamp");
        jsonw_quoted_i64(w, dropped[i].ts_ns);
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

bool tail_frame_write(struct buf *out, struct tail_format format, struct tail_line *lines, size_t n,
                      const struct tail_line *dropped, size_t n_dropped)
{
    struct json_writer w;
    jsonw_writer_init(&w, out);
    if (n > 0)
        qsort(lines, n, sizeof *lines, by_stream);
    jsonw_begin_object(&w);
    jsonw_key_c(&w, "streams");
    jsonw_begin_array(&w);
    for (size_t i = 0; i < n;)
        i += write_stream(format, &w, lines + i, n - i);
    jsonw_end_array(&w);
    if (format.is_categorized && n > 0) {
        jsonw_key_c(&w, "encodingFlags");
        jsonw_raw(&w, STR("[\"categorize-labels\"]"));
    }
    if (n_dropped > 0)
        write_dropped(&w, dropped, n_dropped);
    jsonw_end_object(&w);
    return !out->failed;
}
