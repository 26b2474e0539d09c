#include <criterion/criterion.h>

#include "base/mem.h"
#include "distributor/rate.h"
#include "distributor/ring.h"
#include "distributor/sources.h"
#include "distributor/spread.h"

static void add(struct ring *r, const char *id, struct push_sink *sink)
{
    struct ring_instance i = {str_c(id), STR("host:1"), STR_EMPTY, RING_ACTIVE, 0, sink};
    cr_assert_geq(ring_add(r, &i), 0);
}

Test(distributor_ring, spreads_keys_over_active_instances)
{
    struct ring *r = ring_new();
    unsigned out[RING_REPLICAS_MAX];
    cr_expect_eq(ring_replicas(r, 1, 3, out), 0);
    add(r, "a", NULL);
    add(r, "b", NULL);
    add(r, "c", NULL);
    cr_expect_eq(
        ring_add(r, &(struct ring_instance){.id = STR("a"), .addr = STR(""), .zone = STR("")}),
        E_EXISTS);
    unsigned hits[3] = {0};
    for (uint64_t i = 0; i < 3000; i++) {
        size_t n = ring_replicas(r, ring_key(STR("t"), i * 0x9e3779b97f4a7c15), 2, out);
        cr_assert_eq(n, 2);
        cr_assert_neq(out[0], out[1]);
        hits[out[0]]++;
    }
    for (int i = 0; i < 3; i++)
        cr_expect_gt(hits[i], 500, "instance %d owns too little: %u", i, hits[i]);
    ring_set_state(r, STR("b"), RING_LEAVING);
    for (uint32_t key = 0; key < 1000; key++) {
        cr_assert_eq(ring_replicas(r, key * 4000000, 3, out), 2);
        cr_assert(out[0] != 1 && out[1] != 1);
    }
    ring_free(r);
}

Test(distributor_ring, prints_its_pages)
{
    struct ring *r = ring_new();
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    add(r, "<a>", NULL);
    ring_print_json(r, 0, &b);
    cr_expect_str_eq(
        buf_c(&b), "{\"shards\":[{\"id\":\"\\u003ca\\u003e\",\"state\":\"ACTIVE\",\"address\":"
                   "\"host:1\",\"timestamp\":\"1970-01-01T00:00:00Z\",\"zone\":\"\",\"tokens\":128,"
                   "\"ownership\":1}]}");
    buf_reset(&b);
    ring_print_html(r, 0, &b);
    cr_expect(str_contains(buf_str(&b), STR("&#60;a&#62;")));
    buf_deinit(&b);
    ring_free(r);
}

/* --- spread --- */

struct fake_sink {
    struct push_sink base;
    int code;
    bool hold;
    push_done *done;
    void *arg;
    size_t streams;
};

static void fake_push(struct push_sink *sink, const struct push_batch *batch, push_done *done,
                      void *arg)
{
    struct fake_sink *f = (struct fake_sink *)sink;
    f->streams += batch->n_streams;
    if (f->hold) {
        f->done = done;
        f->arg = arg;
    } else {
        done(arg, f->code, NULL);
    }
}

static const struct push_sink_ops fake_ops = {fake_push};

struct outcome {
    int answers, releases, code;
};

static void on_answer(void *arg, int code, const struct error *err)
{
    struct outcome *o = arg;
    (void)err;
    o->answers++;
    o->code = code;
    cr_assert_eq(o->releases, 0);
}

static void on_release(void *arg)
{
    struct outcome *o = arg;
    cr_assert_eq(o->answers, 1);
    o->releases++;
}

static const struct spread_ops ops = {on_answer, on_release};

static struct outcome run(struct fake_sink *sinks, size_t n, unsigned rf, struct arena *a)
{
    static struct push_stream streams[50];
    static struct outcome o;
    struct ring *r = ring_new();
    o = (struct outcome){0};
    for (size_t i = 0; i < n; i++) {
        sinks[i].base.ops = &fake_ops;
        char id[2] = {(char)('a' + i), '\0'};
        add(r, id, &sinks[i].base);
    }
    for (size_t i = 0; i < 50; i++)
        streams[i] = (struct push_stream){.hash = i * 0x9e3779b97f4a7c15};
    struct push_batch *batch = ARENA_NEW(a, struct push_batch);
    *batch = (struct push_batch){.tenant = STR("t"), .streams = streams, .n_streams = 50};
    spread_push(r, rf, batch, a, &ops, &o);
    struct outcome now = o;
    for (size_t i = 0; i < n; i++)
        if (sinks[i].done != NULL)
            sinks[i].done(sinks[i].arg, sinks[i].code, NULL);
    cr_expect_eq(o.releases, 1);
    cr_expect_eq(o.answers, 1);
    ring_free(r);
    return now;
}

