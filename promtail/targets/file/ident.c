#include "promtail/targets/file/ident.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"

#define GZIP_BYTES_MIN     18 /* head and end */
#define HEAD_CERTAIN_BYTES 32 /* a shorter head tells a copy only if it is the whole text */

static ssize_t read_head(int fd, char *head, size_t want)
{
    size_t n = 0;
    while (n < want) {
        ssize_t got = pread(fd, head + n, want - n, (off_t)n);
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

static bool make_ident(int fd, str head, struct source_ident *ret)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return false;
    *ret = (struct source_ident){.dev = st.st_dev,
                                 .ino = st.st_ino,
                                 .head_hash = hash_xxh64(head, 0),
                                 .head_bytes = (uint32_t)head.len};
    return true;
}

bool ident_take_head(int fd, struct source_ident *ret, char head[IDENT_HEAD_BYTES])
{
    ssize_t n = read_head(fd, head, IDENT_HEAD_BYTES);
    return n >= 0 && make_ident(fd, str_make(head, (size_t)n), ret);
}

bool ident_take(int fd, struct source_ident *ret)
{
    char head[IDENT_HEAD_BYTES];
    return ident_take_head(fd, ret, head);
}

bool ident_begins(const struct source_ident *id, str head)
{
    return id->head_bytes <= head.len &&
           hash_xxh64(str_sub(head, 0, id->head_bytes), 0) == id->head_hash;
}

/* From one look at the head, so that nothing can come between check and taking. */
static bool confirm_head(struct source_ident *id, str head)
{
    if (!ident_begins(id, head))
        return false;
    id->head_bytes = (uint32_t)MIN(head.len, (size_t)IDENT_HEAD_BYTES);
    id->head_hash = hash_xxh64(str_sub(head, 0, id->head_bytes), 0);
    return true;
}

bool ident_grow(int fd, struct source_ident *id)
{
    char head[IDENT_HEAD_BYTES];
    ssize_t n = read_head(fd, head, sizeof head);
    return n >= 0 && confirm_head(id, str_make(head, (size_t)n));
}

bool ident_confirm(int fd, struct source_ident *id, int64_t offset, str bytes)
{
    bool is_head = offset == 0 && id->head_bytes < IDENT_HEAD_BYTES;
    return is_head ? confirm_head(id, bytes) : ident_grow(fd, id);
}

bool ident_head_matches(int fd, const struct source_ident *id)
{
    char head[IDENT_HEAD_BYTES];
    size_t want = MIN(id->head_bytes, (uint32_t)IDENT_HEAD_BYTES);
    ssize_t n = read_head(fd, head, want);
    return n == (ssize_t)want && hash_xxh64(str_make(head, want), 0) == id->head_hash;
}

bool ident_is_same_file(int fd, const struct source_ident *id)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_ino == id->ino && ident_head_matches(fd, id);
}

/* Whether a file of so many bytes that begins with the head of `id` is surely a copy. */
static bool is_certain(const struct source_ident *id, off_t size)
{
    return id->head_bytes >= HEAD_CERTAIN_BYTES || (size > 0 && size == (off_t)id->head_bytes);
}

bool ident_is_copy(int fd, const struct source_ident *id)
{
    struct stat st;
    return fstat(fd, &st) == 0 && is_certain(id, st.st_size) && ident_head_matches(fd, id);
}

/* --- what became of a generation --- */

/* Text of a gzip file; 0 bytes if it is none.  Leaves `fd` at its beginning. */
static size_t read_gzip_head(int fd, char *head, size_t want)
{
    int copy = dup(fd);
    gzFile gz = copy < 0 ? NULL : gzdopen(copy, "rb");
    if (gz == NULL) {
        if (copy >= 0)
            close(copy);
        return 0;
    }
    int n = gzread(gz, head, (unsigned)want);
    bool is_gzip = !gzdirect(gz);
    gzclose(gz);
    lseek(fd, 0, SEEK_SET);
    return is_gzip && n > 0 ? (size_t)n : 0;
}

bool ident_take_gzip(int fd, struct source_ident *ret)
{
    char head[IDENT_HEAD_BYTES];
    size_t n = read_gzip_head(fd, head, sizeof head);
    return n > 0 && make_ident(fd, str_make(head, n), ret);
}

