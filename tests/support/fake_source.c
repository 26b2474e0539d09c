#include "tests/support/fake_source.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/vec.h"
#include "proto/json_scan.h"

struct fake_entry {
    int64_t ts_ns;
    size_t order; /* of arrival */
    str line;
    struct labels meta;
};

struct fake_block {
    struct fake_entry *entries;
    size_t n;
};

struct fake_stream {
    struct labels labels;
    VEC(struct fake_entry) entries;
    VEC(struct block_ref) refs;
};

struct fake_source {
    struct query_source source;
    struct fake_source_params params;
    struct arena arena;
    VEC(struct fake_stream *) streams;
    bool is_sealed;
    uint64_t last_chunk_id;
    atomic_size_t reads, line_reads;
};

struct fake_selection {
    struct selection base;
    struct arena arena;
};

/* ---- filling ---- */

static struct fake_stream *stream_of(struct fake_source *f, const struct labels *labels)
{
    for (size_t i = f->streams.len; i-- > 0;)
        if (labels_eq(&f->streams.items[i]->labels, labels))
            return f->streams.items[i];
    struct fake_stream *s = mem_zalloc(sizeof *s);
    s->labels = labels_copy(&f->arena, labels);
    VEC_PUSH(&f->streams, s);
    return s;
}

static void add_entry(struct fake_source *f, const struct labels *labels, int64_t ts_ns, str line,
                      const struct labels *meta)
{
    struct fake_stream *s = stream_of(f, labels);
    VEC_PUSH(&s->entries, (struct fake_entry){ts_ns, s->entries.len, arena_str(&f->arena, line),
                                              labels_copy(&f->arena, meta)});
    f->is_sealed = false;
}

static bool read_labels(struct json_scan *j, struct arena *a, struct labels *ret)
{
    VEC(struct label) items = {0};
    str key, value;
    if (json_object_begin(j))
        while (json_object_next(j, &key) && json_read_string(j, a, &value))
            VEC_PUSH_ARENA(a, &items, (struct label){json_unescape_arena(key, a), value});
    size_t n = labels_normalize(items.items, items.len);
    *ret = (struct labels){items.items, n};
    return json_ok(j);
}

void fake_source_add(struct fake_source *f, const char *labels, int64_t ts_ns, const char *line,
                     const char *meta_json)
{
    struct labels ls, meta = LABELS_EMPTY;
    ASSERT(labels_parse(str_c(labels), &f->arena, &ls, NULL) == 0);
    if (meta_json != NULL) {
        struct json_scan j = json_scan_make(str_c(meta_json));
        ASSERT(read_labels(&j, &f->arena, &meta));
    }
    add_entry(f, &ls, ts_ns, str_c(line), &meta);
}

static bool load_line(struct fake_source *f, str text)
{
    struct json_scan j = json_scan_make(text);
    struct labels labels = LABELS_EMPTY, meta = LABELS_EMPTY;
    str key, ts = STR_EMPTY, line = STR_EMPTY;
    if (json_object_begin(&j))
        while (json_object_next(&j, &key)) {
            if (json_key_is(key, "labels"))
                read_labels(&j, &f->arena, &labels);
            else if (json_key_is(key, "metadata"))
                read_labels(&j, &f->arena, &meta);
            else if (json_key_is(key, "ts"))
                json_read_string(&j, &f->arena, &ts);
            else if (json_key_is(key, "line"))
                json_read_string(&j, &f->arena, &line);
            else
                json_skip(&j);
        }
    int64_t ts_ns;
    if (!json_ok(&j) || !str_to_i64(ts, &ts_ns))
        return false;
    add_entry(f, &labels, ts_ns, line, &meta);
    return true;
}

int fake_source_load(struct fake_source *f, const char *path)
{
    FILE *in = fopen(path, "r");
    if (in == NULL)
        return E_NOT_FOUND;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int rc = 0;
    while (rc == 0 && (n = getline(&line, &cap, in)) > 0)
        if (n > 1 && !load_line(f, str_trim(str_make(line, (size_t)n))))
            rc = E_PARSE;
    free(line);
    fclose(in);
    return rc;
}

/* ---- sealing ---- */

static int cmp_entries(const void *a, const void *b)
{
    const struct fake_entry *x = a, *y = b;
    if (x->ts_ns != y->ts_ns)
        return x->ts_ns < y->ts_ns ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static int cmp_streams(const void *a, const void *b)
{
    return labels_cmp(&(*(struct fake_stream *const *)a)->labels,
                      &(*(struct fake_stream *const *)b)->labels);
}

static int cmp_refs(const void *a, const void *b)
{
    const struct block_ref *x = a, *y = b;
    if (x->min_ns != y->min_ns)
        return x->min_ns < y->min_ns ? -1 : 1;
    return x->max_ns < y->max_ns ? -1 : x->max_ns > y->max_ns;
}

static size_t drop_duplicates(struct fake_entry *e, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        bool is_there = false;
        for (size_t j = kept; j-- > 0 && e[j].ts_ns == e[i].ts_ns;)
            is_there = is_there || str_eq(e[j].line, e[i].line);
        if (!is_there)
            e[kept++] = e[i];
    }
    return kept;
}

