/* tests/support/pipeline_tool.c - runs log queries over entries in memory, without a server.
 *
 *     pipeline_tool data.jsonl... < queries
 *
 * Each line of standard input is a request, {"query":"..","start":ns,"end":ns}; each answer is one
 * line: {"error":".."} or {"entries":[{"ts":..,"line":"..","stream":{..},"value":..}]}.  A metric
 * query answers the samples of its (innermost, leftmost) range: value and labels of each line. */
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/vec.h"
#include "logql/parser.h"
#include "logql/pipeline.h"
#include "proto/json_scan.h"

struct line_entry {
    int64_t ts_ns;
    str line;
    struct labels meta;
};

struct stream {
    struct labels labels;
    VEC(struct line_entry) entries;
    struct block_view view;
};

struct store {
    struct arena arena;
    struct strmap by_labels;
    VEC(struct stream *) streams;
};

static str read_file(FILE *f, struct buf *b)
{
    char chunk[65536];
    size_t n;
    buf_reset(b);
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
        buf_append(b, chunk, n);
    return buf_str(b);
}

static struct labels read_labels(struct json_scan *j, struct arena *a)
{
    VEC(struct label) items = {0};
    str key;
    for (json_object_begin(j); json_object_next(j, &key);) {
        struct label l = {.name = json_unescape_arena(key, a)};
        json_read_string(j, a, &l.value);
        l.value = arena_str(a, l.value);
        l.name = arena_str(a, l.name);
        VEC_PUSH_ARENA(a, &items, l);
    }
    for (size_t i = 1; i < items.len; i++)
        for (size_t k = i; k > 0 && str_cmp(items.items[k - 1].name, items.items[k].name) > 0;
             k--) {
            struct label l = items.items[k];
            items.items[k] = items.items[k - 1];
            items.items[k - 1] = l;
        }
    return (struct labels){items.items, items.len};
}

/* Names as a distributor stores them. */
static struct labels normalized(struct labels ls)
{
    for (size_t i = 0; i < ls.n; i++)
        for (size_t k = 0; k < ls.items[i].name.len; k++)
            if (strchr(".-/ ", ls.items[i].name.ptr[k]) != NULL)
                *(char *)(uintptr_t)&ls.items[i].name.ptr[k] = '_';
    return ls;
}

static struct stream *stream_of(struct store *s, const struct labels *ls)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    labels_print(ls, &b);
    struct stream *st = strmap_get(&s->by_labels, buf_str(&b));
    if (st == NULL) {
        st = ARENA_NEW(&s->arena, struct stream);
        st->labels = *ls;
        strmap_put(&s->by_labels, buf_str(&b), st);
        VEC_PUSH(&s->streams, st);
    }
    buf_deinit(&b);
    return st;
}

static void load_entry(struct store *s, str text)
{
    struct json_scan j = json_scan_make(text);
    struct labels ls = LABELS_EMPTY;
    struct line_entry e = {0};
    str key, ts = STR_EMPTY;
    for (json_object_begin(&j); json_object_next(&j, &key);) {
        if (json_key_is(key, "labels"))
            ls = read_labels(&j, &s->arena);
        else if (json_key_is(key, "metadata"))
            e.meta = normalized(read_labels(&j, &s->arena));
        else if (json_key_is(key, "ts"))
            json_read_string(&j, &s->arena, &ts);
        else if (json_key_is(key, "line")) {
            json_read_string(&j, &s->arena, &e.line);
            e.line = arena_str(&s->arena, e.line);
        } else
            json_skip(&j);
    }
    str_to_i64(ts, &e.ts_ns);
    struct stream *st = stream_of(s, &ls);
    size_t at = st->entries.len;
    VEC_PUSH(&st->entries, e);
    for (; at > 0 && st->entries.items[at - 1].ts_ns > e.ts_ns; at--)
        st->entries.items[at] = st->entries.items[at - 1];
    st->entries.items[at] = e;
}

