/* docker: lines as docker's json-file driver writes them: {"log":..,"stream":..,"time":..}. */
#include "base/mem.h"
#include "promtail/stages/all.h"
#include "promtail/stages/container.h"
#include "promtail/stages/json_value.h"

struct docker_stage {
    struct stage base;
    struct fudge fudge;
};

struct docker_line {
    struct value output, stream, timestamp;
};

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    (void)b, (void)config, (void)err;
    struct docker_stage *s = mem_zalloc(sizeof *s);
    fudge_init(&s->fudge);
    *ret = &s->base;
    return 0;
}

static void read_value(struct json_scan *j, struct arena *a, struct value *ret)
{
    str text;
    if (json_peek(j) == JSON_STRING) {
        if (json_read_string(j, a, &text))
            *ret = VALUE_S(text);
    } else if (json_read_raw(j, &text)) {
        *ret = json_value(text, a);
    }
}

static bool read_line(str line, struct arena *a, struct docker_line *ret)
{
    struct json_scan j = json_line_scan(line);
    str key;
    *ret = (struct docker_line){VALUE_NIL, VALUE_NIL, VALUE_NIL};
    if (json_peek(&j) == JSON_NULL)
        return json_read_null(&j) && json_at_end(&j);
    if (json_peek(&j) != JSON_OBJECT || !json_object_begin(&j))
        return false;
    while (json_object_next(&j, &key)) {
        if (json_key_is(key, "log"))
            read_value(&j, a, &ret->output);
        else if (json_key_is(key, "stream"))
            read_value(&j, a, &ret->stream);
        else if (json_key_is(key, "time"))
            read_value(&j, a, &ret->timestamp);
        else
            json_skip(&j);
    }
    return json_ok(&j) && json_at_end(&j);
}

static bool process(struct stage *base, struct record *r)
{
    static const struct container_keys keys = {STR("stream"), STR("timestamp"), STR("output")};
    struct docker_stage *s = (struct docker_stage *)base;
    struct docker_line line;
    if (!stage_is_first(base))
        extracted_add_labels(r);
    if (read_line(r->line, r->arena, &line)) {
        extracted_set(r, keys.line, line.output);
        extracted_set(r, keys.stream, line.stream);
        extracted_set(r, keys.time, line.timestamp);
    }
    container_apply(&s->fudge, r, &keys);
    return true;
}

static void free_stage(struct stage *base)
{
    struct docker_stage *s = (struct docker_stage *)base;
    fudge_deinit(&s->fudge);
    mem_free(s);
}

const struct stage_ops stage_ops_docker = {.name = "docker",
                                           .takes_any = true,
                                           .compile = compile,
                                           .process = process,
                                           .free = free_stage};
