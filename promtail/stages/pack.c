/* pack: the line and some labels or extracted values become one JSON object:
 *
 *   {"container":"app","pod":"p","_entry":"the line"}
 *
 * What was packed leaves the labels; LogQL's unpack brings it back. */
#include "base/clock.h"
#include "base/mem.h"
#include "promtail/stages/all.h"
#include "proto/json_writer.h"

#define PACKED_BYTES_MAX (256u << 20)

struct pack_stage {
    struct stage base;
    str *names; /* sorted, each once */
    size_t n;
    bool ingest_timestamp;
};

static size_t sort_names(str *names, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        str name = names[i];
        size_t at = kept;
        while (at > 0 && str_cmp(names[at - 1], name) > 0)
            at--;
        if (at > 0 && str_eq(names[at - 1], name))
            continue;
        memmove(&names[at + 1], &names[at], (kept - at) * sizeof *names);
        names[at] = name;
        kept++;
    }
    return kept;
}

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    struct pack_stage read = {.ingest_timestamp = true};
    int rc = stage_weak_strs(config, "labels", b->arena, &read.names, &read.n, err);
    if (rc == 0)
        rc = stage_weak_bool(config, "ingest_timestamp", &read.ingest_timestamp, err);
    if (rc != 0)
        return rc;
    read.n = sort_names(read.names, read.n);
    struct pack_stage *s = mem_alloc(sizeof *s);
    *s = read;
    *ret = &s->base;
    return 0;
}

static bool process(struct stage *base, struct record *r)
{
    struct pack_stage *s = (struct pack_stage *)base;
    struct buf out;
    struct json_writer w;
    buf_init(&out, PACKED_BYTES_MAX);
    jsonw_writer_init(&w, &out);
    jsonw_begin_object(&w);
    for (size_t i = 0; i < s->n; i++) {
        const struct value *v = extracted_get(r, s->names[i]);
        str text;
        if (v == NULL || !value_text(v, r->arena, &text))
            continue;
        jsonw_key(&w, s->names[i]);
        jsonw_string(&w, text);
        label_list_remove(&r->labels, s->names[i]);
    }
    jsonw_key_c(&w, "_entry");
    jsonw_string(&w, r->line);
    jsonw_end_object(&w);
    if (!out.failed)
        r->line = arena_str(r->arena, buf_str(&out));
    buf_deinit(&out);
    if (s->ingest_timestamp) {
        r->ts_ns = clock_now_ns();
        r->ts_offset_s = 0;
    }
    return true;
}

const struct stage_ops stage_ops_pack = {.name = "pack", .compile = compile, .process = process};
