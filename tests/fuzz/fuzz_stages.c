/* links: promtail logql runtime proto base */
/* Lines through pipelines that have every stage without side effects.  The first byte chooses the
 * pipeline, the rest is lines.  No line may break a stage, and every record keeps its labels' hash
 * right. */
#include "base/mem.h"
#include "promtail/pipeline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const pipelines[] = {
    "- cri: {max_partial_lines: 2, max_partial_line_size: 9, max_partial_line_size_truncate: "
    "true}\n"
    "- multiline: {firstline: '^\\[', max_lines: 3}\n"
    "- regex: {expression: '(?P<a>.)(?P<b>\\w+)?'}\n"
    "- replace: {expression: '(a.)|(\\d+)', replace: '<{{ .Value }}>'}\n"
    "- labels: {a: , b: }\n"
    "- structured_metadata: {s: stream}\n",
    "- docker: {}\n"
    "- json: {expressions: {o: 'a[?b > `1`].c | [0]', p: a.b, q: '@', r: 'sort_by(a, &b)'}}\n"
    "- template: {source: t, template: '{{ .q | trunc 5 }}{{ range $k, $v := . }}{{ $v }}{{ end "
    "}}'}\n"
    "- pack: {labels: [o, p, q, stream, job]}\n",
    "- json: {expressions: {message: , ip: , time: }, drop_malformed: true}\n"
    "- eventlogmessage: {}\n"
    "- timestamp: {source: time, format: '2006-01-02 15:04:05.000', fallback_formats: [Unix, "
    "RFC3339, 'Jan _2 15:04:05 MST']}\n"
    "- drop: {source: [ip, message], separator: '-', expression: '^-$'}\n",
    "- logfmt: {mapping: {level: , msg: , t: ts}}\n"
    "- decolorize:\n"
    "- match: {selector: '{job=\"f\"} |= \"e\" !~ \"x$\"', stages: [{template: {source: level, "
    "template: '{{ .Value | ToUpper }}'}}, {labels: {level: }}]}\n"
    "- limit: {rate: 5, burst: 5, drop: true}\n"
    "- sampling: {rate: 0.5}\n"
    "- tenant: {source: msg}\n"
    "- output: {source: msg}\n"
    "- labelallow: [level]\n",
};

static void check(struct record_sink *sink, struct record *r)
{
    (void)sink;
    uint64_t hash = r->labels.hash;
    label_list_rehash(&r->labels);
    ASSERT(hash == r->labels.hash);
}

static void put_lines(struct pipeline *p, str rest)
{
    struct arena a;
    struct label_list labels = {0};
    arena_init(&a, SIZE_MAX);
    for (int64_t n = 0; rest.ptr != NULL; n++) {
        struct record r;
        labels = (struct label_list){0};
        label_list_set(&labels, &a, STR("job"), STR("f"));
        record_init(&r, &a, &labels);
        r.line = str_split(&rest, '\n');
        r.ts_ns = n;
        record_sink_put(&p->sink, &r);
        arena_reset(&a);
        if (n % 3 == 2)
            job_pipeline_flush(p, INT64_MAX, false);
    }
    job_pipeline_flush(p, INT64_MAX, true);
    arena_deinit(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record_sink sink = {.put = check};
    struct arena nodes;
    struct yaml_node *root = NULL;
    struct pipeline *p = NULL;
    if (size == 0)
        return 0;
    arena_init(&nodes, SIZE_MAX);
    int rc = yaml_load(str_c(pipelines[data[0] % ARRAY_LEN(pipelines)]), &nodes, &root, NULL);
    ASSERT(rc == 0);
    rc = job_pipeline_new("f", root, &sink, &p, NULL);
    ASSERT(rc == 0);
    put_lines(p, str_make((const char *)data + 1, size - 1));
    job_pipeline_free(p);
    arena_deinit(&nodes);
    return 0;
}
