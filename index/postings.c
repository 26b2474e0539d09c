/* index/postings.c - from matchers to streams, and the names and values there are.
 *
 * A matcher that an absent label cannot satisfy is positive: its postings are a superset of the
 * streams that match.  The positive ones are intersected, and every stream left is checked with
 * all matchers against its labels, which have to be read anyway: that takes care of the negative
 * ones, of cut keys and of values that mean "absent". */
#include <stdlib.h>

#include "base/mem.h"
#include "base/vec.h"
#include "index/internal.h"

struct prints {
    VEC(uint64_t) v; /* fingerprints; ascending once tidied */
};

static int cmp_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void prints_tidy(struct prints *p)
{
    if (p->v.len == 0)
        return;
    qsort(p->v.items, p->v.len, sizeof *p->v.items, cmp_u64);
    size_t kept = 1;
    for (size_t i = 1; i < p->v.len; i++)
        if (p->v.items[i] != p->v.items[kept - 1])
            p->v.items[kept++] = p->v.items[i];
    p->v.len = kept;
}

static void prints_intersect(struct prints *p, const struct prints *with)
{
    size_t kept = 0, k = 0;
    for (size_t i = 0; i < p->v.len; i++) {
        while (k < with->v.len && with->v.items[k] < p->v.items[i])
            k++;
        if (k < with->v.len && with->v.items[k] == p->v.items[i])
            p->v.items[kept++] = p->v.items[i];
    }
    p->v.len = kept;
}

/* All duplicates of the key the cursor stands on, a page at a time. */
static int take_postings(struct table_reader *r, MDB_cursor *cursor, MDB_val first,
                         struct prints *into)
{
    MDB_val page = first, key;
    /* With a single value GET_MULTIPLE leaves `page` as it is: that value. */
    int mdb = reader_move(r, cursor, &key, &page, MDB_GET_MULTIPLE);
    while (mdb == 0) {
        if (page.mv_size % sizeof(uint64_t) != 0)
            return E_CORRUPT;
        for (size_t at = 0; at < page.mv_size; at += sizeof(uint64_t)) {
            uint64_t be;
            memcpy(&be, (const char *)page.mv_data + at, sizeof be);
            VEC_PUSH(&into->v, __builtin_bswap64(be));
        }
        mdb = reader_move(r, cursor, &key, &page, MDB_NEXT_MULTIPLE);
    }
    return mdb == MDB_NOTFOUND ? 0 : env_code(mdb);
}

static int take_value(struct table_reader *r, MDB_cursor *cursor, str tenant, str name, str value,
                      struct prints *into)
{
    struct key k;
    key_value(&k, tenant, name, value);
    MDB_val key = mdb_of_key(&k), first;
    int mdb = reader_move(r, cursor, &key, &first, MDB_SET_KEY);
    if (mdb != 0)
        return mdb == MDB_NOTFOUND ? 0 : env_code(mdb);
    return take_postings(r, cursor, first, into);
}

/* Union over the values of the matcher's label that it accepts; a cut value is taken on trust. */
static int take_matching(struct table_reader *r, MDB_cursor *cursor, str tenant,
                         const struct matcher *m, struct prints *into)
{
    struct key prefix;
    key_name(&prefix, tenant, m->name);
    MDB_val key = mdb_of_key(&prefix), first;
    int code = 0;
    int mdb = reader_move(r, cursor, &key, &first, MDB_SET_RANGE);
    for (; mdb == 0 && code == 0 && str_has_prefix(str_of_mdb(key), key_str(&prefix));
         mdb = reader_move(r, cursor, &key, &first, MDB_NEXT_NODUP)) {
        str name, value;
        bool is_cut;
        if (!key_split_value(str_of_mdb(key), tenant, &name, &value, &is_cut)) {
            r->n_corrupt++;
            continue;
        }
        if (is_cut || matcher_is_match(m, value))
            code = take_postings(r, cursor, first, into);
    }
    return code != 0 ? code : mdb == MDB_NOTFOUND ? 0 : env_code(mdb);
}

static int take_matcher(struct table_reader *r, MDB_cursor *cursor, str tenant,
                        const struct matcher *m, struct prints *into)
{
    int code = 0;
    if (m->op == MATCH_EQ)
        return take_value(r, cursor, tenant, m->name, m->value, into);
    if (m->op == MATCH_RE && m->alts != NULL) {
        for (size_t i = 0; i < m->n_alts && code == 0; i++)
            code = take_value(r, cursor, tenant, m->name, m->alts[i], into);
    } else {
        code = take_matching(r, cursor, tenant, m, into);
    }
    prints_tidy(into);
    return code;
}

/* Every stream of the tenant. */
static int take_all(struct table_reader *r, str tenant, struct prints *into)
{
    MDB_cursor *cursor;
    int code = env_code(mdb_cursor_open(r->txn, r->table->series, &cursor));
    if (code != 0)
        return code;
    struct key prefix;
    key_tenant(&prefix, tenant);
    MDB_val key = mdb_of_key(&prefix), value;
    int mdb = reader_move(r, cursor, &key, &value, MDB_SET_RANGE);
    for (; mdb == 0 && str_has_prefix(str_of_mdb(key), key_str(&prefix));
         mdb = reader_move(r, cursor, &key, &value, MDB_NEXT)) {
        uint64_t fingerprint = 0;
        if (key.mv_size == prefix.len + 8 && key_split_series(str_of_mdb(key), &fingerprint))
            VEC_PUSH(&into->v, fingerprint);
    }
    mdb_cursor_close(cursor);
    return mdb == MDB_NOTFOUND || mdb == 0 ? 0 : env_code(mdb);
}

