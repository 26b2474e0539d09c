#include "tests/unit/ingester/fixture.h"

#include <stdatomic.h>
#include <unistd.h>

static struct fixture f;

static void init(void)
{
    fixture_init(&f);
}

static void fini(void)
{
    fixture_deinit(&f);
}

TestSuite(ingester_push, .init = init, .fini = fini, .timeout = 120);
TestSuite(ingester_flush, .init = init, .fini = fini, .timeout = 120);
TestSuite(ingester_source, .init = init, .fini = fini, .timeout = 120);

#define A   "{app=\"a\"}"
#define B   "{app=\"b\", env=\"x\"}"
#define DAY TABLE_PERIOD_NS

Test(ingester_push, an_entry_is_there_at_once_and_after_a_restart)
{
    fixture_open(&f);
    cr_assert_eq(push_line(&f, A, 1000, "one"), 0);
    cr_assert_eq(push_line(&f, B, 2000, "two"), 0);
    for (int round = 0; round < 3; round++) {
        struct found found;
        found_init(&found);
        find_in_memory(&f, &found);
        cr_assert_eq(found.total, 2);
        cr_assert_eq(found_count(&found, A, 1000, "one"), 1);
        cr_assert_eq(found_count(&found, B, 2000, "two"), 1);
        found_deinit(&found);
        fixture_reopen(&f);
    }
    fixture_close(&f);
}

Test(ingester_push, the_raw_body_is_kept_and_comes_back)
{
    /* Lines that lie in the "decoded body", some of it left out, one empty. */
    static const char plain[] = "....first line....second line....third....";
    const struct entry entries[] = {
        {30, str_make(plain + 18, 11), LABELS_EMPTY},
        {10, str_make(plain + 4, 10), LABELS_EMPTY},
        {20, STR(""), LABELS_EMPTY},
    };
    /* A snappy block of literals: length, then a tag of one literal of that length. */
    char raw[64] = {sizeof plain - 1, (sizeof plain - 2) << 2};
    memcpy(raw + 2, plain, sizeof plain - 1);
    struct push_stream s = {.entries = entries, .n_entries = 3};
    cr_assert_eq(labels_parse(STR(A), &f.arena, &s.labels, NULL), 0);
    s.hash = labels_hash(&s.labels);
    struct push_batch batch = {.tenant = STR("fake"),
                               .streams = &s,
                               .n_streams = 1,
                               .raw = str_make(raw, sizeof plain + 1),
                               .raw_encoding = PUSH_SNAPPY_PROTO,
                               .plain = STR_EMPTY};
    batch.plain = str_make(plain, sizeof plain - 1);
    fixture_open(&f);
    cr_assert_eq(push_batch_and_wait(&f, &batch).code, 0);
    fixture_reopen(&f);
    struct found found;
    found_init(&found);
    find_in_memory(&f, &found);
    cr_assert_eq(found.total, 3);
    cr_assert_eq(found_count(&found, A, 10, "first line"), 1);
    cr_assert_eq(found_count(&found, A, 20, ""), 1);
    cr_assert_eq(found_count(&found, A, 30, "second line"), 1);
    found_deinit(&found);
    fixture_close(&f);
}

Test(ingester_push, a_repeated_push_is_stored_once)
{
    fixture_open(&f);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(push_line(&f, A, 5, "x"), 0);
        cr_assert_eq(push_line(&f, A, 4, "x"), 0);
        cr_assert_eq(push_line(&f, A, 5, "y"), 0);
    }
    struct found found;
    found_init(&found);
    find_in_memory(&f, &found);
    cr_assert_eq(found.total, 3);
    found_deinit(&found);
    fixture_close(&f);
}