Test(distributor_spread, needs_a_quorum)
{
    struct arena a;
    arena_init(&a, BUF_NO_LIMIT);
    struct fake_sink one[1] = {{.code = 0}};
    cr_expect_eq(run(one, 1, 3, &a).code, 0);
    struct fake_sink good[3] = {{.code = 0}, {.code = 0}, {.code = 0}};
    cr_expect_eq(run(good, 3, 3, &a).code, 0);
    cr_expect_eq(good[0].streams + good[1].streams + good[2].streams, 150);
    struct fake_sink lame[3] = {{.code = 0}, {.code = E_UNAVAILABLE}, {.code = 0}};
    cr_expect_eq(run(lame, 3, 3, &a).code, 0);
    struct fake_sink dead[3] = {{.code = E_UNAVAILABLE}, {.code = E_UNAVAILABLE}, {.code = 0}};
    cr_expect_eq(run(dead, 3, 3, &a).code, E_UNAVAILABLE);
    struct fake_sink no[3] = {{.code = E_LIMIT}, {.code = E_LIMIT}, {.code = E_LIMIT}};
    cr_expect_eq(run(no, 3, 3, &a).code, E_LIMIT);
    struct fake_sink slow[3] = {{.code = 0}, {.hold = true}, {.code = 0}};
    struct outcome o = run(slow, 3, 3, &a);
    cr_expect_eq(o.answers, 1, "answers before the slow one");
    cr_expect_eq(o.releases, 0, "keeps the batch for the slow one");
    struct fake_sink two[2] = {{.code = 0}, {.code = 0}};
    cr_expect_eq(run(two, 2, 5, &a).code, E_UNAVAILABLE);
    arena_deinit(&a);
}

/* --- sources and rates --- */

Test(distributor_sources, drops_what_is_stored_and_counts_gaps)
{
    struct source_table *t = source_table_new(10);
    uint64_t gap;
    cr_expect_eq(source_begin(t, STR("t"), STR("a"), 5, &gap), SOURCE_NEW);
    cr_expect_eq(gap, 0, "the first number is where counting starts");
    cr_expect_eq(source_begin(t, STR("t"), STR("a"), 5, &gap), SOURCE_BUSY);
    source_done(t, STR("t"), STR("a"), 5, false);
    cr_expect_eq(source_begin(t, STR("t"), STR("a"), 5, &gap), SOURCE_NEW, "a failed one may come");
    source_done(t, STR("t"), STR("a"), 5, true);
    cr_expect_eq(source_begin(t, STR("t"), STR("a"), 5, &gap), SOURCE_DUPLICATE);
    cr_expect_eq(source_begin(t, STR("u"), STR("a"), 5, &gap), SOURCE_NEW, "another tenant");
    cr_expect_eq(source_begin(t, STR("t"), STR("a"), 9, &gap), SOURCE_NEW);
    cr_expect_eq(gap, 3);
    source_done(t, STR("t"), STR("a"), 9, true);
    cr_expect_eq(source_begin(t, STR("t"), STR("a"), 7, &gap), SOURCE_NEW, "late, but wanted");
    source_done(t, STR("t"), STR("a"), 7, true);
    cr_expect_eq(source_begin(t, STR("t"), STR("a"), 1000, &gap), SOURCE_NEW);
    cr_expect_eq(source_begin(t, STR("t"), STR("a"), 9, &gap), SOURCE_DUPLICATE, "too far back");
    source_table_free(t);
}

Test(distributor_rate, is_a_token_bucket)
{
    struct rate_table *t = rate_table_new();
    int64_t s = INT64_C(1000000000);
    cr_expect(rate_allow(t, STR("a"), 10, 20, 20, 0));
    cr_expect_not(rate_allow(t, STR("a"), 10, 20, 1, 0));
    cr_expect(rate_allow(t, STR("b"), 10, 20, 20, 0));
    cr_expect(rate_allow(t, STR("a"), 10, 20, 10, s));
    cr_expect_not(rate_allow(t, STR("a"), 10, 20, 21, 100 * s), "more than the burst never passes");
    cr_expect(rate_allow(t, STR("a"), 10, 20, 20, 100 * s));
    rate_table_free(t);
}
