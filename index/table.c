#include "index/internal.h"

#include "base/cursor.h"
#include "base/mem.h"
#include "base/vec.h"

/* What is known of a chunk, as a value: six fixed numbers. */
#define CHUNK_VALUE_BYTES 40

int64_t table_day_of(int64_t ts_ns)
{
    int64_t day = ts_ns / TABLE_PERIOD_NS;
    return day - (ts_ns % TABLE_PERIOD_NS < 0);
}

static int open_dbs(MDB_txn *txn, void *arg)
{
    struct table *t = arg;
    const struct {
        const char *name;
        unsigned flags;
        MDB_dbi *dbi;
    } dbs[] = {
        {"series", 0, &t->series},
        {"postings", MDB_DUPSORT | MDB_DUPFIXED, &t->postings},
        {"chunks", 0, &t->chunks},
        {"blobs", 0, &t->blobs},
    };
    for (size_t i = 0; i < ARRAY_LEN(dbs); i++) {
        int code = mdb_dbi_open(txn, dbs[i].name, dbs[i].flags | MDB_CREATE, dbs[i].dbi);
        if (code != 0)
            return env_code(code);
    }
    return 0;
}

int table_open(const char *dir, bool create, size_t map_bytes, struct table **ret,
               struct error *err)
{
    struct table *t = mem_zalloc(sizeof *t);
    int code = env_open(dir, create, map_bytes, &t->env, err);
    if (code == 0) {
        code = env_write(t->env, open_dbs, t);
        if (code != 0)
            error_set(err, code, "%s: %s", dir, status_text(code));
    }
    if (code != 0) {
        table_close(t);
        return code;
    }
    *ret = t;
    return 0;
}

void table_close(struct table *t)
{
    if (t == NULL)
        return;
    env_close(t->env);
    mem_free(t);
}

/* --- labels as bytes --- */

bool series_put_labels(struct buf *out, const struct labels *ls)
{
    bool ok = buf_put_uvarint(out, ls->n);
    for (size_t i = 0; i < ls->n; i++)
        ok =
            ok && buf_put_lenstr(out, ls->items[i].name) && buf_put_lenstr(out, ls->items[i].value);
    return ok;
}

int series_get_labels(str bytes, struct arena *a, struct labels *ret)
{
    struct cursor c = cursor_make(bytes);
    uint64_t n = cursor_uvarint(&c);
    if (n > cursor_left(&c))
        return E_CORRUPT;
    struct label *items = arena_try_alloc(a, n * sizeof *items);
    if (items == NULL)
        return E_LIMIT;
    for (uint64_t i = 0; i < n; i++) {
        items[i].name = cursor_lenstr(&c);
        items[i].value = cursor_lenstr(&c);
    }
    if (!cursor_ok(&c) || !cursor_at_end(&c))
        return E_CORRUPT;
    *ret = (struct labels){items, n};
    return 0;
}

int series_labels(struct table_reader *r, str tenant, uint64_t fingerprint, struct arena *a,
                  struct labels *ret)
{
    struct key k;
    key_series(&k, tenant, fingerprint);
    str value;
    int code = env_code(reader_get(r, r->table->series, &k, &value));
    return code != 0 ? code : series_get_labels(value, a, ret);
}

/* --- writing --- */

static bool put_chunk_value(struct buf *out, const struct table_chunk *c)
{
    return buf_put_u64(out, (uint64_t)c->through_ns) && buf_put_u32(out, c->entries) &&
           buf_put_u32(out, c->blocks) && buf_put_u32(out, c->bytes) &&
           buf_put_u32(out, 0) /* not used */ && buf_put_u64(out, c->line_bytes) &&
           buf_put_u64(out, c->meta_bytes);
}

static bool get_chunk_value(str key, str value, struct table_chunk *ret)
{
    struct cursor c = cursor_make(value);
    *ret = (struct table_chunk){0};
    ret->through_ns = (int64_t)cursor_u64(&c);
    ret->entries = cursor_u32(&c);
    ret->blocks = cursor_u32(&c);
    ret->bytes = cursor_u32(&c);
    cursor_u32(&c);
    ret->line_bytes = cursor_u64(&c);
    ret->meta_bytes = cursor_u64(&c);
    return cursor_ok(&c) && cursor_at_end(&c) && key_split_chunk(key, &ret->from_ns, &ret->id);
}

