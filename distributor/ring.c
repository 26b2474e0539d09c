#include "distributor/ring.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "proto/json_writer.h"

struct token {
    uint32_t value;
    uint32_t instance;
};

struct ring {
    pthread_rwlock_t lock; /* protects the rest; strings are never changed or freed */
    struct ring_instance instances[RING_INSTANCES_MAX];
    size_t n;
    struct token *tokens; /* sorted by value */
    size_t n_tokens;
    struct arena names;
};

struct ring *ring_new(void)
{
    struct ring *r = mem_zalloc(sizeof *r);
    pthread_rwlock_init(&r->lock, NULL);
    arena_init(&r->names, BUF_NO_LIMIT);
    return r;
}

void ring_free(struct ring *r)
{
    if (r == NULL)
        return;
    pthread_rwlock_destroy(&r->lock);
    arena_deinit(&r->names);
    mem_free(r->tokens);
    mem_free(r);
}

/* The lock is no part of what a const ring promises. */
static pthread_rwlock_t *lock_of(const struct ring *r)
{
    return (pthread_rwlock_t *)&r->lock;
}

static int by_value(const void *a, const void *b)
{
    const struct token *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->instance < y->instance ? -1 : x->instance > y->instance;
}

static void add_tokens(struct ring *r, str id, uint32_t instance)
{
    r->tokens =
        mem_realloc(r->tokens, (r->n_tokens + RING_TOKENS_PER_INSTANCE) * sizeof *r->tokens);
    for (uint64_t i = 0; i < RING_TOKENS_PER_INSTANCE; i++)
        r->tokens[r->n_tokens++] = (struct token){(uint32_t)hash_xxh64(id, i), instance};
    qsort(r->tokens, r->n_tokens, sizeof *r->tokens, by_value);
}

static struct ring_instance *find(struct ring *r, str id)
{
    for (size_t i = 0; i < r->n; i++)
        if (str_eq(r->instances[i].id, id))
            return &r->instances[i];
    return NULL;
}

int ring_add(struct ring *r, const struct ring_instance *instance)
{
    pthread_rwlock_wrlock(&r->lock);
    int code = E_FULL;
    if (find(r, instance->id) != NULL) {
        code = E_EXISTS;
    } else if (r->n < RING_INSTANCES_MAX) {
        struct ring_instance *i = &r->instances[r->n];
        *i = *instance;
        i->id = arena_str(&r->names, instance->id);
        i->addr = arena_str(&r->names, instance->addr);
        i->zone = arena_str(&r->names, instance->zone);
        add_tokens(r, i->id, (uint32_t)r->n);
        code = (int)r->n++;
    }
    pthread_rwlock_unlock(&r->lock);
    return code;
}

int ring_set_state(struct ring *r, str id, enum ring_state state)
{
    pthread_rwlock_wrlock(&r->lock);
    struct ring_instance *i = find(r, id);
    if (i != NULL)
        i->state = state;
    pthread_rwlock_unlock(&r->lock);
    return i == NULL ? E_NOT_FOUND : 0;
}

size_t ring_count(const struct ring *r)
{
    pthread_rwlock_rdlock(lock_of(r));
    size_t n = r->n;
    pthread_rwlock_unlock(lock_of(r));
    return n;
}

struct ring_instance ring_at(const struct ring *r, size_t i)
{
    pthread_rwlock_rdlock(lock_of(r));
    ASSERT(i < r->n);
    struct ring_instance copy = r->instances[i];
    pthread_rwlock_unlock(lock_of(r));
    return copy;
}

uint32_t ring_key(str tenant, uint64_t labels_hash)
{
    uint32_t key = hash_fnv32(HASH_FNV32_START, tenant);
    return hash_fnv32(key, str_make((const char *)&labels_hash, sizeof labels_hash));
}

/* Index of the first token at or after `key`, 0 past the last: the circle closes. */
static size_t first_token(const struct ring *r, uint32_t key)
{
    size_t lo = 0, hi = r->n_tokens;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->tokens[mid].value < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo == r->n_tokens ? 0 : lo;
}

static bool is_taken(const unsigned *taken, size_t n, unsigned instance)
{
    for (size_t i = 0; i < n; i++)
        if (taken[i] == instance)
            return true;
    return false;
}