static void build_view(struct store *s, struct stream *st)
{
    size_t n = st->entries.len, bytes = 0;
    int64_t *ts = ARENA_ARRAY(&s->arena, int64_t, n);
    uint32_t *line_at = ARENA_ARRAY(&s->arena, uint32_t, n + 1),
             *meta_of = ARENA_ARRAY(&s->arena, uint32_t, n);
    struct labels *meta = ARENA_ARRAY(&s->arena, struct labels, n);
    for (size_t i = 0; i < n; i++)
        bytes += st->entries.items[i].line.len + 1;
    char *text = arena_alloc(&s->arena, bytes);
    bytes = 0;
    for (size_t i = 0; i < n; i++) {
        const struct line_entry *e = &st->entries.items[i];
        ts[i] = e->ts_ns;
        meta[i] = e->meta;
        meta_of[i] = (uint32_t)i;
        line_at[i] = (uint32_t)bytes;
        memcpy(text + bytes, e->line.ptr, e->line.len);
        bytes += e->line.len;
        text[bytes++] = '\n';
    }
    line_at[n] = (uint32_t)bytes;
    st->view = (struct block_view){.n = (uint32_t)n,
                                   .columns = BLOCK_ALL,
                                   .ts_ns = ts,
                                   .text = text,
                                   .text_len = bytes,
                                   .line_at = line_at,
                                   .meta = meta,
                                   .n_meta = (uint32_t)n,
                                   .meta_of = meta_of};
}