static int put_postings(MDB_txn *txn, struct table *t, const struct table_put *p)
{
    uint64_t be = __builtin_bswap64(p->fingerprint);
    for (size_t i = 0; i < p->labels.n; i++) {
        struct key k;
        key_value(&k, p->tenant, p->labels.items[i].name, p->labels.items[i].value);
        MDB_val key = mdb_of_key(&k), value = {sizeof be, &be};
        int code = mdb_put(txn, t->postings, &key, &value, MDB_NODUPDATA);
        if (code != 0 && code != MDB_KEYEXIST)
            return env_code(code);
    }
    return 0;
}

/* Finds or adds the stream.  Other labels with this fingerprint: the next number is tried, so that
 * a collision, even one made on purpose, mixes nothing up. */
static int put_series(MDB_txn *txn, struct table *t, struct table_put *p, struct buf *labels)
{
    buf_reset(labels);
    if (!series_put_labels(labels, &p->labels))
        return E_NO_MEMORY;
    for (;; p->fingerprint++) {
        struct key k;
        key_series(&k, p->tenant, p->fingerprint);
        MDB_val key = mdb_of_key(&k), value;
        int code = mdb_get(txn, t->series, &key, &value);
        if (code == 0 && str_eq(str_of_mdb(value), buf_str(labels)))
            return 0;
        if (code == 0)
            continue;
        if (code != MDB_NOTFOUND)
            return env_code(code);
        value = mdb_of_str(buf_str(labels));
        code = mdb_put(txn, t->series, &key, &value, 0);
        return code != 0 ? env_code(code) : put_postings(txn, t, p);
    }
}

static int put_blob(MDB_txn *txn, struct table *t, struct table_put *p)
{
    MDB_val value;
    int code;
    for (;; p->chunk.id++) {
        struct key k;
        key_blob(&k, p->chunk.id);
        MDB_val key = mdb_of_key(&k);
        value = (MDB_val){p->chunk.bytes, NULL};
        code = mdb_put(txn, t->blobs, &key, &value, MDB_RESERVE | MDB_NOOVERWRITE);
        if (code != MDB_KEYEXIST)
            break;
    }
    if (code != 0)
        return env_code(code);
    char *at = value.mv_data;
    for (size_t i = 0; i < p->n_pieces; i++) {
        ASSERT((size_t)(at - (char *)value.mv_data) + p->pieces[i].len <= p->chunk.bytes);
        memcpy(at, p->pieces[i].ptr, p->pieces[i].len);
        at += p->pieces[i].len;
    }
    ASSERT((size_t)(at - (char *)value.mv_data) == p->chunk.bytes);
    return 0;
}

static int put_chunk(MDB_txn *txn, struct table *t, struct table_put *p, struct buf *scratch)
{
    int code = put_series(txn, t, p, scratch);
    if (code == 0)
        code = put_blob(txn, t, p);
    if (code != 0)
        return code;
    buf_reset(scratch);
    if (!put_chunk_value(scratch, &p->chunk))
        return E_NO_MEMORY;
    ASSERT(scratch->len == CHUNK_VALUE_BYTES);
    struct key k;
    key_chunk(&k, p->tenant, p->fingerprint, p->chunk.from_ns, p->chunk.id);
    MDB_val key = mdb_of_key(&k), value = mdb_of_str(buf_str(scratch));
    return env_code(mdb_put(txn, t->chunks, &key, &value, 0));
}

struct write_args {
    struct table *table;
    struct table_put *puts;
    size_t n;
};

static int write_body(MDB_txn *txn, void *arg)
{
    struct write_args *w = arg;
    struct buf scratch;
    buf_init(&scratch, BUF_NO_LIMIT);
    int code = 0;
    for (size_t i = 0; i < w->n && code == 0; i++)
        code = put_chunk(txn, w->table, &w->puts[i], &scratch);
    buf_deinit(&scratch);
    return code;
}

int table_write(struct table *t, struct table_put *puts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!key_tenant_is_valid(puts[i].tenant))
            return E_INVALID;
    struct write_args w = {t, puts, n};
    return env_write(t->env, write_body, &w);
}

/* --- reading --- */

int table_read_begin(struct table *t, struct table_reader **ret)
{
    MDB_txn *txn;
    int code = env_read_begin(t->env, &txn);
    if (code != 0)
        return code;
    struct table_reader *r = mem_zalloc(sizeof *r);
    r->table = t;
    r->txn = txn;
    r->bytes = env_bytes(t->env);
    *ret = r;
    return 0;
}

void table_read_end(struct table_reader *r)
{
    if (r == NULL)
        return;
    env_read_end(r->table->env, r->txn);
    mem_free(r);
}

size_t table_reader_corrupt(const struct table_reader *r)
{
    return r->n_corrupt;
}