/* One byte more is read than the head has: a short one must be the whole text. */
static bool gzip_is_copy(int fd, const struct source_ident *id)
{
    char head[IDENT_HEAD_BYTES + 1];
    size_t n = read_gzip_head(fd, head, id->head_bytes + 1);
    return n >= id->head_bytes && is_certain(id, (off_t)n) &&
           hash_xxh64(str_make(head, id->head_bytes), 0) == id->head_hash;
}

bool ident_is_same_text(int fd, const struct source_ident *id)
{
    char head[IDENT_HEAD_BYTES + 1];
    bool is_full = id->head_bytes == IDENT_HEAD_BYTES;
    size_t n = id->head_bytes == 0 ? 0 : read_gzip_head(fd, head, id->head_bytes + 1);
    if (n == 0) {
        ssize_t plain = read_head(fd, head, id->head_bytes + 1);
        n = plain > 0 ? (size_t)plain : 0;
    }
    return n > 0 && (n == id->head_bytes || (is_full && n > id->head_bytes)) &&
           hash_xxh64(str_make(head, id->head_bytes), 0) == id->head_hash;
}

/* What the end of a gzip file says of its text's size, modulo 2^32 (RFC 1952). */
static bool gzip_size(int fd, off_t file_bytes, uint32_t *ret)
{
    unsigned char end[4];
    if (file_bytes < GZIP_BYTES_MIN ||
        pread(fd, end, sizeof end, file_bytes - (off_t)sizeof end) != (ssize_t)sizeof end)
        return false;
    *ret = end[0] | (uint32_t)end[1] << 8 | (uint32_t)end[2] << 16 | (uint32_t)end[3] << 24;
    return true;
}

bool ident_is_whole(int fd, const struct source_ident *id, int64_t bytes)
{
    struct stat st;
    uint32_t size;
    char head[IDENT_HEAD_BYTES];
    if (bytes <= 0 || id->head_bytes == 0 || fstat(fd, &st) != 0)
        return false;
    if (st.st_size == bytes && ident_head_matches(fd, id))
        return true;
    return gzip_size(fd, st.st_size, &size) && size == (uint32_t)bytes &&
           read_gzip_head(fd, head, id->head_bytes) == id->head_bytes &&
           hash_xxh64(str_make(head, id->head_bytes), 0) == id->head_hash;
}

struct candidate {
    int fd;
    bool is_gzip;
    int64_t mtime_s;
};

/* A renamed file is certain; of copies the newest is taken, but a plain one before one that is
 * compressed: that may be only half there. */
static bool look_at(struct folder_set *folders, const struct folder_entry *e,
                    const struct source_ident *id, int64_t size, struct candidate *best)
{
    struct stat st;
    int fd = open(e->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    folders->is_stale |= fd < 0 && errno == ENOENT;
    if (fd < 0)
        return false;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return false;
    }
    folders->is_stale |= st.st_ino != e->ino;
    bool is_renamed = st.st_ino == id->ino && ident_head_matches(fd, id);
    bool is_gzip = !is_renamed && str_has_suffix(e->name, STR(".gz")) && gzip_is_copy(fd, id);
    bool is_copy = !is_renamed && !is_gzip && is_certain(id, st.st_size) && st.st_size >= size &&
                   ident_head_matches(fd, id);
    bool is_newer = best->fd < 0 ||
                    (is_gzip != best->is_gzip ? best->is_gzip : st.st_mtim.tv_sec > best->mtime_s);
    bool is_better = is_renamed || ((is_gzip || is_copy) && is_newer);
    if (!is_better) {
        close(fd);
        return false;
    }
    if (best->fd >= 0)
        close(best->fd);
    *best = (struct candidate){fd, is_gzip, st.st_mtim.tv_sec};
    return is_renamed;
}

/* A separator, then digits and what stands between them in dates. */
static bool is_stamp(str s)
{
    bool has_digit = false;
    if (s.len == 0 || (s.ptr[0] >= '0' && s.ptr[0] <= '9'))
        return false; /* app2.log is another program's */
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool is_digit = c >= '0' && c <= '9';
        if (!is_digit && memchr("-_.:T", c, 5) == NULL)
            return false;
        has_digit |= is_digit;
    }
    return has_digit;
}

