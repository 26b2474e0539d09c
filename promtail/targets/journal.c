/* The journal target: entries of systemd's journal, followed from the saved cursor on.
 *
 * libsystemd wakes the loop by a descriptor.  An entry's position is its time, made to rise
 * strictly; the cursor saved in the positions file (cursor-<job>) is of the last entry that all
 * clients' peers have acknowledged, and beside it stands its position (journal-<job>): what is read
 * again after it has the positions it had, so that a client knows it.  To bound memory only some
 * cursors are kept meanwhile. */
#include <errno.h>
#include <stdlib.h>

#include <systemd/sd-journal.h>
/* <syslog.h>, which comes along, takes names of runtime/log.h. */
#undef LOG_DEBUG
#undef LOG_INFO
#undef LOG_ERR

#include "base/clock.h"
#include "base/mem.h"
#include "base/vec.h"
#include "promtail/config/targets.h"
#include "promtail/positions.h"
#include "promtail/targets/all.h"
#include "promtail/targets/enrich.h"
#include "promtail/targets/journal_entry.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

#define COMPONENT       "journal"
#define ROUND_ENTRIES   256 /* in one turn of the loop */
#define RETRY_MS        20
#define TICK_MS         1000 /* for journals whose descriptor does not tell all */
#define CURSOR_EVERY    64   /* entries between kept cursors */
#define CURSORS_MAX     16384
#define FIELD_BYTES_MAX (4u << 20)
#define FIELDS_MAX      4096
#define TICKS_OF_US     256 /* positions in a microsecond */

struct kept_cursor {
    int64_t pos; /* all before this is read when the cursor's entry is */
    char *text;
};

struct journal_target {
    struct target base;
    const struct target_env *env;
    const struct journal_config *config;
    sd_journal *journal;
    struct loop_watch *watch;
    struct loop_timer *timer;
    struct source *source;
    int64_t last_pos;
    VEC(struct kept_cursor) cursors; /* not acknowledged yet, rising */
    unsigned since_cursor;           /* entries read after the last kept one */
    struct arena arena;              /* of one entry */
    char *cursor_name, *position_name;
    struct metric *lines;
    struct metric_family *errors;
};

/* --- cursors --- */

static void thin_out(struct journal_target *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->cursors.len; i++)
        if (i % 2 == 1)
            t->cursors.items[n++] = t->cursors.items[i];
        else
            mem_free(t->cursors.items[i].text);
    t->cursors.len = n;
}

static void keep_cursor(struct journal_target *t)
{
    char *text = NULL;
    if (sd_journal_get_cursor(t->journal, &text) < 0)
        return;
    if (t->cursors.len >= CURSORS_MAX)
        thin_out(t);
    VEC_PUSH(&t->cursors, (struct kept_cursor){t->last_pos, mem_strdup(text)});
    t->since_cursor = 0;
    free(text);
}

static void on_acked(void *arg, int64_t pos)
{
    struct journal_target *t = arg;
    size_t n = 0;
    while (n < t->cursors.len && t->cursors.items[n].pos <= pos)
        n++;
    if (n == 0)
        return;
    const struct kept_cursor *last = &t->cursors.items[n - 1];
    positions_set(t->env->positions, str_c(t->cursor_name), str_c(last->text));
    positions_set_offset(t->env->positions, str_c(t->position_name), last->pos);
    for (size_t i = 0; i < n; i++)
        mem_free(t->cursors.items[i].text);
    t->cursors.len -= n;
    memmove(t->cursors.items, t->cursors.items + n, t->cursors.len * sizeof *t->cursors.items);
}

/* --- entries --- */

static void count_error(struct journal_target *t, const char *what)
{
    metric_inc(metric_with1(t->errors, str_c(what)));
}

static void read_fields(struct journal_target *t, struct journal_entry *e)
{
    const void *data;
    size_t size;
    sd_journal_restart_data(t->journal);
    for (int i = 0; i < FIELDS_MAX; i++) {
        if (sd_journal_enumerate_available_data(t->journal, &data, &size) <= 0)
            return;
        journal_entry_add(e, &t->arena, str_make(data, size));
    }
}