Test(ingester_push, entries_of_any_age_are_taken_unless_a_window_is_set)
{
    fixture_open(&f);
    cr_assert_eq(push_line(&f, A, 100 * DAY, "new"), 0);
    cr_assert_eq(push_line(&f, A, 1, "old"), 0);
    f.limits.out_of_order_window_ns = NS_PER_S * 3600;
    struct entry e[] = {{100 * DAY - 3600 * NS_PER_S, STR("just right"), LABELS_EMPTY},
                        {99 * DAY + NS_PER_S, STR("too late"), LABELS_EMPTY}};
    struct answer a = push_stream(&f, A, e, 2);
    cr_assert_eq(a.code, E_TOO_OLD);
    cr_assert_eq(a.http, 400);
    cr_assert_str_eq(a.text,
                     "entry with timestamp 1970-04-10 00:00:01 +0000 UTC ignored, reason: 'entry "
                     "too far behind, entry timestamp is: 1970-04-10T00:00:01Z, oldest acceptable "
                     "timestamp is: 1970-04-10T23:00:00Z',\nuser 'fake', total ignored: 1 out of "
                     "2 for stream: {app=\"a\"}");
    struct found found;
    found_init(&found);
    find_in_memory(&f, &found);
    cr_assert_eq(found.total, 3);
    found_deinit(&found);
    fixture_close(&f);
}

Test(ingester_push, refuses_streams_and_rates_over_the_limit_in_lokis_words)
{
    f.limits.max_global_streams_per_user = 1;
    f.limits.per_stream_rate_limit_bytes = 3 << 20;
    f.limits.per_stream_rate_limit_burst_bytes = 10;
    fixture_open(&f);
    cr_assert_eq(push_line(&f, A, 1, "12345678"), 0);
    struct entry e = {2, STR("123456789"), LABELS_EMPTY};
    struct answer a = push_stream(&f, B, &e, 1);
    cr_assert_eq(a.code, E_RATE_LIMITED);
    cr_assert_eq(a.http, 429);
    cr_assert_str_eq(
        a.text, "Maximum active stream limit exceeded when trying to create stream {app=\"b\", "
                "env=\"x\"}, reduce the number of active streams (reduce labels or reduce "
                "label values), or contact your Loki administrator to see if the limit can "
                "be increased, user: 'fake'");
    struct entry long_one = {3, STR("longer than the burst"), LABELS_EMPTY};
    a = push_stream(&f, A, &long_one, 1);
    cr_assert_eq(a.http, 429);
    cr_assert_not_null(strstr(a.text,
                              "Per stream rate limit exceeded (limit: 3MB/sec) while "
                              "attempting to ingest for stream '{app=\"a\"}' totaling 21B"));
    fixture_close(&f);
}

static int push_numbered(const char *source, uint64_t seq, size_t n_streams, int64_t ts_ns)
{
    const struct entry e = {ts_ns, STR("line"), LABELS_EMPTY};
    struct push_stream s[] = {{.entries = &e, .n_entries = 1}, {.entries = &e, .n_entries = 1}};
    cr_assert_eq(labels_parse(STR(A), &f.arena, &s[0].labels, NULL), 0);
    cr_assert_eq(labels_parse(STR(B), &f.arena, &s[1].labels, NULL), 0);
    for (size_t i = 0; i < n_streams; i++)
        s[i].hash = labels_hash(&s[i].labels);
    struct push_batch batch = {.tenant = STR("fake"),
                               .streams = s,
                               .n_streams = n_streams,
                               .source_id = str_c(source),
                               .source_seq = seq};
    return push_batch_and_wait(&f, &batch).http;
}

Test(ingester_push, numbers_of_pushes_come_back_unless_they_are_to_come_again)
{
    f.limits.max_global_streams_per_user = 1;
    fixture_open(&f);
    cr_assert_eq(push_numbered("h-1", 7, 1, 1), 0);
    cr_assert_eq(push_numbered("h-1", 8, 2, 2), 429, "one of two streams is stored");
    cr_assert_eq(push_numbered("", 0, 1, 3), 0);
    cr_assert_eq(push_numbered("h-2", UINT64_MAX, 1, 4), 0);
    cr_assert_eq(f.numbered.len, 0);
    for (int round = 0; round < 2; round++) {
        fixture_reopen(&f);
        cr_assert_str_eq(buf_c(&f.numbered), "h-1 7;h-2 18446744073709551615;");
        struct found found;
        found_init(&found);
        find_in_memory(&f, &found);
        cr_assert_eq(found.total, 4);
        found_deinit(&found);
    }
    fixture_close(&f);
}

