/* drop: ends records that meet all of its conditions: value or expression of sources or of the
 * line, age, length. */
#include "base/bytesize.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/gotext.h"
#include "base/mem.h"
#include "promtail/pipeline.h"
#include "promtail/stages/all.h"

struct drop_stage {
    struct stage base;
    str reason;
    str *sources; /* NULL: none given, the regex looks at the line */
    size_t n_sources;
    str separator;
    bool has_value;
    str value;        /* the joined sources must equal it */
    struct regex *re; /* NULL: none */
    bool has_older_than, has_longer_than;
    int64_t older_than_ns;
    uint64_t longer_than_bytes;
};

/* What the YAML says, before it is checked. */
struct drop_conf {
    str reason, separator, expression, value, older_than, longer_than;
    bool has_expression, has_value, has_older_than, has_longer_than;
};

/* One string, or a list of them. */
static int read_sources(struct drop_stage *s, const struct yaml_node *source, struct arena *a)
{
    if (source == NULL || source->kind != YAML_SCALAR || yaml_is_null(source))
        return stage_conf_node_strs(source, "source", a, &s->sources, &s->n_sources, NULL);
    s->sources = ARENA_ARRAY(a, str, 1);
    s->n_sources = 1;
    return stage_conf_node_str(source, "source", &s->sources[0], NULL);
}

static int read_conf(struct drop_stage *s, struct drop_conf *c, const struct yaml_node *config,
                     struct arena *a, struct error *err)
{
    *c = (struct drop_conf){.reason = STR_EMPTY, .separator = STR(";")};
    int rc = read_sources(s, stage_conf_get(config, "source"), a);
    if (rc != 0)
        return error_set(err, rc,
                         "drop stage source invalid type should be string or list of strings");
    rc = stage_weak_str(config, "drop_counter_reason", a, &c->reason, NULL, err);
    if (rc == 0)
        rc = stage_weak_str(config, "separator", a, &c->separator, NULL, err);
    if (rc == 0)
        rc = stage_weak_str(config, "value", a, &c->value, &c->has_value, err);
    if (rc == 0)
        rc = stage_weak_str(config, "expression", a, &c->expression, &c->has_expression, err);
    if (rc == 0)
        rc = stage_weak_str(config, "older_than", a, &c->older_than, &c->has_older_than, err);
    if (rc == 0)
        rc = stage_weak_str(config, "longer_than", a, &c->longer_than, &c->has_longer_than, err);
    return rc;
}

static int check_conf(struct drop_stage *s, const struct drop_conf *c, struct error *err)
{
    struct error why = {0};
    if (s->sources == NULL && !c->has_expression && !c->has_older_than && !c->has_longer_than)
        return error_set(err, E_PARSE,
                         "drop stage config must contain at least one of `source`, `expression`, "
                         "`older_than` or `longer_than`");
    if (c->has_older_than && duration_parse_go(c->older_than, &s->older_than_ns, &why) != 0)
        return error_set(err, E_PARSE,
                         "drop stage invalid duration, %.*s cannot be converted to a duration: %s",
                         STR_ARG(c->older_than), why.text);
    if (c->has_value && s->sources == NULL)
        return error_set(err, E_PARSE,
                         "drop stage config must contain `source` if `value` is specified");
    if (c->has_value && c->has_expression)
        return error_set(err, E_PARSE,
                         "drop stage config error, `value` and `expression` cannot both be defined "
                         "at the same time.");
    if (c->has_expression && regex_compile(c->expression, 0, &s->re, &why) != 0)
        return error_set(err, E_PARSE, "drop stage regex compilation error: %s", why.text);
    if (c->has_longer_than &&
        bytesize_parse_setting(c->longer_than, &s->longer_than_bytes, &why) != 0)
        return error_set(err, E_PARSE, "drop stage failed to parse longer_than to bytes: %s",
                         why.text);
    s->reason = c->reason.len > 0 ? c->reason : STR("drop_stage");
    s->separator = c->separator;
    s->has_value = c->has_value;
    s->value = c->value;
    s->has_older_than = c->has_older_than;
    s->has_longer_than = c->has_longer_than;
    return 0;
}

static void free_stage(struct stage *base)
{
    regex_free(((struct drop_stage *)base)->re);
    mem_free(base);
}

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    struct drop_stage *s = mem_zalloc(sizeof *s);
    struct drop_conf conf;
    int rc = read_conf(s, &conf, config, b->arena, err);
    if (rc == 0)
        rc = check_conf(s, &conf, err);
    if (rc != 0)
        free_stage(&s->base);
    else
        *ret = &s->base;
    return rc;
}

static bool has_all_sources(const struct drop_stage *s, const struct record *r)
{
    for (size_t i = 0; i < s->n_sources; i++)
        if (extracted_get(r, s->sources[i]) == NULL)
            return false;
    return true;
}

/* The sources that are there, joined; false if one is null. */
static bool join_sources(const struct drop_stage *s, struct record *r, str *ret)
{
    str text = STR_EMPTY;
    bool is_first = true;
    for (size_t i = 0; i < s->n_sources; i++) {
        const struct value *v = extracted_get(r, s->sources[i]);
        str one;
        if (v == NULL)
            continue;
        if (!value_text(v, r->arena, &one))
            return false;
        text = is_first ? one
                        : arena_printf(r->arena, "%.*s%.*s%.*s", STR_ARG(text),
                                       STR_ARG(s->separator), STR_ARG(one));
        is_first = false;
    }
    *ret = text;
    return true;
}

static bool is_to_drop(const struct drop_stage *s, struct record *r)
{
    if (s->has_longer_than && r->line.len <= s->longer_than_bytes)
        return false;
    if (s->has_older_than && r->ts_ns >= clock_now_ns() - s->older_than_ns)
        return false;
    if (s->re == NULL && !s->has_value)
        return s->sources == NULL || has_all_sources(s, r);
    str text = r->line;
    if (s->sources != NULL && !join_sources(s, r, &text))
        return false;
    return s->has_value ? str_eq(text, s->value) : gotext_is_match(s->re, text);
}

static bool process(struct stage *base, struct record *r)
{
    struct drop_stage *s = (struct drop_stage *)base;
    if (!is_to_drop(s, r))
        return true;
    job_pipeline_count_drop(s->reason);
    return false;
}

const struct stage_ops stage_ops_drop = {
    .name = "drop", .compile = compile, .process = process, .free = free_stage};
