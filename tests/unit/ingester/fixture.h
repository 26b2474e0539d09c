/* tests/unit/ingester/fixture.h - an ingester over a temporary folder, and what is found in it. */
#pragma once
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "chunks/chunk.h"
#include "index/store.h"
#include "ingester/ingester.h"
#include "runtime/log.h"
#include "tests/support/temp_dir.h"

struct fixture {
    char dir[TEMP_DIR_MAX], wal_dir[80], tables_dir[80];
    struct arena arena; /* of the configuration and of what tests make */
    struct ingester_config config;
    struct limits limits;
    struct limits_set *set;
    struct store *store;
    struct ingester *ing;
    struct buf numbered; /* "source number;" of each numbered push that a replay told of */
};

static inline void fixture_numbered(void *arg, str tenant, str source_id, uint64_t seq)
{
    struct fixture *f = arg;
    cr_assert(str_eq_c(tenant, "fake"));
    buf_printf(&f->numbered, "%.*s %llu;", STR_ARG(source_id), (unsigned long long)seq);
}

static inline void fixture_open(struct fixture *f)
{
    struct error err = {0};
    cr_assert_eq(store_open(&(struct store_config){.dir = f->tables_dir, .map_bytes = 4 << 20},
                            &f->store, &err),
                 0, "%s", err.text);
    struct ingester_options o = {.config = &f->config,
                                 .limits = f->set,
                                 .store = f->store,
                                 .on_numbered = fixture_numbered,
                                 .arg = f};
    buf_reset(&f->numbered);
    cr_assert_eq(ingester_new(&o, &f->ing, &err), 0, "%s", err.text);
}

static inline void fixture_close(struct fixture *f)
{
    ingester_stop(f->ing);
    store_close(f->store);
}

static inline void fixture_reopen(struct fixture *f)
{
    fixture_close(f);
    fixture_open(f);
}

static inline void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    log_set_level(LOG_ERROR);
    cr_assert(temp_dir_make(f->dir));
    snprintf(f->wal_dir, sizeof f->wal_dir, "%s/wal", f->dir);
    snprintf(f->tables_dir, sizeof f->tables_dir, "%s/tables", f->dir);
    arena_init(&f->arena, (size_t)256 << 20);
    buf_init(&f->numbered, 1 << 20);
    config_defaults(ingester_config_table, &f->config, &f->arena);
    f->config.wal.dir = f->wal_dir;
    f->set = limits_set_new(&f->limits); /* all zero: no limits */
}

static inline void fixture_deinit(struct fixture *f)
{
    cr_assert(temp_dir_remove(f->dir));
    limits_set_free(f->set);
    buf_deinit(&f->numbered);
    arena_deinit(&f->arena);
}

/* --- pushing --- */

struct answer {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool is_there;
    int code;
    int http;
    char text[ERROR_TEXT_MAX];
};

static inline void on_answer(void *arg, int code, const struct error *err)
{
    struct answer *a = arg;
    pthread_mutex_lock(&a->lock);
    a->is_there = true;
    a->code = code;
    a->http = err ? error_http(err) : 0;
    snprintf(a->text, sizeof a->text, "%s", err ? err->text : "");
    pthread_cond_signal(&a->cond);
    pthread_mutex_unlock(&a->lock);
}

static inline struct answer push_batch_and_wait(struct fixture *f, const struct push_batch *batch)
{
    struct answer a = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    push_sink_push(ingester_sink(f->ing), batch, on_answer, &a);
    pthread_mutex_lock(&a.lock);
    while (!a.is_there)
        pthread_cond_wait(&a.cond, &a.lock);
    pthread_mutex_unlock(&a.lock);
    return a;
}

/* Pushes entries of one stream. */
static inline struct answer push_stream(struct fixture *f, const char *labels,
                                        const struct entry *entries, size_t n)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    struct push_stream s = {.entries = entries, .n_entries = n};
    cr_assert_eq(labels_parse(str_c(labels), &a, &s.labels, NULL), 0);
    s.hash = labels_hash(&s.labels);
    struct push_batch batch = {.tenant = STR("fake"), .streams = &s, .n_streams = 1};
    struct answer answer = push_batch_and_wait(f, &batch);
    arena_deinit(&a);
    return answer;
}

static inline int push_line(struct fixture *f, const char *labels, int64_t ts_ns, const char *line)
{
    struct entry e = {ts_ns, str_c(line), LABELS_EMPTY};
    return push_stream(f, labels, &e, 1).code;
}

