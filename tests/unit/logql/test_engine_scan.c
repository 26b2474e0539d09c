#include <criterion/criterion.h>
#include <stdio.h>

#include "base/mem.h"
#include "logql/engine/scan.h"
#include "tests/support/fake_source.h"

static struct arena arena;

static void set_up(void)
{
    arena_init(&arena, SIZE_MAX);
}

static void tear_down(void)
{
    arena_deinit(&arena);
}

TestSuite(logql_engine_scan, .init = set_up, .fini = tear_down);

/* 300 entries of two streams, three at a time. */
static struct fake_source *filled(enum fake_layout layout, size_t block_entries)
{
    struct fake_source_params p = {.layout = layout, .block_entries = block_entries};
    struct fake_source *f = fake_source_new(&p);
    for (int i = 0; i < 300; i++) {
        char line[32];
        snprintf(line, sizeof line, "line %d", i);
        fake_source_add(f, i % 2 ? "{a=\"x\"}" : "{a=\"y\"}", i / 3, line, "{\"n\":\"1\"}");
    }
    return f;
}

static struct scan opened(struct fake_source **f, size_t n, int64_t from, int64_t to)
{
    struct query_source *sources[4];
    for (size_t i = 0; i < n; i++)
        sources[i] = fake_source_query_source(f[i]);
    struct matcher *m = ARENA_NEW(&arena, struct matcher);
    cr_assert_eq(matcher_init(m, &arena, STR("a"), MATCH_NE, STR(""), NULL), 0);
    const struct matcher *ms[] = {m};
    struct scan_params p = {.matchers = ms,
                            .n_matchers = 1,
                            .from_ns = from,
                            .to_ns = to,
                            .sources = sources,
                            .n_sources = n};
    struct scan s;
    cr_assert_eq(scan_open(&s, &p, &arena, NULL), 0);
    return s;
}

/* Reads all units; checks order and returns how many entries there were. */
static size_t read_all(const struct scan *s, unsigned columns, struct engine_stats *stats)
{
    struct unit_reader r;
    unit_reader_init(&r, s, stats);
    size_t n = 0;
    for (size_t i = 0; i < s->n_units; i++) {
        const struct block_view *v;
        uint32_t from, to;
        int rc;
        int64_t last = INT64_MIN;
        unit_reader_open(&r, &s->units[i], columns, false);
        while ((rc = unit_reader_next(&r, &v, &from, &to)) > 0)
            for (uint32_t j = from; j < to; j++, n++) {
                cr_assert_geq(v->ts_ns[j], last);
                cr_assert_geq(v->ts_ns[j], s->from_ns);
                cr_assert_lt(v->ts_ns[j], s->to_ns);
                last = v->ts_ns[j];
                if (columns & BLOCK_META)
                    cr_assert_eq(block_meta(v, j)->n, 1);
                if (columns & BLOCK_LINES)
                    cr_assert(str_has_prefix(block_line(v, j), STR("line ")));
            }
        cr_assert_eq(rc, 0);
    }
    unit_reader_deinit(&r);
    return n;
}

Test(logql_engine_scan, blocks_that_follow_each_other_are_units_of_their_own)
{
    struct fake_source *f = filled(FAKE_PLAIN, 10);
    struct scan s = opened(&f, 1, 0, 1000);
    struct engine_stats stats = {0};
    cr_assert_eq(s.n_streams, 2);
    cr_assert_eq(s.n_units, s.totals.blocks);
    cr_assert_eq(s.totals.entries, 300);
    cr_assert_eq(read_all(&s, BLOCK_ALL, &stats), 300);
    cr_assert_eq(stats.blocks_read, s.totals.blocks);
    scan_close(&s);
    fake_source_free(f);
}

Test(logql_engine_scan, entries_outside_of_the_time_range_are_clipped)
{
    struct fake_source *f = filled(FAKE_PLAIN, 7);
    struct scan s = opened(&f, 1, 10, 20);
    struct engine_stats stats = {0};
    cr_assert_eq(read_all(&s, BLOCK_TIMES, &stats), 30);
    cr_assert_lt(stats.lines_processed, 60);
    scan_close(&s);
    fake_source_free(f);
}

