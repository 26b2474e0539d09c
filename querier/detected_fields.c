/* detected_fields and detected_field/{name}/values: which fields the newest lines have, of which
 * type, and where they come from: structured metadata, JSON or logfmt. */
#include "base/bytesize.h"
#include "base/duration.h"
#include "base/gofmt.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "logql/parser.h"
#include "logql/pipeline.h"
#include "logql/stages/label_key.h"
#include "proto/json_scan.h"
#include "proto/str_set.h"
#include "querier/internal.h"

#define LINE_LIMIT_DEFAULT  100
#define FIELD_LIMIT_DEFAULT 1000
#define VALUES_BYTES_MAX    (64u << 20) /* of one field */
#define JSON_PATH_MAX       16          /* objects within objects that are looked into */

enum field_source { FIELD_META = 0, FIELD_JSON = 1, FIELD_LOGFMT = 2 };

struct field {
    str name;
    const char *type;
    unsigned parsers; /* enum field_source ored */
    struct str_set values;
    str *path; /* in JSON */
    size_t path_len;
};

struct fields {
    struct arena *arena;
    struct strmap map; /* name -> struct field */
    VEC(struct field *) list;
    size_t max;
    str wanted;        /* the one field whose values are asked for; ptr NULL: all fields */
    size_t values_max; /* of it: further lines are not looked at */
};

/* --- one field --- */

/* As Loki tries them, in this order. */
static const char *type_of(str value)
{
    int64_t i;
    uint64_t u;
    double d;
    bool b;
    if (goparse_int(value, 10, 64, &i) == 0)
        return "int";
    if (goparse_float(value, &d) == 0)
        return "float";
    if (goparse_bool(value, &b) == 0)
        return "boolean";
    if (duration_parse_go(value, &i, NULL) == 0)
        return "duration";
    if (bytesize_parse(value, &u, NULL) == 0)
        return "bytes";
    return "string";
}

/* Whether a size says so itself: 10 is none, 10k and, alas, 10m are. */
static bool has_size_unit(str value)
{
    static const char prefixes[] = "kmgtpe";
    size_t n = value.len;
    char last = n > 0 ? (char)(value.ptr[n - 1] | 0x20) : '\0';
    if (last == 'i' && n > 1)
        last = (char)(value.ptr[n - 2] | 0x20);
    else if (last == 'b')
        return true;
    return last != '\0' && memchr(prefixes, last, sizeof prefixes - 1) != NULL;
}

/* Sizes are given as a query takes them, 1.2MiB as 1.3MB; other values as they are. */
static str as_in_query(struct arena *a, str value)
{
    uint64_t bytes;
    if (!has_size_unit(value) || bytesize_parse(value, &bytes, NULL) != 0)
        return value;
    struct buf text;
    buf_init(&text, 64);
    bytesize_append(&text, bytes);
    str printed = buf_str(&text);
    size_t blank = str_find_char(printed, ' ');
    str unit = str_from(printed, blank + 1);
    value = arena_printf(a, "%.*s%.*s", (int)blank, printed.ptr, STR_ARG(unit));
    buf_deinit(&text);
    return value;
}

static struct field *field_of(struct fields *f, str name)
{
    struct field *one = strmap_get(&f->map, name);
    if (one != NULL || f->list.len >= f->max)
        return one;
    one = ARENA_NEW(f->arena, struct field);
    one->name = arena_str(f->arena, name);
    str_set_init(&one->values, VALUES_BYTES_MAX);
    strmap_put(&f->map, name, one);
    VEC_PUSH(&f->list, one);
    return one;
}

static struct field *add(struct fields *f, const struct label *l, unsigned source)
{
    struct field *one = field_of(f, l->name);
    if (one == NULL)
        return NULL;
    one->parsers |= source;
    one->type = type_of(l->value); /* the last value seen decides */
    str_set_add(&one->values, l->value);
    return one;
}

/* One that a parser has found. */
static struct field *add_parsed(struct fields *f, const struct label *l, unsigned source)
{
    if (f->wanted.ptr == NULL)
        return add(f, l, source);
    struct label one = {l->name, as_in_query(f->arena, l->value)};
    return str_eq(l->name, f->wanted) ? add(f, &one, source) : NULL;
}

/* True once enough values have been seen. */
static bool is_full(const struct fields *f)
{
    const struct field *one = f->wanted.ptr == NULL ? NULL : strmap_get(&f->map, f->wanted);
    return one != NULL && one->values.map.len >= f->values_max;
}

static void fields_deinit(struct fields *f)
{
    for (size_t i = 0; i < f->list.len; i++)
        str_set_deinit(&f->list.items[i]->values);
    strmap_deinit(&f->map);
    VEC_FREE(&f->list);
}

/* --- paths of JSON fields --- */

struct path {
    str keys[JSON_PATH_MAX];
    size_t n;
    struct buf name; /* the label the path becomes */
};