/* --- what is there --- */

/* Entries found, as "labels time line"; how often each. */
struct found {
    struct strmap map;
    size_t total; /* with doubles */
};

static inline void found_init(struct found *found)
{
    strmap_init(&found->map);
    found->total = 0;
}

static inline void found_deinit(struct found *found)
{
    strmap_deinit(&found->map);
}

static inline void found_add(struct found *found, const struct labels *ls,
                             const struct block_view *v)
{
    struct buf key;
    buf_init(&key, 1 << 20);
    for (uint32_t i = 0; i < v->n; i++) {
        buf_reset(&key);
        labels_print(ls, &key);
        buf_printf(&key, " %lld ", (long long)v->ts_ns[i]);
        buf_append_str(&key, block_line(v, i));
        uintptr_t times = (uintptr_t)strmap_get(&found->map, buf_str(&key));
        strmap_put(&found->map, buf_str(&key), (void *)(times + 1));
        found->total++;
    }
    buf_deinit(&key);
}

static inline size_t found_count(const struct found *found, const char *labels, int64_t ts_ns,
                                 const char *line)
{
    struct buf key;
    buf_init(&key, 1 << 20);
    buf_printf(&key, "%s %lld %s", labels, (long long)ts_ns, line);
    size_t n = (uintptr_t)strmap_get(&found->map, buf_str(&key));
    buf_deinit(&key);
    return n;
}

static inline void find_in_memory(struct fixture *f, struct found *found)
{
    struct query_source *q = ingester_source(f->ing);
    struct select_params p = {.tenant = STR("fake"), .from_ns = INT64_MIN, .to_ns = INT64_MAX};
    struct selection *sel;
    cr_assert_eq(q->ops->select(q, &p, &sel, NULL), 0);
    struct block_buf b;
    block_buf_init(&b);
    for (size_t i = 0; i < sel->n_streams; i++)
        for (size_t k = 0; k < sel->streams[i].n_blocks; k++) {
            const struct block_ref *ref = &sel->streams[i].blocks[k];
            cr_assert_eq(q->ops->read(q, ref, BLOCK_ALL, &b), 0);
            cr_assert_eq(ref->entries, b.view.n);
            cr_assert_eq(ref->min_ns, b.view.ts_ns[0]);
            cr_assert_eq(ref->max_ns, b.view.ts_ns[b.view.n - 1]);
            found_add(found, &sel->streams[i].labels, &b.view);
        }
    block_buf_deinit(&b);
    q->ops->selection_free(sel);
}

static inline void find_in_store(struct fixture *f, struct found *found)
{
    struct arena a;
    arena_init(&a, (size_t)256 << 20);
    struct block_buf b;
    block_buf_init(&b);
    const int64_t *days;
    size_t n_days;
    cr_assert_eq(store_days(f->store, INT64_MIN, INT64_MAX, &a, &days, &n_days), 0);
    for (size_t d = 0; d < n_days; d++) {
        struct table *t;
        struct table_reader *r;
        if (store_table(f->store, days[d], false, &t, NULL) != 0)
            continue;
        cr_assert_eq(table_read_begin(t, &r), 0);
        const struct table_stream *streams;
        size_t n_streams;
        cr_assert_eq(table_streams(r, STR("fake"), NULL, 0, &a, &streams, &n_streams), 0);
        for (size_t i = 0; i < n_streams; i++) {
            const struct table_chunk *chunks;
            size_t n;
            cr_assert_eq(table_chunks(r, STR("fake"), streams[i].fingerprint, INT64_MIN, INT64_MAX,
                                      true, &a, &chunks, &n),
                         0);
            for (size_t c = 0; c < n; c++) {
                struct chunk_view view;
                cr_assert_eq(chunk_open(chunks[c].blob, &a, &view), 0);
                for (size_t k = 0; k < view.n_blocks; k++) {
                    cr_assert_eq(chunk_block_decode(&view.blocks[k], chunk_block_bytes(&view, k),
                                                    BLOCK_ALL, &b),
                                 0);
                    cr_assert_eq(table_day_of(b.view.ts_ns[0]), days[d]);
                    cr_assert_eq(table_day_of(b.view.ts_ns[b.view.n - 1]), days[d]);
                    found_add(found, &streams[i].labels, &b.view);
                }
            }
        }
        table_read_end(r);
        store_release(f->store, t);
    }
    block_buf_deinit(&b);
    arena_deinit(&a);
}
