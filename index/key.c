#include "index/key.h"

#include "base/hash.h"
#include "base/mem.h"

/* What fits: 150 + 1 + 128 + 1 + 231 = 511. */
#define NAME_BYTES_MAX  128
#define VALUE_BYTES_MAX (KEY_BYTES_MAX - KEY_TENANT_BYTES_MAX - NAME_BYTES_MAX - 2)
/* A cut part: so many of its bytes, a byte that no UTF-8 text has, a hash. */
#define CUT_MARK       0xff
#define CUT_HASH_BYTES 8

static void put(struct key *k, const void *bytes, size_t n)
{
    ASSERT(n <= sizeof k->bytes - k->len);
    if (n > 0)
        memcpy(k->bytes + k->len, bytes, n);
    k->len += n;
}

static void put_u64(struct key *k, uint64_t v)
{
    uint64_t be = __builtin_bswap64(v);
    put(k, &be, sizeof be);
}

static uint64_t get_u64(const char *p)
{
    uint64_t be;
    memcpy(&be, p, sizeof be);
    return __builtin_bswap64(be);
}

/* Signed numbers in the order of their value. */
static uint64_t order_i64(int64_t v)
{
    return (uint64_t)v ^ ((uint64_t)1 << 63);
}

static void put_part(struct key *k, str part, size_t max)
{
    static const unsigned char mark = CUT_MARK;
    if (part.len <= max) {
        put(k, part.ptr, part.len);
        return;
    }
    put(k, part.ptr, max - 1 - CUT_HASH_BYTES);
    put(k, &mark, 1);
    put_u64(k, hash_xxh64(part, 0));
}

static bool part_is_cut(str part, size_t max)
{
    return part.len == max && (unsigned char)part.ptr[max - 1 - CUT_HASH_BYTES] == CUT_MARK;
}

bool key_tenant_is_valid(str tenant)
{
    return tenant.len > 0 && tenant.len <= KEY_TENANT_BYTES_MAX &&
           str_find_char(tenant, '\0') == STR_NPOS;
}

void key_tenant(struct key *k, str tenant)
{
    k->len = 0;
    put(k, tenant.ptr, tenant.len);
    put(k, "", 1);
}

void key_series(struct key *k, str tenant, uint64_t fingerprint)
{
    key_tenant(k, tenant);
    put_u64(k, fingerprint);
}

void key_name(struct key *k, str tenant, str name)
{
    key_tenant(k, tenant);
    put_part(k, name, NAME_BYTES_MAX);
    put(k, "", 1);
}

void key_value(struct key *k, str tenant, str name, str value)
{
    key_name(k, tenant, name);
    put_part(k, value, VALUE_BYTES_MAX);
}

void key_chunk(struct key *k, str tenant, uint64_t fingerprint, int64_t from_ns, uint64_t id)
{
    key_series(k, tenant, fingerprint);
    put_u64(k, order_i64(from_ns));
    put_u64(k, id);
}

void key_blob(struct key *k, uint64_t id)
{
    k->len = 0;
    put_u64(k, id);
}

bool key_split_value(str key, str tenant, str *ret_name, str *ret_value, bool *ret_is_cut)
{
    if (key.len <= tenant.len || !str_has_prefix(key, tenant) || key.ptr[tenant.len] != '\0')
        return false;
    str rest = str_from(key, tenant.len + 1);
    /* A hash may hold a NUL, so the end of a cut name is known by its length. */
    size_t name_len =
        rest.len > NAME_BYTES_MAX && part_is_cut(str_sub(rest, 0, NAME_BYTES_MAX), NAME_BYTES_MAX)
            ? NAME_BYTES_MAX
            : str_find_char(rest, '\0');
    if (name_len == STR_NPOS || rest.ptr[name_len] != '\0')
        return false;
    *ret_name = str_sub(rest, 0, name_len);
    *ret_value = str_from(rest, name_len + 1);
    *ret_is_cut =
        part_is_cut(*ret_name, NAME_BYTES_MAX) || part_is_cut(*ret_value, VALUE_BYTES_MAX);
    return true;
}

bool key_split_chunk(str key, int64_t *ret_from_ns, uint64_t *ret_id)
{
    if (key.len < 16)
        return false;
    *ret_from_ns = (int64_t)order_i64((int64_t)get_u64(key.ptr + key.len - 16));
    *ret_id = get_u64(key.ptr + key.len - 8);
    return true;
}

bool key_split_series(str key, uint64_t *ret_fingerprint)
{
    if (key.len < 8)
        return false;
    *ret_fingerprint = get_u64(key.ptr + key.len - 8);
    return true;
}
