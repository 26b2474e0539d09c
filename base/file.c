#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define FILE_READ_BYTES (64 * 1024)
#define FILE_PATH_MAX   4096

static int fail(struct error *err, const char *what, const char *path)
{
    int errnum = errno;
    return error_set(err, status_from_errno(errnum), "%s %s: %s", what, path,
                     status_errno_text(errnum));
}

int file_read(const char *path, struct buf *out, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, "open", path);
    int rc = 0;
    for (;;) {
        char beyond; /* what no longer fits: there must be none */
        size_t room = MIN(out->max - out->len, (size_t)FILE_READ_BYTES);
        if (!buf_reserve(out, room)) {
            rc = error_set(err, E_NO_MEMORY, "read %s: no memory", path);
            break;
        }
        ssize_t n = read(fd, room > 0 ? out->ptr + out->len : &beyond, MAX(room, 1u));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = fail(err, "read", path);
        else if (n > 0 && room == 0)
            rc = error_set(err, E_TOO_LARGE, "read %s: the file is too large", path);
        if (n <= 0 || room == 0)
            break;
        out->len += (size_t)n;
    }
    close(fd);
    return rc;
}

static int write_all(int fd, str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes = str_from(bytes, (size_t)n);
    }
    return 0;
}

/* A rename lasts only when the folder is on disk too. */
static int sync_dir_of(const char *path)
{
    str dir = str_c(path);
    size_t slash = str_rfind_char(dir, '/');
    char *name = slash == STR_NPOS ? mem_strdup(".") : str_dup_c(str_sub(dir, 0, MAX(slash, 1)));
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mem_free(name);
    if (fd < 0)
        return -1;
    int rc = fsync(fd);
    close(fd);
    return rc;
}

int file_write_atomic(const char *path, str bytes, unsigned mode, struct error *err)
{
    char tmp[FILE_PATH_MAX];
    if ((size_t)snprintf(tmp, sizeof tmp, "%s.tmp", path) >= sizeof tmp)
        return error_set(err, E_TOO_LARGE, "%s: the path is too long", path);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, (mode_t)mode);
    if (fd < 0)
        return fail(err, "create", tmp);
    bool ok = write_all(fd, bytes) == 0 && fsync(fd) == 0;
    int rc = ok ? 0 : fail(err, "write", tmp);
    close(fd);
    if (rc == 0 && (rename(tmp, path) != 0 || sync_dir_of(path) != 0))
        rc = fail(err, "rename", path);
    if (rc != 0)
        unlink(tmp);
    return rc;
}

int file_make_dirs(const char *path, struct error *err)
{
    char part[FILE_PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof part)
        return error_set(err, E_TOO_LARGE, "%s: the path is too long", path);
    for (size_t i = 1; i <= len; i++) {
        if (i < len && path[i] != '/')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return fail(err, "mkdir", part);
    }
    struct stat st;
    if (len > 0 && (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)))
        return error_set(err, E_IO, "%s is not a folder", path);
    return 0;
}

int file_lock(const char *path, int *ret_fd, struct error *err)
{
    char pid[32] = "";
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return fail(err, "open", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int rc = errno == EWOULDBLOCK ? E_EXISTS : fail(err, "lock", path);
        if (rc == E_EXISTS) {
            ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
            pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
            error_set(err, rc, "%s is held by another process (%s)", path, pid);
        }
        close(fd);
        return rc;
    }
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    /* The id is for people; a full disk is no reason not to start. */
    if (ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)n, 0) != n)
        (void)ftruncate(fd, 0);
    *ret_fd = fd;
    return 0;
}

int file_join(char *out, size_t size, const char *dir, const char *name)
{
    return (size_t)snprintf(out, size, "%s/%s", dir, name) < size ? 0 : E_TOO_LARGE;
}