Test(ingester_flush, chunks_lie_in_the_tables_of_their_days)
{
    fixture_open(&f);
    struct entry e[] = {{3 * DAY - 1, STR("before midnight"), LABELS_EMPTY},
                        {3 * DAY, STR("at midnight"), LABELS_EMPTY},
                        {DAY / 2, STR("long ago"), LABELS_EMPTY}};
    cr_assert_eq(push_stream(&f, A, e, 3).code, 0);
    cr_assert_eq(ingester_flush_all(f.ing), 0);
    cr_assert_eq(push_line(&f, A, 3 * DAY + 1, "later"), 0);
    struct found memory, store;
    found_init(&memory);
    found_init(&store);
    find_in_memory(&f, &memory);
    find_in_store(&f, &store);
    cr_assert_eq(memory.total, 1);
    cr_assert_eq(store.total, 3);
    cr_assert_eq(found_count(&store, A, 3 * DAY, "at midnight"), 1);
    const int64_t *days;
    size_t n;
    cr_assert_eq(store_days(f.store, INT64_MIN, INT64_MAX, &f.arena, &days, &n), 0);
    cr_assert_eq(n, 3);
    found_deinit(&memory);
    found_deinit(&store);
    fixture_close(&f);
}

Test(ingester_flush, what_is_in_the_store_does_not_come_back_from_the_log)
{
    fixture_open(&f);
    cr_assert_eq(push_line(&f, A, 1, "flushed"), 0);
    cr_assert_eq(ingester_flush_all(f.ing), 0);
    cr_assert_eq(push_line(&f, A, 2, "not yet"), 0);
    cr_assert_eq(push_line(&f, B, 3, "nor this"), 0);
    fixture_reopen(&f);
    struct found memory, store;
    found_init(&memory);
    found_init(&store);
    find_in_memory(&f, &memory);
    find_in_store(&f, &store);
    cr_assert_eq(memory.total, 2);
    cr_assert_eq(store.total, 1);
    found_deinit(&memory);
    found_deinit(&store);
    fixture_close(&f);
}

/* n streams of m lines each, in small blocks and chunks. */
static void push_many(int streams, int lines)
{
    for (int k = 0; k < lines; k += 10)
        for (int i = 0; i < streams; i++) {
            char labels[32], text[10][64];
            struct entry e[10];
            snprintf(labels, sizeof labels, "{app=\"%d\"}", i);
            for (int j = 0; j < 10; j++) {
                snprintf(text[j], sizeof text[j], "line %d of stream %d, some text", k + j, i);
                e[j] = (struct entry){(k + j) * NS_PER_S, str_c(text[j]), LABELS_EMPTY};
            }
            cr_assert_eq(push_stream(&f, labels, e, 10).code, 0);
        }
}

Test(ingester_flush, full_chunks_go_by_themselves_and_nothing_is_lost)
{
    f.config.chunk_block_bytes = 2048;
    f.config.chunk_target_bytes = 4096;
    f.config.flush_check_period_ns = 10 * NS_PER_MS;
    f.config.wal.segment_bytes = 16 << 10;
    fixture_open(&f);
    push_many(5, 3000);
    for (int round = 0; round < 2; round++) {
        struct found found;
        found_init(&found);
        find_in_memory(&f, &found); /* first: what leaves memory now is in the store */
        size_t in_memory = found.total;
        find_in_store(&f, &found);
        cr_assert_eq(found.map.len, 15000);
        cr_assert_leq(in_memory, 15000);
        found_deinit(&found);
        if (round == 0)
            fixture_reopen(&f);
    }
    cr_assert_eq(ingester_flush_all(f.ing), 0);
    struct found store;
    found_init(&store);
    find_in_store(&f, &store);
    cr_assert_eq(store.map.len, 15000);
    cr_assert_eq(store.total, 15000);
    cr_assert_leq(ingester_stats(f.ing).wal_bytes, 64 << 10); /* files were given back */
    found_deinit(&store);
    fixture_close(&f);
}

