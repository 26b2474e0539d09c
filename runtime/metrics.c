#include "runtime/metrics.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <uv.h>

#include "base/gofmt.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "runtime/metrics_process.h"

#define METRIC_LABELS_MAX  16
#define METRIC_BUCKETS_MAX 64

/* Prometheus' client defaults, in seconds. */
static const double default_buckets[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 0};

/* A counter's or gauge's value is whole + frac: adding a whole number, as nearly every caller does,
 * is one fetch-and-add; only fractions need the compare-and-swap loop. */
struct metric {
    struct metric_family *family;
    _Atomic int64_t whole;
    _Atomic uint64_t frac;     /* bits of a double; a histogram's sum */
    _Atomic uint64_t *buckets; /* histogram: n_buckets + 1, the last is beyond all bounds */
    char *key; /* label values (open family: name and value), each followed by KEY_END */
    size_t key_len;
    unsigned refs; /* open family; guarded by the registry's lock */
};

/* Not a byte of UTF-8, so values cannot run into each other. */
#define KEY_END '\xff'

struct metric_family {
    char *name;
    char *help;
    enum metric_type type;
    char **label_names;
    size_t n_labels;
    bool is_open; /* the cells have label names of their own */
    double *buckets;
    size_t n_buckets;
    struct strmap cells;
};

/* A name under which a family is shown: its own and its aliases. */
struct shown_name {
    char *name;
    struct metric_family *family;
};

struct scrape_hook {
    void (*fn)(void *arg);
    void *arg;
};

/* The registry.  `lock` guards names, hooks and every family's `cells`; values are atomics. */
static struct {
    uv_once_t once;
    uv_mutex_t lock;
    VEC(struct shown_name) names; /* sorted by name */
    VEC(struct scrape_hook) hooks;
} registry = {.once = UV_ONCE_INIT};

static void registry_init(void)
{
    ASSERT(uv_mutex_init(&registry.lock) == 0);
}

static void registry_lock(void)
{
    uv_once(&registry.once, registry_init);
    uv_mutex_lock(&registry.lock);
}

static void registry_unlock(void)
{
    uv_mutex_unlock(&registry.lock);
}

/* --- families --- */

