#include "base/tzone.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/civil.h"
#include "base/cursor.h"
#include "base/mem.h"
#include "base/tzrule.h"

#define ZONEINFO_DIR   "/usr/share/zoneinfo/"
#define TZIF_BYTES_MAX (256 * 1024) /* the largest real file is below 4 KiB */
#define NAME_MAX_BYTES 255

struct zone_type {
    int32_t offset_s;
    bool is_dst;
    char name[TZRULE_NAME_MAX + 1];
};

struct transition {
    int64_t at_s;
    uint8_t type;
};

struct tzone {
    char *name;
    struct zone_type *types;
    size_t n_types;
    struct transition *transitions; /* at least one */
    size_t n_transitions;
    bool has_rule; /* what holds behind the last transition */
    struct tzrule rule;
};

/* The six counts of a TZif header. */
struct counts {
    uint32_t utc, std, leap, times, types, chars;
};

static bool read_header(struct cursor *c, char *ret_version, struct counts *n)
{
    str magic = cursor_bytes(c, 4);
    *ret_version = (char)cursor_u8(c);
    cursor_bytes(c, 15); /* reserved */
    n->utc = cursor_u32_be(c);
    n->std = cursor_u32_be(c);
    n->leap = cursor_u32_be(c);
    n->times = cursor_u32_be(c);
    n->types = cursor_u32_be(c);
    n->chars = cursor_u32_be(c);
    return cursor_ok(c) && str_eq(magic, STR("TZif"));
}

/* Bytes of the data block that follows a header. */
static uint64_t block_bytes(const struct counts *n, unsigned time_size)
{
    return (uint64_t)n->times * (time_size + 1) + (uint64_t)n->types * 6 + n->chars +
           (uint64_t)n->leap * (time_size + 4) + n->std + n->utc;
}

static bool read_types(struct tzone *z, str types, str abbrevs)
{
    struct cursor c = cursor_make(types);
    z->types = mem_array(z->n_types, sizeof *z->types);
    for (size_t i = 0; i < z->n_types; i++) {
        z->types[i].offset_s = (int32_t)cursor_u32_be(&c);
        z->types[i].is_dst = cursor_u8(&c) != 0;
        size_t at = cursor_u8(&c);
        if (at >= abbrevs.len)
            return false;
        str name = str_from(abbrevs, at);
        size_t end = str_find_char(name, '\0');
        name = str_sub(name, 0, MIN(end, (size_t)TZRULE_NAME_MAX));
        memcpy(z->types[i].name, name.ptr, name.len);
    }
    return cursor_ok(&c);
}

static bool read_transitions(struct tzone *z, str times, str indexes, bool wide)
{
    struct cursor c = cursor_make(times);
    z->transitions = mem_array(MAX(indexes.len, (size_t)1), sizeof *z->transitions);
    z->n_transitions = indexes.len;
    for (size_t i = 0; i < indexes.len; i++) {
        z->transitions[i].at_s =
            wide ? (int64_t)cursor_u64_be(&c) : (int64_t)(int32_t)cursor_u32_be(&c);
        z->transitions[i].type = (uint8_t)indexes.ptr[i];
        if (z->transitions[i].type >= z->n_types)
            return false;
    }
    if (indexes.len == 0) { /* fixed zones have none: one that covers all time */
        z->transitions[0].at_s = INT64_MIN;
        z->n_transitions = 1;
    }
    return cursor_ok(&c);
}

static bool read_all(struct tzone *z, str tzif)
{
    struct cursor c = cursor_make(tzif);
    struct counts n;
    char version;
    if (!read_header(&c, &version, &n))
        return false;
    bool wide = version >= '2';
    if (wide) { /* everything comes twice; the second time with 64 bits */
        cursor_bytes(&c, block_bytes(&n, 4));
        if (!read_header(&c, &version, &n))
            return false;
    }
    unsigned time_size = wide ? 8 : 4;
    str times = cursor_bytes(&c, (uint64_t)n.times * time_size);
    str indexes = cursor_bytes(&c, n.times);
    str types = cursor_bytes(&c, (uint64_t)n.types * 6);
    str abbrevs = cursor_bytes(&c, n.chars);
    cursor_bytes(&c, (uint64_t)n.leap * (time_size + 4) + n.std + n.utc);
    if (!cursor_ok(&c) || n.types == 0)
        return false;
    z->n_types = n.types;
    if (!read_types(z, types, abbrevs) || !read_transitions(z, times, indexes, wide))
        return false;
    str footer = str_make((const char *)c.at, cursor_left(&c));
    if (footer.len > 2 && footer.ptr[0] == '\n' && footer.ptr[footer.len - 1] == '\n')
        z->has_rule = tzrule_parse(str_sub(footer, 1, footer.len - 1), &z->rule);
    return true;
}

int tzone_parse(str name, str tzif, struct tzone **ret, struct error *err)
{
    struct tzone *z = mem_zalloc(sizeof *z);
    z->name = str_dup_c(name);
    if (!read_all(z, tzif)) {
        tzone_free(z);
        return error_set(err, E_CORRUPT, "malformed time zone information");
    }
    *ret = z;
    return 0;
}