static void note_path(struct fields *f, const struct path *p)
{
    /* A name that the stream has already got a suffix. */
    static const char *const suffixes[] = {"", "_extracted"};
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        str name = arena_printf(f->arena, "%.*s%s", STR_ARG(buf_str(&p->name)), suffixes[i]);
        struct field *one = strmap_get(&f->map, name);
        if (one == NULL || one->path != NULL || !(one->parsers & FIELD_JSON))
            continue;
        one->path = ARENA_ARRAY(f->arena, str, p->n);
        one->path_len = p->n;
        for (size_t k = 0; k < p->n; k++)
            one->path[k] = arena_str(f->arena, p->keys[k]);
    }
}

static bool walk_paths(struct fields *f, struct json_scan *j, struct path *p)
{
    str key;
    if (!json_object_begin(j))
        return false;
    while (json_object_next(j, &key)) {
        size_t before = p->name.len;
        key = json_unescape_arena(key, f->arena);
        if (p->n < JSON_PATH_MAX && key.ptr != NULL) {
            p->keys[p->n++] = key;
            if (before > 0)
                buf_append_char(&p->name, '_');
            label_key_append(&p->name, key, before == 0);
            if (json_peek(j) == JSON_OBJECT) {
                if (!walk_paths(f, j, p))
                    return false;
            } else {
                note_path(f, p);
                json_skip(j);
            }
            p->n--;
        } else {
            json_skip(j);
        }
        p->name.len = before;
    }
    return json_ok(j);
}

static void find_paths(struct fields *f, str line)
{
    struct json_scan j = json_scan_make(line);
    struct path p = {.n = 0};
    buf_init(&p.name, 1 << 20);
    walk_paths(f, &j, &p);
    buf_deinit(&p.name);
}

/* --- entries --- */

/* A pipeline of one parser. */
struct parser {
    struct expr *expr;
    struct pipeline *pipeline;
    struct pipeline_run *run;
};

static int parser_init(struct call *c, const char *stage, struct parser *p)
{
    memset(p, 0, sizeof *p);
    str text = arena_printf(&c->arena, "{a=\"b\"} | %s", stage);
    int code = logql_parse(text, &c->arena, &p->expr, &c->err);
    if (code != 0)
        return code;
    struct pipeline_params params = {
        .stages = p->expr->log.stages, .n_stages = p->expr->log.n_stages, .sample = PIPELINE_LINES};
    code = pipeline_compile(&params, &p->pipeline, &c->err);
    if (code == 0)
        p->run = pipeline_run_new(p->pipeline);
    return code;
}

static void parser_deinit(struct parser *p)
{
    pipeline_run_free(p->run);
    pipeline_free(p->pipeline);
    logql_release(p->expr);
}

/* The labels that the parser finds in a line; false if it is not its kind of line. */
static bool parse_line(struct parser *p, const struct engine_entry *e, struct labels *ret)
{
    struct pipeline_result r;
    if (!pipeline_run_entry(p->run, e->ts_ns, e->line, &LABELS_EMPTY, &r) ||
        r.labels->error.len > 0)
        return false;
    *ret = r.labels->parsed;
    return true;
}

static bool is_error_label(str name)
{
    return str_eq(name, STR("__error__")) || str_eq(name, STR("__error_details__")) ||
           str_eq(name, STR("__preserve_error__"));
}

struct detector {
    struct parser json, logfmt;
};

static void detect_entry(struct fields *f, struct detector *d, const struct engine_entry *e)
{
    struct labels parsed = LABELS_EMPTY;
    unsigned source = FIELD_JSON;
    const struct engine_entry_labels *own = e->labels;
    for (size_t i = 0; own != NULL && i < own->meta.n; i++)
        add(f, &own->meta.items[i], FIELD_META);
    if (!parse_line(&d->json, e, &parsed)) {
        source = FIELD_LOGFMT;
        if (!parse_line(&d->logfmt, e, &parsed))
            source = FIELD_META;
    }
    /* What the query's own parsers found comes first, what the line has of itself after it. */
    for (size_t i = 0; own != NULL && i < own->parsed.n; i++)
        if (!is_error_label(own->parsed.items[i].name))
            add_parsed(f, &own->parsed.items[i], source);
    bool has_new_path = false;
    for (size_t i = 0; i < parsed.n; i++) {
        struct field *one = add_parsed(f, &parsed.items[i], source);
        has_new_path |= source == FIELD_JSON && one != NULL && one->path == NULL;
    }
    if (has_new_path)
        find_paths(f, e->line);
}

/* Streams backwards: of values of several types the one of the first stream stays. */
static void detect(struct fields *f, struct detector *d, const struct engine_result *r)
{
    for (size_t i = r->n_streams; i-- > 0;) {
        const struct engine_stream *s = &r->streams[i];
        pipeline_run_stream(d->json.run, &s->labels);
        pipeline_run_stream(d->logfmt.run, &s->labels);
        for (size_t k = 0; k < s->n_entries && !is_full(f); k++)
            detect_entry(f, d, &s->entries[k]);
    }
}