static void take_entry(struct journal_target *t)
{
    static const struct label_list none = {0};
    struct journal_entry e = {0};
    struct record r;
    uint64_t us = 0;
    sd_journal_get_realtime_usec(t->journal, &us);
    int64_t from = MAX(t->last_pos, (int64_t)us * TICKS_OF_US);
    arena_reset(&t->arena);
    record_init(&r, &t->arena, &none);
    read_fields(t, &e);
    bool has_line = journal_entry_line(&e, t->config->json, &t->arena, &r.line);
    journal_entry_labels(&e, &t->arena, &r.labels);
    for (size_t i = 0; i < t->config->labels.n; i++)
        enrich_set(&r.labels, &t->arena, t->config->labels.items[i].name,
                   t->config->labels.items[i].value);
    enrich_labels(&t->base.job->relabel, &r.labels, &t->arena);
    r.ts_ns = (int64_t)us * 1000;
    r.origin = (struct origin){t->source, from, from + 1};
    t->last_pos = from + 1;
    if (!has_line)
        count_error(t, "no_message");
    else if (r.labels.n == 0)
        count_error(t, "empty_labels"); /* dropped, as Promtail does */
    else {
        record_sink_put(&t->base.pipeline->sink, &r);
        metric_inc(t->lines);
    }
    source_advance(t->source, t->last_pos);
    if (++t->since_cursor >= CURSOR_EVERY)
        keep_cursor(t);
}

static void on_round(void *arg)
{
    struct journal_target *t = arg;
    loop_timer_start(t->timer, TICK_MS, 0);
    for (int i = 0; i < ROUND_ENTRIES; i++) {
        if (record_sink_is_full(&t->base.pipeline->sink)) {
            loop_timer_start(t->timer, RETRY_MS, 0);
            return;
        }
        int rc = sd_journal_next(t->journal);
        if (rc < 0)
            log_error(COMPONENT, "received error during sdjournal follow",
                      LOG_C("err", strerror(-rc)));
        if (rc <= 0) {
            if (t->since_cursor > 0)
                keep_cursor(t); /* of the last entry there is */
            return;
        }
        take_entry(t);
    }
    loop_timer_start(t->timer, 0, 0);
}

static void on_wake(void *arg)
{
    struct journal_target *t = arg;
    sd_journal_process(t->journal);
    on_round(t);
}

/* --- start --- */

static int fail(struct error *err, const char *what, int rc)
{
    return error_set(err, E_IO, "creating journal reader: %s: %s", what, strerror(-rc));
}

static int add_matches(struct journal_target *t, struct error *err)
{
    for (str rest = str_trim(str_c(t->config->matches)); rest.len > 0; rest = str_trim(rest)) {
        size_t end = 0;
        while (end < rest.len && strchr(" \t\r\n\v\f", rest.ptr[end]) == NULL)
            end++;
        str match = str_sub(rest, 0, end);
        rest = str_from(rest, end);
        size_t eq = str_find_char(match, '=');
        int rc = eq == STR_NPOS ? -EINVAL : sd_journal_add_match(t->journal, match.ptr, match.len);
        if (rc < 0)
            return error_set(err, E_INVALID, "parsing journal reader 'matches' config value: %.*s",
                             STR_ARG(match));
    }
    return 0;
}

/* After the saved cursor if its entry is young enough, else max_age back.  Without a cursor, what
 * was read before a kill is read again and gets the positions it had; if there is one and it cannot
 * be followed, what is read counts as new. */
static void seek(struct journal_target *t)
{
    uint64_t us = 0, oldest = (uint64_t)MAX((clock_now_ns() - t->config->max_age_ns) / 1000, 0);
    str saved = positions_get(t->env->positions, str_c(t->cursor_name));
    if (saved.len > 0) {
        t->last_pos = source_acked(t->env->sources, t->source);
        const char *cursor = arena_c(&t->arena, saved);
        int rc = sd_journal_seek_cursor(t->journal, cursor);
        if (rc >= 0)
            rc = sd_journal_next(t->journal);
        if (rc > 0 && sd_journal_get_realtime_usec(t->journal, &us) >= 0 && us >= oldest) {
            positions_get_offset(t->env->positions, str_c(t->position_name), &t->last_pos);
            /* Gone since, and this is the next: it has not been read. */
            if (sd_journal_test_cursor(t->journal, cursor) <= 0)
                take_entry(t);
            return;
        }
        if (rc < 0)
            log_error(COMPONENT, "received error reading saved journal position",
                      LOG_C("err", strerror(-rc)));
    }
    sd_journal_seek_realtime_usec(t->journal, oldest);
}

