/* index/key.h - the keys of a day table's databases: bytes whose order is the order we look in.
 *
 * Format: docs/formats.md.  Pure functions, any thread. */
#pragma once
#include "base/buf.h"

#define KEY_BYTES_MAX        511 /* LMDB's own limit */
#define KEY_TENANT_BYTES_MAX 150 /* as Loki's limit on X-Scope-OrgID */

struct key {
    unsigned char bytes[KEY_BYTES_MAX];
    size_t len;
};

static inline str key_str(const struct key *k)
{
    return str_make((const char *)k->bytes, k->len);
}

/* True if the tenant can stand in a key: not empty, not too long, no NUL byte. */
bool key_tenant_is_valid(str tenant);

/* tenant NUL: what all keys of a tenant begin with. */
void key_tenant(struct key *k, str tenant);
/* series: tenant NUL fingerprint. */
void key_series(struct key *k, str tenant, uint64_t fingerprint);
/* postings: tenant NUL name NUL; all values of a label begin so. */
void key_name(struct key *k, str tenant, str name);
/* postings: tenant NUL name NUL value.  A name or a value too long for a key is cut and ends in a
 * hash of the whole. */
void key_value(struct key *k, str tenant, str name, str value);
/* chunks: tenant NUL fingerprint from id. */
void key_chunk(struct key *k, str tenant, uint64_t fingerprint, int64_t from_ns, uint64_t id);
/* blobs: id. */
void key_blob(struct key *k, uint64_t id);

/* The name and the value in a key of postings; false if it is not one of `tenant`.  *ret_is_cut:
 * one of them was too long, the true one stands in the labels of the streams. */
bool key_split_value(str key, str tenant, str *ret_name, str *ret_value, bool *ret_is_cut);
/* The numbers at the end of a key of chunks. */
bool key_split_chunk(str key, int64_t *ret_from_ns, uint64_t *ret_id);
/* The fingerprint at the end of a key of series. */
bool key_split_series(str key, uint64_t *ret_fingerprint);