Test(logql_engine_scan, overlapping_blocks_are_merged_and_equal_entries_come_once)
{
    struct fake_source *f = filled(FAKE_OVERLAP, 10);
    struct scan s = opened(&f, 1, 0, 1000);
    struct engine_stats stats = {0};
    cr_assert_lt(s.n_units, s.totals.blocks);
    cr_assert_eq(read_all(&s, BLOCK_ALL, &stats), 300);
    cr_assert_gt(stats.duplicates, 0);
    scan_close(&s);
    fake_source_free(f);
}

Test(logql_engine_scan, blocks_that_overlap_a_little_stay_units_and_leave_out_what_is_there)
{
    struct fake_source *f = filled(FAKE_LATE, 25);
    struct scan s = opened(&f, 1, 0, 1000);
    struct engine_stats stats = {0};
    cr_assert_eq(s.n_units, s.totals.blocks);
    cr_assert_gt(s.totals.entries, 300);
    cr_assert_eq(read_all(&s, BLOCK_TIMES, &stats), 300);
    cr_assert_eq(stats.duplicates, s.totals.entries - 300);
    scan_close(&s);
    fake_source_free(f);
}

Test(logql_engine_scan, replicas_in_two_sources_count_once)
{
    struct fake_source *f[2] = {filled(FAKE_PLAIN, 10), filled(FAKE_REPLICAS, 13)};
    struct scan s = opened(f, 2, 0, 1000);
    struct engine_stats stats = {0};
    cr_assert_eq(s.n_streams, 2);
    cr_assert_eq(read_all(&s, BLOCK_TIMES | BLOCK_META, &stats), 300);
    scan_close(&s);
    fake_source_free(f[0]);
    fake_source_free(f[1]);
}

Test(logql_engine_scan, the_same_block_in_two_sources_is_read_once)
{
    struct fake_source *f = filled(FAKE_PLAIN, 10);
    struct fake_source *twice[2] = {f, f};
    struct scan s = opened(twice, 2, 0, 1000);
    struct engine_stats stats = {0};
    cr_assert_eq(s.totals.entries, 300);
    cr_assert_eq(s.n_units, s.totals.blocks);
    cr_assert_eq(read_all(&s, BLOCK_LINES, &stats), 300);
    scan_close(&s);
    fake_source_free(f);
}

Test(logql_engine_scan, different_lines_of_one_time_all_stay_when_merged)
{
    struct fake_source_params p = {.layout = FAKE_REPLICAS, .block_entries = 4};
    struct fake_source *f = fake_source_new(&p);
    for (int i = 0; i < 400; i++) {
        char line[32];
        snprintf(line, sizeof line, "line %d", i);
        fake_source_add(f, "{a=\"x\"}", 5, line, NULL);
    }
    struct scan s = opened(&f, 1, 0, 10);
    struct engine_stats stats = {0};
    cr_assert_eq(read_all(&s, BLOCK_LINES, &stats), 400);
    cr_assert_eq(stats.duplicates, 400);
    scan_close(&s);
    fake_source_free(f);
}

Test(logql_engine_scan, a_corrupt_block_is_left_out_and_counted)
{
    struct fake_source_params p = {.block_entries = 10, .reads_fail_at = 2};
    struct fake_source *f = fake_source_new(&p);
    for (int i = 0; i < 30; i++)
        fake_source_add(f, "{a=\"x\"}", i, "line ", "{\"n\":\"1\"}");
    struct scan s = opened(&f, 1, 0, 1000);
    struct engine_stats stats = {0};
    cr_assert_eq(read_all(&s, BLOCK_LINES, &stats), 20);
    cr_assert_eq(stats.blocks_corrupt, 1);
    scan_close(&s);
    fake_source_free(f);
}