/* --- the answers --- */

static void write_parsers(struct json_writer *w, const struct field *f)
{
    jsonw_key_c(w, "parsers");
    if (f->parsers == 0) {
        jsonw_null(w);
        return;
    }
    jsonw_begin_array(w);
    if (f->parsers & FIELD_JSON)
        jsonw_string(w, STR("json"));
    if (f->parsers & FIELD_LOGFMT)
        jsonw_string(w, STR("logfmt"));
    jsonw_end_array(w);
    if (f->path == NULL)
        return;
    jsonw_key_c(w, "jsonPath");
    jsonw_begin_array(w);
    for (size_t i = 0; i < f->path_len; i++)
        jsonw_string(w, f->path[i]);
    jsonw_end_array(w);
}

static int write_fields(struct call *c, const struct fields *f)
{
    struct answer a;
    answer_begin(&a, c);
    struct json_writer *w = &a.w;
    jsonw_begin_object(w);
    if (f->list.len > 0) {
        jsonw_key_c(w, "fields");
        jsonw_begin_array(w);
        for (size_t i = 0; i < f->list.len; i++) {
            const struct field *one = f->list.items[i];
            jsonw_begin_object(w);
            jsonw_key_c(w, "label");
            jsonw_string(w, one->name);
            jsonw_key_c(w, "type");
            jsonw_string(w, str_c(one->type));
            jsonw_key_c(w, "cardinality");
            jsonw_u64(w, one->values.map.len);
            write_parsers(w, one);
            jsonw_end_object(w);
        }
        jsonw_end_array(w);
        jsonw_key_c(w, "limit");
        jsonw_u64(w, f->max);
    }
    jsonw_end_object(w);
    return answer_end(&a);
}

static int write_values(struct call *c, struct fields *f, size_t limit)
{
    struct answer a;
    size_t n = 0;
    struct field *one = strmap_get(&f->map, http_path_param(c->r, "name"));
    const str *items = one == NULL ? NULL : str_set_sorted(&one->values, f->arena, &n);
    answer_begin(&a, c);
    jsonw_begin_object(&a.w);
    if (n > 0) {
        jsonw_key_c(&a.w, "values");
        jsonw_begin_array(&a.w);
        for (size_t i = 0; i < n; i++)
            jsonw_string(&a.w, items[i]);
        jsonw_end_array(&a.w);
        jsonw_key_c(&a.w, "limit");
        jsonw_u64(&a.w, limit);
    }
    jsonw_end_object(&a.w);
    return answer_end(&a);
}

static int detect_in(struct call *c, const struct expr *e, const struct range_params *in,
                     uint32_t lines, struct fields *f)
{
    struct engine_query *q = NULL;
    struct engine_result r;
    struct detector d = {0};
    struct engine_params p = call_engine_params(c);
    p.start_ns = in->start_ns;
    p.end_ns = in->end_ns;
    p.step_ns = in->step_ns;
    p.limit = lines;
    p.direction = ENGINE_BACKWARD;
    p.is_categorized = true;
    int code = parser_init(c, "json", &d.json);
    if (code == 0)
        code = parser_init(c, "logfmt", &d.logfmt);
    if (code == 0)
        code = call_run(c, e, &p, &q, &r);
    if (code == 0)
        detect(f, &d, &r);
    parser_deinit(&d.json);
    parser_deinit(&d.logfmt);
    engine_free(q);
    return code;
}

static int answer(struct call *c, bool values)
{
    struct range_params in = {.query = params_str(&c->params, "query")};
    struct expr *e;
    uint32_t lines, limit;
    /* field_limit is its older name */
    const char *field_limit = params_str(&c->params, "limit").len > 0 ? "limit" : "field_limit";
    int code = params_range_of_fields(&c->params, &in, &c->err);
    if (code == 0)
        code = params_limit(&c->params, "line_limit", LINE_LIMIT_DEFAULT, &lines, &c->err);
    if (code == 0)
        code = params_limit(&c->params, field_limit, FIELD_LIMIT_DEFAULT, &limit, &c->err);
    if (code != 0 || (code = logql_parse(in.query, &c->arena, &e, &c->err)) != 0)
        return code;
    if (!expr_is_log(e)) {
        logql_release(e);
        return error_set(&c->err, E_INVALID, "only log selector is supported");
    }
    struct fields f = {.arena = &c->arena, .max = values ? SIZE_MAX : limit};
    if (values) {
        f.wanted = http_path_param(c->r, "name");
        f.values_max = limit;
    }
    strmap_init(&f.map);
    code = detect_in(c, e, &in, lines, &f);
    if (code == 0)
        code = values ? write_values(c, &f, limit) : write_fields(c, &f);
    fields_deinit(&f);
    logql_release(e);
    return code;
}

int answer_detected_fields(struct call *c)
{
    return answer(c, false);
}

int answer_detected_values(struct call *c)
{
    return answer(c, true);
}
