/* eventlogmessage: `Key: value` lines of a Windows event's message become extracted values. */
#include "base/mem.h"
#include "base/utf8.h"
#include "promtail/stages/all.h"

struct message_stage {
    struct stage base;
    str source;
    bool drop_invalid_labels, overwrite_existing;
};

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    (void)b;
    struct message_stage read = {.source = STR("message")};
    int rc = stage_conf_str(config, "source", &read.source, NULL, err);
    if (rc == 0)
        rc = stage_conf_bool(config, "drop_invalid_labels", &read.drop_invalid_labels, err);
    if (rc == 0)
        rc = stage_conf_bool(config, "overwrite_existing", &read.overwrite_existing, err);
    if (rc != 0)
        return rc;
    if (!label_name_is_valid(read.source))
        return error_set(err, E_PARSE, "invalid label name: %.*s", STR_ARG(read.source));
    struct message_stage *s = mem_alloc(sizeof *s);
    *s = read;
    *ret = &s->base;
    return 0;
}

static bool is_name_char(uint32_t rune, bool is_first)
{
    return (rune >= 'a' && rune <= 'z') || (rune >= 'A' && rune <= 'Z') || rune == '_' ||
           (rune >= '0' && rune <= '9' && !is_first);
}

/* Each character that may not stand in a label name becomes one '_'. */
static str sanitize(str key, struct arena *a)
{
    if (key.len == 0)
        return STR("_");
    char *out = arena_alloc(a, key.len);
    size_t n = 0;
    uint32_t rune;
    for (str rest = key; rest.len > 0; n++) {
        size_t width = utf8_decode(rest, &rune);
        out[n] = is_name_char(rune, n == 0) ? (char)rune : '_';
        rest = str_from(rest, width);
    }
    return str_make(out, n);
}

static void take_line(const struct message_stage *s, struct record *r, str line)
{
    size_t colon = str_find_char(line, ':');
    if (colon == STR_NPOS)
        return;
    str key = str_sub(line, 0, colon), value = utf8_trim_space(str_from(line, colon + 1));
    if (!label_name_is_valid(key)) {
        if (s->drop_invalid_labels)
            return;
        key = sanitize(key, r->arena);
    }
    if (!s->overwrite_existing && extracted_get(r, key) != NULL)
        key = arena_printf(r->arena, "%.*s_extracted", STR_ARG(key));
    if (str_is_utf8(value))
        extracted_set(r, key, VALUE_S(value));
}

/* A null source ends the record, uncounted, as in Promtail. */
static bool process(struct stage *base, struct record *r)
{
    struct message_stage *s = (struct message_stage *)base;
    const struct value *v = extracted_get(r, s->source);
    str rest;
    if (v == NULL)
        return true;
    if (!value_text(v, r->arena, &rest))
        return false;
    for (;;) {
        size_t end = str_find(rest, STR("\r\n"));
        take_line(s, r, end == STR_NPOS ? rest : str_sub(rest, 0, end));
        if (end == STR_NPOS)
            return true;
        rest = str_from(rest, end + 2);
    }
}

const struct stage_ops stage_ops_eventlogmessage = {
    .name = "eventlogmessage", .compile = compile, .process = process};
