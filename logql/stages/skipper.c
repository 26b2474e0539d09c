#include "logql/stages/skipper.h"

#ifdef LOGE_HYPERSCAN
#include <hs/hs.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/mem.h"
#include "logql/stages/skipper_syntax.h"

/* Text that pays for compiling. */
#define READY_AFTER_BYTES ((size_t)1 << 20)
/* Threads beyond these make their working memory anew each time. */
#define SCRATCH_KEPT 16
/* Each match that ends in a line already decided is lost time.  With more of them than one in so
 * many bytes RE2, which goes on behind the line, is the faster. */
#define BYTES_PER_IDLE_HIT 16
#define IDLE_HITS_MIN      256

enum skipper_state { SKIPPER_COLD, SKIPPER_COMPILING, SKIPPER_READY, SKIPPER_NONE };

struct skipper {
    struct buf pattern; /* as Hyperscan has it */
    _Atomic size_t bytes_seen;
    _Atomic int state; /* READY is set behind `database` */
    hs_database_t *database;
    pthread_mutex_t lock; /* of the following */
    hs_scratch_t *scratch[SCRATCH_KEPT];
    size_t n_scratch;
};

/* The program may meet Vectorscan, the fork, in place of the library it was built with: under the
 * same name and a higher version, and it loses matches at the borders of its vectors (5.4.9). */
static bool is_hyperscan(void)
{
    const char *v = hs_version();
    return strncmp(v, "5.4.", 4) == 0 && v[4] >= '0' && v[4] <= '2' && (v[5] < '0' || v[5] > '9');
}

struct skipper *skipper_new(str re)
{
    struct buf pattern;
    buf_init(&pattern, BUF_NO_LIMIT);
    if (!is_hyperscan() || hs_valid_platform() != HS_SUCCESS ||
        !skipper_syntax_write(re, &pattern)) {
        buf_deinit(&pattern);
        return NULL;
    }
    struct skipper *s = mem_zalloc(sizeof *s);
    s->pattern = pattern;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void skipper_free(struct skipper *s)
{
    if (s == NULL)
        return;
    while (s->n_scratch > 0)
        hs_free_scratch(s->scratch[--s->n_scratch]);
    hs_free_database(s->database);
    pthread_mutex_destroy(&s->lock);
    buf_deinit(&s->pattern);
    mem_free(s);
}

static void compile(struct skipper *s)
{
    hs_compile_error_t *error = NULL;
    int r = hs_compile(buf_c(&s->pattern), HS_FLAG_MULTILINE, HS_MODE_BLOCK, NULL, &s->database,
                       &error);
    hs_free_compile_error(error);
    atomic_store_explicit(&s->state, r == HS_SUCCESS ? SKIPPER_READY : SKIPPER_NONE,
                          memory_order_release);
}

const char *skipper_name(const struct skipper *s)
{
    switch (s == NULL ? SKIPPER_NONE : atomic_load_explicit(&s->state, memory_order_acquire)) {
    case SKIPPER_COLD:
        return "Hyperscan, not compiled yet";
    case SKIPPER_COMPILING:
        return "Hyperscan, being compiled";
    case SKIPPER_READY:
        return "Hyperscan";
    default:
        return s == NULL ? "none" : "none, Hyperscan was given up";
    }
}

bool skipper_is_ready(const struct skipper *s)
{
    return s != NULL && atomic_load_explicit(&s->state, memory_order_acquire) == SKIPPER_READY;
}

void skipper_warm(struct skipper *s, size_t bytes)
{
    int state = SKIPPER_COLD;
    if (s == NULL || atomic_load_explicit(&s->state, memory_order_relaxed) != SKIPPER_COLD)
        return;
    size_t before = atomic_fetch_add_explicit(&s->bytes_seen, bytes, memory_order_relaxed);
    /* The thread that moves it on from COLD compiles; others do without meanwhile. */
    if (before + bytes >= READY_AFTER_BYTES &&
        atomic_compare_exchange_strong(&s->state, &state, SKIPPER_COMPILING))
        compile(s);
}

static hs_scratch_t *scratch_take(struct skipper *s)
{
    hs_scratch_t *scratch = NULL;
    pthread_mutex_lock(&s->lock);
    if (s->n_scratch > 0)
        scratch = s->scratch[--s->n_scratch];
    pthread_mutex_unlock(&s->lock);
    if (scratch == NULL && hs_alloc_scratch(s->database, &scratch) != HS_SUCCESS)
        return NULL;
    return scratch;
}

static void scratch_give(struct skipper *s, hs_scratch_t *scratch)
{
    pthread_mutex_lock(&s->lock);
    bool is_kept = s->n_scratch < SCRATCH_KEPT;
    if (is_kept)
        s->scratch[s->n_scratch++] = scratch;
    pthread_mutex_unlock(&s->lock);
    if (!is_kept)
        hs_free_scratch(scratch);
}

struct scan {
    skipper_hit *fn;
    void *arg;
    struct skipper_range done; /* the last */
    size_t n_idle, n_idle_max;
};

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                    void *arg)
{
    struct scan *scan = arg;
    size_t at = to - 1; /* no match is empty: skipper_syntax_write() */
    ASSERT(to > 0);
    (void)id, (void)from, (void)flags;
    if (at >= scan->done.from && at < scan->done.to)
        return ++scan->n_idle > scan->n_idle_max;
    scan->done = scan->fn(scan->arg, at);
    return 0;
}

bool skipper_scan(struct skipper *s, str text, skipper_hit *fn, void *arg)
{
    hs_scratch_t *scratch = scratch_take(s);
    if (scratch == NULL)
        return false;
    struct scan scan = {
        .fn = fn, .arg = arg, .n_idle_max = IDLE_HITS_MIN + text.len / BYTES_PER_IDLE_HIT};
    int r = hs_scan(s->database, text.ptr, (unsigned)text.len, 0, scratch, on_match, &scan);
    if (r != HS_SUCCESS)
        atomic_store_explicit(&s->state, SKIPPER_NONE, memory_order_relaxed);
    scratch_give(s, scratch);
    return r == HS_SUCCESS;
}

#else

struct skipper *skipper_new(str re)
{
    (void)re;
    return NULL;
}

void skipper_free(struct skipper *s)
{
    (void)s;
}

const char *skipper_name(const struct skipper *s)
{
    (void)s;
    return "none";
}

bool skipper_is_ready(const struct skipper *s)
{
    (void)s;
    return false;
}

void skipper_warm(struct skipper *s, size_t bytes)
{
    (void)s, (void)bytes;
}

bool skipper_scan(struct skipper *s, str text, skipper_hit *fn, void *arg)
{
    (void)s, (void)text, (void)fn, (void)arg;
    return false;
}
#endif