static void add_block(struct fake_source *f, struct fake_stream *s, struct fake_entry *e, size_t n)
{
    struct fake_block *b = ARENA_NEW(&f->arena, struct fake_block);
    *b = (struct fake_block){e, n};
    struct block_ref ref = {.min_ns = e[0].ts_ns,
                            .max_ns = e[n - 1].ts_ns,
                            .entries = (uint32_t)n,
                            .chunk_id = ++f->last_chunk_id,
                            .handle = b};
    for (size_t i = 0; i < n; i++) {
        ref.line_bytes += e[i].line.len;
        for (size_t j = 0; j < e[i].meta.n; j++) {
            ref.meta_bytes += e[i].meta.items[j].name.len + e[i].meta.items[j].value.len;
            if (!str_eq(e[i].meta.items[j].name, STR("detected_level")))
                ref.flags |= BLOCK_REF_HAS_META;
        }
    }
    ref.compressed_bytes = (uint32_t)ref.line_bytes / 4 + 1;
    VEC_PUSH(&s->refs, ref);
}

/* Cuts n entries into blocks, never between two of one time. */
static void cut_row(struct fake_source *f, struct fake_stream *s, struct fake_entry *e, size_t n)
{
    size_t max = f->params.block_entries > 0 ? f->params.block_entries : 1000;
    for (size_t from = 0, to; from < n; from = to) {
        to = MIN(from + max, n);
        while (to < n && e[to].ts_ns == e[to - 1].ts_ns)
            to++;
        add_block(f, s, e + from, to - from);
        if (f->params.layout == FAKE_REPLICAS)
            add_block(f, s, e + from, to - from);
    }
}

/* Cuts n entries into blocks of which each has the last but one of the block before (which lacks
 * it) and the last one (which is there too). */
static void cut_late(struct fake_source *f, struct fake_stream *s, struct fake_entry *e, size_t n)
{
    size_t max = f->params.block_entries > 0 ? f->params.block_entries : 1000;
    for (size_t from = 0; from < n; from += max) {
        size_t to = MIN(from + max, n), len = 0;
        bool has_before = from >= 2, has_after = to < n && to - from >= 2;
        struct fake_entry *block = ARENA_ARRAY(&f->arena, struct fake_entry, max + 2);
        if (has_before && max >= 2) {
            block[len++] = e[from - 2];
            block[len++] = e[from - 1];
        }
        for (size_t i = from; i < to; i++)
            if (!(has_after && i == to - 2))
                block[len++] = e[i];
        add_block(f, s, block, len);
    }
}

static void seal_stream(struct fake_source *f, struct fake_stream *s)
{
    qsort(s->entries.items, s->entries.len, sizeof s->entries.items[0], cmp_entries);
    s->entries.len = drop_duplicates(s->entries.items, s->entries.len);
    s->refs.len = 0;
    size_t n = s->entries.len;
    if (f->params.layout == FAKE_LATE) {
        cut_late(f, s, s->entries.items, n);
    } else if (f->params.layout != FAKE_OVERLAP) {
        cut_row(f, s, s->entries.items, n);
    } else { /* every third entry is in both rows */
        struct fake_entry *rows[2] = {ARENA_ARRAY(&f->arena, struct fake_entry, n),
                                      ARENA_ARRAY(&f->arena, struct fake_entry, n)};
        size_t len[2] = {0, 0};
        for (size_t i = 0; i < n; i++)
            for (size_t r = 0; r < 2; r++)
                if (i % 3 == 0 || i % 2 == r)
                    rows[r][len[r]++] = s->entries.items[i];
        cut_row(f, s, rows[0], len[0]);
        cut_row(f, s, rows[1], len[1]);
    }
    qsort(s->refs.items, s->refs.len, sizeof s->refs.items[0], cmp_refs);
}

static void seal(struct fake_source *f)
{
    if (f->is_sealed)
        return;
    for (size_t i = 0; i < f->streams.len; i++)
        seal_stream(f, f->streams.items[i]);
    qsort(f->streams.items, f->streams.len, sizeof f->streams.items[0], cmp_streams);
    f->is_sealed = true;
}

/* ---- the source ---- */

