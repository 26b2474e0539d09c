/* logfmt: values of key=value pairs become extracted values. */
#include "base/mem.h"
#include "logql/stages/logfmt_scan.h"
#include "promtail/stages/all.h"
#include "promtail/stages/input.h"

#define LINE_BYTES_MAX 65536 /* bufio.Scanner gives up there */

struct logfmt_stage {
    struct stage base;
    struct stage_pair *pairs; /* name: key of the line */
    size_t n;
    struct stage_input input;
};

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    struct logfmt_stage read = {0};
    int rc = stage_input_conf(config, &read.input, err);
    if (rc == 0)
        rc = stage_conf_pairs(stage_conf_get(config, "mapping"), b->arena, &read.pairs, &read.n,
                              err);
    if (rc != 0)
        return rc;
    if (read.n == 0)
        return error_set(err, E_PARSE, "logfmt mapping is required");
    rc = stage_input_check(&read.input, "empty source", err);
    if (rc != 0)
        return rc;
    struct logfmt_stage *s = mem_alloc(sizeof *s);
    *s = read;
    *ret = &s->base;
    return 0;
}

/* A key of the line stands for one name, the last that asks for it. */
static void take(const struct logfmt_stage *s, struct record *r, str key, str value)
{
    for (size_t i = s->n; i-- > 0;)
        if (str_eq(key, s->pairs[i].value)) {
            extracted_set(r, s->pairs[i].name, VALUE_S(value));
            return;
        }
}

/* False: a syntax error; what stands behind it is not looked at. */
static bool take_pairs(const struct logfmt_stage *s, struct record *r, str line)
{
    struct logfmt_scan scan = logfmt_scan(line);
    scan.is_strict = true;
    while (!logfmt_is_end(&scan) && logfmt_next(&scan, r->arena))
        take(s, r, scan.key, scan.value);
    return scan.error == LOGFMT_OK;
}

/* Each line of the text is one for itself, as to go-logfmt; one that is too long ends it too. */
static bool process(struct stage *base, struct record *r)
{
    struct logfmt_stage *s = (struct logfmt_stage *)base;
    str text;
    if (!stage_input_text(&s->input, r, &text))
        return true;
    while (text.len > 0) {
        str line = str_split(&text, '\n');
        if (line.len >= LINE_BYTES_MAX || !take_pairs(s, r, line))
            break;
    }
    return true;
}

const struct stage_ops stage_ops_logfmt = {
    .name = "logfmt", .compile = compile, .process = process};
