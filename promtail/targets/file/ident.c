#include "promtail/targets/file/ident.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"

#define PATH_BYTES         4096
#define HEAD_CERTAIN_BYTES 32 /* a shorter head does not tell a copy */

static ssize_t read_head(int fd, char head[IDENT_HEAD_BYTES], size_t want)
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

bool ident_take(int fd, struct source_ident *ret)
{
    struct stat st;
    char head[IDENT_HEAD_BYTES];
    if (fstat(fd, &st) != 0)
        return false;
    ssize_t n = read_head(fd, head, sizeof head);
    if (n < 0)
        return false;
    *ret = (struct source_ident){.dev = st.st_dev,
                                 .ino = st.st_ino,
                                 .head_hash = hash_xxh64(str_make(head, (size_t)n), 0),
                                 .head_bytes = (uint32_t)n};
    return true;
}

/* From one look at the head, so that nothing can come between check and taking. */
static bool confirm_head(struct source_ident *id, str head)
{
    if (head.len < id->head_bytes ||
        hash_xxh64(str_sub(head, 0, id->head_bytes), 0) != id->head_hash)
        return false;
    id->head_bytes = (uint32_t)MIN(head.len, (size_t)IDENT_HEAD_BYTES);
    id->head_hash = hash_xxh64(str_sub(head, 0, id->head_bytes), 0);
    return true;
}

bool ident_confirm(int fd, struct source_ident *id, int64_t offset, str bytes)
{
    char head[IDENT_HEAD_BYTES];
    if (offset == 0 && id->head_bytes < IDENT_HEAD_BYTES)
        return confirm_head(id, bytes);
    ssize_t n = read_head(fd, head, sizeof head);
    return n >= 0 && confirm_head(id, str_make(head, (size_t)n));
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

bool ident_is_copy(int fd, const struct source_ident *id)
{
    return id->head_bytes >= HEAD_CERTAIN_BYTES && ident_head_matches(fd, id);
}

/* --- what became of a generation --- */

static bool gzip_head_matches(int fd, const struct source_ident *id)
{
    int copy = dup(fd);
    gzFile gz = copy < 0 ? NULL : gzdopen(copy, "rb");
    if (gz == NULL) {
        if (copy >= 0)
            close(copy);
        return false;
    }
    char head[IDENT_HEAD_BYTES];
    int n = gzread(gz, head, id->head_bytes);
    bool hit = !gzdirect(gz) && n == (int)id->head_bytes &&
               hash_xxh64(str_make(head, (size_t)n), 0) == id->head_hash;
    gzclose(gz);
    lseek(fd, 0, SEEK_SET);
    return hit;
}

struct candidate {
    int fd;
    bool is_gzip;
    int64_t mtime_s;
};

/* A renamed file is certain; of copies the newest is taken. */
static bool look_at(const char *path, str name, const struct source_ident *id, int64_t size,
                    struct candidate *best)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return false;
    }
    bool is_renamed = st.st_ino == id->ino && ident_head_matches(fd, id);
    bool is_certain = id->head_bytes >= HEAD_CERTAIN_BYTES;
    bool is_gzip =
        !is_renamed && is_certain && str_has_suffix(name, STR(".gz")) && gzip_head_matches(fd, id);
    bool is_copy =
        !is_renamed && !is_gzip && is_certain && st.st_size >= size && ident_head_matches(fd, id);
    bool is_better =
        is_renamed || ((is_gzip || is_copy) && (best->fd < 0 || st.st_mtim.tv_sec > best->mtime_s));
    if (!is_better) {
        close(fd);
        return false;
    }
    if (best->fd >= 0)
        close(best->fd);
    *best = (struct candidate){fd, is_gzip, st.st_mtim.tv_sec};
    return is_renamed;
}