static int fake_select(struct query_source *q, const struct select_params *p,
                       struct selection **ret, struct error *err)
{
    (void)err;
    struct fake_source *f = CONTAINER_OF(q, struct fake_source, source);
    seal(f);
    struct fake_selection *sel = mem_zalloc(sizeof *sel);
    arena_init(&sel->arena, SIZE_MAX);
    struct selected_stream *streams =
        ARENA_ARRAY(&sel->arena, struct selected_stream, f->streams.len);
    size_t len = 0;
    for (size_t i = 0; i < f->streams.len; i++) {
        struct fake_stream *s = f->streams.items[i];
        if (!matchers_match(p->matchers, p->n_matchers, &s->labels))
            continue;
        struct block_ref *refs = ARENA_ARRAY(&sel->arena, struct block_ref, s->refs.len);
        size_t n = 0;
        for (size_t j = 0; j < s->refs.len; j++)
            if (s->refs.items[j].max_ns >= p->from_ns && s->refs.items[j].min_ns < p->to_ns)
                refs[n++] = s->refs.items[j];
        if (n > 0)
            streams[len++] =
                (struct selected_stream){labels_hash(&s->labels), s->labels, refs, n, n};
    }
    sel->base = (struct selection){q, streams, len};
    *ret = &sel->base;
    return 0;
}

static void fake_selection_free(struct selection *s)
{
    struct fake_selection *sel = CONTAINER_OF(s, struct fake_selection, base);
    arena_deinit(&sel->arena);
    mem_free(sel);
}

static void put_lines(const struct fake_block *b, struct block_buf *into)
{
    uint32_t at = 0;
    for (size_t i = 0; i < b->n; i++) {
        buf_append(&into->line_at, &at, sizeof at);
        buf_append_str(&into->text, b->entries[i].line);
        buf_append_char(&into->text, '\n');
        at = (uint32_t)into->text.len;
    }
    buf_append(&into->line_at, &at, sizeof at);
}

/* Equal sets of metadata once each. */
static void put_meta(const struct fake_block *b, struct block_buf *into, struct block_view *v)
{
    struct labels *sets = ARENA_ARRAY(&into->meta, struct labels, b->n);
    for (size_t i = 0; i < b->n; i++) {
        uint32_t at = 0;
        while (at < v->n_meta && !labels_eq(&sets[at], &b->entries[i].meta))
            at++;
        if (at == v->n_meta)
            sets[v->n_meta++] = labels_copy(&into->meta, &b->entries[i].meta);
        buf_append(&into->meta_of, &at, sizeof at);
    }
    v->meta = sets;
    v->meta_of = (const uint32_t *)(void *)into->meta_of.ptr;
}

static int fake_read(struct query_source *q, const struct block_ref *ref, unsigned columns,
                     struct block_buf *into)
{
    struct fake_source *f = CONTAINER_OF(q, struct fake_source, source);
    const struct fake_block *b = ref->handle;
    size_t nth = atomic_fetch_add(&f->reads, 1) + 1;
    if (nth == f->params.reads_fail_at)
        return E_CORRUPT;
    buf_reset(&into->times);
    buf_reset(&into->text);
    buf_reset(&into->line_at);
    buf_reset(&into->meta_of);
    arena_reset(&into->meta);
    struct block_view v = {.n = (uint32_t)b->n, .columns = columns};
    for (size_t i = 0; i < b->n && (columns & BLOCK_TIMES) != 0; i++)
        buf_append(&into->times, &b->entries[i].ts_ns, sizeof(int64_t));
    if ((columns & BLOCK_TIMES) != 0)
        v.ts_ns = (const int64_t *)(void *)into->times.ptr;
    if ((columns & BLOCK_LINES) != 0) {
        atomic_fetch_add(&f->line_reads, 1);
        put_lines(b, into);
        v.text = into->text.ptr;
        v.text_len = into->text.len;
        v.line_at = (const uint32_t *)(void *)into->line_at.ptr;
    }
    if ((columns & BLOCK_META) != 0)
        put_meta(b, into, &v);
    into->view = v;
    return 0;
}

static int fake_labels(struct query_source *q, const struct select_params *p, str name,
                       struct str_set *into, struct error *err)
{
    (void)q, (void)p, (void)name, (void)into;
    return error_set(err, E_UNSUPPORTED, "not in the fake source");
}

static const struct query_source_ops FAKE_OPS = {
    .select = fake_select,
    .selection_free = fake_selection_free,
    .read = fake_read,
    .labels = fake_labels,
};

struct fake_source *fake_source_new(const struct fake_source_params *p)
{
    struct fake_source *f = mem_zalloc(sizeof *f);
    f->source = (struct query_source){&FAKE_OPS, "fake"};
    if (p != NULL)
        f->params = *p;
    arena_init(&f->arena, SIZE_MAX);
    return f;
}

void fake_source_free(struct fake_source *f)
{
    if (f == NULL)
        return;
    for (size_t i = 0; i < f->streams.len; i++) {
        VEC_FREE(&f->streams.items[i]->entries);
        VEC_FREE(&f->streams.items[i]->refs);
        mem_free(f->streams.items[i]);
    }
    VEC_FREE(&f->streams);
    arena_deinit(&f->arena);
    mem_free(f);
}

struct query_source *fake_source_query_source(struct fake_source *f)
{
    return &f->source;
}

size_t fake_source_reads(const struct fake_source *f)
{
    return atomic_load(&f->reads);
}

size_t fake_source_line_reads(const struct fake_source *f)
{
    return atomic_load(&f->line_reads);
}