bool ident_is_rotated_name(str base, str name)
{
    if (str_has_suffix(name, STR(".gz")))
        name.len -= 3;
    if (str_has_prefix(name, base))
        return is_stamp(str_from(name, base.len)) || str_eq(str_from(name, base.len), STR(".old"));
    size_t dot = str_rfind_char(base, '.');
    if (dot == STR_NPOS || dot == 0)
        return false;
    str stem = str_sub(base, 0, dot), extension = str_from(base, dot);
    return str_has_prefix(name, stem) && str_has_suffix(name, extension) && name.len > base.len &&
           is_stamp(str_sub(name, stem.len, name.len - extension.len));
}

int64_t ident_written_ns(const struct stat *st)
{
    return st->st_mtim.tv_sec * NS_PER_S + st->st_mtim.tv_nsec;
}

static int by_mtime(const void *a, const void *b)
{
    int64_t x = ((const struct rotated_file *)a)->mtime_ns;
    int64_t y = ((const struct rotated_file *)b)->mtime_ns;
    return (x > y) - (x < y);
}

/* app.log may become app-1.log or app.log.1. */
static str stem_of(str base)
{
    size_t dot = str_rfind_char(base, '.');
    return dot == STR_NPOS || dot == 0 ? base : str_sub(base, 0, dot);
}

size_t ident_list_rotated(struct folder_set *folders, const char *path, int64_t after_ns,
                          struct rotated_file **ret)
{
    VEC(struct rotated_file) found = {0};
    struct folder_entry *entries;
    str base = folder_base_name(path);
    size_t n = folder_find(folder_set_of(folders, path), stem_of(base), &entries);
    for (size_t i = 0; i < n; i++) {
        const struct folder_entry *e = &entries[i];
        struct stat st;
        if (str_eq(base, e->name) || !ident_is_rotated_name(base, e->name))
            continue;
        if (stat(e->path, &st) != 0) {
            folders->is_stale |= errno == ENOENT;
            continue;
        }
        folders->is_stale |= st.st_ino != e->ino;
        int64_t mtime_ns = ident_written_ns(&st);
        if (S_ISREG(st.st_mode) && mtime_ns > after_ns)
            VEC_PUSH(&found, (struct rotated_file){e->path, st.st_ino, mtime_ns});
    }
    if (found.len > 0)
        qsort(found.items, found.len, sizeof *found.items, by_mtime);
    *ret = found.items;
    return found.len;
}

/* Hash of the first IDENT_HEAD_BYTES of the text; 0 if there are not so many. */
static uint64_t entry_head(struct folder_set *folders, const struct folder_entry *e)
{
    char head[IDENT_HEAD_BYTES];
    struct stat st;
    uint64_t hash = 0;
    int fd = open(e->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    folders->is_stale |= fd < 0 && errno == ENOENT;
    if (fd < 0)
        return 0;
    bool is_gzip = str_has_suffix(e->name, STR(".gz"));
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        folders->is_stale |= st.st_ino != e->ino;
        size_t n = is_gzip ? read_gzip_head(fd, head, sizeof head) : 0;
        ssize_t plain = n == 0 ? read_head(fd, head, sizeof head) : (ssize_t)n;
        if (plain == (ssize_t)sizeof head)
            hash = hash_xxh64(str_make(head, sizeof head), 0);
    }
    close(fd);
    return hash;
}

/* False if it is certainly no copy of `id`: spares opening every file for every generation. */
static bool may_be(struct folder_set *folders, struct folder_entry *e,
                   const struct source_ident *id)
{
    if (id->head_bytes != IDENT_HEAD_BYTES)
        return true;
    if (!e->has_head) {
        e->head_hash = entry_head(folders, e);
        e->has_head = true;
    }
    return e->head_hash == id->head_hash;
}

int ident_find_moved(struct folder_set *folders, const char *path, const struct source_ident *id,
                     int64_t size, bool *ret_is_gzip)
{
    struct candidate best = {.fd = -1};
    struct folder_entry *entries;
    str base = folder_base_name(path);
    size_t n = folder_find(folder_set_of(folders, path), stem_of(base), &entries);
    *ret_is_gzip = false;
    for (size_t i = 0; i < n; i++)
        if (entries[i].ino == id->ino && !str_eq(entries[i].name, base) &&
            look_at(folders, &entries[i], id, size, &best))
            return best.fd; /* renamed: certain */
    for (size_t i = 0; i < n; i++)
        if (!str_eq(entries[i].name, base) && may_be(folders, &entries[i], id) &&
            look_at(folders, &entries[i], id, size, &best))
            break;
    *ret_is_gzip = best.is_gzip;
    return best.fd;
}