Test(ingester_flush, memory_stays_within_its_target)
{
    f.config.chunk_block_bytes = 2048;
    f.config.memory_target_bytes = 20000;
    fixture_open(&f);
    push_many(20, 1000);
    /* The flush thread is asleep or writing; give it the time it needs. */
    for (int i = 0; i < 1000 && ingester_stats(f.ing).chunk_bytes > 20000; i++)
        usleep(10000);
    cr_assert_leq(ingester_stats(f.ing).chunk_bytes, 20000);
    fixture_close(&f);
}

Test(ingester_flush, heads_of_many_streams_stay_within_their_target)
{
    f.config.head_memory_target_bytes = 300000;
    fixture_open(&f);
    push_many(100, 100); /* a head of some 7 KiB each */
    for (int i = 0; i < 1000 && ingester_stats(f.ing).head_bytes > 300000; i++)
        usleep(10000);
    cr_assert_leq(ingester_stats(f.ing).head_bytes, 300000);
    struct found found;
    found_init(&found);
    find_in_memory(&f, &found);
    cr_assert_eq(found.total, 10000);
    found_deinit(&found);
    fixture_close(&f);
}

Test(ingester_push, refuses_a_tenant_no_key_can_hold)
{
    fixture_open(&f);
    char tenant[200];
    memset(tenant, 't', sizeof tenant);
    struct push_batch batch = {.tenant = str_make(tenant, sizeof tenant)};
    cr_assert_eq(push_batch_and_wait(&f, &batch).code, E_INVALID);
    batch.tenant = STR("");
    cr_assert_eq(push_batch_and_wait(&f, &batch).code, E_INVALID);
    fixture_close(&f);
}

Test(ingester_flush, the_log_stays_within_its_size)
{
    f.config.wal.segment_bytes = 4096;
    f.config.wal.bytes_max = 64 << 10;
    f.config.flush_check_period_ns = 10 * NS_PER_MS;
    fixture_open(&f);
    push_many(20, 500);
    for (int i = 0; i < 1000 && ingester_stats(f.ing).wal_bytes > 64 << 10; i++)
        usleep(10000);
    cr_assert_leq(ingester_stats(f.ing).wal_bytes, 64 << 10);
    struct found found;
    found_init(&found);
    find_in_memory(&f, &found);
    find_in_store(&f, &found);
    cr_assert_eq(found.map.len, 10000);
    found_deinit(&found);
    fixture_close(&f);
}

Test(ingester_flush, idle_streams_are_flushed_and_forgotten)
{
    f.config.chunk_idle_period_ns = 20 * NS_PER_MS;
    f.config.flush_check_period_ns = 10 * NS_PER_MS;
    fixture_open(&f);
    cr_assert_eq(push_line(&f, A, 1, "x"), 0);
    for (int i = 0; i < 1000 && ingester_stats(f.ing).streams > 0; i++)
        usleep(10000);
    cr_assert_eq(ingester_stats(f.ing).streams, 0);
    cr_assert_eq(push_line(&f, A, 2, "y"), 0);
    struct found found;
    found_init(&found);
    find_in_memory(&f, &found);
    find_in_store(&f, &found);
    cr_assert_eq(found.map.len, 2);
    found_deinit(&found);
    fixture_close(&f);
}

Test(ingester_source, a_selection_outlives_a_flush)
{
    fixture_open(&f);
    cr_assert_eq(push_line(&f, A, 1, "in a chunk"), 0);
    struct query_source *q = ingester_source(f.ing);
    struct select_params p = {.tenant = STR("fake"), .from_ns = 0, .to_ns = 10};
    struct selection *head, *empty;
    cr_assert_eq(q->ops->select(q, &p, &head, NULL), 0);
    cr_assert_eq(ingester_flush_all(f.ing), 0);
    cr_assert_eq(q->ops->select(q, &p, &empty, NULL), 0);
    cr_assert_eq(empty->n_streams, 0);
    cr_assert_eq(head->n_streams, 1);
    struct block_buf b;
    block_buf_init(&b);
    cr_assert_eq(q->ops->read(q, &head->streams[0].blocks[0], BLOCK_ALL, &b), 0);
    cr_assert(str_eq_c(block_line(&b.view, 0), "in a chunk"));
    cr_assert(head->streams[0].blocks[0].flags & BLOCK_REF_IN_MEMORY);
    block_buf_deinit(&b);
    q->ops->selection_free(head);
    q->ops->selection_free(empty);
    fixture_close(&f);
}