static int open_journal(struct journal_target *t, struct error *err)
{
    const char *path = t->config->path;
    int rc = path[0] != '\0' ? sd_journal_open_directory(&t->journal, path, 0)
                             : sd_journal_open(&t->journal, SD_JOURNAL_LOCAL_ONLY);
    if (rc < 0) {
        t->journal = NULL;
        return fail(err, path[0] != '\0' ? path : "local journal", rc);
    }
    sd_journal_set_data_threshold(t->journal, FIELD_BYTES_MAX);
    return add_matches(t, err);
}

static int join_loop(struct journal_target *t, struct error *err)
{
    int fd = sd_journal_get_fd(t->journal); /* before the first look, so that nothing is missed */
    if (fd < 0)
        return fail(err, "watch", fd);
    t->watch = loop_watch_new(t->env->loop, fd, on_wake, t);
    return 0;
}

static void open_source(struct journal_target *t)
{
    struct arena *a = &t->arena;
    const char *job = t->base.job->job_name;
    str key = arena_printf(a, "journal:%s", job);
    t->cursor_name = str_dup_c(arena_printf(a, "cursor-%s", job));
    t->position_name = str_dup_c(arena_printf(a, "journal-%s", job));
    t->source = source_open(t->env->sources, key, key, (str){NULL, 0}, 0);
    t->source->on_acked = on_acked;
    t->source->arg = t;
}

static void stop_reading(struct journal_target *t)
{
    loop_timer_stop(t->timer);
    loop_watch_free(t->watch);
    t->watch = NULL;
    if (t->journal != NULL)
        sd_journal_close(t->journal);
    t->journal = NULL;
}

static void free_target(struct target *base)
{
    struct journal_target *t = (struct journal_target *)base;
    stop_reading(t);
    if (t->source != NULL) {
        t->source->on_acked = NULL;
        source_unref(t->source);
    }
    for (size_t i = 0; i < t->cursors.len; i++)
        mem_free(t->cursors.items[i].text);
    VEC_FREE(&t->cursors);
    loop_timer_free(t->timer);
    arena_deinit(&t->arena);
    mem_free(t->cursor_name);
    mem_free(t->position_name);
    mem_free(t);
}

static bool is_wanted(const struct scrape_config *job)
{
    return job->journal != NULL;
}

static int start(const struct target_env *env, const struct scrape_config *job,
                 struct pipeline *pipeline, struct target **ret, struct error *err)
{
    static const char *const error_labels[] = {"error", NULL};
    struct journal_target *t = mem_zalloc(sizeof *t);
    t->base = (struct target){&target_journal, job, pipeline};
    t->env = env;
    t->config = job->journal;
    arena_init(&t->arena, SIZE_MAX);
    t->timer = loop_timer_new(env->loop, on_wake, t);
    t->lines =
        metric_single(metric_family("promtail_journal_target_lines_total", METRIC_COUNTER,
                                    "Total number of successful journal lines read", NULL, NULL));
    t->errors = metric_family("promtail_journal_target_parsing_errors_total", METRIC_COUNTER,
                              "Total number of parsing errors while reading journal messages",
                              error_labels, NULL);
    open_source(t);
    int rc = open_journal(t, err);
    if (rc == 0)
        rc = join_loop(t, err);
    if (rc != 0) {
        free_target(&t->base);
        return rc;
    }
    seek(t);
    loop_timer_start(t->timer, 0, 0);
    *ret = &t->base;
    return 0;
}

static void stop(struct target *base, void (*stopped)(void *arg), void *arg)
{
    struct journal_target *t = (struct journal_target *)base;
    if (t->journal != NULL && t->since_cursor > 0)
        keep_cursor(t);
    stop_reading(t);
    stopped(arg);
}

static bool is_ready(const struct target *base)
{
    return ((const struct journal_target *)base)->journal != NULL;
}

static void each_row(const struct target *base,
                     void (*row)(void *arg, const struct target_row *row), void *arg)
{
    const struct journal_target *t = (const struct journal_target *)base;
    str cursor = positions_get(t->env->positions, str_c(t->cursor_name));
    row(arg, &(struct target_row){NULL, &t->config->labels, cursor.ptr != NULL ? cursor : STR_EMPTY,
                                  is_ready(base)});
}

const struct target_ops target_journal = {.kind = "Journal",
                                          .is_wanted = is_wanted,
                                          .start = start,
                                          .stop = stop,
                                          .free = free_target,
                                          .is_ready = is_ready,
                                          .each_row = each_row};
