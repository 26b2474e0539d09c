#include "index/store.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/vec.h"

#define OPEN_MAX_DEFAULT 16

struct store_entry {
    int64_t day;
    struct table *table; /* NULL: not open */
    unsigned users;
    bool is_busy; /* being opened by somebody; wait */
    uint64_t used_at;
};

struct store {
    struct store_config config;
    char *dir;
    pthread_mutex_t lock; /* guards all below; a table is opened outside it (is_busy) */
    pthread_cond_t opened;
    VEC(struct store_entry *) entries; /* by day; never removed while the store is open */
    size_t n_open;
    uint64_t uses;
};

/* --- days and their folders --- */

static void day_name(int64_t day, char out[24])
{
    time_t t = (time_t)(day * 86400);
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL || strftime(out, 24, "%Y-%m-%d", &tm) == 0)
        snprintf(out, 24, "day%lld", (long long)day);
}

static bool day_parse(const char *name, int64_t *ret)
{
    struct tm tm = {0};
    const char *end = strptime(name, "%Y-%m-%d", &tm);
    if (end == NULL || *end != '\0')
        return false;
    int64_t day = timegm(&tm) / 86400;
    char back[24];
    day_name(day, back);
    *ret = day;
    return strcmp(back, name) == 0;
}

static char *day_path(const struct store *s, int64_t day, const char *suffix)
{
    char name[24];
    day_name(day, name);
    struct buf path;
    buf_init(&path, 1 << 16);
    buf_printf(&path, "%s/%s%s", s->dir, name, suffix);
    char *copy = mem_strdup(buf_c(&path));
    buf_deinit(&path);
    return copy;
}

/* Index of the first entry with this day or a later one. */
static size_t entry_at(const struct store *s, int64_t day)
{
    size_t lo = 0, hi = s->entries.len;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (s->entries.items[mid]->day < day)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct store_entry *entry_find(struct store *s, int64_t day, bool create)
{
    size_t at = entry_at(s, day);
    if (at < s->entries.len && s->entries.items[at]->day == day)
        return s->entries.items[at];
    if (!create)
        return NULL;
    struct store_entry *e = mem_zalloc(sizeof *e);
    e->day = day;
    VEC_PUSH(&s->entries, e);
    struct store_entry **items = s->entries.items;
    memmove(items + at + 1, items + at, (s->entries.len - 1 - at) * sizeof *items);
    items[at] = e;
    return e;
}

/* --- opening and closing --- */

int store_open(const struct store_config *config, struct store **ret, struct error *err)
{
    if (mkdir(config->dir, 0750) != 0 && errno != EEXIST)
        return error_set(err, status_from_errno(errno), "%s: %s", config->dir, strerror(errno));
    DIR *d = opendir(config->dir);
    if (d == NULL)
        return error_set(err, status_from_errno(errno), "%s: %s", config->dir, strerror(errno));
    struct store *s = mem_zalloc(sizeof *s);
    s->config = *config;
    if (s->config.open_max == 0)
        s->config.open_max = OPEN_MAX_DEFAULT;
    s->dir = mem_strdup(config->dir);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->opened, NULL);
    int64_t day;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (day_parse(e->d_name, &day))
            entry_find(s, day, true);
    closedir(d);
    *ret = s;
    return 0;
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->entries.len; i++) {
        ASSERT(s->entries.items[i]->users == 0);
        table_close(s->entries.items[i]->table);
        mem_free(s->entries.items[i]);
    }
    VEC_FREE(&s->entries);
    pthread_cond_destroy(&s->opened);
    pthread_mutex_destroy(&s->lock);
    mem_free(s->dir);
    mem_free(s);
}

/* Closes tables that nobody uses until the number is in bounds again. */
static void close_surplus(struct store *s)
{
    while (s->n_open > s->config.open_max) {
        struct store_entry *oldest = NULL;
        for (size_t i = 0; i < s->entries.len; i++) {
            struct store_entry *e = s->entries.items[i];
            if (e->table != NULL && e->users == 0 && !e->is_busy &&
                (oldest == NULL || e->used_at < oldest->used_at))
                oldest = e;
        }
        if (oldest == NULL)
            return;
        table_close(oldest->table);
        oldest->table = NULL;
        s->n_open--;
    }
}

/* Opens a table; one that is damaged is moved out of the way first. */
static int open_day(struct store *s, int64_t day, bool create, struct table **ret,
                    struct error *err)
{
    char *path = day_path(s, day, "");
    struct error why = {0};
    int code = table_open(path, create, s->config.map_bytes, ret, &why);
    if (code == E_CORRUPT) {
        char suffix[48];
        snprintf(suffix, sizeof suffix, ".damaged-%lld", (long long)(clock_now_ns() / NS_PER_S));
        char *aside = day_path(s, day, suffix);
        if (rename(path, aside) == 0) {
            error_prefix(&why, "table set aside as %s: ", aside);
            if (s->config.on_damaged != NULL)
                s->config.on_damaged(s->config.arg, &why);
            error_clear(&why);
            code = create ? table_open(path, true, s->config.map_bytes, ret, &why) : E_NOT_FOUND;
        }
        mem_free(aside);
    }
    if (code != 0)
        error_set(err, code, "%s", why.code ? why.text : status_text(code));
    mem_free(path);
    return code;
}

int store_table(struct store *s, int64_t day, bool create, struct table **ret, struct error *err)
{
    pthread_mutex_lock(&s->lock);
    struct store_entry *e = entry_find(s, day, create);
    int code = 0;
    if (e == NULL) {
        code = E_NOT_FOUND;
        goto out;
    }
    while (e->is_busy)
        pthread_cond_wait(&s->opened, &s->lock);
    if (e->table == NULL) {
        e->is_busy = true;
        pthread_mutex_unlock(&s->lock);
        struct table *t = NULL;
        code = open_day(s, day, create, &t, err);
        pthread_mutex_lock(&s->lock);
        e->is_busy = false;
        pthread_cond_broadcast(&s->opened);
        if (code != 0)
            goto out;
        e->table = t;
        s->n_open++;
    }
    e->users++;
    e->used_at = ++s->uses;
    *ret = e->table;
    close_surplus(s);
out:
    pthread_mutex_unlock(&s->lock);
    return code;
}

void store_release(struct store *s, struct table *t)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->entries.len; i++)
        if (s->entries.items[i]->table == t) {
            ASSERT(s->entries.items[i]->users > 0);
            s->entries.items[i]->users--;
            break;
        }
    close_surplus(s);
    pthread_mutex_unlock(&s->lock);
}

int store_days(struct store *s, int64_t from_ns, int64_t to_ns, struct arena *a,
               const int64_t **ret, size_t *ret_n)
{
    *ret = NULL;
    *ret_n = 0;
    if (from_ns >= to_ns)
        return 0;
    int code = 0;
    pthread_mutex_lock(&s->lock);
    size_t lo = entry_at(s, table_day_of(from_ns)), hi = entry_at(s, table_day_of(to_ns - 1) + 1);
    int64_t *days = arena_try_alloc(a, (hi - lo) * sizeof *days);
    if (days == NULL)
        code = E_LIMIT;
    for (size_t i = lo; i < hi && code == 0; i++)
        days[i - lo] = s->entries.items[i]->day;
    pthread_mutex_unlock(&s->lock);
    if (code != 0)
        return code;
    *ret = days;
    *ret_n = hi - lo;
    return 0;
}
