/* What -inspect tells about a stage. */
#include "promtail/stages/inspect.h"
#include "tests/unit/promtail/pipe.h"

struct pair {
    struct arena arena;
    struct record before, after;
};

static void pair_open(struct pair *p)
{
    struct label_list labels = {0};
    arena_init(&p->arena, SIZE_MAX);
    label_list_set(&labels, &p->arena, STR("job"), STR("test"));
    label_list_set(&labels, &p->arena, STR("app"), STR("a"));
    record_init(&p->before, &p->arena, &labels);
    p->before.line = STR("level=info");
    extracted_set(&p->before, STR("level"), VALUE_S(STR("info")));
    extracted_set(&p->before, STR("gone"), VALUE_N(1e6));
    extracted_set(&p->before, STR("n"), VALUE_N(5));
    record_copy(&p->after, &p->arena, &p->before);
}

static void check(struct pair *p, const char *want)
{
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    inspect_changes(&p->before, &p->after, &out);
    cr_expect(strcmp(buf_c(&out), want) == 0, "%s\nwants %s", buf_c(&out), want);
    buf_deinit(&out);
    arena_deinit(&p->arena);
}

Test(promtail_inspect, says_nothing_of_what_stays)
{
    struct pair p;
    pair_open(&p);
    check(&p, "");
}

Test(promtail_inspect, tells_values_in_the_order_of_their_names)
{
    struct pair p;
    pair_open(&p);
    extracted_set(&p.after, STR("level"), VALUE_S(STR("warn")));
    extracted_set(&p.after, STR("n"), VALUE_S(STR("5"))); /* prints as before */
    extracted_set(&p.after, STR("b"), VALUE_NIL);
    extracted_remove(&p.after, STR("gone"));
    check(&p, "\n{stages.Entry}.Extracted[\"b\"]:\n\t+: <nil>"
              "\n{stages.Entry}.Extracted[\"gone\"]:\n\t-: 1e+06"
              "\n{stages.Entry}.Extracted[\"level\"].(string):\n\t-: info\n\t+: warn");
}

Test(promtail_inspect, tells_labels_time_line_and_metadata)
{
    struct pair p;
    pair_open(&p);
    label_list_remove(&p.after.labels, STR("job"));
    label_list_set(&p.after.labels, &p.arena, STR("app"), STR("b"));
    label_list_set(&p.after.labels, &p.arena, STR("env"), STR(""));
    p.after.ts_ns = 1500000000;
    p.after.ts_offset_s = 7200;
    p.after.line = STR("x");
    label_list_add(&p.after.meta, &p.arena, STR("id"), STR("1"));
    check(&p, "\n{stages.Entry}.Entry.Labels:\n\t-: {app=\"a\", job=\"test\"}"
              "\n\t+: {app=\"b\", env=\"\"}"
              "\n{stages.Entry}.Entry.Entry.Timestamp:\n\t-: 1970-01-01 00:00:00 +0000 UTC"
              "\n\t+: 1970-01-01 02:00:01.5 +0200 +0200"
              "\n{stages.Entry}.Entry.Entry.Line:\n\t-: level=info\n\t+: x"
              "\n{stages.Entry}.Entry.Entry.StructuredMetadata:\n\t-: []\n\t+: [{id 1}]");
}