Test(ingester_source, selects_by_matcher_time_and_tenant)
{
    fixture_open(&f);
    cr_assert_eq(push_line(&f, A, 100, "x"), 0);
    cr_assert_eq(push_line(&f, B, 200, "y"), 0);
    struct query_source *q = ingester_source(f.ing);
    struct matcher m;
    cr_assert_eq(matcher_init(&m, &f.arena, STR("env"), MATCH_EQ, STR(""), NULL), 0);
    static const struct {
        const char *tenant;
        int64_t from, to;
        size_t n_matchers, n;
    } cases[] = {{"fake", 0, 1000, 0, 2},  {"fake", 0, 1000, 1, 1},  {"fake", 100, 101, 0, 1},
                 {"fake", 101, 200, 0, 0}, {"other", 0, 1000, 0, 0}, {"fake", 200, 201, 1, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (unsigned flags = 0; flags <= SELECT_STREAMS_ONLY; flags++) {
            struct select_params p = {.tenant = str_c(cases[i].tenant),
                                      .matchers = &m,
                                      .n_matchers = cases[i].n_matchers,
                                      .from_ns = cases[i].from,
                                      .to_ns = cases[i].to,
                                      .flags = flags};
            struct selection *sel;
            cr_assert_eq(q->ops->select(q, &p, &sel, NULL), 0);
            cr_assert_eq(sel->n_streams, cases[i].n, "case %zu", i);
            q->ops->selection_free(sel);
        }
    struct select_params p = {.tenant = STR("fake"), .from_ns = 0, .to_ns = 1000, .streams_max = 1};
    struct selection *sel;
    struct error err = {0};
    cr_assert_eq(q->ops->select(q, &p, &sel, &err), E_LIMIT);
    struct str_set set;
    size_t n;
    p.streams_max = 0;
    str_set_init(&set, 1000);
    cr_assert_eq(q->ops->labels(q, &p, str_make(NULL, 0), &set, NULL), 0);
    const str *names = str_set_sorted(&set, &f.arena, &n);
    cr_assert_eq(n, 2);
    cr_assert(str_eq_c(names[0], "app") && str_eq_c(names[1], "env"));
    str_set_deinit(&set);
    matcher_deinit(&m);
    fixture_close(&f);
}

/* Streams that one or two matchers find. */
static size_t count_selected(const char *n1, const char *v1, const char *n2, const char *v2)
{
    struct query_source *q = ingester_source(f.ing);
    struct matcher m[2];
    cr_assert_eq(matcher_init(&m[0], &f.arena, str_c(n1), MATCH_EQ, str_c(v1), NULL), 0);
    cr_assert_eq(matcher_init(&m[1], &f.arena, str_c(n2), MATCH_RE, str_c(v2), NULL), 0);
    struct select_params p = {
        .tenant = STR("fake"), .matchers = m, .n_matchers = 2, .from_ns = 0, .to_ns = INT64_MAX};
    struct selection *sel;
    cr_assert_eq(q->ops->select(q, &p, &sel, NULL), 0);
    size_t n = sel->n_streams;
    q->ops->selection_free(sel);
    matcher_deinit(&m[0]);
    matcher_deinit(&m[1]);
    return n;
}

Test(ingester_source, exact_values_are_found_by_index_also_after_streams_left)
{
    f.config.chunk_idle_period_ns = 2 * NS_PER_S;
    f.config.flush_check_period_ns = 10 * NS_PER_MS;
    fixture_open(&f);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 300; i++) {
            char labels[64];
            snprintf(labels, sizeof labels, "{app=\"%d\", mod=\"%d\"}", i, i % 3);
            cr_assert_eq(push_line(&f, labels, i, "x"), 0);
        }
        cr_assert_eq(count_selected("mod", "1", "app", ".*"), 100);
        cr_assert_eq(count_selected("mod", "1", "app", "1|4|5"), 2);
        cr_assert_eq(count_selected("app", "7", "mod", ".+"), 1);
        cr_assert_eq(count_selected("app", "none", "mod", ".*"), 0);
        cr_assert_eq(count_selected("absent", "", "mod", "2"), 100);
        for (int i = 0; i < 1000 && ingester_stats(f.ing).streams > 0; i++)
            usleep(10000);
        cr_assert_eq(ingester_stats(f.ing).streams, 0);
        cr_assert_eq(count_selected("mod", "1", "app", ".*"), 0);
    }
    fixture_close(&f);
}