/* Path split into folder and name. */
static void split_path(const char *path, char dir[PATH_BYTES], str *ret_base)
{
    str whole = str_c(path);
    size_t slash = str_rfind_char(whole, '/');
    *ret_base = slash == STR_NPOS ? whole : str_from(whole, slash + 1);
    snprintf(dir, PATH_BYTES, "%.*s", slash == STR_NPOS ? 1 : (int)MAX(slash, 1),
             slash == STR_NPOS ? "." : path);
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

static int by_mtime(const void *a, const void *b)
{
    int64_t x = ((const struct rotated_file *)a)->mtime_ns;
    int64_t y = ((const struct rotated_file *)b)->mtime_ns;
    return (x > y) - (x < y);
}

size_t ident_list_rotated(const char *path, int64_t after_ns, struct rotated_file **ret)
{
    VEC(struct rotated_file) found = {0};
    char dir[PATH_BYTES], name[PATH_BYTES];
    str base;
    split_path(path, dir, &base);
    DIR *d = opendir(dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        struct stat st;
        if (str_eq_c(base, e->d_name) || !ident_is_rotated_name(base, str_c(e->d_name)))
            continue;
        int n = snprintf(name, sizeof name, "%s/%s", dir, e->d_name);
        if (n <= 0 || (size_t)n >= sizeof name || stat(name, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        int64_t mtime_ns = st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
        if (mtime_ns > after_ns)
            VEC_PUSH(&found, (struct rotated_file){mem_strdup(name), mtime_ns});
    }
    if (d != NULL)
        closedir(d);
    if (found.len > 0)
        qsort(found.items, found.len, sizeof *found.items, by_mtime);
    *ret = found.items;
    return found.len;
}

/* --- many generations of one path: the folder is read once --- */

struct sibling {
    char *path;
    str name; /* end of path */
    ino_t ino;
    bool has_head; /* head_hash was tried; 0: unreadable or too short */
    uint64_t head_hash;
};

struct ident_siblings {
    struct sibling *items;
    size_t len, cap;
};

struct ident_siblings *ident_siblings_read(const char *path)
{
    struct ident_siblings *s = mem_zalloc(sizeof *s);
    char dir[PATH_BYTES], name[PATH_BYTES];
    str base;
    split_path(path, dir, &base);
    size_t dot = str_rfind_char(base, '.'); /* app.log may become app-1.log or app.log.1 */
    str stem = dot == STR_NPOS || dot == 0 ? base : str_sub(base, 0, dot);
    DIR *d = opendir(dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        str entry = str_c(e->d_name);
        if (!str_has_prefix(entry, stem) || str_eq(entry, base))
            continue;
        int n = snprintf(name, sizeof name, "%s/%s", dir, e->d_name);
        if (n <= 0 || (size_t)n >= sizeof name)
            continue;
        struct sibling one = {.path = mem_strdup(name), .ino = e->d_ino};
        one.name = str_from(str_c(one.path), (size_t)n - entry.len);
        VEC_PUSH(s, one);
    }
    if (d != NULL)
        closedir(d);
    return s;
}

void ident_siblings_free(struct ident_siblings *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->len; i++)
        mem_free(s->items[i].path);
    VEC_FREE(s);
    mem_free(s);
}

/* Hash of the first IDENT_HEAD_BYTES of the text, decompressed if it is gzip; 0 if there are not so
 * many. */
static uint64_t sibling_head(const struct sibling *b)
{
    char head[IDENT_HEAD_BYTES];
    gzFile gz = gzopen(b->path, "rbe"); /* reads plain files as they are */
    int n = gz == NULL ? -1 : gzread(gz, head, sizeof head);
    bool is_misnamed = gz != NULL && !gzdirect(gz) && !str_has_suffix(b->name, STR(".gz"));
    if (gz != NULL)
        gzclose(gz);
    return n == (int)sizeof head && !is_misnamed ? hash_xxh64(str_make(head, sizeof head), 0) : 0;
}

/* False if it is certainly no copy of `id`: spares opening every file for every generation. */
static bool may_be_copy(struct sibling *b, const struct source_ident *id)
{
    if (id->head_bytes != IDENT_HEAD_BYTES)
        return id->head_bytes >= HEAD_CERTAIN_BYTES;
    if (!b->has_head) {
        b->head_hash = sibling_head(b);
        b->has_head = true;
    }
    return b->head_hash == id->head_hash;
}

int ident_siblings_find(struct ident_siblings *s, const struct source_ident *id, int64_t size,
                        bool *ret_is_gzip)
{
    struct candidate best = {.fd = -1};
    *ret_is_gzip = false;
    for (size_t i = 0; i < s->len; i++) {
        struct sibling *b = &s->items[i];
        if (b->ino == id->ino && look_at(b->path, b->name, id, size, &best))
            return best.fd; /* renamed: certain */
    }
    for (size_t i = 0; i < s->len; i++) {
        struct sibling *b = &s->items[i];
        if (may_be_copy(b, id) && look_at(b->path, b->name, id, size, &best))
            break;
    }
    *ret_is_gzip = best.is_gzip;
    return best.fd;
}

int ident_find_moved(const char *path, const struct source_ident *id, int64_t size,
                     bool *ret_is_gzip)
{
    struct ident_siblings *s = ident_siblings_read(path);
    int fd = ident_siblings_find(s, id, size, ret_is_gzip);
    ident_siblings_free(s);
    return fd;
}