static void put_string(str s)
{
    putchar('"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void put_labels(const struct labels *ls)
{
    putchar('{');
    for (size_t i = 0; i < ls->n; i++) {
        if (i > 0)
            putchar(',');
        put_string(ls->items[i].name);
        putchar(':');
        put_string(ls->items[i].value);
    }
    putchar('}');
}

static void put_error(const struct error *err)
{
    printf("{\"error\":");
    put_string(str_c(err->text));
    printf("}\n");
}

static const struct expr *innermost(const struct expr *e, struct grouping *g)
{
    const struct expr *outer = NULL;
    for (;;) {
        if (e->kind == EXPR_VECTOR_AGG) {
            outer = e;
            e = e->vector_agg.inner;
        } else if (e->kind == EXPR_BINARY) {
            outer = NULL;
            e = e->binary.left;
        } else {
            break;
        }
    }
    if (e->kind == EXPR_RANGE_AGG) {
        enum range_op op = e->range_agg.op;
        *g = e->range_agg.grouping;
        if (!g->is_present && outer != NULL && outer->vector_agg.op == VECTOR_SUM &&
            (op == RANGE_COUNT_OVER_TIME || op == RANGE_RATE || op == RANGE_BYTES_OVER_TIME ||
             op == RANGE_BYTES_RATE || op == RANGE_SUM_OVER_TIME)) {
            *g = outer->vector_agg.grouping;
            g->is_present = true;
        }
    }
    return e;
}

static bool make_params(const struct expr *e, struct pipeline_params *pp,
                        const struct log_expr **ret_log)
{
    e = innermost(e, &pp->grouping);
    if (e->kind == EXPR_LOG) {
        *ret_log = &e->log;
    } else if (e->kind == EXPR_RANGE_AGG) {
        enum range_op op = e->range_agg.op;
        *ret_log = &e->range_agg.range.log;
        pp->unwrap = e->range_agg.range.unwrap;
        pp->sample = pp->unwrap != NULL                                      ? PIPELINE_VALUE
                     : op == RANGE_BYTES_OVER_TIME || op == RANGE_BYTES_RATE ? PIPELINE_BYTES
                                                                             : PIPELINE_COUNT;
        pp->is_labels_ignored = op == RANGE_ABSENT_OVER_TIME;
    } else {
        return false;
    }
    pp->stages = (*ret_log)->stages;
    pp->n_stages = (*ret_log)->n_stages;
    return true;
}

static bool is_selected(const struct log_expr *log, const struct labels *ls)
{
    for (size_t i = 0; i < log->n_matchers; i++) {
        str v = labels_get(ls, log->matchers[i]->name);
        if (!matcher_is_match(log->matchers[i], v.ptr == NULL ? STR_EMPTY : v))
            return false;
    }
    return true;
}

static void answer(struct store *s, const struct pipeline *p, const struct log_expr *log,
                   int64_t start, int64_t end, bool is_log)
{
    struct pipeline_run *run = pipeline_run_new(p);
    bool is_first = true;
    printf("{\"entries\":[");
    for (size_t i = 0; i < s->streams.len; i++) {
        struct stream *st = s->streams.items[i];
        if (!is_selected(log, &st->labels))
            continue;
        uint32_t from = 0, to = st->view.n;
        while (from < to && st->view.ts_ns[from] < start)
            from++;
        while (to > from && st->view.ts_ns[to - 1] >= end)
            to--;
        pipeline_run_stream(run, &st->labels);
        pipeline_run_block(run, &st->view, from, to, false);
        for (struct pipeline_result r; pipeline_run_next(run, &r); is_first = false) {
            printf("%s{\"ts\":%lld,\"stream\":", is_first ? "" : ",",
                   (long long)st->view.ts_ns[r.at]);
            put_labels(&r.labels->all);
            if (is_log) {
                printf(",\"line\":");
                put_string(r.line);
                printf(",\"parsed\":");
                put_labels(&r.labels->parsed);
                printf(",\"meta\":");
                put_labels(&r.labels->meta);
            } else {
                printf(",\"value\":\"%.17g\"", r.value);
            }
            putchar('}');
        }
    }
    printf("]}\n");
    pipeline_run_free(run);
}

static void serve(struct store *s, str request)
{
    struct arena a;
    arena_init(&a, SIZE_MAX);
    struct json_scan j = json_scan_make(request);
    str key, query = STR_EMPTY, number;
    int64_t start = INT64_MIN, end = INT64_MAX;
    for (json_object_begin(&j); json_object_next(&j, &key);) {
        if (json_key_is(key, "query"))
            json_read_string(&j, &a, &query);
        else if (json_read_number(&j, &number))
            str_to_i64(number, json_key_is(key, "start") ? &start : &end);
    }
    static struct error err;
    error_clear(&err);
    struct expr *e = NULL;
    struct pipeline_params pp = {0};
    struct pipeline *p = NULL;
    const struct log_expr *log = NULL;
    if (logql_parse(query, &a, &e, &err) != 0)
        put_error(&err);
    else if (!make_params(e, &pp, &log))
        printf("{\"error\":\"no range\"}\n");
    else if (pipeline_compile(&pp, &p, &err) != 0)
        put_error(&err);
    else
        answer(s, p, log, start, end, pp.sample == PIPELINE_LINES);
    fflush(stdout);
    pipeline_free(p);
    logql_release(e);
    arena_deinit(&a);
}

int main(int argc, char **argv)
{
    static struct store s;
    struct buf b;
    arena_init(&s.arena, SIZE_MAX);
    strmap_init(&s.by_labels);
    buf_init(&b, BUF_NO_LIMIT);
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "r");
        if (f == NULL) {
            perror(argv[i]);
            return 1;
        }
        str text = read_file(f, &b), line;
        fclose(f);
        while (text.ptr != NULL)
            if ((line = str_split(&text, '\n')).len > 0)
                load_entry(&s, line);
    }
    for (size_t i = 0; i < s.streams.len; i++)
        build_view(&s, s.streams.items[i]);
    char *line = NULL;
    size_t room = 0;
    for (ssize_t n; (n = getline(&line, &room, stdin)) > 0;)
        serve(&s, str_make(line, (size_t)n));
    free(line);
    for (size_t i = 0; i < s.streams.len; i++)
        VEC_FREE(&s.streams.items[i]->entries);
    VEC_FREE(&s.streams);
    strmap_deinit(&s.by_labels);
    buf_deinit(&b);
    arena_deinit(&s.arena);
    return 0;
}