size_t ring_replicas(const struct ring *r, uint32_t key, size_t wanted,
                     unsigned ret[RING_REPLICAS_MAX])
{
    size_t found = 0;
    wanted = MIN(wanted, (size_t)RING_REPLICAS_MAX);
    pthread_rwlock_rdlock(lock_of(r));
    size_t at = r->n_tokens > 0 ? first_token(r, key) : 0;
    for (size_t i = 0; i < r->n_tokens && found < wanted; i++) {
        unsigned instance = r->tokens[(at + i) % r->n_tokens].instance;
        if (r->instances[instance].state == RING_ACTIVE && !is_taken(ret, found, instance))
            ret[found++] = instance;
    }
    pthread_rwlock_unlock(lock_of(r));
    return found;
}

const char *ring_state_text(enum ring_state state)
{
    static const char *const texts[] = {"PENDING", "JOINING", "ACTIVE", "LEAVING", "LEFT"};
    return texts[state];
}

/* Part of the circle that ends at tokens of the instance, 0 to 1. */
static double ownership(const struct ring *r, unsigned instance)
{
    uint64_t owned = 0;
    for (size_t i = 0; i < r->n_tokens; i++) {
        uint32_t before = r->tokens[i == 0 ? r->n_tokens - 1 : i - 1].value;
        if (r->tokens[i].instance == instance)
            owned += (uint32_t)(r->tokens[i].value - before);
    }
    return r->n_tokens == 0 ? 0 : (double)owned / 4294967296.0;
}

static int64_t heartbeat(const struct ring_instance *i, int64_t now_ns)
{
    return i->heartbeat_ns == 0 ? now_ns : i->heartbeat_ns;
}

void ring_print_json(const struct ring *r, int64_t now_ns, struct buf *out)
{
    struct json_writer w;
    struct buf text;
    buf_init(&text, 256);
    jsonw_writer_init(&w, out);
    jsonw_begin_object(&w);
    jsonw_key_c(&w, "shards");
    jsonw_begin_array(&w);
    pthread_rwlock_rdlock(lock_of(r));
    for (unsigned i = 0; i < r->n; i++) {
        const struct ring_instance *one = &r->instances[i];
        jsonw_begin_object(&w);
        jsonw_key_c(&w, "id");
        jsonw_string(&w, one->id);
        jsonw_key_c(&w, "state");
        jsonw_string(&w, str_c(ring_state_text(one->state)));
        jsonw_key_c(&w, "address");
        jsonw_string(&w, one->addr);
        jsonw_key_c(&w, "timestamp");
        buf_reset(&text);
        rfc3339_append(&text, heartbeat(one, now_ns));
        jsonw_string(&w, buf_str(&text));
        jsonw_key_c(&w, "zone");
        jsonw_string(&w, one->zone);
        jsonw_key_c(&w, "tokens");
        jsonw_u64(&w, RING_TOKENS_PER_INSTANCE);
        jsonw_key_c(&w, "ownership");
        jsonw_float(&w, ownership(r, i));
        jsonw_end_object(&w);
    }
    pthread_rwlock_unlock(lock_of(r));
    jsonw_end_array(&w);
    jsonw_end_object(&w);
    buf_deinit(&text);
}

static void html_text(struct buf *out, str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '<' || c == '>' || c == '&' || c == '"')
            buf_printf(out, "&#%d;", c);
        else
            buf_append_char(out, c);
    }
}

void ring_print_html(const struct ring *r, int64_t now_ns, struct buf *out)
{
    buf_append_c(out, "<!DOCTYPE html>\n<html><head><meta charset=\"UTF-8\"><title>Ring status"
                      "</title></head><body>\n<h1>Ring status</h1>\n<table border=\"1\"><thead><tr>"
                      "<th>Instance ID</th><th>Zone</th><th>State</th><th>Address</th>"
                      "<th>Last heartbeat</th><th>Tokens</th><th>Ownership</th></tr></thead>\n");
    pthread_rwlock_rdlock(lock_of(r));
    for (unsigned i = 0; i < r->n; i++) {
        const struct ring_instance *one = &r->instances[i];
        buf_append_c(out, "<tr><td>");
        html_text(out, one->id);
        buf_append_c(out, "</td><td>");
        html_text(out, one->zone);
        buf_printf(out, "</td><td>%s</td><td>", ring_state_text(one->state));
        html_text(out, one->addr);
        buf_append_c(out, "</td><td>");
        duration_append_go(out, now_ns - heartbeat(one, now_ns));
        buf_printf(out, " ago</td><td>%d</td><td>%.1f%%</td></tr>\n", RING_TOKENS_PER_INSTANCE,
                   ownership(r, i) * 100);
    }
    pthread_rwlock_unlock(lock_of(r));
    buf_append_c(out, "</table></body></html>\n");
}