/* A superset of the streams that match. */
static int candidates(struct table_reader *r, str tenant, const struct matcher *ms, size_t n_ms,
                      struct prints *into)
{
    MDB_cursor *cursor;
    int code = env_code(mdb_cursor_open(r->txn, r->table->postings, &cursor));
    if (code != 0)
        return code;
    bool have = false;
    /* Exact values first: they are cheap and leave less for the rest. */
    for (int exact = 1; exact >= 0; exact--)
        for (size_t i = 0; i < n_ms && code == 0 && !(have && into->v.len == 0); i++) {
            if ((ms[i].op == MATCH_EQ) != exact || matcher_is_match(&ms[i], STR_EMPTY))
                continue;
            struct prints some = {0};
            code = take_matcher(r, cursor, tenant, &ms[i], &some);
            if (!have) {
                *into = some;
            } else {
                prints_intersect(into, &some);
                VEC_FREE(&some.v);
            }
            have = true;
        }
    mdb_cursor_close(cursor);
    return code != 0 || have ? code : take_all(r, tenant, into);
}

int table_streams(struct table_reader *r, str tenant, const struct matcher *ms, size_t n_ms,
                  struct arena *a, const struct table_stream **ret, size_t *ret_n)
{
    *ret = NULL;
    *ret_n = 0;
    if (!key_tenant_is_valid(tenant))
        return 0;
    struct prints prints = {0};
    int code = candidates(r, tenant, ms, n_ms, &prints);
    size_t n = 0;
    struct table_stream *streams = NULL;
    if (code == 0 && prints.v.len > 0) {
        streams = arena_try_alloc(a, prints.v.len * sizeof *streams);
        if (streams == NULL)
            code = E_LIMIT;
    }
    for (size_t i = 0; i < prints.v.len && code == 0; i++) {
        struct table_stream *s = &streams[n];
        s->fingerprint = prints.v.items[i];
        code = series_labels(r, tenant, s->fingerprint, a, &s->labels);
        if (code == E_NOT_FOUND || code == E_CORRUPT) { /* the others are worth having */
            r->n_corrupt++;
            code = 0;
            continue;
        }
        if (code == 0 && matchers_match(ms, n_ms, &s->labels))
            n++;
    }
    VEC_FREE(&prints.v);
    if (code != 0)
        return code;
    *ret = streams;
    *ret_n = n;
    return 0;
}

/* --- names and values --- */

/* The true name (want_value false) or value behind a cut key, from a stream that has it. */
static int add_cut(struct table_reader *r, str tenant, const struct key *at, MDB_val first,
                   str name, struct arena *scratch, struct str_set *into)
{
    uint64_t be;
    struct labels ls;
    if (first.mv_size != sizeof be)
        return E_CORRUPT;
    memcpy(&be, first.mv_data, sizeof be);
    arena_reset(scratch);
    int code = series_labels(r, tenant, __builtin_bswap64(be), scratch, &ls);
    for (size_t i = 0; i < ls.n && code == 0; i++) {
        struct key k;
        key_value(&k, tenant, ls.items[i].name, ls.items[i].value);
        if (str_eq(key_str(&k), key_str(at)) &&
            !str_set_add(into, name.ptr == NULL ? ls.items[i].name : ls.items[i].value))
            code = E_LIMIT;
    }
    return code;
}

static int each_label(struct table_reader *r, MDB_cursor *cursor, str tenant, str name,
                      struct arena *scratch, struct str_set *into)
{
    struct key prefix;
    if (name.ptr == NULL)
        key_tenant(&prefix, tenant);
    else
        key_name(&prefix, tenant, name);
    struct key at = prefix;
    MDB_val key = mdb_of_key(&at), first;
    int mdb = reader_move(r, cursor, &key, &first, MDB_SET_RANGE);
    while (mdb == 0 && str_has_prefix(str_of_mdb(key), key_str(&prefix))) {
        str key_name_part, value;
        bool is_cut;
        if (!key_split_value(str_of_mdb(key), tenant, &key_name_part, &value, &is_cut))
            return E_CORRUPT;
        int code = 0;
        memcpy(at.bytes, key.mv_data, key.mv_size);
        at.len = key.mv_size;
        if (is_cut)
            code = add_cut(r, tenant, &at, first, name, scratch, into);
        else if (!str_set_add(into, name.ptr == NULL ? key_name_part : value))
            code = E_LIMIT;
        if (code != 0)
            return code;
        if (name.ptr == NULL && !is_cut) { /* on to the next name: past all values of this one */
            size_t end = tenant.len + 1 + key_name_part.len;
            at.bytes[end] = 1;
            at.len = end + 1;
            key = mdb_of_key(&at);
            mdb = reader_move(r, cursor, &key, &first, MDB_SET_RANGE);
        } else {
            mdb = reader_move(r, cursor, &key, &first, MDB_NEXT_NODUP);
        }
    }
    return mdb == 0 || mdb == MDB_NOTFOUND ? 0 : env_code(mdb);
}

int table_labels(struct table_reader *r, str tenant, str name, struct arena *scratch,
                 struct str_set *into)
{
    if (!key_tenant_is_valid(tenant))
        return 0;
    MDB_cursor *cursor;
    int code = env_code(mdb_cursor_open(r->txn, r->table->postings, &cursor));
    if (code != 0)
        return code;
    code = each_label(r, cursor, tenant, name, scratch, into);
    mdb_cursor_close(cursor);
    return code;
}