/* Index of the name, or where it belongs. */
static size_t names_find(str name, bool *ret_found)
{
    size_t lo = 0, hi = registry.names.len;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = str_cmp(str_c(registry.names.items[mid].name), name);
        if (c == 0) {
            *ret_found = true;
            return mid;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *ret_found = false;
    return lo;
}

static void names_insert(size_t at, char *name, struct metric_family *f)
{
    VEC_PUSH(&registry.names, (struct shown_name){0});
    struct shown_name *items = registry.names.items;
    memmove(items + at + 1, items + at, (registry.names.len - 1 - at) * sizeof *items);
    items[at] = (struct shown_name){name, f};
}

static void set_buckets(struct metric_family *f, const double *buckets, size_t n)
{
    if (n == 0) {
        buckets = default_buckets;
        n = ARRAY_LEN(default_buckets) - 1;
    }
    f->n_buckets = n;
    f->buckets = mem_array(n, sizeof *f->buckets);
    memcpy(f->buckets, buckets, n * sizeof *f->buckets);
}

static size_t count_buckets(const double *buckets)
{
    size_t n = 0;
    while (buckets != NULL && n < METRIC_BUCKETS_MAX && buckets[n] > 0 && !isinf(buckets[n]))
        n++;
    return n;
}

static struct metric_family *family_make(str name, enum metric_type type, str help,
                                         const str *label_names, size_t n_labels,
                                         const double *buckets, size_t n_buckets)
{
    ASSERT(n_labels <= METRIC_LABELS_MAX);
    struct metric_family *f = mem_zalloc(sizeof *f);
    f->name = str_dup_c(name);
    f->help = str_dup_c(help);
    f->type = type;
    f->n_labels = n_labels;
    f->label_names = mem_array(n_labels + 1, sizeof *f->label_names);
    for (size_t i = 0; i < n_labels; i++)
        f->label_names[i] = str_dup_c(label_names[i]);
    if (type == METRIC_HISTOGRAM)
        set_buckets(f, buckets, n_buckets);
    strmap_init(&f->cells);
    return f;
}

struct metric_family *metric_family_dynamic(str name, enum metric_type type, str help,
                                            const str *label_names, size_t n_labels,
                                            const double *buckets)
{
    registry_lock();
    bool is_known;
    size_t at = names_find(name, &is_known);
    struct metric_family *f;
    if (is_known) {
        f = registry.names.items[at].family;
    } else {
        f = family_make(name, type, help, label_names, n_labels, buckets, count_buckets(buckets));
        names_insert(at, f->name, f);
    }
    registry_unlock();
    return f;
}

struct metric_family *metric_family(const char *name, enum metric_type type, const char *help,
                                    const char *const *label_names, const double *buckets)
{
    str labels[METRIC_LABELS_MAX];
    size_t n = 0;
    for (; label_names != NULL && label_names[n] != NULL; n++) {
        ASSERT(n < METRIC_LABELS_MAX);
        labels[n] = str_c(label_names[n]);
    }
    return metric_family_dynamic(str_c(name), type, str_c(help), labels, n, buckets);
}

/* One that shows nothing at present may become something else: a configuration was read anew. */
static void family_change(struct metric_family *f, enum metric_type type, str help,
                          const double *buckets, size_t n_buckets)
{
    mem_free(f->help);
    mem_free(f->buckets);
    f->help = str_dup_c(help);
    f->type = type;
    f->buckets = NULL;
    f->n_buckets = 0;
    if (type == METRIC_HISTOGRAM)
        set_buckets(f, buckets, n_buckets);
}

struct metric_family *metric_family_open(str name, enum metric_type type, str help,
                                         const double *buckets, size_t n_buckets)
{
    registry_lock();
    bool is_known;
    size_t at = names_find(name, &is_known);
    struct metric_family *f = is_known ? registry.names.items[at].family : NULL;
    if (f == NULL) {
        f = family_make(name, type, help, NULL, 0, buckets, n_buckets);
        f->is_open = true;
        names_insert(at, f->name, f);
    } else if (f->is_open && f->cells.len == 0) {
        family_change(f, type, help, buckets, n_buckets);
    } else if (!f->is_open || f->type != type) {
        f = NULL;
    }
    registry_unlock();
    return f;
}

void metric_alias(struct metric_family *f, const char *other_name)
{
    registry_lock();
    bool is_known;
    size_t at = names_find(str_c(other_name), &is_known);
    if (!is_known)
        names_insert(at, mem_strdup(other_name), f);
    registry_unlock();
}

/* --- cells --- */

static void append_key_part(struct buf *key, str part)
{
    if (str_is_utf8(part))
        buf_append_str(key, part);
    else /* one bad label value makes Prometheus refuse the whole scrape */
        utf8_append_valid(key, part, STR("\xef\xbf\xbd"));
    buf_append_char(key, KEY_END);
}

static str cell_key(struct buf *key, const struct metric_family *f, const str *values, size_t n)
{
    ASSERT(n == f->n_labels);
    buf_init(key, BUF_NO_LIMIT);
    for (size_t i = 0; i < n; i++)
        append_key_part(key, values[i]);
    return buf_str(key);
}

static struct metric *cell_make(struct metric_family *f, str key)
{
    struct metric *m = mem_zalloc(sizeof *m);
    m->family = f;
    m->key = str_dup_c(key);
    m->key_len = key.len;
    if (f->type == METRIC_HISTOGRAM)
        m->buckets = mem_array(f->n_buckets + 1, sizeof *m->buckets);
    return m;
}

static void cell_free(struct metric *m)
{
    if (m == NULL)
        return;
    mem_free(m->buckets);
    mem_free(m->key);
    mem_free(m);
}

struct metric *metric_with(struct metric_family *f, const str *values, size_t n)
{
    struct buf buf;
    str key = cell_key(&buf, f, values, n);
    registry_lock();
    struct metric *m = strmap_get(&f->cells, key);
    if (m == NULL) {
        m = cell_make(f, key);
        strmap_put(&f->cells, key, m);
    }
    registry_unlock();
    buf_deinit(&buf);
    return m;
}

struct metric *metric_with_labels(struct metric_family *f, const struct metric_label *labels,
                                  size_t n)
{
    ASSERT(f->is_open);
    struct buf key;
    buf_init(&key, BUF_NO_LIMIT);
    for (size_t i = 0; i < n; i++) {
        append_key_part(&key, labels[i].name);
        append_key_part(&key, labels[i].value);
    }
    registry_lock();
    struct metric *m = strmap_get(&f->cells, buf_str(&key));
    if (m == NULL) {
        m = cell_make(f, buf_str(&key));
        strmap_put(&f->cells, buf_str(&key), m);
    }
    m->refs++;
    registry_unlock();
    buf_deinit(&key);
    return m;
}

void metric_release(struct metric *m)
{
    registry_lock();
    bool is_last = --m->refs == 0;
    if (is_last)
        strmap_remove(&m->family->cells, (str){m->key, m->key_len});
    registry_unlock();
    if (is_last)
        cell_free(m);
}

struct metric *metric_single(struct metric_family *f)
{
    return metric_with(f, NULL, 0);
}

void metric_remove(struct metric_family *f, const str *values, size_t n)
{
    struct buf buf;
    str key = cell_key(&buf, f, values, n);
    registry_lock();
    struct metric *m = strmap_remove(&f->cells, key);
    registry_unlock();
    buf_deinit(&buf);
    cell_free(m);
}

/* --- values; relaxed: a value stands alone, nothing is published through it --- */

static uint64_t double_bits(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static double bits_double(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static void add_double(_Atomic uint64_t *cell, double v)
{
    uint64_t old = atomic_load_explicit(cell, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(cell, &old, double_bits(bits_double(old) + v),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

void metric_add(struct metric *m, double v)
{
    /* A gauge is summed in the order of its changes, as Prometheus' own. */
    bool is_whole = v > -9e15 && v < 9e15 && v == (double)(int64_t)v;
    if (is_whole && m->family->type != METRIC_GAUGE)
        atomic_fetch_add_explicit(&m->whole, (int64_t)v, memory_order_relaxed);
    else
        add_double(&m->frac, v);
}

void metric_inc(struct metric *m)
{
    atomic_fetch_add_explicit(&m->whole, 1, memory_order_relaxed);
}

void metric_set(struct metric *m, double v)
{
    atomic_store_explicit(&m->whole, 0, memory_order_relaxed);
    atomic_store_explicit(&m->frac, double_bits(v), memory_order_relaxed);
}

void metric_observe(struct metric *m, double v)
{
    const struct metric_family *f = m->family;
    size_t i = 0;
    while (i < f->n_buckets && !(v <= f->buckets[i]))
        i++;
    atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
    add_double(&m->frac, v);
}

double metric_value(const struct metric *m)
{
    return (double)atomic_load_explicit(&m->whole, memory_order_relaxed) +
           bits_double(atomic_load_explicit(&m->frac, memory_order_relaxed));
}

/* --- text --- */

void metrics_on_scrape(void (*fn)(void *arg), void *arg)
{
    registry_lock();
    VEC_PUSH(&registry.hooks, (struct scrape_hook){fn, arg});
    registry_unlock();
}

void metrics_off_scrape(void (*fn)(void *arg), void *arg)
{
    registry_lock();
    size_t kept = 0;
    for (size_t i = 0; i < registry.hooks.len; i++) {
        struct scrape_hook hook = registry.hooks.items[i];
        if (hook.fn != fn || hook.arg != arg)
            registry.hooks.items[kept++] = hook;
    }
    registry.hooks.len = kept;
    registry_unlock();
}

static void append_escaped(struct buf *out, str s, bool is_label)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '\\')
            buf_append_c(out, "\\\\");
        else if (c == '\n')
            buf_append_c(out, "\\n");
        else if (c == '"' && is_label)
            buf_append_c(out, "\\\"");
        else
            buf_append_char(out, c);
    }
}

/* name{label="value",...,le="0.5"} and a blank; `le` NULL: none. */
static void append_series(struct buf *out, const char *name, const char *suffix,
                          const struct metric *m, const double *le)
{
    buf_append_c(out, name);
    buf_append_c(out, suffix);
    const struct metric_family *f = m->family;
    char sep = '{';
    str rest = {m->key, m->key_len};
    for (size_t i = 0; f->is_open ? rest.len > 0 : i < f->n_labels; i++) {
        str label = f->is_open ? str_split(&rest, KEY_END) : str_c(f->label_names[i]);
        str value = str_split(&rest, KEY_END);
        buf_append_char(out, sep);
        buf_append_str(out, label);
        buf_append_c(out, "=\"");
        append_escaped(out, value, true);
        buf_append_char(out, '"');
        sep = ',';
    }
    if (le != NULL) {
        buf_append_char(out, sep);
        buf_append_c(out, "le=\"");
        gofmt_float(out, *le, 'g', -1);
        buf_append_char(out, '"');
        sep = ',';
    }
    if (sep == ',')
        buf_append_char(out, '}');
    buf_append_char(out, ' ');
}

static void append_histogram(struct buf *out, const char *name, const struct metric *m)
{
    const struct metric_family *f = m->family;
    uint64_t count = 0;
    for (size_t i = 0; i <= f->n_buckets; i++) {
        double le = i < f->n_buckets ? f->buckets[i] : (double)INFINITY;
        count += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
        append_series(out, name, "_bucket", m, &le);
        buf_append_u64(out, count);
        buf_append_char(out, '\n');
    }
    append_series(out, name, "_sum", m, NULL);
    gofmt_float(out, metric_value(m), 'g', -1);
    buf_append_char(out, '\n');
    append_series(out, name, "_count", m, NULL);
    buf_append_u64(out, count); /* not counted apart, so that it always equals the +Inf bucket */
    buf_append_char(out, '\n');
}

static int compare_cells(const void *a, const void *b)
{
    const struct metric *x = *(const struct metric *const *)a;
    const struct metric *y = *(const struct metric *const *)b;
    return str_cmp((str){x->key, x->key_len}, (str){y->key, y->key_len});
}

static void append_family(struct buf *out, const struct shown_name *shown)
{
    static const char *const type_names[] = {"counter", "gauge", "histogram"};
    struct metric_family *f = shown->family;
    if (f->cells.len == 0)
        return;
    struct metric **cells = mem_array(f->cells.len, sizeof *cells);
    size_t n = 0, at = 0;
    void *value;
    while (strmap_next(&f->cells, &at, NULL, &value))
        cells[n++] = value;
    qsort(cells, n, sizeof *cells, compare_cells);

    buf_append_c(out, "# HELP ");
    buf_append_c(out, shown->name);
    buf_append_char(out, ' ');
    append_escaped(out, str_c(f->help), false);
    buf_append_c(out, "\n# TYPE ");
    buf_append_c(out, shown->name);
    buf_append_char(out, ' ');
    buf_append_c(out, type_names[f->type]);
    buf_append_char(out, '\n');
    for (size_t i = 0; i < n; i++) {
        if (f->type == METRIC_HISTOGRAM) {
            append_histogram(out, shown->name, cells[i]);
            continue;
        }
        append_series(out, shown->name, "", cells[i], NULL);
        gofmt_float(out, metric_value(cells[i]), 'g', -1);
        buf_append_char(out, '\n');
    }
    mem_free(cells);
}

/* Hooks run outside the lock: they resolve cells. */
static void run_hooks(void)
{
    VEC(struct scrape_hook) hooks = {0};
    registry_lock();
    for (size_t i = 0; i < registry.hooks.len; i++)
        VEC_PUSH(&hooks, registry.hooks.items[i]);
    registry_unlock();
    for (size_t i = 0; i < hooks.len; i++)
        hooks.items[i].fn(hooks.items[i].arg);
    VEC_FREE(&hooks);
}

void metrics_write(struct buf *out)
{
    metrics_process_update();
    run_hooks();
    registry_lock();
    for (size_t i = 0; i < registry.names.len; i++)
        append_family(out, &registry.names.items[i]);
    registry_unlock();
}