static int load_file(str name, const char *path, struct tzone **ret, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *bytes = fd < 0 ? NULL : mem_try_alloc(TZIF_BYTES_MAX);
    size_t len = 0;
    ssize_t n = -1;
    if (bytes != NULL)
        while (len < TZIF_BYTES_MAX && (n = read(fd, bytes + len, TZIF_BYTES_MAX - len)) > 0)
            len += (size_t)n;
    if (fd >= 0)
        close(fd);
    int rc = n < 0 ? error_set(err, E_NOT_FOUND, "unknown time zone %.*s", STR_ARG(name))
                   : tzone_parse(name, str_make(bytes, len), ret, err);
    mem_free(bytes);
    return rc;
}

static int load_local(struct tzone **ret)
{
    const char *tz = getenv("TZ");
    int rc;
    if (tz == NULL)
        rc = load_file(STR("Local"), "/etc/localtime", ret, NULL);
    else if (tz[0] == ':' ? tz[1] == '/' : tz[0] == '/')
        rc = load_file(STR("Local"), tz + (tz[0] == ':'), ret, NULL);
    else
        rc = tzone_load(str_c(tz + (tz[0] == ':')), ret, NULL);
    if (rc != 0)
        *ret = NULL; /* as Go: UTC if all else fails */
    return 0;
}

int tzone_load(str name, struct tzone **ret, struct error *err)
{
    if (name.len == 0 || str_eq(name, STR("UTC"))) {
        *ret = NULL;
        return 0;
    }
    if (str_eq(name, STR("Local")))
        return load_local(ret);
    if (str_contains(name, STR("..")) || name.ptr[0] == '/' || name.ptr[0] == '\\')
        return error_set(err, E_INVALID, "time: invalid location name");
    if (name.len > NAME_MAX_BYTES || str_find_char(name, '\0') != STR_NPOS)
        return error_set(err, E_NOT_FOUND, "unknown time zone %.*s", STR_ARG(name));
    char path[sizeof ZONEINFO_DIR + NAME_MAX_BYTES];
    snprintf(path, sizeof path, "%s%.*s", ZONEINFO_DIR, STR_ARG(name));
    return load_file(name, path, ret, err);
}

void tzone_free(struct tzone *z)
{
    if (z == NULL)
        return;
    mem_free(z->name);
    mem_free(z->types);
    mem_free(z->transitions);
    mem_free(z);
}

str tzone_name(const struct tzone *z)
{
    return z == NULL ? STR("UTC") : str_c(z->name);
}

/* What held before the first transition: the type the standard asks for, 0, unless a transition
 * uses it too; then the first one that is not daylight saving. */
static const struct zone_type *first_type(const struct tzone *z)
{
    bool used = false;
    for (size_t i = 0; i < z->n_transitions; i++)
        used = used || z->transitions[i].type == 0;
    if (!used)
        return &z->types[0];
    const struct zone_type *first = &z->types[z->transitions[0].type];
    if (first->is_dst)
        for (const struct zone_type *t = first; t-- > z->types;)
            if (!t->is_dst)
                return t;
    for (size_t i = 0; i < z->n_types; i++)
        if (!z->types[i].is_dst)
            return &z->types[i];
    return &z->types[0];
}

static struct tzone_period period_of(const struct zone_type *t, int64_t start_s, int64_t end_s)
{
    return (struct tzone_period){t->name, t->offset_s, t->is_dst, start_s, end_s};
}

struct tzone_period tzone_at(const struct tzone *z, int64_t unix_s)
{
    if (z == NULL)
        return (struct tzone_period){"UTC", 0, false, INT64_MIN, INT64_MAX};
    const struct transition *tx = z->transitions;
    if (unix_s < tx[0].at_s)
        return period_of(first_type(z), INT64_MIN, tx[0].at_s);
    size_t lo = 0, hi = z->n_transitions; /* the last transition that is not after unix_s */
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (unix_s < tx[mid].at_s)
            hi = mid;
        else
            lo = mid;
    }
    if (lo + 1 < z->n_transitions)
        return period_of(&z->types[tx[lo].type], tx[lo].at_s, tx[lo + 1].at_s);
    if (z->has_rule) {
        struct tzrule_period p = tzrule_at(&z->rule, unix_s);
        return (struct tzone_period){p.name, p.offset_s, p.is_dst, p.start_s, p.end_s};
    }
    return period_of(&z->types[tx[lo].type], tx[lo].at_s, INT64_MAX);
}

int64_t tzone_from_local(const struct tzone *z, int64_t local_s)
{
    struct tzone_period p = tzone_at(z, local_s);
    if (p.offset_s == 0)
        return local_s;
    int64_t utc = local_s - p.offset_s;
    if (utc < p.start_s || utc >= p.end_s)
        p = tzone_at(z, utc);
    return local_s - p.offset_s;
}

bool tzone_find_name(const struct tzone *z, str abbrev, int64_t local_s, int32_t *ret_offset_s)
{
    if (z == NULL)
        return false;
    const struct zone_type *any = NULL;
    for (size_t i = 0; i < z->n_types; i++) {
        const struct zone_type *t = &z->types[i];
        if (!str_eq_c(abbrev, t->name))
            continue;
        any = any == NULL ? t : any;
        struct tzone_period p = tzone_at(z, local_s - t->offset_s);
        if (strcmp(p.name, t->name) == 0) { /* it was in use then */
            *ret_offset_s = p.offset_s;
            return true;
        }
    }
    if (any != NULL)
        *ret_offset_s = any->offset_s;
    return any != NULL;
}