static bool is_inside(const struct table_reader *r, MDB_val v)
{
    uintptr_t from = (uintptr_t)r->bytes.ptr, at = (uintptr_t)v.mv_data;
    return r->bytes.ptr == NULL ||
           (at >= from && at - from <= r->bytes.len && v.mv_size <= r->bytes.len - (at - from));
}

int reader_get(struct table_reader *r, MDB_dbi dbi, const struct key *k, str *ret)
{
    MDB_val key = mdb_of_key(k), value;
    int mdb = mdb_get(r->txn, dbi, &key, &value);
    if (mdb == 0 && !is_inside(r, value))
        mdb = MDB_CORRUPTED;
    *ret = mdb == 0 ? str_of_mdb(value) : (str){NULL, 0};
    return mdb;
}

int reader_move(struct table_reader *r, MDB_cursor *cursor, MDB_val *key, MDB_val *value,
                MDB_cursor_op op)
{
    /* Over the duplicates of a key, the key is not given again. */
    bool has_key = op != MDB_GET_MULTIPLE && op != MDB_NEXT_MULTIPLE;
    int mdb = mdb_cursor_get(cursor, key, value, op);
    if (mdb == 0 && !is_inside(r, *value))
        mdb = MDB_CORRUPTED;
    if (mdb == 0 && has_key && (key->mv_size > KEY_BYTES_MAX || !is_inside(r, *key)))
        mdb = MDB_CORRUPTED;
    return mdb;
}

/* Walks the chunks of a stream that touch [from, to); fn returns false to stop. */
static int each_chunk(struct table_reader *r, str tenant, uint64_t fingerprint, int64_t from_ns,
                      int64_t to_ns, bool (*fn)(void *arg, const struct table_chunk *c), void *arg)
{
    MDB_cursor *cursor;
    int code = env_code(mdb_cursor_open(r->txn, r->table->chunks, &cursor));
    if (code != 0)
        return code;
    struct key prefix;
    key_series(&prefix, tenant, fingerprint);
    MDB_val key = mdb_of_key(&prefix), value;
    int mdb = reader_move(r, cursor, &key, &value, MDB_SET_RANGE);
    for (; mdb == 0 && str_has_prefix(str_of_mdb(key), key_str(&prefix));
         mdb = reader_move(r, cursor, &key, &value, MDB_NEXT)) {
        struct table_chunk c;
        if (!get_chunk_value(str_of_mdb(key), str_of_mdb(value), &c)) {
            r->n_corrupt++;
            continue;
        }
        if (c.from_ns >= to_ns) /* keys are in order of from */
            break;
        if (c.through_ns >= from_ns && !fn(arg, &c))
            break;
    }
    mdb_cursor_close(cursor);
    if (code == 0 && mdb != 0 && mdb != MDB_NOTFOUND)
        code = env_code(mdb);
    return code;
}

struct collect_chunks {
    VEC(struct table_chunk) found;
};

static bool collect_chunk(void *arg, const struct table_chunk *c)
{
    struct collect_chunks *w = arg;
    VEC_PUSH(&w->found, *c);
    return true;
}

int table_chunks(struct table_reader *r, str tenant, uint64_t fingerprint, int64_t from_ns,
                 int64_t to_ns, bool with_blobs, struct arena *a, const struct table_chunk **ret,
                 size_t *ret_n)
{
    struct collect_chunks w = {0};
    int code = each_chunk(r, tenant, fingerprint, from_ns, to_ns, collect_chunk, &w);
    struct table_chunk *chunks = NULL;
    if (code == 0 && w.found.len > 0) {
        chunks = arena_try_alloc(a, w.found.len * sizeof *chunks);
        if (chunks == NULL)
            code = E_LIMIT;
        else
            memcpy(chunks, w.found.items, w.found.len * sizeof *chunks);
    }
    for (size_t i = 0; code == 0 && with_blobs && i < w.found.len; i++) {
        struct key k;
        key_blob(&k, chunks[i].id);
        /* Without bytes it is shown all the same: no chunk has none, so whoever opens it knows. */
        code = env_code(reader_get(r, r->table->blobs, &k, &chunks[i].blob));
        if (code == E_NOT_FOUND || code == E_CORRUPT)
            code = 0;
    }
    *ret = chunks;
    *ret_n = code == 0 ? w.found.len : 0;
    VEC_FREE(&w.found);
    return code;
}

static bool stop_at_first(void *arg, const struct table_chunk *c)
{
    (void)c;
    *(bool *)arg = true;
    return false;
}

bool table_has_chunk(struct table_reader *r, str tenant, uint64_t fingerprint, int64_t from_ns,
                     int64_t to_ns)
{
    bool found = false;
    each_chunk(r, tenant, fingerprint, from_ns, to_ns, stop_at_first, &found);
    return found;
}
