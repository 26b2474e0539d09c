#include "base/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *text;
    int http;
} statuses[] = {
#define XX(name, text, http) {text, http},
    STATUS_MAP(XX)
#undef XX
};

const char *status_text(int code)
{
    if (code == 0)
        return "ok";
    int i = -1 - code;
    return i >= 0 && i < STATUS_COUNT ? statuses[i].text : "unknown error";
}

int status_http(int code)
{
    if (code == 0)
        return 200;
    int i = -1 - code;
    return i >= 0 && i < STATUS_COUNT ? statuses[i].http : 500;
}

int status_from_errno(int errnum)
{
    switch (errnum) {
    case 0:
        return 0;
    case ENOSPC:
    case EDQUOT:
        return E_NO_SPACE;
    case ENOMEM:
        return E_NO_MEMORY;
    case ENOENT:
        return E_NOT_FOUND;
    case EEXIST:
        return E_EXISTS;
    case EACCES:
    case EPERM:
        return E_FORBIDDEN;
    case EAGAIN:
    case EINTR:
        return E_AGAIN;
    case EINVAL:
        return E_INVALID;
    default:
        return E_IO;
    }
}

const char *status_errno_text(int errnum)
{
    static const struct {
        int errnum;
        const char *text;
    } texts[] = {
        {EPERM, "operation not permitted"},
        {ENOENT, "no such file or directory"},
        {EIO, "input/output error"},
        {EACCES, "permission denied"},
        {EBUSY, "device or resource busy"},
        {EEXIST, "file exists"},
        {ENOTDIR, "not a directory"},
        {EISDIR, "is a directory"},
        {EINVAL, "invalid argument"},
        {EMFILE, "too many open files"},
        {ENOSPC, "no space left on device"},
        {EROFS, "read-only file system"},
        {ENAMETOOLONG, "file name too long"},
        {ENOTEMPTY, "directory not empty"},
        {ELOOP, "too many levels of symbolic links"},
        {EADDRINUSE, "address already in use"},
        {EADDRNOTAVAIL, "cannot assign requested address"},
        {ECONNREFUSED, "connection refused"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].errnum == errnum)
            return texts[i].text;
    return strerror(errnum);
}

int error_vset(struct error *err, int code, const char *fmt, va_list ap)
{
    if (err == NULL || err->code != 0)
        return code;
    err->code = code;
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    return code;
}

int error_set(struct error *err, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    error_vset(err, code, fmt, ap);
    va_end(ap);
    return code;
}

int error_set_at(struct error *err, int code, int line, int col, const char *fmt, ...)
{
    if (err == NULL || err->code != 0)
        return code;
    va_list ap;
    va_start(ap, fmt);
    error_vset(err, code, fmt, ap);
    va_end(ap);
    err->line = line;
    err->col = col;
    return code;
}

void error_prefix(struct error *err, const char *fmt, ...)
{
    if (err == NULL || err->code == 0)
        return;
    char old[ERROR_TEXT_MAX];
    memcpy(old, err->text, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, "%s", old);
}

void error_clear(struct error *err)
{
    if (err != NULL) {
        err->code = err->http = err->line = err->col = 0;
        err->text[0] = '\0';
    }
}

int error_http(const struct error *err)
{
    return err->http != 0 ? err->http : status_http(err->code);
}