static void count_tailed(void *arg, const struct labels *stream, const struct entry *entries,
                         size_t n)
{
    cr_assert(labels_has(stream, STR("env")));
    cr_assert(str_eq_c(entries[0].line, "seen"));
    *(size_t *)arg += n;
}

Test(ingester_source, a_tail_gets_what_matches_until_it_ends)
{
    fixture_open(&f);
    struct query_source *q = ingester_source(f.ing);
    struct matcher m;
    cr_assert_eq(matcher_init(&m, &f.arena, STR("env"), MATCH_RE, STR(".+"), NULL), 0);
    struct select_params p = {.tenant = STR("fake"), .matchers = &m, .n_matchers = 1};
    struct tail_sub *sub;
    size_t seen = 0;
    cr_assert_eq(q->ops->tail(q, &p, count_tailed, &seen, &sub), 0);
    matcher_deinit(&m); /* it has its own */
    cr_assert_eq(push_line(&f, A, 1, "not this stream"), 0);
    cr_assert_eq(push_line(&f, B, 2, "seen"), 0);
    cr_assert_eq(seen, 1);
    q->ops->untail(q, sub);
    cr_assert_eq(push_line(&f, B, 3, "too late"), 0);
    cr_assert_eq(seen, 1);
    fixture_close(&f);
}

/* --- all at once, for the thread sanitizer --- */

struct busy {
    atomic_bool stop;
    int id;
};

static void *pusher(void *arg)
{
    struct busy *b = arg;
    char labels[32], line[64];
    for (int i = 0; i < 3000; i++) {
        snprintf(labels, sizeof labels, "{app=\"%d\"}", i % 7);
        snprintf(line, sizeof line, "pusher %d line %d", b->id, i);
        cr_assert_eq(push_line(&f, labels, (int64_t)i * NS_PER_S, line), 0);
    }
    return NULL;
}

static void *asker(void *arg)
{
    struct busy *b = arg;
    while (!atomic_load(&b->stop)) {
        struct found found;
        found_init(&found);
        find_in_memory(&f, &found);
        find_in_store(&f, &found);
        found_deinit(&found);
    }
    return NULL;
}

static void *flusher(void *arg)
{
    struct busy *b = arg;
    while (!atomic_load(&b->stop)) {
        cr_assert_eq(ingester_flush_all(f.ing), 0);
        usleep(20000);
    }
    return NULL;
}

Test(ingester_push, pushes_questions_and_flushes_go_side_by_side)
{
    f.config.chunk_block_bytes = 4096;
    f.config.chunk_target_bytes = 8192;
    f.config.wal.segment_bytes = 64 << 10;
    fixture_open(&f);
    struct busy b[4] = {{.id = 0}, {.id = 1}, {.id = 2}, {.id = 3}};
    pthread_t threads[4];
    pthread_create(&threads[0], NULL, pusher, &b[0]);
    pthread_create(&threads[1], NULL, pusher, &b[1]);
    pthread_create(&threads[2], NULL, asker, &b[2]);
    pthread_create(&threads[3], NULL, flusher, &b[3]);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    atomic_store(&b[2].stop, true);
    atomic_store(&b[3].stop, true);
    pthread_join(threads[2], NULL);
    pthread_join(threads[3], NULL);
    struct found found;
    found_init(&found);
    find_in_memory(&f, &found);
    find_in_store(&f, &found);
    cr_assert_eq(found.map.len, 6000);
    cr_assert_eq(found.total, 6000);
    found_deinit(&found);
    fixture_close(&f);
}
